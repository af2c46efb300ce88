//! What Skerry may do in a member, and the ServiceAccount that holds it (inventory section 3, tenancy I9).

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use skerry_api::labels;
use skerry_api::rights::SYNC_ROLE;
use skerry_api::rights::{self, MEMBER_ROLE as ROLE, Rights};
use skerry_api::virtual_cluster::reasons::managers;
use skerry_kit::apply;
use skerry_kit::isolation::Subject;

use super::join::{ensure_namespace, typed};

/// Life of the stored token in seconds.
pub(super) const TOKEN_SECONDS: i64 = 86_400;

/// The ServiceAccount of Skerry in a member.
pub fn subject() -> Subject {
    Subject { namespace: labels::SYSTEM_NAMESPACE.to_owned(), name: "skerry".to_owned() }
}

/// Namespace, ServiceAccount, role and binding in the member. The binding owns the other two, so that the member's own
/// garbage collector takes all of it away when the binding goes: it is the last thing that Skerry may delete there.
/// Answers the reference to that owner.
pub(super) async fn grant(member: &Client, preset: Rights, host: bool) -> Result<Value, kube::Error> {
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
    let mut list = rights::member(preset);
    if host && preset != Rights::Full {
        list.extend(rights::host());
    }
    let role = json!({"metadata": {"name": ROLE, "ownerReferences": owner}, "rules": list});
    apply::apply(&roles, managers::INVENTORY, &typed(role)?).await?;
    if host {
        let rules = rights::tenant_sync();
        let role = json!({"metadata": {"name": SYNC_ROLE, "ownerReferences": owner}, "rules": rules});
        apply::apply(&roles, managers::INVENTORY, &typed(role)?).await?;
    }
    let meta = json!({"name": ROLE, "namespace": labels::SYSTEM_NAMESPACE, "ownerReferences": owner});
    let roles: Api<Role> = Api::namespaced(member.clone(), labels::SYSTEM_NAMESPACE);
    let role = json!({"metadata": meta, "rules": rights::system(host)});
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
    Ok(owner[0].clone())
}

/// A token of that ServiceAccount.
pub async fn mint(member: &Client) -> Result<String, kube::Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(member.clone(), labels::SYSTEM_NAMESPACE);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let ask = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(&subject().name, &PostParams::default(), &ask).await?;
    Ok(answer.status.and_then(|s| s.token).unwrap_or_default())
}
