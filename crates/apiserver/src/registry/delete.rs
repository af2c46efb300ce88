//! Deleting one object or a collection (X1, X2): grace, finalizers, preconditions, propagation.

use serde_json::{Value, json};

use super::call::{Call, Outcome};
use super::commit::{self, Refused};
use super::list::list;
use super::view::view;
use crate::admit;
use crate::kinds;
use crate::model::clock;
use crate::model::object::Object;
use crate::model::status::ApiStatus;
use crate::request::{DeleteOptions, ListOptions, Propagation};
use crate::store::{Expect, Key, Op, Record, Write};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const TRIES: usize = 6;

/// Whether a deleting object still has to stay: finalizers, grace, or its kind's own reason.
pub fn is_held(call: &Call<'_>, object: &Value) -> bool {
    let grace = object.at(&["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(0);
    !object.finalizers().is_empty() || grace > 0 || kinds::held(&call.resource, object)
}

fn check_preconditions(call: &Call<'_>, live: &Value, options: &DeleteOptions) -> Result<(), ApiStatus> {
    let subject = call.subject(live.meta("name"));
    if let Some(uid) = &options.uid
        && uid != live.meta("uid")
    {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            live.meta("uid")
        );
        return Err(ApiStatus::conflict(subject, &why));
    }
    if let Some(rv) = &options.resource_version
        && rv != live.meta("resourceVersion")
    {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {rv}, ResourceVersion in object meta: {}",
            live.meta("resourceVersion")
        );
        return Err(ApiStatus::conflict(subject, &why));
    }
    Ok(())
}

/// Finalizers after the asked-for propagation is written into them.
fn propagate(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let mut finalizers: Vec<String> = object
        .finalizers()
        .into_iter()
        .filter(|f| *f != ORPHAN && *f != FOREGROUND)
        .map(str::to_owned)
        .collect();
    match propagation {
        Propagation::Orphan => finalizers.push(ORPHAN.into()),
        Propagation::Foreground => finalizers.push(FOREGROUND.into()),
        Propagation::Background => {}
    }
    if finalizers.is_empty() {
        object.unset_meta("finalizers");
    } else {
        object.set_meta("finalizers", finalizers);
    }
}

/// Marks an object as deleting; `None` when nothing changes.
fn mark(call: &Call<'_>, live: &Value, options: &DeleteOptions) -> Option<Value> {
    let mut object = live.clone();
    let grace = kinds::grace(&call.resource, live, options.grace);
    let current = live.at(&["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64);
    if !live.is_deleting() {
        propagate(&mut object, options.propagation);
        object.set_meta("deletionTimestamp", clock::now_plus(grace));
        object.set_meta("deletionGracePeriodSeconds", grace);
        if call.resource.generation {
            object.set_meta("generation", live.generation() + 1);
        }
        kinds::begin_delete(&call.resource, &mut object);
        return Some(object);
    }
    if current.is_some_and(|c| grace < c) {
        object.set_meta("deletionTimestamp", clock::now_plus(grace));
        object.set_meta("deletionGracePeriodSeconds", grace);
        return Some(object);
    }
    None
}

/// Removes the object; its last state goes out with the event.
pub async fn remove(call: &Call<'_>, key: Key, rv: u64, last: Value) -> Result<Outcome, Refused> {
    let write = Write {
        key,
        expect: Expect::Rv(rv),
        op: Op::Delete { last: Some(storage_form(call, last.clone())) },
    };
    let side = kinds::release(call, &last).await;
    commit::commit(call, write, side).await?;
    kinds::committed(call, None);
    Ok(Outcome::ok(last))
}

fn storage_form(call: &Call<'_>, object: Value) -> Value {
    super::view::to_version(&call.resource, object, &call.resource.storage)
}

fn success(call: &Call<'_>, object: &Value) -> Outcome {
    let mut details =
        json!({"name": object.meta("name"), "kind": &*call.resource.plural, "uid": object.meta("uid")});
    if !call.gvk().group.is_empty() {
        details["group"] = (*call.gvk().group).into();
    }
    Outcome::ok(json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "details": details,
    }))
}

async fn attempt_once(call: &Call<'_>, record: &Record, options: &DeleteOptions) -> Result<Outcome, Refused> {
    let live = view(&call.resource, record);
    let key = call.key(live.meta("namespace"), live.meta("name"));
    check_preconditions(call, &live, options).map_err(Refused::Status)?;
    admit::validate(call, admit::Operation::Delete, None, Some(&live)).await.map_err(Refused::Status)?;
    let marked = mark(call, &live, options);
    let object = marked.as_ref().unwrap_or(&live);
    if is_held(call, object) {
        let Some(object) = marked else { return Ok(Outcome::ok(live)) };
        if options.dry_run {
            return Ok(Outcome::ok(object));
        }
        let expect = Expect::Rv(record.rv());
        let rv = commit::store(call, key, object.clone(), expect, kinds::SideEffects::default()).await?;
        kinds::committed(call, Some(&object));
        return Ok(Outcome::ok(commit::stored(object, rv)));
    }
    if !options.dry_run {
        let last = live.clone();
        remove(call, key, record.rv(), last).await?;
    }
    if kinds::returns_deleted(&call.resource) { Ok(Outcome::ok(live)) } else { Ok(success(call, &live)) }
}

/// Deletes the object that the call names.
pub async fn delete(call: &Call<'_>, options: &DeleteOptions) -> Result<Outcome, ApiStatus> {
    let key = call.key(&call.target.namespace, &call.target.name);
    for _ in 0..TRIES {
        let Some(record) = call.tenant.store.snapshot().get(&key) else { return Err(call.not_found()) };
        match attempt_once(call, &record, options).await {
            Ok(done) => return Ok(done),
            Err(Refused::Raced) => {}
            Err(Refused::Status(status)) => return Err(status),
        }
    }
    Err(ApiStatus::modified(call.subject(&call.target.name)))
}

/// Deletes what selectors and limit take, one by one; gives the list as it was.
pub async fn delete_collection(
    call: &Call<'_>,
    options: &DeleteOptions,
    selection: &ListOptions,
) -> Result<Value, ApiStatus> {
    let page = list(call, selection).await?;
    let mut items = Vec::with_capacity(page.records.len());
    for (name, record) in page.records {
        call.turn.sit().await?;
        let mut one = call.clone();
        one.target.namespace = name.namespace().to_owned();
        one.target.name = name.name().to_owned();
        match delete(&one, options).await {
            Ok(_) => items.push(view(&call.resource, &record)),
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    Ok(json!({
        "apiVersion": call.gvk().api_version(), "kind": call.resource.list_kind(),
        "metadata": {"resourceVersion": call.tenant.store.current_rv().to_string()}, "items": items,
    }))
}
