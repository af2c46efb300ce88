//! One node of an OpenAPI v3 schema as a CustomResourceDefinition writes it.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::pattern::Pattern;

/// A schema node. The same type serves the structural part and the nested value validations, as in the
/// document itself; `structural` checks which parts may be used where.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Node {
    /// `type`, empty if absent.
    pub ty: Box<str>,
    /// `nullable`.
    pub nullable: bool,
    /// `x-kubernetes-int-or-string`.
    pub int_or_string: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded: bool,
    /// `x-kubernetes-preserve-unknown-fields`; `Some(false)` is refused.
    pub preserve: Option<bool>,
    /// `default`; a null is no default.
    pub default: Option<Value>,
    /// `x-kubernetes-list-type`, `-list-map-keys`, `-map-type`.
    pub topology: Option<Box<TopologyRule>>,
    /// Checks of the value itself.
    pub checks: Option<Box<Checks>>,
    /// Texts and examples, kept for publishing only.
    pub notes: Option<Box<Notes>>,
    /// `x-kubernetes-validations`.
    pub rules: Vec<Value>,
    /// `items`.
    pub items: Option<Box<Node>>,
    /// `properties` by name.
    pub properties: Vec<(Box<str>, Node)>,
    /// `properties` is there, be it empty.
    pub has_properties: bool,
    /// `additionalProperties`.
    pub additional: Option<Additional>,
    /// `required`.
    pub required: Vec<Box<str>>,
    /// Keywords present that no structural schema can have, in [`UNSUPPORTED`]'s order.
    pub unsupported: Vec<&'static str>,
}

/// Keywords upstream knows and refuses.
pub const UNSUPPORTED: [&str; 8] =
    ["id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions", "items"];

/// `additionalProperties`.
#[derive(Debug, Clone, PartialEq)]
pub enum Additional {
    /// `true` or `false`.
    Any(bool),
    /// A schema for each value.
    Schema(Box<Node>),
}

/// How server-side apply and uniqueness see a list or map.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct TopologyRule {
    /// `x-kubernetes-list-type`.
    pub list: Option<Box<str>>,
    /// `x-kubernetes-list-map-keys`.
    pub keys: Vec<Box<str>>,
    /// `x-kubernetes-map-type`.
    pub map: Option<Box<str>>,
}

/// Checks of a value.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Checks {
    /// `format`, empty if absent.
    pub format: Box<str>,
    /// `enum`; a null in it never matches.
    pub choices: Vec<Value>,
    /// `maximum`.
    pub maximum: Option<f64>,
    /// `exclusiveMaximum`.
    pub exclusive_maximum: bool,
    /// `minimum`.
    pub minimum: Option<f64>,
    /// `exclusiveMinimum`.
    pub exclusive_minimum: bool,
    /// `multipleOf`.
    pub multiple_of: Option<f64>,
    /// `maxLength`, in characters.
    pub max_length: Option<i64>,
    /// `minLength`, in characters.
    pub min_length: Option<i64>,
    /// `pattern`.
    pub pattern: Option<Pattern>,
    /// `maxItems`.
    pub max_items: Option<i64>,
    /// `minItems`.
    pub min_items: Option<i64>,
    /// `uniqueItems`.
    pub unique_items: bool,
    /// `maxProperties`.
    pub max_properties: Option<i64>,
    /// `minProperties`.
    pub min_properties: Option<i64>,
    /// `allOf`.
    pub all_of: Vec<Node>,
    /// `anyOf`.
    pub any_of: Vec<Node>,
    /// `oneOf`.
    pub one_of: Vec<Node>,
    /// `not`.
    pub not: Option<Box<Node>>,
}

