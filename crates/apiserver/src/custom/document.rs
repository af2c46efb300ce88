//! Checks of an OpenAPI v3 schema as a document: keywords that are not supported, list and map types, rules.

use serde_json::Value;

use super::node::{Additional, Node};
use super::path::Path;
use crate::model::status::Cause;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// Checks that an update may leave out, because the stored definition already fails them.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Types are OpenAPI's.
    pub types: bool,
    /// Items of sets are atomic.
    pub atomic_sets: bool,
    /// Keys of list maps are required or have a default, and are not nullable.
    pub map_keys: bool,
}

/// All findings of the document, in its own order.
pub fn check(path: &Path<'_>, schema: &Node, options: Options) -> Vec<Cause> {
    let mut check = Check { options, found: Vec::new() };
    check.node(path, schema, Scope { root: true, ..Scope::default() });
    check.found
}

/// A type that OpenAPI does not know.
pub fn has_bad_type(node: &Node) -> bool {
    !node.ty.is_empty() && !TYPES.contains(&&*node.ty)
}

/// A set whose items are no single values.
pub fn has_loose_set(node: &Node) -> bool {
    let Some(items) = node.items.as_ref().filter(|_| node.list_type() == Some("set")) else { return false };
    match &*items.ty {
        "array" => items.list_type().is_some_and(|t| t != "atomic"),
        "object" => items.map_type() != Some("atomic"),
        _ => false,
    }
}

/// A list map or set whose items or keys may be absent.
pub fn has_loose_keys(node: &Node) -> bool {
    let mut check =
        Check { options: Options { types: true, atomic_sets: true, map_keys: true }, found: Vec::new() };
    check.keys(&Path::ROOT, node);
    !check.found.is_empty()
}

/// What surrounds a node.
#[derive(Clone, Copy, Default)]
struct Scope<'s> {
    root: bool,
    in_meta: bool,
    no_defaults: Option<&'s str>,
}

struct Check {
    options: Options,
    found: Vec<Cause>,
}

impl Check {
    fn node(&mut self, path: &Path<'_>, node: &Node, scope: Scope<'_>) {
        self.keywords(path, node, scope);
        if node.checks().unique_items {
            self.found.push(path.child("uniqueItems").forbidden(
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            ));
        }
        self.members(path, node, scope);
        self.junctors(path, node, Scope { root: false, ..scope });
        if let Some(items) = &node.items {
            self.node(&path.child("items"), items, Scope { root: false, ..scope });
        }
        if node.preserve == Some(false) {
            let at = path.child("x-kubernetes-preserve-unknown-fields");
            self.found.push(at.invalid(&false.into(), "must be true or undefined"));
        }
        self.map_type(path, node);
        self.list_type(path, node);
        self.list_map(path, node);
        if self.options.map_keys {
            self.keys(path, node);
        }
        let at = path.child("x-kubernetes-validations");
        for (i, rule) in node.rules.iter().enumerate() {
            self.rule(&at.index(i), node, rule);
        }
    }

    fn keywords(&mut self, path: &Path<'_>, node: &Node, scope: Scope<'_>) {
        let ty = path.child("type");
        if self.options.types && has_bad_type(node) {
            self.found.push(ty.not_supported(&(&*node.ty).into(), &TYPES));
        }
        if let (Some(_), Some(why)) = (&node.default, scope.no_defaults) {
            self.found.push(path.child("default").forbidden(&format!("must not be set {why}")));
        }
        for keyword in &node.unsupported {
            let detail = match *keyword {
                // Not among upstream's findings here: the tree cannot be built, which is a finding of its own.
                "$schema" => continue,
                "items" => "items must be a schema object and not an array".into(),
                other => format!("{other} is not supported"),
            };
            self.found.push(path.child(keyword).forbidden(&detail));
        }
        if &*node.ty == "null" {
            self.found.push(ty.forbidden("type cannot be set to null, use nullable as an alternative"));
        }
        if scope.in_meta && node.embedded {
            let at = path.child("x-kubernetes-embedded-resource");
            self.found.push(at.forbidden("must not be used inside of resource meta"));
        }
    }

