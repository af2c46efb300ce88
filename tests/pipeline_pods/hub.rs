//! What the hub is told.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::tenant::TenantId;
use skerry_syncer::{
    EmbeddedSource, HostEntry, Periods, Reach, Syncer, SyncerConfig, TenantEntry, facts::Network,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::world::Cluster;

/// L6: condition Synced and `status.sync` stand in the VirtualCluster, by a manager of their own, written on change only;
/// a paused tenant says so and nothing is carried until it is resumed (SY-17); another identity stops all writes (SY-12).
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_status_on_the_hub() {
    let config = ServerConfig::from_yaml("store: {backend: memory}").expect("config");
    let defaults = config.tenant_defaults;
    let server = Server::builder().config(config).build().await.expect("server");
    let hub = TenantId::of_uid("the-hub");
    let spec = TenantSpec::new(hub, "the-hub", Role::Hub, &defaults);
    server.tenants().create(spec).await.expect("hub");
    let hub = Cluster(server.client(hub, Identity::system("admin")));
    hub.post("/api/v1/namespaces", json!({"metadata": {"name": "team-a"}})).await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/virtualclusters.skerry.dev.yaml");
    let text = std::fs::read_to_string(file).expect("definition");
    let definition: Value = serde_yaml_ng::from_str(&text).expect("yaml");
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    if hub.get(&format!("{definitions}/virtualclusters.skerry.dev")).await.is_none() {
        hub.post(definitions, definition).await;
    }
    hub.until("established", "/apis/skerry.dev/v1alpha1/virtualclusters", |_| true).await;
    let path = "/apis/skerry.dev/v1alpha1/namespaces/team-a/virtualclusters";
    let object = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualCluster", "metadata": {"name": "dev"}, "spec": {}});
    let made = hub.post(path, object).await;
    let path = format!("{path}/dev");
    let uid = made["metadata"]["uid"].as_str().expect("uid").to_owned();
    for (uid, role) in [(uid.as_str(), Role::Tenant), ("the-host", Role::Host)] {
        let spec = TenantSpec::new(TenantId::of_uid(uid), uid, role, &defaults);
        server.tenants().create(spec).await.expect("tenant");
    }
    let id = skerry_api::ids::tenant_id(&uid);
    let status = json!({"status": {"id": id, "hosts": [{"name": "h", "state": "Active"}], "class": {"name": "standard"}}});
    hub.merge(&format!("{path}/status"), status).await;
    let own = |uid: &str| server.client(TenantId::of_uid(uid), Identity::system("syncer"));
    let entry = |object: &Value| {
        let network = Network { front_door: vec!["10.9.9.9".into()], port: 6443, ..Network::default() };
        Arc::new(
            TenantEntry::of(object, &Value::Null, own(&uid), Reach::Embedded, network, true).expect("entry"),
        )
    };
    let object = hub.get(&path).await.expect("object");
    let (tenants, tenants_rx) = watch::channel(Arc::new(vec![entry(&object)]));
    let host = HostEntry { name: "h".into(), client: own("the-host"), simulated: true, subject: None };
    let (_hosts, hosts_rx) = watch::channel(Arc::new(vec![host]));
    let mut config = SyncerConfig::new(tenants_rx, hosts_rx);
    config.embedded = Some(EmbeddedSource { client: server.system_client("syncer") });
    config.hub = Some(server.client(TenantId::of_uid("the-hub"), Identity::system("syncer")));
    config.periods =
        Periods { patrol: Duration::from_secs(2), status: Duration::from_millis(500), ..Periods::default() };
    let syncer = Syncer::new(config);
    let stop = CancellationToken::new();
    let run = tokio::spawn(syncer.run(stop.clone()));

    let reason = |object: &Value, want: &str| {
        object["status"]["conditions"]
            .as_array()
            .is_some_and(|c| c.iter().any(|c| c["type"] == "Synced" && c["reason"] == want))
    };
    let told = hub.until("told", &path, |o| reason(o, "CaughtUp")).await;
    assert_eq!(told["status"]["sync"]["naming"], "v1");
    let identity = told["status"]["sync"]["identity"].as_str().expect("identity").to_owned();
    assert!(!identity.is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let quiet = hub.get(&path).await.expect("object");
    assert_eq!(
        quiet["metadata"]["resourceVersion"], told["metadata"]["resourceVersion"],
        "written on change only"
    );

    // Paused: said, and nothing is carried.
    let mut paused = quiet.clone();
    paused["spec"]["pause"] = json!({"mode": "Reconcile"});
    tenants.send_replace(Arc::new(vec![entry(&paused)]));
    hub.until("paused", &path, |o| reason(o, "Paused")).await;
    let tenant = Cluster(server.client(TenantId::of_uid(&uid), Identity::system("admin")));
    let host = Cluster(server.client(TenantId::of_uid("the-host"), Identity::system("admin")));
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    tenant.post("/api/v1/namespaces/default/pods", pod).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let pods = host.get("/api/v1/pods").await.expect("list");
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(0));
    tenants.send_replace(Arc::new(vec![entry(&quiet)]));
    host.until("carried", "/api/v1/pods", |l| l["items"].as_array().is_some_and(|l| l.len() == 1)).await;

    // The tenant behind the client is another one: nothing is written or deleted until it is accepted.
    let mut other = hub.get(&path).await.expect("object");
    other["status"]["sync"]["identity"] = json!("another");
    tenants.send_replace(Arc::new(vec![entry(&other)]));
    hub.until("replaced", &path, |o| reason(o, "TenantReplaced")).await;
    tenant.delete("/api/v1/namespaces/default/pods/p", Some(0)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let pods = host.get("/api/v1/pods").await.expect("list");
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(1));
    other["metadata"]["annotations"] = json!({"skerry.dev/accept-tenant": identity});
    tenants.send_replace(Arc::new(vec![entry(&other)]));
    hub.until("accepted", &path, |o| reason(o, "CaughtUp")).await;
    host.until("deleting", "/api/v1/pods", |l| {
        l["items"]
            .as_array()
            .is_some_and(|l| l.iter().all(|p| p["metadata"]["deletionTimestamp"].is_string()))
    })
    .await;
    stop.cancel();
    run.await.expect("no panic");
    server.shutdown().await;
}
