//! What Skerry may do in a member, and the ServiceAccount that holds it (inventory section 3, tenancy I9).

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use skerry_api::labels;
use skerry_api::virtual_cluster::reasons::managers;
use skerry_kit::isolation::{SYNC_ROLE, Subject};
use skerry_kit::{apply, rights as rights_of};

use super::join::{ensure_namespace, typed};

/// Life of the stored token in seconds.
pub(super) const TOKEN_SECONDS: i64 = 86_400;

/// What Skerry may do in a member.
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

/// The ServiceAccount of Skerry in a member.
pub fn subject() -> Subject {
    Subject { namespace: labels::SYSTEM_NAMESPACE.to_owned(), name: "skerry".to_owned() }
}

/// Rules of a preset (inventory section 3).
fn rules(rights: Rights) -> Vec<Value> {
    let read = json!(["get", "list", "watch"]);
    let all = json!(["get", "list", "watch", "create", "update", "patch", "delete"]);
    let mut rules = vec![
        json!({"apiGroups": [""], "resources": ["nodes", "pods", "namespaces"], "verbs": read}),
        json!({
            "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterrolebindings"],
            "resourceNames": [ROLE], "verbs": ["get", "delete"],
        }),
        json!({"nonResourceURLs": ["/readyz", "/version", "/livez", "/healthz"], "verbs": ["get"]}),
    ];
    if rights == Rights::Observe {
        return rules;
    }
    if rights == Rights::Full {
        return vec![
            json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
            json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
        ];
    }
    let core = [
        "namespaces",
        "configmaps",
        "secrets",
        "services",
        "serviceaccounts",
        "persistentvolumeclaims",
        "pods",
        "pods/log",
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "pods/status",
        "resourcequotas",
        "limitranges",
        "endpoints",
        "events",
        "replicationcontrollers",
    ];
    let group =
        |name: &str, resources: &[&str]| json!({"apiGroups": [name], "resources": resources, "verbs": all});
    rules.push(group("", &core));
    rules.push(group("apps", &["deployments", "statefulsets", "daemonsets", "replicasets"]));
    rules.push(group("batch", &["jobs", "cronjobs"]));
    rules.push(group("networking.k8s.io", &["networkpolicies", "ingresses"]));
    rules.push(group("discovery.k8s.io", &["endpointslices"]));
    rules.push(group("policy", &["poddisruptionbudgets"]));
    rules.push(group("autoscaling", &["horizontalpodautoscalers"]));
    rules.push(group("rbac.authorization.k8s.io", &["roles", "rolebindings"]));
    rules.push(group("apiextensions.k8s.io", &["customresourcedefinitions"]));
    rules.push(group("about.k8s.io", &["clusterproperties"]));
    rules.push(json!({"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": read}));
    rules.push(json!({"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": read}));
    rules.push(json!({
        "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
        "resourceNames": ["edit"], "verbs": ["bind"],
    }));
    rules.push(json!({
        "apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["skerry-tenant"], "verbs": ["impersonate"],
    }));
    rules
}

/// Name of role and binding in a member.
pub const ROLE: &str = "skerry-member";

/// Namespace, ServiceAccount, role and binding in the member. The binding owns the other two, so that the member's own
/// garbage collector takes all of it away when the binding goes: it is the last thing that Skerry may delete there.
pub(super) async fn grant(member: &Client, rights: Rights, host: bool) -> Result<(), kube::Error> {
    ensure_namespace(member, labels::SYSTEM_NAMESPACE).await?;
    let Subject { namespace, name } = subject();
    let subjects = json!([{"kind": "ServiceAccount", "name": name, "namespace": namespace}]);
    let bindings: Api<ClusterRoleBinding> = Api::all(member.clone());
    let binding = json!({
        "metadata": {"name": ROLE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ROLE},
        "subjects": subjects,
    });
    let binding = apply::apply(&bindings, managers::INVENTORY, &typed(binding)?).await?;
    let owner = json!([{
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "name": ROLE, "uid": binding.uid(),
    }]);
    let roles: Api<ClusterRole> = Api::all(member.clone());
    let mut list = rules(rights);
    if host && rights != Rights::Full {
        list.extend(rights_of::host());
    }
    let role = json!({"metadata": {"name": ROLE, "ownerReferences": owner}, "rules": list});
    apply::apply(&roles, managers::INVENTORY, &typed(role)?).await?;
    if host {
        let rules = rights_of::tenant_sync();
        let role = json!({"metadata": {"name": SYNC_ROLE, "ownerReferences": owner}, "rules": rules});
        apply::apply(&roles, managers::INVENTORY, &typed(role)?).await?;
    }
    let meta = json!({"name": ROLE, "namespace": labels::SYSTEM_NAMESPACE, "ownerReferences": owner});
    let roles: Api<Role> = Api::namespaced(member.clone(), labels::SYSTEM_NAMESPACE);
    let role = json!({"metadata": meta, "rules": rights_of::system(host)});
    apply::apply(&roles, managers::INVENTORY, &typed(role)?).await?;
    let bindings: Api<RoleBinding> = Api::namespaced(member.clone(), labels::SYSTEM_NAMESPACE);
    let binding = json!({
        "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ROLE},
        "subjects": subjects,
    });
    apply::apply(&bindings, managers::INVENTORY, &typed(binding)?).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(member.clone(), labels::SYSTEM_NAMESPACE);
    let meta = json!({"name": name, "namespace": namespace, "ownerReferences": owner});
    apply::apply(&accounts, managers::INVENTORY, &typed(json!({"metadata": meta}))?).await?;
    Ok(())
}

/// A token of that ServiceAccount.
pub async fn mint(member: &Client) -> Result<String, kube::Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(member.clone(), labels::SYSTEM_NAMESPACE);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let ask = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(&subject().name, &PostParams::default(), &ask).await?;
    Ok(answer.status.and_then(|s| s.token).unwrap_or_default())
}
