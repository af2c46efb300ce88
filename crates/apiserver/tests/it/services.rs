//! AS-52: addresses of Services come with the Service or not at all: from the host by the gate, else from the tenant's
//! own range.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use skerry_apiserver::bus::{Local, Patch};
use skerry_apiserver::config::OnHostUnavailable;
use skerry_apiserver::identity::Identity;
use skerry_apiserver::model::status::ApiStatus;
use skerry_apiserver::tenant::TenantId;
use skerry_apiserver::tunnel::{GateError, HostAllocation, PortAllocation, ServiceGate, ServiceIntent};
use tokio::sync::Semaphore;

use crate::support::World;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";

/// A host that gives addresses in turn, and writes down what it was asked.
struct Host {
    calls: Mutex<Vec<String>>,
    held: Mutex<BTreeSet<String>>,
    fails: Mutex<Option<GateError>>,
    /// Each reservation waits for one of these.
    open: Semaphore,
}

impl Host {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            held: Mutex::default(),
            fails: Mutex::default(),
            open: Semaphore::new(1000),
        })
    }

    fn answer(&self, what: &str, service: &ServiceIntent) -> Result<HostAllocation, GateError> {
        let mut calls = self.calls.lock();
        calls.push(format!("{what} {}", service.name));
        if let Some(error) = self.fails.lock().clone() {
            return Err(error);
        }
        self.held.lock().insert(service.uid.clone());
        let ports = service.object["spec"]["ports"].as_array().unwrap();
        let ports = ports.iter().zip(31000..).map(|(port, node_port)| PortAllocation {
            port: port["port"].as_u64().unwrap() as u16,
            protocol: "TCP".into(),
            node_port,
        });
        Ok(HostAllocation {
            cluster_ips: vec![IpAddr::from([172, 20, 0, calls.len() as u8])],
            node_ports: if service.object["spec"]["type"] == "NodePort" {
                ports.collect()
            } else {
                Vec::new()
            },
            health_check_node_port: None,
        })
    }
}

#[async_trait]
impl ServiceGate for Host {
    async fn reserve(&self, _: TenantId, service: &ServiceIntent) -> Result<HostAllocation, GateError> {
        let pass = self.open.acquire().await.unwrap();
        pass.forget();
        self.answer("reserve", service)
    }

    async fn update(&self, _: TenantId, service: &ServiceIntent) -> Result<HostAllocation, GateError> {
        self.answer("update", service)
    }

    async fn release(&self, _: TenantId, uid: &str) -> Result<(), GateError> {
        self.calls.lock().push("release".into());
        assert!(self.held.lock().remove(uid), "what is released was reserved");
        Ok(())
    }
}

async fn hosted() -> (World, Arc<Host>) {
    let (w, host) = (World::new().await, Host::new());
    w.server.attach_service_gate(host.clone());
    (w, host)
}

fn service(name: &str, mut spec: Value) -> Value {
    if spec["ports"].is_null() && spec["type"] != "ExternalName" {
        spec["ports"] = json!([{ "port": 80 }]);
    }
    json!({ "metadata": { "name": name }, "spec": spec })
}

fn external(name: &str) -> Value {
    service(name, json!({ "type": "ExternalName", "externalName": "example.com" }))
}

fn cause(status: &ApiStatus) -> (u16, &str, &str) {
    let cause = status.details.causes.first();
    (status.code, cause.map_or("", |c| &c.field), cause.map_or("", |c| &c.message))
}

fn defer(w: &World) {
    let mut spec = (*w.tenant.spec()).clone();
    spec.on_host_unavailable = OnHostUnavailable::Defer;
    w.tenant.set_spec(spec);
}

