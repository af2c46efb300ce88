//! What redb keeps across restarts (K3, K8, K9, K13).

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

fn redb(folder: &Path) -> Db {
    Db::redb(folder, 1, StoreConfig::default()).unwrap()
}

async fn open(db: &Db, n: usize) -> Result<TenantStore, TenantError> {
    db.open(id(n), Layer::default(), Limits::default()).await
}

/// Everything a cursor from `from` gives now.
fn changes(tenant: &TenantStore, resource: &ResourceId, from: u64) -> Result<Vec<String>, Forgotten> {
    let mut cursor = tenant.watch(resource, from)?;
    let mut seen = Vec::new();
    while let Ok(Some(change)) = cursor.try_next() {
        let prev = change.prev.as_ref().map(|prev| (prev.rv(), value(prev)));
        seen.push(format!("{change:?} {:?} {:?} {}", prev, value(&change.new), change.new.rv()));
    }
    Ok(seen)
}

#[tokio::test]
async fn a_restart_brings_back_objects_history_and_heads() {
    let folder = tempfile::tempdir().unwrap();
    let (before, states);
    {
        let db = redb(folder.path());
        let tenant = make(&db, 0).await;
        make(&db, 1).await.commit(put(&pod("other"), "tenant")).await.unwrap();
        for n in 0..20 {
            tenant.commit(put(&pod(&format!("p{}", n % 7)), n)).await.unwrap();
            tenant.commit(put(&map(&format!("m{}", n % 3)), n)).await.unwrap();
        }
        let mut last = tenant.snapshot().get(&pod("p1")).unwrap().tree();
        last["data"]["value"] = "last words".into();
        let op = Op::Delete { last: Some(last) };
        tenant.commit(Intent::one(Write { key: pod("p1"), expect: Expect::Any, op })).await.unwrap();
        tenant.commit(remove(&map("m0"))).await.unwrap();
        tenant.commit(put(&map("m0"), "again")).await.unwrap();
        db.update_head(id(0), b"changed".to_vec()).await.unwrap();
        before = [pods(), maps()].map(|r| (listed(&tenant.snapshot(), &r), changes(&tenant, &r, 1).unwrap()));
        states =
            (1..=44).map(|rv| listed(&tenant.snapshot_at(rv, &pods()).unwrap(), &pods())).collect::<Vec<_>>();
    }
    let db = redb(folder.path());
    let heads = db.tenants();
    let head = heads.iter().find(|head| head.id == id(0)).unwrap();
    assert_eq!((heads.len(), &head.head[..], head.rv, head.open), (2, &b"changed"[..], 44, false));
    let tenant = open(&db, 0).await.unwrap();
    assert_eq!(tenant.current_rv(), 44);
    let after = [pods(), maps()].map(|r| (listed(&tenant.snapshot(), &r), changes(&tenant, &r, 1).unwrap()));
    assert_eq!(after, before);
    let now =
        (1..=44).map(|rv| listed(&tenant.snapshot_at(rv, &pods()).unwrap(), &pods())).collect::<Vec<_>>();
    assert_eq!(now, states);
    assert_eq!(tenant.commit(put(&pod("next"), 1)).await.unwrap().rv(), 45);
    assert_eq!(listed(&open(&db, 1).await.unwrap().snapshot(), &pods()).len(), 1);
}

#[tokio::test]
async fn floors_come_back_with_what_is_left_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let config = || StoreConfig {
        shard_bytes: 30_000,
        sweep: std::time::Duration::from_millis(1),
        ..StoreConfig::default()
    };
    {
        let db = Db::redb(folder.path(), 1, config()).unwrap();
        let tenant = make(&db, 0).await;
        tenant.commit(put(&map("quiet"), 0)).await.unwrap();
        for n in 0..300 {
            tenant.commit(put(&pod("busy"), n)).await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        tenant.commit(put(&pod("busy"), "last")).await.unwrap();
    }
    let db = Db::redb(folder.path(), 1, config()).unwrap();
    let tenant = open(&db, 0).await.unwrap();
    // The quiet resource's only write is forgotten: its RV is the floor.
    assert_eq!(changes(&tenant, &maps(), 1).err(), Some(Forgotten { floor: 2 }));
    assert_eq!(changes(&tenant, &maps(), 2), Ok(vec![]));
    let Forgotten { floor } = changes(&tenant, &pods(), 2).unwrap_err();
    let left = changes(&tenant, &pods(), floor).unwrap();
    assert_eq!(left.len() as u64, 303 - floor);
    assert!(left.len() > 20 && left.len() < 200, "{}", left.len());
    assert!(left[0].starts_with(&format!("Modified /pods default/busy at {}", floor + 1)), "{}", left[0]);
}