    fn members(&mut self, path: &Path<'_>, node: &Node, scope: Scope<'_>) {
        if let Some(additional) = &node.additional {
            let at = path.child("additionalProperties");
            if !node.properties.is_empty() && !matches!(additional, Additional::Any(true)) {
                let detail = "additionalProperties and properties are mutual exclusive";
                self.found.push(at.forbidden(detail));
            }
            if let Additional::Schema(schema) = additional {
                let no_defaults = if scope.in_meta {
                    Some("inside additionalProperties applying to object metadata")
                } else {
                    scope.no_defaults
                };
                self.node(&at, schema, Scope { root: false, no_defaults, ..scope });
            }
        }
        let at = path.child("properties");
        for (name, property) in &node.properties {
            let mut inner = Scope { root: false, ..scope };
            let why = format!("in top-level {name}");
            if (scope.root || node.embedded) && matches!(&**name, "metadata" | "kind" | "apiVersion") {
                inner.in_meta = true;
                if scope.root {
                    inner.no_defaults = Some(&why);
                }
            }
            self.node(&at.key(name), property, inner);
        }
    }

    fn junctors(&mut self, path: &Path<'_>, node: &Node, scope: Scope<'_>) {
        let checks = node.checks();
        if let Some(not) = &checks.not {
            self.node(&path.child("not"), not, scope);
        }
        for (name, nodes) in [("allOf", &checks.all_of), ("oneOf", &checks.one_of), ("anyOf", &checks.any_of)]
        {
            let at = path.child(name);
            for (i, branch) in nodes.iter().enumerate() {
                self.node(&at.index(i), branch, scope);
            }
        }
    }

    fn map_type(&mut self, path: &Path<'_>, node: &Node) {
        let Some(map) = node.map_type() else { return };
        if &*node.ty != "object" {
            self.wrong_type(path, node, "must be object if x-kubernetes-map-type is specified");
        }
        if !matches!(map, "atomic" | "granular") {
            let at = path.child("x-kubernetes-map-type");
            self.found.push(at.not_supported(&map.into(), &["atomic", "granular"]));
        }
    }

    fn wrong_type(&mut self, path: &Path<'_>, node: &Node, detail: &str) {
        let at = path.child("type");
        self.found.push(if node.ty.is_empty() {
            at.required(detail)
        } else {
            at.invalid_text(&node.ty, detail)
        });
    }

    fn list_type(&mut self, path: &Path<'_>, node: &Node) {
        let Some(list) = node.list_type() else { return };
        if &*node.ty != "array" {
            self.wrong_type(path, node, "must be array if x-kubernetes-list-type is specified");
        } else if self.options.atomic_sets && has_loose_set(node) {
            let items = path.child("items");
            let inner = node.items.as_deref();
            // Upstream shows the list type of the items in both cases.
            let shown = inner.and_then(Node::list_type).map_or(Value::Null, Value::from);
            let name = if inner.is_some_and(|i| &*i.ty == "array") {
                "x-kubernetes-list-type"
            } else {
                "x-kubernetes-map-type"
            };
            let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
            self.found.push(items.child(name).invalid(&shown, detail));
        }
        if !matches!(list, "atomic" | "set" | "map") {
            let at = path.child("x-kubernetes-list-type");
            self.found.push(at.not_supported(&list.into(), &["atomic", "set", "map"]));
        }
    }

