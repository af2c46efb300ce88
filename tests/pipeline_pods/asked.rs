//! OB2: who may ask the syncer what it does, and where: the hub's own path, or the pod of a syncer that runs apart.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, Request};
use serde_json::{Value, json};
use skerry::cli::adapters::looks::Looks;
use skerry::cli::sync::ask::{Ask, What, ask};
use skerry::cli::{Failure, ops};
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::tenant::TenantId;
use skerry_telemetry::Shutdown;

use crate::failing::of;
use crate::kubelet::Kubelet;
use crate::looks::{name, row};
use crate::world::{Cluster, World};

/// A hub in the server of a world.
async fn hub_of(w: &World) -> TenantId {
    let defaults = ServerConfig::from_yaml("store: {backend: memory}").expect("config").tenant_defaults;
    let hub = TenantId::of_uid("the-hub");
    let spec = TenantSpec::new(hub, "the-hub", Role::Hub, &defaults);
    w.server().tenants().create(spec).await.expect("a hub");
    hub
}

/// The path is the hub's own, for those whom its RBAC lets ask; a tenant's owner, a stranger and an anonymous one are
/// refused, and nobody is shown what is in a Secret, a token's Secret included.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_ob2_hub_administrators_alone() {
    let w = World::new("lookwho", false).await;
    if !w.is_inside() {
        return;
    }
    let hub = hub_of(&w).await;
    let (own, server) = (TenantId::of_uid(&w.entry.owner.uid), w.server());
    let user =
        |name: &str, group: &str| Identity::user(name, [group.to_owned(), "system:authenticated".to_owned()]);
    let admin = Cluster(server.client(hub, user("hub:user:eve", "hub:role:admins")));
    let status = format!("/debug/tenants/{}/sync", w.entry.id);
    let call = async |who: &Cluster, method: &str, query: &str| {
        who.call(method, &format!("{status}{query}"), "application/json", None).await
    };
    assert_eq!(call(&admin, "GET", "").await, Err(404), "nobody is attached yet");
    server.attach_debug(Arc::new(Looks(w.handle().clone())));

    let secret = json!({"metadata": {"name": "pw", "annotations": {"a": "topsecret"}}, "stringData": {"k": "topsecret"}});
    w.tenant.post(&of(&w, "secrets"), secret).await;
    w.tenant.post(&of(&w, "pods"), w.pod("web")).await;
    w.host.until("secret", &w.host_path("secrets", "pw").await, |s| s["data"]["k"] == "dG9wc2VjcmV0").await;
    let queries = ["", "?what=diff&object=", "?what=why&object="]
        .into_iter()
        .flat_map(|q| ["secret", "pod"].map(|kind| (q, kind)))
        .map(|(q, kind)| match (q, kind) {
            ("", _) => String::new(),
            (q, "pod") => format!("{q}pod/{}/web", w.namespace),
            (q, kind) => format!("{q}{kind}/{}/pw", w.namespace),
        });
    let secrets = format!("/api/v1/namespaces/{}/secrets", w.host_namespace().await);
    let has_token = |list: &Value| list.to_string().contains("\"skerry.dev/token\"");
    let all = w.host.until("its token", &secrets, has_token).await;
    let token = row(&all["items"], "type", "skerry.dev/token");
    let tokens: Vec<&str> =
        token["data"].as_object().into_iter().flatten().filter_map(|(_, v)| v.as_str()).collect();
    assert!(!tokens.is_empty(), "{token}");
    for query in queries {
        let text = call(&admin, "GET", &query).await.expect("an answer").to_string();
        assert!(!text.contains("topsecret") && !text.contains("dG9wc2VjcmV0"), "{query}: {text}");
        assert!(!tokens.iter().any(|token| text.contains(token)), "{query}: {text}");
    }
    let named = format!(
        "?what=diff&object=secret/{}/{}",
        w.namespace,
        token["metadata"]["name"].as_str().expect("a name")
    );
    assert_eq!(call(&admin, "GET", &named).await, Err(404), "a token's Secret is no object of the tenant");
    let diff =
        call(&admin, "GET", &format!("?what=diff&object=secret/{}/pw", w.namespace)).await.expect("a diff");
    let mark = diff["tenant"]["data"]["k"].as_str().expect("its key is shown");
    assert!(mark.starts_with("<hidden ") && diff["live"]["data"]["k"] == mark, "{diff}");
    assert_eq!(call(&admin, "POST", "").await.expect("a patrol")["kind"], "SyncPatrol");
    assert_eq!(call(&admin, "GET", "?what=patrol").await, Err(400), "a look patrols nothing");
    assert_eq!(call(&admin, "GET", "?what=diff&object=deployment/a/b").await, Err(400));
    assert_eq!(call(&admin, "DELETE", "").await, Err(405));

    let of_tenant = |who| Cluster(server.client(own, who));
    for (what, who, code) in [
        ("a viewer", Cluster(server.client(hub, user("hub:user:vi", "hub:role:viewers"))), 403),
        ("an editor", Cluster(server.client(hub, user("hub:user:ed", "hub:role:editors"))), 403),
        ("a stranger", Cluster(server.client(hub, Identity::user("jane", []))), 403),
        ("an anonymous one", Cluster(server.client(hub, Identity::anonymous())), 403),
        (
            "the tenant's owner, at the tenant",
            of_tenant(user("hub:credential:owner", "hub:role:admins")),
            404,
        ),
        ("the tenant's anonymous", of_tenant(Identity::anonymous()), 403),
    ] {
        for (method, query) in [("GET", ""), ("POST", ""), ("GET", "?what=why&object=pod/a/b")] {
            let answer = call(&who, method, query).await;
            assert!(
                answer == Err(code) || (code == 404 && answer == Err(405)),
                "{what}: {method} {query}: {answer:?}"
            );
        }
    }
    w.end().await;
}

