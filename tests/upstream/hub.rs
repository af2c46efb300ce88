//! A real kube-apiserver as hub: the chart's definitions, rights and classes by Helm, and manager, API server and syncer
//! as processes of their own with the chart's identities (TN-9). The hub's own cluster is host and member as well.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Outcome;
use crate::control_plane::ControlPlane;
use crate::kubectl::{Kubectl, tool};
use crate::placement::{Fleet, carried};
use crate::standalone::WEB;
use crate::world::{World, eventually, port, text};

const LIMIT: Duration = Duration::from_secs(60);
const SYSTEM: &str = "skerry-system";

/// A real hub and Skerry's processes beside it.
struct Installed {
    real: ControlPlane,
    folder: tempfile::TempDir,
    processes: Vec<Child>,
}

impl Drop for Installed {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn secret(hub: &Kubectl, name: &str, key: &str) -> Vec<u8> {
    let stored = hub.json(&["get", "secret", name, "-n", SYSTEM]);
    let data = stored["data"][key].as_str().expect("a key of the secret");
    data_encoding::BASE64.decode(data.as_bytes()).expect("base64")
}

/// A kubeconfig with another credential or server than the one given.
fn changed(body: &[u8], change: impl FnOnce(&mut Value)) -> String {
    let mut file: Value = serde_yaml_ng::from_slice(body).expect("a kubeconfig");
    change(&mut file);
    file.to_string()
}

impl Installed {
    fn start() -> Self {
        let (real, folder, listen) =
            (ControlPlane::with_nodes(2), tempfile::tempdir().expect("a folder"), port());
        let mut this = Self { real, folder, processes: Vec::new() };
        let url = format!("https://localhost:{listen}");
        this.helm(&["upgrade", "--install", "--create-namespace", "--set", &format!("apiServer.url={url}")]);
        let hub = this.real.kubectl();

        for (file, key) in [("ca.crt", "ca.crt"), ("tls.crt", "tls.crt"), ("tls.key", "tls.key")] {
            this.write(file, &secret(&hub, "skerry-apiserver-tls", key));
        }
        let at = |name: &str| this.folder.path().join(name);
        let config = json!({
            "listen": {"address": format!("127.0.0.1:{listen}"), "opsAddress": format!("127.0.0.1:{}", port())},
            "serving": {"certFile": at("tls.crt"), "keyFile": at("tls.key"), "caFile": at("ca.crt")},
            "system": {"clientCAFile": at("ca.crt")},
            "store": {"backend": "redb", "redb": {"path": at("store")}},
        });
        this.write("apiserver.yaml", config.to_string().as_bytes());
        let system = secret(&hub, "skerry-apiserver-system", "kubeconfig");
        let dialled = changed(&system, |file| file["clusters"][0]["cluster"]["server"] = json!(url));
        this.write("apiserver.kubeconfig", dialled.as_bytes());
        // The syncer's link, by the chart's certificates.
        let link = port();
        for (file, key) in [("link.crt", "tls.crt"), ("link.key", "tls.key")] {
            this.write(file, &secret(&hub, "skerry-syncer-link", key));
        }
        let dialled = changed(&secret(&hub, "skerry-apiserver-link", "kubeconfig"), |file| {
            let cluster = &mut file["clusters"][0]["cluster"];
            cluster["tls-server-name"] = json!(format!("skerry-syncer.{SYSTEM}.svc"));
            cluster["server"] = json!(format!("https://127.0.0.1:{link}"));
        });
        this.write("link.kubeconfig", dialled.as_bytes());
        let own = std::fs::read(this.real.kubeconfig()).expect("a kubeconfig");
        for part in ["manager", "syncer"] {
            let token = hub.ok(&["create", "token", &format!("skerry-{part}"), "-n", SYSTEM]);
            let file = changed(&own, |file| file["users"][0]["user"] = json!({"token": token.trim()}));
            this.write(&format!("{part}.kubeconfig"), file.as_bytes());
        }

        let dialled = ["--syncer-kubeconfig", "link.kubeconfig"];
        this.spawn("apiserver", &[&["--config", "apiserver.yaml", "--url", &url], &dialled[..]].concat());
        let shipped = hub.json(&["get", "configmap", "skerry-classes", "-n", SYSTEM]);
        this.write("classes.yaml", shipped["data"]["classes.yaml"].as_str().expect("classes").as_bytes());
        this.spawn("manager", &["--front-door", &url, "--local-host", "local", "--classes", "classes.yaml"]);
        let address = format!("127.0.0.1:{link}");
        let files = ["--link-cert", "link.crt", "--link-key", "link.key", "--link-ca", "ca.crt"];
        this.spawn("syncer", &[&["--link-address", &address], &files[..]].concat());
        eventually("the hub's own cluster is a host", LIMIT, || {
            hub.run(&["get", "clusterprofile", "skerry.local", "-n", "skerry-inventory"])
                .status
                .success()
                .then_some(())
        });
        this
    }

