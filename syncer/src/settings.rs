//! What a tenant's effective spec and its class say about syncing (section 1), read tolerantly: fields of other
//! stages are ignored here, they have been judged where the spec was validated.

use serde::Deserialize;
use serde_json::Value;

use crate::mapping::MetadataRules;

/// `spec.sync`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Settings {
    /// False: nothing is carried.
    pub enabled: bool,
    /// Share of the queue, 1..100.
    pub weight: u32,
    /// What goes down.
    pub to_host: ToHost,
    /// What comes up.
    pub from_host: FromHost,
}

impl Default for Settings {
    fn default() -> Self {
        Self { enabled: true, weight: 10, to_host: ToHost::default(), from_host: FromHost::default() }
    }
}

/// `spec.sync.toHost`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ToHost {
    /// Pods.
    pub pods: Pods,
    /// Services.
    pub services: On,
    /// EndpointSlices of Services without selector.
    pub endpoint_slices: On,
    /// Claims.
    pub persistent_volume_claims: On,
    /// NetworkPolicies.
    pub network_policies: On,
    /// ConfigMaps.
    pub config_maps: Data,
    /// Secrets.
    pub secrets: Data,
}

/// A switch that is on unless turned off.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct On {
    /// Whether the kind is carried.
    pub enabled: bool,
}

impl Default for On {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `toHost.pods`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Pods {
    /// False: a control-plane-only tenant.
    pub enabled: bool,
    /// What `hostname -f` says (PO30).
    pub fqdn: Fqdn,
    /// Longest life of a token, as `24h`.
    #[serde(rename = "tokenMaxTTL")]
    pub token_max_ttl: String,
    /// Whether containers that host admission added are shown.
    pub injected: Injected,
    /// Image prefixes to replace.
    pub images: Vec<ImageRule>,
    /// Host Secrets with registry credentials, copied into each workload namespace.
    pub pull_secrets: Vec<NamespacedName>,
    /// Tolerations added to every pod.
    pub tolerations: Vec<Value>,
    /// Node selector terms added to every pod.
    pub node_selector: std::collections::BTreeMap<String, String>,
    /// Runtime class forced on every pod.
    pub runtime_class_name: String,
    /// Host priority class of pods without a carried one.
    pub priority_class_name: String,
}

impl Default for Pods {
    fn default() -> Self {
        Self {
            enabled: true,
            fqdn: Fqdn::Auto,
            token_max_ttl: "24h".to_owned(),
            injected: Injected::Hide,
            images: Vec::new(),
            pull_secrets: Vec::new(),
            tolerations: Vec::new(),
            node_selector: Default::default(),
            runtime_class_name: String::new(),
            priority_class_name: String::new(),
        }
    }
}

impl Pods {
    /// `tokenMaxTTL` in seconds, within its range.
    pub fn token_max_seconds(&self) -> i64 {
        let text = self.token_max_ttl.trim();
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number: i64 = text[..text.len() - unit.len()].parse().unwrap_or(24);
        let seconds = match unit {
            "s" => number,
            "m" => number.saturating_mul(60),
            _ => number.saturating_mul(3600),
        };
        seconds.clamp(600, 86_400)
    }
}

/// What a pod with a subdomain is called in full (PO30).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Fqdn {
    /// As the mapping of names allows without a container more: `Alias` with a namespace each.
    #[default]
    Auto,
    /// The host's name, which the tenant's DNS answers too.
    Alias,
    /// The tenant's own name, in a hosts file that a container of Skerry writes.
    Exact,
}

/// Containers that host admission added, in the tenant's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Injected {
    /// Left out.
    #[default]
    Hide,
    /// Shown.
    Show,
}

/// One image rule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ImageRule {
    /// Prefix of the tenant's reference.
    pub from: String,
    /// What stands there on the host.
    pub to: String,
}

/// A namespace and a name on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NamespacedName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// `toHost.configMaps` and `.secrets`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Whether the kind is carried.
    pub enabled: bool,
    /// Which objects.
    pub scope: Scope,
    /// With `All`: those that this selector matches.
    pub selector: Value,
}

impl Default for Data {
    fn default() -> Self {
        Self { enabled: true, scope: Scope::Referenced, selector: Value::Null }
    }
}

/// Which ConfigMaps or Secrets go down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Scope {
    /// Those that a carried object refers to.
    #[default]
    Referenced,
    /// All that the selector matches.
    All,
}

/// `spec.sync.fromHost`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FromHost {
    /// Events.
    pub events: Events,
    /// Nodes.
    pub nodes: Nodes,
    /// Storage classes.
    pub storage_classes: Shared,
}

/// `fromHost.events`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Events {
    /// Whether Events come up.
    pub enabled: bool,
    /// Rate of the token bucket.
    pub per_second: u32,
}

impl Default for Events {
    fn default() -> Self {
        Self { enabled: true, per_second: 20 }
    }
}

