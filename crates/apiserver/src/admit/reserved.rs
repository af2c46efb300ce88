//! Objects and keys that only the system writes (Z3), as the overlay lists them.

use std::sync::LazyLock;

use serde_json::Value;

use super::Operation;
use crate::model::object::Object;
use crate::model::status::ApiStatus;
use crate::registry::Call;

const TABLE: &str = include_str!("../../schemas/overlay/reserved.tbl");

/// The system's own, as listed.
#[derive(Default)]
struct Reserved {
    /// Beginnings of labels and annotations.
    keys: Vec<&'static str>,
    /// Resource and name.
    objects: Vec<(&'static str, &'static str)>,
    /// Lines that say neither.
    unread: Vec<&'static str>,
}

static RESERVED: LazyLock<Reserved> = LazyLock::new(|| {
    let mut out = Reserved::default();
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["key", prefix] => out.keys.push(prefix),
            ["object", resource, name] => out.objects.push((resource, name)),
            _ => out.unread.push(line),
        }
    }
    out
});

/// Whether a label or annotation is the system's.
pub fn is_reserved_key(key: &str) -> bool {
    RESERVED.keys.iter().any(|prefix| key.starts_with(prefix))
}

fn reserved_keys(object: Option<&Value>) -> Vec<(&str, &Value)> {
    let maps = ["labels", "annotations"].map(|f| object.and_then(|o| o.at(&["metadata", f])?.as_object()));
    let all = maps.into_iter().flatten().flatten();
    all.filter(|(key, _)| is_reserved_key(key)).map(|(key, value)| (key.as_str(), value)).collect()
}

/// Refuses what is not the caller's to write. The controllers inside are no exception: what they copy from a tenant's
/// objects is the tenant's word.
pub fn validate(
    call: &Call<'_>,
    op: Operation,
    new: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), ApiStatus> {
    if call.who.is_system() {
        return Ok(());
    }
    let name = new.or(old).map_or("", |object| object.meta("name"));
    let refuse = |what: &str| {
        Err(ApiStatus::forbidden(call.subject(name), &format!("{what} is written by the platform alone")))
    };
    if RESERVED.objects.contains(&(&*call.resource.id, name)) {
        return refuse(name);
    }
    if op == Operation::Delete {
        return Ok(());
    }
    let (before, after) = (reserved_keys(old), reserved_keys(new));
    let changed = after.iter().find(|e| !before.contains(e)).or(before.iter().find(|e| !after.contains(e)));
    match changed {
        Some((key, _)) => refuse(key),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z3_the_table_is_read_to_its_end() {
        assert_eq!(RESERVED.unread, Vec::<&str>::new());
        assert_eq!((RESERVED.keys.len(), RESERVED.objects.len()), (3, 2));
    }
}
