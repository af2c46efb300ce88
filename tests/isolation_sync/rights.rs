//! The syncer itself in other hands: SE15.

use serde_json::{Value, json};

use crate::rig::Rig;
use crate::world::Cluster;

/// SE15, I9: with the syncer's own credential the host's API server refuses everything that is not carrying tenants. That
/// the guard refuses what these roles cannot tell apart (I10) is shown on a real host, in the `upstream` tests.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se15_the_syncer_taken_over_holds_little() {
    const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
    let rig = Rig::new("rights").await;
    rig.post("pods", rig.w.pod_in(&rig.w.namespace, "web")).await;
    rig.w.host.until("sent", &rig.w.host_path("pods", "web").await, |_| true).await;
    let (taken, own) = (Cluster(rig.w.own(&rig.w.host, "the-host")), rig.w.host_namespace().await);
    let system = json!({"kind": "ServiceAccount", "name": "skerry-host", "namespace": "skerry-system"});
    let bind = |kind: &str, role: &str| {
        json!({"metadata": {"name": "mine"}, "subjects": [system],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}})
    };
    let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let pod = json!({"metadata": {"name": "mine"}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    let secret = json!({"metadata": {"name": "mine"}});
    let attempts: Vec<(&str, String, Option<Value>)> = vec![
        ("GET", "/api/v1/secrets".into(), None),
        ("GET", "/api/v1/secrets?watch=true".into(), None),
        ("GET", "/api/v1/configmaps".into(), None),
        ("GET", "/api/v1/namespaces/kube-system/secrets".into(), None),
        ("GET", "/api/v1/namespaces/default/configmaps".into(), None),
        ("POST", "/api/v1/namespaces/kube-system/pods".into(), Some(pod.clone())),
        ("POST", "/api/v1/namespaces/default/secrets".into(), Some(secret)),
        ("POST", "/api/v1/namespaces/skerry-system/pods".into(), Some(pod)),
        ("GET", "/api/v1/nodes/n-shared/proxy/pods".into(), None),
        ("POST", "/api/v1/nodes/n-shared/proxy/run".into(), None),
        ("PATCH", "/api/v1/nodes/n-shared".into(), Some(json!({"metadata": {"labels": {"a": "b"}}}))),
        ("DELETE", "/api/v1/nodes/n-shared".into(), None),
        ("POST", format!("{RBAC}/clusterroles"), Some(json!({"metadata": {"name": "mine"}, "rules": all}))),
        ("PATCH", format!("{RBAC}/clusterroles/skerry-tenant-sync"), Some(json!({"rules": all}))),
        ("POST", format!("{RBAC}/clusterrolebindings"), Some(bind("ClusterRole", "cluster-admin"))),
        (
            "POST",
            format!("{RBAC}/namespaces/{own}/roles"),
            Some(json!({"metadata": {"name": "mine"}, "rules": all})),
        ),
        ("POST", format!("{RBAC}/namespaces/{own}/rolebindings"), Some(bind("ClusterRole", "cluster-admin"))),
        ("POST", format!("{RBAC}/namespaces/kube-system/rolebindings"), Some(bind("ClusterRole", "admin"))),
        (
            "POST",
            "/api/v1/namespaces/skerry-system/serviceaccounts/skerry-host/token".into(),
            Some(json!({"spec": {}})),
        ),
        (
            "POST",
            "/api/v1/namespaces/kube-system/serviceaccounts/default/token".into(),
            Some(json!({"spec": {}})),
        ),
    ];
    for (method, path, body) in attempts {
        let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let answer = taken.call(method, &path, content, body).await;
        assert_eq!(answer, Err(403), "{method} {path}");
    }
    let request = http::Request::get("/api/v1/namespaces/kube-system/secrets")
        .header("impersonate-user", "system:admin")
        .header("impersonate-group", "system:masters")
        .body(kube::client::Body::empty())
        .unwrap();
    assert_eq!(taken.0.send(request).await.unwrap().status(), 403, "no impersonation");
    // It does read and write where it carries.
    assert!(taken.get(&format!("/api/v1/namespaces/{own}/pods/web")).await.is_some());
    assert!(taken.get(&format!("/api/v1/namespaces/{own}/secrets")).await.is_some());
    rig.end().await;
}
