//! Is a schema structural? Types are given outside of value validations, metadata is left alone, and what
//! walks objects (pruning, defaulting, server-side apply) can rely on one tree of types.

use super::node::{Additional, Checks, Node};
use super::path::Path;
use crate::model::status::Cause;

/// Where a node stands.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// A keyword that no structural tree can be built from, as upstream words it. Such a schema is refused as a whole.
pub fn unsupported(schema: &Node) -> Option<String> {
    if let Some(keyword) = schema.unsupported.first() {
        return Some(match *keyword {
            "items" => "OpenAPIV3Schema 'items' must be a schema, but is an array".into(),
            "$schema" => "OpenAPIV3Schema 'schema' is not supported".into(),
            other => format!("OpenAPIV3Schema '{other}' is not supported"),
        });
    }
    let own = (schema.preserve == Some(false)).then(|| {
        "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined".to_owned()
    });
    own.or_else(|| schema.children().find_map(unsupported))
}

/// What keeps the schema from being structural, sorted by text.
pub fn check(path: &Path<'_>, schema: &Node) -> Vec<Cause> {
    let mut check = Check { found: Vec::new() };
    check.node(path, schema, Level::Root);
    complete(path, schema, &mut check.found);
    check.found.sort_by_cached_key(|c| format!("{}: {}", c.field, c.message));
    check.found
}

struct Check {
    found: Vec<Cause>,
}

impl Check {
    fn node(&mut self, path: &Path<'_>, node: &Node, level: Level) {
        if &*node.ty == "array" && node.items.is_none() {
            self.found.push(path.child("items").required("must be specified"));
        }
        if let Some(items) = &node.items {
            self.node(&path.child("items"), items, Level::Item);
        }
        let properties = path.child("properties");
        for (name, property) in &node.properties {
            self.node(&properties.key(name), property, Level::Field);
        }
        if let Some(additional) = &node.additional {
            let at = path.child("additionalProperties");
            if level == Level::Root {
                self.found.push(at.forbidden("must not be used at the root"));
            }
            if let Additional::Schema(schema) = additional {
                self.node(&at, schema, Level::Field);
            }
        }
        self.extensions(path, node);
        self.checks(path, node.checks(), is_int_or_string(&node.checks().any_of), first_all_of(node));
        self.types(path, node, level);
        self.meta_types(path, node, level);
        if node.embedded && !node.preserves() && node.properties.is_empty() {
            self.found.push(path.child("properties").required(
                "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
            ));
        }
    }

    fn extensions(&mut self, path: &Path<'_>, node: &Node) {
        if !node.int_or_string {
            return;
        }
        for (set, name) in [
            (node.preserves(), "x-kubernetes-preserve-unknown-fields"),
            (node.embedded, "x-kubernetes-embedded-resource"),
        ] {
            if set {
                let at = path.child(name);
                self.found
                    .push(at.invalid(&true.into(), "must be false if x-kubernetes-int-or-string is true"));
            }
        }
    }

