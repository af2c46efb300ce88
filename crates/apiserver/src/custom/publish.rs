//! Custom kinds in the OpenAPI documents (O4).

use serde_json::{Map, Value, json};

use super::compile::CustomVersion;
use super::node::{Additional, Checks, Node};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// Name of a kind's schema in the documents: the group reversed, version, kind.
pub fn model_name(group: &str, version: &str, kind: &str) -> String {
    let reversed: Vec<&str> = group.rsplit('.').collect();
    format!("{}.{version}.{kind}", reversed.join("."))
}

/// The schema of a version's objects as published: of OpenAPI 2 with `v2`, else of OpenAPI 3.
pub fn published_schema(version: &CustomVersion, v2: bool) -> Value {
    let mut out = match &version.node {
        // Typed members beside unknown ones would make clients refuse the unknown.
        Some(node) if !(v2 && (node.preserves() || version.preserve_unknown)) => {
            let mut out = Publisher { v2 }.node(node);
            add_resource(&mut out, v2);
            out
        }
        _ => Map::from_iter([("type".to_owned(), "object".into())]),
    };
    let gvk = &version.gvk;
    let group_version_kind = json!([{"group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind}]);
    out.insert("x-kubernetes-group-version-kind".into(), group_version_kind);
    add_selectable(version, &mut out);
    Value::Object(out)
}

/// The schema of a version's lists as published.
pub fn list_schema(version: &CustomVersion, v2: bool) -> Value {
    let gvk = &version.gvk;
    let name = model_name(&gvk.group, &gvk.version, &gvk.kind);
    let mut out =
        Map::from_iter([("type".to_owned(), "object".into()), ("required".to_owned(), json!(["items"]))]);
    let members = json!({
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": metadata(LIST_META, v2),
        "items": {"type": "array", "items": target(&name, v2)},
    });
    out.insert("properties".into(), members);
    let group_version_kind =
        json!([{"group": &*gvk.group, "version": &*gvk.version, "kind": &*version.list_kind}]);
    out.insert("x-kubernetes-group-version-kind".into(), group_version_kind);
    add_selectable(version, &mut out);
    Value::Object(out)
}

fn add_selectable(version: &CustomVersion, out: &mut Map<String, Value>) {
    if !version.selectable.is_empty() {
        let fields = version.selectable.iter().map(|path| json!({"fieldPath": &**path})).collect();
        out.insert("x-kubernetes-selectable-fields".into(), fields);
    }
}

fn target(name: &str, v2: bool) -> Value {
    let home = if v2 { "#/definitions/" } else { "#/components/schemas/" };
    json!({ "$ref": format!("{home}{name}") })
}

/// Metadata, in OpenAPI 3 in the wrapping that lets a description stand beside a reference.
fn metadata(name: &str, v2: bool) -> Value {
    let target = target(name, v2);
    if v2 { target } else { json!({ "allOf": [target] }) }
}

/// The three members every object has.
fn add_resource(out: &mut Map<String, Value>, v2: bool) {
    let properties = out.entry("properties").or_insert_with(|| json!({}));
    properties["apiVersion"] = json!({"type": "string"});
    properties["kind"] = json!({"type": "string"});
    properties["metadata"] = metadata(OBJECT_META, v2);
}

struct Publisher {
    v2: bool,
}

impl Publisher {
    fn node(&self, node: &Node) -> Map<String, Value> {
        let notes = node.notes();
        let text = |t: &str| (!t.is_empty()).then(|| Value::from(t));
        let said = [
            ("description", text(&notes.description)),
            ("title", text(&notes.title)),
            ("externalDocs", notes.docs.clone()),
            ("example", notes.example.clone()),
        ];
        let mut out: Map<String, Value> =
            said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        // OpenAPI 2 has no nulls and no values of any type with members: such a value is published without a type.
        let untyped = self.v2 && (node.nullable || node.preserves());
        let mut ty = &*node.ty;
        let items = node.items.as_ref().filter(|_| !untyped);
        if self.v2
            && (node.nullable || (node.preserves() && ty == "object") || (ty == "array" && items.is_none()))
        {
            ty = "";
        }
        if !ty.is_empty() {
            out.insert("type".into(), ty.into());
        }
        // Upstream's OpenAPI 2 document has no defaults at all.
        if let Some(default) = node.default.as_ref().filter(|_| !self.v2) {
            out.insert("default".into(), default.clone());
        }
        if node.nullable && !self.v2 {
            out.insert("nullable".into(), true.into());
        }
        self.checks(node, &mut out);
        self.extensions(node, &mut out);
        if let Some(items) = items {
            out.insert("items".into(), Value::Object(self.node(items)));
        }
        if !untyped && !node.properties.is_empty() {
            let members = node.properties.iter().map(|(k, v)| (k.to_string(), Value::Object(self.node(v))));
            out.insert("properties".into(), Value::Object(members.collect()));
        }
        match &node.additional {
            Some(Additional::Any(any)) => {
                out.insert("additionalProperties".into(), (*any).into());
            }
            Some(Additional::Schema(inner)) => {
                out.insert("additionalProperties".into(), Value::Object(self.node(inner)));
            }
            None => {}
        }
        if node.embedded && !(self.v2 && node.preserves()) {
            add_resource(&mut out, self.v2);
        }
        let required = self.required(node);
        if !required.is_empty() {
            out.insert("required".into(), required.into());
        }
        out
    }

    fn required(&self, node: &Node) -> Vec<String> {
        let nullable = |name: &str| node.property(name).is_some_and(|p| p.nullable);
        let mut required: Vec<String> = node
            .required
            .iter()
            .filter(|name| !(self.v2 && nullable(name)))
            .map(|name| name.to_string())
            .collect();
        if self.v2 && node.additional_schema().is_some_and(|a| a.nullable) {
            required.clear();
        }
        if node.embedded && !(self.v2 && node.preserves()) {
            for name in ["kind", "apiVersion"] {
                if !required.iter().any(|r| r == name) {
                    required.push(name.into());
                }
            }
        }
        required
    }

    fn checks(&self, node: &Node, out: &mut Map<String, Value>) {
        let Checks {
            format,
            choices,
            maximum,
            exclusive_maximum,
            minimum,
            exclusive_minimum,
            multiple_of,
            max_length,
            min_length,
            pattern,
            max_items,
            min_items,
            unique_items,
            max_properties,
            min_properties,
            all_of,
            any_of,
            one_of,
            not,
        } = node.checks();
        let float = |f: &Option<f64>| f.map(number);
        let int = |i: &Option<i64>| i.map(Value::from);
        let flag = |b: &bool| b.then_some(Value::Bool(true));
        let plain = [
            ("format", (!format.is_empty()).then(|| (&**format).into())),
            ("enum", (!choices.is_empty()).then(|| choices.clone().into())),
            ("maximum", float(maximum)),
            ("exclusiveMaximum", flag(exclusive_maximum)),
            ("minimum", float(minimum)),
            ("exclusiveMinimum", flag(exclusive_minimum)),
            ("multipleOf", float(multiple_of)),
            ("maxLength", int(max_length)),
            ("minLength", int(min_length)),
            ("pattern", pattern.as_ref().map(|p| p.source().into())),
            ("maxItems", int(max_items)),
            ("minItems", int(min_items)),
            ("uniqueItems", flag(unique_items)),
            ("maxProperties", int(max_properties)),
            ("minProperties", int(min_properties)),
        ];
        out.extend(plain.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        if self.v2 {
            return;
        }
        for (name, nodes) in [("allOf", all_of), ("anyOf", any_of), ("oneOf", one_of)] {
            if !nodes.is_empty() {
                out.insert(name.into(), nodes.iter().map(|n| Value::Object(self.node(n))).collect());
            }
        }
        if let Some(not) = not {
            out.insert("not".into(), Value::Object(self.node(not)));
        }
        let has_types = any_of.len() == 2 && any_of.iter().any(|n| &*n.ty == "integer");
        let nested_types =
            all_of.first().is_some_and(|n| n.checks().any_of.iter().any(|n| &*n.ty == "integer"));
        if node.int_or_string && !has_types && !nested_types {
            let types = json!([{"type": "integer"}, {"type": "string"}]);
            if any_of.is_empty() {
                out.insert("anyOf".into(), types);
            } else {
                let all = out.entry("allOf").or_insert_with(|| json!([]));
                if let Some(all) = all.as_array_mut() {
                    all.insert(0, json!({ "anyOf": types }));
                }
            }
        }
    }

    fn extensions(&self, node: &Node, out: &mut Map<String, Value>) {
        for (set, name) in [
            (node.preserves(), "x-kubernetes-preserve-unknown-fields"),
            (node.embedded, "x-kubernetes-embedded-resource"),
            (node.int_or_string, "x-kubernetes-int-or-string"),
        ] {
            if set {
                out.insert(name.into(), true.into());
            }
        }
        if !node.list_keys().is_empty() {
            let keys = node.list_keys().iter().map(|k| Value::from(&**k)).collect();
            out.insert("x-kubernetes-list-map-keys".into(), keys);
        }
        for (name, value) in
            [("x-kubernetes-list-type", node.list_type()), ("x-kubernetes-map-type", node.map_type())]
        {
            if let Some(value) = value {
                out.insert(name.into(), value.into());
            }
        }
        if !node.rules.is_empty() {
            out.insert("x-kubernetes-validations".into(), node.rules.clone().into());
        }
    }
}

/// A bound as it was written: whole ones without a fraction.
fn number(f: f64) -> Value {
    if f.fract() == 0.0 && f.abs() < 9e15 { (f as i64).into() } else { f.into() }
}
