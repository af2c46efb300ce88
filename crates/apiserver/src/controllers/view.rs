//! A tenant's objects as a controller sees them: trees out of one snapshot.

use std::sync::Arc;

use serde_json::Value;

use crate::model::gvk::ResourceId;
use crate::store::{Key, NsName, Record, Snapshot};
use crate::tenant::Tenant;

/// Objects of one tenant at one moment.
#[derive(Clone)]
pub struct View {
    tenant: Arc<Tenant>,
    snapshot: Snapshot,
}

impl View {
    /// The newest objects of a tenant.
    pub fn new(tenant: Arc<Tenant>) -> Self {
        let snapshot = tenant.store.snapshot();
        Self { tenant, snapshot }
    }

    /// The same tenant as it is now, with what was written since this view.
    pub fn again(&self) -> Self {
        Self::new(self.tenant.clone())
    }

    /// The tenant.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The snapshot itself.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// One object; `resource` is a storage identity as `apps/deployments`.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.record(resource, namespace, name).map(|record| record.tree())
    }

    /// One record.
    pub fn record(&self, resource: &str, namespace: &str, name: &str) -> Option<Record> {
        self.snapshot.get(&Key { resource: ResourceId::from(resource), name: NsName::new(namespace, name) })
    }

    /// Objects of a namespace.
    pub fn list(&self, resource: &str, namespace: &str) -> Vec<Value> {
        self.records(resource, Some(namespace)).into_iter().map(|(_, record)| record.tree()).collect()
    }

    /// Records of a namespace, or of all.
    pub fn records(&self, resource: &str, namespace: Option<&str>) -> Vec<(NsName, Record)> {
        self.snapshot.list(&ResourceId::from(resource), namespace, None).collect()
    }

    /// Names of all objects of a resource.
    pub fn names(&self, resource: &str) -> Vec<NsName> {
        self.records(resource, None).into_iter().map(|(name, _)| name).collect()
    }

    /// Objects of a namespace that an owner controls, found by the index of owners.
    pub fn owned_by(&self, resource: &str, namespace: &str, uid: &str) -> Vec<Value> {
        self.records(resource, Some(namespace))
            .into_iter()
            .filter(|(_, record)| record.index().owners.iter().any(|owner| &**owner == uid))
            .map(|(_, record)| record.tree())
            .collect()
    }

    /// Whether the namespace holds desired state only: the workload controllers stay away (C9).
    pub fn is_template(&self, namespace: &str) -> bool {
        self.record("/namespaces", "", namespace)
            .is_some_and(|record| record.index().label(skerry_api::labels::TEMPLATE) == Some("true"))
    }
}
