//! AS-54, J1: a tenant that floods the server leaves its neighbour the share that its weight gives it; nobody sits where
//! only waiting is to be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use parking_lot::Mutex;
use serde_json::json;
use skerry_apiserver::bus::Local;
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::fair::Class;
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::{Body, BoxError, Server, body};
use skerry_apiserver::request;
use skerry_apiserver::tenant::{Tenant, TenantId};
use skerry_apiserver::tunnel::{
    GateError, HostAllocation, ServiceGate, ServiceIntent, Target, Tunnel, TunnelError, TunnelHead,
    TunnelStream,
};
use tokio::sync::Semaphore;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const ONE: &str = "/api/v1/namespaces/default/configmaps/m";
const PODS: &str = "/api/v1/namespaces/default/pods";

async fn server(settings: &str) -> Arc<Server> {
    let config = ServerConfig::from_yaml(settings).unwrap();
    Server::builder().config(config).without_controllers().build().await.unwrap()
}

async fn tenant(server: &Arc<Server>, uid: &str, weight: u8) -> Arc<Tenant> {
    let defaults = server.config().tenant_defaults;
    let mut spec = TenantSpec::new(TenantId::of_uid(uid), uid, Role::Tenant, &defaults);
    spec.weight = weight;
    server.tenants().create(spec).await.unwrap()
}

fn admin() -> Identity {
    Identity::user("jane", ["system:masters".to_owned()])
}

fn api(server: &Arc<Server>, tenant: &Arc<Tenant>) -> Local {
    Local::new(server.clone(), tenant.clone(), admin(), "test")
}

/// Repeats a request until told to stop; counts what succeeds.
fn repeat(api: &Local, method: Method, path: &'static str, done: &Arc<AtomicUsize>, stop: &Arc<AtomicBool>) {
    let (api, done, stop) = (api.clone(), done.clone(), stop.clone());
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            let body = json!({ "data": { "k": done.load(Ordering::Relaxed).to_string() } });
            let sent = (method == Method::PATCH).then_some(&body);
            // As a socket would let others run between two requests.
            tokio::task::yield_now().await;
            match api.send(method.clone(), path, "application/merge-patch+json", sent).await {
                Ok(_) => _ = done.fetch_add(1, Ordering::Relaxed),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    });
}

/// Opens watches with all objects at the beginning, one after the other.
fn watch(server: &Arc<Server>, tenant: &Arc<Tenant>, done: &Arc<AtomicUsize>, stop: &Arc<AtomicBool>) {
    let (server, tenant, done, stop) = (server.clone(), tenant.clone(), done.clone(), stop.clone());
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
            let request = Request::get(format!("{MAPS}?watch=true")).body(body::empty()).unwrap();
            let response = request::serve(&server, tenant.clone(), admin(), request).await;
            done.fetch_add(usize::from(response.status() == 200), Ordering::Relaxed);
        }
    });
}