#[tokio::test]
async fn a_base_image_lies_under_what_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let objects = ["a", "b", "c"].map(|n| (map(n), tree(&map(n), "base"), Index::default()));
    let base = std::sync::Arc::new(BaseImage::new(objects));
    let layer =
        || Layer { base: base.clone(), created: "2026-01-02T03:04:05Z".into(), values: BTreeMap::new() };
    let (shown, uids);
    let uid = |tenant: &TenantStore| {
        tenant
            .snapshot()
            .list(&maps(), None, None)
            .map(|(_, record)| record.index().uid.clone())
            .collect::<Vec<_>>()
    };
    {
        let db = redb(folder.path());
        let tenant = db.create_tenant(new_tenant(0), layer(), Limits::default()).await.unwrap();
        tenant.commit(remove(&map("a"))).await.unwrap();
        tenant.commit(put(&map("b"), "mine")).await.unwrap();
        (shown, uids) = (listed(&tenant.snapshot(), &maps()), uid(&tenant));
    }
    let db = redb(folder.path());
    let tenant = db.open(id(0), layer(), Limits::default()).await.unwrap();
    assert_eq!((listed(&tenant.snapshot(), &maps()), uid(&tenant)), (shown, uids));
    assert_eq!(tenant.snapshot().count(&maps()), 2);
    assert_eq!(tenant.snapshot_at(1, &maps()).unwrap().count(&maps()), 3);
    assert_eq!(tenant.usage().objects, 1);
}

#[tokio::test]
async fn a_tenant_that_is_dropped_stays_so_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let db = redb(folder.path());
        let (tenant, other) = (make(&db, 0).await, make(&db, 1).await);
        for round in 0..12 {
            let writes = (0..200).map(|n| tenant.commit(put(&pod(&format!("p{round}-{n}")), n)));
            assert!(futures::future::join_all(writes).await.iter().all(Result::is_ok));
        }
        other.commit(put(&pod("x"), 1)).await.unwrap();
        assert_eq!(db.drop_tenant(id(0)).await, Ok(Remaining(400)));
    }
    let db = redb(folder.path());
    assert!(db.head(id(0)).unwrap().dropping);
    assert_eq!(open(&db, 0).await.err(), Some(TenantError::Dropping(id(0))));
    assert_eq!(db.drop_tenant(id(0)).await, Ok(Remaining(0)));
    assert_eq!(db.tenants().iter().map(|head| head.id).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(open(&db, 0).await.err(), Some(TenantError::Unknown(id(0))));
    assert_eq!(open(&db, 1).await.unwrap().snapshot().count(&pods()), 1);
}

#[tokio::test]
async fn many_open_one_tenant_once() {
    let folder = tempfile::tempdir().unwrap();
    make(&redb(folder.path()), 0).await;
    let db = redb(folder.path());
    let all = futures::future::join_all((0..10).map(|_| open(&db, 0))).await;
    let first = all[0].as_ref().unwrap();
    first.commit(put(&pod("a"), 1)).await.unwrap();
    assert!(all.iter().all(|tenant| tenant.as_ref().unwrap().current_rv() == 2));
}

#[tokio::test]
async fn a_closed_store_gives_its_files_back_while_handles_live_on() {
    let folder = tempfile::tempdir().unwrap();
    let db = redb(folder.path());
    let old = make(&db, 0).await;
    old.commit(put(&pod("a"), 1)).await.unwrap();
    drop(db);
    let closed = CommitError::Failed("the store is closed".to_owned());
    assert_eq!(old.commit(put(&pod("b"), 1)).await, Err(closed));
    assert_eq!(old.snapshot().count(&pods()), 1);
    let db = redb(folder.path());
    let new = open(&db, 0).await.unwrap();
    assert_eq!(new.commit(put(&pod("b"), 1)).await.unwrap().rv(), 3);
}

#[test]
fn the_number_of_shards_is_fixed() {
    let folder = tempfile::tempdir().unwrap();
    drop(Db::redb(folder.path(), 2, StoreConfig::default()).unwrap());
    let refused = Db::redb(folder.path(), 3, StoreConfig::default()).err().unwrap();
    assert_eq!(refused.to_string(), "the store has 2 shards, 3 are configured");
    assert_eq!(Db::redb(folder.path(), 2, StoreConfig::default()).unwrap().shards().len(), 2);
}
