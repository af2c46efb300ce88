//! DNS for a tenant's pods: found, answered, kept over a restart, gone with the tenant (DN1–DN5, SY-112).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use serde_json::{Value, json};
use skerry_syncer::TenantEntry;
use tokio::net::UdpSocket;

use crate::world::World;

/// Where the tenant's DNS is: behind the Service of its home namespace.
pub async fn server(w: &World) -> SocketAddr {
    server_of(w, &w.entry).await
}

/// The same for any tenant of the host.
pub async fn server_of(w: &World, tenant: &TenantEntry) -> SocketAddr {
    let home = tenant.mapping().home();
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{home}/endpointslices/dns");
    let slice = w.host.until("the slice", &path, |_| true).await;
    let port = slice["ports"][0]["port"].as_u64().expect("a port");
    assert!((20_000..60_000).contains(&port), "{slice}");
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "dns");
    let address = slice["endpoints"][0]["addresses"][0].as_str().expect("an address");
    format!("{address}:{port}").parse().expect("an address")
}

pub async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.send_to(&question.to_vec().expect("a packet"), server).await.expect("sent");
    let mut buffer = [0; 4096];
    let received = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await;
    let answer = Message::from_vec(&buffer[..received.expect("in time").expect("an answer")]).expect("DNS");
    assert_eq!(answer.metadata.id, question.metadata.id);
    answer
}

async fn addresses(server: SocketAddr, name: &str) -> Vec<String> {
    let answer = ask(server, name, RecordType::A).await;
    answer.answers.iter().map(|r| r.data.to_string()).collect()
}

/// Asks until the answer is as wanted: within a second of its event (DN2).
async fn until(server: SocketAddr, name: &str, wanted: &[String]) {
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        // Whoever asks before the port is open gets no answer at all.
        let asked = tokio::time::timeout(Duration::from_secs(1), addresses(server, name)).await;
        let found = asked.unwrap_or_default();
        if found == wanted {
            return;
        }
        assert!(Instant::now() < end, "{name}: {found:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_dn1_pods_find_their_dns() {
    let mut w = World::new("names", false).await;
    let services = format!("/api/v1/namespaces/{}/services", w.namespace);
    let spec = json!({"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]});
    w.tenant.post(&services, json!({"metadata": {"name": "web"}, "spec": spec})).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    let pod = w.host.until("host pod", &w.host_path("pods", "web").await, |_| true).await;
    let home = w.entry.mapping().home();
    let path = format!("/api/v1/namespaces/{home}/services/dns");
    let service = w.host.get(&path).await.expect("the Service is there before the first pod");
    assert_eq!(service["spec"].get("selector"), None);
    let own = w.namespace.clone();
    assert_eq!(pod["spec"]["dnsPolicy"], "None");
    let config = &pod["spec"]["dnsConfig"];
    assert_eq!(config["nameservers"], json!([service["spec"]["clusterIP"]]));
    let searches = json!([format!("{own}.svc.cluster.local"), "svc.cluster.local", "cluster.local"]);
    assert_eq!(config["searches"], searches);

    let server = server(&w).await;
    let name = format!("web.{own}.svc.cluster.local.");
    // Addresses are not agreed here, so names lead to the host's (SV1).
    let web = w.host.until("host Service", &w.host_path("services", "web").await, |_| true).await;
    let ip = web["spec"]["clusterIP"].as_str().expect("an address").to_owned();
    until(server, &name, std::slice::from_ref(&ip)).await;
    let alias = format!("web.{}.svc.cluster.local.", w.host_namespace().await);
    until(server, &alias, std::slice::from_ref(&ip)).await;
    let none = ask(server, &format!("nobody.{own}.svc.cluster.local."), RecordType::A).await;
    assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
    let more = json!({"metadata": {"name": "away"}, "spec": {"type": "ExternalName", "externalName": "web.x.example"}});
    w.tenant.post(&services, more).await;
    let away = format!("away.{own}.svc.cluster.local.");
    let end = Instant::now() + Duration::from_secs(10);
    while ask(server, &away, RecordType::CNAME).await.answers.is_empty() {
        assert!(Instant::now() < end, "the alias is not answered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Whoever is none of the tenant's pods has nobody asked for it (DN5).
    let started = Instant::now();
    let other = ask(server, "example.com.", RecordType::A).await;
    assert_eq!(other.metadata.response_code, ResponseCode::Refused);
    assert!(started.elapsed() >= Duration::from_secs(2), "a pod that is being reported is waited for");
    let transfer = ask(server, "cluster.local.", RecordType::AXFR).await;
    assert_eq!(transfer.metadata.response_code, ResponseCode::Refused);

    // A restart finds everything in place, the port too, and answers with all of it again (SY-112).
    w.halt().await;
    w.start(None);
    w.synced("CaughtUp").await;
    until(server, &name, &[ip]).await;
    assert_eq!(w.writes(), 0, "{:?}", w.handle().counts());
    w.tenant.delete(&w.path("services", "web"), None).await;
    until(server, &name, &[]).await;

    // With the tenant its home goes, unless somebody put something there.
    let strange = format!("/api/v1/namespaces/{home}/configmaps");
    w.host.post(&strange, json!({"metadata": {"name": "theirs"}})).await;
    let mut entry = w.entry.clone();
    entry.owner.draining = true;
    w.give(entry);
    w.host.gone("the pod", &w.host_path("pods", "web").await).await;
    let states = w.handle().states();
    let named = async {
        loop {
            let state = states.borrow().get(&w.entry.id).cloned();
            let left = state.and_then(|s| s.remaining).unwrap_or_default();
            if left.iter().any(|r| r.blocked_on.as_deref() == Some("foreign ConfigMap theirs")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), named).await.expect("the foreign object is named");
    w.host.delete(&format!("{strange}/theirs"), None).await;
    w.synced("Drained").await;
    let space: Option<Value> = w.host.get(&format!("/api/v1/namespaces/{home}")).await;
    assert!(space.is_none_or(|s| s["metadata"]["deletionTimestamp"].is_string()));
    w.end().await;
}