    fn types(&mut self, path: &Path<'_>, node: &Node, level: Level) {
        let at = path.child("type");
        if node.embedded && &*node.ty != "object" {
            let detail = "must be object if x-kubernetes-embedded-resource is true";
            self.found.push(if node.ty.is_empty() {
                at.required(detail)
            } else {
                at.invalid_text(&node.ty, detail)
            });
        } else if node.ty.is_empty() && !node.int_or_string && !node.preserves() {
            self.found.push(at.required(match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            }));
        }
        if node.embedded && node.additional.is_some() {
            let detail = "must not be used if x-kubernetes-embedded-resource is set";
            self.found.push(path.child("additionalProperties").forbidden(detail));
        }
        if level == Level::Root && !node.ty.is_empty() && &*node.ty != "object" {
            self.found.push(at.invalid_text(&node.ty, "must be object at the root"));
        }
    }

    fn meta_types(&mut self, path: &Path<'_>, node: &Node, level: Level) {
        let checked = level == Level::Root || node.embedded;
        let properties = path.child("properties");
        for name in ["kind", "apiVersion"] {
            if let Some(property) = node.property(name).filter(|p| checked && &*p.ty != "string") {
                let at = properties.key(name);
                self.found.push(at.child("type").invalid_text(&property.ty, "must be string"));
            }
        }
        let Some(metadata) = node.property("metadata") else { return };
        let at = properties.key("metadata");
        if checked && &*metadata.ty != "object" {
            self.found.push(at.child("type").invalid_text(&metadata.ty, "must be object"));
        }
        if level == Level::Root && !only_names(metadata) {
            self.found.push(at.forbidden(
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            ));
        }
    }

    fn checks(&mut self, path: &Path<'_>, checks: &Checks, skip_any_of: bool, skip_first_all_of: bool) {
        if !skip_any_of {
            self.branches(path, "anyOf", &checks.any_of, false);
        }
        self.branches(path, "allOf", &checks.all_of, skip_first_all_of);
        self.branches(path, "oneOf", &checks.one_of, false);
        if let Some(not) = &checks.not {
            self.nested(&path.child("not"), not, false);
        }
        if let Some(Err(error)) = checks.pattern.as_ref().map(|p| p.check()) {
            let source = checks.pattern.as_ref().map_or("", |p| p.source());
            self.found.push(path.child("pattern").invalid_text(source, &error.to_string()));
        }
    }

    fn branches(&mut self, path: &Path<'_>, name: &str, nodes: &[Node], skip_first: bool) {
        let at = path.child(name);
        for (i, node) in nodes.iter().enumerate() {
            self.nested(&at.index(i), node, skip_first && i == 0);
        }
    }

    /// Below a junctor only values may be judged, not types given.
    fn nested(&mut self, path: &Path<'_>, node: &Node, skip_any_of: bool) {
        self.checks(path, node.checks(), skip_any_of, false);
        if let Some(items) = &node.items {
            self.nested(&path.child("items"), items, false);
        }
        let properties = path.child("properties");
        for (name, property) in &node.properties {
            self.nested(&properties.key(name), property, false);
        }
        let additional = !matches!(node.additional, None | Some(Additional::Any(false)));
        let list = node.topology.as_deref();
        let forbidden = [
            (!node.ty.is_empty(), "type", "must be empty to be structural"),
            (additional, "additionalProperties", "must be undefined to be structural"),
            (node.default.is_some(), "default", "must be undefined to be structural"),
            (!node.notes().title.is_empty(), "title", "must be empty to be structural"),
            (!node.notes().description.is_empty(), "description", "must be empty to be structural"),
            (node.nullable, "nullable", "must be false to be structural"),
            (node.preserves(), "x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
            (node.embedded, "x-kubernetes-embedded-resource", "must be false to be structural"),
            (node.int_or_string, "x-kubernetes-int-or-string", "must be false to be structural"),
            (!node.list_keys().is_empty(), "x-kubernetes-list-map-keys", "must be empty to be structural"),
            (
                list.is_some_and(|t| t.list.is_some()),
                "x-kubernetes-list-type",
                "must be undefined to be structural",
            ),
            (
                list.is_some_and(|t| t.map.is_some()),
                "x-kubernetes-map-type",
                "must be undefined to be structural",
            ),
            (!node.rules.is_empty(), "x-kubernetes-validations", "must be empty to be structural"),
        ];
        for (_, name, detail) in forbidden.into_iter().filter(|(set, ..)| *set) {
            self.found.push(path.child(name).forbidden(detail));
        }
        if node.property("metadata").is_some() {
            let at = properties.key("metadata");
            self.found.push(at.forbidden("must not be specified in a nested context"));
        }
    }
}

/// Root metadata may restrict the two names and nothing else.
fn only_names(metadata: &Node) -> bool {
    let names = metadata.properties.iter().all(|(k, _)| matches!(&**k, "name" | "generateName"));
    let rest = Node {
        ty: Box::default(),
        properties: Vec::new(),
        has_properties: false,
        default: None,
        ..metadata.clone()
    };
    let judged = rest.checks.is_none() && rest.required.is_empty();
    names && judged && Node { checks: None, ..rest } == Node::default()
}

fn is_int_or_string(any_of: &[Node]) -> bool {
    let of = |ty: &str| Node { ty: ty.into(), ..Node::default() };
    any_of.len() == 2 && any_of[0] == of("integer") && any_of[1] == of("string")
}

fn first_all_of(node: &Node) -> bool {
    node.checks().all_of.first().is_some_and(|first| is_int_or_string(&first.checks().any_of))
}

/// Every field that a value validation of the root judges must be specified outside of it too. (Upstream looks
/// at the junctors of the root only.)
fn complete(path: &Path<'_>, root: &Node, found: &mut Vec<Cause>) {
    let here = Places { typed: path, judged: path };
    branches_covered(here, root, root, found);
}

/// The same value seen from both trees.
#[derive(Clone, Copy)]
struct Places<'p> {
    typed: &'p Path<'p>,
    judged: &'p Path<'p>,
}

fn branches_covered(at: Places<'_>, typed: &Node, judged: &Node, found: &mut Vec<Cause>) {
    let checks = judged.checks();
    for (name, nodes) in [("allOf", &checks.all_of), ("anyOf", &checks.any_of), ("oneOf", &checks.one_of)] {
        let list = at.judged.child(name);
        for (i, node) in nodes.iter().enumerate() {
            covered(Places { judged: &list.index(i), ..at }, Some(typed), node, found);
        }
    }
    if let Some(not) = &checks.not {
        covered(Places { judged: &at.judged.child("not"), ..at }, Some(typed), not, found);
    }
}

fn covered(at: Places<'_>, typed: Option<&Node>, judged: &Node, found: &mut Vec<Cause>) {
    let Some(typed) = typed else {
        found.push(at.typed.required(&format!("because it is defined in {}", at.judged)));
        return;
    };
    branches_covered(at, typed, judged, found);
    if let Some(items) = &judged.items {
        let here = Places { typed: &at.typed.child("items"), judged: &at.judged.child("items") };
        covered(here, typed.items.as_deref(), items, found);
    }
    let (ours, theirs) = (at.typed.child("properties"), at.judged.child("properties"));
    for (name, property) in &judged.properties {
        let here = Places { typed: &ours.key(name), judged: &theirs.key(name) };
        covered(here, typed.property(name), property, found);
    }
}
