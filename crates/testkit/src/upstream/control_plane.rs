//! A real control plane on this machine: etcd and kube-apiserver, and where a case needs pods, kube-controller-manager,
//! kube-scheduler and nodes of kwok. All end with the value.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::kubectl::{Kubectl, tool};
use super::wait::{eventually, port};

const TOKEN: &str = "upstream-tier-administrator";

/// How a control plane differs from the plain one on loopback.
pub struct Settings {
    /// Where kube-apiserver listens, and what nodes and pods dial.
    pub address: IpAddr,
    /// Further users, as lines of a token file.
    pub users: String,
    /// Further flags of kube-apiserver.
    pub flags: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { address: Ipv4Addr::LOCALHOST.into(), users: String::new(), flags: Vec::new() }
    }
}

/// The processes and their folder.
pub struct ControlPlane {
    folder: tempfile::TempDir,
    url: String,
    processes: Vec<Child>,
}

fn start(folder: &Path, name: &str, args: &[String]) -> Child {
    let log = std::fs::File::create(folder.join(format!("{name}.log"))).expect("a log");
    Command::new(tool(name))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log again"))
        .stderr(log)
        // Ctrl-C at a terminal ends the program that started it, which ends them in order.
        .process_group(0)
        .spawn()
        .expect("start a tool")
}

/// A node for kwok.
fn node(i: usize) -> String {
    let room = serde_json::json!({"cpu": "16", "memory": "64Gi", "pods": "110"});
    serde_json::json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": format!("kwok-{i}"), "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
        "status": {"allocatable": room, "capacity": room},
    })
    .to_string()
}

impl ControlPlane {
    /// Starts both and waits until the server is ready.
    pub fn start() -> Self {
        Self::with(&Settings::default())
    }

    /// The same with settings.
    pub fn with(settings: &Settings) -> Self {
        let Settings { address, users, flags } = settings;
        let folder = tempfile::tempdir().expect("a folder");
        let (store, peer, port) = (port(), port(), port());
        let etcd = [
            "--data-dir=etcd".to_owned(),
            format!("--listen-client-urls=http://127.0.0.1:{store}"),
            format!("--advertise-client-urls=http://127.0.0.1:{store}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
        ];
        let key = rcgen::KeyPair::generate().expect("a key");
        let write = |name: &str, body: &str| std::fs::write(folder.path().join(name), body).expect("write");
        write("sa.key", &key.serialize_pem());
        write("sa.pub", &key.public_key_pem());
        write("tokens.csv", &format!("{TOKEN},administrator,administrator,system:masters\n{users}"));
        let mut server = vec![
            format!("--etcd-servers=http://127.0.0.1:{store}"),
            format!("--secure-port={port}"),
            format!("--bind-address={address}"),
            format!("--advertise-address={address}"),
            "--cert-dir=certs".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-account-key-file=sa.pub".to_owned(),
            "--service-account-signing-key-file=sa.key".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--token-auth-file=tokens.csv".to_owned(),
        ];
        server.extend_from_slice(flags);
        let processes =
            vec![start(folder.path(), "etcd", &etcd), start(folder.path(), "kube-apiserver", &server)];
        let this =
            Self { folder, url: format!("https://{}", std::net::SocketAddr::new(*address, port)), processes };
        eventually("a serving certificate", Duration::from_secs(60), || this.authority());
        std::fs::write(this.kubeconfig(), this.kubeconfig_of(TOKEN)).expect("write");
        let kubectl = this.kubectl();
        eventually("a ready kube-apiserver", Duration::from_secs(90), || {
            kubectl.run(&["get", "--raw", "/readyz"]).status.success().then_some(())
        });
        this
    }

    /// The same with `count` nodes, on which pods go Running and nothing is executed.
    pub fn with_nodes(count: usize) -> Self {
        let mut this = Self::start();
        this.start_managers();
        let kwok = [
            "--kubeconfig=kubeconfig".to_owned(),
            "--config=stages.yaml".to_owned(),
            "--manage-all-nodes=true".to_owned(),
            "--node-lease-duration-seconds=40".to_owned(),
            "--node-ip=127.0.0.1".to_owned(),
            format!("--server-address=127.0.0.1:{}", port()),
        ];
        std::fs::write(this.folder.path().join("stages.yaml"), include_str!("stages.yaml")).expect("write");
        let kubectl = this.kubectl();
        for i in 0..count {
            kubectl.apply(&node(i), &[]);
        }
        this.processes.push(start(this.folder.path(), "kwok", &kwok));
        kubectl.ok(&["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s"]);
        this
    }

    /// Starts kube-controller-manager and kube-scheduler.
    pub fn start_managers(&mut self) {
        let own = |name: &str| {
            vec![
                "--kubeconfig=kubeconfig".to_owned(),
                "--authentication-kubeconfig=kubeconfig".to_owned(),
                "--authorization-kubeconfig=kubeconfig".to_owned(),
                "--leader-elect=false".to_owned(),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--secure-port={}", port()),
                format!("--cert-dir={name}"),
                // Their own restraint would hide what they are measured beside.
                "--kube-api-qps=5000".to_owned(),
                "--kube-api-burst=10000".to_owned(),
            ]
        };
        let mut manager = own("manager");
        manager.extend([
            "--use-service-account-credentials".to_owned(),
            "--root-ca-file=certs/apiserver.crt".to_owned(),
            "--service-account-private-key-file=sa.key".to_owned(),
        ]);
        let folder = self.folder.path();
        let manager = start(folder, "kube-controller-manager", &manager);
        self.processes.push(manager);
        let scheduler = start(folder, "kube-scheduler", &own("scheduler"));
        self.processes.push(scheduler);
    }

    /// kubectl as administrator.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new("kubectl", self.kubeconfig())
    }

    /// Certificates that it made itself: its own and the authority's.
    fn authority(&self) -> Option<PathBuf> {
        let path = self.folder.path().join("certs/apiserver.crt");
        std::fs::metadata(&path).is_ok_and(|m| m.len() > 0).then_some(path)
    }

    /// A kubeconfig of whoever holds a token.
    pub fn kubeconfig_of(&self, token: &str) -> String {
        let authority = self.folder.path().join("certs/apiserver.crt");
        let bytes = std::fs::read(authority).expect("the certificate");
        let file = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "real",
            "clusters": [{"name": "real", "cluster": {
                "server": self.url,
                "certificate-authority-data": data_encoding::BASE64.encode(&bytes),
            }}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "user"}}],
        });
        file.to_string()
    }

    /// The processes.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Child::id).collect()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
