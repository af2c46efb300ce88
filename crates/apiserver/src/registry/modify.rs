//! Changing an object: replace, patches, server-side apply, on the main endpoint or a subresource (U2-U6, P1, A1).

use serde_json::Value;

use super::call::{Call, Outcome};
use super::commit::{self, Refused};
use super::create::{self, check_name, defaults, reset_fields, rv_required, validate};
use super::delete;
use super::ingest::{known_applied, known_patched};
use super::refusals::{of_apply, of_patch};
use super::view::view;
use crate::admit;
use crate::apply;
use crate::kinds;
use crate::model::clock;
use crate::model::object::Object;
use crate::model::schema::Ty;
use crate::model::status::{ApiStatus, Cause};
use crate::patch;
use crate::request::{FieldValidation, WriteOptions};
use crate::store::{BASE_RV, Expect, Record};

/// Form of a patch body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own.
    Strategic,
}

/// A pure step from the live object to the wanted one.
pub type Step<'a> = &'a (dyn Fn(&Value) -> Result<Value, ApiStatus> + Send + Sync);

/// What a request wants done.
#[derive(Clone)]
pub enum Change<'a> {
    /// PUT.
    Replace(Value),
    /// PATCH; with what field validation has against the patch itself.
    Patch(PatchKind, Value, Vec<String>),
    /// Server-side apply.
    Apply(Value),
    /// A step of the server's own (scale, approval, binding).
    With(Step<'a>),
}

/// How often a change that names no version is tried again.
const TRIES: usize = 6;

/// Carries a change out on the object that the call names.
pub async fn modify(
    call: &Call<'_>,
    change: Change<'_>,
    options: &WriteOptions,
) -> Result<Outcome, ApiStatus> {
    let key = call.key(&call.target.namespace, &call.target.name);
    for attempt in 1..=TRIES {
        let Some(record) = call.tenant.store.snapshot().get(&key) else {
            return absent(call, change, options).await;
        };
        match attempt_once(call, &record, &change, options).await {
            Ok(done) => return Ok(done),
            Err(Refused::Raced) if attempt < TRIES => {}
            Err(Refused::Raced) => return Err(ApiStatus::modified(call.subject(&call.target.name))),
            Err(Refused::Status(status)) => return Err(status),
        }
    }
    Err(ApiStatus::modified(call.subject(&call.target.name)))
}

async fn absent(call: &Call<'_>, change: Change<'_>, options: &WriteOptions) -> Result<Outcome, ApiStatus> {
    if !call.subresource().is_empty() {
        return Err(call.not_found());
    }
    match change {
        Change::Replace(mut object) if call.resource.create_on_update => {
            check_name(call, &mut object)?;
            if !object.meta("uid").is_empty() {
                let why = format!(
                    "Precondition failed: UID in precondition: {}, UID in object meta: ",
                    object.meta("uid")
                );
                return Err(ApiStatus::conflict(call.subject(&call.target.name), &why));
            }
            object.unset_meta("resourceVersion");
            create::create(call, object, options, false).await
        }
        Change::Apply(body) => {
            let uid = body.meta("uid");
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(ApiStatus::conflict(call.subject(&call.target.name), &why));
            }
            let mut object = applied(call, None, &body, options)?;
            object.unset_meta("resourceVersion");
            create::create(call, object, options, true).await
        }
        _ => Err(call.not_found()),
    }
}

/// The wanted object, and whether its resourceVersion was named by the client.
fn wanted(
    call: &Call<'_>,
    live: &Value,
    change: &Change<'_>,
    options: &WriteOptions,
) -> Result<Value, ApiStatus> {
    match change {
        Change::Replace(body) => {
            let mut object = body.clone();
            check_name(call, &mut object)?;
            Ok(object)
        }
        Change::Patch(kind, body, found) => patched(call, live, *kind, body, found, options.validation),
        Change::Apply(body) => applied(call, Some(live), body, options),
        Change::With(step) => step(live),
    }
}

