//! Names on the bare cluster: CoreDNS, which clusters of that kind have, as a pod with the usual Service.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use skerry_testkit::upstream::node::{Cluster, Image};
use skerry_testkit::upstream::wait::text;

use super::super::{Go, go_build, keep, root, stamp};

/// Where pods of the bare cluster ask.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The program.
pub const NAME: &str = "coredns";
/// Which of its plugins are built in.
const MAIN: &str = include_str!("../../../../tests/upstream/coredns/main.go");
const IMAGE: &str = "registry.k8s.io/coredns/coredns:local";
const LIMIT: Duration = Duration::from_secs(60);
/// Names of the cluster, and nothing beyond: the node has no resolver of its own.
const OBJECTS: &str = include_str!("coredns.yaml");

/// Builds it.
pub fn build(bin: &Path) -> anyhow::Result<()> {
    let module = root().join("tests/upstream/coredns");
    let build = || go_build(&module, ".", &bin.join(NAME), "", Go::Static);
    keep(bin, NAME, &stamp(&module, MAIN)?, build)
}

/// Its image.
pub fn image(bin: &Path) -> Image {
    Image::new(IMAGE, &["coredns"]).with(bin.join(NAME), NAME)
}

/// Starts it and waits until it answers.
pub fn start(cluster: &Cluster) -> anyhow::Result<()> {
    let kubectl = cluster.kubectl();
    kubectl.apply(&OBJECTS.replace("IMAGE", IMAGE).replace("ADDRESS", &ADDRESS.to_string()), &[]);
    let started = Instant::now();
    while !kubectl
        .run(&["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=5s"])
        .status
        .success()
    {
        if started.elapsed() > LIMIT {
            let said = [&["describe", "pods"][..], &["logs", "deployment/coredns"]]
                .map(|ask| text(&kubectl.run(&[ask, &["-n", "kube-system"]].concat()).stdout));
            bail!("CoreDNS is not ready: {}", said.join("\n"));
        }
    }
    Ok(())
}
