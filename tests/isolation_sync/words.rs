//! What the host says, and what the tenant hears: SE14.

use serde_json::{Value, json};

use crate::faults::Fate;
use crate::rig::Rig;

/// SE14: refusals and Events that name the host, its accounts, its namespaces or a neighbour are hidden, wherever a tenant
/// looks; what is said of its own object is passed on in its own names.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se14_messages_name_no_host() {
    let rig = Rig::new("words").await;
    let (space, own) = (rig.b_space().await, rig.w.host_namespace().await);
    let account = "User \"system:serviceaccount:skerry-system:skerry-host\" cannot create resource";
    let says = [
        ("neighbour", format!("admission webhook denied: same image as {space}/web")),
        ("account", format!("pods \"account\" is forbidden: {account} \"pods\" in API group \"\"")),
        ("token", format!("secret {} in use", rig.b_token().await)),
        ("home", format!("see {}", rig.w.entry.mapping().home())),
        ("plain", format!("admission webhook \"images.example\" denied pod {own}/plain: unsigned image")),
    ];
    let hidden = [
        &*rig.b.entry.id,
        &*space,
        "skerry-system",
        "skerry-host",
        "skerry-token-",
        "sk-t",
        "serviceaccount:",
    ];
    for (name, message) in &says {
        let (own, message) = (rig.w.host_namespace().await, message.clone());
        rig.w.to_host.rule(move |asked| {
            let posts = asked.method == "POST" && asked.path.contains(&own) && asked.path.ends_with("/pods");
            if posts { Fate::Says(403, message.clone()) } else { Fate::Pass }
        });
        rig.post("pods", rig.w.pod_in(&rig.w.namespace, name)).await;
        let (reason, message) = rig.refused("Pod", name).await;
        assert_eq!(reason, "HostAdmissionDenied", "{name}: {message}");
        if *name == "plain" {
            assert!(message.contains(&format!("{}/plain: unsigned image", rig.w.namespace)), "{message}");
        }
        let is_refused = |p: &Value| p["status"].to_string().contains("HostAdmissionDenied");
        let pod = rig.w.tenant.until("told", &rig.w.path("pods", name), is_refused).await;
        for word in hidden {
            assert!(!pod["status"].to_string().contains(word), "{word}: {}", pod["status"]);
            assert!(!message.contains(word), "{word}: {message}");
        }
    }
    rig.w.to_host.up();

    rig.post("pods", rig.w.pod_in(&rig.w.namespace, "web")).await;
    let pod = rig.w.host.until("sent", &rig.w.host_path("pods", "web").await, |_| true).await;
    let own = rig.w.host_namespace().await;
    let about = json!({"kind": "Pod", "namespace": own, "name": "web", "uid": pod["metadata"]["uid"]});
    for (i, (_, message)) in says.iter().enumerate() {
        let event = json!({"metadata": {"name": format!("web.{i}")}, "reason": format!("Said{i}"), "message": message,
            "type": "Warning", "involvedObject": about});
        rig.w.host.post(&format!("/api/v1/namespaces/{own}/events"), event).await;
    }
    // A kubelet's words in a status, too.
    let waiting = json!({"waiting": {"reason": "CreateContainerConfigError", "message": says[2].1}});
    let status = json!({"status": {"message": says[0].1, "containerStatuses": [{"name": "c", "image": "x", "imageID": "",
        "ready": false, "restartCount": 0, "state": waiting}]}});
    rig.w.host.merge(&format!("{}/status", rig.w.host_path("pods", "web").await), status).await;
    let is_told = |p: &Value| p["status"]["containerStatuses"][0]["state"]["waiting"].is_object();
    let seen = rig.w.tenant.until("status", &rig.w.path("pods", "web"), is_told).await["status"].to_string();
    let events = format!("/api/v1/namespaces/{}/events", rig.w.namespace);
    let all = |l: &Value| (0..says.len()).all(|i| l.to_string().contains(&format!("Said{i}")));
    let list = rig.w.tenant.until("all Events", &events, all).await["items"].clone();
    for word in hidden {
        assert!(!seen.contains(word), "{word}: {seen}");
        for event in list.as_array().unwrap() {
            let message = event["message"].as_str().unwrap();
            assert!(!message.contains(word), "{word}: {message}");
        }
    }
    let _ = rig.w.to_host.taken();
    rig.end().await;
}
