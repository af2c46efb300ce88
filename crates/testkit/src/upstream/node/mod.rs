//! A cluster with one node that executes containers: kubelet, kube-proxy, containerd and runc in namespaces of their
//! own, beside a control plane on this machine. Pods reach what listens on [`Cluster::machine_address`].
//!
//! Everything of the node is below one process in a PID namespace: when that ends, the containers end, the mounts and
//! the network are gone with the last of them. What outlives it, control groups and files, is removed on drop.

mod configuration;
mod error;
mod groups;
mod images;
mod lacks;
mod namespaces;

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub use error::NodeError;
pub use lacks::lacks;

use self::error::write;
use self::namespaces::Namespaces;
use super::control_plane::{self, ControlPlane};
use super::kubectl::{Kubectl, tool};
use super::wait::text;

/// Name of the node.
pub const NAME: &str = "skerry-0";
/// Images that are there; nothing is pulled.
pub use images::{BUSYBOX, Content, Image, KUBECTL};

const TOKEN: &str = "upstream-tier-node";
const LIMIT: Duration = Duration::from_secs(60);

/// How a node differs from the plain one.
#[derive(Default)]
pub struct Settings {
    /// Where pods ask for names, if anybody answers them.
    pub dns: Option<Ipv4Addr>,
}

/// The cluster. Its parts end in the order of the fields.
pub struct Cluster {
    namespaces: Namespaces,
    processes: Vec<Child>,
    plane: ControlPlane,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts everything and waits until the node is ready.
    pub fn start() -> Result<Self, NodeError> {
        Self::with(&Settings::default())
    }

    /// The same with settings.
    pub fn with(settings: &Settings) -> Result<Self, NodeError> {
        let lacks = lacks();
        if !lacks.is_empty() {
            return Err(NodeError::Lacks(lacks));
        }
        let folder = tempfile::Builder::new().prefix("skerry-node-").tempdir();
        let folder = folder.map_err(|source| NodeError::File { path: std::env::temp_dir(), source })?;
        let namespaces = Namespaces::open(folder.path())?;
        let flags = configuration::credentials(folder.path())?;
        let users = format!("{TOKEN},system:node:{NAME},{NAME},system:nodes\n");
        let address = namespaces.machine_address().into();
        let mut plane = ControlPlane::with(&control_plane::Settings { address, users, flags });
        plane.start_managers();
        let mut this = Self { namespaces, processes: Vec::new(), plane, folder };
        this.start_runtime()?;
        this.start_kubelet(settings)?;
        Ok(this)
    }

    fn start_runtime(&mut self) -> Result<(), NodeError> {
        let folder = self.folder.path().to_path_buf();
        configuration::runtime(&folder, self.namespaces.pods())?;
        let config = format!("--config={}", folder.join("containerd.toml").display());
        self.spawn("containerd", Path::new("containerd"), &[config])?;
        let ready = || {
            let version = self
                .namespaces
                .command("ctr")
                .args(["-a"])
                .arg(folder.join("containerd.sock"))
                .arg("version")
                .output();
            version.is_ok_and(|o| o.status.success()).then_some(())
        };
        self.wait("containerd", "containerd.log", ready)?;
        images::import(&self.namespaces, &folder, &images::usual())
    }

    fn start_kubelet(&mut self, settings: &Settings) -> Result<(), NodeError> {
        let folder = self.folder.path().to_path_buf();
        write(&folder.join("node.kubeconfig"), self.plane.kubeconfig_of(TOKEN))?;
        configuration::kubelet(&folder, self.namespaces.group(), settings)?;
        let address = self.namespaces.node_address();
        // Whole paths: whoever enters a mount namespace starts at its root.
        let at = |flag: &str, file: &str| format!("--{flag}={}", folder.join(file).display());
        let name = format!("--hostname-override={NAME}");
        let kubelet = [
            at("kubeconfig", "node.kubeconfig"),
            at("config", "kubelet.json"),
            at("root-dir", "kubelet"),
            at("cert-dir", "kubelet-certificates"),
            name.clone(),
            format!("--node-ip={address}"),
        ];
        self.spawn("kubelet", &tool("kubelet"), &kubelet)?;
        let proxy = [
            format!("--kubeconfig={}", self.plane.kubeconfig().display()),
            "--proxy-mode=nftables".to_owned(),
            "--conntrack-max-per-core=0".to_owned(),
            name,
            format!("--cluster-cidr={}", self.namespaces.pods()),
        ];
        self.spawn("kube-proxy", &tool("kube-proxy"), &proxy)?;
        let kubectl = self.kubectl();
        self.wait("a ready node", "kubelet.log", || {
            let condition = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
            let out = kubectl.run(&["get", "node", NAME, "-o", condition]);
            (text(&out.stdout) == "True").then_some(())
        })
    }

    /// Starts a program inside, with a log in the folder.
    fn spawn(&mut self, name: &str, program: &Path, args: &[String]) -> Result<(), NodeError> {
        let path = self.folder.path().join(format!("{name}.log"));
        let failed = |source| NodeError::File { path: path.clone(), source };
        let log = File::create(&path).map_err(failed)?;
        let again = log.try_clone().map_err(failed)?;
        let mut command = self.namespaces.command(program);
        command.args(args).stdout(again).stderr(log);
        let child = command.spawn();
        self.processes.push(child.map_err(|e| NodeError::Command {
            command: program.display().to_string(),
            message: e.to_string(),
        })?);
        Ok(())
    }

    fn wait(
        &self,
        what: &'static str,
        log: &str,
        mut look: impl FnMut() -> Option<()>,
    ) -> Result<(), NodeError> {
        let started = Instant::now();
        while look().is_none() {
            if started.elapsed() > LIMIT {
                let body = std::fs::read(self.folder.path().join(log)).unwrap_or_default();
                let log = text(&body[body.len().saturating_sub(2000)..]);
                return Err(NodeError::Late { what, log });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Gives the node further images.
    pub fn import(&self, images: &[Image]) -> Result<(), NodeError> {
        images::import(&self.namespaces, self.folder.path(), images)
    }

    /// A program among the node's own processes and in its network, from where pods are reached.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        self.namespaces.command(program)
    }

    /// The node's address, as seen from this machine.
    pub fn node_address(&self) -> Ipv4Addr {
        self.namespaces.node_address()
    }

    /// kubectl as administrator.
    pub fn kubectl(&self) -> Kubectl {
        self.plane.kubectl()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig()
    }

    /// An address of this machine that pods can dial.
    pub fn machine_address(&self) -> Ipv4Addr {
        self.namespaces.machine_address()
    }

    /// By which its interface and its control groups are called on this machine.
    pub fn name(&self) -> &str {
        self.namespaces.group()
    }

    /// Logs and data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.namespaces.close();
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