/// A syncer that runs apart answers the same on loopback, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_ob2_a_syncer_apart_answers_on_loopback() {
    let w = World::new("lookapart", false).await;
    let stop = Shutdown::new();
    let everywhere = "0.0.0.0:0".parse().ok();
    let refused = ops::serve_debug(everywhere, w.handle().clone(), stop.clone()).await;
    assert!(matches!(refused, Err(Failure::Usage(_))));
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let address = format!("127.0.0.1:{port}");
    let serving = ops::serve_debug(address.parse().ok(), w.handle().clone(), stop.clone()).await;
    let serving = serving.expect("a listener").expect("a task");
    let ask = async |method: Method, path: &str| {
        use http_body_util::{BodyExt as _, Empty};
        let stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP");
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.body(Empty::<bytes::Bytes>::new()).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (code, serde_json::from_slice::<Value>(&body).expect("JSON"))
    };
    let path = format!("/debug/tenants/{}/sync", w.entry.id);
    let (code, status) = ask(Method::GET, &path).await;
    assert_eq!(
        (code, &status["kind"], &status["metadata"]["name"]),
        (200, &json!("SyncStatus"), &json!("lookapart"))
    );
    assert_eq!(ask(Method::POST, &path).await.1["kind"], "SyncPatrol");
    let (code, unknown) = ask(Method::GET, "/debug/tenants/tother/sync").await;
    assert_eq!((code, &unknown["details"]["kind"]), (404, &json!("virtualclusters")));
    let (code, unserved) = ask(Method::GET, "/metrics").await;
    assert_eq!((code, &unserved["details"]["kind"]), (404, &Value::Null));
    stop.trigger();
    serving.await.expect("it ends");
    w.end().await;
}

/// The command asks the hub, and where that serves no such path, or not to this asker, the syncer's pod through a
/// port-forward; a no of the syncer itself is the answer.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_ob2_the_command_finds_the_syncers_pod() {
    let w = World::new("lookpod", false).await;
    if !w.is_inside() {
        return;
    }
    let hub = hub_of(&w).await;
    let kubelet = Arc::new(Kubelet::default());
    kubelet.dials.store(true, Ordering::SeqCst);
    w.server().attach_tunnel(kubelet.clone());
    let of_hub = |who| Cluster(w.server().client(hub, who));
    let admin = of_hub(Identity::user("eve", ["hub:role:admins".to_owned()]));
    let status = Ask { id: &w.entry.id, what: What::Status, object: None };
    let nobody = ask(&admin.0, &status).await;
    assert!(matches!(&nobody, Err(Failure::Failed(text)) if text.contains("skerry-system")), "{nobody:?}");

    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let stop = Shutdown::new();
    let address = format!("127.0.0.1:{port}").parse().ok();
    let serving = ops::serve_debug(address, w.handle().clone(), stop.clone()).await.expect("a listener");
    admin.post("/api/v1/namespaces", json!({"metadata": {"name": "skerry-system"}})).await;
    let space = "/api/v1/namespaces/skerry-system";
    admin.until("its account", &format!("{space}/serviceaccounts/default"), |_| true).await;
    let labels = json!({"app.kubernetes.io/name": "skerry", "app.kubernetes.io/component": "syncer"});
    let container =
        json!({"name": "syncer", "image": "x", "ports": [{"name": "debug", "containerPort": port}]});
    let pod = json!({"metadata": {"name": "skerry-syncer-0", "labels": labels},
        "spec": {"nodeName": "n1", "containers": [container]}});
    admin.post(&format!("{space}/pods"), pod).await;
    admin
        .merge(&format!("{space}/pods/skerry-syncer-0/status"), json!({"status": {"phase": "Running"}}))
        .await;

    assert_eq!(ask(&admin.0, &status).await.expect("an answer")["kind"], "SyncStatus");
    let patrol = Ask { id: &w.entry.id, what: What::Patrol, object: None };
    assert_eq!(ask(&admin.0, &patrol).await.expect("an answer")["kind"], "SyncPatrol");
    let object = name(&w, "pod", "none");
    let why = Ask { id: &w.entry.id, what: What::Why, object: Some(&object) };
    assert!(matches!(ask(&admin.0, &why).await, Err(Failure::NotFound(_))));
    let forwards = kubelet.asked.lock().len();
    assert_eq!(forwards, 3, "one for each question");
    let stranger = of_hub(Identity::user("jane", []));
    let refused = ask(&stranger.0, &status).await;
    assert!(matches!(&refused, Err(Failure::Refused(text)) if text.contains("jane")), "{refused:?}");

    w.server().attach_debug(Arc::new(Looks(w.handle().clone())));
    assert_eq!(ask(&admin.0, &status).await.expect("an answer")["kind"], "SyncStatus");
    assert!(matches!(ask(&admin.0, &why).await, Err(Failure::NotFound(_))));
    assert_eq!(kubelet.asked.lock().len(), forwards, "the hub's own path comes first");
    stop.trigger();
    serving.expect("a task").await.expect("it ends");
    w.end().await;
}
