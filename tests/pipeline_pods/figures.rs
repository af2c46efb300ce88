//! OB1: what a metrics page shows of the syncer, and of whom it says nothing.

use std::time::Duration;

use serde_json::json;
use skerry_telemetry::Metrics;

use crate::world::World;

/// Value of a figure with these labels.
fn figure(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn pipeline_ob1_figures_of_a_pod() {
    let w = World::new("figures", true).await;
    let metrics = Metrics::default();
    w.handle().register(&metrics);
    w.node("n1").await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("p")).await;
    w.host.until("host pod", &w.host_path("pods", "p").await, |_| true).await;
    w.bind("p", "n1").await;
    w.running("p").await;
    w.tenant.until("running", &w.path("pods", "p"), |p| p["status"]["phase"] == "Running").await;
    // A name that is taken: the host says no to the write.
    let ports = json!({"clusterIP": "None", "ports": [{"port": 1}]});
    let taken = json!({"metadata": {"name": "taken"}, "spec": ports});
    let services = format!("/api/v1/namespaces/{}/services", w.host_namespace().await);
    w.host.post(&services, taken.clone()).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/services", w.namespace), taken).await;
    for _ in 0..100 {
        if w.count("refusals_total", "HostNameTaken") > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;

    let page = metrics.encode().expect("a page");
    let at = |name: &str| figure(&page, &format!("skerry_syncer_{name}"));
    assert_eq!(at("writes_total{side=\"host\",kind=\"pods\",verb=\"create\",result=\"ok\"}"), 1.0, "{page}");
    assert_eq!(at("writes_total{side=\"tenant\",kind=\"pods\",verb=\"bind\",result=\"ok\"}"), 1.0, "{page}");
    let conflicts = "writes_total{side=\"host\",kind=\"services\",verb=\"create\",result=\"conflict\"}";
    assert!(at(conflicts) >= 1.0, "{page}");
    assert_eq!(at("objects{kind=\"pods\"}"), 1.0, "{page}");
    assert_eq!(at("tenants{state=\"open\"}"), 1.0, "{page}");
    assert!(at("window{host=\"h\"}") >= 8.0, "{page}");
    for lane in ["urgent", "change", "patrol"] {
        assert!(page.contains(&format!("skerry_syncer_queue_depth{{lane=\"{lane}\"}}")), "{page}");
    }
    assert!(at("queue_wait_seconds_count{lane=\"change\"}") > 0.0, "{page}");
    assert!(at("carry_seconds_count{kind=\"pods\"}") >= 1.0, "{page}");
    assert!(at("return_seconds_count{kind=\"pods\"}") >= 1.0, "{page}");
    for name in [&*w.entry.id, &w.namespace, "figures"] {
        assert!(!page.contains(name), "a label names the tenant: {name}: {page}");
    }
    w.end().await;
}