fn patched(
    call: &Call<'_>,
    live: &Value,
    kind: PatchKind,
    body: &Value,
    found: &[String],
    validation: FieldValidation,
) -> Result<Value, ApiStatus> {
    let schema = &call.resource.schema;
    let result = match kind {
        PatchKind::Json => patch::json_patch(live, body),
        PatchKind::Merge => patch::merge_patch(live, body),
        PatchKind::Strategic => patch::strategic_merge(schema, &Ty::Struct(call.resource.root), live, body),
    };
    let mut object = result.map_err(|e| of_patch(call, &e))?;
    known_patched(call, &mut object, found, validation)?;
    check_name(call, &mut object)?;
    Ok(object)
}

/// Whether the object is still as the base image has it.
fn is_untouched(live: &Value) -> bool {
    live.meta("resourceVersion").parse() == Ok(BASE_RV)
}

fn applied(
    call: &Call<'_>,
    live: Option<&Value>,
    body: &Value,
    options: &WriteOptions,
) -> Result<Value, ApiStatus> {
    let mut body = body.clone();
    check_name(call, &mut body)?;
    if call.resource.namespaced {
        body.set_meta("namespace", call.target.namespace.as_str());
    }
    let done = apply::apply(apply::Apply {
        schema: &call.resource.schema,
        root: call.resource.root,
        live,
        applied: &body,
        manager: &options.field_manager,
        api_version: &call.gvk().api_version(),
        subresource: call.subresource(),
        // What the base image holds was never anybody's: it is taken without asking.
        force: options.force || live.is_some_and(is_untouched),
        now: &clock::now(),
        reset_fields: &reset_fields(call, call.subresource()),
    })
    .map_err(|e| of_apply(call, &e))?;
    let mut object = done.object;
    known_applied(call, &mut object)?;
    Ok(object)
}

/// Expectations that the client put into the object: uid and resourceVersion. Gives whether the version was named.
fn preconditions(call: &Call<'_>, new: &Value, live: &Value, change: &Change<'_>) -> Result<bool, ApiStatus> {
    let name = call.target.name.as_str();
    let (uid, live_uid) = (new.meta("uid"), live.meta("uid"));
    if !uid.is_empty() && uid != live_uid {
        return Err(match change {
            Change::Replace(_) => {
                let why = format!(
                    "Precondition failed: UID in precondition: {uid}, UID in object meta: {live_uid}"
                );
                ApiStatus::conflict(call.subject(name), &why)
            }
            _ => {
                let cause = Cause::invalid("metadata.uid", &uid.into(), "field is immutable");
                ApiStatus::invalid(call.gvk(), name, vec![cause])
            }
        });
    }
    let rv = new.meta("resourceVersion");
    match change {
        Change::With(_) => Ok(true),
        _ if rv.is_empty() || rv == "0" => match change {
            Change::Replace(_) if !call.resource.unconditional_update => Err(rv_required(call, name)),
            _ => Ok(false),
        },
        Change::Replace(_) if rv != live.meta("resourceVersion") => {
            Err(ApiStatus::modified(call.subject(name)))
        }
        _ if rv != live.meta("resourceVersion") => Err(ApiStatus::modified(call.subject(name))),
        Change::Replace(_) => Ok(true),
        // Patches start from the live object: an equal version says nothing unless the patch itself named it.
        Change::Patch(_, body, _) => Ok(body.at(&["metadata", "resourceVersion"]).is_some()),
        Change::Apply(body) => Ok(body.at(&["metadata", "resourceVersion"]).is_some()),
    }
}

/// Puts back what this endpoint may not change.
fn restore(call: &Call<'_>, new: &mut Value, live: &Value) {
    let paths: Vec<Vec<&str>> = call.resource.status_paths.iter().map(|p| p.split('.').collect()).collect();
    match call.subresource() {
        "" => {
            if call.resource.has_status {
                for path in &paths {
                    copy(new, live, path);
                }
            }
        }
        "status" => {
            let mut kept = live.clone();
            for path in &paths {
                copy(&mut kept, new, path);
            }
            copy(&mut kept, new, &["metadata", "managedFields"]);
            for field in with_status(call) {
                copy(&mut kept, new, &["metadata", field]);
            }
            *new = kept;
        }
        sub => kinds::restore(&call.resource, sub, new, live),
    }
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "selfLink",
    ] {
        copy(new, live, &["metadata", field]);
    }
    if call.resource.namespaced {
        copy(new, live, &["metadata", "namespace"]);
    }
    copy(new, live, &["metadata", "resourceVersion"]);
}

