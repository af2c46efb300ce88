//! The unaggregated documents: `/api`, `/apis`, `/apis/<group>`, `/api/v1`, `/apis/<group>/<version>` (D1).

use serde_json::{Value, json};

use super::Answer;
use crate::model::catalog::{Catalog, Group};
use crate::model::gvk::Gvk;
use crate::model::resource::{Resource, Subresource};

/// Body of `/api`.
pub(super) fn api_versions(server_address: &str) -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    })
}

/// Body of `/apis`.
pub(super) fn group_list(catalog: &Catalog) -> Value {
    let groups = catalog.groups();
    let groups: Vec<Value> = groups.iter().filter(|g| !g.name.is_empty()).map(group_value).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group_value(group: &Group) -> Value {
    let version =
        |version: &str| json!({"groupVersion": format!("{}/{version}", group.name), "version": version});
    let versions: Vec<Value> = group.versions.iter().map(|v| version(v)).collect();
    json!({"name": group.name, "versions": versions.clone(), "preferredVersion": versions.first()})
}

/// `GET /apis/<group>`; `None` for a group that is not served.
pub fn group(catalog: &Catalog, name: &str) -> Option<Answer> {
    let groups = catalog.groups();
    let group = groups.iter().find(|g| &*g.name == name && !name.is_empty())?;
    let mut value = group_value(group);
    value["kind"] = "APIGroup".into();
    value["apiVersion"] = "v1".into();
    Some(Answer::json(&value))
}

/// `GET /api/v1` and `/apis/<group>/<version>`; `None` for a version that is not served.
pub fn group_version(catalog: &Catalog, group: &str, version: &str) -> Option<Answer> {
    let mut rows: Vec<_> = catalog.of_version(group, version).collect();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by(|a, b| a.plural.cmp(&b.plural));
    let mut resources = Vec::new();
    for row in &rows {
        resources.push(resource(row));
        resources.extend(row.subresources.iter().map(|sub| subresource(row, sub)));
    }
    let mut value = json!({
        "kind": "APIResourceList", "groupVersion": rows[0].gvk.api_version(), "resources": resources,
    });
    if !group.is_empty() {
        value["apiVersion"] = "v1".into();
    }
    Some(Answer::json(&value))
}

fn resource(row: &Resource) -> Value {
    let mut out = json!({
        "name": row.plural, "singularName": row.singular, "namespaced": row.namespaced,
        "kind": row.gvk.kind, "verbs": row.verbs,
    });
    if !row.short_names.is_empty() {
        out["shortNames"] = json!(row.short_names);
    }
    if !row.categories.is_empty() {
        out["categories"] = json!(row.categories);
    }
    if !row.storage_hash.is_empty() {
        out["storageVersionHash"] = json!(row.storage_hash);
    }
    out
}

fn subresource(row: &Resource, sub: &Subresource) -> Value {
    let mut out = json!({
        "name": format!("{}/{}", row.plural, sub.name), "singularName": "", "namespaced": row.namespaced,
        "kind": sub.gvk.kind, "verbs": sub.verbs,
    });
    let (group, version) = foreign(&row.gvk, &sub.gvk);
    if !version.is_empty() {
        if !group.is_empty() {
            out["group"] = group.into();
        }
        out["version"] = version.into();
    }
    out
}

/// Group and version of a subresource's kind where they are not those of its resource.
pub(super) fn foreign<'a>(of: &Gvk, kind: &'a Gvk) -> (&'a str, &'a str) {
    if of.group == kind.group && of.version == kind.version { ("", "") } else { (&kind.group, &kind.version) }
}
