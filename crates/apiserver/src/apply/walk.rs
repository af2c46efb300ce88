//! Walks along types: the fields of a value, the differences of two, a merge, a removal, a check.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::element;
use super::fields::{self, FieldSet, put};
use super::typed::{At, Shape, Types, same, shown};
use crate::model::schema::ListTy;

/// What two states of an object differ in.
#[derive(Debug, Default)]
pub(super) struct Diff {
    pub(super) removed: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) added: FieldSet,
}

impl Diff {
    /// Takes paths out of all three, with all below them.
    pub(super) fn ignore(&mut self, paths: &FieldSet) {
        self.removed.subtract_trees(paths);
        self.modified.subtract_trees(paths);
        self.added.subtract_trees(paths);
    }

    /// What was added or changed.
    pub(super) fn changed(&self) -> FieldSet {
        let mut out = self.modified.clone();
        out.unite(self.added.clone());
        out
    }

    fn put(&mut self, step: &str, below: Diff, own: Option<Mark>) {
        let sides = [
            (&mut self.removed, below.removed, Mark::Removed),
            (&mut self.modified, below.modified, Mark::Modified),
            (&mut self.added, below.added, Mark::Added),
        ];
        for (into, below, mark) in sides {
            let member = own == Some(mark);
            if member || !below.is_empty() {
                put(&mut into.0, step.to_owned(), below.0, member);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    Removed,
    Modified,
    Added,
}

impl<'s> Types<'s> {
    /// The fields of a value: every leaf, every item, every free key, and members that are empty.
    pub(super) fn fields_of(self, at: At<'s>, value: &Value) -> FieldSet {
        FieldSet(self.fields(at, value).0)
    }

    fn fields(self, at: At<'s>, value: &Value) -> (Map<String, Value>, bool) {
        let mut out = Map::new();
        let shape = match (self.declared(at), value) {
            // No type and no value: neither members nor a leaf; the parent decides.
            (None, Value::Null) => return (out, false),
            _ => self.shape(at, value),
        };
        match (shape, value) {
            (Shape::Leaf, _) => return (out, true),
            (Shape::List(list), Value::Array(items)) => {
                for (step, entry) in self.index(list, items) {
                    let below = match entry {
                        Entry { first: Some(item), repeats: false } => {
                            self.fields(At::Ty(&list.item), item).0
                        }
                        _ => Map::new(),
                    };
                    put(&mut out, step, below, true);
                }
            }
            (_, Value::Object(members)) => {
                for (name, value) in members {
                    let (at, field) = self.member(shape, name);
                    let (below, own) = self.fields(at, value);
                    let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                    put(&mut out, element::field(name), below, own || empty || field.is_none());
                }
            }
            _ => {}
        }
        (out, false)
    }

    /// Items by step, in the order of steps.
    fn index<'v>(self, list: &'s ListTy, items: &'v [Value]) -> BTreeMap<String, Entry<'v>> {
        let mut out = BTreeMap::new();
        for item in items {
            let Ok(step) = self.step(list, item) else { continue };
            let entry: &mut Entry<'v> = out.entry(step).or_default();
            entry.repeats = entry.first.is_some();
            entry.first.get_or_insert(item);
        }
        out
    }

    /// What changes from `old` to `new`.
    pub(super) fn compare(self, at: At<'s>, old: &Value, new: &Value) -> Diff {
        self.difference(at, Some(old), Some(new)).0
    }

    fn difference(self, at: At<'s>, old: Option<&Value>, new: Option<&Value>) -> (Diff, Option<Mark>) {
        let mut diff = Diff::default();
        let own = match (old, new) {
            (None, None) => None,
            (None, Some(new)) => {
                self.compare_as(self.shape(at, new), None, Some(new), &mut diff);
                Some(Mark::Added)
            }
            (Some(old), None) => {
                self.compare_as(self.shape(at, old), Some(old), None, &mut diff);
                Some(Mark::Removed)
            }
            (Some(old), Some(new)) => {
                let (was, is) = (self.shape(at, old), self.shape(at, new));
                let changed = self.compare_as(was, Some(old), Some(new), &mut diff);
                let changed = if was.alike(is) {
                    changed
                } else {
                    self.compare_as(is, Some(old), Some(new), &mut diff) || changed
                };
                changed.then_some(Mark::Modified)
            }
        };
        (diff, own)
    }

    /// Compares as one shape. True when the value itself, as one leaf, changed.
    fn compare_as(self, shape: Shape<'s>, old: Option<&Value>, new: Option<&Value>, diff: &mut Diff) -> bool {
        let as_leaf = || matches!((old, new), (Some(old), Some(new)) if !same(old, new));
        match shape {
            Shape::Leaf => as_leaf(),
            Shape::Struct(_) | Shape::Map(_) => {
                let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                if old.is_none_or(Map::is_empty) && new.is_none_or(Map::is_empty) {
                    return as_leaf();
                }
                self.compare_members(shape, old, new, diff);
                false
            }
            Shape::List(list) => {
                let (old, new) = (old.and_then(Value::as_array), new.and_then(Value::as_array));
                if old.is_none_or(Vec::is_empty) && new.is_none_or(Vec::is_empty) {
                    return as_leaf();
                }
                self.compare_items(list, old, new, diff);
                false
            }
        }
    }

    fn compare_members(
        self,
        shape: Shape<'s>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
        diff: &mut Diff,
    ) {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let mut left = old.unwrap_or(&NONE).iter().peekable();
        let mut right = new.unwrap_or(&NONE).iter().peekable();
        loop {
            let (name, l, r) = match (left.peek(), right.peek()) {
                (None, None) => return,
                (Some((name, _)), None) => (*name, true, false),
                (None, Some((name, _))) => (*name, false, true),
                (Some((a, _)), Some((b, _))) if a == b => (*a, true, true),
                (Some((a, _)), Some((b, _))) if a < b => (*a, true, false),
                (Some(_), Some((b, _))) => (*b, false, true),
            };
            let mut l = l.then(|| left.next()).flatten().map(|(_, v)| v);
            let mut r = r.then(|| right.next()).flatten().map(|(_, v)| v);
            let (at, field) = self.member(shape, name);
            // A side that exists shows members which cannot be absent.
            if l.is_none() && old.is_some() {
                l = shown(field);
            } else if r.is_none() && new.is_some() {
                r = shown(field);
            }
            let (below, own) = self.difference(at, l, r);
            diff.put_member(name, below, own);
        }
    }

    fn compare_items(
        self,
        list: &'s ListTy,
        old: Option<&Vec<Value>>,
        new: Option<&Vec<Value>>,
        diff: &mut Diff,
    ) {
        let (old, new) = (old.map_or(&[][..], Vec::as_slice), new.map_or(&[][..], Vec::as_slice));
        if old.len() == new.len() && old.iter().zip(new).all(|(a, b)| same(a, b)) {
            return;
        }
        let mut steps: BTreeMap<String, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for item in old {
            if let Ok(step) = self.step(list, item) {
                steps.entry(step).or_default().0.push(item);
            }
        }
        for item in new {
            if let Ok(step) = self.step(list, item) {
                steps.entry(step).or_default().1.push(item);
            }
        }
        let at = At::Ty(&list.item);
        for (step, (was, is)) in &steps {
            let (below, own) = match (was.as_slice(), is.as_slice()) {
                ([] | [_], [] | [_]) => self.difference(at, was.first().copied(), is.first().copied()),
                // Repeated items are one value together.
                ([_, _, ..], [_, _, ..]) => {
                    let equal = was.len() == is.len() && was.iter().zip(is).all(|(a, b)| same(a, b));
                    (Diff::default(), (!equal).then_some(Mark::Modified))
                }
                ([_, _, ..], _) => {
                    let (below, own) = self.difference(at, None, is.first().copied());
                    diff.put(step, below, own);
                    (Diff::default(), Some(Mark::Removed))
                }
                (_, _) => {
                    let (below, own) = self.difference(at, was.first().copied(), None);
                    diff.put(step, below, own);
                    (Diff::default(), Some(Mark::Added))
                }
            };
            diff.put(step, below, own);
        }
    }

    /// Puts `config` over `live`.
    pub(super) fn merge(self, at: At<'s>, live: Value, config: &Value) -> Value {
        let shape = match (self.shape(at, config), &live) {
            // Null stands for an empty composite.
            (shape, _) if !config.is_null() => shape,
            (_, live) => self.shape(at, live),
        };
        match (shape, live, config) {
            (Shape::Leaf, _, config) => config.clone(),
            (Shape::List(_), Value::Array(live), Value::Null) if !live.is_empty() => Value::Array(live),
            (Shape::Struct(_) | Shape::Map(_), Value::Object(live), Value::Null) if !live.is_empty() => {
                Value::Object(live)
            }
            (Shape::List(list), Value::Array(live), Value::Array(config)) if !live.is_empty() => {
                Value::Array(super::order::merge_items(self, list, live, config))
            }
            (Shape::Struct(_) | Shape::Map(_), Value::Object(mut live), Value::Object(config)) => {
                for (name, value) in config {
                    let merged = match live.remove(name) {
                        Some(known) => self.merge(self.member(shape, name).0, known, value),
                        None => value.clone(),
                    };
                    live.insert(name.clone(), merged);
                }
                Value::Object(live)
            }
            (_, _, config) => config.clone(),
        }
    }

    /// Takes paths out of a value. A composite that loses all it had becomes null; without `nulls` it goes
    /// too, unless nothing is known of its type.
    pub(super) fn remove(self, at: At<'s>, value: &Value, gone: &Map<String, Value>, nulls: bool) -> Value {
        let shape = self.shape(at, value);
        match (shape, value) {
            (Shape::List(list), Value::Array(items)) => {
                let mut kept = Vec::with_capacity(items.len());
                for item in items {
                    let below =
                        self.step(list, item).ok().and_then(|s| gone.get(&s)).and_then(Value::as_object);
                    match below {
                        Some(below) if fields::is_member(below) => {}
                        Some(below) => kept.push(self.remove(At::Ty(&list.item), item, below, nulls)),
                        None => kept.push(item.clone()),
                    }
                }
                if kept.is_empty() { Value::Null } else { Value::Array(kept) }
            }
            (Shape::Struct(_) | Shape::Map(_), Value::Object(members)) => {
                let mut kept = Map::new();
                for (name, value) in members {
                    let below = gone.get(&element::field(name)).and_then(Value::as_object);
                    match below {
                        Some(below) if fields::is_member(below) => {}
                        Some(below) => {
                            let at = self.member(shape, name).0;
                            let left = self.remove(at, value, below, nulls);
                            if nulls || !left.is_null() || matches!(at, At::Deduced) {
                                kept.insert(name.clone(), left);
                            }
                        }
                        None => _ = kept.insert(name.clone(), value.clone()),
                    }
                }
                if kept.is_empty() { Value::Null } else { Value::Object(kept) }
            }
            // A scalar has nothing below it; an atomic value is taken whole.
            (_, Value::Array(_) | Value::Object(_)) => Value::Null,
            (_, scalar) => scalar.clone(),
        }
    }

    /// Adds to a set the declared members above its paths.
    pub(super) fn with_named(self, at: Option<At<'s>>, set: &Map<String, Value>) -> Map<String, Value> {
        let mut out = Map::new();
        let shape = at.and_then(|at| self.declared(at).or(Some(Shape::Map(At::Deduced))));
        for (step, below) in fields::children(set) {
            let (below_at, named) = match shape {
                Some(shape @ (Shape::Struct(_) | Shape::Map(_))) => match step.strip_prefix("f:") {
                    Some(name) => {
                        let (at, field) = self.member(shape, name);
                        (Some(at), field.is_some())
                    }
                    None => (None, false),
                },
                Some(Shape::List(list)) if step.starts_with("k:") => (Some(At::Ty(&list.item)), false),
                _ => (None, false),
            };
            let member = fields::is_member(below) || named;
            put(&mut out, step.clone(), self.with_named(below_at, below), member);
        }
        out
    }

    /// Folds what lies below atomic values into them: sets written before a schema made something atomic.
    pub(super) fn fold_atomic(self, at: At<'s>, set: &mut Map<String, Value>) {
        let Some(shape) = self.declared(at) else { return };
        for (step, below) in set.iter_mut() {
            let Value::Object(below) = below else { continue };
            if below.is_empty() {
                continue;
            }
            let below_at = match shape {
                Shape::Struct(_) | Shape::Map(_) => match step.strip_prefix("f:") {
                    Some(name) => self.member(shape, name).0,
                    None => continue,
                },
                Shape::List(list) => At::Ty(&list.item),
                Shape::Leaf => return,
            };
            let atomic = matches!(self.declared(below_at), Some(Shape::Leaf)) && is_composite(self, below_at);
            if atomic {
                below.clear();
            } else {
                self.fold_atomic(below_at, below);
            }
        }
    }
}

fn is_composite(types: Types<'_>, at: At<'_>) -> bool {
    use crate::model::schema::Ty;
    match at {
        At::Ty(Ty::Map(_) | Ty::List(_)) => true,
        At::Ty(Ty::Struct(id)) => types.schema.get(*id).atomic,
        _ => false,
    }
}

impl Diff {
    fn put_member(&mut self, name: &str, below: Diff, own: Option<Mark>) {
        if own.is_none() && below.removed.is_empty() && below.modified.is_empty() && below.added.is_empty() {
            return;
        }
        self.put(&element::field(name), below, own);
    }
}

#[derive(Default)]
struct Entry<'v> {
    first: Option<&'v Value>,
    repeats: bool,
}