/// What of the metadata a write of the status may change: of built-in kinds notes and labels, as upstream lets it.
fn with_status(call: &Call<'_>) -> &'static [&'static str] {
    match &*call.resource.id {
        _ if call.resource.custom.is_some() => &[],
        id if id.starts_with("apiextensions.k8s.io/") || id.starts_with("flowcontrol.") => &[],
        "apps/deployments" => &["annotations"],
        _ => &["annotations", "labels"],
    }
}

fn copy(to: &mut Value, from: &Value, path: &[&str]) {
    match from.at(path) {
        Some(value) => to.put(path, value.clone()),
        None => {
            to.remove_at(path);
        }
    }
}

/// Whether anything but metadata and status differs.
fn spec_changed(call: &Call<'_>, new: &Value, live: &Value) -> bool {
    let strip = |object: &Value| {
        let mut object = object.clone();
        object.remove_at(&["metadata"]);
        if call.resource.has_status {
            for path in &call.resource.status_paths {
                object.remove_at(&path.split('.').collect::<Vec<_>>());
            }
        }
        object
    };
    strip(new) != strip(live)
}

async fn attempt_once(
    call: &Call<'_>,
    record: &Record,
    change: &Change<'_>,
    options: &WriteOptions,
) -> Result<Outcome, Refused> {
    let live = view(&call.resource, record);
    let mut new = wanted(call, &live, change, options).map_err(Refused::Status)?;
    let named = preconditions(call, &new, &live, change).map_err(Refused::Status)?;
    finish(call, record, &live, &mut new, change, options).await.map_err(Refused::Status)?;
    if apply::equal_ignoring_times(&new, &live) && !completes_deletion(call, &new, &live) {
        return Ok(Outcome::ok(live));
    }
    if options.dry_run {
        return Ok(Outcome::ok(new));
    }
    match write(call, record, &live, new).await {
        Err(Refused::Raced) if named && !matches!(change, Change::With(_)) => {
            Err(Refused::Status(ApiStatus::modified(call.subject(&call.target.name))))
        }
        other => other,
    }
}

fn completes_deletion(call: &Call<'_>, new: &Value, live: &Value) -> bool {
    new.is_deleting() && !delete::is_held(call, new) && delete::is_held(call, live)
}

/// Defaults, ownership, hooks, admission and validation of a changed object, in upstream's order: what hooks and
/// admission change belongs to nobody.
async fn finish(
    call: &Call<'_>,
    record: &Record,
    live: &Value,
    new: &mut Value,
    change: &Change<'_>,
    options: &WriteOptions,
) -> Result<(), ApiStatus> {
    if !matches!(change, Change::With(_)) {
        restore(call, new, live);
    }
    defaults(call, new);
    if !matches!(change, Change::Apply(_)) {
        let manager = call.manager(options);
        apply::update(apply::Update {
            schema: &call.resource.schema,
            root: call.resource.root,
            live: Some(live),
            new,
            manager: &manager,
            api_version: &call.gvk().api_version(),
            subresource: call.subresource(),
            now: &clock::now(),
            reset_fields: &reset_fields(call, call.subresource()),
        });
    }
    if call.subresource().is_empty() {
        kinds::prepare_update(&call.resource, new, live);
    }
    admit::mutate(call, admit::Operation::Update, new, Some(live)).await?;
    defaults(call, new);
    // Where a pod runs is not what it is to be.
    let bound = call.subresource() == "binding";
    if call.resource.generation && !bound && spec_changed(call, new, live) {
        new.set_meta("generation", live.generation() + 1);
    }
    new.set_meta("resourceVersion", record.rv().to_string());
    validate(call, new, Some(live))?;
    admit::validate(call, admit::Operation::Update, Some(new), Some(live)).await
}

async fn write(call: &Call<'_>, record: &Record, live: &Value, mut new: Value) -> Result<Outcome, Refused> {
    let key = call.key(&call.target.namespace, &call.target.name);
    if new.is_deleting() && !delete::is_held(call, &new) {
        return delete::remove(call, key, record.rv(), new).await;
    }
    let side = kinds::side_effects(call, &mut new, Some(live)).await.map_err(Refused::Status)?;
    let rv = commit::store(call, key, new.clone(), Expect::Rv(record.rv()), side).await?;
    kinds::committed(call, Some(&new));
    Ok(Outcome::ok(commit::stored(new, rv)))
}
