//! Names on the bare cluster: CoreDNS, which clusters of that kind have, as a pod with the usual Service.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::error::NodeError;
use super::images::Image;
use super::{Cluster, text};
use crate::upstream::kubectl::tool;

/// Where pods of the bare cluster ask.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The program among the tools.
pub const PROGRAM: &str = "coredns";
const IMAGE: &str = "registry.k8s.io/coredns/coredns:local";
const LIMIT: Duration = Duration::from_secs(60);
/// Names of the cluster, and nothing beyond: the node has no resolver of its own.
const OBJECTS: &str = include_str!("coredns.yaml");

/// Its image.
pub fn image() -> Image {
    Image::new(IMAGE, &[PROGRAM]).with(tool(PROGRAM), PROGRAM)
}

/// Starts it and waits until it answers.
pub fn start(cluster: &Cluster) -> Result<(), NodeError> {
    let kubectl = cluster.kubectl();
    kubectl.apply(&OBJECTS.replace("IMAGE", IMAGE).replace("ADDRESS", &ADDRESS.to_string()), &[]);
    let started = Instant::now();
    let rolled = ["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=5s"];
    while !kubectl.run(&rolled).status.success() {
        if started.elapsed() > LIMIT {
            let said = [&["describe", "pods"][..], &["logs", "deployment/coredns"]]
                .map(|ask| text(&kubectl.run(&[ask, &["-n", "kube-system"]].concat()).stdout));
            return Err(NodeError::Late { what: "CoreDNS", log: said.join("\n") });
        }
    }
    Ok(())
}
