//! Paths and operations of a resource, as upstream names them, with their query parameters (O2).

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::schemas::published_name;
use crate::custom::model_name;
use crate::model::gvk::Gvk;
use crate::model::resource::{Resource, Subresource};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

const DELETE: &[(&str, &str)] = &[
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];
const LIST: &[(&str, &str)] = &[
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];
const WRITE: &[(&str, &str)] =
    &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
const PATCH: &[(&str, &str)] =
    &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean")];
const LOG: &[(&str, &str)] = &[
    ("container", "string"),
    ("follow", "boolean"),
    ("limitBytes", "integer"),
    ("previous", "boolean"),
    ("sinceSeconds", "integer"),
    ("tailLines", "integer"),
    ("timestamps", "boolean"),
];

/// `/api/v1` or `/apis/<group>/<version>`.
pub fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// `appsV1` of a group version, in the words of operation ids and tags.
fn words(group: &str) -> String {
    if group.is_empty() {
        return "core".into();
    }
    let mut out = String::new();
    for (i, part) in group.trim_end_matches(".k8s.io").split('.').enumerate() {
        if i == 0 { out.push_str(part) } else { out.push_str(&capital(part)) }
    }
    out
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// Writes paths of one dialect.
pub struct Paths {
    /// The dialect.
    pub dialect: Dialect,
    /// Paths so far.
    pub out: Map<String, Value>,
}

struct Operation<'a> {
    verb: &'a str,
    action: &'a str,
    query: &'a [(&'a str, &'a str)],
    codes: &'a [u16],
    answer: Value,
    streamed: bool,
}

