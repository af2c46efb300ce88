//! Many tenants that come and go: SY-21, PF12.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::tenant::TenantId;
use skerry_syncer::kind::Kind;
use skerry_syncer::{
    DnsServers, EmbeddedSource, HostEntry, Periods, Reach, Syncer, SyncerConfig, TenantEntry, facts::Network,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::faults::Line;
use crate::world::Cluster;

/// Kinds that are watched on a host.
const OF_HOST: usize = 9;

/// Waits until a number is as wanted.
async fn becomes(what: &str, limit: Duration, wanted: impl Fn(usize) -> bool, now: impl Fn() -> usize) {
    let end = Instant::now() + limit;
    while !wanted(now()) {
        assert!(Instant::now() < end, "{what}: {}", now());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Watches are kinds times shards and kinds per host, however many tenants there are; with the last of them entries, tasks
/// and memory are back where they were. 1,000 of them with `RUN_SLOW_TESTS`.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy21_tenants_come_and_go() {
    let many = if std::env::var_os("RUN_SLOW_TESTS").is_some() { 1_000 } else { 200 };
    let config = ServerConfig::from_yaml("store: {backend: memory}").expect("config");
    let defaults = config.tenant_defaults;
    let server = Server::builder().config(config).build().await.expect("server");
    let host = TenantId::of_uid("the-host");
    server.tenants().create(TenantSpec::new(host, "the-host", Role::Host, &defaults)).await.expect("host");
    let mut entries = Vec::new();
    for i in 0..many {
        let uid = format!("many-{i}-{}", std::process::id());
        let tenant = TenantId::of_uid(&uid);
        server
            .tenants()
            .create(TenantSpec::new(tenant, &uid, Role::Tenant, &defaults))
            .await
            .expect("tenant");
        let object = json!({"metadata": {"name": format!("m{i}"), "namespace": "team", "uid": uid, "generation": 1},
            "spec": {}, "status": {"id": skerry_api::ids::tenant_id(&uid), "hosts": [{"name": "h"}]}});
        let client = server.client(tenant, Identity::system("syncer"));
        let network = Network { front_door: vec!["10.9.9.9".into()], port: 6443, ..Network::default() };
        let entry = TenantEntry::of(&object, &Value::Null, client, Reach::Embedded, network, false);
        entries.push(Arc::new(entry.expect("entry")));
    }
    let (to_host, to_shards) = (Arc::<Line>::default(), Arc::<Line>::default());
    let client = to_host.client(server.client(host, Identity::system("syncer")));
    let entry = HostEntry { name: "h".into(), client, simulated: false, subject: None };
    let (_hosts, hosts_rx) = watch::channel(Arc::new(vec![entry]));
    let (tenants, tenants_rx) = watch::channel(Arc::default());
    let mut config = SyncerConfig::new(tenants_rx, hosts_rx);
    config.embedded = Some(EmbeddedSource { client: to_shards.client(server.system_client("syncer")) });
    config.periods = Periods { patrol: Duration::from_secs(1), ..Periods::default() };
    config.dns = Some(Arc::new(DnsServers::new([127, 0, 0, 1].into(), [127, 0, 0, 1].into())));
    let syncer = Syncer::new(config);
    let (handle, stop) = (syncer.handle(), CancellationToken::new());
    let run = tokio::spawn(syncer.run(stop.clone()));
    let shards = async {
        loop {
            let answer = Cluster(server.system_client("admin")).get("/shards").await.unwrap_or_default();
            let list = answer.get("shards").cloned().unwrap_or(answer);
            if let Some(all) = list.as_array() {
                return all.len();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let shards = tokio::time::timeout(Duration::from_secs(10), shards).await.expect("shards");
    let watched = Kind::TENANT.len() * shards;
    let limit = Duration::from_secs(60);
    becomes("watches of tenants", limit, |n| n == watched, || to_shards.streams()).await;
    becomes("watches of the host", limit, |n| n == OF_HOST, || to_host.streams()).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let base = tasks();

    tenants.send_replace(Arc::new(entries.clone()));
    let caught_up = || handle.states().borrow().values().filter(|s| s.reason == "CaughtUp").count();
    becomes("tenants that are caught up", limit, |n| n == many, caught_up).await;
    // Some of them use their host.
    for entry in entries.iter().step_by(20) {
        let id = TenantId::of_uid(&entry.owner.uid);
        let hands = Cluster(server.client(id, Identity::system("admin")));
        let map = json!({"metadata": {"name": "m", "annotations": {"skerry.dev/sync": "true"}}, "data": {"k": "v"}});
        hands.post("/api/v1/namespaces/default/configmaps", map).await;
    }
    let objects = || handle.states().borrow().values().map(|s| s.objects).sum::<usize>();
    becomes("objects on the host", limit, |n| n >= many / 20, objects).await;
    assert_eq!(to_shards.streams(), watched, "PF12: none per tenant");
    assert_eq!(to_host.streams(), OF_HOST, "PF12: none per tenant");

    let left: Vec<Weak<TenantEntry>> = entries.iter().map(Arc::downgrade).collect();
    drop(entries);
    tenants.send_replace(Arc::default());
    becomes("states", limit, |n| n == 0, || handle.states().borrow().len()).await;
    let held = || left.iter().filter(|entry| entry.strong_count() > 0).count();
    becomes("tenants in memory", limit, |n| n == 0, held).await;
    becomes("tasks beyond the first", limit, |n| n <= base, tasks).await;
    let held = handle.held();
    assert_eq!((held.tenants, held.keys, held.bodies), (0, 0, 0), "{held:?}");
    assert_eq!((to_shards.streams(), to_host.streams()), (watched, OF_HOST));
    stop.cancel();
    run.await.expect("no panic");
    server.shutdown().await;
}
