//! Wildcard watches (K14, store part of AS-23).

use std::sync::Arc;

use super::*;

/// Frames there are now, as text.
fn frames(watch: &mut Wildcard) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(frame) = watch.try_next().unwrap() {
        seen.push(match frame {
            Frame::Listed { tenant, name, record, .. } => format!("{tenant} {name} {}", record.rv()),
            Frame::ListingEnd { .. } => "end".to_owned(),
            Frame::Change { tenant, change } => format!("{tenant} {change:?}"),
        });
    }
    seen
}

#[tokio::test]
async fn as_23_every_event_of_every_tenant_once() {
    let db = Db::memory(StoreConfig::default()).unwrap();
    let mut tenants = Vec::new();
    for n in 0..50 {
        tenants.push(make(&db, n).await);
        tenants[n].commit(put(&pod("before"), n)).await.unwrap();
    }
    let hub = NewTenant { in_wildcard: false, ..new_tenant(99) };
    let hub = db.create_tenant(hub, Layer::default(), Limits::default()).await.unwrap();
    hub.commit(put(&pod("secret"), 1)).await.unwrap();
    let mut watch = db.wildcard(0, &pods(), None).unwrap();
    assert_eq!(watch.position(), None);
    for tenant in &tenants {
        tenant.commit(put(&pod("during"), 1)).await.unwrap();
        tenant.commit(put(&map("elsewhere"), 1)).await.unwrap();
        hub.commit(put(&pod("secret"), 2)).await.unwrap();
    }
    let seen = frames(&mut watch);
    let mut listed: Vec<_> =
        tenants.iter().map(|tenant| format!("{} default/before 2", tenant.id())).collect();
    listed.sort();
    assert_eq!(seen[..50], listed);
    assert_eq!(seen[50], "end");
    let changes: Vec<_> =
        tenants.iter().map(|tenant| format!("{} Added /pods default/during at 3", tenant.id())).collect();
    assert_eq!(seen[51..], changes);
    // Resumed in the middle: what follows, once each and in order.
    let position = watch.position();
    tenants[3].commit(put(&pod("during"), 2)).await.unwrap();
    let Some(Frame::Change { change, .. }) = watch.try_next().unwrap() else { panic!("a change") };
    tenants[4].commit(remove(&pod("during"))).await.unwrap();
    tenants[5].commit(put(&map("elsewhere"), 2)).await.unwrap();
    let mut resumed = db.wildcard(0, &pods(), position).unwrap();
    let all = frames(&mut resumed);
    assert_eq!(all.len(), 2);
    let (epoch, _) = position.unwrap();
    let mut later = db.wildcard(0, &pods(), Some((epoch, change.seq))).unwrap();
    assert_eq!(frames(&mut later), all[1..]);
    assert_eq!(later.position(), resumed.position());
    assert_eq!(db.wildcard(0, &pods(), Some((epoch + 1, 3))).err(), Some(WildcardError::Forgotten));
    assert_eq!(db.wildcard(1, &pods(), None).err(), Some(WildcardError::NoShard));
}

#[tokio::test]
async fn a_new_tenants_base_image_appears() {
    let db = Db::memory(StoreConfig::default()).unwrap();
    let objects =
        (0..300).map(|n| pod(&format!("p{n:03}"))).map(|key| (key.clone(), tree(&key, 0), Index::default()));
    let layer = Layer { base: Arc::new(BaseImage::new(objects)), ..Layer::default() };
    let mut watch = db.wildcard(0, &pods(), None).unwrap();
    assert_eq!(frames(&mut watch), ["end"]);
    let before = watch.position();
    let waiting = tokio::spawn(async move {
        let frame = watch.next().await.unwrap();
        (frame, watch)
    });
    tokio::task::yield_now().await;
    let tenant = db.create_tenant(new_tenant(0), layer.clone(), Limits::default()).await.unwrap();
    let (frame, mut watch) = waiting.await.unwrap();
    assert!(matches!(frame, Frame::Listed { tenant, seq: 1, .. } if tenant == id(0)));
    tenant.commit(put(&pod("p001"), 1)).await.unwrap();
    let rest = frames(&mut watch);
    assert_eq!(rest.len(), 300);
    assert_eq!(rest[299], format!("{} Modified /pods default/p001 at 2", id(0)));
    // Resumed from before it was made, and listed after.
    assert_eq!(frames(&mut db.wildcard(0, &pods(), before).unwrap()).len(), 301);
    assert_eq!(frames(&mut db.wildcard(0, &pods(), None).unwrap()).len(), 301);
    while db.drop_tenant(id(0)).await.unwrap() != Remaining(0) {}
    assert_eq!(frames(&mut db.wildcard(0, &pods(), before).unwrap()).len(), 0);
}

#[tokio::test]
async fn a_wildcard_watch_resumes_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (position, expected);
    {
        let db = Db::redb(folder.path(), 1, StoreConfig::default()).unwrap();
        let a = make(&db, 1).await;
        let mut watch = db.wildcard(0, &pods(), None).unwrap();
        a.commit(put(&pod("x"), 1)).await.unwrap();
        frames(&mut watch);
        position = watch.position();
        make(&db, 2).await.commit(put(&pod("x"), 1)).await.unwrap();
        a.commit(put(&pod("x"), 2)).await.unwrap();
        a.commit(remove(&pod("x"))).await.unwrap();
        expected = frames(&mut watch);
        assert_eq!(expected.len(), 3);
    }
    let db = Db::redb(folder.path(), 1, StoreConfig::default()).unwrap();
    assert_eq!(db.wildcard(0, &pods(), position).err(), Some(WildcardError::NotReady(2)));
    for n in [1, 2] {
        db.open(id(n), Layer::default(), Limits::default()).await.unwrap();
    }
    assert_eq!(frames(&mut db.wildcard(0, &pods(), position).unwrap()), expected);
}
