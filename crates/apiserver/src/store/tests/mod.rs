//! Cases of the store (AS-1 to AS-5, AS-23, AS-29, AS-30, AS-32), on memory and on redb.

mod basic;
mod durable;
mod faults;
mod feeds;
mod kill;
mod layers;
mod past;

use serde_json::{Value, json};

use super::*;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

/// The `n`-th tenant of a test.
fn id(n: usize) -> TenantId {
    TenantId::of_uid(&format!("uid-{n}"))
}

fn pods() -> ResourceId {
    "/pods".into()
}

fn maps() -> ResourceId {
    "/configmaps".into()
}

fn pod(name: &str) -> Key {
    Key::new(pods(), "default", name)
}

fn map(name: &str) -> Key {
    Key::new(maps(), "default", name)
}

fn tree(key: &Key, value: impl Into<Value>) -> Value {
    json!({
        "data": {"value": value.into()},
        "metadata": {"name": key.name.name(), "namespace": key.name.namespace(), "uid": "u"},
    })
}

fn put(key: &Key, value: impl Into<Value>) -> Intent {
    let op = Op::Put { tree: tree(key, value), index: Index::default() };
    Intent::one(Write { key: key.clone(), expect: Expect::Any, op })
}

fn remove(key: &Key) -> Intent {
    Intent::one(Write { key: key.clone(), expect: Expect::Any, op: Op::Delete { last: None } })
}

fn new_tenant(n: usize) -> NewTenant {
    NewTenant { id: id(n), head: format!("head {n}").into_bytes(), in_wildcard: true, shard: None }
}

async fn make(db: &Db, n: usize) -> TenantStore {
    db.create_tenant(new_tenant(n), Layer::default(), Limits::default()).await.unwrap()
}

async fn one() -> (Db, TenantStore) {
    let db = Db::memory(StoreConfig::default()).unwrap();
    let tenant = make(&db, 0).await;
    (db, tenant)
}

fn value(record: &Record) -> Value {
    record.tree()["data"]["value"].clone()
}

/// Name, value and RV of what a list shows.
fn listed(snapshot: &Snapshot, resource: &ResourceId) -> Vec<(String, Value, u64)> {
    snapshot
        .list(resource, None, None)
        .map(|(name, record)| (name.to_string(), value(&record), record.rv()))
        .collect()
}
