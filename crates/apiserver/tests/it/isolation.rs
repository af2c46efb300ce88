//! AS-19, TN-47: what is served to one tenant opens to no credential of another, by path or by name. Resources and verbs
//! are those that discovery lists, so that a new kind is covered by itself.

use std::net::Ipv4Addr;

use http::Method;
use serde_json::{Value, json};
use skerry_apiserver::tenant::TenantId;

use crate::front::at;
use crate::wire::{As, Connection, Wire};

/// Fewer than the failures a minute after which a source address is told to slow down (I5).
const PER_SOURCE: usize = 18;

/// A method, the path inside the tenant, and whether a credential of the tenant may expect 200.
#[derive(Clone)]
struct Ask {
    method: Method,
    path: String,
    is_list: bool,
}

/// Everything that discovery says a tenant serves.
async fn served(w: &Wire, id: TenantId) -> Vec<Ask> {
    let mut system = w.connect(w.system()).await;
    let mut versions = vec!["/api/v1".to_owned()];
    let groups = system.get(&at(id, "/apis")).await.body;
    for group in groups["groups"].as_array().unwrap() {
        let all = group["versions"].as_array().unwrap();
        versions.extend(all.iter().map(|v| format!("/apis/{}", v["groupVersion"].as_str().unwrap())));
    }
    let mut out: Vec<Ask> =
        ["/", "/api", "/apis", "/version", "/openapi/v2", "/openapi/v3", "/readyz", "/metrics"]
            .map(|path| Ask { method: Method::GET, path: path.into(), is_list: false })
            .into();
    for version in versions {
        out.push(Ask { method: Method::GET, path: version.clone(), is_list: false });
        let document = system.get(&at(id, &version)).await.body;
        for resource in document["resources"].as_array().unwrap() {
            let in_namespace = if resource["namespaced"] == true { "/namespaces/default" } else { "" };
            let (plural, sub) = match resource["name"].as_str().unwrap().split_once('/') {
                None => (resource["name"].as_str().unwrap(), String::new()),
                Some((plural, sub)) => (plural, format!("/{sub}")),
            };
            let all = format!("{version}{in_namespace}/{plural}");
            let one = format!("{all}/x{sub}");
            for verb in resource["verbs"].as_array().unwrap() {
                let (method, path) = match verb.as_str().unwrap() {
                    "list" => (Method::GET, all.clone()),
                    "watch" => (Method::GET, format!("{all}?watch=true")),
                    "deletecollection" => (Method::DELETE, all.clone()),
                    "create" if sub.is_empty() => (Method::POST, all.clone()),
                    "create" => (Method::POST, one.clone()),
                    "get" => (Method::GET, one.clone()),
                    "update" => (Method::PUT, one.clone()),
                    "patch" => (Method::PATCH, one.clone()),
                    "delete" => (Method::DELETE, one.clone()),
                    other => panic!("{all} has a verb that nothing asks for: {other}"),
                };
                out.push(Ask { method, path, is_list: verb == "list" });
            }
        }
    }
    out
}

/// Source addresses that were not used before.
struct Sources(u32);

impl Sources {
    fn next(&mut self) -> Ipv4Addr {
        self.0 += 1;
        Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 7, 0, 0)) + self.0)
    }
}

/// Sends all of it from ever new addresses and hands each answer's code and body to `judge`.
async fn ask_all(
    w: &Wire,
    sources: &mut Sources,
    how: &As,
    asks: &[Ask],
    path: impl Fn(&str) -> String,
    judge: impl Fn(&Ask, u16, &Value),
) {
    for some in asks.chunks(PER_SOURCE) {
        let from = Some(sources.next().into());
        let mut connection: Connection = w.connect(As { from, ..how.clone() }).await;
        for ask in some {
            let body = (ask.method != Method::GET).then(|| json!({}));
            let answer = connection.send(ask.method.clone(), &path(&ask.path), body).await;
            judge(ask, answer.code, &answer.body);
        }
    }
}

