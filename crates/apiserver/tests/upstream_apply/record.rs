//! Recording. One second passes between the steps of a case, so that times tell steps apart.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use serde_json::{Value, json};

use crate::corpus;
use crate::scenario::{Case, Set, Step, golden, time_of};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real kube-apiserver"]
async fn record() {
    let server = std::env::var("SKERRY_RECORD_SERVER").expect("SKERRY_RECORD_SERVER");
    let token = std::env::var("SKERRY_RECORD_TOKEN").expect("SKERRY_RECORD_TOKEN");
    let only = std::env::var("SKERRY_RECORD_ONLY").unwrap_or_default();
    let mut config = kube::Config::new(server.parse().expect("a URL"));
    config.accept_invalid_certs = true;
    config.auth_info.token = Some(token.into());
    let client = Client::try_from(config).expect("a client");
    ask(&client, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", None, &corpus::crd())
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    std::fs::create_dir_all(golden()).expect("a directory");
    for mut set in corpus::sets() {
        if !set.kind.to_lowercase().contains(&only) {
            continue;
        }
        let run = format!("{}-{}", set.plural, std::process::id());
        let (api_version, plural) = (set.api_version.clone(), set.plural.clone());
        let cases = std::mem::take(&mut set.cases);
        let mut done: Vec<(usize, Case)> = futures::stream::iter(cases.into_iter().enumerate())
            .map(|(i, case)| {
                let (client, namespace) = (client.clone(), format!("{run}-{i}"));
                let (api_version, plural, kind) = (api_version.clone(), plural.clone(), set.kind.clone());
                async move { (i, one(client, namespace, &api_version, &kind, &plural, case).await) }
            })
            .buffer_unordered(48)
            .collect()
            .await;
        done.sort_by_key(|(i, _)| *i);
        set.cases = done.into_iter().map(|(_, case)| case).collect();
        write(&set);
    }
}

/// A line per step keeps the files readable and their changes small.
fn write(set: &Set) {
    let mut out = format!(
        "{{\"api_version\":{},\"kind\":{},\"plural\":{},\"cases\":[\n",
        json!(set.api_version),
        json!(set.kind),
        json!(set.plural)
    );
    for (i, case) in set.cases.iter().enumerate() {
        let steps: Vec<String> = case.steps.iter().map(|s| serde_json::to_string(s).expect("JSON")).collect();
        out.push_str(&format!("{{\"name\":{},\"steps\":[\n{}\n]}}", json!(case.name), steps.join(",\n")));
        out.push_str(if i + 1 < set.cases.len() { ",\n" } else { "\n" });
    }
    out.push_str("]}\n");
    std::fs::write(golden().join(format!("{}.json", set.plural)), out).expect("a file");
}

async fn one(
    client: Client,
    namespace: String,
    api_version: &str,
    kind: &str,
    plural: &str,
    mut case: Case,
) -> Case {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    ask(&client, "POST", "/api/v1/namespaces", None, &body).await;
    let prefix = if api_version.contains('/') { "/apis" } else { "/api" };
    let list = format!("{prefix}/{api_version}/namespaces/{namespace}/{plural}");
    let mut live = Value::Null;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for (i, step) in case.steps.iter_mut().enumerate() {
        tokio::time::sleep(until_next_second()).await;
        let (code, answer) = send(&client, &list, &namespace, api_version, kind, step, &live).await;
        step.code = code;
        if code < 300 {
            live = answer.clone();
            note_times(&answer, i, &mut times);
            let text = answer.to_string().replace(&namespace, "n");
            step.answer = masked(serde_json::from_str(&text).expect("JSON"), &times);
        } else {
            let text = answer["message"].as_str().unwrap_or_default().replace(&format!("{namespace}/"), "n/");
            step.answer = json!({"message": text, "reason": answer["reason"]});
            if let Some(causes) = answer["details"].get("causes") {
                step.answer["causes"] = causes.clone();
            }
        }
    }
    case
}

fn until_next_second() -> Duration {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock");
    Duration::from_millis(1020) - Duration::from_nanos(u64::from(now.subsec_nanos()))
}

async fn send(
    client: &Client,
    list: &str,
    namespace: &str,
    api_version: &str,
    kind: &str,
    step: &Step,
    live: &Value,
) -> (u16, Value) {
    let mut path = if step.verb == "create" { list.to_owned() } else { format!("{list}/x") };
    if !step.subresource.is_empty() {
        path.push('/');
        path.push_str(&step.subresource);
    }
    path.push_str(&format!("?fieldManager={}", step.manager));
    let (verb, content, body) = match step.verb.as_str() {
        "apply" => {
            if step.force {
                path.push_str("&force=true");
            }
            ("PATCH", Some("application/apply-patch+yaml"), named(&step.body, namespace, api_version, kind))
        }
        "create" => ("POST", None, named(&step.body, namespace, api_version, kind)),
        "update" => ("PUT", None, merged(live, &step.body)),
        "json" => ("PATCH", Some("application/json-patch+json"), step.body.clone()),
        "merge" => ("PATCH", Some("application/merge-patch+json"), step.body.clone()),
        "strategic" => ("PATCH", Some("application/strategic-merge-patch+json"), step.body.clone()),
        other => panic!("verb {other}"),
    };
    ask(client, verb, &path, content, &body).await
}

/// The body with what all bodies have.
pub fn named(body: &Value, namespace: &str, api_version: &str, kind: &str) -> Value {
    let head =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": namespace}});
    merged(&head, body)
}

pub fn merged(base: &Value, over: &Value) -> Value {
    // Nulls must stay where nothing was before: they are part of what is tested.
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            let mut out = base.clone();
            for (k, v) in over {
                match (base.get(k), v) {
                    (Some(_), Value::Null) => _ = out.remove(k),
                    (Some(old), v) => _ = out.insert(k.clone(), merged(old, v)),
                    (None, v) => _ = out.insert(k.clone(), v.clone()),
                }
            }
            Value::Object(out)
        }
        _ => over.clone(),
    }
}

async fn ask(client: &Client, verb: &str, path: &str, content: Option<&str>, body: &Value) -> (u16, Value) {
    let request = http::Request::builder()
        .method(verb)
        .uri(path)
        .header("Content-Type", content.unwrap_or("application/json"))
        .body(kube::client::Body::from(serde_json::to_vec(body).expect("JSON")))
        .expect("a request");
    let answer = client.send(request).await.expect("an answer");
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect_bytes().await.expect("a body");
    (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn note_times(object: &Value, step: usize, times: &mut BTreeMap<String, usize>) {
    let entries = object["metadata"]["managedFields"].as_array();
    for time in entries.into_iter().flatten().filter_map(|e| e["time"].as_str()) {
        times.entry(time.to_owned()).or_insert(step);
    }
}

/// What differs from run to run, replaced.
fn masked(mut object: Value, times: &BTreeMap<String, usize>) -> Value {
    let metadata = &mut object["metadata"];
    metadata["namespace"] = "n".into();
    metadata["uid"] = "u".into();
    metadata["resourceVersion"] = "1".into();
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    if let Some(Value::Array(entries)) = metadata.get_mut("managedFields") {
        for entry in entries {
            if let Some(step) = entry["time"].as_str().and_then(|t| times.get(t)) {
                entry["time"] = time_of(*step).into();
            }
        }
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
        && spec.contains_key("clusterIP")
    {
        spec.insert("clusterIP".to_owned(), "10.96.0.9".into());
        spec.insert("clusterIPs".to_owned(), json!(["10.96.0.9"]));
    }
    object
}