    fn list_map(&mut self, path: &Path<'_>, node: &Node) {
        let keys = node.list_keys();
        let list_type = path.child("x-kubernetes-list-type");
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        match node.list_type() {
            None if !keys.is_empty() => self.found.push(list_type.required(detail)),
            Some(other) if !keys.is_empty() && other != "map" => {
                self.found.push(list_type.invalid_text(other, detail));
            }
            _ => {}
        }
        if node.list_type() != Some("map") {
            return;
        }
        let at_keys = path.child("x-kubernetes-list-map-keys");
        if keys.is_empty() {
            self.found.push(at_keys.required("must not be empty if x-kubernetes-list-type is map"));
        }
        let at_items = path.child("items");
        let Some(items) = &node.items else {
            if !node.unsupported.contains(&"items") {
                let detail = "must have a schema if x-kubernetes-list-type is map";
                self.found.push(at_items.required(detail));
            } else {
                let detail = "must only have a single schema if x-kubernetes-list-type is map";
                self.found.push(at_items.invalid(&Value::Null, detail));
            }
            return;
        };
        if &*items.ty != "object" {
            let detail = "must be object if parent array's x-kubernetes-list-type is map";
            self.found.push(at_items.child("type").invalid_text(&items.ty, detail));
            return;
        }
        let properties = at_items.child("properties");
        let shown: Value = keys.iter().map(|k| Value::from(&**k)).collect();
        for (i, key) in keys.iter().enumerate() {
            match items.property(key) {
                Some(property) if matches!(&*property.ty, "array" | "object") => {
                    let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                    let at = properties.key(key);
                    self.found.push(at.child("type").invalid_text(&items.ty, detail));
                }
                Some(_) => {}
                None => {
                    let detail = "entries must all be names of item properties";
                    self.found.push(at_keys.invalid(&shown, detail));
                }
            }
            if keys[..i].contains(key) {
                self.found.push(at_keys.invalid(&shown, "must not contain duplicate entries"));
            }
        }
    }

    fn keys(&mut self, path: &Path<'_>, node: &Node) {
        let (Some(items), Some(list @ ("set" | "map"))) = (&node.items, node.list_type()) else { return };
        let at = path.child("items");
        if items.nullable {
            let detail = format!("cannot be nullable when x-kubernetes-list-type is {list}");
            self.found.push(at.child("nullable").forbidden(&detail));
        }
        if list != "map" {
            return;
        }
        let properties = at.child("properties");
        for key in node.list_keys() {
            let Some(property) = items.property(key) else { continue };
            let at = properties.key(key);
            if !items.required.contains(key) && property.default.is_none() {
                self.found.push(at.child("default").required(
                    "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
                ));
            }
            if property.nullable {
                self.found.push(
                    at.child("nullable").forbidden(
                        "this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
                    ),
                );
            }
        }
    }

    /// The form of a rule; its expression is not looked at (M3).
    fn rule(&mut self, path: &Path<'_>, node: &Node, rule: &Value) {
        let text = |name: &str| rule[name].as_str().unwrap_or_default();
        let lines = |text: &str| text.contains(['\n', '\r']);
        let (body, message) = (text("rule").trim(), text("message").trim());
        let at_message = path.child("message");
        if body.is_empty() {
            self.found.push(path.child("rule").required("rule is not specified"));
        } else if !text("message").is_empty() && message.is_empty() {
            self.found.push(at_message.invalid_text(text("message"), "must be non-empty if specified"));
        } else if lines(message) {
            self.found.push(at_message.invalid_text(text("message"), "must not contain line breaks"));
        } else if lines(body) && message.is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            self.found.push(at_message.required(detail));
        }
        let expression = text("messageExpression");
        if !expression.is_empty() && expression.trim().is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            self.found.push(path.child("messageExpression").required(detail));
        }
        if let Some(reason) = rule["reason"].as_str().filter(|r| !REASONS.contains(r)) {
            self.found.push(path.child("reason").not_supported(&reason.into(), &REASONS));
        }
        let field = text("fieldPath");
        let at_field = path.child("fieldPath");
        if !field.is_empty() && field.trim().is_empty() {
            self.found.push(at_field.invalid_text(field, "must be non-empty if specified"));
        }
        if lines(field) {
            self.found.push(at_field.invalid_text(field, "must not contain line breaks"));
        }
        if !field.is_empty() && super::fields::find(field, node, true).is_err() {
            self.found.push(at_field.invalid_text(field, "must be a valid path"));
        }
    }
}
