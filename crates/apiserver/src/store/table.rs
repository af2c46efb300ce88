//! Persistent maps of one resource and the root of one tenant: a new version shares what did not change (K10).

use std::ops::Bound;
use std::slice;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::shared_ptr::DefaultSharedPtr;

use super::key::NsName;
use super::record::Record;
use crate::model::gvk::ResourceId;

/// What a tenant says of its own about an object.
#[derive(Clone)]
pub(super) enum Slot {
    Live(Record),
    /// The tenant deleted an object of the base image.
    Whiteout,
}

impl Slot {
    pub fn live(&self) -> Option<&Record> {
        match self {
            Self::Live(record) => Some(record),
            Self::Whiteout => None,
        }
    }
}

/// Up to this many rows are a sorted array.
const FEW: usize = 32;

#[derive(Clone)]
enum Rows {
    Few(Arc<Vec<(NsName, Slot)>>),
    Many(OrdMap<NsName, Slot>),
}

/// The rows of one resource that a tenant has stored.
#[derive(Clone)]
pub(super) struct Table {
    rows: Rows,
    /// Rows that show an object.
    live: usize,
    /// Rows that stand for one of the base image.
    over_base: usize,
    /// RV of the last write to this resource, 0 when there was none.
    pub last_rv: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self { rows: Rows::Few(Arc::default()), live: 0, over_base: 0, last_rv: 0 }
    }
}

impl Table {
    pub fn get(&self, name: &NsName) -> Option<&Slot> {
        match &self.rows {
            Rows::Few(rows) => rows.binary_search_by(|row| row.0.cmp(name)).ok().map(|at| &rows[at].1),
            Rows::Many(rows) => rows.get(name),
        }
    }

    /// Objects visible when the base image has `base` of them.
    pub fn visible(&self, base: usize) -> usize {
        (self.live + base).saturating_sub(self.over_base)
    }

    /// Puts or (with `None`) removes a row; gives the row that was there.
    pub fn set(&mut self, name: &NsName, slot: Option<Slot>, in_base: bool) -> Option<Slot> {
        let is_live = slot.as_ref().is_some_and(|slot| slot.live().is_some());
        let is_some = slot.is_some();
        let old = match slot {
            Some(slot) => self.put(name, slot),
            None => self.remove(name),
        };
        let was_live = old.as_ref().is_some_and(|slot| slot.live().is_some());
        self.live = self.live + usize::from(is_live) - usize::from(was_live);
        if in_base {
            self.over_base = self.over_base + usize::from(is_some) - usize::from(old.is_some());
        }
        old
    }

    fn put(&mut self, name: &NsName, slot: Slot) -> Option<Slot> {
        match &mut self.rows {
            Rows::Few(rows) => match rows.binary_search_by(|row| row.0.cmp(name)) {
                Ok(at) => Some(std::mem::replace(&mut Arc::make_mut(rows)[at].1, slot)),
                Err(at) if rows.len() < FEW => {
                    Arc::make_mut(rows).insert(at, (name.clone(), slot));
                    None
                }
                Err(_) => {
                    let mut many: OrdMap<_, _> = rows.iter().cloned().collect();
                    many.insert(name.clone(), slot);
                    self.rows = Rows::Many(many);
                    None
                }
            },
            Rows::Many(rows) => rows.insert(name.clone(), slot),
        }
    }

    fn remove(&mut self, name: &NsName) -> Option<Slot> {
        match &mut self.rows {
            Rows::Few(rows) => {
                let at = rows.binary_search_by(|row| row.0.cmp(name)).ok()?;
                Some(Arc::make_mut(rows).remove(at).1)
            }
            Rows::Many(rows) => {
                let old = rows.remove(name);
                // Half of the limit, so that a table at the limit does not change form at every write.
                if rows.len() <= FEW / 2 {
                    let few = rows.iter().map(|(name, slot)| (name.clone(), slot.clone())).collect();
                    self.rows = Rows::Few(Arc::new(few));
                }
                old
            }
        }
    }

    pub fn iter_from(&self, from: &Bound<NsName>) -> RowIter<'_> {
        match &self.rows {
            Rows::Few(rows) => {
                let start = match from {
                    Bound::Included(name) => rows.partition_point(|row| row.0 < *name),
                    Bound::Excluded(name) => rows.partition_point(|row| row.0 <= *name),
                    Bound::Unbounded => 0,
                };
                RowIter::Few(rows[start..].iter())
            }
            Rows::Many(rows) => RowIter::Many(rows.range((from.clone(), Bound::Unbounded))),
        }
    }
}

pub(super) enum RowIter<'a> {
    Few(slice::Iter<'a, (NsName, Slot)>),
    Many(imbl::ordmap::RangedIter<'a, NsName, Slot, DefaultSharedPtr>),
}

impl<'a> Iterator for RowIter<'a> {
    type Item = (&'a NsName, &'a Slot);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(rows) => rows.next().map(|row| (&row.0, &row.1)),
            Self::Many(rows) => rows.next(),
        }
    }
}

/// Everything a tenant has stored, at one RV.
#[derive(Clone)]
pub(super) struct Root {
    pub rv: u64,
    pub objects: u64,
    pub bytes: u64,
    /// In order of the resources.
    tables: Vec<(ResourceId, Arc<Table>)>,
}

impl Root {
    /// The root of a tenant that has written nothing.
    pub fn new(rv: u64) -> Self {
        Self { rv, objects: 0, bytes: 0, tables: Vec::new() }
    }

    /// A root that shows one resource only.
    pub fn of_one(rv: u64, resource: ResourceId, table: Table) -> Self {
        Self { rv, objects: 0, bytes: 0, tables: vec![(resource, Arc::new(table))] }
    }

    fn place(&self, resource: &ResourceId) -> Result<usize, usize> {
        self.tables.binary_search_by(|(id, _)| id.cmp(resource))
    }

    pub fn table(&self, resource: &ResourceId) -> Option<&Arc<Table>> {
        self.place(resource).ok().map(|at| &self.tables[at].1)
    }

    pub fn table_mut(&mut self, resource: &ResourceId) -> &mut Table {
        let at = self.place(resource).unwrap_or_else(|at| {
            self.tables.insert(at, (resource.clone(), Arc::default()));
            at
        });
        Arc::make_mut(&mut self.tables[at].1)
    }

    pub fn resources(&self) -> impl Iterator<Item = (&ResourceId, &Arc<Table>)> {
        self.tables.iter().map(|(id, table)| (id, table))
    }

    /// Sets a row, written at `rv`, and keeps the tenant's usage.
    pub fn set(&mut self, resource: &ResourceId, name: &NsName, slot: Option<Slot>, in_base: bool, rv: u64) {
        let added = slot.as_ref().and_then(Slot::live).map(Record::size);
        let table = self.table_mut(resource);
        let old = table.set(name, slot, in_base);
        table.last_rv = rv;
        let removed = old.as_ref().and_then(Slot::live).map(Record::size);
        self.objects = self.objects + u64::from(added.is_some()) - u64::from(removed.is_some());
        self.bytes = self.bytes + added.unwrap_or_default() as u64 - removed.unwrap_or_default() as u64;
        self.rv = rv;
    }
}
