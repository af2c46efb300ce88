//! A tenant's objects at one RV. Reading takes no lock (K10).

use std::ops::Bound;
use std::sync::Arc;

use super::base::{BASE_RV, Layered};
use super::key::{Key, NsName};
use super::record::Record;
use super::table::{Root, RowIter};
use crate::model::gvk::ResourceId;

/// One consistent state. Cheap to clone; it keeps alive only what has changed since.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) root: Arc<Root>,
    pub(super) layer: Arc<Layered>,
}

impl Snapshot {
    /// The RV of this state, at least 1.
    pub fn rv(&self) -> u64 {
        self.root.rv
    }

    /// RV of the last write to a resource, 1 when there was none.
    pub fn last_rv(&self, resource: &ResourceId) -> u64 {
        self.root.table(resource).map_or(BASE_RV, |table| table.last_rv.max(BASE_RV))
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<Record> {
        visible(&self.root, &self.layer, key)
    }

    /// Objects of a resource in order of `ns/name`: of one namespace or of all, after a name or from the first.
    pub fn list<'a>(
        &'a self,
        resource: &ResourceId,
        prefix_ns: Option<&str>,
        start_after: Option<&NsName>,
    ) -> List<'a> {
        let prefix = prefix_ns.map(|namespace| NsName::new(namespace, ""));
        let after_prefix = match (&prefix, start_after) {
            (Some(prefix), Some(after)) => after >= prefix,
            (None, Some(_)) => true,
            _ => false,
        };
        let from = match (&prefix, start_after) {
            (_, Some(after)) if after_prefix => Bound::Excluded(after.clone()),
            (Some(prefix), _) => Bound::Included(prefix.clone()),
            (None, _) => Bound::Unbounded,
        };
        let place = match &from {
            Bound::Unbounded => 0,
            Bound::Included(name) => self.layer.place_of(resource, name, true),
            Bound::Excluded(name) => self.layer.place_of(resource, name, false),
        };
        let own = self.root.table(resource).map(|table| table.iter_from(&from));
        List { layer: &self.layer, resource: resource.clone(), prefix, own, held: None, place }
    }

    /// Number of objects of a resource.
    pub fn count(&self, resource: &ResourceId) -> usize {
        let base = self.layer.count(resource);
        self.root.table(resource).map_or(base, |table| table.visible(base))
    }

    /// Resources that have objects, in order.
    pub fn resources(&self) -> Vec<ResourceId> {
        let mut all: Vec<_> = self.layer.resources().cloned().collect();
        all.extend(self.root.resources().map(|(id, _)| id.clone()));
        all.sort();
        all.dedup();
        all.retain(|id| self.count(id) > 0);
        all
    }
}

pub(super) fn visible(root: &Root, layer: &Layered, key: &Key) -> Option<Record> {
    match root.table(&key.resource).and_then(|table| table.get(&key.name)) {
        Some(slot) => slot.live().cloned(),
        None => layer.get(&key.resource, &key.name),
    }
}

/// Objects of a list: the tenant's own merged with the base image.
pub struct List<'a> {
    layer: &'a Layered,
    resource: ResourceId,
    prefix: Option<NsName>,
    own: Option<RowIter<'a>>,
    held: Option<(&'a NsName, Option<&'a Record>)>,
    place: usize,
}

/// Where the next object of a list comes from.
enum Next<'a> {
    Own(&'a NsName, &'a Record),
    Base(&'a NsName, usize),
}

impl<'a> List<'a> {
    /// Number of objects left, without reading any.
    pub fn remaining(mut self) -> usize {
        let mut count = 0;
        while self.step().is_some() {
            count += 1;
        }
        count
    }

    fn step(&mut self) -> Option<Next<'a>> {
        let next = self.step_any()?;
        let (Next::Own(name, _) | Next::Base(name, _)) = &next;
        let inside = self.prefix.as_ref().is_none_or(|prefix| name.as_str().starts_with(prefix.as_str()));
        inside.then_some(next)
    }

    fn step_any(&mut self) -> Option<Next<'a>> {
        loop {
            if self.held.is_none() {
                self.held =
                    self.own.as_mut().and_then(Iterator::next).map(|(name, slot)| (name, slot.live()));
            }
            let base = self.layer.name_at(&self.resource, self.place);
            match (self.held, base) {
                (None, None) => return None,
                (Some((own, _)), Some(base)) if base < own => {
                    self.place += 1;
                    return Some(Next::Base(base, self.place - 1));
                }
                (None, Some(base)) => {
                    self.place += 1;
                    return Some(Next::Base(base, self.place - 1));
                }
                (Some((own, record)), base) => {
                    self.held = None;
                    if base == Some(own) {
                        self.place += 1;
                    }
                    if let Some(record) = record {
                        return Some(Next::Own(own, record));
                    }
                }
            }
        }
    }
}

impl Iterator for List<'_> {
    type Item = (NsName, Record);

    fn next(&mut self) -> Option<Self::Item> {
        match self.step()? {
            Next::Own(name, record) => Some((name.clone(), record.clone())),
            Next::Base(name, place) => Some((name.clone(), self.layer.record_at(&self.resource, place)?)),
        }
    }
}
