//! What one tenant serves: the built-in rows, shared by all, and its custom ones.

use std::any::Any;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::gvk::{Gvk, ResourceId};
use super::resource::Resource;

/// The served resources of a tenant. Cheap to clone; a change makes a new one.
#[derive(Clone, Debug)]
pub struct Catalog {
    base: Arc<Rows>,
    custom: Arc<Rows>,
}

/// Group, version and plural.
type Served = (Box<str>, Box<str>, Box<str>);

/// A set of rows with its look-ups.
#[derive(Debug, Default)]
struct Rows {
    all: Vec<Arc<Resource>>,
    by_path: HashMap<Served, Arc<Resource>>,
    by_kind: HashMap<Gvk, Arc<Resource>>,
    by_storage: HashMap<ResourceId, Arc<Resource>>,
    groups: Vec<Group>,
    memo: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// A group with its versions, the preferred one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name, empty for the core group.
    pub name: Box<str>,
    /// Versions in order of preference.
    pub versions: Vec<Box<str>>,
}

impl Rows {
    fn new(all: Vec<Arc<Resource>>, groups: Vec<Group>) -> Self {
        let mut rows = Self { groups, ..Self::default() };
        for row in &all {
            let path = (row.gvk.group.clone(), row.gvk.version.clone(), row.plural.clone());
            rows.by_path.insert(path, row.clone());
            rows.by_kind.insert(row.gvk.clone(), row.clone());
            let stores = row.gvk == row.storage && row.id.plural() == &*row.plural;
            if stores || !rows.by_storage.contains_key(&row.id) {
                rows.by_storage.insert(row.id.clone(), row.clone());
            }
        }
        rows.all = all;
        rows
    }
}

impl Catalog {
    /// A catalog of these rows and no custom ones. `groups` gives the order of groups and versions.
    pub fn new(rows: Vec<Arc<Resource>>, groups: Vec<Group>) -> Self {
        Self { base: Arc::new(Rows::new(rows, groups)), custom: Arc::default() }
    }

    /// The built-in rows of the current minor.
    pub fn builtin() -> Arc<Self> {
        super::tables::builtin().catalog.clone()
    }

    /// The same built-in rows with exactly these custom ones.
    pub fn with_custom(&self, rows: Vec<Arc<Resource>>) -> Self {
        let groups = custom_groups(&rows);
        Self { base: self.base.clone(), custom: Arc::new(Rows::new(rows, groups)) }
    }

    /// The row served at `/apis/<group>/<version>/…/<plural>`.
    pub fn lookup(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let key = (group.into(), version.into(), plural.into());
        self.base.by_path.get(&key).or_else(|| self.custom.by_path.get(&key)).cloned()
    }

    /// The row of a kind.
    pub fn by_kind(&self, gvk: &Gvk) -> Option<Arc<Resource>> {
        self.base.by_kind.get(gvk).or_else(|| self.custom.by_kind.get(gvk)).cloned()
    }

    /// The row of the version in which objects of this storage identity are kept.
    pub fn storage(&self, id: &ResourceId) -> Option<Arc<Resource>> {
        self.base.by_storage.get(id).or_else(|| self.custom.by_storage.get(id)).cloned()
    }

    /// All rows, built-in ones first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.base.all.iter().chain(&self.custom.all)
    }

    /// Built-in rows.
    pub fn builtin_rows(&self) -> &[Arc<Resource>] {
        &self.base.all
    }

    /// Custom rows.
    pub fn custom_rows(&self) -> &[Arc<Resource>] {
        &self.custom.all
    }

    /// Rows of one group version, by plural.
    pub fn of_version<'a>(
        &'a self,
        group: &'a str,
        version: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Resource>> + 'a {
        self.all().filter(move |r| &*r.gvk.group == group && &*r.gvk.version == version)
    }

    /// Groups in discovery order; a group that custom rows add to keeps its place.
    pub fn groups(&self) -> Vec<Group> {
        let mut out = self.base.groups.clone();
        for group in &self.custom.groups {
            match out.iter_mut().find(|g| g.name == group.name) {
                Some(known) => {
                    let new = group.versions.iter().filter(|v| !known.versions.contains(v)).cloned();
                    let new: Vec<_> = new.collect();
                    known.versions.extend(new);
                }
                None => out.push(group.clone()),
            }
        }
        out
    }

    /// What follows from the custom rows, made once for as long as they are served. One kind of value only.
    pub fn custom_memo<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.custom.memo.get_or_init(|| Box::new(make())).downcast_ref()
    }

    /// Whether both serve the same built-in rows.
    pub fn same_base(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.base, &other.base)
    }
}

fn custom_groups(rows: &[Arc<Resource>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let i = groups.iter().position(|g| g.name == row.gvk.group).unwrap_or_else(|| {
            groups.push(Group { name: row.gvk.group.clone(), versions: Vec::new() });
            groups.len() - 1
        });
        if !groups[i].versions.contains(&row.gvk.version) {
            groups[i].versions.push(row.gvk.version.clone());
        }
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    for group in &mut groups {
        group.versions.sort_by(|a, b| compare_versions(b, a));
    }
    groups
}

/// Upstream's order of versions: GA above beta above alpha, then by number; others last, by text.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (parse_version(a), parse_version(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => b.cmp(a),
    }
}

/// Stability (2 GA, 1 beta, 0 alpha), major, minor.
fn parse_version(text: &str) -> Option<(u8, u64, u64)> {
    let rest = text.strip_prefix('v')?;
    let digits = |s: &str| -> Option<u64> {
        if s.is_empty() || s.starts_with('0') || !s.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        s.parse().ok()
    };
    for (word, stability) in [("alpha", 0), ("beta", 1)] {
        if let Some((major, minor)) = rest.split_once(word) {
            return Some((stability, digits(major)?, digits(minor)?));
        }
    }
    Some((2, digits(rest)?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_as_upstream() {
        let mut got =
            vec!["v1beta1", "foo1", "v2", "v1", "v10", "v11alpha2", "v11beta2", "foo10", "v1alpha1"];
        got.sort_by(|a, b| compare_versions(b, a));
        assert_eq!(got, ["v10", "v2", "v1", "v11beta2", "v1beta1", "v11alpha2", "v1alpha1", "foo1", "foo10"]);
    }
}
