//! What is measured on: a kube-apiserver whose nodes are kwok's, as hub and host; Skerry in parts beside it; tenants.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skerry_testkit::upstream::client::Target;
use skerry_testkit::upstream::control_plane::ControlPlane;
use skerry_testkit::upstream::parts::{Parts, Settings};
use skerry_testkit::upstream::processes::Processes;
use skerry_testkit::upstream::wait::eventually;

use super::burst::Place;
use super::page::Page;

/// Nothing here is to be held back by what a class allows.
const CLASS: &str = r#"
apiVersion: skerry.dev/v1alpha1
kind: VirtualClusterClass
metadata: {name: bench}
spec:
  description: Tenants of a measurement.
  namespaceSelector: {}
  defaults:
    podSecurity: {enforce: baseline, warn: baseline, audit: baseline}
    limits: {objects: 200000, bytes: 2Gi, namespaces: 1000, watches: 10000, inFlightReading: 200, inFlightMutating: 100}
  overridable: [hosts.selector]
  ceilings: {hosts: 1}
  providers: [{type: Embedded, isolation: [Shared], versions: ["1.36"], stores: [default]}]
  hosts: {selector: {}, strategy: LeastAllocated}
"#;
/// The tenants' own, on the hub.
const HOME: &str = "bench";

/// All of it.
pub struct Stage {
    /// The parts and their host.
    pub parts: Parts,
    /// The host, as its administrator.
    pub host: Target,
    /// A namespace of each tenant.
    pub tenants: Vec<Place>,
    /// As many namespaces of the host itself.
    pub bare: Vec<Place>,
}

impl Stage {
    /// Starts it with so many nodes and tenants.
    pub fn start(nodes: usize, tenants: usize) -> Self {
        let parts = Parts::start(Settings {
            program: env!("CARGO_BIN_EXE_skerry").into(),
            chart: Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/skerry"),
            real: ControlPlane::with_nodes(nodes),
        });
        let host = Target::new(&parts.real().kubeconfig(), Processes::of(parts.real().pids()));
        let hub = parts.real().kubectl();
        hub.apply(CLASS, &[]);
        hub.ok(&["create", "namespace", HOME]);
        let bare = namespaces(&host, tenants);
        let mut connection = host.connect();
        for n in 0..tenants {
            let object = json!({
                "apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualCluster",
                "metadata": {"name": name(n)}, "spec": {"className": "bench"},
            });
            let path = format!("/apis/skerry.dev/v1alpha1/namespaces/{HOME}/virtualclusters");
            let (code, answer) = connection.request("POST", &path, &object.to_string());
            assert!(code < 300, "{}", String::from_utf8_lossy(&answer));
        }
        hub.ok(&["wait", "--for=condition=Ready", "virtualclusters", "--all", "-n", HOME, "--timeout=180s"]);
        let server = Processes::of([parts.pid("apiserver")]);
        let places = (0..tenants).map(|n| Place {
            target: Target::new(&parts.credential(HOME, &name(n)), server.clone()),
            namespace: "default".to_owned(),
        });
        let tenants = places.collect();
        Self { parts, host, tenants, bare }
    }

    /// What the syncer shows now.
    pub fn page(&self) -> Page {
        Page::read(self.parts.metrics())
    }

    /// The syncer alone.
    pub fn syncer(&self) -> Processes {
        Processes::of([self.parts.pid("syncer")])
    }

    /// All of Skerry.
    pub fn skerry(&self) -> Processes {
        Processes::of(["apiserver", "manager", "syncer"].map(|part| self.parts.pid(part)))
    }

    /// Waits until the syncer writes no more; answers what it shows then.
    pub fn at_rest(&self) -> Page {
        const QUIET: Duration = Duration::from_secs(3);
        let (mut last, mut since) = (self.page(), Instant::now());
        let started = Instant::now();
        while since.elapsed() < QUIET {
            assert!(started.elapsed() < Duration::from_secs(300), "the syncer does not come to rest");
            std::thread::sleep(Duration::from_millis(250));
            let now = self.page();
            if !now.writes_since(&last).is_empty() || now.sum("skerry_syncer_queue_depth", &[]) > 0.0 {
                since = Instant::now();
            }
            last = now;
        }
        last
    }

    /// The host namespace of the first tenant's first pods.
    pub fn host_namespace(&self) -> String {
        let mut connection = self.host.connect();
        eventually("a pod of a tenant on the host", Duration::from_secs(30), || {
            let path = "/api/v1/pods?limit=1&labelSelector=skerry.dev/tenant";
            let list: Value = serde_json::from_slice(&connection.request("GET", path, "").1).ok()?;
            list["items"][0]["metadata"]["namespace"].as_str().map(str::to_owned)
        })
    }
}

fn name(n: usize) -> String {
    format!("t{n}")
}

fn namespaces(host: &Target, count: usize) -> Vec<Place> {
    let mut connection = host.connect();
    let made = (0..count).map(|n| {
        let namespace = format!("bare-{n}");
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let (code, answer) = connection.request("POST", "/api/v1/namespaces", &body.to_string());
        assert!(code < 300, "{}", String::from_utf8_lossy(&answer));
        Place { target: host.clone(), namespace }
    });
    made.collect()
}
