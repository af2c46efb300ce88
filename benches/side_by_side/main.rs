//! Skerry beside a real kube-apiserver with etcd, in one run on one machine: apiserver B1, B4, B5, B6, tenancy G1, G3.
//! Figures only; nothing is asserted about them. `cargo xtask bench` runs it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot be made ends the program")]

mod load;

use std::time::{Duration, Instant};

use load::run;
use serde_json::{Value, json};
use skerry_testkit::upstream::client::{Connection, Target};
use skerry_testkit::upstream::control_plane::ControlPlane;
use skerry_testkit::upstream::processes::Processes;
use skerry_testkit::upstream::world::{Settings, World};

const CLUSTERS: &str = "/apis/skerry.dev/v1alpha1/virtualclusters";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// As many as the shipped class allows.
const IN_NAMESPACE: usize = 5;

fn main() {
    if std::env::var_os("SKERRY_UPSTREAM").is_none_or(|v| v != "1") {
        println!("skipped: side_by_side: SKERRY_UPSTREAM is not set");
        return;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::start(Settings::of(env!("CARGO_BIN_EXE_skerry")));
    let hub = Target::new(&world.path("data/kubeconfig"), Processes::of([world.pid()]));
    println!("{:<58} {:>14} {:>14}", "figure", "skerry", "upstream");
    tenants(&hub);
    let tenant = large(&world, "measured");
    pods(&world);
    let real = ControlPlane::start();
    let upstream = Target::new(&real.kubeconfig(), Processes::of(real.pids()));
    row(
        "resident, MiB (Skerry: all of `up`, tenants as above)",
        tenant.processes().memory(),
        upstream.processes().memory(),
    );
    side_by_side(&tenant, &upstream);
}

fn row(figure: &str, skerry: f64, upstream: f64) {
    println!("{figure:<58} {skerry:>14.2} {upstream:>14.2}");
}

fn one(figure: &str, skerry: f64) {
    println!("{figure:<58} {skerry:>14.2} {:>14}", "-");
}

fn config_map(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": "x".repeat(1024)}})
        .to_string()
}

/// Memory and pace at 1, 100 and 1,000 virtual clusters.
fn tenants(hub: &Target) {
    let mut connection = hub.connect();
    let base = hub.processes().memory();
    one("resident without a tenant, MiB", base);
    let mut made = 0;
    let mut ready_after = Vec::new();
    for wanted in [1usize, 100, 1000] {
        let (from, started) = (made, Instant::now());
        while made < wanted && started.elapsed() < Duration::from_secs(60) {
            create(&mut connection, made);
            if made < 20 {
                ready_after.push(wait_one(&mut connection, made));
            }
            made += 1;
        }
        let ready = wait_all(&mut connection, made, started);
        let seconds = started.elapsed().as_secs_f64();
        one(
            &format!("{made} tenants ({ready} Ready): created and Ready per second"),
            (made - from) as f64 / seconds,
        );
        one(
            &format!("{made} tenants: resident per tenant above the base, MiB"),
            (hub.processes().memory() - base) / made as f64,
        );
    }
    let before = hub.processes().cpu();
    std::thread::sleep(Duration::from_secs(5));
    one(&format!("{made} tenants, idle: percent of a core"), (hub.processes().cpu() - before) * 20.0);
    one("create to Ready, one at a time, p50 ms", median(ready_after) * 1000.0);
}

fn place(n: usize) -> (String, String) {
    (format!("bench-{}", n / IN_NAMESPACE), format!("c{n}"))
}

fn create(connection: &mut Connection, n: usize) {
    let (namespace, name) = place(n);
    if n.is_multiple_of(IN_NAMESPACE) {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let (code, answer) = connection.request("POST", "/api/v1/namespaces", &body.to_string());
        assert!(code < 300, "{}", String::from_utf8_lossy(&answer));
    }
    let path = CLUSTERS.replace("virtualclusters", &format!("namespaces/{namespace}/virtualclusters"));
    let body = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualCluster", "metadata": {"name": name}, "spec": {}});
    let (code, answer) = connection.request("POST", &path, &body.to_string());
    assert!(code < 300, "{}", String::from_utf8_lossy(&answer));
}

fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn wait_one(connection: &mut Connection, n: usize) -> f64 {
    let (namespace, name) = place(n);
    let path = CLUSTERS.replace("virtualclusters", &format!("namespaces/{namespace}/virtualclusters/{name}"));
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        let (_, body) = connection.request("GET", &path, "");
        if serde_json::from_slice::<Value>(&body).is_ok_and(|o| is_ready(&o)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    started.elapsed().as_secs_f64()
}

/// Waits until all are Ready, at most as long again as a minute; answers how many are.
fn wait_all(connection: &mut Connection, made: usize, started: Instant) -> usize {
    loop {
        let (_, body) = connection.request("GET", CLUSTERS, "");
        let list: Value = serde_json::from_slice(&body).unwrap_or_default();
        let ready = list["items"].as_array().into_iter().flatten().filter(|o| is_ready(o)).count();
        if ready == made || started.elapsed() > Duration::from_secs(120) {
            return ready;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A virtual cluster whose limits are none here.
fn large(world: &World, name: &str) -> Target {
    let kubectl = world.cluster_with("kubectl", name, &["--size", "large"]);
    Target::new(kubectl.config(), Processes::of([world.pid()]))
}

/// Pods of one tenant, from the first POST until the last is Running in the tenant.
fn pods(world: &World) {
    const PODS: usize = 400;
    const PATH: &str = "/api/v1/namespaces/default/pods";
    let tenant = large(world, "carried");
    let mut connection = tenant.connect();
    let (before, started) = (tenant.processes().cpu(), Instant::now());
    for n in 0..PODS {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("p-{n}")}, "spec": {"containers": [
            {"name": "web", "image": "nginx:1.27", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}]}});
        let (code, answer) = connection.request("POST", PATH, &pod.to_string());
        assert!(code < 300, "{}", String::from_utf8_lossy(&answer));
    }
    let mut running = 0;
    while running < PODS && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(100));
        let (_, body) = connection.request("GET", PATH, "");
        let list: Value = serde_json::from_slice(&body).unwrap_or_default();
        let items = list["items"].as_array().into_iter().flatten();
        running = items.filter(|p| p["status"]["phase"] == "Running").count();
    }
    one(
        &format!("{running} pods through the syncer, to Running: per second"),
        running as f64 / started.elapsed().as_secs_f64(),
    );
    one(
        "CPU ms of the whole process for each of them",
        (tenant.processes().cpu() - before) * 1000.0 / PODS as f64,
    );
}

