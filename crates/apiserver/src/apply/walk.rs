//! Walks along types: the fields of a value, a merge, a removal, and two that bring sets in line with types.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::element;
use super::fields::{self, FieldSet, put};
use super::typed::{At, Shape, Types};
use crate::model::schema::ListTy;

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

#[derive(Default)]
struct Entry<'v> {
    first: Option<&'v Value>,
    repeats: bool,
}
