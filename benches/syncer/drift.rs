//! Somebody changes what the syncer keeps on the host; how long until it is as it was.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skerry_testkit::upstream::client::Connection;

use super::stage::Stage;

/// Longer than any repair may take.
const LIMIT: Duration = Duration::from_secs(120);

fn list(connection: &mut Connection, path: &str) -> Vec<Value> {
    let (_, body) = connection.request("GET", path, "");
    let list: Value = serde_json::from_slice(&body).expect("a list");
    list["items"].as_array().cloned().unwrap_or_default()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("a name")
}

/// Patches an object; answers the seconds until a field is what it was before.
fn repaired(connection: &mut Connection, path: &str, patch: &Value, field: &str) -> f64 {
    let look = |connection: &mut Connection| -> Value {
        let object: Value =
            serde_json::from_slice(&connection.request("GET", path, "").1).unwrap_or_default();
        object.pointer(field).cloned().unwrap_or_default()
    };
    let before = look(connection);
    let (code, answer) = connection.request("PATCH", path, &patch.to_string());
    assert!(code < 300, "{path}: {code} {}", String::from_utf8_lossy(&answer));
    let started = Instant::now();
    while look(connection) != before {
        if started.elapsed() > LIMIT {
            return f64::INFINITY;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    started.elapsed().as_secs_f64()
}

/// A label of each of some pods, which are watched: the longest time.
pub fn watched(stage: &Stage) -> f64 {
    let mut connection = stage.host.connect();
    let pods = format!("/api/v1/namespaces/{}/pods", stage.host_namespace());
    let patch = json!({"metadata": {"labels": {"app": "another"}}});
    // Another pod each time: a field that somebody changes again and again is a conflict, and waits for its minute.
    let some = list(&mut connection, &format!("{pods}?limit=10"));
    let times = some.iter().map(|pod| {
        repaired(&mut connection, &format!("{pods}/{}", name(pod)), &patch, "/metadata/labels/app")
    });
    times.fold(0.0, f64::max)
}

/// Data of a ConfigMap, which no watch shows: the longest time of two.
pub fn patrolled(stage: &Stage) -> f64 {
    let mut connection = stage.host.connect();
    let maps = format!("/api/v1/namespaces/{}/configmaps", stage.host_namespace());
    let all = list(&mut connection, &format!("{maps}?labelSelector=skerry.dev/tenant"));
    let map = all.first().expect("a ConfigMap of a tenant");
    let key = map["data"].as_object().and_then(|d| d.keys().next()).expect("data");
    let patch = json!({"data": {key: "another"}});
    let (path, field) = (format!("{maps}/{}", name(map)), format!("/data/{key}"));
    let times = (0..2).map(|_| repaired(&mut connection, &path, &patch, &field));
    times.fold(0.0, f64::max)
}