/// `fromHost.nodes`, mode Synthetic.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Nodes {
    /// Key prefixes of labels that are shown.
    pub labels: Vec<String>,
    /// Whether images are shown.
    pub images: bool,
}

impl Default for Nodes {
    fn default() -> Self {
        let labels = ["kubernetes.io/", "topology.kubernetes.io/", "node.kubernetes.io/instance-type"];
        Self { labels: labels.map(str::to_owned).to_vec(), images: false }
    }
}

/// A host kind shown to tenants; `{}` = all.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Shared {
    /// Whether it is shown.
    pub enabled: bool,
    /// Which ones, by label.
    pub selector: Value,
}

impl Default for Shared {
    fn default() -> Self {
        Self { enabled: true, selector: Value::Null }
    }
}

/// `VirtualClusterClass.spec.hostPolicy`: what tenants' objects may reach on a host.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HostPolicy {
    /// Volume types.
    pub volumes: Vec<String>,
    /// Inline CSI drivers.
    pub csi_drivers: Vec<String>,
    /// Host path prefixes; need `hostPath` in `volumes`.
    pub host_paths: Vec<HostPath>,
    /// `network`, `pid`, `ipc`.
    pub host_namespaces: Vec<String>,
    /// Host port ranges.
    pub host_ports: Vec<PortRange>,
    /// Whether `hostUsers` is forced to false.
    pub user_namespaces: UserNamespaces,
    /// Host schedulers a pod may name.
    pub schedulers: Vec<String>,
    /// Pods that name their node.
    pub node_name: NodeName,
    /// CIDRs of allowed external addresses.
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<String>,
    /// Load balancer classes; none = the host's default only.
    pub load_balancer_classes: Vec<String>,
    /// Metadata key prefixes.
    pub metadata: Prefixes,
    /// What of the host tenants may see, as `services:ns/name` or `services:ns/*`.
    pub imports: Vec<String>,
}

impl Default for HostPolicy {
    fn default() -> Self {
        let volumes = [
            "emptyDir",
            "configMap",
            "secret",
            "downwardAPI",
            "projected",
            "persistentVolumeClaim",
            "ephemeral",
            "image",
        ];
        Self {
            volumes: volumes.map(str::to_owned).to_vec(),
            csi_drivers: Vec::new(),
            host_paths: Vec::new(),
            host_namespaces: Vec::new(),
            host_ports: Vec::new(),
            user_namespaces: UserNamespaces::Optional,
            schedulers: vec!["default-scheduler".to_owned()],
            node_name: NodeName::Affinity,
            external_ips: Vec::new(),
            load_balancer_classes: Vec::new(),
            metadata: Prefixes::default(),
            imports: Vec::new(),
        }
    }
}

/// An allowed host path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HostPath {
    /// Cleaned paths must begin so.
    pub prefix: String,
    /// Forces `readOnly` on all mounts.
    pub read_only: bool,
}

impl Default for HostPath {
    fn default() -> Self {
        Self { prefix: String::new(), read_only: true }
    }
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PortRange {
    /// First.
    pub min: i64,
    /// Last.
    pub max: i64,
}

/// User namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum UserNamespaces {
    /// As the pod says.
    #[default]
    Optional,
    /// `hostUsers: false` always.
    Required,
}

/// Pods that name their node (PO12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum NodeName {
    /// Required node affinity instead.
    #[default]
    Affinity,
    /// Refused.
    Refuse,
}

/// Metadata prefixes on top of the built-in list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Prefixes {
    /// More denied ones.
    pub deny: Vec<String>,
    /// Exceptions.
    pub allow: Vec<String>,
}

impl HostPolicy {
    /// The metadata rules of this policy.
    pub fn metadata_rules(&self) -> MetadataRules {
        MetadataRules { deny: self.metadata.deny.clone(), allow: self.metadata.allow.clone() }
    }
}

/// Reads a part of a spec; null or absent gives the defaults, a part that does not fit gives the defaults too (it
/// was refused where the spec was validated, and the last valid one stays in force there).
pub(crate) fn part<T: Default + for<'de> Deserialize<'de>>(value: Option<&Value>) -> T {
    value.filter(|v| !v.is_null()).and_then(|v| T::deserialize(v).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_those_of_the_document() {
        let settings: Settings = part(Some(&json!({"toHost": {}})));
        assert!(settings.enabled && settings.weight == 10 && settings.to_host.config_maps.enabled);
        assert_eq!(settings.to_host.pods.token_max_seconds(), 86_400);
        let some: Settings =
            part(Some(&json!({"toHost": {"pods": {"tokenMaxTTL": "10m"}, "secrets": {"scope": "All"}}})));
        assert_eq!(some.to_host.pods.token_max_seconds(), 600);
        assert_eq!(some.to_host.secrets.scope, Scope::All);
        let policy: HostPolicy = part(None);
        assert_eq!(policy.schedulers, ["default-scheduler"]);
    }
}
