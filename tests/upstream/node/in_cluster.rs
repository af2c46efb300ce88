//! The whole main job in a cluster: the chart by real Helm on a node that runs containers, manager, API server and syncer
//! as pods of the image that this repository builds, a tenant whose pod runs beside them, and everything away again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use skerry_testkit::upstream::kubectl::{Kubectl, tool};
use skerry_testkit::upstream::node::{BUSYBOX, Cluster, KUBECTL, NodeError, Settings, names};

use crate::Outcome;
use crate::world::{World, eventually, text};

const LIMIT: Duration = Duration::from_secs(90);
const SYSTEM: &str = "skerry-system";
const PORT: u16 = 30443;

const WEB: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: IMAGE
        command: [sh, -c, "mkdir /tmp/w && echo afloat > /tmp/w/index.html && echo serving && httpd -f -p 8080 -h /tmp/w"]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
"#;

struct Installed {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Installed {
    fn open(image: &Path) -> Result<Self, NodeError> {
        let cluster = Cluster::with(&Settings { dns: Some(names::ADDRESS) })?;
        cluster.import(&[names::image()])?;
        cluster.import_archive(image)?;
        names::start(&cluster)?;
        let folder = tempfile::tempdir().expect("a folder");
        Ok(Self { cluster, folder })
    }

    fn helm(&self, args: &[&str]) -> String {
        let out = Command::new(tool("helm"))
            .args(args)
            .args(["-n", SYSTEM])
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("helm");
        let said = || self.said();
        assert!(out.status.success(), "helm {args:?}: {}\n{}", text(&out.stderr), said());
        text(&out.stdout)
    }

    /// States and last words of Skerry's pods.
    fn said(&self) -> String {
        let kubectl = self.cluster.kubectl();
        let asks: [&[&str]; 5] = [
            &["get", "pods,pvc,events"],
            &["logs", "deployment/skerry-manager", "--tail=40"],
            &["logs", "deployment/skerry-syncer", "--tail=40"],
            &["logs", "statefulset/skerry-apiserver-default", "--tail=40"],
            &["get", "virtualclusters", "-A", "-o", "yaml"],
        ];
        let all = asks.map(|ask| {
            let out = kubectl.run(&[ask, &["-n", SYSTEM]].concat());
            format!("{ask:?}\n{}{}", text(&out.stdout), text(&out.stderr))
        });
        all.join("\n")
    }

    fn install(&self) {
        let shelf = self.cluster.folder().join("store");
        std::fs::create_dir_all(&shelf).expect("a folder");
        // The program is nobody on the node.
        std::fs::set_permissions(&shelf, std::fs::Permissions::from_mode(0o777)).expect("its mode");
        // The API server's store: this cluster provides no volumes by itself.
        self.cluster.kubectl().apply(&super::shelf("1Gi", &shelf), &[]);
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/skerry");
        let url = format!("apiServer.url=https://{}:{PORT}", self.cluster.node_address());
        let (chart, port) = (chart.display().to_string(), format!("apiServer.service.nodePort={PORT}"));
        self.helm(&[
            "install",
            "skerry",
            &chart,
            "--create-namespace",
            "--wait",
            "--timeout=120s",
            "--set",
            "stores[0].name=default,stores[0].type=redb,stores[0].size=1Gi,stores[0].storageClassName=shelf",
            "--set",
            "apiServer.service.type=NodePort",
            "--set",
            &port,
            "--set",
            &url,
        ]);
    }

    /// A tenant made with kubectl alone, and the tenant's own kubectl.
    fn tenant(&self, hub: &Kubectl) -> Kubectl {
        hub.ok(&["create", "namespace", "team-a"]);
        let object = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualCluster",
            "metadata": {"name": "dev", "namespace": "team-a"}, "spec": {}});
        hub.apply(&object.to_string(), &[]);
        hub.ok(&["wait", "--for=condition=Ready", "virtualcluster/dev", "-n", "team-a", "--timeout=60s"]);
        let stored = hub.json(&["get", "secret", "dev-kubeconfig", "-n", "team-a"]);
        let body = stored["data"]["kubeconfig"].as_str().expect("a kubeconfig");
        let file: PathBuf = self.folder.path().join("dev.kubeconfig");
        std::fs::write(&file, data_encoding::BASE64.decode(body.as_bytes()).expect("base64")).expect("write");
        Kubectl::new("kubectl", file)
    }
}

