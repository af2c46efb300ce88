//! History: what is kept, what is forgotten, and states of before (K8-K10).

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn clocked() -> (StoreConfig, Clock) {
    let clock = Clock::manual();
    (StoreConfig { clock: clock.clone(), ..StoreConfig::default() }, clock)
}

#[tokio::test]
async fn as_5_a_busy_resource_does_not_cost_a_quiet_one_its_past() {
    let (config, clock) = clocked();
    let db = Db::memory(config).unwrap();
    let tenant = make(&db, 0).await;
    tenant.set_limits(Limits { history_bytes: 20_000, ..Limits::default() });
    tenant.commit(put(&map("quiet"), 1)).await.unwrap();
    tenant.commit(put(&map("quiet"), 2)).await.unwrap();
    clock.advance(Duration::from_secs(91));
    for n in 0..200 {
        tenant.commit(put(&pod("busy"), n)).await.unwrap();
    }
    // Younger than minAge: kept, although it is too much.
    assert!(tenant.watch(&pods(), 3).is_ok() && tenant.usage().history_bytes > 20_000);
    clock.advance(Duration::from_secs(91));
    tenant.commit(put(&pod("busy"), "last")).await.unwrap();
    assert!(tenant.usage().history_bytes <= 20_000);
    let Err(Forgotten { floor }) = tenant.watch(&pods(), 3) else { panic!("remembered") };
    assert!(tenant.watch(&pods(), floor).is_ok() && tenant.watch(&pods(), floor - 1).is_err());
    let mut quiet = tenant.watch(&maps(), 2).unwrap();
    assert_eq!(value(&quiet.next().await.unwrap().new), 2);
    // After maxAge its changes are forgotten, but who knows the last one misses nothing.
    clock.advance(Duration::from_secs(200));
    tenant.commit(put(&pod("busy"), "later")).await.unwrap();
    assert_eq!(tenant.watch(&maps(), 2).err(), Some(Forgotten { floor: 3 }));
    assert!(tenant.watch(&maps(), 3).is_ok());
}

#[tokio::test]
async fn hard_bytes_override_the_minimum_age() {
    let (mut config, _clock) = clocked();
    config.tenant_hard_bytes = 10_000;
    let db = Db::memory(config).unwrap();
    let tenant = make(&db, 0).await;
    for n in 0..100 {
        tenant.commit(put(&pod("busy"), n)).await.unwrap();
    }
    assert!(tenant.usage().history_bytes <= 10_000);
    assert!(tenant.watch(&pods(), 2).is_err());
}

#[tokio::test]
async fn as_29_pages_of_a_list_are_of_one_version() {
    let (mut config, clock) = clocked();
    config.tenant_hard_bytes = 50_000;
    let db = Db::memory(config).unwrap();
    let tenant = make(&db, 0).await;
    for n in 0..2000 {
        tenant.commit(put(&pod(&format!("p{n:04}")), n)).await.unwrap();
    }
    let first = tenant.snapshot();
    tenant.pin(&first);
    let mut seen: Vec<NsName> = first.list(&pods(), None, None).take(500).map(|(name, _)| name).collect();
    let rv = first.rv();
    drop(first);
    while seen.len() < 2000 {
        for n in 0..400 {
            tenant.commit(put(&pod(&format!("p{:04}", (n * 5) % 2000)), "changed")).await.unwrap();
            tenant.commit(put(&pod(&format!("new{n}")), "new")).await.unwrap();
        }
        clock.advance(Duration::from_secs(1));
        let page = tenant.snapshot_at(rv, &pods()).unwrap();
        assert_eq!(page.rv(), rv);
        let names: Vec<_> = page
            .list(&pods(), None, seen.last())
            .take(500)
            .map(|(name, r)| {
                assert!(r.rv() <= rv);
                name
            })
            .collect();
        seen.extend(names);
    }
    assert_eq!(seen.len(), 2000);
    assert!(seen.is_sorted());
    clock.advance(Duration::from_secs(300));
    assert!(matches!(tenant.snapshot_at(rv, &pods()), Err(PastError::Forgotten(_))));
    assert!(tenant.snapshot_at(tenant.current_rv(), &pods()).is_ok());
}

#[tokio::test]
async fn no_more_than_the_allowed_snapshots_are_pinned() {
    let (mut config, _clock) = clocked();
    (config.pins, config.tenant_hard_bytes) = (2, 0);
    let db = Db::memory(config).unwrap();
    let tenant = make(&db, 0).await;
    for n in 0..4 {
        tenant.commit(put(&pod("a"), n)).await.unwrap();
        tenant.pin(&tenant.snapshot());
    }
    tenant.commit(put(&pod("a"), "now")).await.unwrap();
    let known: Vec<_> = (2..=6).filter(|rv| tenant.snapshot_at(*rv, &pods()).is_ok()).collect();
    assert_eq!(known, [4, 5, 6]);
}

