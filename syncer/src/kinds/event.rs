//! Events upward (KI16): the tenant's names, or no details.

use serde_json::{Value, json};

use crate::{
    facts::Facts,
    kind::Kind,
    mapping::{Mapping, h},
    object::{Fields, HostObj, TenantObj, entry, filled, shell},
};

/// Whether an Event is about a container that Skerry put into a pod of this UID: the tenant knows of none (PO30).
pub(crate) fn is_of_ours(event: &HostObj, uid: &str) -> bool {
    let path = event.text("/involvedObject/fieldPath");
    path.strip_prefix("spec.initContainers{").and_then(|name| name.strip_suffix('}'))
        == Some(Mapping::hosts_file(uid).as_str())
}

/// A host Event about a carried object, as the tenant sees it.
pub fn up(
    event: &HostObj,
    kind: Kind,
    involved: &TenantObj,
    host_involved: &HostObj,
    facts: &Facts,
) -> Value {
    let mut out = shell(Kind::Event);
    let meta = entry(&mut out, "metadata");
    let stem: String = involved.name().chars().take(200).collect();
    meta.insert("name".to_owned(), json!(format!("{stem}.{}", h(&[event.uid()]))));
    meta.insert("namespace".to_owned(), json!(involved.namespace()));
    let mut reference = json!({"apiVersion": kind.api_version(), "kind": kind.name(), "namespace": involved.namespace(),
        "name": involved.name(), "uid": involved.uid()});
    let path = event.text("/involvedObject/fieldPath");
    if !path.is_empty() {
        reference["fieldPath"] = json!(path);
    }
    out.insert("involvedObject".to_owned(), reference);
    for field in [
        "reason",
        "type",
        "count",
        "firstTimestamp",
        "lastTimestamp",
        "eventTime",
        "series",
        "action",
        "reportingComponent",
        "reportingInstance",
        "source",
    ] {
        if let Some(value) = event.0.get(field).filter(|v| filled(v)) {
            out.insert(field.to_owned(), value.clone());
        }
    }
    let message = super::pod::scrub(event.text("/message"), involved, host_involved, facts);
    let message = if message == "details hidden" {
        format!("{} (details hidden)", event.text("/reason"))
    } else {
        message
    };
    out.insert("message".to_owned(), json!(message));
    Value::Object(out)
}

/// An Event of the syncer's own about a tenant object.
pub fn own(kind: Kind, involved: &TenantObj, reason: &str, message: &str, warning: bool, now: &str) -> Value {
    let mut out = shell(Kind::Event);
    let meta = entry(&mut out, "metadata");
    let stem: String = involved.name().chars().take(200).collect();
    meta.insert("name".to_owned(), json!(format!("{stem}.{}", h(&[involved.uid(), reason, now]))));
    meta.insert("namespace".to_owned(), json!(involved.namespace()));
    let message: String = message.chars().take(1000).collect();
    let members = [
        (
            "involvedObject",
            json!({"apiVersion": kind.api_version(), "kind": kind.name(), "namespace": involved.namespace(),
            "name": involved.name(), "uid": involved.uid()}),
        ),
        ("reason", json!(reason)),
        ("message", json!(message)),
        ("type", json!(if warning { "Warning" } else { "Normal" })),
        ("count", json!(1)),
        ("firstTimestamp", json!(now)),
        ("lastTimestamp", json!(now)),
        ("source", json!({"component": "skerry-syncer"})),
        ("reportingComponent", json!("skerry-syncer")),
    ];
    for (key, value) in members {
        out.insert(key.to_owned(), value);
    }
    Value::Object(out)
}

/// A token bucket of a tenant's Events: `per_second`, burst ten times that.
#[derive(Debug)]
pub struct Bucket {
    per_second: f64,
    left: f64,
    at: std::time::Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, left: per_second * 10.0, at: std::time::Instant::now() }
    }

    /// Takes one at a time; false: dropped.
    pub fn take(&mut self, now: std::time::Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * self.per_second).min(self.per_second * 10.0);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::tests_support::facts;

    /// SY-95, its pure part: names are mapped, unmapped ones hide the text; a flood is capped.
    #[test]
    fn translate_sy95_events() {
        let facts = facts();
        let tenant = TenantObj(json!({"metadata": {"name": "web-0", "namespace": "web", "uid": "p1"}}));
        let ns = facts.host_namespace("web").map(|n| n.to_string()).unwrap_or_default();
        let host = HostObj(json!({"metadata": {"name": "web-0", "namespace": ns, "uid": "h1"}}));
        let event = |message: String| {
            HostObj(json!({"metadata": {"uid": "e1"}, "reason": "Failed", "message": message,
                "involvedObject": {"kind": "Pod", "name": "web-0", "namespace": ns}}))
        };
        let seen =
            up(&event(format!("Successfully assigned {ns}/web-0 to n1")), Kind::Pod, &tenant, &host, &facts);
        assert_eq!(seen["message"], "Successfully assigned web/web-0 to n1");
        assert_eq!(seen["involvedObject"]["uid"], "p1");
        let hidden =
            up(&event("secret \"skerry-token-abc\" not found".to_owned()), Kind::Pod, &tenant, &host, &facts);
        assert_eq!(hidden["message"], "Failed (details hidden)");
        let other = up(&event("sk-tabcdefghij2-x/y".to_owned()), Kind::Pod, &tenant, &host, &facts);
        assert_eq!(other["message"], "Failed (details hidden)");
        let of = |container: &str| {
            HostObj(json!({"involvedObject": {"fieldPath": format!("spec.initContainers{{{container}}}")}}))
        };
        let ours = Mapping::hosts_file("p1");
        assert!(is_of_ours(&of(ours.as_str()), "p1") && !is_of_ours(&of(ours.as_str()), "p2"));
        assert!(!is_of_ours(&of("migrate"), "p1") && !is_of_ours(&event(String::new()), "p1"));
        let mut bucket = Bucket::new(1);
        let now = std::time::Instant::now();
        assert_eq!((0..10_000).filter(|_| bucket.take(now)).count(), 10);
    }
}
