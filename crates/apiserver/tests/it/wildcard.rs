//! AS-23: one watch over all tenants, whole and narrowed by selectors.

use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::front::{at, map};
use crate::support::Events;
use crate::wire::{Connection, Wire};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const ALL: &str = "/shards/0/clusters/*/api/v1";

async fn watch(connection: &mut Connection, path: &str) -> Events {
    let response = connection.open(Method::GET, path, None).await;
    assert_eq!(response.status(), 200, "{path}");
    Events::new(response.into_body().map_err(Into::into).boxed_unsync())
}

/// AS-23: each write of each tenant once, with its tenant and place; a tenant's admin sees none of it.
#[tokio::test(flavor = "multi_thread")]
async fn one_watch_sees_all_tenants() {
    let w = Wire::new().await;
    let ids = [w.tenant("a").await, w.tenant("b").await, w.tenant("c").await];
    let mut owner = w.connect(w.owner(ids[0]).await).await;
    let path =
        "/shards/0/clusters/*/api/v1/configmaps?watch=true&sendInitialEvents=true&allowWatchBookmarks=true";
    assert_eq!(owner.get(path).await.code, 403);
    let mut system = w.connect(w.system()).await;
    assert_eq!(system.get("/shards/0/clusters/*/api/v1/configmaps").await.code, 405);
    assert_eq!(system.get("/shards").await.body[0]["ready"], true);
    let mut stream = watch(&mut system, path).await;
    let mut client = w.connect(w.system()).await;
    for id in ids {
        assert_eq!(client.send(Method::POST, &at(id, MAPS), map("new")).await.code, 201);
    }
    let mut seen: Vec<Value> = Vec::new();
    while seen.iter().filter(|e| e["object"]["metadata"]["name"] == "new").count() < 3 {
        seen.push(stream.next().await.unwrap());
    }
    for id in ids {
        let of: Vec<&Value> = seen.iter().filter(|e| e["tenant"] == id.as_str()).collect();
        assert_eq!(of.iter().filter(|e| e["object"]["metadata"]["name"] == "new").count(), 1);
        assert!(of.iter().all(|e| e["seq"].as_str().is_some_and(|s| s.contains('-'))));
        let roots = of.iter().filter(|e| e["object"]["metadata"]["name"] == "kube-root-ca.crt").count();
        assert_eq!(roots, 4, "the base image is listed once");
    }
    assert_eq!(seen.iter().filter(|e| e["type"] == "BOOKMARK").count(), 1);
}

/// K14 with W3 and F1: labels, fields, a namespace; what leaves the selection is shown as deleted.
#[tokio::test(flavor = "multi_thread")]
async fn as23_selectors_hold_over_all_tenants() {
    let w = Wire::new().await;
    let ids = [w.tenant("a").await, w.tenant("b").await];
    let mut client = w.connect(w.system()).await;
    let labelled =
        |name: &str, color: &str| Some(json!({ "metadata": { "name": name, "labels": { "color": color } } }));
    for id in ids {
        for (name, color) in [("one", "red"), ("two", "blue")] {
            assert_eq!(client.send(Method::POST, &at(id, MAPS), labelled(name, color)).await.code, 201);
        }
        let path = at(id, "/api/v1/namespaces/kube-public/configmaps");
        assert_eq!(client.send(Method::POST, &path, labelled("far", "red")).await.code, 201);
    }
    let query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true";
    let mut streams = Vec::new();
    for path in [
        format!("{ALL}/configmaps?{query}&labelSelector=color%3Dred"),
        format!("{ALL}/namespaces/default/configmaps?{query}&labelSelector=color%3Dred"),
        format!("{ALL}/configmaps?{query}&labelSelector=color&fieldSelector=metadata.name%3Dtwo"),
        format!(
            "{ALL}/configmaps?{query}&fieldSelector=metadata.namespace%3Dkube-public&labelSelector=color"
        ),
    ] {
        streams.push(watch(&mut w.connect(w.system()).await, &path).await);
    }
    let mut told = Vec::new();
    for stream in &mut streams {
        told.push(until_bookmark(stream, &ids).await);
    }
    let both = |names: &[&str]| {
        let of = |i: usize| names.iter().map(move |name| (i, "ADDED".to_owned(), (*name).to_owned()));
        of(0).chain(of(1)).collect::<Vec<_>>()
    };
    assert_eq!(told[0], both(&["one", "far"]));
    assert_eq!(told[1], both(&["one"]));
    assert_eq!(told[2], both(&["two"]));
    assert_eq!(told[3], both(&["far"]));

    let path = at(ids[1], &format!("{MAPS}/one"));
    for color in ["blue", "red"] {
        let put =
            json!({ "metadata": { "name": "one", "labels": { "color": color } }, "data": { "c": color } });
        assert_eq!(client.send(Method::PUT, &path, Some(put)).await.code, 200);
    }
    assert_eq!(client.send(Method::DELETE, &path, None).await.code, 200);
    for stream in &mut streams[..2] {
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let event = stream.next().await.unwrap();
            assert_eq!(
                (&event["tenant"], &event["object"]["metadata"]["name"]),
                (&json!(ids[1]), &json!("one"))
            );
            assert_eq!(event["object"]["metadata"]["labels"]["color"], "red", "as it was: {event}");
            kinds.push(event["type"].as_str().unwrap().to_owned());
        }
        assert_eq!(kinds, ["DELETED", "ADDED", "DELETED"]);
    }
    // A new tenant's objects pass the same selectors.
    let late = w.tenant("late").await;
    assert_eq!(client.send(Method::POST, &at(late, MAPS), labelled("two", "green")).await.code, 201);
    let event = streams[2].next().await.unwrap();
    assert_eq!(
        (&event["tenant"], &event["object"]["metadata"]["name"]),
        (&json!(late), &json!("two")),
        "{event}"
    );

    for (query, code) in [("fieldSelector=spec.none%3Dx", 400), ("labelSelector=a%20b", 400)] {
        let path = format!("{ALL}/configmaps?watch=true&{query}");
        assert_eq!(client.get(&path).await.code, code, "{query}");
    }
    assert_eq!(client.get(&format!("{ALL}/namespaces/default/configmaps/one?watch=true")).await.code, 405);
}

/// Tenant, type and name of the events before the bookmark, in order.
async fn until_bookmark(
    stream: &mut Events,
    ids: &[skerry_apiserver::tenant::TenantId],
) -> Vec<(usize, String, String)> {
    let mut out: Vec<(usize, String, String)> = Vec::new();
    loop {
        let event = stream.next().await.unwrap();
        if event["type"] == "BOOKMARK" {
            out.sort_by_key(|(tenant, ..)| *tenant);
            return out;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tenant = ids.iter().position(|id| event["tenant"] == id.as_str()).unwrap();
        out.push((tenant, text(&event["type"]), text(&event["object"]["metadata"]["name"])));
    }
}
