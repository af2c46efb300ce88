//! `/openapi/v2` as JSON and gnostic protobuf (O3). A tenant's document is the shared one followed by
//! what its CustomResourceDefinitions add.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

use super::dialect::Dialect;
use super::paths::{Paths, list_schema_name, schema_name};
use super::{Custom, META, gnostic, info, reachable, repeat_kinds, schemas};
use crate::custom as publish;
use crate::discover::Answer;
use crate::model::catalog::Catalog;

/// The type answers carry: Go's parser refuses the `@` of the other spelling.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// The spelling most clients ask with.
const PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The built-in document: what stands before the paths of CRDs, between those and their definitions, after.
struct Shared {
    head: Bytes,
    middle: Bytes,
    tail: Bytes,
    protobuf: Bytes,
}

static BUILTIN: LazyLock<Shared> = LazyLock::new(|| {
    let catalog = Catalog::builtin();
    let types = schemas::all(Dialect::V2).expect("the committed schema tables are readable");
    let mut paths = Paths::new(Dialect::V2);
    paths.plain("/api/", "getCoreAPIVersions", "core", "APIVersions");
    paths.plain("/apis/", "getAPIVersions", "apis", "APIGroupList");
    let groups = catalog.groups();
    let mut versions = Vec::new();
    for group in &groups {
        for version in &group.versions {
            versions.push((&*group.name, &**version));
            paths.index(&group.name, version);
        }
    }
    catalog.all().for_each(|row| paths.resource(row));
    let paths = Value::Object(paths.out);
    let mut definitions = reachable(&paths, &types);
    versions.sort_unstable();
    repeat_kinds(&mut definitions, &versions);
    let bearer = json!({"type": "apiKey", "in": "header", "name": "authorization"});
    let document = json!({
        "swagger": "2.0", "info": info(), "paths": paths, "definitions": definitions,
        "security": [{"BearerToken": []}], "securityDefinitions": {"BearerToken": bearer},
    });
    let open = |value: &Value| {
        let text = value.to_string();
        text[..text.len() - 1].to_owned()
    };
    let rest =
        json!({"security": document["security"], "securityDefinitions": document["securityDefinitions"]});
    Shared {
        head: format!(
            r#"{{"swagger":"2.0","info":{},"paths":{}"#,
            document["info"],
            open(&document["paths"])
        )
        .into(),
        middle: format!(r#"}},"definitions":{}"#, open(&document["definitions"])).into(),
        tail: format!("}},{}", &rest.to_string()[1..]).into(),
        protobuf: gnostic::document(&document).into(),
    }
});

/// What a tenant's custom rows add to both forms.
#[derive(Default)]
pub(super) struct More {
    paths: String,
    definitions: String,
    protobuf: Vec<u8>,
}

pub(super) fn custom(catalog: &Catalog) -> More {
    let mut paths = Paths::new(Dialect::V2);
    let mut definitions = BTreeMap::new();
    for row in catalog.custom_rows() {
        paths.index(&row.gvk.group, &row.gvk.version);
        paths.resource(row);
        if let Some(custom) = &row.custom {
            definitions.insert(schema_name(row), publish::published_schema(custom, true));
            definitions.insert(list_schema_name(row), publish::list_schema(custom, true));
        }
    }
    definitions.retain(|name, _| !name.starts_with(META));
    let document = json!({"paths": paths.out, "definitions": definitions});
    let inner = |name: &str| {
        let text = document[name].to_string();
        let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or_default();
        if text.is_empty() { String::new() } else { format!(",{text}") }
    };
    let protobuf = gnostic::document(&document);
    More { paths: inner("paths"), definitions: inner("definitions"), protobuf }
}

/// The content type a request gets, by its `Accept`; `None`: nothing acceptable (406).
fn content_type(accept: &str) -> Option<&'static str> {
    if accept.trim().is_empty() {
        return Some("application/json");
    }
    accept.split(',').find_map(|entry| match entry.split(';').next().unwrap_or_default().trim() {
        "application/json" | "*/*" | "application/*" => Some("application/json"),
        PROTOBUF | PROTOBUF_ASKED => Some(PROTOBUF),
        _ => None,
    })
}

/// `GET /openapi/v2`.
pub fn document(catalog: &Catalog, accept: &str, if_none_match: Option<&str>) -> Option<Answer> {
    let content_type = content_type(accept)?;
    let more = Custom::of(catalog).map(|c| &c.v2);
    let body = if content_type == "application/json" { json_body(more) } else { protobuf_body(more) };
    Some(Answer::ok(content_type, body).with("vary", "Accept").tagged(if_none_match))
}

fn protobuf_body(more: Option<&More>) -> Bytes {
    let Some(more) = more else { return BUILTIN.protobuf.clone() };
    let mut out = BytesMut::with_capacity(BUILTIN.protobuf.len() + more.protobuf.len());
    out.put_slice(&BUILTIN.protobuf);
    out.put_slice(&more.protobuf);
    out.freeze()
}

fn json_body(more: Option<&More>) -> Bytes {
    let none = More::default();
    let more = more.unwrap_or(&none);
    let shared = &*BUILTIN;
    let parts: [&[u8]; 5] =
        [&shared.head, more.paths.as_bytes(), &shared.middle, more.definitions.as_bytes(), &shared.tail];
    let mut out = BytesMut::with_capacity(parts.iter().map(|p| p.len()).sum());
    parts.iter().for_each(|part| out.put_slice(part));
    out.freeze()
}