#[tokio::test]
async fn as_30_versions_past_present_and_future() {
    let (_db, tenant) = one().await;
    tenant.commit(put(&pod("a"), 1)).await.unwrap();
    tenant.commit(put(&map("a"), 1)).await.unwrap();
    assert_eq!(tenant.snapshot_at(1, &pods()).unwrap().count(&pods()), 0);
    assert_eq!(tenant.snapshot_at(2, &pods()).unwrap().count(&pods()), 1);
    assert_eq!(tenant.snapshot_at(3, &pods()).unwrap().rv(), 3);
    assert_eq!(tenant.snapshot_at(4, &pods()).err(), Some(PastError::Future { current: 3 }));
    // A watch from the future waits for what comes after it.
    let mut cursor = tenant.watch(&pods(), 4).unwrap();
    tenant.commit(put(&pod("a"), 2)).await.unwrap();
    tenant.commit(put(&pod("a"), 3)).await.unwrap();
    assert_eq!(cursor.next().await.unwrap().rv, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_32_a_watcher_that_never_reads_costs_nothing() {
    let (mut config, _clock) = clocked();
    config.tenant_hard_bytes = 1 << 20;
    let db = Db::memory(config).unwrap();
    let tenant = make(&db, 0).await;
    let mut lazy = tenant.watch(&pods(), 1).unwrap();
    let mut busy = tenant.watch(&pods(), 1).unwrap();
    let mut most = 0;
    let mut last = 1;
    for round in 0..1_000 {
        let batch = (0..100).map(|n| tenant.commit(put(&pod("a"), round * 100 + n)));
        assert!(futures::future::join_all(batch).await.iter().all(Result::is_ok));
        for _ in 0..100 {
            last += 1;
            assert_eq!(busy.next().await.unwrap().rv, last);
        }
        most = most.max(tenant.usage().history_bytes);
    }
    assert!(most <= 1 << 20);
    assert!(matches!(lazy.next().await, Err(CursorEnd::Forgotten(Forgotten { floor })) if floor > 90_000));
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Remove(u8),
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        3 => (0..40_u8, any::<u8>()).prop_map(|(name, value)| Step::Put(name, value)),
        1 => (0..40_u8).prop_map(Step::Remove),
    ];
    prop::collection::vec((any::<bool>(), step), 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// AS-5: every remembered state equals a naive copy taken at the time, every other one is refused.
    #[test]
    fn as_5_past_states_equal_naive_copies(steps in steps(), history_bytes in 2_000..40_000_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut config, _clock) = clocked();
            config.tenant_hard_bytes = history_bytes;
            let db = Db::memory(config).unwrap();
            let tenant = make(&db, 0).await;
            let mut copies = vec![(1, BTreeMap::new(), BTreeMap::new())];
            for (in_pods, step) in steps {
                let key = |name| if in_pods { pod(&format!("{name:02}")) } else { map(&format!("{name:02}")) };
                let (_, mut pods_now, mut maps_now) = copies.last().unwrap().clone();
                let mine: &mut BTreeMap<String, u8> = if in_pods { &mut pods_now } else { &mut maps_now };
                let committed = match step {
                    Step::Put(name, value) => {
                        mine.insert(key(name).name.to_string(), value);
                        tenant.commit(put(&key(name), value)).await
                    }
                    Step::Remove(name) => {
                        mine.remove(key(name).name.as_str());
                        tenant.commit(remove(&key(name))).await
                    }
                };
                if let Ok(committed) = committed {
                    copies.push((committed.rv(), pods_now, maps_now));
                }
            }
            for (rv, pods_then, maps_then) in &copies {
                for (resource, then) in [(pods(), pods_then), (maps(), maps_then)] {
                    match tenant.snapshot_at(*rv, &resource) {
                        Ok(past) => {
                            let shown: BTreeMap<_, _> = listed(&past, &resource)
                                .into_iter()
                                .map(|(name, value, _)| (name, value.as_u64().unwrap() as u8))
                                .collect();
                            prop_assert_eq!(&shown, then);
                            prop_assert_eq!(past.count(&resource), then.len());
                        }
                        Err(refusal) => {
                            let watch = tenant.watch(&resource, *rv).err();
                            prop_assert_eq!(Some(refusal), watch.map(PastError::Forgotten));
                        }
                    }
                }
            }
            Ok(())
        })?;
    }
}
