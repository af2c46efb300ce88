//! AS-18, AS-20, AS-46 and the admin API, over a real socket.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use skerry_apiserver::access::rule;
use skerry_apiserver::admit::Rule;
use skerry_apiserver::config::Role;
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Builder;
use skerry_apiserver::model::gvk::ResourceId;
use skerry_apiserver::model::status::ApiStatus;
use skerry_apiserver::tenant::TenantId;

use crate::wire::{As, Certificate, Wire, memory, on_disk};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

pub fn at(id: TenantId, path: &str) -> String {
    format!("/clusters/{id}{path}")
}

pub fn map(name: &str) -> Option<Value> {
    Some(json!({ "metadata": { "name": name } }))
}

/// AS-18: by path and by server name the same objects; disagreement 421; odd paths and unknown ids 404, one shape.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_found_by_path_and_by_name() {
    let w = Wire::new().await;
    let (a, b) = (w.tenant("a").await, w.tenant("b").await);
    let owner = w.owner(a).await;
    let mut by_path = w.connect(owner.clone()).await;
    let made = by_path.send(Method::POST, &at(a, MAPS), map("m")).await;
    assert_eq!(made.code, 201, "{}", made.body);
    let mut by_name = w.connect(As { sni: Some(format!("{a}.k.example.com")), ..owner.clone() }).await;
    let named = by_name.get(&format!("{MAPS}/m")).await;
    assert_eq!(named.body["metadata"]["uid"], made.body["metadata"]["uid"]);
    assert_eq!(by_name.get(&at(b, MAPS)).await.code, 421);
    let upper = a.as_str().to_ascii_uppercase();
    let unknown = TenantId::of_uid("nobody");
    for path in [
        format!("/clusters/{a}/../{b}{MAPS}"),
        format!("/clusters/{a}%2f{MAPS}"),
        format!("/clusters/{a}/{MAPS}"),
        format!("/clusters/{upper}{MAPS}"),
        format!("/clusters/{unknown}{MAPS}"),
    ] {
        let refused = by_path.get(&path).await;
        assert_eq!((refused.code, refused.body["kind"].as_str()), (404, Some("Status")), "{path}");
        assert_eq!(refused.body["reason"], "NotFound");
    }
    assert_eq!(
        w.connect(As::default()).await.get(MAPS).await.code,
        404,
        "nothing names a tenant, and there is no hub"
    );
}

/// AS-20: inside a pod the token finds its tenant; each request on a connection is judged alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_finds_its_tenant_by_itself() {
    let w = Wire::new().await;
    let (a, b) = (w.tenant("a").await, w.tenant("b").await);
    let mut owner = w.connect(w.owner(a).await).await;
    let asked = json!({ "spec": {} });
    let path = at(a, "/api/v1/namespaces/default/serviceaccounts/default/token");
    let issued = owner.send(Method::POST, &path, Some(asked)).await;
    assert_eq!(issued.code, 201, "{}", issued.body);
    let token = issued.body["status"]["token"].as_str().unwrap().to_owned();
    let inside = Some("kubernetes.default.svc".to_owned());
    let who = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let me = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    for sni in [inside.clone(), None] {
        let mut pod = w.connect(As { sni, token: Some(token.clone()), ..As::default() }).await;
        let answer = pod.send(Method::POST, me, Some(who.clone())).await;
        let user = &answer.body["status"]["userInfo"]["username"];
        assert_eq!(user, "system:serviceaccount:default:default", "{}", answer.body);
        assert_eq!(pod.get(&at(b, "/api")).await.code, 401, "B's path with A's token");
        pod.token = None;
        let refused = pod.send(Method::POST, me, Some(who.clone())).await;
        assert!(matches!(refused.code, 401 | 404), "nothing is inherited: {}", refused.code);
        pod.token = Some(w.owner_token(b).await);
        let other = pod.send(Method::POST, me, Some(who.clone())).await;
        assert_eq!(
            other.body["status"]["userInfo"]["username"], "hub:credential:owner",
            "B answers B's token"
        );
    }
    let mut nobody = w.connect(As { sni: inside, ..As::default() }).await;
    assert_eq!(nobody.get("/api").await.code, 401);
}