async fn with_own_kind(w: &Wire, id: TenantId) {
    let schema = json!({ "openAPIV3Schema": { "type": "object" } });
    let crd = json!({ "metadata": { "name": "shoes.example.com" }, "spec": { "group": "example.com",
        "scope": "Namespaced", "names": { "plural": "shoes", "kind": "Shoe" }, "versions": [{ "name": "v1",
        "served": true, "storage": true, "schema": schema, "subresources": { "status": {} } }] } });
    let path = at(id, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions");
    let made = w.connect(w.system()).await.send(Method::POST, &path, Some(crd)).await;
    assert_eq!(made.code, 201, "{}", made.body);
}

async fn account_token(w: &Wire, id: TenantId) -> String {
    let path = at(id, "/api/v1/namespaces/default/serviceaccounts/default/token");
    let issued = w.connect(w.system()).await.send(Method::POST, &path, Some(json!({ "spec": {} }))).await;
    issued.body["status"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn isolation_every_verb_of_every_resource_is_closed_to_others() {
    let w = Wire::new().await;
    let (a, b) = (w.tenant("a").await, w.tenant("b").await);
    with_own_kind(&w, b).await;
    let asks = served(&w, b).await;
    assert!(
        asks.len() > 500 && asks.iter().any(|ask| ask.path.ends_with("/shoes/x/status")),
        "{}",
        asks.len()
    );
    let name = |id: TenantId| Some(format!("{id}.k.example.com"));
    let mut sources = Sources(0);

    // The paths are right: each list is one to whoever belongs here, by path and by name.
    let lists: Vec<Ask> = asks.iter().filter(|ask| ask.is_list).cloned().collect();
    let own = w.owner(b).await;
    let answered = |ask: &Ask, code: u16, body: &Value| assert_eq!(code, 200, "{} {body}", ask.path);
    ask_all(&w, &mut sources, &own, &lists, |path| at(b, path), answered).await;
    let by_name = As { sni: name(b), ..own };
    ask_all(&w, &mut sources, &by_name, &lists, str::to_owned, answered).await;

    let strangers = [
        ("certificate", w.owner(a).await),
        ("credential", As { token: Some(w.owner_token(a).await), ..As::default() }),
        ("account", As { token: Some(account_token(&w, a).await), ..As::default() }),
    ];
    let refused = |ask: &Ask, code: u16, body: &Value| {
        let told = (code, body["kind"].as_str(), body["reason"].as_str(), body["message"].as_str());
        let wanted = (401, Some("Status"), Some("Unauthorized"), Some("Unauthorized"));
        assert_eq!(told, wanted, "{} {}", ask.method, ask.path);
    };
    let nobody = TenantId::of_uid("nobody");
    let unknown = |ask: &Ask, code: u16, body: &Value| {
        let message = format!("virtualclusters.skerry.dev {:?} not found", nobody.as_str());
        assert_eq!((code, body["message"].as_str()), (404, Some(&*message)), "{} {}", ask.method, ask.path);
    };
    for (kind, how) in strangers {
        println!("{kind}: {} requests by path and by name", asks.len());
        let by_name = |id| As { sni: name(id), ..how.clone() };
        ask_all(&w, &mut sources, &how, &asks, |path| at(b, path), refused).await;
        ask_all(&w, &mut sources, &by_name(b), &asks, str::to_owned, refused).await;
        ask_all(&w, &mut sources, &how, &asks, |path| at(nobody, path), unknown).await;
        ask_all(&w, &mut sources, &by_name(nobody), &asks, str::to_owned, unknown).await;
        assert_eq!(w.connect(how).await.get(&at(a, "/api")).await.code, 200, "its own tenant still answers");
    }
}

/// What is the process's own is closed to every tenant.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_the_process_is_not_a_tenants() {
    let w = Wire::new().await;
    let (a, b) = (w.tenant("a").await, w.tenant("b").await);
    let of_b = format!("/skerry/v1/tenants/{b}");
    let paths = [
        (Method::GET, "/skerry/v1/tenants".to_owned()),
        (Method::GET, of_b.clone()),
        (Method::PUT, of_b.clone()),
        (Method::DELETE, of_b.clone()),
        (Method::POST, format!("{of_b}/credentials")),
        (Method::GET, format!("{of_b}/usage")),
        (Method::GET, "/shards".to_owned()),
        (Method::GET, "/shards/0/clusters/*/api/v1/secrets?watch=true".to_owned()),
    ];
    let token = As { token: Some(w.owner_token(a).await), ..As::default() };
    for how in [w.owner(a).await, token] {
        let mut connection = w.connect(how).await;
        for (method, path) in &paths {
            let answer = connection.send(method.clone(), path, Some(json!({ "uid": "b" }))).await;
            assert_eq!(answer.code, 403, "{method} {path} {}", answer.body);
        }
    }
    let mut nobody = w.connect(As::default()).await;
    for (method, path) in &paths {
        assert_eq!(nobody.send(method.clone(), path, None).await.code, 401, "{method} {path}");
    }
}

/// AS-19: what belongs to B means nothing to A.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_names_of_others_mean_nothing() {
    let w = Wire::new().await;
    let (a, b) = (w.tenant("a").await, w.tenant("b").await);
    let maps = "/api/v1/namespaces/default/configmaps";
    let mut system = w.connect(w.system()).await;
    let mut uids = Vec::new();
    for name in ["hidden-1", "hidden-2", "hidden-3"] {
        let made =
            system.send(Method::POST, &at(b, maps), Some(json!({ "metadata": { "name": name } }))).await;
        uids.push(made.body["metadata"]["uid"].clone());
    }
    let page = system.get(&at(b, &format!("{maps}?limit=1"))).await.body;
    let next = page["metadata"]["continue"].as_str().unwrap();
    let of_b = w.owner_token(b).await;
    let mut owner = w.connect(w.owner(a).await).await;

    let review =
        json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": of_b } });
    let reviews = at(a, "/apis/authentication.k8s.io/v1/tokenreviews");
    let judged = owner.send(Method::POST, &reviews, Some(review)).await;
    assert_eq!((judged.code, &judged.body["status"]["user"]), (201, &json!({})), "{}", judged.body);
    assert_ne!(judged.body["status"]["authenticated"], true);

    let owned = json!({ "metadata": { "name": "child", "ownerReferences": [{ "apiVersion": "v1",
        "kind": "ConfigMap", "name": "hidden-1", "uid": uids[0] }] } });
    assert_eq!(owner.send(Method::POST, &at(a, maps), Some(owned)).await.code, 201);
    let with_uid = json!({ "preconditions": { "uid": uids[1] } });
    for (method, path, body, code) in [
        (Method::GET, format!("{maps}/hidden-1"), None, 404),
        (Method::DELETE, format!("{maps}/hidden-2"), Some(with_uid), 404),
        (Method::GET, format!("/api/v1/namespaces/{b}"), None, 404),
        (Method::GET, format!("{maps}/clusters%2F{b}"), None, 404),
    ] {
        let answer = owner.send(method, &at(a, &path), body).await;
        assert_eq!(answer.code, code, "{path} {}", answer.body);
    }
    for query in [
        format!("continue={next}"),
        "fieldSelector=metadata.name%3Dhidden-1".to_owned(),
        "resourceVersion=0".to_owned(),
    ] {
        let answer = owner.get(&at(a, &format!("{maps}?{query}"))).await;
        assert!(!answer.body["items"].to_string().contains("hidden-2"), "{query} {}", answer.body);
    }
    for path in [maps, "/api/v1/events", "/api/v1/namespaces", "/openapi/v2"] {
        let text = owner.get(&at(a, path)).await.body.to_string();
        assert!(!text.contains(b.as_str()), "{path} names the other tenant");
    }
    assert_eq!(
        system.get(&at(b, maps)).await.body["items"].as_array().unwrap().len(),
        4,
        "nothing of B is gone"
    );
}
