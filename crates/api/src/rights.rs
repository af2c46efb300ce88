//! What Skerry may do, where (tenancy I9, inventory section 3): rules computed here alone, for the join and the chart.
//!
//! On a host two ClusterRoles for an account of its own: one is bound inside tenants' namespaces only, by the isolation
//! set; the other holds in the whole host and reads no Secret and no ConfigMap. Nothing but the preset `full` has a
//! wildcard.

use serde::Serialize;
use serde_json::{Value, json};

const READ: [&str; 3] = ["get", "list", "watch"];
const ALL: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];
/// The ClusterRole that is bound inside tenants' host namespaces, once per host.
pub const SYNC_ROLE: &str = "skerry-tenant-sync";
/// Name of role and binding in a member.
pub const MEMBER_ROLE: &str = "skerry-member";
/// Name of role and binding of a host's account.
pub const HOST_ROLE: &str = "skerry-host";
/// ServiceAccount of Skerry in a member: it looks, and delivers.
pub const ACCOUNT: &str = "skerry";
/// ServiceAccount that carries tenants on a host, and does nothing else there (tenancy I10).
pub const HOST_ACCOUNT: &str = "skerry-host";
const RBAC: &str = "rbac.authorization.k8s.io";

fn rule(group: &str, resources: &[impl Serialize], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

/// A subresource of each of these resources.
fn below(resources: &[&str], subresource: &str) -> Vec<String> {
    resources.iter().map(|resource| format!("{resource}/{subresource}")).collect()
}

/// What Skerry may do in a member: the presets of a join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rights {
    /// Read nodes, pods and namespaces.
    Observe,
    /// Also deliver workloads.
    #[default]
    Deliver,
    /// Everything.
    Full,
}

