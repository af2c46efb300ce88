//! Custom kinds, from their definition to their end (Y1, Y2, D3, M3).

use std::time::Duration;

use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use skerry_apiserver::bus::Patch;
use skerry_apiserver::controllers;
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::body;
use skerry_apiserver::model::status::ApiStatus;
use skerry_apiserver::request;
use tokio_util::sync::CancellationToken;

use crate::support::World;

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const LAMPS: &str = "/apis/example.com/v1/namespaces/default/lamps";

fn definition(versions: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "lamps.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "versions": versions,
            "names": {"plural": "lamps", "kind": "Lamp", "shortNames": ["lp"]}},
    })
}

fn version(name: &str, storage: bool, spec: Value) -> Value {
    json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema":
        {"type": "object", "properties": {"spec": {"type": "object", "properties": spec},
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}}}})
}

fn lamp(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": {"name": name}, "spec": spec})
}

fn fields(status: &ApiStatus) -> Vec<&str> {
    status.details.causes.iter().map(|c| &*c.field).collect()
}

fn condition<'v>(crd: &'v Value, ty: &str) -> &'v Value {
    let all = crd["status"]["conditions"].as_array().expect("conditions");
    all.iter().find(|c| c["type"] == ty).unwrap_or(&Value::Null)
}

/// A request whose answer's headers matter.
async fn raw(
    w: &World,
    method: Method,
    path: &str,
    accept: &str,
    body_value: &Value,
) -> (http::HeaderMap, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, accept)
        .body(body::full(serde_json::to_vec(body_value).unwrap()))
        .unwrap();
    let response = request::serve(&w.server, w.tenant.clone(), Identity::system("test"), request).await;
    let headers = response.headers().clone();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (headers, serde_json::from_slice(&bytes).unwrap())
}

fn warnings(headers: &http::HeaderMap) -> Vec<&str> {
    headers.get_all("warning").iter().map(|w| w.to_str().unwrap()).collect()
}

