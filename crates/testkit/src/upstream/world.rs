//! A `skerry up` with a folder, ports and a home of its own.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::kubectl::Kubectl;
pub use super::wait::{eventually, port, text};

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(120);

/// What is started, and how it differs from the plain one on loopback.
pub struct Settings {
    /// The program `skerry`.
    pub program: PathBuf,
    /// Where its hub listens; where pods are to dial it, an address of this machine that they reach.
    pub address: IpAddr,
    /// Further flags of `up`.
    pub flags: Vec<OsString>,
}

impl Settings {
    /// A program on loopback.
    pub fn of(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), address: Ipv4Addr::LOCALHOST.into(), flags: Vec::new() }
    }
}

/// The running program.
pub struct World {
    folder: tempfile::TempDir,
    settings: Settings,
    listen: SocketAddr,
    metrics: u16,
    process: Child,
}

impl World {
    /// Starts on an empty directory.
    pub fn start(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (listen, metrics) = (SocketAddr::new(settings.address, port()), port());
        let process = spawn(folder.path(), &settings, listen, metrics);
        let world = Self { folder, settings, listen, metrics, process };
        world.wait_ready();
        world
    }

    /// Ends the process as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill().expect("kill");
        self.process.wait().expect("wait");
    }

    /// Starts it again on what is kept.
    pub fn restart(&mut self) {
        self.process = spawn(self.folder.path(), &self.settings, self.listen, self.metrics);
        self.wait_ready();
    }

    fn wait_ready(&self) {
        eventually("the ready line", START, || self.log().contains("ready in ").then_some(()));
    }

    /// What it printed since its start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The hub's URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.listen)
    }

    /// A command of the binary, on this hub.
    pub fn skerry(&self, args: &[&str]) -> Output {
        command(&self.settings.program, self.folder.path()).args(args).output().expect("skerry")
    }

    /// The same, which must succeed; answers its output.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let out = self.skerry(args);
        assert!(out.status.success(), "skerry {args:?}: {}{}", text(&out.stdout), text(&out.stderr));
        text(&out.stdout)
    }

    /// A second process on the same directory.
    pub fn second_start(&self) -> Output {
        let other = [port(), port()].map(|p| format!("127.0.0.1:{p}"));
        let data = self.path("data");
        let data = data.to_str().expect("an ordinary path");
        self.skerry(&[
            "up",
            "--data-dir",
            data,
            "--listen",
            &other[0],
            "--metrics",
            &other[1],
            "--write-kubeconfig=false",
        ])
    }

    /// kubectl as administrator of the hub.
    pub fn hub(&self) -> Kubectl {
        Kubectl::new("kubectl", self.path("data/kubeconfig"))
    }

    /// A new virtual cluster in a namespace of its own, and kubectl as its owner.
    #[track_caller]
    pub fn cluster(&self, program: &str, name: &str) -> Kubectl {
        self.cluster_with(program, name, &[])
    }

    /// The same with flags of `create`.
    #[track_caller]
    pub fn cluster_with(&self, program: &str, name: &str, flags: &[&str]) -> Kubectl {
        self.hub().ok(&["create", "namespace", name]);
        self.cluster_in(program, name, name, flags)
    }

    /// A new virtual cluster in a namespace that is there, and kubectl as its owner.
    #[track_caller]
    pub fn cluster_in(&self, program: &str, namespace: &str, name: &str, flags: &[&str]) -> Kubectl {
        let mut create = vec!["create", name, "-n", namespace, "--connect=false", "-q"];
        create.extend(flags);
        self.ok(&create);
        let path = self.path(&format!("{namespace}.{name}.kubeconfig"));
        std::fs::write(&path, self.ok(&["kubeconfig", name, "-n", namespace])).expect("write a kubeconfig");
        Kubectl::new(program, path)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program with a home of its own, on the hub of a folder.
pub(super) fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("KUBECONFIG", folder.join("data/kubeconfig"))
        .env("HOME", folder)
        .env_remove("XDG_DATA_HOME")
        .stdin(Stdio::null());
    command
}

fn spawn(folder: &Path, settings: &Settings, listen: SocketAddr, metrics: u16) -> Child {
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    // For whoever looks into a case that failed.
    let level = std::env::var("SKERRY_TEST_LOG").ok();
    command(&settings.program, folder)
        .args(["up", "--write-kubeconfig=false", "--listen", &listen.to_string()])
        .args(["--metrics", &format!("127.0.0.1:{metrics}"), "--data-dir"])
        .arg(folder.join("data"))
        .args(level.iter().flat_map(|level| ["--log-level", level.as_str()]))
        .args(&settings.flags)
        .stdout(log.try_clone().expect("the log again"))
        .stderr(log)
        .spawn()
        .expect("start skerry")
}
