//! Policies of tenants on the host, and the labels of pods that they select (KI6, tenancy I6, I7).

use serde_json::{Value, json};
use skerry_kit::isolation::{POLICY_EGRESS, POLICY_INGRESS};

use crate::world::World;

const PREFIX: &str = "/apis/networking.k8s.io/v1";

/// The two labels of a host pod.
fn marks(pod: &Value) -> [bool; 2] {
    [POLICY_INGRESS, POLICY_EGRESS].map(|key| pod["metadata"]["labels"][key] == "true")
}

fn app(name: &str) -> Value {
    json!({"matchLabels": {"app": name}})
}

/// Labels follow policies: on pods that are there, on pods that come, and away before the policy is.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_ki6_labels_follow_policies() {
    let mut w = World::new("policies", false).await;
    let pods = format!("/api/v1/namespaces/{}/pods", w.namespace);
    for name in ["a", "b"] {
        w.tenant.post(&pods, w.pod(name)).await;
    }
    let (a, b) = (w.host_path("pods", "a").await, w.host_path("pods", "b").await);
    assert_eq!(marks(&w.host.until("a", &a, |_| true).await), [false, false]);
    w.host.until("b", &b, |_| true).await;

    let own = format!("{PREFIX}/namespaces/{}/networkpolicies", w.namespace);
    let host = format!("{PREFIX}/namespaces/{}/networkpolicies", w.host_namespace().await);
    let policy = json!({"metadata": {"name": "shut"}, "spec": {"podSelector": app("a"), "policyTypes": ["Ingress", "Egress"]}});
    w.tenant.post(&own, policy).await;
    let lies = w.host.until("policy", &format!("{host}/shut"), |_| true).await;
    let dns = &lies["spec"]["egress"][0]["to"][0]["ipBlock"]["cidr"];
    assert_eq!(dns, "127.0.0.1/32", "the tenant's DNS, where this syncer serves it: {lies}");
    w.host.until("labels", &a, |pod| marks(pod) == [true, true]).await;
    assert_eq!(marks(&w.host.get(&b).await.expect("b")), [false, false]);

    // A pod that comes with its policy never stands on the host without the label.
    let second = json!({"metadata": {"name": "late"}, "spec": {"podSelector": app("c")}});
    w.tenant.post(&own, second).await;
    w.tenant.post(&pods, w.pod("c")).await;
    let first = w.host.until("c", &w.host_path("pods", "c").await, |_| true).await;
    assert_eq!(marks(&first), [true, false], "from its first version on");

    // Another selection, and a policy of one direction.
    w.tenant
        .merge(&format!("{own}/shut"), json!({"spec": {"podSelector": app("b"), "policyTypes": ["Egress"]}}))
        .await;
    w.host.until("a is free", &a, |pod| marks(pod) == [false, false]).await;
    w.host.until("b is not", &b, |pod| marks(pod) == [false, true]).await;

    // A start finds all in order.
    w.halt().await;
    w.start(None);
    w.synced("CaughtUp").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(w.writes(), 0, "{:?}", w.handle().counts());

    // Labels go first: the policy is still there when they do.
    w.tenant.delete(&format!("{own}/shut"), Some(0)).await;
    loop {
        let policy = w.host.get(&format!("{host}/shut")).await;
        let marked = marks(&w.host.get(&b).await.expect("b"))[1];
        assert!(!(policy.is_none() && marked), "no policy, and the platform's rules leave the pod alone");
        if policy.is_none() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }

    // Switched off, the rest go as well, and pods are under the platform's rules alone.
    let mut entry = w.entry.clone();
    let mut effective = (*entry.effective).clone();
    let mut settings = (*effective.settings).clone();
    settings.to_host.network_policies.enabled = false;
    effective.settings = settings.into();
    entry.effective = effective.into();
    w.give(entry);
    w.host.gone("late", &format!("{host}/late")).await;
    assert_eq!(marks(&w.host.get(&w.host_path("pods", "c").await).await.expect("c")), [false, false]);
    w.end().await;
}