/// AS-46: reserved names, a tenant that denies all, a platform rule on the hub.
#[tokio::test(flavor = "multi_thread")]
async fn the_systems_names_and_rules_are_the_systems() {
    let guarded =
        Rule::new(Role::Hub, ResourceId::new("", "configmaps"), |input| match input.who.is_system() {
            true => Ok(()),
            false => Err(ApiStatus::plain(403, "Forbidden", "metadata.name: is the system's")),
        });
    let w = Wire::with(memory(), |builder| builder.rule(guarded)).await;
    let a = w.tenant("a").await;
    let owner = w.owner(a).await;
    let mut as_owner = w.connect(owner).await;
    for (user, group) in [("skerry:syncer", "x"), ("hub:credential:owner", "x"), ("jane", "skerry:system")] {
        let asked = http::Request::builder().uri(at(a, "/api/v1/namespaces")).header("host", "127.0.0.1");
        let asked = asked.header("impersonate-user", user).header("impersonate-group", group);
        let refused = as_owner.raw(asked.body(Default::default()).unwrap()).await;
        assert_eq!(refused.status(), 403, "{user} {group}");
        refused.into_body().collect().await.unwrap();
    }
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/hub:role:admins";
    assert_eq!(as_owner.send(Method::DELETE, &at(a, bindings), None).await.code, 200);
    assert_eq!(as_owner.get(&at(a, MAPS)).await.code, 403, "the tenant meant it");
    assert_eq!(w.connect(w.system()).await.get(&at(a, MAPS)).await.code, 200, "no RBAC denies the system");

    let hub = TenantId::of_uid("hub");
    let made = w
        .admin(Method::PUT, &format!("/skerry/v1/tenants/{hub}"), json!({ "uid": "hub", "role": "Hub" }))
        .await;
    assert_eq!(made.code, 201, "{}", made.body);
    let mut on_hub = w.connect(w.owner(hub).await).await;
    assert_eq!(on_hub.send(Method::POST, MAPS, map("x")).await.code, 403, "H4, and the hub needs no prefix");
    assert_eq!(w.connect(w.system()).await.send(Method::POST, MAPS, map("x")).await.code, 201);
    let second = w
        .admin(
            Method::PUT,
            &format!("/skerry/v1/tenants/{}", TenantId::of_uid("h2")),
            json!({ "uid": "h2", "role": "Hub" }),
        )
        .await;
    assert_eq!(second.code, 409);
}

