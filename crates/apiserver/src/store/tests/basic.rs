//! Commits, expectations, RVs, limits.

use super::*;

#[tokio::test]
async fn a_write_is_shown_with_its_version() {
    let (_db, tenant) = one().await;
    assert_eq!((tenant.current_rv(), tenant.snapshot().rv()), (1, 1));
    let mut cursor = tenant.watch(&pods(), 1).unwrap();
    let made = tenant.commit(put(&pod("a"), 1)).await.unwrap();
    assert_eq!(made.rvs, [2]);
    let record = tenant.snapshot().get(&pod("a")).unwrap();
    assert_eq!(
        record.json(),
        r#"{"data":{"value":1},"metadata":{"name":"a","namespace":"default","resourceVersion":"2","uid":"u"}}"#
    );
    tenant.commit(put(&pod("a"), 2)).await.unwrap();
    tenant.commit(remove(&pod("a"))).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let change = cursor.next().await.unwrap();
        seen.push((
            change.kind,
            change.rv,
            value(&change.new),
            change.new.rv(),
            change.prev.as_ref().map(value),
        ));
    }
    assert_eq!(
        seen,
        [
            (ChangeKind::Added, 2, 1.into(), 2, None),
            (ChangeKind::Modified, 3, 2.into(), 3, Some(1.into())),
            (ChangeKind::Deleted, 4, 2.into(), 4, Some(2.into())),
        ]
    );
    assert!(cursor.try_next().unwrap().is_none());
    assert_eq!(cursor.position(), 4);
    assert_eq!(tenant.snapshot().get(&pod("a")), None);
}

#[tokio::test]
async fn expectations_are_judged_on_the_object_as_it_is() {
    let (_db, tenant) = one().await;
    let key = pod("a");
    let with = |expect, op| Intent::one(Write { key: pod("a"), expect, op });
    let some = || Op::Put { tree: tree(&pod("a"), 0), index: Index::default() };
    let none = || Op::Delete { last: None };
    assert_eq!(tenant.commit(with(Expect::Rv(1), some())).await, Err(CommitError::Missing(key.clone())));
    assert_eq!(tenant.commit(with(Expect::Any, none())).await, Err(CommitError::Missing(key.clone())));
    assert_eq!(tenant.commit(with(Expect::Absent, some())).await.unwrap().rv(), 2);
    assert_eq!(
        tenant.commit(with(Expect::Absent, some())).await,
        Err(CommitError::AlreadyExists(key.clone()))
    );
    let conflict = Err(CommitError::Conflict { key: key.clone(), current: 2 });
    assert_eq!(tenant.commit(with(Expect::Rv(1), none())).await, conflict);
    assert_eq!(tenant.commit(with(Expect::Rv(2), some())).await.unwrap().rv(), 3);
    assert_eq!(tenant.commit(with(Expect::Rv(3), none())).await.unwrap().rv(), 4);
}

#[tokio::test]
async fn side_writes_happen_with_the_main_one_or_not_at_all() {
    let (_db, tenant) = one().await;
    tenant.commit(put(&map("quota"), 1)).await.unwrap();
    let both = |rv| {
        Intent::of(vec![
            Write::create(pod("a"), tree(&pod("a"), 1), Index::default()),
            Write::replace(map("quota"), rv, tree(&map("quota"), 2), Index::default()),
        ])
    };
    let refused = CommitError::Conflict { key: map("quota"), current: 2 };
    assert_eq!(tenant.commit(both(7)).await, Err(refused));
    assert_eq!(tenant.snapshot().get(&pod("a")), None);
    assert_eq!(tenant.commit(both(2)).await.unwrap().rvs, [3, 4]);
    assert_eq!(value(&tenant.snapshot().get(&map("quota")).unwrap()), 2);
}

#[tokio::test]
async fn a_deletion_may_show_another_last_state() {
    let (_db, tenant) = one().await;
    tenant.commit(put(&pod("a"), 1)).await.unwrap();
    let mut cursor = tenant.watch(&pods(), 2).unwrap();
    let last = Some(tree(&pod("a"), "last"));
    let write = Write { key: pod("a"), expect: Expect::Rv(2), op: Op::Delete { last } };
    tenant.commit(Intent::one(write)).await.unwrap();
    let change = cursor.next().await.unwrap();
    assert_eq!((change.kind, value(&change.new), change.new.rv()), (ChangeKind::Deleted, "last".into(), 3));
    assert_eq!(change.prev.as_ref().map(value), Some(1.into()));
}

