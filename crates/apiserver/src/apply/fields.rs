//! Sets of field paths, kept in the very form of `fieldsV1`: a tree of JSON objects whose member names are
//! path steps. A node is in the set when it has no children or has the member `.`. So a set is read from and
//! written to an object without conversion, and one changed path costs one walk down.

use serde_json::{Map, Value};

use super::element::{Element, Parsed, SELF};

/// A set of field paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSet(pub(super) Map<String, Value>);

impl FieldSet {
    /// Reads what a client wrote. Steps are brought into their one written form, steps of unknown kinds are
    /// dropped; `None` when something is no step at all.
    pub fn parse(fields: &Value) -> Option<FieldSet> {
        match fields {
            Value::Null => Some(FieldSet::default()),
            Value::Object(node) => Some(FieldSet(normal(node, true)?)),
            _ => None,
        }
    }

    /// A set of dotted paths such as `metadata.name`.
    pub fn of_paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            let mut node = &mut set.0;
            let mut parts = path.split('.').peekable();
            while let Some(part) = parts.next() {
                let slot = node.entry(super::element::field(part));
                let fresh = matches!(slot, serde_json::map::Entry::Vacant(_));
                let Value::Object(child) = slot.or_insert_with(leaf) else { break };
                let last = parts.peek().is_none();
                if !fresh && last != child.is_empty() {
                    child.insert(SELF.to_owned(), leaf());
                }
                node = child;
            }
        }
        set
    }

    /// The set as `fieldsV1`.
    pub fn into_json(self) -> Value {
        Value::Object(self.0)
    }

    /// No path is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds all paths of `other`.
    pub fn unite(&mut self, other: FieldSet) {
        unite(&mut self.0, other.0);
    }

    /// The paths that are in both.
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        FieldSet(intersection(&self.0, &other.0))
    }

    /// Takes the paths of `other` out; their children stay.
    pub fn subtract(&mut self, other: &FieldSet) {
        subtract(&mut self.0, &other.0);
    }

    /// Takes the paths of `other` out with all that lies below them.
    pub fn subtract_trees(&mut self, other: &FieldSet) {
        subtract_trees(&mut self.0, &other.0);
    }

    /// Every path of this set is in `other`.
    pub fn is_subset(&self, other: &FieldSet) -> bool {
        is_subset(&self.0, &other.0)
    }

    /// The paths as they stand in messages, in upstream's order: at every level first those that end there.
    pub fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        paths(&self.0, &mut String::new(), &mut out);
        out
    }
}

/// A node without children.
pub(super) fn leaf() -> Value {
    Value::Object(Map::new())
}

/// Whether a child node is in the set itself.
pub(super) fn is_member(node: &Map<String, Value>) -> bool {
    node.is_empty() || node.contains_key(SELF)
}

/// Children of a node, without the marker.
pub(super) fn children(node: &Map<String, Value>) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    node.iter().filter(|(k, _)| *k != SELF).filter_map(|(k, v)| Some((k, v.as_object()?)))
}

/// Puts a child in place; an empty one that is no member is not a node.
pub(super) fn put(into: &mut Map<String, Value>, step: String, mut node: Map<String, Value>, member: bool) {
    if node.is_empty() {
        if member {
            into.insert(step, leaf());
        }
        return;
    }
    if member {
        node.insert(SELF.to_owned(), leaf());
    }
    into.insert(step, Value::Object(node));
}

fn normal(node: &Map<String, Value>, root: bool) -> Option<Map<String, Value>> {
    let mut out = Map::new();
    let mut member = false;
    for (text, below) in node {
        if text == SELF {
            member = !root;
            continue;
        }
        let step = match Element::parse(text) {
            Parsed::Element(Element::Field(_)) => text.clone(),
            Parsed::Element(element) => element.write(),
            Parsed::Unknown => continue,
            Parsed::Malformed => return None,
        };
        let below = match below {
            Value::Object(below) => normal(below, false)?,
            Value::Null => Map::new(),
            _ => return None,
        };
        match out.get_mut(&step) {
            Some(Value::Object(known)) => {
                mark_before_growth(known, &below);
                unite(known, below);
            }
            _ => _ = out.insert(step, Value::Object(below)),
        }
    }
    if member && !out.is_empty() {
        out.insert(SELF.to_owned(), leaf());
    }
    Some(out)
}

/// A leaf that gets children, or the other way round, must be marked to stay a member.
fn mark_before_growth(known: &mut Map<String, Value>, other: &Map<String, Value>) {
    if known.is_empty() != other.is_empty() {
        known.insert(SELF.to_owned(), leaf());
    }
}

fn unite(into: &mut Map<String, Value>, other: Map<String, Value>) {
    for (step, below) in other {
        let Value::Object(below) = below else { continue };
        match into.get_mut(&step) {
            Some(Value::Object(known)) => {
                if step != SELF {
                    mark_before_growth(known, &below);
                    unite(known, below);
                }
            }
            _ => _ = into.insert(step, Value::Object(below)),
        }
    }
}

fn intersection(a: &Map<String, Value>, b: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (step, a) in children(a) {
        let Some(Value::Object(b)) = b.get(step) else { continue };
        let member = is_member(a) && is_member(b);
        put(&mut out, step.clone(), intersection(a, b), member);
    }
    out
}

fn subtract(from: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (step, gone) in children(other) {
        let Some(Value::Object(node)) = from.get_mut(step) else { continue };
        let was_leaf = node.is_empty();
        if is_member(gone) {
            node.remove(SELF);
        }
        subtract(node, gone);
        if node.is_empty() && (!was_leaf || is_member(gone)) {
            from.remove(step);
        } else if node.len() == 1 && node.contains_key(SELF) {
            node.clear();
        }
    }
}

fn subtract_trees(from: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (step, gone) in children(other) {
        if is_member(gone) {
            from.remove(step);
            continue;
        }
        let Some(Value::Object(node)) = from.get_mut(step) else { continue };
        if node.is_empty() {
            continue;
        }
        subtract_trees(node, gone);
        if node.is_empty() {
            from.remove(step);
        } else if node.len() == 1 && node.contains_key(SELF) {
            node.clear();
        }
    }
}

fn is_subset(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    children(a).all(|(step, a)| match b.get(step) {
        Some(Value::Object(b)) => (!is_member(a) || is_member(b)) && is_subset(a, b),
        _ => false,
    })
}

fn paths(node: &Map<String, Value>, prefix: &mut String, out: &mut Vec<String>) {
    let mut steps: Vec<(Element, &Map<String, Value>)> = children(node)
        .filter_map(|(step, below)| match Element::parse(step) {
            Parsed::Element(element) => Some((element, below)),
            _ => None,
        })
        .collect();
    steps.sort_by(|(a, _), (b, _)| a.order(b));
    let len = prefix.len();
    for (element, _) in steps.iter().filter(|(_, below)| is_member(below)) {
        element.print(prefix);
        out.push(prefix.clone());
        prefix.truncate(len);
    }
    for (element, below) in &steps {
        element.print(prefix);
        paths(below, prefix, out);
        prefix.truncate(len);
    }
}
