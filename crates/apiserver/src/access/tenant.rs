//! A tenant's index, compiled anew when its RBAC objects have changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::index::{Compiled, Index, Kind, Layer, ObjectKey};
use crate::model::gvk::ResourceId;
use crate::store::{BASE_RV, Snapshot, TenantStore};

/// Caches a tenant's [`Index`].
#[derive(Default)]
pub struct TenantAccess {
    current: ArcSwapOption<Dated>,
    compiled: Mutex<HashMap<ObjectKey, (u64, Compiled)>>,
}

struct Dated {
    /// RV of the last write of each kind.
    at: [u64; 4],
    index: Arc<Index>,
}

fn resource(kind: Kind) -> ResourceId {
    ResourceId::new("rbac.authorization.k8s.io", kind.plural())
}

fn dates(snapshot: &Snapshot) -> [u64; 4] {
    Kind::ALL.map(|kind| snapshot.last_rv(&resource(kind)))
}

impl TenantAccess {
    /// The index over the tenant's objects as they are now.
    pub fn index(&self, store: &TenantStore) -> Arc<Index> {
        let snapshot = store.snapshot();
        let at = dates(&snapshot);
        if let Some(current) = self.current.load().as_ref().filter(|c| newer_or_same(&c.at, &at)) {
            return current.index.clone();
        }
        let mut compiled = self.compiled.lock();
        if let Some(current) = self.current.load().as_ref().filter(|c| newer_or_same(&c.at, &at)) {
            return current.index.clone();
        }
        let index = Arc::new(compile(&snapshot, &mut compiled));
        self.current.store(Some(Arc::new(Dated { at, index: index.clone() })));
        index
    }
}

fn newer_or_same(have: &[u64; 4], want: &[u64; 4]) -> bool {
    have.iter().zip(want).all(|(have, want)| have >= want)
}

/// Compiles what changed since the last time; base objects as they were are the shared layer's.
fn compile(snapshot: &Snapshot, compiled: &mut HashMap<ObjectKey, (u64, Compiled)>) -> Index {
    let base = Layer::base();
    let mut untouched: HashSet<ObjectKey> = HashSet::new();
    let mut own: HashMap<ObjectKey, (u64, Compiled)> = HashMap::new();
    for kind in Kind::ALL {
        for (name, record) in snapshot.list(&resource(kind), None, None) {
            let key: ObjectKey = (kind, name.as_str().into());
            if record.rv() == BASE_RV {
                untouched.insert(key);
                continue;
            }
            let known = compiled.remove(&key).filter(|(rv, _)| *rv == record.rv());
            let entry = known.unwrap_or_else(|| (record.rv(), Compiled::of(kind, &record.tree())));
            own.insert(key, entry);
        }
    }
    let hidden = base.keys().difference(&untouched).cloned().collect();
    let layer = Layer::new(own.iter().map(|(key, (_, compiled))| (key, compiled)));
    *compiled = own;
    Index::new(base, layer, hidden)
}
