//! A plain scheduler: the node with most room that a pod may be on.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::fit::{self, Refusal};
use super::resources::{Amounts, of_map, of_pod};
use super::{Hollow, kubelet};

const NAME: &str = "default-scheduler";
/// How often pods that found no room are tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What lies on the nodes, as far as pods were seen or bound.
#[derive(Default)]
struct Book {
    /// Pod UID to its node and needs.
    placed: HashMap<String, (String, Amounts)>,
    used: HashMap<String, Amounts>,
    waiting: BTreeMap<String, Pod>,
}

impl Book {
    fn place(&mut self, uid: String, node: String, need: Amounts) {
        self.remove(&uid);
        let used = self.used.entry(node.clone()).or_default();
        for (name, amount) in &need {
            *used.entry(name.clone()).or_default() += amount;
        }
        self.placed.insert(uid, (node, need));
    }

    fn remove(&mut self, uid: &str) {
        let Some((node, need)) = self.placed.remove(uid) else { return };
        let used = self.used.entry(node).or_default();
        for (name, amount) in need {
            *used.entry(name).or_default() -= amount;
        }
    }

    fn see(&mut self, pod: Pod) {
        let uid = pod.uid().unwrap_or_default();
        if kubelet::is_over(&pod) {
            self.remove(&uid);
            self.waiting.remove(&uid);
            return;
        }
        match pod.spec.as_ref().and_then(|s| s.node_name.clone()) {
            Some(node) => {
                self.waiting.remove(&uid);
                self.place(uid, node, of_pod(&pod));
            }
            None if wants(&pod) => {
                self.waiting.insert(uid, pod);
            }
            None => {}
        }
    }
}

fn wants(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    spec.scheduler_name.as_deref().is_none_or(|s| s == NAME)
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
        && pod.metadata.deletion_timestamp.is_none()
}

/// Binds pods for ever.
pub async fn run(client: Client, hollow: Hollow) {
    let pods: Api<Pod> = Api::all(client.clone());
    let mut events = watcher::watcher(pods, watcher::Config::default()).boxed();
    let mut book = Book::default();
    let mut retry = tokio::time::interval(RETRY);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) => book.see(pod),
                Some(Ok(Event::Delete(pod))) => {
                    let uid = pod.uid().unwrap_or_default();
                    book.remove(&uid);
                    book.waiting.remove(&uid);
                }
                Some(Ok(Event::Init)) => book = Book::default(),
                Some(Ok(Event::InitDone)) => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "pod watch of the scheduler broke");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                None => return,
            },
            _ = retry.tick() => {}
        }
        if !book.waiting.is_empty() {
            pass(&client, &hollow, &mut book).await;
        }
    }
}

/// One pass over all waiting pods.
async fn pass(client: &Client, hollow: &Hollow, book: &mut Book) {
    let nodes: Api<Node> = Api::all(client.clone());
    let Ok(nodes) = nodes.list(&ListParams::default()).await else { return };
    let nodes: Vec<Node> = nodes.items.into_iter().filter(|n| hollow.owns(&n.name_any())).collect();
    for pod in book.waiting.values().cloned().collect::<Vec<_>>() {
        let uid = pod.uid().unwrap_or_default();
        match choose(&pod, &nodes, book) {
            Ok(node) => {
                if bind(client, &pod, &node).await {
                    book.waiting.remove(&uid);
                    book.place(uid, node, of_pod(&pod));
                }
            }
            Err(refusals) => report(client, &pod, nodes.len(), &refusals).await,
        }
    }
}

fn choose(pod: &Pod, nodes: &[Node], book: &Book) -> Result<String, Vec<Refusal>> {
    let need = of_pod(pod);
    let empty = Amounts::new();
    let mut refusals = Vec::new();
    let mut best: Option<(i128, String)> = None;
    for node in nodes {
        if let Err(refusal) = fit::placement(pod, node) {
            refusals.push(refusal);
            continue;
        }
        let name = node.name_any();
        let offer = node.status.as_ref().and_then(|s| s.allocatable.as_ref()).map(of_map).unwrap_or_default();
        let used = book.used.get(&name).unwrap_or(&empty);
        if !fit::room(&need, &offer, used) {
            refusals.push(Refusal::Room);
            continue;
        }
        let left = offer.get("pods").copied().unwrap_or(0) - used.get("pods").copied().unwrap_or(0);
        if best.as_ref().is_none_or(|(most, _)| left > *most) {
            best = Some((left, name));
        }
    }
    best.map(|(_, name)| name).ok_or(refusals)
}

async fn bind(client: &Client, pod: &Pod, node: &str) -> bool {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let body = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "namespace": namespace, "uid": pod.uid()},
                      "target": {"apiVersion": "v1", "kind": "Node", "name": node}});
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let params = PostParams::default();
    match pods.create_subresource::<_, serde_json::Value>("binding", &name, &params, &body).await {
        Ok(_) => true,
        // Gone, or bound already: the watch will say which.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => true,
        Err(error) => {
            tracing::debug!(%error, pod = name, "binding failed");
            false
        }
    }
}

/// `PodScheduled=False`, once per message.
async fn report(client: &Client, pod: &Pod, total: usize, refusals: &[Refusal]) {
    let mut counts: BTreeMap<Refusal, usize> = BTreeMap::new();
    for refusal in refusals {
        *counts.entry(*refusal).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(refusal, n)| format!("{n} {}", refusal.text())).collect();
    let message = format!("0/{total} nodes are available: {}.", parts.join(", "));
    let conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    if conditions.into_iter().any(|c| c.type_ == "PodScheduled" && c.message.as_deref() == Some(&message)) {
        return;
    }
    let body = json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": message, "lastProbeTime": null, "lastTransitionTime": kubelet::now()}]}});
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    if let Err(error) =
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(body)).await
    {
        tracing::debug!(%error, "an unschedulable pod was not marked");
    }
}