fn walk(installed: &Installed) {
    let hub = installed.cluster.kubectl();
    installed.install();
    eventually("the cluster itself is a host", LIMIT, || {
        let found = hub.run(&["get", "clusterprofile", "skerry.local", "-n", "skerry-inventory"]);
        found.status.success().then_some(())
    });
    let tenant = installed.tenant(&hub);
    tenant.apply(&WEB.replace("IMAGE", BUSYBOX), &[]);
    tenant.rolled_out("deployment/web");

    // On the node beside Skerry, under the tenant's address, in the tenant's names.
    let own = tenant.json(&["get", "service", "web"])["spec"]["clusterIP"].clone();
    let all = hub.json(&["get", "services", "-A", "-l", "skerry.dev/tenant"]);
    let there = all["items"].as_array().expect("a list").iter().find(|s| s["spec"]["clusterIP"] == own);
    assert!(there.is_some(), "no Service of the host has {own}");
    let pod = tenant.ok(&["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}"]);
    assert_eq!(tenant.ok(&["logs", &pod]), "serving\n");
    let fetched = tenant.ok(&["exec", &pod, "--", "wget", "-qO-", "http://web.default.svc.cluster.local"]);
    assert_eq!(fetched, "afloat\n", "by its name, through its Service, over the syncer's link");
    tenant.ok(&[
        "run",
        "client",
        &format!("--image={KUBECTL}"),
        "--restart=Never",
        "--",
        "kubectl",
        "version",
    ]);
    tenant.ok(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/client", "--timeout=60s"]);
    let version = tenant.ok(&["logs", "client"]);
    assert!(version.contains("+skerry"), "a pod's own API server is the tenant's: {version}");
    let environment = tenant.ok(&["exec", &pod, "--", "env"]);
    assert!(environment.contains(&format!("WEB_SERVICE_HOST={}", own.as_str().expect("an address"))));

    // Every part may end at any time.
    for part in
        ["deployment/skerry-syncer", "statefulset/skerry-apiserver-default", "deployment/skerry-manager"]
    {
        hub.ok(&["rollout", "restart", part, "-n", SYSTEM]);
        hub.ok(&["rollout", "status", part, "-n", SYSTEM, "--timeout=90s"]);
    }
    eventually("the tenant goes on", LIMIT, || {
        let said = tenant.run(&["exec", &pod, "--", "echo", "here"]);
        (text(&said.stdout) == "here\n").then_some(())
    });
    tenant.ok(&["scale", "deployment/web", "--replicas=2"]);
    tenant.rolled_out("deployment/web");

    hub.ok(&["delete", "virtualcluster", "dev", "-n", "team-a", "--timeout=90s"]);
    let left = hub.ok(&["get", "namespaces", "-l", "skerry.dev/tenant", "-o", "name"]);
    assert_eq!(left.trim(), "", "host namespaces are left");
    installed.helm(&["uninstall", "skerry", "--wait", "--timeout=90s"]);
    eventually("no part of Skerry", LIMIT, || {
        let left = hub.ok(&["get", "pods,services,deployments,statefulsets", "-n", SYSTEM, "-o", "name"]);
        left.trim().is_empty().then_some(())
    });
}

/// Installed, used, and taken away.
pub fn installed(_: &mut World) -> Outcome {
    let image = std::env::var_os("SKERRY_IMAGE").map(PathBuf::from).filter(|path| path.is_file());
    let Some(image) = image else {
        return Outcome::Skipped("no image was built".to_owned());
    };
    let installed = match Installed::open(&image) {
        Ok(installed) => installed,
        Err(lacking @ NodeError::Lacks(_)) => return Outcome::Skipped(lacking.to_string()),
        Err(failed) => panic!("no node: {failed:?}"),
    };
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk(&installed)));
    if let Err(failed) = ended {
        println!("{}", installed.said());
        std::panic::resume_unwind(failed);
    }
    Outcome::Passed
}