impl Node {
    /// Reads a node. What has the wrong JSON type counts as absent: the decoder in front refuses it.
    pub fn parse(value: &Value) -> Self {
        let Some(map) = value.as_object() else { return Self::default() };
        let mut node = Self {
            ty: text(map, "type"),
            nullable: flag(map, "nullable"),
            int_or_string: flag(map, "x-kubernetes-int-or-string"),
            embedded: flag(map, "x-kubernetes-embedded-resource"),
            preserve: map.get("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool),
            default: map.get("default").filter(|d| !d.is_null()).cloned(),
            topology: TopologyRule::parse(map),
            checks: Checks::parse(map),
            notes: Notes::parse(map),
            rules: list(map, "x-kubernetes-validations").to_vec(),
            items: None,
            properties: Vec::new(),
            has_properties: map.get("properties").is_some_and(Value::is_object),
            additional: None,
            required: texts(map, "required"),
            unsupported: unsupported(map),
        };
        if let Some(properties) = map.get("properties").and_then(Value::as_object) {
            node.properties = properties.iter().map(|(k, v)| (k.as_str().into(), Self::parse(v))).collect();
        }
        node.items = map.get("items").filter(|i| i.is_object()).map(|i| Box::new(Self::parse(i)));
        node.additional = match map.get("additionalProperties") {
            Some(Value::Bool(allowed)) => Some(Additional::Any(*allowed)),
            Some(schema @ Value::Object(_)) => Some(Additional::Schema(Box::new(Self::parse(schema)))),
            _ => None,
        };
        node
    }

    /// The property of that name.
    pub fn property(&self, name: &str) -> Option<&Node> {
        self.properties.binary_search_by(|(k, _)| (**k).cmp(name)).ok().map(|i| &self.properties[i].1)
    }

    /// Schema of each value of `additionalProperties`.
    pub fn additional_schema(&self) -> Option<&Node> {
        match &self.additional {
            Some(Additional::Schema(schema)) => Some(schema),
            _ => None,
        }
    }

    /// Unknown members stay.
    pub fn preserves(&self) -> bool {
        self.preserve == Some(true)
    }

    /// `x-kubernetes-list-type`.
    pub fn list_type(&self) -> Option<&str> {
        self.topology.as_ref().and_then(|t| t.list.as_deref())
    }

    /// `x-kubernetes-list-map-keys`.
    pub fn list_keys(&self) -> &[Box<str>] {
        self.topology.as_ref().map_or(&[], |t| &t.keys)
    }

    /// `x-kubernetes-map-type`.
    pub fn map_type(&self) -> Option<&str> {
        self.topology.as_ref().and_then(|t| t.map.as_deref())
    }

    /// The checks, or none.
    pub fn checks(&self) -> &Checks {
        static NONE: LazyLock<Checks> = LazyLock::new(Checks::default);
        self.checks.as_deref().unwrap_or(&NONE)
    }

    /// Texts and examples, or none.
    pub fn notes(&self) -> &Notes {
        static NONE: LazyLock<Notes> = LazyLock::new(Notes::default);
        self.notes.as_deref().unwrap_or(&NONE)
    }

    /// All direct sub-nodes, junctors included.
    pub fn children(&self) -> impl Iterator<Item = &Node> {
        let checks = self.checks();
        self.items
            .as_deref()
            .into_iter()
            .chain(&checks.all_of)
            .chain(&checks.any_of)
            .chain(&checks.one_of)
            .chain(checks.not.as_deref())
            .chain(self.properties.iter().map(|(_, node)| node))
            .chain(self.additional_schema())
    }

    /// Whether this node or one below it fits.
    pub fn any(&self, test: &mut dyn FnMut(&Node) -> bool) -> bool {
        test(self) || self.children().any(|child| child.any(test))
    }

    /// Number of nodes, this one included (Q10).
    pub fn count(&self) -> usize {
        1 + self.children().map(Node::count).sum::<usize>()
    }
}

/// What a node says to people.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Notes {
    /// `description`.
    pub description: Box<str>,
    /// `title`.
    pub title: Box<str>,
    /// `externalDocs`.
    pub docs: Option<Value>,
    /// `example`.
    pub example: Option<Value>,
}

impl Notes {
    fn parse(map: &Map<String, Value>) -> Option<Box<Self>> {
        let value = |name: &str| map.get(name).filter(|v| !v.is_null()).cloned();
        let notes = Self {
            description: text(map, "description"),
            title: text(map, "title"),
            docs: value("externalDocs"),
            example: value("example"),
        };
        (notes != Self::default()).then(|| Box::new(notes))
    }
}

impl TopologyRule {
    fn parse(map: &Map<String, Value>) -> Option<Box<Self>> {
        let rule = Self {
            list: optional_text(map, "x-kubernetes-list-type"),
            keys: texts(map, "x-kubernetes-list-map-keys"),
            map: optional_text(map, "x-kubernetes-map-type"),
        };
        (rule != Self::default()).then(|| Box::new(rule))
    }
}

impl Checks {
    fn parse(map: &Map<String, Value>) -> Option<Box<Self>> {
        let nodes = |name: &str| list(map, name).iter().map(Node::parse).collect();
        let float = |name: &str| map.get(name).and_then(Value::as_f64);
        let int = |name: &str| map.get(name).and_then(Value::as_i64);
        let pattern = text(map, "pattern");
        let checks = Self {
            format: text(map, "format"),
            choices: list(map, "enum").to_vec(),
            maximum: float("maximum"),
            exclusive_maximum: flag(map, "exclusiveMaximum"),
            minimum: float("minimum"),
            exclusive_minimum: flag(map, "exclusiveMinimum"),
            multiple_of: float("multipleOf"),
            max_length: int("maxLength"),
            min_length: int("minLength"),
            pattern: (!pattern.is_empty()).then(|| Pattern::new(&pattern)),
            max_items: int("maxItems"),
            min_items: int("minItems"),
            unique_items: flag(map, "uniqueItems"),
            max_properties: int("maxProperties"),
            min_properties: int("minProperties"),
            all_of: nodes("allOf"),
            any_of: nodes("anyOf"),
            one_of: nodes("oneOf"),
            not: map.get("not").filter(|n| n.is_object()).map(|n| Box::new(Node::parse(n))),
        };
        (checks != Self::default()).then(|| Box::new(checks))
    }
}

fn unsupported(map: &Map<String, Value>) -> Vec<&'static str> {
    let present = |name: &&str| match (*name, map.get(*name)) {
        (_, None | Some(Value::Null)) => false,
        ("items", Some(items)) => items.as_array().is_some_and(|a| !a.is_empty()),
        ("patternProperties" | "definitions", Some(v)) => v.as_object().is_some_and(|m| !m.is_empty()),
        ("id" | "$schema", Some(v)) => v.as_str().is_some_and(|s| !s.is_empty()),
        _ => true,
    };
    UNSUPPORTED.into_iter().filter(present).collect()
}

fn text(map: &Map<String, Value>, name: &str) -> Box<str> {
    map.get(name).and_then(Value::as_str).unwrap_or_default().into()
}

fn optional_text(map: &Map<String, Value>, name: &str) -> Option<Box<str>> {
    map.get(name).and_then(Value::as_str).map(Into::into)
}

fn flag(map: &Map<String, Value>, name: &str) -> bool {
    map.get(name).and_then(Value::as_bool).unwrap_or_default()
}

fn list<'v>(map: &'v Map<String, Value>, name: &str) -> &'v [Value] {
    map.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn texts(map: &Map<String, Value>, name: &str) -> Vec<Box<str>> {
    list(map, name).iter().filter_map(Value::as_str).map(Into::into).collect()
}
