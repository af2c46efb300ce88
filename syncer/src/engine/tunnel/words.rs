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
            let (name, subresource) = (&to.name, to.kind());
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

/// Whether an answer is the host's own, and not that of a pod behind it.
pub(super) fn of_a_host(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|status| text(&status, "kind") == "Status")
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
    let is_hosts = OF_THE_HOST.iter().any(|word| message.contains(word))
        || facts.host.node_addresses.iter().any(|ip| message.contains(&**ip));
    (!is_hosts).then_some(message)
}

/// The one thing that kubelets say outside a Status and every user meets: a container that does not run.
fn stopped(said: &str, pod: &HostObj) -> Option<String> {
    ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| items(pod.value(), &format!("/spec/{list}")))
        .map(|container| format!("container not found ({:?})", text(container, "name")))
        .find(|sentence| said.contains(sentence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::tests_support::facts;

    /// What the tenant hears of a host's answer about its pod `shop` in namespace `web`.
    fn heard(code: u16, body: &str) -> StreamError {
        let facts = facts();
        let space = facts.mapping.namespace("web", &facts.namespaces["web"].uid);
        let pod =
            HostObj(json!({"metadata": {"namespace": space.as_str(), "name": "shop", "uid": "of-the-host"},
            "spec": {"containers": [{"name": "c"}]}}));
        let to = PodStream {
            namespace: "web".into(),
            name: "shop".into(),
            uid: "of-the-tenant".into(),
            subresource: "exec".into(),
        };
        refusal(code, body.replace("SPACE", space.as_str()).as_bytes(), &to, &pod, &facts)
    }

    fn status(message: &str) -> String {
        json!({"kind": "Status", "message": message}).to_string()
    }

    fn told(code: u16, message: &str) -> StreamError {
        StreamError::Refused { code, message: message.to_owned() }
    }

    /// apiserver T2: what is said of the pod is told in the tenant's names.
    #[test]
    fn translate_t2_words_about_the_pod() {
        let said = status("pod SPACE/shop (of-the-host) is not running");
        assert_eq!(heard(400, &said), told(400, "pod web/shop (of-the-tenant) is not running"));
        let stopped = "unable to upgrade: container not found (\"c\")\n";
        assert_eq!(heard(500, stopped), told(500, "container not found (\"c\")"));
    }

    /// apiserver T2: what is said of the host is not told.
    #[test]
    fn translate_t2_words_about_the_host() {
        for said in [
            status("error dialing backend: dial tcp: connection refused"),
            status("node 192.0.2.10 is busy"),
            status("Post \"https://node-7/exec\": EOF"),
            status("sk-tk3v2q5x2m7a is being deleted"),
            status("namespace sk-tqqqqqqqqqqq-a-b is full"),
            "<html>proxy</html>".to_owned(),
            "container not found (\"of-another\")".to_owned(),
            json!({"message": "no Status"}).to_string(),
            String::new(),
        ] {
            assert_eq!(heard(500, &said), StreamError::Unspeakable, "{said}");
        }
        let user = status("User \"system:serviceaccount:a:b\" cannot create resource pods/exec");
        assert_eq!(
            heard(403, &user),
            told(403, "pods \"shop\" is forbidden: the host does not allow pods/exec")
        );
        assert_eq!(heard(404, &status("pods \"shop\" not found")), StreamError::Gone);
        for code in [429, 502, 503, 504] {
            assert_eq!(heard(code, &status("later")), StreamError::Unreachable);
        }
    }
}
