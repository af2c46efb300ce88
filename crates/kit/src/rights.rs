//! What Skerry may do on a host (tenancy I9): rules computed here alone, for the join, the chart and the doctor.
//!
//! Two ClusterRoles: one is bound inside tenants' namespaces only, by the isolation set; the other holds in the whole
//! host and reads no Secret and no ConfigMap. Neither has a wildcard.

use serde_json::{Value, json};

use crate::isolation::SYNC_ROLE;

const READ: [&str; 3] = ["get", "list", "watch"];
const ALL: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];
const RBAC: &str = "rbac.authorization.k8s.io";

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
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
    ]
}

/// Rules inside `skerry-system` of any member: the renewal of the credential, and on a host what tenants share there.
pub fn system(host: bool) -> Vec<Value> {
    let mut rules = vec![json!({
        "apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["skerry"], "verbs": ["create"],
    })];
    if host {
        rules.push(rule("", &["configmaps", "secrets", "services"], &["get"]));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TN-49, the rules of today's syncs: no wildcard, and nothing that reads Secrets or ConfigMaps of the whole host.
    #[test]
    fn tn49_rules_are_narrow() {
        for rule in tenant_sync().iter().chain(&host()) {
            assert!(!rule.to_string().contains('*'), "{rule}");
        }
        for rule in host() {
            let text = rule["resources"].to_string();
            assert!(!text.contains("secrets") && !text.contains("configmaps"), "{rule}");
        }
        let sync = Value::from(tenant_sync()).to_string();
        assert!(!sync.contains("namespaces") && !sync.contains("nodes") && !sync.contains("roles"), "{sync}");
    }
}
