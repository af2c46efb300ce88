//! The access index of one tenant, made anew when one of its RBAC objects was written.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::access::index::{Compiled, Index, Kind, Layer, key};
use crate::model::gvk::ResourceId;
use crate::store::{BASE_RV, Key, NsName, Snapshot};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Versions of the four resources that an index was made at.
type Versions = [u64; Kind::ALL.len()];

/// The index, kept until it is out of date.
#[derive(Default)]
pub struct RbacCache(Mutex<Option<(Versions, Arc<Index>)>>);

fn resource(kind: Kind) -> ResourceId {
    ResourceId::new(GROUP, kind.plural())
}

impl RbacCache {
    /// The index of a snapshot.
    pub fn index(&self, snapshot: &Snapshot) -> Arc<Index> {
        let versions = Kind::ALL.map(|kind| snapshot.last_rv(&resource(kind)));
        let mut kept = self.0.lock();
        if let Some((at, index)) = kept.as_ref()
            && *at == versions
        {
            return index.clone();
        }
        let index = Arc::new(build(snapshot));
        *kept = Some((versions, index.clone()));
        index
    }
}

fn build(snapshot: &Snapshot) -> Index {
    let base = Layer::base();
    let mut own = Vec::new();
    for kind in Kind::ALL {
        for (name, record) in snapshot.list(&resource(kind), None, None) {
            let object = key(kind, name.namespace(), name.name());
            if record.rv() != BASE_RV || !base.keys().contains(&object) {
                own.push((object, Compiled::of(kind, &record.tree())));
            }
        }
    }
    let hidden: HashSet<_> = base
        .keys()
        .iter()
        .filter(|(kind, name)| {
            let Some(name) = NsName::parse(name) else { return false };
            let live = snapshot.get(&Key { resource: resource(*kind), name });
            live.is_none_or(|record| record.rv() != BASE_RV)
        })
        .cloned()
        .collect();
    Index::new(base, Layer::new(own.iter().map(|(key, compiled)| (key, compiled))), hidden)
}
