//! Who asks: certificates, tokens and the identities they prove.

pub mod authn;
pub mod chain;
pub mod credential;
pub mod csr;
pub mod issuer;
pub mod jwt;
pub mod keys;
pub mod pki;
pub mod review;
pub mod service_account;
pub mod x509;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use authn::{AuthError, Authenticator};
pub use keys::{KeysError, TenantKeys};
pub use pki::PkiError;

/// Common name of a tenant's client authority, before the tenant's id: routing reads it (G1).
pub const CLIENT_AUTHORITY_PREFIX: &str = "skerry-client-ca-";
/// Groups of an identity (Q21).
pub const MAX_GROUPS: usize = 256;

/// Group of system identities: the manager, the syncer, in-process components.
pub const SYSTEM_GROUP: &str = "skerry:system";
/// Group of everybody with a proven identity.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody without one.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// User of requests without a credential.
pub const ANONYMOUS: &str = "system:anonymous";

/// The user that a request acts as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User name.
    pub user: String,
    /// UID of the user, where the credential carries one.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Further attributes.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// A user with groups, besides [`AUTHENTICATED`].
    pub fn user(name: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|g| g == AUTHENTICATED) {
            groups.push(AUTHENTICATED.into());
        }
        Self { user: name.into(), groups, ..Self::default() }
    }

    /// The system identity `skerry:<component>`.
    pub fn system(component: &str) -> Self {
        Self::user(format!("skerry:{component}"), [SYSTEM_GROUP.to_owned()])
    }

    /// The identity of a ServiceAccount, as upstream names it.
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = [String::from("system:serviceaccounts"), format!("system:serviceaccounts:{namespace}")];
        let mut who = Self::user(format!("system:serviceaccount:{namespace}:{name}"), groups);
        who.uid = uid.into();
        who
    }

    /// A controller inside the server, `system:serviceaccount:kube-system:<name>` (C2).
    pub fn controller(name: &str) -> Self {
        Self::service_account("kube-system", name, "")
    }

    /// Nobody.
    pub fn anonymous() -> Self {
        Self { user: ANONYMOUS.into(), groups: vec![UNAUTHENTICATED.into()], ..Self::default() }
    }

    /// Whether the identity may use every tenant's path and is above every tenant's RBAC (Z2). Such an
    /// identity comes from the system authority or from inside the process only.
    pub fn is_system(&self) -> bool {
        self.in_group(SYSTEM_GROUP)
    }

    /// Whether the identity is in `group`.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}

/// Whether a user or group name is one that no tenant may give out (Z2).
pub fn is_reserved(name: &str) -> bool {
    name.starts_with("skerry:") || name.starts_with("hub:")
}
