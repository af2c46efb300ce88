//! Bodies of objects, as compact text, up to a number of bytes (EN27): memory otherwise holds entries, not objects.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use serde_json::Value;

use super::model::Key;

/// A side of the mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The tenant's.
    Tenant,
    /// The host's.
    Host,
}

impl Side {
    /// Both.
    pub const ALL: [Side; 2] = [Side::Tenant, Side::Host];

    /// As metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Tenant => "tenant",
            Side::Host => "host",
        }
    }

    /// The counter of writes to it.
    pub const fn writes(self) -> &'static str {
        match self {
            Side::Tenant => "tenant_writes_total",
            Side::Host => "host_writes_total",
        }
    }

    /// The counter of writes that it did not take.
    pub const fn failed_writes(self) -> &'static str {
        match self {
            Side::Tenant => "tenant_failed_writes_total",
            Side::Host => "host_failed_writes_total",
        }
    }
}

type Slot = (Arc<str>, Key, Side);

/// First in, first out, by bytes; a body that is not here is read again by GET.
pub struct Cache {
    bodies: HashMap<Slot, (u64, u64, Bytes)>,
    order: VecDeque<(Slot, u64)>,
    bytes: usize,
    limit: usize,
    counter: u64,
}

impl Cache {
    /// A cache of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { bodies: HashMap::new(), order: VecDeque::new(), bytes: 0, limit, counter: 0 }
    }

    /// How many bodies it holds.
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Keeps a body.
    pub fn put(&mut self, tenant: &Arc<str>, key: &Key, side: Side, version: u64, body: &Value) {
        let Ok(text) = serde_json::to_vec(body) else { return };
        let slot = (tenant.clone(), key.clone(), side);
        self.counter += 1;
        self.bytes += text.len();
        let new = (version, self.counter, Bytes::from(text));
        if let Some((_, _, old)) = self.bodies.insert(slot.clone(), new) {
            self.bytes -= old.len();
        }
        self.order.push_back((slot, self.counter));
        while self.bytes > self.limit || self.order.len() > self.bodies.len() * 2 + 64 {
            let Some((slot, number)) = self.order.pop_front() else { break };
            if self.bodies.get(&slot).is_some_and(|(_, n, _)| *n == number)
                && let Some((_, _, old)) = self.bodies.remove(&slot)
            {
                self.bytes -= old.len();
            }
        }
    }

    /// The body at exactly this version.
    pub fn get(&self, tenant: &Arc<str>, key: &Key, side: Side, version: u64) -> Option<Bytes> {
        let (known, _, body) = self.bodies.get(&(tenant.clone(), key.clone(), side))?;
        (*known == version).then(|| body.clone())
    }

    /// Drops a body.
    pub fn remove(&mut self, tenant: &Arc<str>, key: &Key, side: Side) {
        if let Some((_, _, old)) = self.bodies.remove(&(tenant.clone(), key.clone(), side)) {
            self.bytes -= old.len();
        }
    }

    /// Drops all bodies of a tenant.
    pub fn forget(&mut self, tenant: &str) {
        let mut freed = 0;
        self.bodies.retain(|(id, ..), (_, _, body)| {
            let keep = &**id != tenant;
            if !keep {
                freed += body.len();
            }
            keep
        });
        self.bytes -= freed;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kind;

    /// SY-142, its part for bodies: memory is bounded.
    #[test]
    fn plan_bodies_are_bounded() {
        let mut cache = Cache::new(1000);
        let tenant: Arc<str> = "t".into();
        for n in 0..1000_u64 {
            let key = Key::new(Kind::Pod, "ns", &format!("p{}", n % 100));
            cache.put(&tenant, &key, Side::Host, n, &json!({"text": "x".repeat(50)}));
            assert!(cache.bytes <= 1000 && cache.order.len() < 300);
        }
        let key = Key::new(Kind::Pod, "ns", "p99");
        assert!(cache.get(&tenant, &key, Side::Host, 999).is_some());
        assert!(cache.get(&tenant, &key, Side::Host, 998).is_none());
        cache.forget("t");
        assert_eq!(cache.bytes, 0);
    }
}
