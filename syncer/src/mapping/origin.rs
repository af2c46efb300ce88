//! What a host object of ours carries (NM4), and the proof that it is ours (NM5).

use serde_json::{Map, Value};
use skerry_api::{ids, labels};

use super::names::{HostName, Mapping};
use crate::{
    kind::Kind,
    object::{Fields, HostObj, TenantObj, entry},
};

/// Value of `skerry.dev/managed-by` on the syncer's objects.
pub(crate) const MANAGER: &str = "syncer";

/// The tenant object that a host object claims to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Kind in the tenant.
    pub kind: String,
    /// Namespace in the tenant.
    pub namespace: String,
    /// Name in the tenant.
    pub name: String,
    /// UID in the tenant.
    pub uid: String,
    /// Generation that was carried.
    pub generation: i64,
}

/// Where a proven host namespace comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceOrigin {
    /// Name in the tenant.
    pub name: String,
    /// UID in the tenant.
    pub uid: String,
}

/// What a host object is to a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Proven ours.
    Ours(Origin),
    /// Another tenant's, or without proof: never written, never deleted.
    Foreign,
}

impl Mapping {
    /// Puts labels and annotations of NM4 on a host object's metadata.
    pub fn stamp(&self, meta: &mut Map<String, Value>, kind: Kind, tenant: &TenantObj) {
        self.mark(meta);
        let annotations = entry(meta, "annotations");
        let mut put = |key: &str, value: &str| {
            annotations.insert(key.to_owned(), Value::from(value));
        };
        put(labels::ORIGIN_KIND, kind.kind_group());
        put(labels::ORIGIN_NAMESPACE, tenant.namespace());
        put(labels::ORIGIN_NAME, tenant.name());
        put(labels::ORIGIN_UID, tenant.uid());
        if tenant.generation() > 0 {
            put(labels::ORIGIN_GENERATION, &tenant.generation().to_string());
        }
    }

    /// The part of NM4 that objects without an origin carry too (token Secrets, env maps).
    pub fn mark(&self, meta: &mut Map<String, Value>) {
        let labels_map = entry(meta, "labels");
        labels_map.insert(labels::TENANT.to_owned(), Value::from(self.id()));
        labels_map.insert(labels::SLOT.to_owned(), Value::from(ids::slot(self.id()).to_string()));
        labels_map.insert(labels::MANAGED_BY.to_owned(), Value::from(MANAGER));
        entry(meta, "annotations").insert(labels::UID.to_owned(), Value::from(self.uid()));
    }

    /// Whether label and UID are this tenant's: the first half of every proof.
    pub fn marked(&self, host: &HostObj) -> bool {
        host.label(labels::TENANT) == Some(self.id()) && host.annotation(labels::UID) == Some(self.uid())
    }

    /// Proof for a host namespace: its origin maps forward to its name.
    pub fn prove_namespace(&self, host: &HostObj) -> Option<NamespaceOrigin> {
        if !self.marked(host) {
            return None;
        }
        let (name, uid) = (host.annotation(labels::ORIGIN_NAME)?, host.annotation(labels::ORIGIN_UID)?);
        (self.namespace(name, uid).as_str() == host.name())
            .then(|| NamespaceOrigin { name: name.to_owned(), uid: uid.to_owned() })
    }

    /// Proof for an object in a proven host namespace (NM5).
    pub fn prove(&self, kind: Kind, host: &HostObj, namespace: &NamespaceOrigin) -> Claim {
        let Some(origin) = origin_of(host).filter(|_| self.marked(host)) else { return Claim::Foreign };
        let forward = self.namespace(&namespace.name, &namespace.uid);
        let name = self.name(kind, &origin.namespace, &namespace.uid, &origin.name);
        if origin.kind == kind.kind_group()
            && origin.namespace == namespace.name
            && forward.as_str() == host.namespace()
            && name.as_str() == host.name()
        {
            Claim::Ours(origin)
        } else {
            Claim::Foreign
        }
    }
}

impl HostName {
    /// Name of an object that was read from a host.
    pub fn of(host: &HostObj) -> HostName {
        HostName::known(host.name())
    }
}

/// Origin annotations of an object, unproven.
fn origin_of(host: &HostObj) -> Option<Origin> {
    Some(Origin {
        kind: host.annotation(labels::ORIGIN_KIND)?.to_owned(),
        namespace: host.annotation(labels::ORIGIN_NAMESPACE)?.to_owned(),
        name: host.annotation(labels::ORIGIN_NAME)?.to_owned(),
        uid: host.annotation(labels::ORIGIN_UID)?.to_owned(),
        generation: host
            .annotation(labels::ORIGIN_GENERATION)
            .and_then(|g| g.parse().ok())
            .unwrap_or_default(),
    })
}
