//! One change of one object, as history keeps it and watchers share it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::key::Key;
use super::record::Record;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was made.
    Added,
    /// It was changed.
    Modified,
    /// It was removed.
    Deleted,
}

/// A change. Watchers of one event share its encodings (W7).
pub struct Event {
    /// RV of the change.
    pub rv: u64,
    /// Number of the change in its shard; only system identities may see it (K5).
    pub seq: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// To which object.
    pub key: Key,
    /// The state to show: the new one, or the last one of a deleted object, carrying the deletion's RV.
    pub new: Record,
    /// The state before, `None` for a new object.
    pub prev: Option<Record>,
    /// When, on the clock of the store, in milliseconds.
    pub(super) at: u64,
    forms: Mutex<Forms>,
}

#[derive(Default)]
struct Forms {
    /// Old events are encoded anew for the few who lag, so that history does not hold everything twice.
    cold: bool,
    made: Vec<(u32, Bytes)>,
}

/// What an event costs in history beside the bodies it holds.
const OVERHEAD: usize = 256;

impl Event {
    /// The bytes of this event in a form: made once, then shared. `form` names the form (and, where it
    /// matters, the type shown); the caller gives its own numbers their meaning.
    pub fn encoded(&self, form: u32, make: impl FnOnce(&Event) -> Bytes) -> Bytes {
        let mut forms = self.forms.lock();
        if let Some((_, bytes)) = forms.made.iter().find(|(made, _)| *made == form) {
            return bytes.clone();
        }
        if forms.cold {
            drop(forms);
            return make(self);
        }
        // Held while encoding: whoever comes at the same time waits for the one encoding.
        let bytes = make(self);
        forms.made.push((form, bytes.clone()));
        bytes
    }

    /// Drops the shared encodings and makes no more.
    pub(super) fn cool(&self) {
        *self.forms.lock() = Forms { cold: true, made: Vec::new() };
    }

    /// Bytes by which history grows with this event: the new state is the store's own.
    pub(super) fn cost(&self) -> usize {
        let last = match self.kind {
            ChangeKind::Deleted => self.new.size(),
            ChangeKind::Added | ChangeKind::Modified => 0,
        };
        self.prev.as_ref().map_or(0, Record::size) + last + OVERHEAD
    }
}

/// A shared [`Event`].
#[derive(Clone)]
pub struct Change(Arc<Event>);

impl Change {
    pub(super) fn new(
        (rv, seq, at): (u64, u64, u64),
        kind: ChangeKind,
        key: Key,
        new: Record,
        prev: Option<Record>,
    ) -> Self {
        Self(Arc::new(Event { rv, seq, kind, key, new, prev, at, forms: Mutex::default() }))
    }
}

impl Deref for Change {
    type Target = Event;
    fn deref(&self) -> &Event {
        &self.0
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} at {}", self.kind, self.key, self.rv)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Index;
    use std::cell::Cell;

    #[test]
    fn an_event_is_encoded_once_per_form_until_it_is_cold() {
        let record = Record::from_tree(&serde_json::json!({}), Index::default());
        let change =
            Change::new((2, 1, 0), ChangeKind::Added, Key::new("/pods".into(), "a", "b"), record, None);
        let made = Cell::new(0);
        let encode = |form| {
            change.encoded(form, |event| {
                made.set(made.get() + 1);
                Bytes::from(format!("{form} {}", event.rv))
            })
        };
        assert_eq!((encode(1), encode(1), encode(2)), ("1 2".into(), "1 2".into(), "2 2".into()));
        assert_eq!(made.get(), 2);
        change.cool();
        assert_eq!((encode(1), encode(1)), ("1 2".into(), "1 2".into()));
        assert_eq!(made.get(), 4);
    }
}
