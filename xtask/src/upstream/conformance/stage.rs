//! Where the specs run: a cluster with one node, and on it a Skerry with one tenant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use skerry_testkit::upstream::node::{self, Cluster, names};
use skerry_testkit::upstream::wait::eventually;
use skerry_testkit::upstream::world::{Settings, World};

use super::suite::Suite;
use super::{Side, images};
use crate::run::{cargo, executable};

/// A class that lets its tenants do to their host what specs do to a bare cluster: run privileged pods, mount its
/// paths, share its namespaces and ports. Tenants are otherwise held to level `baseline`.
const CLASS: &str = include_str!("class.yaml");
/// A tenant sees the nodes on which its pods run; this one runs all along, so that there is a node to be seen.
const ANCHOR: &str = include_str!("anchor.yaml");
const TENANT: &str = "conformance";

/// Builds the program; answers where it lies.
pub fn build() -> anyhow::Result<PathBuf> {
    executable(cargo().args(["build", "--package", "skerry", "--bin", "skerry"]))
}

/// Starts the node, runs the sides in turn, takes all away.
pub fn run(program: &Path, suite: &Suite, sides: &[Side]) -> anyhow::Result<()> {
    let cluster = Cluster::with(&node::Settings { dns: Some(names::ADDRESS) })?;
    let mut images = images::wanted(&suite.bin)?;
    images.push(names::image());
    cluster.import(&images)?;
    println!("a node with {} images is up; its logs are in {}", images.len(), cluster.folder().display());
    names::start(&cluster)?;
    for side in sides {
        match side {
            Side::Bare => suite.run(&cluster, *side, &cluster.kubeconfig())?,
            Side::Tenant => {
                let skerry = skerry(program, &cluster, &suite.folder)?;
                let kubeconfig = tenant(&skerry, &cluster)?;
                let ended = suite.run(&cluster, *side, &kubeconfig);
                std::fs::write(suite.folder.join("skerry.log"), skerry.log())?;
                ended?;
            }
        }
    }
    Ok(())
}

/// Starts Skerry where pods can dial it.
fn skerry(program: &Path, cluster: &Cluster, folder: &Path) -> anyhow::Result<World> {
    let classes = folder.join("classes.yaml");
    std::fs::write(&classes, CLASS)?;
    let settings = Settings {
        program: program.to_owned(),
        address: cluster.machine_address().into(),
        flags: vec!["--classes".into(), classes.into(), "--log-level".into(), "info".into()],
    };
    Ok(World::start(settings))
}

/// Joins the cluster as host and makes a tenant there; answers the kubeconfig of its owner.
fn tenant(skerry: &World, cluster: &Cluster) -> anyhow::Result<PathBuf> {
    let host = cluster.kubeconfig();
    let host = host.to_str().context("an ordinary path")?;
    skerry.ok(&["fleet", "join", "quay", "--host", "--member-kubeconfig", host]);
    let tenant = skerry.cluster_with("kubectl", TENANT, &["--host", "skerry.quay"]);
    // Its namespace has no account in the first moment.
    eventually("the anchor", Duration::from_secs(60), || {
        tenant.feed(&["apply", "-f", "-"], ANCHOR).status.success().then_some(())
    });
    tenant.ok(&["wait", "--for=condition=Ready", "pod/anchor", "-n", "anchor", "--timeout=90s"]);
    tenant.ok(&["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=30s"]);
    Ok(tenant.config().to_owned())
}
