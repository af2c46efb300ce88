//! AS-31: field selectors of every kind, and what watchers see of objects that enter and leave a selection.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use serde_json::{Value, json};
use skerry_apiserver::bus::Patch;
use skerry_apiserver::identity::Identity;
use skerry_apiserver::model::catalog::Catalog;

use crate::support::{World, brief};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Group and plural with the fields of F1 beyond name and namespace.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "/pods",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
    ),
    ("/nodes", &["spec.unschedulable"]),
    (
        "/events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    (
        "events.k8s.io/events",
        &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
    ),
    ("/secrets", &["type"]),
    ("/namespaces", &["status.phase"]),
    ("/replicationcontrollers", &["status.replicas"]),
    ("apps/replicasets", &["status.replicas"]),
    ("batch/jobs", &["status.successful"]),
    ("certificates.k8s.io/certificatesigningrequests", &["spec.signerName"]),
    ("/services", &["spec.clusterIP", "spec.type"]),
];

/// Names of the objects that a field selector takes.
async fn names(w: &World, path: &str, selector: &str) -> BTreeSet<String> {
    let selector: String = url_encoded(selector);
    let list = w.get(&format!("{path}?fieldSelector={selector}")).await.unwrap();
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(name).collect()
}

fn url_encoded(text: &str) -> String {
    text.replace('=', "%3D").replace('!', "%21").replace('/', "%2F").replace(',', "%2C")
}

/// `one` is taken by `field=value` and `two` is not; `!=` turns both around.
async fn apart(w: &World, path: &str, field: &str, value: &str) {
    let equal = names(w, path, &format!("{field}={value}")).await;
    assert!(equal.contains("one") && !equal.contains("two"), "{path} {field}={value}: {equal:?}");
    let unequal = names(w, path, &format!("{field}!={value}")).await;
    assert!(!unequal.contains("one") && unequal.contains("two"), "{path} {field}!={value}: {unequal:?}");
    let name = names(w, path, &format!("metadata.name=one,{field}=={value}")).await;
    assert_eq!(name, BTreeSet::from(["one".into()]));
}

async fn make(w: &World, path: &str, name: &str, mut object: Value) -> Value {
    object["metadata"]["name"] = name.into();
    w.post(path, object).await.unwrap_or_else(|s| panic!("{path}: {}", s.message))
}

async fn status(w: &World, path: &str, status: Value) {
    let body = json!({ "status": status });
    w.api.patch(&format!("{path}/status"), Patch::Merge, &body).await.unwrap();
}

