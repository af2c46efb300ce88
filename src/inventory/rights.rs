//! What Skerry may do in a member, and the ServiceAccount that holds it (inventory section 3, tenancy I9).

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use skerry_api::guard;
use skerry_api::labels;
use skerry_api::rights::{self, ACCOUNT, HOST_ACCOUNT, HOST_ROLE, MEMBER_ROLE as ROLE, Rights, SYNC_ROLE};
use skerry_api::virtual_cluster::reasons::managers;
use skerry_kit::isolation::Subject;
use skerry_kit::{apply, error};

use super::join::{ensure_namespace, typed};

/// Life of the stored token in seconds.
pub(super) const TOKEN_SECONDS: i64 = 86_400;

/// The ServiceAccount that carries tenants on a host.
pub fn subject() -> Subject {
    Subject { namespace: labels::SYSTEM_NAMESPACE.to_owned(), name: HOST_ACCOUNT.to_owned() }
}

/// Namespace, ServiceAccount, role and binding in the member. The binding owns all the rest, so that the member's own
/// garbage collector takes it away when the binding goes: it is the last thing that Skerry may delete there.
/// Answers the reference to that owner.
pub(super) async fn grant(member: &Client, preset: Rights, host: bool) -> Result<Value, kube::Error> {
    ensure_namespace(member, labels::SYSTEM_NAMESPACE).await?;
    let binding = cluster_binding(ROLE, ACCOUNT, None);
    let bindings: Api<ClusterRoleBinding> = Api::all(member.clone());
    let binding = apply::apply(&bindings, managers::INVENTORY, &typed(binding)?).await?;
    let owner = json!([{
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "name": ROLE, "uid": binding.uid(),
    }]);
    let account = Account { member, owner: &owner };
    account.holds(ROLE, ACCOUNT, rights::member(preset), rights::system(host)).await?;
    if host {
        account.cluster_role(SYNC_ROLE, rights::tenant_sync()).await?;
        account.holds(HOST_ROLE, HOST_ACCOUNT, rights::host(), rights::host_system()).await?;
        let binding = cluster_binding(HOST_ROLE, HOST_ACCOUNT, Some(&owner));
        apply::apply(&bindings, managers::INVENTORY, &typed(binding)?).await?;
    }
    Ok(owner[0].clone())
}

fn cluster_binding(role: &str, account: &str, owner: Option<&Value>) -> Value {
    let mut meta = json!({"name": role});
    if let Some(owner) = owner {
        meta["ownerReferences"] = owner.clone();
    }
    json!({
        "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": labels::SYSTEM_NAMESPACE}],
    })
}

/// A member whose accounts are made, all of them the binding's.
struct Account<'a> {
    member: &'a Client,
    owner: &'a Value,
}

impl Account<'_> {
    async fn cluster_role(&self, name: &str, rules: Vec<Value>) -> Result<(), kube::Error> {
        let roles: Api<ClusterRole> = Api::all(self.member.clone());
        let role = json!({"metadata": {"name": name, "ownerReferences": self.owner}, "rules": rules});
        apply::apply(&roles, managers::INVENTORY, &typed(role)?).await.map(drop)
    }

    /// The account, a role for the whole member, one for its own namespace, and the binding of the latter.
    async fn holds(
        &self,
        role: &str,
        account: &str,
        everywhere: Vec<Value>,
        system: Vec<Value>,
    ) -> Result<(), kube::Error> {
        let namespace = labels::SYSTEM_NAMESPACE;
        self.cluster_role(role, everywhere).await?;
        let meta = |name: &str| json!({"name": name, "namespace": namespace, "ownerReferences": self.owner});
        let roles: Api<Role> = Api::namespaced(self.member.clone(), namespace);
        let own = json!({"metadata": meta(role), "rules": system});
        apply::apply(&roles, managers::INVENTORY, &typed(own)?).await?;
        let bindings: Api<RoleBinding> = Api::namespaced(self.member.clone(), namespace);
        let binding = json!({
            "metadata": meta(role),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        });
        apply::apply(&bindings, managers::INVENTORY, &typed(binding)?).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.member.clone(), namespace);
        apply::apply(&accounts, managers::INVENTORY, &typed(json!({"metadata": meta(account)}))?)
            .await
            .map(drop)
    }
}

/// The guard of a host (tenancy I10), gone with the owner too. One that serves no such kind stays without: `skerry
/// doctor` tells.
pub(super) async fn guard(host: &Client, owner: &Value) -> Result<(), kube::Error> {
    let [mut policy, mut binding] = guard::objects();
    for object in [&mut policy, &mut binding] {
        object["metadata"]["ownerReferences"] = json!([owner]);
    }
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(host.clone());
    if error::optional(apply::apply(&policies, managers::INVENTORY, &typed(policy)?).await)?.is_none() {
        return Ok(());
    }
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(host.clone());
    apply::apply(&bindings, managers::INVENTORY, &typed(binding)?).await.map(drop)
}

/// Whether a host has its guard.
pub(crate) async fn is_guarded(host: &Client) -> Result<bool, kube::Error> {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(host.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(host.clone());
    let policy = error::optional(policies.get(guard::NAME).await)?;
    let binding = error::optional(bindings.get(guard::NAME).await)?;
    Ok(policy.is_some() && binding.is_some())
}

/// A token of one of the accounts.
pub async fn mint(member: &Client, account: &str) -> Result<String, kube::Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(member.clone(), labels::SYSTEM_NAMESPACE);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let ask = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(account, &PostParams::default(), &ask).await?;
    Ok(answer.status.and_then(|s| s.token).unwrap_or_default())
}
