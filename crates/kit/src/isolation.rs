//! The isolation set of a host namespace (syncer EN28, tenancy I1, I4–I6, I9): a pure function, shared by the stage
//! that provisions and by the syncer.
//!
//! The same facts give the same objects, in the order in which they are applied: the namespace first, then who may
//! work in it, then what bounds it. Kinds that the host does not serve are left out (I5).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use skerry_api::rights::SYNC_ROLE;
use skerry_api::{ids, labels};

pub use crate::network::{NetworkIsolation, POLICY_EGRESS, POLICY_INGRESS, TenantRules};

/// Name of quota, limit range and allow rules in each host namespace.
pub const SET_NAME: &str = "skerry";

/// What the set is computed from: one tenant on one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IsolationFacts {
    /// Id of the tenant.
    pub tenant: String,
    /// UID of the VirtualCluster.
    pub uid: String,
    /// Its namespace on the hub.
    pub owner_namespace: String,
    /// Its class.
    pub class: String,
    /// `spec.quota`.
    pub quota: BTreeMap<String, String>,
    /// `spec.limitRange`, as LimitRangeItems.
    pub limit_range: Vec<Value>,
    /// Levels of pod security.
    pub pod_security: PodSecurity,
    /// Network isolation; `None` with mode `Off`.
    pub network: Option<NetworkIsolation>,
    /// Whom the RoleBinding names; `None`: the syncer works with an identity of its own right (simulated hosts).
    pub syncer: Option<Subject>,
    /// Kinds that the host serves.
    pub served: Served,
}

/// Levels of pod security on a host namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSecurity {
    /// Refused below.
    pub enforce: String,
    /// Warned about below.
    pub warn: String,
    /// Audited below.
    pub audit: String,
}

impl Default for PodSecurity {
    fn default() -> Self {
        Self { enforce: "baseline".into(), warn: "restricted".into(), audit: "restricted".into() }
    }
}

/// A ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Kinds that a host may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// `resourcequotas`.
    pub quotas: bool,
    /// `limitranges`.
    pub limit_ranges: bool,
    /// `networkpolicies.networking.k8s.io`.
    pub network_policies: bool,
    /// `rolebindings.rbac.authorization.k8s.io`.
    pub role_bindings: bool,
}

impl Default for Served {
    fn default() -> Self {
        Self { quotas: true, limit_ranges: true, network_policies: true, role_bindings: true }
    }
}

/// A host namespace of the tenant: its home, or one of workloads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostNamespace {
    /// Name on the host, as the mapping gives it.
    pub name: String,
    /// Labels beside those of the set: the tenant's namespace labels, mapped (NM10).
    pub labels: BTreeMap<String, String>,
    /// Annotations beside those of the set: the origin (NM4).
    pub annotations: BTreeMap<String, String>,
}

/// The objects of one host namespace, in apply order.
pub fn isolation(facts: &IsolationFacts, namespace: &HostNamespace) -> Vec<Value> {
    let mut out = vec![namespace_object(facts, namespace)];
    if let (true, Some(subject)) = (facts.served.role_bindings, &facts.syncer) {
        let body = json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": SYNC_ROLE},
            "subjects": [{"kind": "ServiceAccount", "namespace": subject.namespace, "name": subject.name}],
        });
        out.push(object(facts, namespace, "rbac.authorization.k8s.io/v1", "RoleBinding", SYNC_ROLE, body));
    }
    out.push(object(
        facts,
        namespace,
        "v1",
        "ServiceAccount",
        "default",
        json!({"automountServiceAccountToken": false}),
    ));
    if facts.served.quotas && !facts.quota.is_empty() {
        let body = json!({"spec": {"hard": facts.quota}});
        out.push(object(facts, namespace, "v1", "ResourceQuota", SET_NAME, body));
    }
    if facts.served.limit_ranges && !facts.limit_range.is_empty() {
        let body = json!({"spec": {"limits": facts.limit_range}});
        out.push(object(facts, namespace, "v1", "LimitRange", SET_NAME, body));
    }
    if let (true, Some(network)) = (facts.served.network_policies, &facts.network) {
        for (name, spec) in network.policies(&facts.tenant) {
            let body = json!({ "spec": spec });
            out.push(object(facts, namespace, "networking.k8s.io/v1", "NetworkPolicy", name, body));
        }
    }
    out
}

fn namespace_object(facts: &IsolationFacts, namespace: &HostNamespace) -> Value {
    let mut own: BTreeMap<String, String> = namespace.labels.clone();
    own.extend(set_labels(facts));
    own.insert(labels::OWNER_NAMESPACE.into(), facts.owner_namespace.clone());
    own.insert(labels::CLASS.into(), facts.class.clone());
    let levels = &facts.pod_security;
    for (mode, level) in [("enforce", &levels.enforce), ("warn", &levels.warn), ("audit", &levels.audit)] {
        own.insert(format!("pod-security.kubernetes.io/{mode}"), level.clone());
    }
    let mut annotations = namespace.annotations.clone();
    annotations.insert(labels::UID.into(), facts.uid.clone());
    json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": namespace.name, "labels": own, "annotations": annotations}})
}

