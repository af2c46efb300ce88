//! What a host says instead of a stream, in the tenant's words or not at all (apiserver T2).

use serde_json::{Value, json};

use super::{PodStream, StreamError};
use crate::{
    facts::Facts,
    kinds::pod::mapped_back,
    object::{Fields, HostObj, TenantObj, items, text},
};

/// What speaks of a host's own network, never of a pod.
const OF_THE_HOST: [&str; 4] = ["://", "dial ", "lookup ", "system:"];

/// Reads a host's refusal.
pub(super) fn refusal(code: u16, body: &[u8], to: &PodStream, pod: &HostObj, facts: &Facts) -> StreamError {
    match code {
        401 | 403 => {
            let PodStream { name, subresource, .. } = to;
            let message = format!("pods {name:?} is forbidden: the host does not allow pods/{subresource}");
            StreamError::Refused { code: 403, message }
        }
        404 => StreamError::Gone,
        429 | 502..=504 => StreamError::Unreachable,
        _ => match told(body, to, pod, facts) {
            Some(message) => StreamError::Refused { code, message },
            None => StreamError::Unspeakable,
        },
    }
}

/// The sentence of a Status, mapped back.
fn told(body: &[u8], to: &PodStream, pod: &HostObj, facts: &Facts) -> Option<String> {
    let Ok(status) = serde_json::from_slice::<Value>(body) else {
        return stopped(&String::from_utf8_lossy(body), pod);
    };
    let message = text(&status, "message");
    if text(&status, "kind") != "Status" || message.is_empty() {
        return None;
    }
    let tenant = TenantObj(json!({"metadata": {"namespace": to.namespace, "name": to.name, "uid": to.uid}}));
    let message = mapped_back(message, &tenant, pod, facts)?;
    let addresses = items(pod.value(), "/status/hostIPs").iter().map(|ip| text(ip, "ip"));
    let mut addresses = addresses.chain([pod.text("/status/hostIP")]).filter(|ip| !ip.is_empty());
    let is_hosts =
        OF_THE_HOST.iter().any(|word| message.contains(word)) || addresses.any(|ip| message.contains(ip));
    (!is_hosts).then_some(message)
}

/// The one thing that kubelets say outside a Status and every user meets: a container that does not run.
fn stopped(said: &str, pod: &HostObj) -> Option<String> {
    ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| items(pod.value(), &format!("/spec/{list}")))
        .map(|container| format!("container not found ({:?})", text(container, "name")))
        .find(|sentence| said.contains(sentence))
        .map(|sentence| format!("Internal error occurred: {sentence}"))
}