#[test]
fn as31_the_fields_of_each_kind_are_those_of_the_design() {
    let mut found = Vec::new();
    for row in Catalog::builtin().all().filter(|row| !row.selectable.is_empty()) {
        let labels: Vec<String> = row.selectable.iter().map(|s| s.label.to_string()).collect();
        found.push((format!("{}/{}", row.gvk.group, row.plural), labels));
    }
    let mut wanted: Vec<(String, Vec<String>)> = FIELDS
        .iter()
        .map(|(id, fields)| ((*id).to_owned(), fields.iter().map(|f| (*f).to_owned()).collect()))
        .collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn as31_a_field_that_a_kind_lacks_is_refused() {
    let w = World::new().await;
    for row in Catalog::builtin().all().filter(|row| row.has_verb("watch")) {
        let root = if row.gvk.group.is_empty() { "/api" } else { "/apis" };
        let path = format!("{root}/{}/{}", row.gvk.api_version(), row.plural);
        for query in ["", "&watch=true"] {
            let path = format!("{path}?fieldSelector=spec.none%3Dx{query}");
            let refused = w.raw(Method::GET, &path, "", "").await;
            assert_eq!(refused.code, 400, "{path}");
            assert_eq!(refused.body["message"], "field label not supported: spec.none", "{path}");
        }
    }
}

#[tokio::test]
async fn as31_pods_and_nodes_by_field() {
    let w = World::new().await;
    make(&w, "/api/v1/namespaces/default/serviceaccounts", "robot", json!({})).await;
    let pods = "/api/v1/namespaces/default/pods";
    let containers = json!([{ "name": "c", "image": "i" }]);
    make(
        &w,
        pods,
        "one",
        json!({ "spec": { "containers": containers, "nodeName": "n1", "restartPolicy": "Never",
        "schedulerName": "own", "serviceAccountName": "robot", "hostNetwork": true } }),
    )
    .await;
    make(&w, pods, "two", json!({ "spec": { "containers": containers } })).await;
    let seen = json!({ "phase": "Running", "podIP": "10.0.0.9", "podIPs": [{ "ip": "10.0.0.9" }],
        "nominatedNodeName": "n2" });
    status(&w, &format!("{pods}/one"), seen).await;
    for (field, value) in [
        ("spec.nodeName", "n1"),
        ("spec.restartPolicy", "Never"),
        ("spec.schedulerName", "own"),
        ("spec.serviceAccountName", "robot"),
        ("spec.hostNetwork", "true"),
        ("status.phase", "Running"),
        ("status.podIP", "10.0.0.9"),
        ("status.nominatedNodeName", "n2"),
    ] {
        apart(&w, pods, field, value).await;
    }
    assert_eq!(names(&w, pods, "spec.hostNetwork=false").await, BTreeSet::from(["two".into()]));
    // Upstream knows the label and holds no value for it.
    assert_eq!(names(&w, pods, "status.podIPs=10.0.0.9").await.len(), 0);
    assert_eq!(names(&w, pods, "status.podIPs=").await.len(), 2);

    let nodes = "/api/v1/nodes";
    make(&w, nodes, "one", json!({ "spec": { "unschedulable": true } })).await;
    make(&w, nodes, "two", json!({})).await;
    apart(&w, nodes, "spec.unschedulable", "true").await;
    assert_eq!(names(&w, nodes, "spec.unschedulable=false").await, BTreeSet::from(["two".into()]));
}

#[tokio::test]
async fn as31_events_by_field_in_both_groups() {
    let w = World::new().await;
    let core = "/api/v1/namespaces/default/events";
    let about = json!({ "kind": "Pod", "namespace": "default", "name": "p", "uid": "u", "apiVersion": "v1",
        "resourceVersion": "7", "fieldPath": "spec.containers{c}" });
    make(
        &w,
        core,
        "one",
        json!({ "involvedObject": about, "reason": "Pulled", "type": "Normal",
        "source": { "component": "kubelet" }, "reportingComponent": "kubelet", "reportingInstance": "n" }),
    )
    .await;
    let other = json!({ "kind": "Node", "name": "n", "namespace": "default" });
    make(&w, core, "two", json!({ "involvedObject": other, "reason": "Starting", "type": "Warning" })).await;
    let group = "/apis/events.k8s.io/v1/namespaces/default/events";
    for (field, value) in [
        ("kind", "Pod"),
        ("name", "p"),
        ("uid", "u"),
        ("apiVersion", "v1"),
        ("resourceVersion", "7"),
        ("fieldPath", "spec.containers{c}"),
    ] {
        apart(&w, core, &format!("involvedObject.{field}"), value).await;
        apart(&w, group, &format!("regarding.{field}"), value).await;
    }
    for (field, value) in [("reason", "Pulled"), ("type", "Normal")] {
        apart(&w, core, field, value).await;
        apart(&w, group, field, value).await;
    }
    apart(&w, core, "reportingComponent", "kubelet").await;
    apart(&w, core, "source", "kubelet").await;
    apart(&w, group, "reportingController", "kubelet").await;
    for field in ["involvedObject.namespace", "metadata.namespace"] {
        assert_eq!(names(&w, core, &format!("{field}=default")).await.len(), 2);
        assert_eq!(names(&w, core, &format!("{field}=x")).await.len(), 0);
    }
    assert_eq!(names(&w, group, "regarding.namespace=default").await.len(), 2);

    // Made through the newer group, found through both.
    make(
        &w,
        group,
        "three",
        json!({ "regarding": { "kind": "Job", "name": "j", "namespace": "default" },
        "reason": "Done", "type": "Normal", "action": "Run", "reportingController": "robot",
        "reportingInstance": "robot-1", "eventTime": "2026-01-01T00:00:00.000000Z" }),
    )
    .await;
    let three = BTreeSet::from(["three".to_owned()]);
    assert_eq!(names(&w, group, "regarding.kind=Job").await, three);
    assert_eq!(names(&w, core, "involvedObject.kind=Job").await, three);
    assert_eq!(names(&w, core, "source=robot").await, three, "the controller stands in for the component");
}

#[tokio::test]
async fn as31_other_kinds_by_field() {
    let w = World::new().await;
    let secrets = "/api/v1/namespaces/default/secrets";
    make(&w, secrets, "one", json!({ "type": "example.com/own" })).await;
    make(&w, secrets, "two", json!({})).await;
    apart(&w, secrets, "type", "example.com/own").await;
    assert_eq!(names(&w, secrets, "type=Opaque").await, BTreeSet::from(["two".into()]));

    let namespaces = "/api/v1/namespaces";
    make(&w, namespaces, "one", json!({})).await;
    make(&w, namespaces, "two", json!({})).await;
    w.api.delete(&format!("{namespaces}/one"), &json!({})).await.unwrap();
    apart(&w, namespaces, "status.phase", "Terminating").await;
    let active = names(&w, namespaces, "status.phase=Active").await;
    assert!(active.contains("default") && active.contains("two"), "the first ones too: {active:?}");

    let template = json!({ "metadata": { "labels": { "a": "b" } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    let set = json!({ "spec": { "selector": { "matchLabels": { "a": "b" } }, "template": template } });
    for (path, object) in [
        ("/api/v1/namespaces/default/replicationcontrollers", json!({ "spec": { "template": template } })),
        ("/apis/apps/v1/namespaces/default/replicasets", set),
    ] {
        make(&w, path, "one", object.clone()).await;
        make(&w, path, "two", object).await;
        status(&w, &format!("{path}/one"), json!({ "replicas": 3 })).await;
        apart(&w, path, "status.replicas", "3").await;
        assert_eq!(names(&w, path, "status.replicas=0").await, BTreeSet::from(["two".into()]));
    }

    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    let mut template = template;
    template["spec"]["restartPolicy"] = "Never".into();
    make(&w, jobs, "one", json!({ "spec": { "template": template } })).await;
    make(&w, jobs, "two", json!({ "spec": { "template": template } })).await;
    status(&w, &format!("{jobs}/one"), json!({ "succeeded": 1 })).await;
    apart(&w, jobs, "status.successful", "1").await;

    let services = "/api/v1/namespaces/default/services";
    let ports = json!([{ "port": 80 }]);
    make(
        &w,
        services,
        "one",
        json!({ "spec": { "ports": ports, "type": "NodePort", "clusterIP": "10.96.7.7" } }),
    )
    .await;
    make(&w, services, "two", json!({ "spec": { "ports": ports } })).await;
    apart(&w, services, "spec.clusterIP", "10.96.7.7").await;
    apart(&w, services, "spec.type", "NodePort").await;
}

#[tokio::test]
async fn as31_certificate_requests_by_signer() {
    let w = World::new().await;
    let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let request = BASE64.encode(pem);
    for (name, signer) in [("one", "example.com/own"), ("two", "example.com/other")] {
        let spec = json!({ "request": request, "signerName": signer, "usages": ["client auth"] });
        make(&w, path, name, json!({ "spec": spec })).await;
    }
    apart(&w, path, "spec.signerName", "example.com/own").await;
}

fn definition(fields: Value) -> Value {
    let version = |name: &str, storage: bool, fields: Value| {
        // Schemas that are equal in all versions would not go with fields that differ.
        let spec = json!({ "type": "object", "description": name, "properties": {
            "color": { "type": "string" }, "size": { "type": "integer" } } });
        let schema = json!({ "openAPIV3Schema": { "type": "object", "properties": { "spec": spec } } });
        json!({ "name": name, "served": true, "storage": storage, "schema": schema, "selectableFields": fields })
    };
    json!({ "metadata": { "name": "shoes.example.com" }, "spec": { "group": "example.com", "scope": "Namespaced",
        "names": { "plural": "shoes", "kind": "Shoe" },
        "versions": [version("v1", true, fields), version("v2", false, json!([{ "jsonPath": ".spec.size" }]))] } })
}

#[tokio::test]
async fn as31_custom_objects_by_the_fields_of_each_version() {
    let w = World::new().await;
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    w.post(crds, definition(json!([{ "jsonPath": ".spec.color" }]))).await.unwrap();
    let path = |version: &str| format!("/apis/example.com/{version}/namespaces/default/shoes");
    for (version, name, color, size) in [("v1", "one", "red", 40), ("v2", "two", "blue", 41)] {
        let shoe = json!({ "apiVersion": format!("example.com/{version}"), "kind": "Shoe",
            "spec": { "color": color, "size": size } });
        make(&w, &path(version), name, shoe).await;
    }
    apart(&w, &path("v1"), "spec.color", "red").await;
    apart(&w, &path("v2"), "spec.size", "40").await;
    let refused = w.get(&format!("{}?fieldSelector=spec.size%3D40", path("v1"))).await.unwrap_err();
    assert_eq!(refused.code, 400);

    // A field that is made selectable later takes objects of before.
    let both = definition(json!([{ "jsonPath": ".spec.color" }, { "jsonPath": ".spec.size" }]));
    let versions = json!({ "spec": { "versions": both["spec"]["versions"] } });
    w.api.patch(&format!("{crds}/shoes.example.com"), Patch::Merge, &versions).await.unwrap();
    apart(&w, &path("v1"), "spec.size", "40").await;
}

#[tokio::test]
async fn as31_a_name_in_the_path_narrows_a_watch_to_it() {
    let w = World::new().await;
    let one = w.post(MAPS, json!({ "metadata": { "name": "one" } })).await.unwrap();
    let got = w.get(&format!("{MAPS}/one?watch=true")).await.unwrap();
    assert_eq!(got["metadata"]["uid"], one["metadata"]["uid"], "one object is got, not watched, by its path");
    // Whoever may watch one object sees that one alone.
    let rules = json!([{ "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["watch"] }]);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    w.post(&format!("{rbac}/roles"), json!({ "metadata": { "name": "r" }, "rules": rules })).await.unwrap();
    let binding = json!({ "metadata": { "name": "r" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane" }] });
    w.post(&format!("{rbac}/rolebindings"), binding).await.unwrap();
    let jane = Identity::user("jane", []);
    for path in [
        "/api/v1/watch/namespaces/default/configmaps/one".to_owned(),
        format!("{MAPS}?watch=true&fieldSelector=metadata.name%3Done"),
    ] {
        let mut events = w.watch_as(jane.clone(), &path).await;
        assert_eq!(brief(&events.next().await.unwrap()).1, "one");
        w.post(MAPS, json!({ "metadata": { "generateName": "other-" } })).await.unwrap();
        w.api.patch(&format!("{MAPS}/one"), Patch::Merge, &json!({ "data": { "k": path } })).await.unwrap();
        assert_eq!(brief(&events.next().await.unwrap()).1, "one", "{path}");
    }
}