/// Rules of a preset.
pub fn member(preset: Rights) -> Vec<Value> {
    let mut rules = vec![
        rule("", &["nodes", "pods", "namespaces"], &READ),
        json!({"apiGroups": [RBAC], "resources": ["clusterrolebindings"], "resourceNames": [MEMBER_ROLE], "verbs": ["get", "delete"]}),
        json!({"nonResourceURLs": ["/readyz", "/version", "/livez", "/healthz"], "verbs": ["get"]}),
    ];
    match preset {
        Rights::Observe => rules,
        Rights::Full => vec![rule("*", &["*"], &["*"]), json!({"nonResourceURLs": ["*"], "verbs": ["*"]})],
        Rights::Deliver => {
            rules.extend(workloads(&ALL));
            rules.push(rule("", &["namespaces"], &ALL));
            rules.push(rule("", &["pods/status"], &ALL));
            rules.push(rule("", &["pods/log"], &["get"]));
            rules.push(rule("", &["pods/attach", "pods/exec", "pods/portforward"], &["create", "get"]));
            rules.push(rule("apiextensions.k8s.io", &["customresourcedefinitions"], &ALL));
            rules.push(rule("about.k8s.io", &["clusterproperties"], &ALL));
            rules.push(rule("", &["persistentvolumes"], &READ));
            rules.push(rule("storage.k8s.io", &["storageclasses"], &READ));
            rules.push(json!({"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": ["edit"], "verbs": ["bind"]}));
            rules.push(json!({"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["skerry-tenant"], "verbs": ["impersonate"]}));
            rules
        }
    }
}

/// Kinds that placements carry.
fn workloads(verbs: &[&str]) -> Vec<Value> {
    let core = [
        "configmaps",
        "endpoints",
        "events",
        "limitranges",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "serviceaccounts",
        "services",
    ];
    vec![
        rule("", &core, verbs),
        rule("apps", &["deployments", "statefulsets", "daemonsets", "replicasets"], verbs),
        rule("batch", &["jobs", "cronjobs"], verbs),
        rule("networking.k8s.io", &["networkpolicies", "ingresses"], verbs),
        rule("discovery.k8s.io", &["endpointslices"], verbs),
        rule("policy", &["poddisruptionbudgets"], verbs),
        rule("autoscaling", &["horizontalpodautoscalers"], verbs),
        rule(RBAC, &["roles", "rolebindings"], verbs),
    ]
}

/// Rules of the manager on the hub: its kinds, the credentials that it publishes, and what Placements may select.
pub fn manager() -> Vec<Value> {
    let kinds = [
        "clusterbindings",
        "clusterplacements",
        "clusterreports",
        "placements",
        "virtualclusterclasses",
        "virtualclusters",
    ];
    let mut rules = vec![
        rule("skerry.dev", &kinds, &ALL),
        rule("skerry.dev", &below(&kinds, "status"), &["get", "patch", "update"]),
        rule("skerry.dev", &below(&kinds, "finalizers"), &["update"]),
        rule("multicluster.x-k8s.io", &["clusterprofiles", "placementdecisions"], &ALL),
        rule(
            "multicluster.x-k8s.io",
            &["clusterprofiles/status", "placementdecisions/status"],
            &["get", "patch", "update"],
        ),
        rule("", &["namespaces"], &["get", "list", "watch", "create", "patch"]),
        rule("", &["secrets"], &ALL),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
        rule("", &["events"], &["create", "patch"]),
        rule("apiextensions.k8s.io", &["customresourcedefinitions"], &READ),
        rule("about.k8s.io", &["clusterproperties"], &READ),
    ];
    rules.extend(workloads(&READ));
    rules
}

/// Rules of the manager in the inventory's namespace: what a placement cycle commits.
pub fn manager_inventory() -> Vec<Value> {
    vec![rule("", &["configmaps"], &ALL)]
}

/// Rules of the syncer on the hub; what it does on hosts it does as their own ServiceAccount.
pub fn syncer() -> Vec<Value> {
    vec![
        rule("skerry.dev", &["virtualclusters", "virtualclusterclasses"], &READ),
        rule("skerry.dev", &["virtualclusters/status"], &["get", "patch", "update"]),
        rule("multicluster.x-k8s.io", &["clusterprofiles"], &READ),
        rule("skerry.dev", &["clusterreports"], &["get"]),
    ]
}

/// Rules of the syncer in the inventory's namespace: the credentials of hosts.
pub fn syncer_inventory() -> Vec<Value> {
    vec![rule("", &["secrets"], &["get"])]
}

/// Rules of ClusterRole `skerry-tenant-sync`, in force inside tenants' host namespaces.
pub fn tenant_sync() -> Vec<Value> {
    let carried = [
        "configmaps",
        "endpoints",
        "limitranges",
        "persistentvolumeclaims",
        "pods",
        "resourcequotas",
        "secrets",
        "serviceaccounts",
        "services",
    ];
    vec![
        rule("", &carried, &ALL),
        rule("", &["pods/status", "services/status", "persistentvolumeclaims/status"], &["get", "patch"]),
        rule("", &["pods/log"], &["get"]),
        rule("", &["pods/attach", "pods/exec", "pods/portforward"], &["create", "get"]),
        rule("", &["pods/proxy"], &["create", "delete", "get", "patch", "update"]),
        rule("", &["events"], &READ),
        rule("discovery.k8s.io", &["endpointslices"], &ALL),
        rule("networking.k8s.io", &["networkpolicies"], &ALL),
    ]
}

/// Rules in force on the whole host: its namespaces, what is watched, and the binding of the role above.
pub fn host() -> Vec<Value> {
    let watched = [
        "events",
        "limitranges",
        "nodes",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "resourcequotas",
        "serviceaccounts",
        "services",
    ];
    vec![
        rule("", &["namespaces"], &["get", "list", "watch", "create", "patch", "delete"]),
        rule("", &watched, &READ),
        rule("discovery.k8s.io", &["endpointslices"], &READ),
        rule("networking.k8s.io", &["networkpolicies"], &READ),
        rule("storage.k8s.io", &["storageclasses"], &READ),
        rule(RBAC, &["rolebindings"], &["get", "list", "watch", "create", "patch", "delete"]),
        json!({"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": [SYNC_ROLE], "verbs": ["bind"]}),
        json!({
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
            "resourceNames": [crate::guard::NAME],
            "verbs": ["get"],
        }),
    ]
}

/// Rules inside `skerry-system` of any member: the renewal of credentials, and on a host the sight of its front door.
pub fn system(host: bool) -> Vec<Value> {
    let accounts = if host { vec![ACCOUNT, HOST_ACCOUNT] } else { vec![ACCOUNT] };
    let mut rules = vec![json!({
        "apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": accounts, "verbs": ["create"],
    })];
    if host {
        rules.push(rule("", &["services"], &["get"]));
    }
    rules
}

/// Rules inside `skerry-system` of a host for whoever carries tenants: what they share there.
pub fn host_system() -> Vec<Value> {
    vec![rule("", &["configmaps", "secrets", "services"], &["get"])]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TN-49, the rules of today's syncs: no wildcard, and nothing that reads Secrets or ConfigMaps of the whole host.
    #[test]
    fn tn49_rules_are_narrow() {
        for rule in [tenant_sync(), host(), manager(), syncer(), member(Rights::Deliver)].concat() {
            assert!(!rule.to_string().contains('*'), "{rule}");
        }
        for rule in host().into_iter().chain(syncer()) {
            let text = rule["resources"].to_string();
            assert!(!text.contains("secrets") && !text.contains("configmaps"), "{rule}");
        }
        let sync = Value::from(tenant_sync()).to_string();
        assert!(!sync.contains("namespaces") && !sync.contains("nodes") && !sync.contains("roles"), "{sync}");
    }
}