/// AS-39: the full cycle of one kind.
#[tokio::test]
async fn as39_a_custom_kind_lives_its_life() {
    let w = World::new().await;
    let mut one = version(
        "v1",
        true,
        json!({
            "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
            "replicas": {"type": "integer", "minimum": 0},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
                "items": {"type": "object", "required": ["n"],
                    "properties": {"n": {"type": "integer"}, "p": {"type": "string", "default": "TCP"}}}},
        }),
    );
    one["subresources"] = json!({"status": {},
        "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}});
    one["additionalPrinterColumns"] = json!([{"name": "Color", "type": "string", "jsonPath": ".spec.color"}]);
    one["selectableFields"] = json!([{"jsonPath": ".spec.color"}]);
    let made = w.post(CRDS, definition(json!([one]))).await.unwrap();
    assert_eq!(condition(&made, "NamesAccepted")["reason"], "NoConflicts");
    assert_eq!(condition(&made, "Established")["reason"], "InitialNamesAccepted");
    assert_eq!(made["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(made["status"]["acceptedNames"]["listKind"], "LampList");

    // D3: whoever sees the condition can use the resource.
    let body = lamp("a", json!({"replicas": 2, "ports": [{"n": 1}], "unknown": 1}));
    let strict = w.post(&format!("{LAMPS}?fieldValidation=Strict"), body.clone()).await.unwrap_err();
    assert!(strict.message.contains("unknown field \"spec.unknown\""), "{}", strict.message);
    let mut body = body;
    body["status"] = json!({"replicas": 5});
    let got = w.post(LAMPS, body).await.unwrap();
    assert_eq!(got["spec"], json!({"color": "red", "replicas": 2, "ports": [{"n": 1, "p": "TCP"}]}));
    assert_eq!((&got["status"], &got["metadata"]["generation"]), (&Value::Null, &json!(1)));

    let bad = lamp("b", json!({"color": "green", "replicas": -1, "ports": [{"n": 1}, {"n": 1}]}));
    let refused = w.post(LAMPS, bad).await.unwrap_err();
    assert_eq!(refused.code, 422);
    // Replicas are looked at twice: by the schema, and as what `/scale` shows.
    assert_eq!(fields(&refused), ["spec.color", "spec.replicas", ".spec.replicas", "spec.ports[1]"]);

    // Status and scale.
    let path = format!("{LAMPS}/a");
    let mut changed = got.clone();
    changed["status"] = json!({"replicas": 2});
    changed["spec"]["color"] = "blue".into();
    let by_status = w.api.update(&format!("{path}/status"), &changed).await.unwrap();
    assert_eq!((&by_status["status"]["replicas"], &by_status["spec"]["color"]), (&json!(2), &json!("red")));
    assert_eq!(by_status["metadata"]["generation"], 1);
    let scaled =
        w.api.patch(&format!("{path}/scale"), Patch::Merge, &json!({"spec": {"replicas": 7}})).await.unwrap();
    assert_eq!((&scaled["kind"], &scaled["spec"]["replicas"]), (&json!("Scale"), &json!(7)));
    assert_eq!(scaled["status"]["replicas"], 2);

    // Server-side apply merges the list map by its key.
    let ports = json!({"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": {"name": "a"},
        "spec": {"ports": [{"n": 2, "p": "UDP"}]}});
    let applied = w.api.patch(&path, Patch::ForcedApply, &ports).await.unwrap();
    assert_eq!(applied["spec"]["ports"], json!([{"n": 1, "p": "TCP"}, {"n": 2, "p": "UDP"}]));

    // F1, N3.
    w.post(LAMPS, lamp("c", json!({"color": "blue"}))).await.unwrap();
    let blue = w.get(&format!("{LAMPS}?fieldSelector=spec.color%3Dblue")).await.unwrap();
    let names: Vec<&Value> =
        blue["items"].as_array().unwrap().iter().map(|i| &i["metadata"]["name"]).collect();
    assert_eq!(names, ["c"]);
    assert_eq!(blue["kind"], "LampList");
    let (_, table) =
        raw(&w, Method::GET, LAMPS, "application/json;as=Table;v=v1;g=meta.k8s.io", &Value::Null).await;
    let columns: Vec<&Value> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(columns, ["Name", "Color"]);
    assert_eq!(table["rows"][0]["cells"], json!(["a", "red"]));

    let gone = w.api.delete(&path, &json!({"kind": "DeleteOptions", "apiVersion": "v1"})).await.unwrap();
    assert_eq!(gone["status"], "Success");
}

/// AS-39: an update leaves alone what was stored before the schema forbade it.
#[tokio::test]
async fn as39_ratcheting_keeps_an_old_invalid_field() {
    let w = World::new().await;
    let free = json!({"a": {"type": "string"}, "b": {"type": "string"}});
    w.post(CRDS, definition(json!([version("v1", true, free)]))).await.unwrap();
    let made = w.post(LAMPS, lamp("a", json!({"a": "long", "b": "x"}))).await.unwrap();
    let tight = json!({"a": {"type": "string", "maxLength": 1}, "b": {"type": "string"}});
    let mut crd = w.get(&format!("{CRDS}/lamps.example.com")).await.unwrap();
    crd["spec"]["versions"] = json!([version("v1", true, tight)]);
    w.api.update(&format!("{CRDS}/lamps.example.com"), &crd).await.unwrap();
    let mut other = made.clone();
    other["spec"]["b"] = "y".into();
    let kept = w.api.update(&format!("{LAMPS}/a"), &other).await.unwrap();
    assert_eq!(kept["spec"], json!({"a": "long", "b": "y"}));
    other = kept;
    other["spec"]["a"] = "longer".into();
    let refused = w.api.update(&format!("{LAMPS}/a"), &other).await.unwrap_err();
    assert_eq!((refused.code, fields(&refused)), (422, vec!["spec.a"]));
}

/// AS-39: two versions over one storage, which moves from one to the other.
#[tokio::test]
async fn as39_two_versions_and_a_new_storage_version() {
    let w = World::new().await;
    let spec = json!({"color": {"type": "string", "default": "red"}, "watts": {"type": "integer"}});
    let both = |storage: &str| {
        json!([version("v1", storage == "v1", spec.clone()), version("v2", storage == "v2", spec.clone())])
    };
    w.post(CRDS, definition(both("v1"))).await.unwrap();
    w.post(LAMPS, lamp("a", json!({"watts": 5}))).await.unwrap();
    let second = LAMPS.replace("/v1/", "/v2/");
    let seen = w.get(&format!("{second}/a")).await.unwrap();
    assert_eq!((&seen["apiVersion"], &seen["spec"]["color"]), (&json!("example.com/v2"), &json!("red")));

    let path = format!("{CRDS}/lamps.example.com");
    let mut crd = w.get(&path).await.unwrap();
    crd["spec"]["versions"] = both("v2");
    let crd = w.api.update(&path, &crd).await.unwrap();
    assert_eq!(crd["status"]["storedVersions"], json!(["v1", "v2"]));
    // What is stored in the old version reads as either.
    for (version, path) in [("v1", LAMPS), ("v2", &*second)] {
        let list = w.get(path).await.unwrap();
        assert_eq!(list["items"][0]["apiVersion"], format!("example.com/{version}"));
        assert_eq!(
            w.get(&format!("{path}/a")).await.unwrap()["apiVersion"],
            format!("example.com/{version}")
        );
    }
    // A version that objects are stored in cannot go.
    let mut without = crd.clone();
    without["spec"]["versions"] = json!([version("v2", true, spec.clone())]);
    let refused = w.api.update(&path, &without).await.unwrap_err();
    assert_eq!((refused.code, fields(&refused)), (422, vec!["status.storedVersions[0]"]));
}

/// AS-26: documents and endpoint switch with the definition.
#[tokio::test]
async fn as26_documents_and_endpoint_switch_together() {
    let w = World::new().await;
    let served = async |version: &str| {
        let path = format!("/apis/example.com/{version}");
        let listed = w.get(&path).await.is_ok_and(|doc| {
            doc["resources"].as_array().is_some_and(|all| all.iter().any(|r| r["name"] == "lamps"))
        });
        let answers = w.get(&format!("{path}/lamps")).await.is_ok();
        let groups = w.get("/apis").await.unwrap();
        let group = groups["groups"].as_array().unwrap().iter().find(|g| g["name"] == "example.com").cloned();
        let named =
            group.is_some_and(|g| g["versions"].as_array().unwrap().iter().any(|v| v["version"] == version));
        let open = w.get("/openapi/v3").await.unwrap();
        let documented = open["paths"].get(format!("apis/example.com/{version}")).is_some();
        assert_eq!((listed, answers, named), (documented, documented, documented), "{version}");
        documented
    };
    assert!(!served("v1").await);
    w.post(CRDS, definition(json!([version("v1", true, json!({}))]))).await.unwrap();
    assert!(served("v1").await && !served("v2").await);

    let path = format!("{CRDS}/lamps.example.com");
    let change = async |versions: Value| {
        let mut crd = w.get(&path).await.unwrap();
        crd["spec"]["versions"] = versions;
        w.api.update(&path, &crd).await.unwrap();
    };
    change(json!([version("v1", true, json!({})), version("v2", false, json!({}))])).await;
    assert!(served("v1").await && served("v2").await);
    let mut hidden = version("v1", true, json!({}));
    hidden["served"] = false.into();
    change(json!([hidden, version("v2", false, json!({}))])).await;
    assert!(!served("v1").await && served("v2").await);
}

/// AS-40, M3: rules are accepted, and it is said aloud that nobody checks them.
#[tokio::test]
async fn as40_rules_are_accepted_and_called_unenforced() {
    let w = World::new().await;
    let mut one = version("v1", true, json!({"a": {"type": "string"}}));
    one["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] =
        json!([{"rule": "self.a != 'x'", "message": "not x"}]);
    let (headers, crd) = raw(&w, Method::POST, CRDS, "application/json", &definition(json!([one]))).await;
    assert_eq!(warnings(&headers), ["299 - \"x-kubernetes-validations are not enforced\""]);
    let rules = condition(&crd, "skerry.dev/RulesEnforced");
    assert_eq!((&rules["status"], &rules["reason"]), (&json!("False"), &json!("NotSupported")));
    w.post(LAMPS, lamp("a", json!({"a": "x"}))).await.unwrap();
    // M2: what would be a control is not there.
    for path in [
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        "/api/v1/namespaces/default/resourcequotas",
    ] {
        assert_eq!(w.get(path).await.unwrap_err().code, 404, "{path}");
    }
}

/// Y2: a clash of names is not served, and says so.
#[tokio::test]
async fn y2_a_clash_is_not_served() {
    let w = World::new().await;
    w.post(CRDS, definition(json!([version("v1", true, json!({}))]))).await.unwrap();
    let mut other = definition(json!([version("v1", true, json!({}))]));
    other["metadata"]["name"] = "lights.example.com".into();
    other["spec"]["names"] = json!({"plural": "lights", "kind": "Lamp"});
    let made = w.post(CRDS, other).await.unwrap();
    assert_eq!(condition(&made, "NamesAccepted")["reason"], "ListKindConflict");
    assert_eq!(condition(&made, "Established")["reason"], "NotAccepted");
    assert_eq!(w.get("/apis/example.com/v1/lights").await.unwrap_err().code, 404);
    // Wrong definitions, and what never changes.
    let mut wrong = definition(json!([version("v1", false, json!({}))]));
    wrong["metadata"]["name"] = "others.example.com".into();
    let refused = w.post(CRDS, wrong).await.unwrap_err();
    assert_eq!(refused.code, 422);
    let mut crd = w.get(&format!("{CRDS}/lamps.example.com")).await.unwrap();
    crd["spec"]["scope"] = "Cluster".into();
    let refused = w.api.update(&format!("{CRDS}/lamps.example.com"), &crd).await.unwrap_err();
    assert_eq!(fields(&refused), ["spec.scope"]);
}

/// Y1: requests of a deprecated version are answered with a warning.
#[tokio::test]
async fn y1_deprecated_versions_warn() {
    let w = World::new().await;
    let mut one = version("v1", true, json!({}));
    one["deprecated"] = true.into();
    w.post(CRDS, definition(json!([one]))).await.unwrap();
    let (headers, _) = raw(&w, Method::GET, LAMPS, "application/json", &Value::Null).await;
    assert_eq!(warnings(&headers), ["299 - \"example.com/v1 Lamp is deprecated\""]);
}

/// Y2, AS-26: a deleted definition takes its objects along, and who waited for its names gets them.
#[tokio::test]
async fn y2_freed_names_go_to_who_waits() {
    let w = World::new().await;
    let stop = CancellationToken::new();
    let mut tasks = controllers::start(&w.server, &stop);
    w.post(CRDS, definition(json!([version("v1", true, json!({}))]))).await.unwrap();
    w.post(LAMPS, lamp("a", json!({}))).await.unwrap();
    let mut other = definition(json!([version("v1", true, json!({}))]));
    other["metadata"]["name"] = "lights.example.com".into();
    other["spec"]["names"] = json!({"plural": "lights", "kind": "Lamp"});
    w.post(CRDS, other).await.unwrap();
    assert_eq!(w.get("/apis/example.com/v1/lights").await.unwrap_err().code, 404);
    w.api
        .delete(&format!("{CRDS}/lamps.example.com"), &json!({"kind": "DeleteOptions", "apiVersion": "v1"}))
        .await
        .unwrap();
    let mut served = false;
    for _ in 0..500 {
        served = w.get("/apis/example.com/v1/lights").await.is_ok();
        if served {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(served, "{}", w.get(CRDS).await.unwrap());
    assert_eq!(w.get(&format!("{CRDS}/lamps.example.com")).await.unwrap_err().code, 404);
    assert_eq!(w.get(LAMPS).await.unwrap_err().code, 404);
    stop.cancel();
    while tasks.join_next().await.is_some() {}
}
