//! Labels and annotations on their way down (NM9, NM10).

use serde_json::{Map, Value};
use skerry_api::labels;

use super::hash::h;

/// Prefixes that switch host behaviour a tenant has no right to. `*` stands for any beginning of the domain.
const DENIED: [&str; 16] = [
    "kubernetes.io/config.",
    "pod-security.kubernetes.io/",
    "*.cni.cncf.io/",
    "cni.projectcalico.org/",
    "*cilium.io/",
    "*istio.io/",
    "*linkerd.io/",
    "iam.amazonaws.com/",
    "eks.amazonaws.com/",
    "iam.gke.io/",
    "azure.workload.identity/",
    "kueue.x-k8s.io/",
    "*gatekeeper.sh/",
    "*kyverno.io/",
    "vault.hashicorp.com/",
    "skerry.dev/",
];

/// The built-in list with a class's additions and exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataRules {
    /// Prefixes denied besides the built-in ones.
    pub deny: Vec<String>,
    /// Prefixes allowed although denied above; never `skerry.dev/`.
    pub allow: Vec<String>,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Copied,
    Denied,
    Ours,
}

impl MetadataRules {
    fn fate(&self, key: &str) -> Fate {
        if matches(key, "skerry.dev/") || matches(key, "*.skerry.dev/") {
            return Fate::Ours;
        }
        if self.allow.iter().any(|prefix| matches(key, prefix)) {
            return Fate::Copied;
        }
        let denied =
            DENIED.iter().any(|p| matches(key, p)) || self.deny.iter().any(|prefix| matches(key, prefix));
        if denied { Fate::Denied } else { Fate::Copied }
    }

    /// The key of a label as the host sees it, in objects and in selectors alike.
    pub fn label_key(&self, key: &str) -> String {
        match self.fate(key) {
            Fate::Copied => key.to_owned(),
            Fate::Ours if key == labels::BINDING => key.to_owned(),
            Fate::Denied | Fate::Ours => format!("skerry.dev/l-{}", h(&[key])),
        }
    }

    /// Whether the annotation goes down.
    pub fn carries_annotation(&self, key: &str) -> bool {
        self.fate(key) == Fate::Copied
    }
}

/// Metadata of a host object, translated, and what was left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Labels.
    pub labels: Map<String, Value>,
    /// Annotations.
    pub annotations: Map<String, Value>,
    /// Annotation keys that were denied (event `MetadataNotCarried`).
    pub dropped: Vec<String>,
}

impl MetadataRules {
    /// Labels and annotations of a tenant object as they go down.
    pub fn translate(&self, tenant_meta: Option<&Value>) -> Metadata {
        let member = |key: &str| tenant_meta.and_then(|m| m.get(key)).and_then(Value::as_object);
        let mut out = Metadata::default();
        for (key, value) in member("labels").into_iter().flatten() {
            match self.fate(key) {
                Fate::Ours if key != labels::BINDING => {}
                _ => {
                    out.labels.insert(self.label_key(key), value.clone());
                }
            }
        }
        for (key, value) in member("annotations").into_iter().flatten() {
            match self.fate(key) {
                Fate::Copied => {
                    out.annotations.insert(key.clone(), value.clone());
                }
                Fate::Denied => out.dropped.push(key.clone()),
                _ => {}
            }
        }
        out
    }
}

/// Labels of a tenant namespace as they stand on its host namespace (NM10).
pub(crate) fn namespace_labels(name: &str, tenant_labels: Option<&Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in tenant_labels.and_then(Value::as_object).into_iter().flatten() {
        out.insert(namespace_key(key), value.clone());
    }
    out.insert(namespace_key("kubernetes.io/metadata.name"), Value::from(name));
    out
}

/// Key under which a tenant's namespace label stands on the host.
pub(crate) fn namespace_key(key: &str) -> String {
    format!("skerry.dev/n-{}", h(&[key]))
}

/// Whether a key falls under a prefix; one that begins with `*` is compared from the end of the key's domain.
fn matches(key: &str, prefix: &str) -> bool {
    match prefix.strip_prefix('*') {
        None => key.starts_with(prefix),
        Some(rest) => {
            let (ending, tail) = rest.split_once('/').unwrap_or((rest, ""));
            key.split_once('/')
                .is_some_and(|(domain, name)| domain.ends_with(ending) && name.starts_with(tail))
        }
    }
}