#[tokio::test]
async fn as52_the_first_read_has_the_address() {
    let (w, host) = hosted().await;
    let mut events = w.watch(&format!("{SERVICES}?watch=true&resourceVersion=1")).await;
    let made = w.post(SERVICES, service("s", json!({ "type": "NodePort" }))).await.unwrap();
    let seen = events.next().await.unwrap();
    for object in [&made, &seen["object"], &w.get(&format!("{SERVICES}/s")).await.unwrap()] {
        assert_eq!(object["spec"]["clusterIP"], "172.20.0.1");
        assert_eq!(object["spec"]["clusterIPs"], json!(["172.20.0.1"]));
        assert_eq!(object["spec"]["ports"][0]["nodePort"], 31000);
        assert_eq!(object["spec"]["ipFamilies"], json!(["IPv4"]));
    }
    let own = w.get(ADDRESSES).await.unwrap()["items"].as_array().unwrap().len();
    assert_eq!(own, 1, "the address is the host's");
    // Nothing is asked for what needs none: a label, a headless one, another name for a name.
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    w.api.patch(&format!("{SERVICES}/s"), Patch::Merge, &label).await.unwrap();
    let headless = w.post(SERVICES, service("h", json!({ "clusterIP": "None" }))).await.unwrap();
    assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    w.post(SERVICES, external("e")).await.unwrap();
    assert_eq!(*host.calls.lock(), ["reserve s"]);
    // Its ports are: the host follows. So it does when it becomes one with an address.
    let ports = json!({ "spec": { "ports": [{ "port": 81 }] } });
    let now = w.api.patch(&format!("{SERVICES}/s"), Patch::Merge, &ports).await.unwrap();
    assert_eq!(now["spec"]["ports"][0]["nodePort"], 31000);
    let change = json!({ "spec": { "type": "ClusterIP", "ports": [{ "port": 80 }], "externalName": null } });
    let now = w.api.patch(&format!("{SERVICES}/e"), Patch::Merge, &change).await.unwrap();
    assert_eq!(now["spec"]["clusterIP"], "172.20.0.3");
    assert_eq!(*host.calls.lock(), ["reserve s", "update s", "reserve e"]);
}

#[tokio::test]
async fn as52_a_service_without_an_address_is_not_stored() {
    let (w, host) = hosted().await;
    let before = w.tenant.store.current_rv();
    *host.fails.lock() = Some(GateError::Unavailable);
    let refused = w.post(SERVICES, service("s", json!({}))).await.unwrap_err();
    assert_eq!(refused.code, 503);
    assert_eq!(refused.message, "services \"s\": host did not allocate a cluster IP");
    let status = ApiStatus::plain(403, "Forbidden", "no more Services");
    *host.fails.lock() = Some(GateError::Refused(status));
    assert_eq!(w.post(SERVICES, service("s", json!({}))).await.unwrap_err().code, 403);
    assert_eq!(w.tenant.store.current_rv(), before);
    assert_eq!(w.get(&format!("{SERVICES}/s")).await.unwrap_err().code, 404);
}

