//! Where an object is kept inside a tenant.

use std::fmt;
use std::sync::Arc;

use crate::model::gvk::ResourceId;

/// `namespace/name`, `/name` for what has no namespace. Its byte order is the order of lists.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NsName(Arc<str>);

impl NsName {
    /// From namespace (empty for cluster scope) and name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}/{name}").into())
    }

    /// From the joined form, `None` without a slash.
    pub fn parse(joined: &str) -> Option<Self> {
        joined.contains('/').then(|| Self(joined.into()))
    }

    /// The joined form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The namespace, empty for cluster scope.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl std::borrow::Borrow<str> for NsName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One object of a tenant. The tenant itself is never part of it: a key only has a meaning through the
/// [`TenantStore`](super::TenantStore) that it is given to (K1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Storage identity of the resource.
    pub resource: ResourceId,
    /// Namespace and name.
    pub name: NsName,
}

impl Key {
    /// From its parts.
    pub fn new(resource: ResourceId, namespace: &str, name: &str) -> Self {
        Self { resource, name: NsName::new(namespace, name) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.resource, self.name)
    }
}
