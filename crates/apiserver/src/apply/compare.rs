//! What two states of an object differ in, along their types.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::element;
use super::fields::{FieldSet, put};
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

impl Diff {
    fn put_member(&mut self, name: &str, below: Diff, own: Option<Mark>) {
        if own.is_none() && below.removed.is_empty() && below.modified.is_empty() && below.added.is_empty() {
            return;
        }
        self.put(&element::field(name), below, own);
    }
}

impl<'s> Types<'s> {
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
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
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
}