#[tokio::test]
async fn as52_what_a_refused_commit_reserved_is_released() {
    let (w, host) = hosted().await;
    let acquired = host.open.acquire_many(1000).await.unwrap();
    acquired.forget();
    let (w, host) = (Arc::new(w), host);
    let posting: Vec<_> = (0..3)
        .map(|_| {
            let w = w.clone();
            tokio::spawn(async move { w.post(SERVICES, service("s", json!({}))).await })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    // All of them saw the name free.
    host.open.add_permits(1000);
    let mut codes = Vec::new();
    for post in posting {
        codes.push(post.await.unwrap().map_or_else(|s| s.code, |_| 201));
    }
    codes.sort_unstable();
    assert_eq!(codes, [201, 409, 409]);
    let made = w.get(&format!("{SERVICES}/s")).await.unwrap();
    let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(*host.held.lock(), BTreeSet::from([uid.clone()]), "one reservation is left");

    // An object that is too large is refused after its reservation.
    let large: String = "x".repeat(1_600_000);
    let annotated = |name: &str| {
        let mut object = service(name, json!({}));
        object["spec"]["sessionAffinity"] = "None".into();
        object["spec"]["selector"] = json!({ "a": large });
        object
    };
    let refused = w.post(SERVICES, annotated("large")).await.unwrap_err();
    assert_eq!(refused.code, 413, "{}", refused.message);
    assert_eq!(*host.held.lock(), BTreeSet::from([uid]));
}

#[tokio::test]
async fn as52_an_update_that_conflicts_releases_too() {
    let (w, host) = hosted().await;
    let made = w.post(SERVICES, external("e")).await.unwrap();
    let acquired = host.open.acquire_many(1000).await.unwrap();
    acquired.forget();
    let w = Arc::new(w);
    let mut put = service("e", json!({ "type": "ClusterIP" }));
    put["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    let putting = {
        let w = w.clone();
        tokio::spawn(async move { w.api.update(&format!("{SERVICES}/e"), &put).await })
    };
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    w.api.patch(&format!("{SERVICES}/e"), Patch::Merge, &label).await.unwrap();
    host.open.add_permits(1000);
    assert_eq!(putting.await.unwrap().unwrap_err().code, 409);
    assert_eq!(host.held.lock().len(), 0);
    assert_eq!(*host.calls.lock(), ["reserve e", "release"]);
}

#[tokio::test]
async fn as52_a_deferred_address_is_set_once() {
    let (w, host) = hosted().await;
    defer(&w);
    *host.fails.lock() = Some(GateError::Unavailable);
    let made = w.post(SERVICES, service("s", json!({}))).await.unwrap();
    assert_eq!(made["spec"]["clusterIP"], Value::Null);
    let path = format!("{SERVICES}/s");
    let owner = Identity::user("jane", ["system:masters".to_owned()]);
    let owner = Local::new(w.server.clone(), w.tenant.clone(), owner, "test");
    let asked = |ip: &str| json!({ "spec": { "clusterIP": ip, "clusterIPs": [ip] } });
    let refused = owner.patch(&path, Patch::Merge, &asked("172.20.0.66")).await.unwrap_err();
    assert_eq!(refused.code, 503, "an address of one's own choice is not put off");
    assert_eq!(
        w.post(SERVICES, service("t", json!({ "clusterIP": "172.20.0.66" }))).await.unwrap_err().code,
        503
    );

    let set =
        w.api.patch(&path, Patch::Merge, &json!({ "spec": { "clusterIP": "172.20.0.9" } })).await.unwrap();
    assert_eq!(set["spec"]["clusterIPs"], json!(["172.20.0.9"]));
    assert_eq!(set["spec"]["ipFamilies"], json!(["IPv4"]));
    let again = w.api.patch(&path, Patch::Merge, &asked("172.20.0.10")).await.unwrap_err();
    assert_eq!(
        cause(&again),
        (422, "spec.clusterIPs[0]", "Invalid value: [\"172.20.0.10\"]: may not change once set")
    );

    // Where the host is back before the system, the next change of the ports brings the address.
    w.post(SERVICES, service("u", json!({}))).await.unwrap();
    *host.fails.lock() = None;
    let ports = json!({ "spec": { "ports": [{ "port": 81 }] } });
    let now = owner.patch(&format!("{SERVICES}/u"), Patch::Merge, &ports).await.unwrap();
    assert!(now["spec"]["clusterIP"].as_str().unwrap().starts_with("172.20.0."));
    assert_eq!(host.calls.lock().last().unwrap(), "reserve u");
}

#[tokio::test]
async fn as52_without_a_host_the_tenants_own_range_serves() {
    for attached in [false, true] {
        let w = World::new().await;
        if attached {
            let host = Host::new();
            *host.fails.lock() = Some(GateError::NoHost);
            w.server.attach_service_gate(host);
        }
        let made = w.post(SERVICES, service("s", json!({}))).await.unwrap();
        let ip = made["spec"]["clusterIP"].as_str().unwrap().to_owned();
        let octets = ip.parse::<std::net::Ipv4Addr>().unwrap().octets();
        assert!(octets[0] == 10 && (96..112).contains(&octets[1]), "{ip}");
        let held = w.get(&format!("{ADDRESSES}/{ip}")).await.unwrap();
        let parent = json!({ "group": "", "resource": "services", "namespace": "default", "name": "s" });
        assert_eq!(held["spec"]["parentRef"], parent);
        assert_eq!(held["metadata"]["labels"]["ipaddress.kubernetes.io/ip-family"], "IPv4");
        assert_eq!(held["metadata"]["labels"]["ipaddress.kubernetes.io/managed-by"], "ipallocator.k8s.io");

        let given = w.post(SERVICES, service("g", json!({ "clusterIP": "10.96.7.7" }))).await.unwrap();
        assert_eq!(given["spec"]["clusterIPs"], json!(["10.96.7.7"]));
        assert_eq!(w.get(&format!("{ADDRESSES}/10.96.7.7")).await.unwrap()["spec"]["parentRef"]["name"], "g");
        let before = w.tenant.store.current_rv();
        for (address, detail) in [
            ("10.96.7.7", "failed to allocate IP 10.96.7.7: provided IP is already allocated"),
            ("10.96.0.1", "failed to allocate IP 10.96.0.1: provided IP is already allocated"),
            (
                "10.96.0.0",
                "failed to allocate IP 10.96.0.0: provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/12",
            ),
            (
                "192.0.2.1",
                "failed to allocate IP 192.0.2.1: provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/12",
            ),
        ] {
            let refused = w.post(SERVICES, service("x", json!({ "clusterIP": address }))).await.unwrap_err();
            let wanted = format!("Invalid value: [\"{address}\"]: {detail}");
            assert_eq!(cause(&refused), (422, "spec.clusterIPs", &*wanted));
        }
        for (address, wanted) in [
            ("fd00::1", "Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"),
            ("ten", "Invalid value: \"ten\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        ] {
            let refused = w.post(SERVICES, service("x", json!({ "clusterIP": address }))).await.unwrap_err();
            assert_eq!(cause(&refused), (422, "spec.clusterIPs[0]", wanted));
        }
        assert_eq!(w.tenant.store.current_rv(), before, "no refusal leaves an address behind");

        // An address goes with its Service, or with the type that needs one.
        w.api.delete(&format!("{SERVICES}/s"), &json!({})).await.unwrap();
        assert_eq!(w.get(&format!("{ADDRESSES}/{ip}")).await.unwrap_err().code, 404);
        let path = format!("{SERVICES}/g");
        let name = json!({ "spec": { "type": "ExternalName", "externalName": "example.com" } });
        let changed = w.api.patch(&path, Patch::Merge, &name).await.unwrap();
        assert_eq!(changed["spec"]["clusterIP"], Value::Null);
        assert_eq!(w.get(&format!("{ADDRESSES}/10.96.7.7")).await.unwrap_err().code, 404);
        w.post(SERVICES, service("h", json!({ "clusterIP": "10.96.7.7" }))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as52_nothing_is_given_twice() {
    let w = Arc::new(World::new().await);
    let posting: Vec<_> = (0..12)
        .map(|i| {
            let w = w.clone();
            let spec = match i {
                0..4 => json!({ "clusterIP": "10.96.9.9" }),
                _ => json!({ "type": "NodePort" }),
            };
            tokio::spawn(async move { w.post(SERVICES, service(&format!("s{i}"), spec)).await })
        })
        .collect();
    let (mut codes, mut ports) = (Vec::new(), BTreeSet::new());
    for (i, post) in posting.into_iter().enumerate() {
        let answer = post.await.unwrap();
        if i < 4 {
            codes.push(answer.map_or_else(|s| s.code, |_| 201));
        } else {
            ports.insert(answer.unwrap()["spec"]["ports"][0]["nodePort"].as_u64().unwrap());
        }
    }
    codes.sort_unstable();
    assert_eq!(codes, [201, 422, 422, 422]);
    assert_eq!(ports.len(), 8, "{ports:?}");
    let fixed =
        |port: u16| service("f", json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": port }] }));
    let taken = w.post(SERVICES, fixed(*ports.first().unwrap() as u16)).await.unwrap_err();
    let wanted = format!("Invalid value: {}: provided port is already allocated", ports.first().unwrap());
    assert_eq!(cause(&taken), (422, "spec.ports[0].nodePort", &*wanted));
    let outside = w.post(SERVICES, fixed(80)).await.unwrap_err();
    let wanted =
        "Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767";
    assert_eq!(cause(&outside), (422, "spec.ports[0].nodePort", wanted));
}
