//! Where the specs run: a cluster with one node, and on it a Skerry with one tenant.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use skerry_testkit::upstream::node::{Cluster, Settings, names};
use skerry_testkit::upstream::wait::{eventually, port, text};

use super::suite::Suite;
use super::{Side, images};
use crate::root;

/// A class that lets its tenants do to their host what specs do to a bare cluster: run privileged pods, mount its
/// paths, share its namespaces and ports. Tenants are otherwise held to level `baseline`.
const CLASS: &str = include_str!("class.yaml");
/// A tenant sees the nodes on which its pods run; this one runs all along, so that there is a node to be seen.
const ANCHOR: &str = include_str!("anchor.yaml");
const TENANT: &str = "conformance";

/// Builds the program.
pub fn build() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status =
        Command::new(cargo).current_dir(root()).args(["build", "-p", "skerry"]).status().context("cargo")?;
    if !status.success() {
        bail!("cargo build: {status}");
    }
    Ok(())
}

/// Starts the node, runs the sides in turn, takes all away.
pub fn run(suite: &Suite, sides: &[Side]) -> anyhow::Result<()> {
    let cluster = Cluster::with(&Settings { dns: Some(names::ADDRESS) })?;
    let mut images = images::wanted(&suite.bin)?;
    images.push(names::image());
    cluster.import(&images)?;
    println!("a node with {} images is up; its logs are in {}", images.len(), cluster.folder().display());
    names::start(&cluster)?;
    for side in sides {
        match side {
            Side::Bare => suite.run(&cluster, *side, &cluster.kubeconfig())?,
            Side::Tenant => {
                let skerry = Skerry::start(&cluster, &suite.folder)?;
                let kubeconfig = skerry.tenant(&cluster)?;
                suite.run(&cluster, *side, &kubeconfig)?;
            }
        }
    }
    Ok(())
}

/// The running program.
struct Skerry {
    program: PathBuf,
    folder: tempfile::TempDir,
    process: Child,
}

impl Skerry {
    /// Starts it where pods can dial it.
    fn start(cluster: &Cluster, logs: &Path) -> anyhow::Result<Self> {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let program = target.join("debug/skerry");
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("classes.yaml"), CLASS)?;
        let path = logs.join("skerry.log");
        let log = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        let listen = SocketAddr::new(cluster.machine_address().into(), port());
        let process = command(&program, folder.path())
            .args(["up", "--write-kubeconfig=false", "--listen", &listen.to_string()])
            .args(["--metrics", &format!("127.0.0.1:{}", port()), "--log-level", "info"])
            .args(["--classes".as_ref(), folder.path().join("classes.yaml").as_os_str()])
            .args(["--data-dir".as_ref(), folder.path().join("data").as_os_str()])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start skerry")?;
        let this = Self { program, folder, process };
        eventually("the ready line of skerry", Duration::from_secs(120), || {
            std::fs::read_to_string(&path).unwrap_or_default().contains("ready in ").then_some(())
        });
        Ok(this)
    }

    /// Joins the cluster as host and makes a tenant there; answers the kubeconfig of its owner.
    fn tenant(&self, cluster: &Cluster) -> anyhow::Result<PathBuf> {
        let host = cluster.kubeconfig();
        let host = host.to_str().context("an ordinary path")?;
        self.ok(&["fleet", "join", "quay", "--host", "--member-kubeconfig", host])?;
        self.ok(&["create", TENANT, "-n", "default", "--host", "skerry.quay", "--connect=false", "-q"])?;
        let path = self.folder.path().join("tenant.kubeconfig");
        std::fs::write(&path, self.ok(&["kubeconfig", TENANT, "-n", "default"])?)?;
        let tenant = skerry_testkit::upstream::kubectl::Kubectl::new("kubectl", path.clone());
        // Its namespace has no account in the first moment.
        eventually("the anchor", Duration::from_secs(60), || {
            tenant.feed(&["apply", "-f", "-"], ANCHOR).status.success().then_some(())
        });
        tenant.ok(&["wait", "--for=condition=Ready", "pod/anchor", "-n", "anchor", "--timeout=90s"]);
        tenant.ok(&["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=30s"]);
        Ok(path)
    }

    fn ok(&self, args: &[&str]) -> anyhow::Result<String> {
        let out = command(&self.program, self.folder.path()).args(args).output().context("skerry")?;
        if !out.status.success() {
            bail!("skerry {args:?}: {}{}", text(&out.stdout), text(&out.stderr));
        }
        Ok(text(&out.stdout))
    }
}

impl Drop for Skerry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("KUBECONFIG", folder.join("data/kubeconfig"))
        .env("HOME", folder)
        .env_remove("XDG_DATA_HOME")
        .stdin(Stdio::null());
    command
}