    fn helm(&self, args: &[&str]) -> String {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/skerry");
        let mut all = args.to_vec();
        all.push("skerry");
        if !args.contains(&"uninstall") {
            all.push(chart.to_str().expect("an ordinary path"));
        }
        all.extend(["-n", SYSTEM]);
        let out = Command::new(tool("helm"))
            .args(&all)
            .env("KUBECONFIG", self.real.kubeconfig())
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("helm");
        assert!(out.status.success(), "helm {all:?}: {}", text(&out.stderr));
        text(&out.stdout)
    }

    fn write(&self, name: &str, body: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, body).expect("write");
        path
    }

    fn spawn(&mut self, part: &str, args: &[&str]) {
        let folder = self.folder.path();
        let log = std::fs::File::create(folder.join(format!("{part}.log"))).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_skerry"));
        command.arg(part).args(args).current_dir(folder).env("HOME", folder).stdin(Stdio::null());
        if part != "apiserver" {
            command.arg("--apiserver-kubeconfig").arg(folder.join("apiserver.kubeconfig"));
            command.env("KUBECONFIG", folder.join(format!("{part}.kubeconfig")));
        }
        let process = command
            .stdout(log.try_clone().expect("the log again"))
            .stderr(log)
            .spawn()
            .expect("start skerry");
        self.processes.push(process);
    }

    fn logs(&self) -> String {
        let read = |part: &str| {
            let all = std::fs::read_to_string(self.folder.path().join(format!("{part}.log")));
            let all = all.unwrap_or_default();
            let lines: Vec<&str> = all.lines().filter(|l| !l.contains("skerry::access")).collect();
            format!("{part}:\n{}\n", lines[lines.len().saturating_sub(30)..].join("\n"))
        };
        ["manager", "syncer", "apiserver"].map(read).concat()
    }

    /// A tenant made with kubectl alone, and kubectl of some minor in it.
    fn tenant(&self, program: &str, namespace: &str, name: &str) -> Kubectl {
        let hub = self.real.kubectl();
        let object = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualCluster",
            "metadata": {"name": name, "namespace": namespace}, "spec": {}});
        hub.apply(&object.to_string(), &[]);
        let what = format!("virtualcluster/{name}");
        hub.ok(&["wait", "--for=condition=Ready", &what, "-n", namespace, "--timeout=60s"]);
        let stored = hub.json(&["get", "secret", &format!("{name}-kubeconfig"), "-n", namespace]);
        let body = stored["data"]["kubeconfig"].as_str().expect("a kubeconfig");
        let body = data_encoding::BASE64.decode(body.as_bytes()).expect("base64");
        Kubectl::new(program, self.write(&format!("{name}.kubeconfig"), &body))
    }
}

