//! CEL rules of the kinds and their twins in Rust (tenancy V4): one message, two evaluators.
//!
//! Each rule stands at the root of its kind. A twin takes the new object and, on updates, the old one, and says what is
//! wrong in the words of the rule; a hub that does not evaluate CEL shows them in `Provisioned=False/SpecInvalid`.

use serde_json::Value;

mod placement;
mod report;
mod virtual_cluster;

/// What a twin finds: nothing, or the message of the rule.
pub type Finding = Option<String>;

/// A rule in Rust, over the new object and, on updates, the old one.
pub type Twin = Box<dyn Fn(&Value, Option<&Value>) -> Finding + Send + Sync>;

/// One rule.
pub struct Rule {
    /// CEL expression over `self` (and `oldSelf`).
    pub cel: String,
    /// Message, where it is fixed.
    pub message: String,
    /// CEL expression that makes the message.
    pub message_expression: Option<String>,
    /// The same rule in Rust.
    pub twin: Twin,
}

/// Rules of the kind, in the order in which they are checked.
pub fn of(kind: &str) -> Vec<Rule> {
    match kind {
        "VirtualCluster" => virtual_cluster::rules(),
        "VirtualClusterClass" => report::class_rules(),
        "ClusterReport" => report::rules(),
        "ClusterBinding" => placement::binding_rules(),
        "Placement" => placement::rules(false),
        "ClusterPlacement" => placement::rules(true),
        _ => Vec::new(),
    }
}

/// All findings of the twins of `kind`.
pub fn check(kind: &str, new: &Value, old: Option<&Value>) -> Vec<String> {
    of(kind).iter().filter_map(|rule| (rule.twin)(new, old)).collect()
}

impl Rule {
    /// A rule with a fixed message; `holds` tells whether it holds.
    fn fixed(
        cel: impl Into<String>,
        message: impl Into<String>,
        holds: impl Fn(&Value, Option<&Value>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let message = message.into();
        let text = message.clone();
        Self {
            cel: cel.into(),
            message,
            message_expression: None,
            twin: Box::new(move |new, old| (!holds(new, old)).then(|| text.clone())),
        }
    }

    /// The field at `path` may be set once and then stays.
    fn immutable(path: &'static str, message: String) -> Self {
        let old_has = has("oldSelf", path);
        let new_has = has("self", path);
        Self::fixed(
            format!("!({old_has}) || (({new_has}) && self.{path} == oldSelf.{path})"),
            message,
            move |new, old| {
                let Some(before) = old.and_then(|o| at(o, path)) else { return true };
                at(new, path) == Some(before)
            },
        )
    }

    /// The same for a field whose value at birth is pinned at `pinned`, also where it was left open: an edit away from
    /// that value, which no hub carries out, may be taken back.
    fn pinned(path: &'static str, pinned: &'static str, message: String) -> Self {
        let (old_has, new_has, known) = (has("oldSelf", path), has("self", path), has("oldSelf", pinned));
        Self::fixed(
            format!(
                "!({old_has}) || (({new_has}) && self.{path} == oldSelf.{path}) || (({known}) && oldSelf.{path} != oldSelf.{pinned} && (!({new_has}) || self.{path} == oldSelf.{pinned}))"
            ),
            message,
            move |new, old| {
                let Some((old, before)) = old.and_then(|o| Some((o, at(o, path)?))) else { return true };
                let (now, pinned) = (at(new, path), at(old, pinned));
                now == Some(before) || pinned.is_some_and(|p| before != p && now.is_none_or(|now| now == p))
            },
        )
    }

    /// The duration at `path` lies between two others, both included.
    fn duration(path: &'static str, min: &'static str, max: &'static str) -> Self {
        let present = has("self", path);
        Self {
            cel: format!(
                "!({present}) || (duration(self.{path}) >= duration('{min}') && duration(self.{path}) <= duration('{max}'))"
            ),
            message: format!("{path}: outside {min} to {max}"),
            message_expression: Some(format!(
                "'{path}: ' + self.{path} + (duration(self.{path}) < duration('{min}') ? ' is below the minimum {min}' : ' is above the maximum {max}')"
            )),
            twin: Box::new(move |new, _| {
                let text = at(new, path)?.as_str()?;
                let Some(nanos) = parse_duration(text) else {
                    return Some(format!("{path}: outside {min} to {max}"));
                };
                if nanos < parse_duration(min)? {
                    Some(format!("{path}: {text} is below the minimum {min}"))
                } else if nanos > parse_duration(max)? {
                    Some(format!("{path}: {text} is above the maximum {max}"))
                } else {
                    None
                }
            }),
        }
    }
}

/// CEL that tells whether `path` is there, each parent before its child.
fn has(root: &str, path: &str) -> String {
    let mut reached = root.to_owned();
    let mut parts = Vec::new();
    for step in path.split('.') {
        reached = format!("{reached}.{step}");
        if reached != "self.metadata"
            && reached != "oldSelf.metadata"
            && !reached.ends_with("Self.spec")
            && reached != "self.spec"
        {
            parts.push(format!("has({reached})"));
        }
    }
    parts.join(" && ")
}

/// The value at a dotted path.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |inner, step| inner.get(step)).filter(|found| !found.is_null())
}

/// Nanoseconds of a duration as Go writes it: `90s`, `1h30m`, `0`.
pub fn parse_duration(text: &str) -> Option<u128> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0u128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit: f64 = match &rest[..unit_end] {
            "ns" => 1.0,
            "us" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total = total.checked_add((number * unit) as u128)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(total)
}

/// Whether the text is a CIDR, and of which family (4 or 6); an address mapped from IPv4 is none.
pub fn cidr_family(text: &str) -> Option<u8> {
    let (address, bits) = text.split_once('/')?;
    let plain = !bits.is_empty()
        && bits.bytes().all(|b| b.is_ascii_digit())
        && (bits.len() == 1 || !bits.starts_with('0'));
    let bits: u8 = bits.parse().ok().filter(|_| plain)?;
    match address.parse::<std::net::IpAddr>().ok()? {
        std::net::IpAddr::V4(_) if bits <= 32 => Some(4),
        std::net::IpAddr::V6(v6) if bits <= 128 && v6.to_ipv4_mapped().is_none() => Some(6),
        _ => None,
    }
}

/// Texts of the list at `path`.
fn texts<'a>(value: &'a Value, path: &str) -> Vec<&'a str> {
    at(value, path)
        .and_then(Value::as_array)
        .map(|l| l.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
