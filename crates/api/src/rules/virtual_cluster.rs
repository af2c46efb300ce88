//! Rules of VirtualCluster: tenancy V5 to V10, as far as the fields exist.

use serde_json::Value;

use super::{Rule, at, cidr_family, has, texts};

/// Paths that may be set once (V6), and where their value at birth is pinned (V3).
pub(super) const IMMUTABLE: [(&str, &str); 4] = [
    ("spec.controlPlane.type", "status.effective.controlPlane.type"),
    ("spec.hosts.namespaceMapping", "status.effective.hosts.namespaceMapping"),
    ("spec.network.clusterDomain", "status.effective.network.clusterDomain"),
    ("spec.network.serviceCIDRs", "status.effective.network.serviceCIDRs"),
];

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = vec![name()];
    rules.extend(IMMUTABLE.map(|(path, pinned)| {
        Rule::pinned(
            path,
            pinned,
            format!("{path} is immutable; create a new virtual cluster and restore a snapshot into it"),
        )
    }));
    rules.extend(provider_blocks());
    rules.push(Rule::fixed(
        format!(
            "!({}) || self.spec.controlPlane.embedded.replicas <= 1",
            has("self", "spec.controlPlane.embedded.replicas")
        ),
        "spec.controlPlane.embedded.replicas: a Shared control plane is replicated by its store",
        |new, _| {
            at(new, "spec.controlPlane.embedded.replicas").and_then(Value::as_i64).is_none_or(|n| n <= 1)
        },
    ));
    rules.extend(
        ["spec.network.serviceCIDRs", "spec.networkPolicy.allowedCIDRs", "spec.networkPolicy.deniedCIDRs"]
            .map(cidrs),
    );
    rules.push(one_per_family());
    rules.push(Rule::duration("spec.access.credentialTTL", "1h", "2160h"));
    rules.push(Rule::duration("spec.deletion.deadline", "1m", "24h"));
    rules.push(Rule::duration("spec.sync.toHost.pods.tokenMaxTTL", "10m", "24h"));
    rules
}

fn name() -> Rule {
    Rule::fixed(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 48",
        "metadata.name: a DNS label of at most 48 characters that begins with a letter",
        |new, _| at(new, "metadata.name").and_then(Value::as_str).is_some_and(name_is_valid),
    )
}

/// V5.
fn name_is_valid(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 48
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && name.bytes().all(inner)
        && !name.ends_with('-')
}

fn provider_blocks() -> [Rule; 3] {
    let embedded = has("self", "spec.controlPlane.embedded");
    let external = has("self", "spec.controlPlane.external");
    let kind = has("self", "spec.controlPlane.type");
    let secret = has("self", "spec.controlPlane.external.kubeconfigSecretRef.name");
    [
        Rule::fixed(
            format!("!({embedded}) || !({kind}) || self.spec.controlPlane.type == 'Embedded'"),
            "spec.controlPlane.embedded: only allowed with type Embedded",
            |new, _| {
                at(new, "spec.controlPlane.embedded").is_none()
                    || provider(new).is_none_or(|t| t == "Embedded")
            },
        ),
        Rule::fixed(
            format!("!({external}) || (({kind}) && self.spec.controlPlane.type == 'External')"),
            "spec.controlPlane.external: only allowed with type External",
            |new, _| at(new, "spec.controlPlane.external").is_none() || provider(new) == Some("External"),
        ),
        Rule::fixed(
            format!(
                "!({kind}) || self.spec.controlPlane.type != 'External' || (({secret}) && self.spec.controlPlane.external.kubeconfigSecretRef.name != '')"
            ),
            "spec.controlPlane.external.kubeconfigSecretRef.name: required with type External",
            |new, _| {
                provider(new) != Some("External")
                    || at(new, "spec.controlPlane.external.kubeconfigSecretRef.name")
                        .and_then(Value::as_str)
                        .is_some_and(|n| !n.is_empty())
            },
        ),
    ]
}

fn provider(value: &Value) -> Option<&str> {
    at(value, "spec.controlPlane.type").and_then(Value::as_str)
}

fn cidrs(path: &'static str) -> Rule {
    Rule::fixed(
        format!("!({}) || self.{path}.all(c, isCIDR(c))", has("self", path)),
        format!("{path}: not a CIDR"),
        move |new, _| texts(new, path).into_iter().all(|c| cidr_family(c).is_some()),
    )
}

fn one_per_family() -> Rule {
    const PATH: &str = "spec.network.serviceCIDRs";
    Rule::fixed(
        format!(
            "!({}) || [4, 6].all(f, self.{PATH}.filter(c, isCIDR(c) && cidr(c).ip().family() == f).size() <= 1)",
            has("self", PATH)
        ),
        format!("{PATH}: one per family"),
        |new, _| {
            let families: Vec<u8> = texts(new, PATH).into_iter().filter_map(cidr_family).collect();
            [4, 6].iter().all(|family| families.iter().filter(|f| *f == family).count() <= 1)
        },
    )
}
