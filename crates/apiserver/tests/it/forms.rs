//! Bodies and answers in every form: protobuf against JSON, tables, partial objects, YAML.

use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use skerry_apiserver::codec::proto;
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::body;
use skerry_apiserver::model::catalog::Catalog;
use skerry_apiserver::model::gvk::Gvk;
use skerry_apiserver::model::resource::Resource;
use skerry_apiserver::request;

use crate::support::World;

async fn send(
    w: &World,
    method: Method,
    path: &str,
    form: &str,
    accept: &str,
    bytes: Vec<u8>,
) -> (u16, Vec<u8>) {
    let request = Request::builder().method(method).uri(path).header("accept", accept);
    let request = request.header("content-type", form).body(body::full(bytes)).unwrap();
    let response = request::serve(&w.server, w.tenant.clone(), Identity::system("test"), request).await;
    let code = response.status().as_u16();
    (code, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

pub fn path_of(row: &Resource) -> String {
    let root = match &*row.gvk.group {
        "" => format!("/api/{}", row.gvk.version),
        group => format!("/apis/{group}/{}", row.gvk.version),
    };
    let namespace = if row.namespaced { "/namespaces/default" } else { "" };
    format!("{root}{namespace}/{}", row.plural)
}

/// What a kind needs beside its name to be accepted.
pub fn content(kind: &str) -> Value {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {
        "containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "0.5"}}, "livenessProbe": {"httpGet": {"port": "http"}}}],
        "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}]}});
    let selector = json!({"matchLabels": {"a": "b"}});
    let target = json!({"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"});
    match kind {
        "Pod" => json!({"spec": template["spec"]}),
        "PodTemplate" => json!({"template": template}),
        "ReplicationController" => json!({"spec": {"template": template}}),
        "Deployment" | "ReplicaSet" | "DaemonSet" => {
            json!({"spec": {"selector": selector, "template": template}})
        }
        "StatefulSet" => json!({"spec": {"selector": selector, "serviceName": "s", "template": template}}),
        "Job" => {
            let mut template = template;
            template["spec"]["restartPolicy"] = "Never".into();
            json!({"spec": {"template": template}})
        }
        "Service" => json!({"spec": {"ports": [{"port": 80, "targetPort": "http"}], "selector": {"a": "b"}}}),
        "Secret" => json!({"data": {"k": "dg=="}}),
        "ConfigMap" => json!({"data": {"k": "v"}, "binaryData": {"b": "AAE="}}),
        "Lease" => json!({"spec": {"holderIdentity": "h", "renewTime": "2026-01-01T00:00:00.000001Z"}}),
        "Event" => json!({"involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}, "count": 2,
            "lastTimestamp": "2026-01-01T00:00:00Z"}),
        "Role" | "ClusterRole" => {
            json!({"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]})
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            json!({"roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "User", "name": "u"}]})
        }
        "HorizontalPodAutoscaler" => json!({"spec": {"scaleTargetRef": target, "maxReplicas": 3}}),
        "EndpointSlice" => {
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": []})
        }
        "StorageClass" => json!({"provisioner": "a.b/c"}),
        "PriorityClass" => json!({"value": 7}),
        "RuntimeClass" => json!({"handler": "h"}),
        "NetworkPolicy" => json!({"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}}),
        "PersistentVolumeClaim" => json!({"spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1024Mi"}}}}),
        _ => json!({}),
    }
}

fn without_chance(bytes: &[u8]) -> Value {
    let mut object: Value = serde_json::from_slice(bytes).unwrap();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for member in ["uid", "creationTimestamp", "managedFields"] {
            metadata.remove(member);
        }
    }
    let text = object.to_string();
    // Job labels and token volumes hold a uid or a random suffix.
    let mut out = String::with_capacity(text.len());
    for (i, part) in text.split("kube-api-access-").enumerate() {
        out.push_str(if i == 0 { part } else { part.get(5..).unwrap_or_default() });
    }
    serde_json::from_str(&out).unwrap()
}

/// AS-27: each built-in kind as a protobuf body ends as it does as JSON.
#[tokio::test]
async fn as27_protobuf_bodies_equal_json() {
    let w = World::new().await;
    let mut accepted = 0;
    for row in Catalog::builtin().all().filter(|row| row.is_stored() && row.has_verb("create")) {
        let mut object = content(&row.gvk.kind);
        object["apiVersion"] = row.gvk.api_version().into();
        object["kind"] = (&*row.gvk.kind).into();
        object["metadata"] = json!({"name": "same", "labels": {"x": "y"}});
        if &*row.gvk.kind == "Job" {
            object["spec"]["manualSelector"] = true.into();
            object["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
        }
        let path = format!("{}?dryRun=All&fieldManager=m", path_of(row));
        let raw = proto::encode(&row.schema, row.root, &object);
        let wrapped = proto::wrap_envelope(&row.gvk, &raw);
        let form = "application/vnd.kubernetes.protobuf";
        let as_proto = send(&w, Method::POST, &path, form, "application/json", wrapped).await;
        let text = object.to_string().into_bytes();
        let as_json = send(&w, Method::POST, &path, "application/json", "application/json", text).await;
        assert_eq!(as_proto.0, as_json.0, "{} {}", row.gvk, String::from_utf8_lossy(&as_proto.1));
        assert_eq!(without_chance(&as_proto.1), without_chance(&as_json.1), "{}", row.gvk);
        accepted += usize::from(as_json.0 == 201);
    }
    assert!(accepted >= 30, "{accepted}");
}

/// AS-27: a broken envelope is 400, protobuf of a custom kind 415.
#[tokio::test]
async fn as27_broken_envelopes_are_refused() {
    let w = World::new().await;
    let form = "application/vnd.kubernetes.protobuf";
    let path = "/api/v1/namespaces/default/configmaps";
    for bytes in [b"{}".to_vec(), b"k8s\0\xff\xff".to_vec(), Vec::new()] {
        assert_eq!(send(&w, Method::POST, path, form, "*/*", bytes).await.0, 400);
    }
    let custom = proto::wrap_envelope(&Gvk::new("example.com", "v1", "Foo"), b"");
    assert_eq!(send(&w, Method::POST, path, form, "*/*", custom).await.0, 415);
}

/// AS-28: the same objects as table, as metadata, as YAML; what nobody can answer in is 406.
#[tokio::test]
async fn as28_answers_in_every_form() {
    let w = World::new().await;
    let path = "/api/v1/namespaces/default/configmaps";
    w.post(path, json!({"metadata": {"name": "c"}, "data": {"k": "v"}})).await.unwrap();
    let get = async |path: &str, accept: &str| send(&w, Method::GET, path, "", accept, Vec::new()).await;
    let (code, table) = get(path, "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    let table: Value = serde_json::from_slice(&table).unwrap();
    assert_eq!((code, &table["kind"]), (200, &json!("Table")));
    let row = table["rows"].as_array().unwrap().iter().find(|row| row["cells"][0] == "c").unwrap();
    assert_eq!((&row["cells"][1], &row["object"]["kind"]), (&json!(1), &json!("PartialObjectMetadata")));
    let one = format!("{path}/c");
    let (_, table) =
        get(&format!("{one}?includeObject=None"), "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    assert_eq!(serde_json::from_slice::<Value>(&table).unwrap()["rows"][0]["object"], Value::Null);
    let (_, partial) = get(&one, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").await;
    let partial: Value = serde_json::from_slice(&partial).unwrap();
    assert_eq!((&partial["kind"], partial.get("data")), (&json!("PartialObjectMetadata"), None));
    let (_, yaml) = get(&one, "application/yaml").await;
    assert!(String::from_utf8(yaml).unwrap().contains("kind: ConfigMap"));
    assert_eq!(get(&one, "text/html").await.0, 406);
}
