//! A watch as a stream of frames. There is no task and no queue behind it: it holds a cursor into history and moves
//! only when the connection takes a frame (W6).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream;
use rand::Rng;
use tokio::time::Instant;

use super::frame::{self, Shape};
use crate::model::resource::Resource;
use crate::model::status::ApiStatus;
use crate::registry::{Call, Seen, Selection, wait_for};
use crate::request::{Accept, Form, ListOptions};
use crate::store::{Change, Cursor, CursorEnd, NsName, Record};

const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
const DEFAULT_SECONDS: std::ops::Range<u64> = 1800..3600;

/// What a watcher asked for.
#[derive(Debug)]
pub struct WatchRequest {
    /// Selectors, version, bookmarks.
    pub options: ListOptions,
    /// Projection.
    pub accept: Accept,
    /// `includeObject` of Tables.
    pub include: String,
}

struct Watch {
    resource: Arc<Resource>,
    request: WatchRequest,
    selection: Selection,
    initial: std::vec::IntoIter<(NsName, Record)>,
    /// Version at which initial events end with a bookmark.
    initial_end: Option<u64>,
    cursor: Cursor,
    with_columns: bool,
    deadline: Instant,
    bookmark_at: Instant,
    done: bool,
}

/// Where the watch begins: initial objects, and the version after which events follow.
async fn start(
    call: &Call<'_>,
    options: &ListOptions,
    selection: &Selection,
) -> Result<(Vec<(NsName, Record)>, u64, bool), ApiStatus> {
    let store = &call.tenant.store;
    let initial = match (options.initial_events, options.rv) {
        (Some(wanted), _) => wanted,
        (None, None | Some(0)) => true,
        (None, Some(_)) => false,
    };
    if let Some(rv) = options.rv.filter(|rv| *rv > 0) {
        if options.initial_events == Some(true) {
            wait_for(call, rv).await?;
        } else if !initial {
            return Ok((Vec::new(), rv, false));
        }
    }
    let snapshot = store.snapshot();
    if !initial {
        return Ok((Vec::new(), snapshot.rv(), false));
    }
    let objects = snapshot
        .list(&call.resource.id, selection.namespace(), None)
        .filter(|(name, record)| selection.takes(name, record))
        .collect();
    Ok((objects, snapshot.rv(), options.initial_events == Some(true)))
}

/// The stream of a watch. A version that is forgotten gives one ERROR frame (W2).
pub async fn stream(
    call: &Call<'_>,
    request: WatchRequest,
) -> Result<impl Stream<Item = Bytes> + Send + 'static, ApiStatus> {
    let selection = Selection::of(call, &request.options)?;
    let (initial, from, mark_end) = start(call, &request.options, &selection).await?;
    let seconds = request.options.timeout.unwrap_or_else(|| rand::rng().random_range(DEFAULT_SECONDS));
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let first = match call.tenant.store.watch(&call.resource.id, from) {
        Ok(cursor) => Ok(Watch {
            resource: call.resource.clone(),
            selection,
            initial: initial.into_iter(),
            initial_end: mark_end.then_some(from),
            cursor,
            with_columns: true,
            deadline,
            bookmark_at: next_bookmark(deadline),
            done: false,
            request,
        }),
        Err(forgotten) => Err(too_old(from, forgotten.floor)),
    };
    Ok(stream::unfold(Some(first), |state| async move {
        match state? {
            Ok(mut watch) => watch.next().await.map(|frame| (frame, Some(Ok(watch)))),
            Err(status) => Some((frame::error(&status), None)),
        }
    }))
}

fn too_old(rv: u64, floor: u64) -> ApiStatus {
    ApiStatus::expired(format!("too old resource version: {rv} ({floor})"))
}

fn next_bookmark(deadline: Instant) -> Instant {
    let jitter = Duration::from_millis(rand::rng().random_range(0..2000));
    let regular = Instant::now() + BOOKMARK_EVERY + jitter;
    let last = deadline.checked_sub(BOOKMARK_BEFORE_END).unwrap_or(deadline);
    if last > Instant::now() { regular.min(last) } else { regular }
}

impl Watch {
    fn shape(&mut self) -> Shape {
        let with_columns = std::mem::replace(&mut self.with_columns, false);
        Shape { accept: self.request.accept, with_columns }
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        if let Some((_, record)) = self.initial.next() {
            let shape = self.shape();
            return Some(frame::event(&self.resource, "ADDED", &record, shape, &self.request.include));
        }
        if let Some(rv) = self.initial_end.take() {
            return Some(frame::bookmark(&self.resource, rv, true, self.request.accept.form));
        }
        self.live().await
    }

    async fn live(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                change = self.cursor.next() => match change {
                    Ok(change) => {
                        if let Some(frame) = self.frame_of(&change) {
                            return Some(frame);
                        }
                    }
                    Err(end) => return Some(self.end(end)),
                },
                () = tokio::time::sleep_until(self.deadline) => return None,
                () = tokio::time::sleep_until(self.bookmark_at) => {
                    self.bookmark_at = next_bookmark(self.deadline);
                    if self.request.options.bookmarks {
                        let rv = self.cursor.position();
                        return Some(frame::bookmark(&self.resource, rv, false, self.request.accept.form));
                    }
                }
            }
        }
    }

    fn end(&mut self, end: CursorEnd) -> Bytes {
        self.done = true;
        let status = match end {
            CursorEnd::Forgotten(forgotten) => too_old(self.cursor.position(), forgotten.floor),
            CursorEnd::TenantGone => ApiStatus::expired("the virtual cluster is being deleted"),
            CursorEnd::Failed => ApiStatus::unavailable("storage has failed"),
        };
        frame::error(&status)
    }

    /// What this watcher sees of a change (W3).
    fn frame_of(&mut self, change: &Change) -> Option<Bytes> {
        let kind = match self.selection.sees(change)? {
            Seen::Now(kind) => kind,
            Seen::Left(record) => {
                let shape = self.shape();
                return Some(frame::event(&self.resource, "DELETED", &record, shape, &self.request.include));
            }
        };
        let shape = self.shape();
        let include = self.request.include.clone();
        let resource = self.resource.clone();
        let encode = |record: &Record| frame::event(&resource, kind, record, shape, &include);
        Some(match shared_form(&resource, shape, &include, kind) {
            Some(form) => change.encoded(form, |event| encode(&event.new)),
            None => encode(&change.new),
        })
    }
}

/// Number of a form whose bytes all its watchers share; `None` where a stream's own state shapes them.
fn shared_form(resource: &Resource, shape: Shape, include: &str, kind: &str) -> Option<u32> {
    let is_storage = resource.gvk == resource.storage;
    let base = match shape.accept.form {
        Form::Object => 0,
        Form::Partial("v1") => 4,
        Form::Table("v1") if !shape.with_columns && include.is_empty() => 8,
        _ => return None,
    };
    let verb = match kind {
        "ADDED" => 0,
        "MODIFIED" => 1,
        _ => 2,
    };
    is_storage.then_some(base + verb)
}
