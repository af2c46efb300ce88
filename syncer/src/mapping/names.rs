//! Host names (NM1–NM3), one namespace on the host for each of the tenant's.

use std::{fmt, sync::Arc};

use super::hash::{cut, h};
use crate::kind::Kind;

/// A name on a host. Only this module makes one from tenant text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Arc<str>);

impl HostName {
    /// A name that was read from a host object, or that has no tenant text in it.
    pub(crate) fn known(name: &str) -> Self {
        Self(name.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Namespace and name of an object on a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostRef {
    /// The host namespace.
    pub namespace: HostName,
    /// The name in it.
    pub name: HostName,
}

/// The mapping of one tenant, `PerNamespace` (naming v1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    id: Arc<str>,
    uid: Arc<str>,
}

/// Names of Skerry's own objects in a workload namespace begin so; a tenant's that do are mapped apart.
const OWN: &str = "skerry-";
/// How names of [`Mapping::hosts_file`] begin.
pub(crate) const HOSTS_FILE: &str = "skerry-hosts-";

impl Mapping {
    /// The mapping of the tenant `id`, whose VirtualCluster has `uid`.
    pub fn new(id: &str, uid: &str) -> Self {
        Self { id: id.into(), uid: uid.into() }
    }

    /// The tenant's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// UID of the VirtualCluster.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The home namespace of the tenant on its host (tenancy I1).
    pub fn home(&self) -> HostName {
        HostName(format!("sk-{}", self.id).into())
    }

    /// Host namespace of a tenant namespace; its UID is part of it, so one made again is another.
    pub fn namespace(&self, name: &str, uid: &str) -> HostName {
        HostName(format!("sk-{}-{}-{}", self.id, cut(name, 36), h(&[uid])).into())
    }

    /// Name of a namespaced object: the tenant's own, but for reserved ones (NM3).
    pub fn name(&self, kind: Kind, namespace: &str, namespace_uid: &str, name: &str) -> HostName {
        if !reserved(kind, namespace, name) {
            return HostName(name.into());
        }
        HostName(format!("{}-{}", cut(name, 52), h(&[namespace_uid, kind.kind_group(), name])).into())
    }

    /// Name of a cluster-scoped object of the tenant.
    pub fn cluster_name(&self, kind_group: &str, name: &str) -> HostName {
        HostName(format!("{}-{}-{}", cut(name, 38), self.id, h(&[kind_group, name])).into())
    }

    /// Name of the Secret that holds a pod's tokens (PO20).
    pub fn token_secret(pod_uid: &str) -> HostName {
        HostName(format!("skerry-token-{}", h(&[pod_uid])).into())
    }

    /// Name of the container that writes a pod's hosts file, and of the volume it lies in (PO30). A tenant learns the UID
    /// once its pod is stored, so no container of its own is called so.
    pub fn hosts_file(pod_uid: &str) -> HostName {
        HostName(format!("{HOSTS_FILE}{}", h(&[pod_uid])).into())
    }

    /// Name of a host pull Secret's copy in a workload namespace.
    pub fn pull_secret(namespace: &str, name: &str) -> HostName {
        HostName(format!("skerry-pull-{}", h(&[namespace, name])).into())
    }

    /// Name of the ConfigMap for a trust bundle projection (4.3).
    pub fn trust_bundle(parts: &[&str]) -> HostName {
        HostName(format!("skerry-ctb-{}", h(parts)).into())
    }
}

/// Names that belong to the host's own machinery or to Skerry (NM3).
pub(crate) fn reserved(kind: Kind, namespace: &str, name: &str) -> bool {
    name.starts_with(OWN)
        || (kind == Kind::ConfigMap && name == "kube-root-ca.crt")
        || (kind == Kind::ServiceAccount && name == "default")
        || (kind == Kind::Service && namespace == "default" && name == "kubernetes")
}
