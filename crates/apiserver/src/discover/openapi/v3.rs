//! `/openapi/v3` and the documents below it (O1, O2).

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use super::dialect::Dialect;
use super::paths::{Paths, list_schema_name, schema_name};
use super::{Custom, META, info, reachable, repeat_kinds, schemas};
use crate::custom as publish;
use crate::discover::Answer;
use crate::model::catalog::Catalog;

/// A document with the hash its address carries.
#[derive(Clone)]
pub(super) struct Document {
    body: Bytes,
    hash: String,
}

/// Built-in documents by path below `/openapi/v3/`, in the order of paths.
static BUILTIN: LazyLock<BTreeMap<String, Document>> = LazyLock::new(|| {
    let catalog = Catalog::builtin();
    let types = builtin_types();
    let mut out = BTreeMap::new();
    for group in catalog.groups() {
        for version in &group.versions {
            out.insert(path(&group.name, version), resources(&catalog, &group.name, version, &types));
        }
        if !group.name.is_empty() {
            let path = format!("apis/{}", group.name);
            let id = format!("get{}APIGroup", group.name);
            out.insert(path.clone(), plain(&format!("/{path}/"), &id, "APIGroup", &types));
        }
    }
    out.insert("api".into(), plain("/api/", "getCoreAPIVersions", "APIVersions", &types));
    out.insert("apis".into(), plain("/apis/", "getAPIVersions", "APIGroupList", &types));
    out
});

static TYPES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(builtin_types);

fn builtin_types() -> BTreeMap<String, Value> {
    schemas::all(Dialect::V3).expect("the committed schema tables are readable")
}

fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn finish(paths: Map<String, Value>, types: &BTreeMap<String, Value>, versions: &[(&str, &str)]) -> Document {
    let paths = Value::Object(paths);
    let mut schemas = reachable(&paths, types);
    repeat_kinds(&mut schemas, versions);
    let bearer = json!({"type": "apiKey", "in": "header", "name": "authorization"});
    let document = json!({
        "openapi": "3.0.0", "info": info(), "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"BearerToken": bearer}},
    });
    let body = Bytes::from(document.to_string());
    let hash = data_encoding::HEXUPPER.encode(&Sha512::digest(&body));
    Document { body, hash }
}

fn plain(path: &str, id: &str, ty: &str, types: &BTreeMap<String, Value>) -> Document {
    let mut paths = Paths::new(Dialect::V3);
    paths.plain(path, id, "core", ty);
    finish(paths.out, types, &[("", "v1")])
}

/// The document of a group version, custom rows included.
fn resources(catalog: &Catalog, group: &str, version: &str, types: &BTreeMap<String, Value>) -> Document {
    let mut paths = Paths::new(Dialect::V3);
    paths.index(group, version);
    let mut own = BTreeMap::new();
    for row in catalog.of_version(group, version) {
        paths.resource(row);
        if let Some(custom) = &row.custom {
            own.insert(schema_name(row), publish::published_schema(custom, false));
            own.insert(list_schema_name(row), publish::list_schema(custom, false));
        }
    }
    let mut versions = vec![("", "v1")];
    if !group.is_empty() {
        versions.push((group, version));
    }
    if own.is_empty() {
        return builtin_document(catalog, (group, version), paths.out, types, &versions);
    }
    own.extend(
        types
            .iter()
            .filter(|(name, _)| name.starts_with(META) || name.contains(".autoscaling.v1.Scale"))
            .map(|(n, s)| (n.clone(), s.clone())),
    );
    finish(paths.out, &own, &versions)
}

/// A document whose kinds say how far they agree with upstream (M1).
fn builtin_document(
    catalog: &Catalog,
    (group, version): (&str, &str),
    paths: Map<String, Value>,
    types: &BTreeMap<String, Value>,
    versions: &[(&str, &str)],
) -> Document {
    let mut types = types.clone();
    for row in catalog.of_version(group, version) {
        if let Some(schema) = types.get_mut(&schema_name(row)) {
            schema["x-skerry-fidelity"] = row.fidelity.as_str().into();
        }
    }
    finish(paths, &types, versions)
}

/// Documents of group versions with custom rows.
pub(super) fn custom(catalog: &Catalog) -> HashMap<String, Document> {
    let mut out = HashMap::new();
    for row in catalog.custom_rows() {
        let (group, version) = (&row.gvk.group, &row.gvk.version);
        out.entry(path(group, version)).or_insert_with(|| resources(catalog, group, version, &TYPES));
    }
    out
}

/// `GET /openapi/v3`.
pub fn index(catalog: &Catalog, if_none_match: Option<&str>) -> Answer {
    let mut paths = Map::new();
    let entry =
        |path: &str, hash: &str| json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")});
    for (path, document) in BUILTIN.iter() {
        paths.insert(path.clone(), entry(path, &document.hash));
    }
    for (path, document) in Custom::of(catalog).into_iter().flat_map(|c| &c.v3) {
        paths.insert(path.clone(), entry(path, &document.hash));
    }
    Answer::json(&json!({"paths": paths})).with("vary", "Accept").tagged(if_none_match)
}

/// `GET /openapi/v3/<path>?hash=<hash>`; `None` for a document there is not. The right hash makes the
/// answer last, a wrong one leads to the right one.
pub fn document(
    catalog: &Catalog,
    path: &str,
    hash: Option<&str>,
    if_none_match: Option<&str>,
) -> Option<Answer> {
    let own = Custom::of(catalog).and_then(|c| c.v3.get(path));
    let document = own.or_else(|| BUILTIN.get(path))?.clone();
    match hash {
        Some(hash) if hash != document.hash => {
            let location = format!("?hash={}", document.hash);
            let headers = vec![("location", location), ("cache-control", "no-cache, private".into())];
            Some(Answer { status: 301, headers, body: Bytes::new() })
        }
        known => {
            let answer = Answer::ok("application/json", document.body).with("vary", "Accept");
            let answer = match known {
                Some(_) => answer.with("cache-control", "public, immutable").with("expires", far()),
                None => answer,
            };
            Some(answer.tagged(if_none_match))
        }
    }
}

/// A year from now, as an HTTP date.
fn far() -> String {
    let now = jiff::Timestamp::now();
    let then = now.checked_add(jiff::SignedDuration::from_hours(365 * 24)).unwrap_or(now);
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
