//! The aggregated form of `/api` and `/apis` (D2), and the choice between it and the legacy one.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

use super::{Answer, legacy};
use crate::model::catalog::{Catalog, Group};
use crate::model::resource::Resource;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `GET /api`. `server_address` is where the client reached this tenant.
pub fn api(
    catalog: &Catalog,
    accept: &str,
    if_none_match: Option<&str>,
    server_address: &str,
) -> Option<Answer> {
    match form(accept)? {
        Form::Aggregated => Some(document(catalog, if_none_match, |group| group.name.is_empty())),
        Form::Legacy => Some(Answer::json(&legacy::api_versions(server_address)).with("vary", "Accept")),
    }
}

/// `GET /apis`. `None`: nothing acceptable (406).
pub fn apis(catalog: &Catalog, accept: &str, if_none_match: Option<&str>) -> Option<Answer> {
    match form(accept)? {
        Form::Aggregated => Some(document(catalog, if_none_match, |group| !group.name.is_empty())),
        Form::Legacy => Some(Answer::json(&legacy::group_list(catalog)).with("vary", "Accept")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Aggregated,
    Legacy,
}

/// The first entry of `Accept` that can be served, by weight.
fn form(accept: &str) -> Option<Form> {
    if accept.trim().is_empty() {
        return Some(Form::Legacy);
    }
    let mut best: Option<(f32, Form)> = None;
    for entry in accept.split(',') {
        let mut words = entry.split(';').map(str::trim);
        let media = words.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: HashMap<&str, &str> = words.filter_map(|w| w.split_once('=')).collect();
        let weight: f32 = parameters.get("q").and_then(|q| q.parse().ok()).unwrap_or(1.0);
        let Some(form) = entry_form(&media, &parameters) else { continue };
        if weight > 0.0 && best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, form));
        }
    }
    best.map(|(_, form)| form)
}

fn entry_form(media: &str, parameters: &HashMap<&str, &str>) -> Option<Form> {
    let get = |name| parameters.get(name).copied();
    match (media, get("as")) {
        ("application/json" | "application/*" | "*/*", None) => Some(Form::Legacy),
        ("application/json", Some("APIGroupDiscoveryList")) => {
            let served = get("g") == Some("apidiscovery.k8s.io") && get("v") == Some("v2");
            let profile = get("profile").is_none_or(|p| p == "nopeer");
            (served && profile).then_some(Form::Aggregated)
        }
        _ => None,
    }
}

/// Built-in groups, each encoded once.
static BUILTIN: LazyLock<HashMap<Box<str>, Bytes>> = LazyLock::new(|| {
    let catalog = Catalog::builtin();
    let groups = catalog.groups();
    groups.iter().map(|group| (group.name.clone(), group_bytes(&catalog, group))).collect()
});

fn document(catalog: &Catalog, if_none_match: Option<&str>, wanted: impl Fn(&Group) -> bool) -> Answer {
    let mut body = BytesMut::from(
        &br#"{"apiVersion":"apidiscovery.k8s.io/v2","kind":"APIGroupDiscoveryList","metadata":{},"items":["#
            [..],
    );
    let builtin = catalog.same_base(&Catalog::builtin());
    let mut first = true;
    for group in catalog.groups().iter().filter(|g| wanted(g)) {
        if !first {
            body.put_u8(b',');
        }
        first = false;
        let grown = catalog.custom_rows().iter().any(|row| row.gvk.group == group.name);
        match BUILTIN.get(&group.name).filter(|_| builtin && !grown) {
            Some(shared) => body.put_slice(shared),
            None => body.put_slice(&group_bytes(catalog, group)),
        }
    }
    body.put_slice(b"]}");
    Answer::ok(AGGREGATED, body.freeze()).with("vary", "Accept").tagged(if_none_match)
}

fn group_bytes(catalog: &Catalog, group: &Group) -> Bytes {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| {
            let mut rows: Vec<_> = catalog.of_version(&group.name, version).collect();
            rows.sort_by(|a, b| a.plural.cmp(&b.plural));
            let resources: Vec<Value> = rows.iter().map(|row| resource(row)).collect();
            json!({"version": version, "freshness": "Current", "resources": resources})
        })
        .collect();
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    json!({"metadata": metadata, "versions": versions}).to_string().into()
}

fn resource(row: &Resource) -> Value {
    let kind =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut out = json!({
        "resource": row.plural,
        "responseKind": kind("", "", &row.gvk.kind),
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": row.singular,
        "verbs": row.verbs,
    });
    if !row.short_names.is_empty() {
        out["shortNames"] = json!(row.short_names);
    }
    if !row.categories.is_empty() {
        out["categories"] = json!(row.categories);
    }
    if !row.subresources.is_empty() {
        let sub = row.subresources.iter().map(|sub| {
            let (group, version) = legacy::foreign(&row.gvk, &sub.gvk);
            json!({"subresource": sub.name, "responseKind": kind(group, version, &sub.gvk.kind), "verbs": sub.verbs})
        });
        out["subresources"] = sub.collect();
    }
    out
}
