//! What of a resource a request is about: namespace, name, label and field selectors (F1).

use std::borrow::Cow;

use serde_json::Value;

use super::call::Call;
use crate::model::resource::{Resource, Selectable};
use crate::model::selector::{FieldSelector, LabelSelector};
use crate::model::status::ApiStatus;
use crate::request::{ListOptions, ResourcePath};
use crate::store::{Change, ChangeKind, NsName, Record};

/// A part of the objects of one resource.
#[derive(Clone, Debug)]
pub struct Selection {
    namespace: String,
    name: String,
    labels: LabelSelector,
    fields: FieldSelector,
    selectable: Vec<Selectable>,
}

/// What somebody who looks at a selection sees of a change (W3).
#[derive(Clone, Debug)]
pub enum Seen {
    /// The new state, or the last one of a deleted object, as an event of this type.
    Now(&'static str),
    /// The object left: DELETED, with the state before at the version of the change.
    Left(Record),
}

impl Selection {
    /// What the path of a list or watch and its selectors name.
    pub fn of(call: &Call<'_>, options: &ListOptions) -> Result<Self, ApiStatus> {
        let selectors = (options.labels.clone(), options.fields.clone());
        Self::new(Some(&call.resource), &call.target, selectors)
    }

    /// The same without a call; `None` for a resource of which nothing more is known than its path. A field that the
    /// resource cannot be selected on is a 400.
    pub fn new(
        resource: Option<&Resource>,
        target: &ResourcePath,
        (labels, fields): (LabelSelector, FieldSelector),
    ) -> Result<Self, ApiStatus> {
        let selectable = resource.map_or(&[][..], |resource| &resource.selectable);
        let knows = |field: &str| {
            matches!(field, "metadata.name" | "metadata.namespace")
                || selectable.iter().any(|s| &*s.label == field)
        };
        fields.check(knows).map_err(|error| ApiStatus::bad_request(error.to_string()))?;
        let is_namespaced = resource.is_none_or(|resource| resource.namespaced);
        let namespace = if is_namespaced { target.namespace.clone() } else { String::new() };
        let selectable = if fields.is_empty() { Vec::new() } else { selectable.to_vec() };
        Ok(Self { namespace, name: target.name.clone(), labels, fields, selectable })
    }

    /// The namespace, unless all are meant.
    pub fn namespace(&self) -> Option<&str> {
        Some(self.namespace.as_str()).filter(|namespace| !namespace.is_empty())
    }

    /// Whether nothing but a namespace narrows it.
    pub fn is_whole(&self) -> bool {
        self.name.is_empty() && self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is part of it. Fields that were not indexed when the object was written are read from it.
    pub fn takes(&self, name: &NsName, record: &Record) -> bool {
        (self.namespace.is_empty() || name.namespace() == self.namespace)
            && (self.name.is_empty() || name.name() == self.name)
            && (self.labels.is_empty() || self.labels.matches(|key| record.index().label(key)))
            && (self.fields.is_empty() || self.takes_fields(name, record))
    }

    fn takes_fields(&self, name: &NsName, record: &Record) -> bool {
        let mut tree: Option<Value> = None;
        self.fields.matches(|label| match label {
            "metadata.name" => Cow::Borrowed(name.name()),
            "metadata.namespace" => Cow::Borrowed(name.namespace()),
            label => {
                let Some(field) = self.selectable.iter().find(|s| &*s.label == label) else {
                    return Cow::Borrowed("");
                };
                match record.index().field(&field.path) {
                    Some(value) => Cow::Borrowed(value),
                    None => Cow::Owned(field.value(tree.get_or_insert_with(|| record.tree())).into()),
                }
            }
        })
    }

    /// What is seen of a change, if anything.
    pub fn sees(&self, change: &Change) -> Option<Seen> {
        let name = &change.key.name;
        let before = change.prev.as_ref().map(|prev| self.takes(name, prev));
        if change.kind == ChangeKind::Deleted {
            let was_there = before.unwrap_or_else(|| self.takes(name, &change.new));
            return was_there.then_some(Seen::Now("DELETED"));
        }
        match (before.unwrap_or(false), self.takes(name, &change.new)) {
            (false, true) => Some(Seen::Now("ADDED")),
            (true, true) => Some(Seen::Now("MODIFIED")),
            (true, false) => change.prev.as_ref().map(|prev| Seen::Left(prev.with_rv(change.rv))),
            (false, false) => None,
        }
    }
}