#[tokio::test]
async fn as_1_tenants_with_equal_names_do_not_meet() {
    let db = Db::memory(StoreConfig::default()).unwrap();
    let (a, b) = (make(&db, 1).await, make(&db, 2).await);
    let mut watch_b = b.watch(&pods(), 1).unwrap();
    a.commit(put(&pod("x"), "of a")).await.unwrap();
    assert_eq!(b.snapshot().get(&pod("x")), None);
    b.commit(put(&pod("x"), "of b")).await.unwrap();
    for (tenant, text) in [(&a, "of a"), (&b, "of b")] {
        let snapshot = tenant.snapshot();
        assert_eq!(value(&snapshot.get(&pod("x")).unwrap()), text);
        assert_eq!(listed(&snapshot, &pods()), [("default/x".to_owned(), text.into(), 2)]);
    }
    assert_eq!(value(&watch_b.next().await.unwrap().new), "of b");
    assert!(watch_b.try_next().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_2_concurrent_intents_get_every_version_once() {
    let db = Db::memory(StoreConfig::default()).unwrap();
    let mut tenants = Vec::new();
    for n in 0..10 {
        tenants.push(make(&db, n).await);
    }
    let mut tasks = Vec::new();
    for n in 0..100 {
        let tenant = tenants[n % 10].clone();
        tasks
            .push(tokio::spawn(async move { (n % 10, tenant.commit(put(&pod(&format!("p{n}")), n)).await) }));
    }
    let mut rvs = vec![Vec::new(); 10];
    for task in tasks {
        let (tenant, committed) = task.await.unwrap();
        rvs[tenant].extend(committed.unwrap().rvs);
    }
    for (tenant, mut rvs) in tenants.iter().zip(rvs) {
        rvs.sort_unstable();
        assert_eq!(rvs, (2..=11).collect::<Vec<_>>());
        assert_eq!(tenant.current_rv(), 11);
    }
    let replace = |value: u64| Write::replace(pod("p0"), 2, tree(&pod("p0"), value), Index::default());
    let at = tenants[0].snapshot().get(&pod("p0")).unwrap().rv();
    let race = |value| {
        let mut write = replace(value);
        write.expect = Expect::Rv(at);
        tenants[0].commit(Intent::one(write))
    };
    let (first, second) = tokio::join!(race(1), race(2));
    let conflict = CommitError::Conflict { key: pod("p0"), current: 12 };
    assert!([(&first, &second), (&second, &first)].iter().any(|(won, lost)| {
        won.as_ref().is_ok_and(|won| won.rvs == [12]) && lost.as_ref().is_err_and(|lost| *lost == conflict)
    }));
}

#[tokio::test]
async fn as_53_limits_hold_for_what_grows() {
    let (_db, tenant) = one().await;
    let size = Record::from_tree(&tree(&pod("a"), 1), Index::default()).size() as u64;
    tenant.set_limits(Limits { objects: 2, bytes: 3 * size, ..Limits::default() });
    tenant.commit(put(&pod("a"), 1)).await.unwrap();
    tenant.commit(put(&pod("b"), 1)).await.unwrap();
    let over = CommitError::Limit { name: "objects", requested: 1, used: 2, limited: 2 };
    assert_eq!(over.to_string(), "exceeded tenant limit: objects, requested: 1, used: 2, limited: 2");
    assert_eq!(tenant.commit(put(&pod("c"), 1)).await, Err(over));
    let long = "x".repeat(3 * size as usize);
    assert!(matches!(
        tenant.commit(put(&pod("a"), long.clone())).await,
        Err(CommitError::Limit { name: "bytes", .. })
    ));
    tenant.commit(put(&pod("a"), long).exempt()).await.unwrap();
    tenant.commit(put(&pod("a"), "shorter")).await.unwrap();
    tenant.commit(remove(&pod("b"))).await.unwrap();
    tenant.commit(put(&pod("c"), 1)).await.unwrap();
    let usage = tenant.usage();
    let stored: usize = tenant.snapshot().list(&pods(), None, None).map(|(_, record)| record.size()).sum();
    assert_eq!((usage.objects, usage.bytes, usage.rv), (2, stored as u64, 7));
}

#[tokio::test]
async fn a_dropped_tenant_ends_its_cursors_and_leaves_nothing() {
    let (db, tenant) = one().await;
    for n in 0..5000 {
        tenant.commit(put(&pod(&format!("p{n}")), n)).await.unwrap();
    }
    let mut cursor = tenant.watch(&pods(), tenant.current_rv()).unwrap();
    let waiting = tokio::spawn(async move { cursor.next().await.map(|change| change.rv) });
    tokio::task::yield_now().await;
    let mut calls = 0;
    while db.drop_tenant(id(0)).await.unwrap() != Remaining(0) {
        calls += 1;
        assert!(db.head(id(0)).unwrap().dropping);
    }
    assert_eq!(calls, 2);
    assert_eq!(waiting.await.unwrap(), Err(CursorEnd::TenantGone));
    assert_eq!(tenant.commit(put(&pod("late"), 1)).await, Err(CommitError::TenantGone));
    assert_eq!(db.drop_tenant(id(0)).await, Err(TenantError::Unknown(id(0))));
    let again = make(&db, 0).await;
    assert_eq!((again.snapshot().count(&pods()), again.current_rv()), (0, 1));
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let (db, _tenant) = one().await;
    let second = db.create_tenant(new_tenant(0), Layer::default(), Limits::default()).await;
    assert_eq!(second.err(), Some(TenantError::Exists(id(0))));
    db.update_head(id(0), b"other".to_vec()).await.unwrap();
    let heads = db.tenants();
    assert_eq!((heads.len(), &heads[0].head[..], heads[0].open), (1, &b"other"[..], true));
}

#[tokio::test]
async fn dispatchers_hear_of_writes_and_of_what_they_missed() {
    let config = StoreConfig { touches: 4, ..StoreConfig::default() };
    let db = Db::memory(config).unwrap();
    let tenant = make(&db, 0).await;
    let mut touches = db.touches();
    tenant.commit(put(&pod("a"), 1)).await.unwrap();
    let Some(Notice::Touched(touch)) = touches.next().await else { panic!("a notice") };
    assert_eq!((touch.tenant, touch.resource, touch.name), (id(0), pods(), pod("a").name));
    for n in 0..10 {
        tenant.commit(put(&pod("a"), n)).await.unwrap();
    }
    assert!(matches!(touches.next().await, Some(Notice::Overflow(6))));
}

#[tokio::test]
async fn a_reader_waits_for_a_version_that_is_yet_to_come() {
    let (_db, tenant) = one().await;
    assert!(!tenant.wait_for(2, std::time::Duration::from_millis(20)).await);
    let (reached, _) = tokio::join!(tenant.wait_for(2, std::time::Duration::from_secs(5)), async {
        tenant.commit(put(&pod("a"), 1)).await
    });
    assert!(reached);
}
