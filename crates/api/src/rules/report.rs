//! Rules of ClusterReport and VirtualClusterClass.

use serde_json::Value;

use super::{Rule, at};

pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::fixed(
            "(self.spec.mode == 'Push') == has(self.spec.push)",
            "spec.push: required with mode Push, and only allowed with it",
            |new, _| {
                (at(new, "spec.mode").and_then(Value::as_str) == Some("Push"))
                    == at(new, "spec.push").is_some()
            },
        ),
        Rule::fixed(
            "self.spec.mode == oldSelf.spec.mode",
            "spec.mode is immutable; let the member leave and join again",
            |new, old| old.is_none_or(|old| at(new, "spec.mode") == at(old, "spec.mode")),
        ),
        Rule::fixed(
            "!has(self.spec.probe) || !has(self.spec.probe.timeoutSeconds) || self.spec.probe.timeoutSeconds <= (has(self.spec.probe.periodSeconds) ? self.spec.probe.periodSeconds : 10)",
            "spec.probe.timeoutSeconds: at most the period",
            |new, _| {
                let number = |path| at(new, path).and_then(Value::as_i64);
                number("spec.probe.timeoutSeconds")
                    .is_none_or(|t| t <= number("spec.probe.periodSeconds").unwrap_or(10))
            },
        ),
        Rule::fixed(
            "!has(self.spec.labels) || self.spec.labels.all(k, k.startsWith('topology.kubernetes.io/') || !k.contains('/') || !['k8s.io', 'kubernetes.io', 'x-k8s.io', 'skerry.dev'].exists(d, k.split('/')[0] == d || k.split('/')[0].endsWith('.' + d)))",
            "spec.labels: keys under k8s.io, kubernetes.io, x-k8s.io and skerry.dev are kept, except topology.kubernetes.io/",
            |new, _| {
                at(new, "spec.labels")
                    .and_then(Value::as_object)
                    .is_none_or(|l| l.keys().all(|k| label_is_free(k)))
            },
        ),
    ]
}

/// Whether an administrator may set this label of a real member's profile.
pub fn label_is_free(key: &str) -> bool {
    if key.starts_with("topology.kubernetes.io/") {
        return true;
    }
    let Some((domain, _)) = key.split_once('/') else { return true };
    !["k8s.io", "kubernetes.io", "x-k8s.io", "skerry.dev"]
        .iter()
        .any(|kept| domain == *kept || domain.strip_suffix(kept).is_some_and(|d| d.ends_with('.')))
}

pub(super) fn class_rules() -> Vec<Rule> {
    vec![Rule::fixed(
        "!has(self.spec.defaultSize) || self.spec.defaultSize == '' || (has(self.spec.sizes) && self.spec.sizes.exists(s, s.name == self.spec.defaultSize))",
        "spec.defaultSize: not among spec.sizes",
        |new, _| {
            let wanted = at(new, "spec.defaultSize").and_then(Value::as_str).unwrap_or_default();
            let sizes = at(new, "spec.sizes").and_then(Value::as_array);
            wanted.is_empty()
                || sizes
                    .is_some_and(|l| l.iter().any(|s| at(s, "name").and_then(Value::as_str) == Some(wanted)))
        },
    )]
}
