//! `kube-system/kube-dns` of a tenant: shown, kept, withdrawn, never in the way of one that the tenant made (DN4); records
//! of the tenant's own (DN3).

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use skerry::cli::adapters::gate::Gate;
use skerry_syncer::TenantEntry;
use skerry_syncer::facts::DnsMode;

use crate::dns::{ask, server};
use crate::world::World;

const SHOWN: &str = "/api/v1/namespaces/kube-system/services/kube-dns";

/// The tenant with another mode of DNS.
fn moded(w: &World, mode: &str) -> TenantEntry {
    let mut entry = w.entry.clone();
    Arc::make_mut(&mut entry.effective).dns.mode = mode.to_owned();
    entry.network.dns = if mode == "None" { DnsMode::None } else { DnsMode::Host };
    entry
}

/// The address of the tenant's DNS on the host, once a first pod has called for it.
async fn carried(w: &World) -> Value {
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    w.host.until("host pod", &w.host_path("pods", "web").await, |_| true).await;
    let path = format!("/api/v1/namespaces/{}/services/dns", w.entry.mapping().home());
    w.host.get(&path).await.expect("the DNS of the tenant")["spec"]["clusterIP"].clone()
}

/// What of a Service leads somewhere.
fn leads(service: &Value) -> Value {
    let port = |p: &Value| json!([p["name"], p["port"], p["protocol"]]);
    let ports: Vec<Value> = service["spec"]["ports"].as_array().into_iter().flatten().map(port).collect();
    json!([
        service["spec"]["clusterIP"],
        service["spec"]["type"],
        service["spec"]["selector"],
        service["metadata"]["labels"]["k8s-app"],
        ports
    ])
}