impl Paths {
    /// No paths yet.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, out: Map::new() }
    }

    /// `GET` of the list of resources of a group version.
    pub fn index(&mut self, group: &str, version: &str) {
        let id = format!("get{}{}APIResources", capital(&words(group)), capital(version));
        self.plain(&format!("{}/", root(group, version)), &id, &tag(group, version), "APIResourceList");
    }

    /// A `GET` that answers with a type of the meta group.
    pub fn plain(&mut self, path: &str, id: &str, tag: &str, ty: &str) {
        let mut get = Map::from_iter([("operationId".into(), json!(id)), ("tags".into(), json!([tag]))]);
        let schema = self.dialect.reference(&format!("{META}{ty}"));
        self.dialect.answers(&mut get, &[200], &schema, false);
        self.out.insert(path.into(), json!({"get": get}));
    }

    /// All paths of a resource.
    pub fn resource(&mut self, row: &Resource) {
        let root = root(&row.gvk.group, &row.gvk.version);
        let collection = if row.namespaced {
            format!("{root}/namespaces/{{namespace}}/{}", row.plural)
        } else {
            format!("{root}/{}", row.plural)
        };
        self.collection(row, &collection);
        if row.namespaced && row.has_verb("list") {
            let list = self.list(row);
            let get = self.operation(row, &list, "ForAllNamespaces", &row.gvk);
            let parameters = self.parameters(&[("query", "pretty", "string")]);
            self.out.insert(format!("{root}/{}", row.plural), json!({"get": get, "parameters": parameters}));
        }
        let item = format!("{collection}/{{name}}");
        self.item(row, &item);
        for sub in &row.subresources {
            self.subresource(row, sub, &format!("{item}/{}", sub.name));
        }
    }

    fn list(&self, row: &Resource) -> Operation<'static> {
        let answer = self.dialect.reference(&list_schema_name(row));
        Operation { verb: "list", action: "list", query: LIST, codes: &[200], answer, streamed: true }
    }

    fn collection(&mut self, row: &Resource, path: &str) {
        let mut out = Map::new();
        let object = self.dialect.reference(&schema_name(row));
        if row.has_verb("list") {
            out.insert("get".into(), self.operation(row, &self.list(row), "", &row.gvk).into());
        }
        if row.has_verb("create") {
            let create = self.write("create", "post", &[200, 201, 202], &object);
            let mut post = self.operation(row, &create, "", &row.gvk);
            self.dialect.body(&mut post, &["*/*"], object, true);
            out.insert("post".into(), post.into());
        }
        if row.has_verb("deletecollection") {
            let mut query: Vec<_> = DELETE.to_vec();
            query.extend(LIST.iter().filter(|(name, _)| !["allowWatchBookmarks", "watch"].contains(name)));
            query.sort_unstable();
            let mut delete = self.delete(&query, &[200], &self.dialect.reference(&format!("{META}Status")));
            delete.verb = "deleteCollection";
            delete.action = "deletecollection";
            let mut delete = self.operation(row, &delete, "", &row.gvk);
            self.delete_body(&mut delete);
            out.insert("delete".into(), delete.into());
        }
        self.place(row, path, out, false);
    }

    fn item(&mut self, row: &Resource, path: &str) {
        let mut out = Map::new();
        let object = self.dialect.reference(&schema_name(row));
        self.get_put_patch(row, &mut out, &row.verbs, "", &row.gvk, &object);
        if row.has_verb("delete") {
            let status = self.dialect.reference(&format!("{META}Status"));
            let delete = self.delete(DELETE, &[200, 202], &status);
            let mut delete = self.operation(row, &delete, "", &row.gvk);
            self.delete_body(&mut delete);
            out.insert("delete".into(), delete.into());
        }
        self.place(row, path, out, true);
    }

    fn subresource(&mut self, row: &Resource, sub: &Subresource, path: &str) {
        let mut out = Map::new();
        let suffix = capital(&sub.name);
        match &*sub.name {
            "log" => {
                let answer = json!({"type": "string"});
                let get = Operation {
                    verb: "read",
                    action: "get",
                    query: LOG,
                    codes: &[200],
                    answer,
                    streamed: false,
                };
                out.insert("get".into(), self.operation(row, &get, &suffix, &sub.gvk).into());
            }
            "exec" | "attach" | "portforward" => {
                for (method, verb) in [("get", "connectGet"), ("post", "connectPost")] {
                    let answer = json!({"type": "string"});
                    let op = Operation {
                        verb,
                        action: "connect",
                        query: &[],
                        codes: &[200],
                        answer,
                        streamed: false,
                    };
                    out.insert(method.into(), self.operation(row, &op, &suffix, &sub.gvk).into());
                }
            }
            _ => {
                let object = self.dialect.reference(&sub_schema_name(row, sub));
                self.get_put_patch(row, &mut out, &sub.verbs, &suffix, &sub.gvk, &object);
                if sub.verbs.iter().any(|v| &**v == "create") {
                    let create = self.write("create", "post", &[200, 201, 202], &object);
                    let mut post = self.operation(row, &create, &suffix, &sub.gvk);
                    self.dialect.body(&mut post, &["*/*"], object, true);
                    out.insert("post".into(), post.into());
                }
            }
        }
        self.place(row, path, out, true);
    }

    fn get_put_patch(
        &self,
        row: &Resource,
        out: &mut Map<String, Value>,
        verbs: &[Box<str>],
        suffix: &str,
        gvk: &Gvk,
        object: &Value,
    ) {
        let has = |verb: &str| verbs.iter().any(|v| &**v == verb);
        if has("get") {
            let answer = object.clone();
            let get =
                Operation { verb: "read", action: "get", query: &[], codes: &[200], answer, streamed: false };
            out.insert("get".into(), self.operation(row, &get, suffix, gvk).into());
        }
        if has("update") {
            let replace = self.write("replace", "put", &[200, 201], object);
            let mut put = self.operation(row, &replace, suffix, gvk);
            self.dialect.body(&mut put, &["*/*"], object.clone(), true);
            out.insert("put".into(), put.into());
        }
        if has("patch") {
            let mut patch = self.write("patch", "patch", &[200, 201], object);
            patch.query = PATCH;
            let mut patch = self.operation(row, &patch, suffix, gvk);
            let mut media = vec![
                "application/apply-patch+yaml",
                "application/json-patch+json",
                "application/merge-patch+json",
            ];
            if row.custom.is_none() {
                media.push("application/strategic-merge-patch+json");
            }
            let schema = self.dialect.reference(&format!("{META}Patch"));
            self.dialect.body(&mut patch, &media, schema, true);
            out.insert("patch".into(), patch.into());
        }
    }

    fn write<'a>(&self, verb: &'a str, action: &'a str, codes: &'a [u16], answer: &Value) -> Operation<'a> {
        Operation { verb, action, query: WRITE, codes, answer: answer.clone(), streamed: false }
    }

    fn delete<'a>(&self, query: &'a [(&'a str, &'a str)], codes: &'a [u16], answer: &Value) -> Operation<'a> {
        Operation { verb: "delete", action: "delete", query, codes, answer: answer.clone(), streamed: false }
    }

    fn delete_body(&self, operation: &mut Map<String, Value>) {
        let schema = self.dialect.reference(&format!("{META}DeleteOptions"));
        self.dialect.body(operation, &["*/*"], schema, false);
    }

    fn operation(&self, row: &Resource, op: &Operation<'_>, suffix: &str, gvk: &Gvk) -> Map<String, Value> {
        let (group, version) = (&row.gvk.group, capital(&row.gvk.version));
        let scope = if row.namespaced && suffix != "ForAllNamespaces" { "Namespaced" } else { "" };
        let (verb, inner) = match op.verb {
            "deleteCollection" => ("delete", "Collection"),
            "connectGet" => ("connect", "Get"),
            "connectPost" => ("connect", "Post"),
            verb => (verb, ""),
        };
        let id = format!("{verb}{}{version}{inner}{scope}{}{suffix}", capital(&words(group)), row.gvk.kind);
        let mut out = Map::new();
        out.insert("operationId".into(), id.into());
        out.insert("tags".into(), json!([tag(group, &row.gvk.version)]));
        out.insert("x-kubernetes-action".into(), op.action.into());
        let gvk = json!({"group": gvk.group, "kind": gvk.kind, "version": gvk.version});
        out.insert("x-kubernetes-group-version-kind".into(), gvk);
        if !op.query.is_empty() {
            let query: Vec<_> = op.query.iter().map(|(name, ty)| ("query", *name, *ty)).collect();
            out.insert("parameters".into(), self.parameters(&query));
        }
        self.dialect.answers(&mut out, op.codes, &op.answer, op.streamed);
        out
    }

    fn parameters(&self, list: &[(&str, &str, &str)]) -> Value {
        list.iter().map(|(place, name, ty)| self.dialect.parameter(place, name, ty)).collect()
    }

    fn place(&mut self, row: &Resource, path: &str, mut operations: Map<String, Value>, named: bool) {
        if operations.is_empty() {
            return;
        }
        let mut parameters = Vec::new();
        if named {
            parameters.push(("path", "name", "string"));
        }
        if row.namespaced {
            parameters.push(("path", "namespace", "string"));
        }
        parameters.push(("query", "pretty", "string"));
        operations.insert("parameters".into(), self.parameters(&parameters));
        self.out.insert(path.into(), operations.into());
    }
}

fn tag(group: &str, version: &str) -> String {
    format!("{}_{version}", words(group))
}

/// Published name of a resource's objects.
pub fn schema_name(row: &Resource) -> String {
    match &row.custom {
        Some(_) => model_name(&row.gvk.group, &row.gvk.version, &row.gvk.kind),
        None => published_name(&row.schema.get(row.root).name),
    }
}

/// Published name of a resource's lists.
pub fn list_schema_name(row: &Resource) -> String {
    match &row.custom {
        Some(custom) => model_name(&row.gvk.group, &row.gvk.version, &custom.list_kind),
        None => format!("{}List", schema_name(row)),
    }
}

fn sub_schema_name(row: &Resource, sub: &Subresource) -> String {
    if sub.gvk == row.gvk {
        return schema_name(row);
    }
    let group = sub.gvk.group.split('.').next().unwrap_or_default();
    let group = if group.is_empty() { "core" } else { group };
    published_name(&format!("{group}/{}.{}", sub.gvk.version, sub.gvk.kind))
}