/// What A completed of all that was completed while B flooded.
async fn share_of_a(weight_of_a: u8) -> f64 {
    let server = server("{store: {backend: memory}, resources: {seats: 2}}").await;
    let (a, b) = (tenant(&server, "a", weight_of_a).await, tenant(&server, "b", 10).await);
    let (of_a, of_b) = (api(&server, &a), api(&server, &b));
    for _ in 0..20 {
        of_b.create(MAPS, &json!({ "metadata": { "generateName": "m-" } })).await.unwrap();
    }
    of_b.create(MAPS, &json!({ "metadata": { "name": "m" } })).await.unwrap();
    of_a.create(MAPS, &json!({ "metadata": { "name": "m" } })).await.unwrap();
    let (done_a, done_b) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..60 {
        repeat(&of_b, Method::GET, MAPS, &done_b, &stop);
        repeat(&of_b, Method::PATCH, ONE, &done_b, &stop);
    }
    for _ in 0..30 {
        repeat(&of_b, Method::GET, "/api/v1/namespaces/default", &done_b, &stop);
        watch(&server, &b, &done_b, &stop);
    }
    while done_b.load(Ordering::Relaxed) < 200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let before = done_b.load(Ordering::Relaxed);
    for _ in 0..30 {
        repeat(&of_a, Method::GET, ONE, &done_a, &stop);
    }
    while done_a.load(Ordering::Relaxed) < 400 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (a, b) = (done_a.load(Ordering::Relaxed), done_b.load(Ordering::Relaxed) - before);
    stop.store(true, Ordering::Relaxed);
    server.shutdown().await;
    println!("weight {weight_of_a}: {a} of {}", a + b);
    a as f64 / (a + b) as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as54_a_flood_leaves_a_neighbour_its_share() {
    // A's requests are not all in line at every moment: a twentieth is allowed for that.
    assert!(share_of_a(10).await >= 0.5 * 0.95);
    assert!(share_of_a(30).await >= 0.75 * 0.95);
}

/// A host where everything takes until it is let go on.
struct Slow(Semaphore);

#[async_trait]
impl ServiceGate for Slow {
    async fn reserve(&self, _: TenantId, _: &ServiceIntent) -> Result<HostAllocation, GateError> {
        self.0.acquire().await.unwrap().forget();
        Ok(HostAllocation { cluster_ips: vec![[10, 0, 0, 7].into()], ..HostAllocation::default() })
    }
    async fn update(&self, tenant: TenantId, service: &ServiceIntent) -> Result<HostAllocation, GateError> {
        self.reserve(tenant, service).await
    }
    async fn release(&self, _: TenantId, _: &str) -> Result<(), GateError> {
        Ok(())
    }
}

#[async_trait]
impl Tunnel for Slow {
    async fn open(&self, _: TenantId, _: Target, _: TunnelHead) -> Result<TunnelStream, TunnelError> {
        self.0.acquire().await.unwrap().forget();
        Ok(TunnelStream::Answer(Response::new(body::full("a line\n"))))
    }
}

/// Sends a request and leaves it waiting; then another one of the same tenant is answered although there is one seat.
async fn beside(
    server: &Arc<Server>,
    tenant: &Arc<Tenant>,
    request: Request<Body>,
) -> tokio::task::JoinHandle<u16> {
    let waiting = {
        let (server, tenant) = (server.clone(), tenant.clone());
        tokio::spawn(async move {
            let response = request::serve(&server, tenant, admin(), request).await;
            let code = response.status().as_u16();
            response.into_body().collect().await.unwrap();
            code
        })
    };
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let api = api(server, tenant);
    let other = tokio::time::timeout(Duration::from_secs(10), api.send(Method::GET, MAPS, "", None));
    assert!(other.await.expect("a seat is free").is_ok());
    assert!(!waiting.is_finished());
    waiting
}

#[tokio::test]
async fn j1_who_waits_has_no_seat() {
    let server = server("{store: {backend: memory}, resources: {seats: 1}}").await;
    let tenant = tenant(&server, "a", 10).await;
    let slow = Arc::new(Slow(Semaphore::new(0)));
    server.attach_service_gate(slow.clone());
    server.attach_tunnel(slow.clone());
    let api = api(&server, &tenant);
    let spec = json!({ "containers": [{ "name": "c", "image": "i" }], "nodeName": "n" });
    api.create(PODS, &json!({ "metadata": { "name": "p" }, "spec": spec })).await.unwrap();

    // For a body that comes slowly.
    let (sender, receiver) = futures::channel::mpsc::unbounded::<Bytes>();
    sender.unbounded_send(Bytes::from_static(b"{\"metadata\":{\"name\":")).unwrap();
    let frames = receiver.map(|bytes| Ok::<_, BoxError>(Frame::data(bytes)));
    let request = Request::post(MAPS).header("content-type", "application/json");
    let waiting =
        beside(&server, &tenant, request.body(StreamBody::new(frames).boxed_unsync()).unwrap()).await;
    sender.unbounded_send(Bytes::from_static(b"\"slow\"}}")).unwrap();
    drop(sender);
    assert_eq!(waiting.await.unwrap(), 201);

    // For a host: an address, a stream.
    let service = json!({ "metadata": { "name": "s" }, "spec": { "ports": [{ "port": 80 }] } }).to_string();
    let request =
        Request::post("/api/v1/namespaces/default/services").header("content-type", "application/json");
    let waiting = beside(&server, &tenant, request.body(body::full(service)).unwrap()).await;
    slow.0.add_permits(1);
    assert_eq!(waiting.await.unwrap(), 201);
    let log = Request::get(format!("{PODS}/p/log?follow=true")).body(body::empty()).unwrap();
    let waiting = beside(&server, &tenant, log).await;
    slow.0.add_permits(1);
    assert_eq!(waiting.await.unwrap(), 200);

    // An open watch has none.
    let request = Request::get(format!("{MAPS}?watch=true")).body(body::empty()).unwrap();
    let watching = request::serve(&server, tenant.clone(), admin(), request).await;
    assert_eq!((watching.status().as_u16(), server.seats().free()), (200, 1));
}

#[tokio::test]
async fn j1_a_commit_is_awaited_without_a_seat() {
    let settings = "{store: {backend: memory, commit: {linger: 10ms}}, resources: {seats: 1}}";
    let server = server(settings).await;
    let tenant = tenant(&server, "a", 10).await;
    let api = api(&server, &tenant);
    let writing =
        tokio::spawn(async move { api.create(MAPS, &json!({ "metadata": { "name": "m" } })).await.is_ok() });
    let mut free = 0;
    while !writing.is_finished() {
        let is_served = tenant.in_flight().counts().1 == 1;
        free += usize::from(is_served && server.seats().free() == 1);
        tokio::task::yield_now().await;
    }
    assert!(writing.await.unwrap());
    assert!(free > 5, "{free}");
}

#[tokio::test]
async fn j1_the_system_and_probes_need_no_seat() {
    let server = server("{store: {backend: memory}, resources: {seats: 1}}").await;
    let tenant = tenant(&server, "a", 10).await;
    let held = server.seats().take(TenantId::of_uid("b"), 10, Class::Reading).await.ok().unwrap();
    let system = Local::new(server.clone(), tenant.clone(), Identity::system("test"), "test");
    system.create(MAPS, &json!({ "metadata": { "name": "m" } })).await.unwrap();
    let ready = Request::get("/readyz").body(body::empty()).unwrap();
    assert_eq!(request::serve(&server, tenant.clone(), admin(), ready).await.status(), 200);
    let waiting = {
        let api = api(&server, &tenant);
        tokio::spawn(async move { api.send(Method::GET, MAPS, "", None).await.is_ok() })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished(), "everybody else waits");
    drop(held);
    assert!(waiting.await.unwrap());
    assert_eq!(server.seats().free(), 1);
}

/// Leases are one in ten of a tenant's turns, other writes four, reads five.
#[tokio::test]
async fn j1_classes_of_requests() {
    let server = server("{store: {backend: memory}, resources: {seats: 1}}").await;
    let tenant = tenant(&server, "a", 10).await;
    let held = server.seats().take(TenantId::of_uid("b"), 10, Class::Reading).await.ok().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let mut running = Vec::new();
    for (class, method, path) in
        [("lease", Method::GET, leases), ("mutating", Method::DELETE, MAPS), ("reading", Method::GET, MAPS)]
    {
        for _ in 0..40 {
            let (api, order, method) = (api(&server, &tenant), order.clone(), method.clone());
            let path = format!("{path}?labelSelector=none");
            running.push(tokio::spawn(async move {
                api.send(method, &path, "", None).await.unwrap();
                order.lock().push(class);
            }));
        }
    }
    while tenant.in_flight().counts() != (80, 40) {
        tokio::task::yield_now().await;
    }
    drop(held);
    for task in running {
        task.await.unwrap();
    }
    let order = order.lock().clone();
    let count = |class: &str| order[..60].iter().filter(|c| **c == class).count();
    assert_eq!((count("lease"), count("mutating"), count("reading")), (6, 24, 30), "{order:?}");
}
