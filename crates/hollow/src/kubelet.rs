//! Hollow kubelets: bound pods become Running and Ready; deleted ones end; those of Jobs succeed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Hollow;

/// Requests of all hollow kubelets at a time.
const IN_FLIGHT: usize = 32;
/// Label with the Job of a pod.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// How long a Job's pod runs.
const JOB_RUNS: Duration = Duration::from_secs(1);

/// Now, as the API writes it.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whether the pod has finished.
pub fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

struct Kubelet {
    client: Client,
    next_ip: AtomicU32,
}

/// Looks after pods on the host's nodes for ever.
pub async fn run(client: Client, hollow: Hollow) {
    let pods: Api<Pod> = Api::all(client.clone());
    let mut events = watcher::watcher(pods, watcher::Config::default()).boxed();
    let kubelet = Arc::new(Kubelet { client, next_ip: AtomicU32::new(1) });
    let seats = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut tasks = tokio::task::JoinSet::new();
    while let Some(event) = events.next().await {
        while tasks.try_join_next().is_some() {}
        let pod = match event {
            Ok(Event::Apply(pod) | Event::InitApply(pod)) => pod,
            Ok(_) => continue,
            Err(error) => {
                tracing::debug!(%error, "pod watch of the kubelets broke");
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
        };
        let Some(node) = pod.spec.as_ref().and_then(|s| s.node_name.clone()) else { continue };
        if !hollow.owns(&node) {
            continue;
        }
        let (kubelet, seats) = (kubelet.clone(), seats.clone());
        tasks.spawn(async move {
            let Ok(_seat) = seats.acquire().await else { return };
            if let Err(error) = kubelet.look_after(&pod).await {
                tracing::debug!(%error, pod = pod.name_any(), "a simulated pod was not reported");
            }
        });
    }
}

impl Kubelet {
    async fn look_after(&self, pod: &Pod) -> Result<(), kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let name = pod.name_any();
        if pod.metadata.deletion_timestamp.is_some() {
            let uid = pod.uid();
            let options = DeleteParams::default()
                .grace_period(0)
                .preconditions(Preconditions { uid, resource_version: None });
            return quiet(pods.delete(&name, &options).await.map(drop));
        }
        if is_over(pod) {
            return Ok(());
        }
        if phase(pod) != "Running" {
            let body = running(pod, &self.address());
            quiet(
                pods.patch_status(&name, &PatchParams::default(), &Patch::Strategic(body)).await.map(drop),
            )?;
        }
        if is_of_job(pod) {
            tokio::time::sleep(JOB_RUNS).await;
            let body = succeeded(pod);
            quiet(
                pods.patch_status(&name, &PatchParams::default(), &Patch::Strategic(body)).await.map(drop),
            )?;
        }
        Ok(())
    }

    fn address(&self) -> String {
        let n = self.next_ip.fetch_add(1, Ordering::Relaxed);
        format!("10.{}.{}.{}", 128 + (n >> 16) % 120, (n >> 8) & 255, n & 255)
    }
}

/// A pod that is gone, or another one by now, needs nothing.
fn quiet(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        other => other,
    }
}

/// Tenants' pods have no Job among their owners here, and still its label.
fn is_of_job(pod: &Pod) -> bool {
    pod.labels().contains_key(JOB_NAME) || pod.owner_references().iter().any(|o| o.kind == "Job")
}

fn container(c: &Container, state: &Value, ready: bool) -> Value {
    let image = c.image.clone().unwrap_or_default();
    json!({"name": c.name, "image": image, "imageID": format!("simulated://{image}"), "restartCount": 0, "ready": ready,
           "started": ready, "state": state, "containerID": format!("simulated://{}", c.name)})
}

fn conditions(ready: bool, reason: Option<&str>) -> Value {
    let at = now();
    let one = |ty: &str, holds: bool| {
        let mut out = json!({"type": ty, "status": if holds { "True" } else { "False" },
                             "lastProbeTime": null, "lastTransitionTime": at});
        if let (false, Some(reason)) = (holds, reason) {
            out["reason"] = reason.into();
        }
        out
    };
    json!([
        one("PodReadyToStartContainers", true),
        one("Initialized", true),
        one("Ready", ready),
        one("ContainersReady", ready),
        one("PodScheduled", true)
    ])
}

fn running(pod: &Pod, ip: &str) -> Value {
    let at = now();
    let spec = pod.spec.clone().unwrap_or_default();
    let run = json!({"running": {"startedAt": at}});
    let done =
        json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}});
    let is_sidecar = |c: &Container| c.restart_policy.as_deref() == Some("Always");
    let inits: Vec<Value> = spec
        .init_containers
        .iter()
        .flatten()
        .map(|c| if is_sidecar(c) { container(c, &run, true) } else { container(c, &done, true) })
        .collect();
    let mut status = json!({
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": "10.255.0.1", "hostIPs": [{"ip": "10.255.0.1"}],
        "startTime": at, "conditions": conditions(true, None),
        "containerStatuses": spec.containers.iter().map(|c| container(c, &run, true)).collect::<Vec<_>>(),
    });
    if !inits.is_empty() {
        status["initContainerStatuses"] = inits.into();
    }
    json!({"status": status})
}

fn succeeded(pod: &Pod) -> Value {
    let at = now();
    let done =
        json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}});
    let spec = pod.spec.clone().unwrap_or_default();
    json!({"status": {
        "phase": "Succeeded", "conditions": conditions(false, Some("PodCompleted")),
        "containerStatuses": spec.containers.iter().map(|c| container(c, &done, false)).collect::<Vec<_>>(),
    }})
}