/// An immutable field that was left open is pinned at birth: another value is refused by a condition that names it, and
/// the tenant runs on (tenancy V3, V4).
fn edit_what_may_not_change(hub: &Kubectl, name: &str, tenant: &Kubectl) {
    let patch = r#"{"spec": {"network": {"clusterDomain": "other.local"}}}"#;
    hub.ok(&["patch", "virtualcluster", name, "-n", "team-a", "--type=merge", "-p", patch]);
    let message = eventually("Provisioned=False", LIMIT, || {
        let object = hub.json(&["get", "virtualcluster", name, "-n", "team-a"]);
        let list = object["status"]["conditions"].as_array()?.clone();
        let found = list.into_iter().find(|c| c["type"] == "Provisioned" && c["reason"] == "SpecInvalid")?;
        found["message"].as_str().map(str::to_owned)
    });
    assert!(message.contains("network.clusterDomain"), "{message}");
    tenant.rolled_out("deployment/web");
    let set = |domain: Value| {
        let body = json!({"spec": {"network": {"clusterDomain": domain}}}).to_string();
        hub.run(&["patch", "virtualcluster", name, "-n", "team-a", "--type=merge", "-p", &body])
    };
    let third = set("third.local".into());
    assert!(text(&third.stderr).contains("clusterDomain is immutable"), "{}", text(&third.stderr));
    let back = set(Value::Null);
    assert!(back.status.success(), "the edit may be taken back: {}", text(&back.stderr));
    hub.ok(&[
        "wait",
        "--for=condition=Provisioned",
        &format!("virtualcluster/{name}"),
        "-n",
        "team-a",
        "--timeout=60s",
    ]);
}

/// Addresses that the host gave are the tenant's, from the first answer on (syncer SV1).
fn agreed(hub: &Kubectl, tenant: &Kubectl) {
    let address = "jsonpath={.spec.clusterIP}";
    let own = tenant.ok(&["create", "service", "clusterip", "agreed", "--tcp=80", "-o", address]);
    let all = hub.json(&["get", "services", "-A", "-l", "skerry.dev/tenant"]);
    let there = all["items"].as_array().into_iter().flatten().any(|s| s["spec"]["clusterIP"] == own.trim());
    assert!(there, "no host Service has {own}");
}

fn walk(installed: &Installed) {
    let hub = installed.real.kubectl();
    hub.ok(&["create", "namespace", "team-a"]);
    for (program, name) in [("kubectl", "dev"), ("kubectl-1.33", "old")] {
        let tenant = installed.tenant(program, "team-a", name);
        tenant.apply(WEB, &[]);
        tenant.rolled_out("deployment/web");
        let pods = hub.json(&["get", "pods", "-A", "-l", "app=web", "--field-selector=status.phase=Running"]);
        assert!(!pods["items"].as_array().expect("a list").is_empty(), "pods run on the host");
        agreed(&hub, &tenant);
    }
    let dev = Kubectl::new("kubectl", installed.folder.path().join("dev.kubeconfig"));
    hub.ok(&["annotate", "namespace", "team-a", "skerry.dev/clustersets=own"]);
    let fleet =
        Fleet { hub: &hub, namespace: "team-a", members: vec![("skerry.team-a.dev", &dev, "team-a")] };
    carried(&fleet);

    let old = Kubectl::new("kubectl-1.33", installed.folder.path().join("old.kubeconfig"));
    edit_what_may_not_change(&hub, "old", &old);
    for name in ["dev", "old"] {
        hub.ok(&["delete", "virtualcluster", name, "-n", "team-a", "--timeout=90s"]);
    }
    let left = hub.ok(&["get", "namespaces", "-l", "skerry.dev/tenant", "-o", "name"]);
    assert_eq!(left.trim(), "", "host namespaces are left");
    let left = hub.ok(&["get", "secrets", "-n", "team-a", "-o", "name"]);
    assert_eq!(left.trim(), "", "secrets are left");
    let manager = std::fs::read_to_string(installed.folder.path().join("manager.log")).unwrap_or_default();
    assert!(!manager.contains("is forbidden"), "the chart grants the manager too little");
    let syncer = std::fs::read_to_string(installed.folder.path().join("syncer.log")).unwrap_or_default();
    assert!(!syncer.contains("is forbidden"), "the chart grants the syncer too little");
    installed.helm(&["uninstall"]);
}

/// The main job on a hub that is a real kube-apiserver.
pub fn real(_world: &mut World) -> Outcome {
    let installed = Installed::start();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk(&installed)));
    if let Err(failed) = ended {
        println!("{}", installed.logs());
        let dev = Kubectl::new("kubectl", installed.folder.path().join("dev.kubeconfig"));
        for (who, what) in
            [(installed.real.kubectl(), "placements,clusterbindings"), (dev, "deployments,pods,events")]
        {
            println!(
                "{}",
                text(&who.run(&["get", what, "-A", "-o", "yaml", "--show-managed-fields=false"]).stdout)
            );
        }
        std::panic::resume_unwind(failed);
    }
    Outcome::Passed
}
