//! Small questions about data, slices and addresses.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::{Engine, carry::Pass, model::Key, state::Tenant};
use crate::{
    kind::Kind,
    kinds::slice::SERVICE_NAME,
    object::{Fields, TenantObj},
};

/// Whether a slice belongs to a Service of the tenant without selector.
pub(super) fn selectorless(pass: &Pass, key: &Key, slice: &TenantObj) -> bool {
    let Some(service) = slice.label(SERVICE_NAME) else { return false };
    let service = Key::new(Kind::Service, &key.namespace, service);
    let Some(seen) = pass.entry(&service).and_then(|e| e.tenant) else { return false };
    let body =
        pass.engine.cache.lock().get(&pass.tenant.id, &service, super::cache::Side::Tenant, seen.version);
    let Some(service) = body.and_then(|b| serde_json::from_slice::<Value>(&b).ok()) else { return false };
    service.pointer("/spec/selector").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
}

impl Engine {
    /// Addresses of a tenant's own pods and Services on its host, and of other tenants' pods there.
    pub(super) fn addresses(&self, tenant: &Arc<Tenant>) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut own, mut foreign) = (BTreeSet::new(), BTreeSet::new());
        let all: Vec<Arc<Tenant>> = self.tenants.read().values().cloned().collect();
        for other in all.iter().filter(|other| Arc::ptr_eq(&other.host, &tenant.host)) {
            let model = other.model.lock();
            let addresses =
                |kind| model.of(kind).filter_map(|(_, e)| e.address.as_ref().map(|a| a.to_string()));
            if Arc::ptr_eq(other, tenant) {
                own.extend(addresses(Kind::Pod).chain(addresses(Kind::Service)));
            } else {
                foreign.extend(addresses(Kind::Pod));
            }
        }
        (own, foreign)
    }
}