fn set_labels(facts: &IsolationFacts) -> BTreeMap<String, String> {
    [
        (labels::TENANT.to_owned(), facts.tenant.clone()),
        (labels::SLOT.to_owned(), ids::slot(&facts.tenant).to_string()),
        (labels::MANAGED_BY.to_owned(), "syncer".to_owned()),
    ]
    .into()
}

fn object(
    facts: &IsolationFacts,
    namespace: &HostNamespace,
    api: &str,
    kind: &str,
    name: &str,
    body: Value,
) -> Value {
    let mut out = Map::new();
    out.insert("apiVersion".into(), json!(api));
    out.insert("kind".into(), json!(kind));
    out.insert(
        "metadata".into(),
        json!({"name": name, "namespace": namespace.name, "labels": set_labels(facts),
            "annotations": {labels::UID: facts.uid}}),
    );
    if let Value::Object(body) = body {
        out.extend(body);
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> IsolationFacts {
        IsolationFacts {
            tenant: "tk3v2q5x2m7a".into(),
            uid: "u1".into(),
            owner_namespace: "team-a".into(),
            class: "standard".into(),
            quota: [("pods".to_owned(), "10".to_owned())].into(),
            limit_range: vec![json!({"type": "Container"})],
            network: Some(NetworkIsolation {
                public_egress: true,
                allowed: vec!["192.0.2.0/24".into()],
                denied: vec!["10.0.0.0/8".into(), "fc00::/7".into()],
                front_door: vec!["10.0.0.9".into()],
                front_door_port: 6443,
                front_door_endpoints: vec![("192.0.2.9".into(), 8443)],
                dns: Some(("10.0.0.8".into(), 20_001)),
            }),
            syncer: Some(Subject { namespace: "skerry-system".into(), name: "skerry-syncer".into() }),
            ..IsolationFacts::default()
        }
    }

    fn kinds(list: &[Value]) -> Vec<&str> {
        list.iter().filter_map(|o| o["kind"].as_str()).collect()
    }

    /// I4, I5, I6, I9: what a namespace is given, and in which order.
    #[test]
    fn the_set_is_complete_and_ordered() {
        let namespace = HostNamespace {
            name: "sk-tk3v2q5x2m7a-web-x".into(),
            labels: [
                (labels::TENANT.to_owned(), "forged".to_owned()),
                ("skerry.dev/n-1".to_owned(), "a".to_owned()),
            ]
            .into(),
            ..HostNamespace::default()
        };
        let set = isolation(&facts(), &namespace);
        assert_eq!(
            kinds(&set),
            [
                "Namespace",
                "RoleBinding",
                "ServiceAccount",
                "ResourceQuota",
                "LimitRange",
                "NetworkPolicy",
                "NetworkPolicy",
                "NetworkPolicy"
            ]
        );
        let own = &set[0]["metadata"]["labels"];
        assert_eq!(own[labels::TENANT], "tk3v2q5x2m7a", "no label of the tenant replaces ours");
        assert_eq!(own["pod-security.kubernetes.io/enforce"], "baseline");
        assert_eq!(own["skerry.dev/n-1"], "a");
        assert_eq!(set[2]["automountServiceAccountToken"], false);
        assert!(set.iter().all(|o| o["metadata"]["annotations"][labels::UID] == "u1"));
        assert_eq!(set, isolation(&facts(), &namespace), "the same facts give the same set");
    }

    #[test]
    fn what_the_host_lacks_is_left_out() {
        let served =
            Served { quotas: false, limit_ranges: false, network_policies: false, role_bindings: false };
        let set = isolation(&IsolationFacts { served, ..facts() }, &HostNamespace::default());
        assert_eq!(kinds(&set), ["Namespace", "ServiceAccount"]);
    }

    #[test]
    fn public_egress_leaves_out_what_is_denied() {
        let set = isolation(&facts(), &HostNamespace::default());
        let egress =
            set.iter().find(|o| o["metadata"]["name"] == "skerry-egress").map(|o| o["spec"].to_string());
        let egress = egress.unwrap_or_default();
        assert!(egress.contains(r#"{"cidr":"0.0.0.0/0","except":["10.0.0.0/8"]}"#));
        assert!(egress.contains(r#"{"cidr":"::/0","except":["fc00::/7"]}"#));
        let closed = IsolationFacts {
            network: Some(NetworkIsolation { public_egress: false, ..facts().network.unwrap_or_default() }),
            ..facts()
        };
        let set = isolation(&closed, &HostNamespace::default());
        assert!(!set.iter().any(|o| o.to_string().contains("0.0.0.0/0")));
    }
}
