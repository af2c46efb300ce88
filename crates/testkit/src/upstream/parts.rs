//! Skerry in parts beside a real hub: the chart's definitions, rights and classes by Helm; manager, API server and
//! syncer as processes of their own with the chart's identities. The hub's own cluster is host and member as well.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::control_plane::ControlPlane;
use super::kubectl::{Kubectl, tool};
use super::wait::{eventually, port, text};

const LIMIT: Duration = Duration::from_secs(60);
/// The namespace of the parts.
pub const SYSTEM: &str = "skerry-system";

/// What is started.
pub struct Settings {
    /// The program `skerry`.
    pub program: PathBuf,
    /// The folder of the chart.
    pub chart: PathBuf,
    /// The hub, which is host as well.
    pub real: ControlPlane,
}

/// A real hub and Skerry's processes beside it. All end with the value.
pub struct Parts {
    settings: Settings,
    folder: tempfile::TempDir,
    running: Vec<Part>,
}

/// A process, and how it is started again.
struct Part {
    name: &'static str,
    args: Vec<String>,
    process: Child,
}

impl Drop for Parts {
    fn drop(&mut self) {
        for part in self.running.iter_mut().rev() {
            part.end();
        }
    }
}

impl Part {
    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
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

impl Parts {
    /// Installs the chart and starts the parts; the hub's own cluster is a host when this returns.
    pub fn start(settings: Settings) -> Self {
        let (folder, listen) = (tempfile::tempdir().expect("a folder"), port());
        let mut this = Self { settings, folder, running: Vec::new() };
        let url = format!("https://localhost:{listen}");
        this.helm(&["upgrade", "--install", "--create-namespace", "--set", &format!("apiServer.url={url}")]);
        let hub = this.settings.real.kubectl();

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
        let own = std::fs::read(this.settings.real.kubeconfig()).expect("a kubeconfig");
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
        let metrics = format!("127.0.0.1:{}", port());
        let own = ["--link-address", &address, "--metrics", &metrics];
        this.spawn("syncer", &[&own, &files[..]].concat());
        eventually("the hub's own cluster is a host", LIMIT, || {
            hub.run(&["get", "clusterprofile", "skerry.local", "-n", "skerry-inventory"])
                .status
                .success()
                .then_some(())
        });
        this
    }

    /// Helm in the parts' namespace; the chart is named by itself.
    pub fn helm(&self, args: &[&str]) -> String {
        let mut all = args.to_vec();
        all.push("skerry");
        if !args.contains(&"uninstall") {
            all.push(self.settings.chart.to_str().expect("an ordinary path"));
        }
        all.extend(["-n", SYSTEM]);
        let out = Command::new(tool("helm"))
            .args(&all)
            .env("KUBECONFIG", self.settings.real.kubeconfig())
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

    fn spawn(&mut self, name: &'static str, args: &[&str]) {
        let args: Vec<String> = args.iter().map(|&a| a.to_owned()).collect();
        let process = self.process(name, &args);
        self.running.push(Part { name, args, process });
    }

    fn process(&self, name: &str, args: &[String]) -> Child {
        let folder = self.folder.path();
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.log_of(name)).expect("a log");
        let mut command = Command::new(&self.settings.program);
        command.arg(name).args(args).current_dir(folder).env("HOME", folder).stdin(Stdio::null());
        if name != "apiserver" {
            command.arg("--apiserver-kubeconfig").arg(folder.join("apiserver.kubeconfig"));
            command.env("KUBECONFIG", folder.join(format!("{name}.kubeconfig")));
        }
        command.stdout(log.try_clone().expect("the log again")).stderr(log).spawn().expect("start skerry")
    }

    fn part(&self, name: &str) -> &Part {
        self.running.iter().find(|p| p.name == name).expect("manager, syncer or apiserver")
    }

    /// The process of a part: `manager`, `syncer` or `apiserver`.
    pub fn pid(&self, name: &str) -> u32 {
        self.part(name).process.id()
    }

    /// Ends a part as a power cut would, and starts it again.
    pub fn restart(&mut self, name: &str) {
        let at = self.running.iter().position(|p| p.name == name).expect("manager, syncer or apiserver");
        self.running[at].end();
        self.running[at].process = self.process(name, &self.running[at].args);
    }

    /// Where the syncer shows its figures, `IP:PORT`.
    pub fn metrics(&self) -> &str {
        let args = &self.part("syncer").args;
        let at = args.iter().position(|a| a == "--metrics").expect("the flag");
        &args[at + 1]
    }

    /// A file of the folder, which ends with the value.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The hub, and host.
    pub fn real(&self) -> &ControlPlane {
        &self.settings.real
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.log"))
    }

    /// All that a part said.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_of(name)).unwrap_or_default()
    }

    /// The last lines of each part, for whoever looks into a case that failed.
    pub fn logs(&self) -> String {
        let read = |part: &str| {
            let all = self.log(part);
            let lines: Vec<&str> = all.lines().filter(|l| !l.contains("skerry::access")).collect();
            format!("{part}:\n{}\n", lines[lines.len().saturating_sub(30)..].join("\n"))
        };
        ["manager", "syncer", "apiserver"].map(read).concat()
    }

    /// A tenant made with kubectl alone, and the kubeconfig that its owner gets.
    pub fn tenant(&self, namespace: &str, name: &str) -> PathBuf {
        let hub = self.settings.real.kubectl();
        let object = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualCluster",
            "metadata": {"name": name, "namespace": namespace}, "spec": {}});
        hub.apply(&object.to_string(), &[]);
        let what = format!("virtualcluster/{name}");
        hub.ok(&["wait", "--for=condition=Ready", &what, "-n", namespace, "--timeout=60s"]);
        self.credential(namespace, name)
    }

    /// The kubeconfig of a tenant's owner, as a file.
    pub fn credential(&self, namespace: &str, name: &str) -> PathBuf {
        let stored = self.settings.real.kubectl().json(&[
            "get",
            "secret",
            &format!("{name}-kubeconfig"),
            "-n",
            namespace,
        ]);
        let body = stored["data"]["kubeconfig"].as_str().expect("a kubeconfig");
        let body = data_encoding::BASE64.decode(body.as_bytes()).expect("base64");
        self.write(&format!("{name}.kubeconfig"), &body)
    }
}