/// The same requests to both.
fn side_by_side(tenant: &Target, upstream: &Target) {
    let both = [tenant, upstream];
    for target in both {
        let (code, _) = target.connect().request("POST", MAPS, &config_map("read"));
        assert_eq!(code, 201);
    }
    for connections in [1, 8] {
        let get = |_, _| (format!("{MAPS}/read"), String::new());
        let [ours, theirs] = both.map(|t| run(t, connections, "GET", get));
        let what = format!("GET of 1 kB, {connections} connections");
        row(&format!("{what}: per second"), ours.per_second, theirs.per_second);
        row(&format!("{what}: server CPU ms each"), ours.cpu, theirs.cpu);
    }
    for connections in [1, 8] {
        let post = |c: usize, n: usize| (MAPS.to_owned(), config_map(&format!("w-{connections}-{c}-{n}")));
        let [ours, theirs] = both.map(|t| run(t, connections, "POST", post));
        let what = format!("durable POST of 1 kB, {connections} connections");
        row(&format!("{what}: per second"), ours.per_second, theirs.per_second);
        row(&format!("{what}: server CPU ms each"), ours.cpu, theirs.cpu);
    }
    let [ours, theirs] = both.map(write_to_watch);
    row("write start to watch event, p50 ms", ours, theirs);
}

fn write_to_watch(target: &Target) -> f64 {
    let (mut watcher, mut writer) = (target.connect(), target.connect());
    let (_, body) = writer.request("GET", &format!("{MAPS}?limit=1"), "");
    let list: Value = serde_json::from_slice(&body).unwrap_or_default();
    let at = list["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
    watcher.watch(&format!("{MAPS}?watch=true&resourceVersion={at}"));
    let times = (0..200).map(|n| {
        let name = format!("seen-{n}-x");
        let started = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.request("POST", MAPS, &config_map(&name)));
            watcher.until_event(&name);
            started.elapsed().as_secs_f64() * 1000.0
        })
    });
    median(times.collect())
}
