//! Listing: versions, pages, selectors (L1-L3).

use super::call::Call;
use super::page::Token;
use super::selection::Selection;
use crate::model::status::ApiStatus;
use crate::request::{ListOptions, Match};
use crate::store::{NsName, PastError, Record, Snapshot};

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// Version of the list.
    pub rv: u64,
    /// Records that the selectors took.
    pub records: Vec<(NsName, Record)>,
    /// Where to go on, empty at the end.
    pub next: String,
    /// How many are left, where that is known.
    pub remaining: Option<usize>,
}

/// How long a list waits for a version that is not there yet.
const FUTURE_WAIT: std::time::Duration = std::time::Duration::from_secs(3);

/// Waits for a version of the future; 504 if it does not come.
pub async fn wait_for(call: &Call<'_>, rv: u64) -> Result<(), ApiStatus> {
    let store = &call.tenant.store;
    if store.wait_for(rv, FUTURE_WAIT).await {
        Ok(())
    } else {
        Err(ApiStatus::rv_too_large(rv, store.current_rv()))
    }
}

fn expired(token: &Token) -> ApiStatus {
    let mut status = ApiStatus::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    status.continue_token = Token::new(-1, &token.after()).encode();
    status
}

struct Position {
    snapshot: Snapshot,
    after: Option<NsName>,
}

fn at_version(call: &Call<'_>, rv: u64) -> Result<Snapshot, ApiStatus> {
    call.tenant.store.snapshot_at(rv, &call.resource.id).map_err(|error| match error {
        PastError::Forgotten(forgotten) => {
            ApiStatus::expired(format!("too old resource version: {rv} ({})", forgotten.floor))
        }
        PastError::Future { .. } => ApiStatus::rv_too_large(rv, call.tenant.store.current_rv()),
    })
}

async fn position(call: &Call<'_>, options: &ListOptions) -> Result<Position, ApiStatus> {
    let store = &call.tenant.store;
    if !options.continue_token.is_empty() {
        if options.rv.is_some_and(|rv| rv > 0) {
            return Err(ApiStatus::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let token = Token::decode(&options.continue_token)?;
        let snapshot = match u64::try_from(token.rv) {
            Ok(rv) => store.snapshot_at(rv, &call.resource.id).map_err(|_| expired(&token))?,
            Err(_) => store.snapshot(),
        };
        return Ok(Position { snapshot, after: Some(token.after()) });
    }
    let snapshot = match (options.rv, options.rv_match) {
        (Some(rv), Match::Exact) => {
            wait_for(call, rv).await?;
            at_version(call, rv)?
        }
        (Some(rv), Match::Unset) if options.limit > 0 && rv > 0 => {
            wait_for(call, rv).await?;
            at_version(call, rv)?
        }
        (Some(rv), _) => {
            wait_for(call, rv).await?;
            store.snapshot()
        }
        (None, _) => store.snapshot(),
    };
    Ok(Position { snapshot, after: None })
}

/// One page. The namespace is the call's; empty lists all.
pub async fn list(call: &Call<'_>, options: &ListOptions) -> Result<Page, ApiStatus> {
    let selection = Selection::of(call, options)?;
    let at = position(call, options).await?;
    let all = selection.is_whole();
    let mut taken = at
        .snapshot
        .list(&call.resource.id, selection.namespace(), at.after.as_ref())
        .filter(|(name, record)| all || selection.takes(name, record));
    let mut page = Page { rv: at.snapshot.rv(), records: Vec::new(), next: String::new(), remaining: None };
    if options.limit == 0 {
        page.records = taken.collect();
        return Ok(page);
    }
    page.records = taken.by_ref().take(options.limit).collect();
    if let (Some(_), Some((last, _))) = (taken.next(), page.records.last()) {
        page.next = Token::new(i64::try_from(page.rv).unwrap_or(-1), last).encode();
        page.remaining = all.then(|| 1 + taken.count());
        call.tenant.store.pin(&at.snapshot);
    }
    Ok(page)
}
