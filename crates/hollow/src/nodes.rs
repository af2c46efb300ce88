//! Node objects of a simulated host.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use skerry_api::labels::SIMULATED;

use super::{Hollow, HollowError};

const MANAGER: &str = "skerry-hollow";
/// How often nodes that somebody deleted come back.
const PERIOD: Duration = Duration::from_secs(30);

/// What a simulated node offers.
#[derive(Clone, Debug)]
pub struct NodeShape {
    /// Quantity of CPU.
    pub cpu: String,
    /// Quantity of memory.
    pub memory: String,
    /// Pods.
    pub pods: u32,
}

impl Default for NodeShape {
    fn default() -> Self {
        Self { cpu: "32".into(), memory: "128Gi".into(), pods: 1000 }
    }
}

fn node(hollow: &Hollow, i: usize) -> Value {
    let name = hollow.node_name(i);
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": arch,
            SIMULATED: "true", "type": "simulated",
        }, "annotations": {SIMULATED: "true"}},
        "spec": {},
    })
}

fn status(hollow: &Hollow, i: usize) -> Value {
    let shape = &hollow.shape;
    let figures = json!({"cpu": shape.cpu, "memory": shape.memory, "pods": shape.pods.to_string(),
                         "ephemeral-storage": "100Gi"});
    let since = jiff::Timestamp::UNIX_EPOCH.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |ty: &str, status: &str, reason: &str| {
        json!({"type": ty, "status": status, "reason": reason, "message": "simulated",
               "lastHeartbeatTime": since, "lastTransitionTime": since})
    };
    let node = node(hollow, i);
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": hollow.node_name(i)},
        "status": {
            "capacity": figures, "allocatable": figures,
            "conditions": [
                condition("Ready", "True", "KubeletReady"),
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
            ],
            "addresses": [{"type": "InternalIP", "address": address(i)}, {"type": "Hostname", "address": hollow.node_name(i)}],
            "nodeInfo": {
                "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "simulated", "osImage": "simulated",
                "containerRuntimeVersion": "simulated://0", "kubeletVersion": "v1.36.3-simulated", "kubeProxyVersion": "",
                "operatingSystem": "linux", "architecture": node["metadata"]["labels"]["kubernetes.io/arch"],
            },
        },
    })
}

/// Address that a simulated node shows.
pub fn address(i: usize) -> String {
    format!("10.255.{}.{}", i / 250, i % 250 + 1)
}

/// Makes or repairs every node.
pub async fn make(client: &Client, hollow: &Hollow) -> Result<(), HollowError> {
    let api: Api<Node> = Api::all(client.clone());
    let params = PatchParams::apply(MANAGER).force();
    for i in 0..hollow.nodes {
        let name = hollow.node_name(i);
        let failed = |e: kube::Error| HollowError::Node(name.clone(), Box::new(e));
        api.patch(&name, &params, &Patch::Apply(node(hollow, i))).await.map_err(failed)?;
        api.patch_status(&name, &params, &Patch::Apply(status(hollow, i))).await.map_err(failed)?;
    }
    Ok(())
}

/// Repairs nodes from time to time. An unchanged node is not written.
pub async fn keep(client: &Client, hollow: &Hollow) {
    loop {
        tokio::time::sleep(PERIOD).await;
        if let Err(error) = make(client, hollow).await {
            tracing::warn!(%error, "simulated nodes are not as they should be");
        }
    }
}