/// G9: idempotent, one uid per id, wrong fields named, deletion told to its end; a successor sees nothing (AS-21).
#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_made_changed_and_deleted() {
    let w = Wire::new().await;
    let a = w.tenant("a").await;
    let path = format!("/skerry/v1/tenants/{a}");
    let again = w.admin(Method::PUT, &path, json!({ "uid": "a", "weight": 20 })).await;
    assert_eq!((again.code, &again.body["spec"]["weight"]), (200, &json!(20)));
    assert_eq!(w.admin(Method::PUT, &path, json!({ "uid": "other" })).await.code, 409);
    let wrong = w.admin(Method::PUT, &path, json!({ "uid": "a", "weight": 0, "colour": 1 })).await;
    let causes: Vec<&str> = wrong.body["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["field"].as_str().unwrap())
        .collect();
    assert_eq!((wrong.code, causes), (422, vec!["weight", "colour"]));
    let moved = json!({ "uid": "a", "kubernetesService": { "addresses": ["10.9.8.7"], "port": 443 } });
    assert_eq!(w.admin(Method::PUT, &path, moved).await.code, 200);

    let mut owner = w.connect(w.owner(a).await).await;
    let slice =
        owner.get(&at(a, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")).await;
    assert_eq!(slice.body["endpoints"][0]["addresses"], json!(["10.9.8.7"]), "{}", slice.body);
    assert_eq!(owner.send(Method::POST, &at(a, MAPS), map("old")).await.code, 201);
    let usage = w.admin(Method::GET, &format!("{path}/usage"), Value::Null).await;
    assert!(usage.body["objects"].as_u64().unwrap() >= 1 && usage.body["lastActivity"].is_string());
    let mut watching = w
        .connect(w.owner(a).await)
        .await
        .open(Method::GET, &at(a, &format!("{MAPS}?watch=true&resourceVersion=1")), None)
        .await
        .into_body();

    let deleted = w.admin(Method::DELETE, &path, Value::Null).await;
    assert_eq!((deleted.code, deleted.body["remaining"].is_u64()), (202, true));
    assert_eq!(owner.get(&at(a, MAPS)).await.code, 404);
    let mut last = Vec::new();
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(Duration::from_secs(10), watching.frame()).await {
        last.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    let last = String::from_utf8(last).unwrap();
    assert!(last.lines().last().is_some_and(|l| l.contains("ERROR") && l.contains("410")), "{last}");
    for _ in 0..100 {
        if w.admin(Method::GET, &path, Value::Null).await.code == 404 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(w.admin(Method::DELETE, &path, Value::Null).await.code, 404);
    assert_eq!(w.tenant("a").await, a);
    let mut heir = w.connect(w.owner(a).await).await;
    assert_eq!(heir.get(&at(a, &format!("{MAPS}/old"))).await.code, 404);
    assert_eq!(owner.get(&at(a, MAPS)).await.code, 401, "credentials of before are of other keys");
}

/// 7.1, Q28: keys outlive the process; what was issued before a restart still opens its tenant.
#[tokio::test(flavor = "multi_thread")]
async fn keys_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (a, owner, authority) = {
        let w = Wire::with(on_disk(folder.path()), Builder::without_controllers).await;
        let a = w.tenant("a").await;
        let owner = w.owner(a).await;
        let made = w.connect(owner.clone()).await.send(Method::POST, &at(a, MAPS), map("kept")).await;
        assert_eq!(made.code, 201, "{}", made.body);
        let authority = w.server.serving_authority();
        w.server.shutdown().await;
        let server = Arc::downgrade(&w.server);
        drop(w);
        for _ in 0..100 {
            if server.strong_count() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(server.strong_count(), 0, "a server that was shut down is let go");
        (a, owner, authority)
    };
    let w = Wire::with(on_disk(folder.path()), Builder::without_controllers).await;
    assert_eq!(w.server.serving_authority(), authority);
    let kept = w.connect(owner).await.get(&at(a, &format!("{MAPS}/kept"))).await;
    assert_eq!(kept.code, 200, "{}", kept.body);
}

/// G5, G6, H4: clients without a socket; a panic ends one request and not its connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_one_request() {
    let w = Wire::with(memory(), |builder| {
        builder.route("/fleet/v1", |who: Identity, request| {
            async move {
                assert!(!request.uri().path().ends_with("bad"), "as the test wants it");
                skerry_apiserver::listen::body::json(200, &json!({ "user": who.user }))
            }
            .boxed()
        })
    })
    .await;
    let hub = TenantId::of_uid("hub");
    w.admin(Method::PUT, &format!("/skerry/v1/tenants/{hub}"), json!({ "uid": "hub", "role": "Hub" })).await;
    let mut owner = w.connect(w.owner(hub).await).await;
    assert_eq!(owner.get("/fleet/v1/members").await.body["user"], "hub:credential:owner");
    let broken = owner.get("/fleet/v1/bad").await;
    assert_eq!((broken.code, broken.body["reason"].as_str()), (500, Some("InternalError")));
    assert_eq!(owner.get("/version").await.code, 200, "the connection lives");
    for _ in 0..4 {
        owner.get("/fleet/v1/bad").await;
    }
    assert_eq!(owner.get("/version").await.code, 503, "five within a minute: the tenant rests");

    let a = w.tenant("a").await;
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(w.server.client(a, Identity::system("test")), "default");
    assert_eq!(maps.list(&Default::default()).await.unwrap().items.len(), 1);
    let nobody: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(w.server.client(a, Identity::user("jane", [])), "default");
    let denied = nobody.list(&Default::default()).await.unwrap_err().to_string();
    assert!(denied.contains(r#"User "jane" cannot list resource "configmaps""#), "{denied}");
    let request = http::Request::get(at(a, MAPS)).body(Vec::new()).unwrap();
    let listed: Value = w.server.system_client("manager").request(request).await.unwrap();
    assert_eq!(listed["kind"], "ConfigMapList");
}

/// AS-46, I1: an approved request becomes a certificate of the tenant's own authority; reserved names are refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_approved_request_is_signed() {
    use base64::Engine as _;
    let w = Wire::with(memory(), |builder| builder).await;
    let a = w.tenant("a").await;
    let mut owner = w.connect(w.owner(a).await).await;
    let path = at(a, "/apis/certificates.k8s.io/v1/certificatesigningrequests");
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = |name: &str, user: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, user);
        let pem = params.serialize_request(&key).unwrap().pem().unwrap();
        json!({ "metadata": { "name": name }, "spec": {
            "request": base64::engine::general_purpose::STANDARD.encode(pem), "usages": ["client auth"],
            "signerName": "kubernetes.io/kube-apiserver-client",
        } })
    };
    let refused = owner.send(Method::POST, &path, Some(csr("bad", "skerry:syncer"))).await;
    assert_eq!(
        (refused.code, refused.body["details"]["causes"][0]["field"].as_str()),
        (422, Some("spec.request"))
    );
    let mut made = owner.send(Method::POST, &path, Some(csr("good", "jane"))).await;
    assert_eq!(made.code, 201, "{}", made.body);
    made.body["status"]["conditions"] =
        json!([{ "type": "Approved", "status": "True", "reason": "Test", "message": "yes" }]);
    let approved = owner.send(Method::PUT, &format!("{path}/good/approval"), Some(made.body)).await;
    assert_eq!(approved.code, 200, "{}", approved.body);
    let mut certificate = None;
    for _ in 0..200 {
        let now = owner.get(&format!("{path}/good")).await;
        certificate = now.body["status"]["certificate"].as_str().map(str::to_owned);
        if certificate.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let last = owner.get(&format!("{path}/good")).await.body;
    let certificate = certificate.unwrap_or_else(|| panic!("{last}"));
    let chain = base64::engine::general_purpose::STANDARD.decode(certificate).unwrap();
    let certificate = Certificate { chain: String::from_utf8(chain).unwrap(), key: key.serialize_pem() };
    let mut jane = w.connect(As { certificate: Some(certificate), ..As::default() }).await;
    let who = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let answer =
        jane.send(Method::POST, &at(a, "/apis/authentication.k8s.io/v1/selfsubjectreviews"), Some(who)).await;
    assert_eq!(answer.body["status"]["userInfo"]["username"], "jane", "{}", answer.body);
    w.server.shutdown().await;
}

/// AS-57: making and deleting tenants leaves nothing in memory; a shutdown ends watches at once.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_deleted_tenants() {
    let w = Wire::new().await;
    let mut held = Vec::new();
    for i in 0..50 {
        let id = w.tenant(&format!("u{i}")).await;
        held.push((id, Arc::downgrade(&w.server.tenants().get(id).unwrap())));
    }
    let kept = w.tenant("kept").await;
    let mut watching = w.connect(w.owner(kept).await).await;
    let path = at(kept, &format!("{MAPS}?watch=true&resourceVersion=1"));
    let mut watching = watching.open(Method::GET, &path, None).await.into_body();
    for (id, _) in &held {
        assert_eq!(w.admin(Method::DELETE, &format!("/skerry/v1/tenants/{id}"), Value::Null).await.code, 202);
    }
    for _ in 0..100 {
        if w.server.tenants().states().len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(w.server.tenants().states().len(), 1);
    assert!(held.iter().all(|(_, tenant)| tenant.strong_count() == 0));
    assert_eq!(w.connect(As::default()).await.get("/readyz").await.body, "ok", "no hub: the process answers");
    let (_, ended) = tokio::join!(w.server.shutdown(), watching.frame());
    assert!(ended.is_none() || ended.is_some_and(|frame| frame.is_err()));
}

/// Aggregated roles can be computed by whoever keeps them current.
#[test]
fn aggregation_joins_by_label() {
    let role = json!({ "metadata": { "name": "all" }, "aggregationRule": { "clusterRoleSelectors": [{ "matchLabels": { "a": "b" } }] } });
    let part =
        json!({ "metadata": { "name": "part", "labels": { "a": "b" } }, "rules": [{ "verbs": ["get"] }] });
    assert_eq!(rule::aggregate(&role, [&part, &role]), Some(vec![json!({ "verbs": ["get"] })]));
    assert_eq!(rule::aggregate(&part, [&part]), None);
}