fn wanted(ip: &Value) -> Value {
    json!([ip, "ClusterIP", null, "kube-dns", [["dns", 53, "UDP"], ["dns-tcp", 53, "TCP"]]])
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_dn4_the_dns_is_shown() {
    let mut w = World::new("shown", false).await;
    let ip = carried(&w).await;
    let shown = w.tenant.until("kube-dns", SHOWN, |_| true).await;
    assert_eq!(leads(&shown), wanted(&ip));
    let uid = &shown["metadata"]["uid"];

    // What is edited is mended, what is deleted is made again.
    let edits = [
        json!({"metadata": {"labels": {"k8s-app": "mine"}, "annotations": {"skerry.dev/imported": null}}}),
        json!({"spec": {"selector": {"app": "web"}, "ports": [{"name": "dns", "port": 5353, "protocol": "UDP"}]}}),
        json!({"spec": {"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}, {"name": "more", "port": 1}]}}),
        json!({"spec": {"type": "NodePort"}}),
    ];
    for edit in edits {
        w.tenant.merge(SHOWN, edit.clone()).await;
        let mended = w.tenant.until(&edit.to_string(), SHOWN, |s| leads(s) == wanted(&ip)).await;
        assert_eq!(&mended["metadata"]["uid"], uid, "{edit}");
    }
    w.tenant.delete(SHOWN, None).await;
    w.tenant.until("made again", SHOWN, |s| &s["metadata"]["uid"] != uid && leads(s) == wanted(&ip)).await;

    // The host has none of it, and a restart finds all in order.
    let spaces = w.host.get("/api/v1/namespaces").await.expect("a list").to_string();
    assert!(!spaces.contains(&format!("sk-{}-kube-system-", w.entry.id)), "{spaces}");
    w.halt().await;
    w.start(None);
    w.synced("CaughtUp").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(w.writes(), 0, "{:?}", w.handle().counts());

    // With nobody to answer it goes, and the name is the tenant's to use.
    w.give(moded(&w, "None"));
    w.tenant.gone("withdrawn", SHOWN).await;
    let own = json!({"metadata": {"name": "kube-dns"}, "spec": {"selector": {"app": "dns"}, "ports": [{"port": 53}]}});
    let own = w.tenant.post(SHOWN.trim_end_matches("/kube-dns"), own).await;
    let kube_system = w.tenant.get("/api/v1/namespaces/kube-system").await.expect("there");
    let space =
        w.entry.mapping().namespace("kube-system", kube_system["metadata"]["uid"].as_str().expect("uid"));
    let copy = format!("/api/v1/namespaces/{space}/services/kube-dns");
    w.host.until("carried like any other", &copy, |_| true).await;
    w.give(w.entry.clone());
    w.synced("CaughtUp").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let kept = w.tenant.get(SHOWN).await.expect("there");
    assert_eq!(
        (&kept["metadata"]["uid"], &kept["spec"]),
        (&own["metadata"]["uid"], &own["spec"]),
        "it stays the tenant's"
    );
    // Once it is gone the DNS is shown again, and the copy goes.
    w.tenant.delete(SHOWN, None).await;
    w.tenant.until("shown again", SHOWN, |s| leads(s) == wanted(&ip)).await;
    w.host.gone("the copy", &copy).await;
    w.end().await;
}

/// Where host and tenant agree on addresses, the host's own allocator has given this one away already.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_dn4_among_agreed_addresses() {
    let w = World::new("shown-agreed", true).await;
    w.server().attach_service_gate(Arc::new(Gate(w.handle().clone())));
    let ip = carried(&w).await;
    w.tenant.until("kube-dns", SHOWN, |s| leads(s) == wanted(&ip)).await;
    w.tenant.merge(SHOWN, json!({"spec": {"ports": [{"name": "dns", "port": 54, "protocol": "UDP"}]}})).await;
    w.tenant.until("mended", SHOWN, |s| leads(s) == wanted(&ip)).await;
    // Nobody else gets it, under whatever name.
    let other = json!({"metadata": {"name": "mine"}, "spec": {"clusterIP": ip, "ports": [{"port": 53}]}});
    let path = format!("/api/v1/namespaces/{}/services", w.namespace);
    let refused = w.tenant.call("POST", &path, "application/json", Some(other)).await;
    assert_eq!(refused, Err(422));
    w.end().await;
}

/// Mode Host: pods ask the host's DNS, and that is what is shown.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_dn4_of_the_host() {
    let mut w = World::new("shown-host", false).await;
    w.halt().await;
    let _there = w
        .host
        .call(
            "POST",
            "/api/v1/namespaces",
            "application/json",
            Some(json!({"metadata": {"name": "kube-system"}})),
        )
        .await;
    let dns = json!({"metadata": {"name": "kube-dns"}, "spec": {"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]}});
    let dns = w.host.post("/api/v1/namespaces/kube-system/services", dns).await;
    w.entry = moded(&w, "Host");
    w.start(None);
    w.tenant.until("kube-dns", SHOWN, |s| leads(s) == wanted(&dns["spec"]["clusterIP"])).await;
    w.host.delete("/api/v1/namespaces/kube-system/services/kube-dns", None).await;
    w.end().await;
}

/// Records of the tenant's own, as they are told and told anew.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_dn3_records_are_answered() {
    let w = World::new("records", false).await;
    let told = |records: Value| {
        let object = json!({"metadata": {"name": w.entry.owner.name, "namespace": w.entry.owner.namespace, "uid": w.entry.owner.uid, "generation": 1},
            "spec": {"podSecurity": {"enforce": "privileged"}, "sync": {}, "network": {"dns": {"records": records}}},
            "status": {"id": &*w.entry.id, "hosts": [{"name": "h"}], "class": {"name": "standard"}}});
        let (client, network) = (w.tenant.0.clone(), w.entry.network.clone());
        TenantEntry::of(&object, &Value::Null, client, w.entry.reach, network, false).expect("an entry")
    };
    w.give(told(json!([{"name": "db.corp.example", "addresses": ["192.0.2.7", "192.0.2.8"]},
        {"name": "www.corp.example", "cname": "db.corp.example"}])));
    carried(&w).await;
    let dns = server(&w).await;
    let found = async |name: &str| -> Vec<String> {
        ask(dns, name, RecordType::A).await.answers.iter().map(|r| r.data.to_string()).collect()
    };
    assert_eq!(found("db.corp.example.").await, ["192.0.2.7", "192.0.2.8"]);
    assert_eq!(found("www.corp.example.").await, ["db.corp.example.", "192.0.2.7", "192.0.2.8"]);
    w.give(told(json!([{"name": "db.corp.example", "addresses": ["192.0.2.9"]}])));
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while found("db.corp.example.").await != ["192.0.2.9"] {
        assert!(std::time::Instant::now() < end, "the new record is not answered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    w.end().await;
}
