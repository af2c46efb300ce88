//! The base image and a tenant's own objects over it (K11, store part of AS-6).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;

fn roles() -> ResourceId {
    "rbac.authorization.k8s.io/clusterroles".into()
}

fn role(name: &str) -> Key {
    Key::new(roles(), "", name)
}

fn layer() -> Layer {
    let object =
        |name: &str| (role(name), json!({"metadata": {"name": name}, "rules": []}), Index::default());
    let map = (
        map("ca"),
        json!({"data": {"ca.crt": slot("ca"), "value": format!("<{}>", slot("missing"))}, "metadata": {"name": "ca"}}),
        Index { labels: vec![("a".into(), "b".into())], ..Index::default() },
    );
    Layer {
        base: Arc::new(BaseImage::new(["view", "admin", "edit"].map(object).into_iter().chain([map]))),
        created: "2026-01-02T03:04:05Z".to_owned(),
        values: BTreeMap::from([("ca".to_owned(), "line\n\"two\"".to_owned())]),
    }
}

async fn layered(db: &Db, n: usize) -> TenantStore {
    db.create_tenant(new_tenant(n), layer(), Limits::default()).await.unwrap()
}

fn names(snapshot: &Snapshot) -> Vec<(String, u64)> {
    snapshot.list(&roles(), None, None).map(|(name, r)| (name.name().to_owned(), r.rv())).collect()
}

#[tokio::test]
async fn slots_are_filled_for_each_tenant() {
    let db = Db::memory(StoreConfig::default()).unwrap();
    let (a, b) = (layered(&db, 1).await, layered(&db, 2).await);
    let uid = |tenant: &TenantStore, key| tenant.snapshot().get(&key).unwrap().index().uid.clone();
    assert_ne!(uid(&a, role("view")), uid(&b, role("view")));
    assert_ne!(uid(&a, role("view")), uid(&a, role("edit")));
    assert_eq!(uid(&a, role("view")), uid(&a, role("view")));
    assert_eq!(uuid::Uuid::parse_str(&uid(&a, role("view"))).unwrap().get_version_num(), 8);
    let record = a.snapshot().get(&map("ca")).unwrap();
    let tree = record.tree();
    assert_eq!(tree["data"]["ca.crt"], "line\n\"two\"");
    assert_eq!(tree["data"]["value"], "<>");
    assert_eq!(tree["metadata"]["creationTimestamp"], "2026-01-02T03:04:05Z");
    assert_eq!(tree["metadata"]["uid"], *record.index().uid);
    assert_eq!(record.index().label("a"), Some("b"));
    assert_eq!(serde_json::from_slice::<Value>(&record.json()).unwrap(), tree);
    assert_eq!(record.json(), serde_json::to_vec(&tree).unwrap());
    assert_eq!(a.usage(), Usage { objects: 0, bytes: 0, history_bytes: 0, rv: 1 });
}

#[tokio::test]
async fn as_6_an_edit_copies_a_deletion_hides_a_creation_is_new() {
    let db = Db::memory(StoreConfig::default()).unwrap();
    let (a, b) = (layered(&db, 1).await, layered(&db, 2).await);
    let before = names(&b.snapshot());
    assert_eq!(before, [("admin".to_owned(), 1), ("edit".to_owned(), 1), ("view".to_owned(), 1)]);
    let mut cursor = a.watch(&roles(), 1).unwrap();
    let old = a.snapshot().get(&role("edit")).unwrap();
    let edit = Write::replace(role("edit"), 1, old.tree(), old.index().clone());
    a.commit(Intent::one(edit)).await.unwrap();
    assert_eq!(a.snapshot().get(&role("edit")).unwrap().index().uid, old.index().uid);
    a.commit(remove(&role("admin"))).await.unwrap();
    assert_eq!(a.snapshot().get(&role("admin")), None);
    assert_eq!(names(&a.snapshot()), [("edit".to_owned(), 2), ("view".to_owned(), 1)]);
    assert_eq!(a.snapshot().count(&roles()), 2);
    a.commit(put(&role("admin"), "mine")).await.unwrap();
    a.commit(put(&role("another"), "mine")).await.unwrap();
    let now = [("admin", 4), ("another", 5), ("edit", 2), ("view", 1)].map(|(n, rv)| (n.to_owned(), rv));
    assert_eq!(names(&a.snapshot()), now);
    assert_eq!(a.snapshot().count(&roles()), 4);
    let mut kinds = Vec::new();
    while let Some(change) = cursor.try_next().unwrap() {
        kinds.push((change.kind, change.prev.as_ref().map(Record::rv)));
    }
    use ChangeKind::{Added, Deleted, Modified};
    assert_eq!(kinds, [(Modified, Some(1)), (Deleted, Some(1)), (Added, None), (Added, None)]);
    for (rv, count) in [(1, 3), (2, 3), (3, 2), (4, 3), (5, 4)] {
        let past = a.snapshot_at(rv, &roles()).unwrap();
        assert_eq!((past.count(&roles()), names(&past).len()), (count, count), "at {rv}");
    }
    assert_eq!(names(&a.snapshot_at(1, &roles()).unwrap()), before);
    assert_eq!(names(&b.snapshot()), before);
}

#[tokio::test]
async fn lists_merge_by_name_and_page_from_any() {
    let db = Db::memory(StoreConfig::default()).unwrap();
    let tenant = layered(&db, 1).await;
    for n in 0..100 {
        tenant.commit(put(&role(&format!("{}{n:02}", ["a", "e", "v"][n % 3])), n)).await.unwrap();
        tenant.commit(put(&pod(&format!("p{n:02}")), n)).await.unwrap();
    }
    let snapshot = tenant.snapshot();
    let all: Vec<_> = snapshot.list(&roles(), None, None).map(|(name, _)| name).collect();
    assert_eq!(all.len(), 103);
    assert!(all.is_sorted());
    let mut paged = Vec::new();
    while let Some((name, _)) = snapshot.list(&roles(), None, paged.last()).next() {
        assert_eq!(snapshot.list(&roles(), None, paged.last()).remaining(), 103 - paged.len());
        paged.push(name);
    }
    assert_eq!(paged, all);
    tenant.commit(put(&Key::new(pods(), "default-2", "x"), 1)).await.unwrap();
    tenant.commit(put(&Key::new(pods(), "a", "x"), 1)).await.unwrap();
    let snapshot = tenant.snapshot();
    let in_default: Vec<_> = snapshot.list(&pods(), Some("default"), None).map(|(name, _)| name).collect();
    assert_eq!((in_default.len(), in_default[0].as_str()), (100, "default/p00"));
    assert_eq!(snapshot.list(&pods(), Some("default"), Some(&in_default[97])).count(), 2);
    assert_eq!(snapshot.list(&pods(), None, None).count(), 102);
    assert_eq!(snapshot.resources(), [maps(), pods(), roles()]);
}
