//! Creating an object (U1).

use serde_json::Value;

use super::call::{Call, Outcome};
use super::checks;
use super::commit::{self, Refused};
use crate::admit;
use crate::apply;
use crate::kinds;
use crate::model::clock;
use crate::model::defaults::apply_defaults;
use crate::model::names;
use crate::model::object::Object;
use crate::model::status::{ApiStatus, Cause};
use crate::request::WriteOptions;
use crate::store::{Expect, Key};

/// How often a generated name is tried, or an allocation that somebody else was faster to take.
const TRIES: usize = 8;

/// Fills in what an absent member stands for.
pub fn defaults(call: &Call<'_>, object: &mut Value) {
    match &call.resource.custom {
        Some(custom) => crate::custom::default(custom, object),
        None => {
            apply_defaults(&call.resource.schema, call.resource.root, object);
            kinds::default(&call.resource, object);
        }
    }
}

/// Every objection to a finished object, but for those of admission.
pub fn validate(call: &Call<'_>, new: &Value, old: Option<&Value>) -> Result<(), ApiStatus> {
    let mut causes = checks::metadata(call, new);
    if let Some(old) = old {
        causes.extend(checks::metadata_change(new, old));
    }
    match &call.resource.custom {
        Some(custom) => causes.extend(match old {
            Some(old) if call.subresource() == "status" => crate::custom::validate_status(custom, new, old),
            _ => crate::custom::validate(custom, new, old),
        }),
        None => causes.extend(kinds::validate(&call.resource, new, old)),
    }
    if causes.is_empty() { Ok(()) } else { Err(ApiStatus::invalid(call.gvk(), new.meta("name"), causes)) }
}

fn place(call: &Call<'_>, object: &mut Value) -> Result<(), ApiStatus> {
    if !call.resource.namespaced {
        if !object.meta("namespace").is_empty() {
            object.unset_meta("namespace");
        }
        return Ok(());
    }
    let asked = call.target.namespace.as_str();
    let given = object.meta("namespace");
    if !given.is_empty() && given != asked {
        return Err(ApiStatus::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    object.set_meta("namespace", asked);
    Ok(())
}

/// What the server alone decides about a new object.
fn system_metadata(call: &Call<'_>, object: &mut Value) {
    for field in
        ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "generation"]
    {
        object.unset_meta(field);
    }
    object.set_meta("uid", uuid::Uuid::new_v4().to_string());
    object.set_meta("creationTimestamp", clock::now());
    if call.resource.generation {
        object.set_meta("generation", 1);
    }
}

/// Everything up to the commit: the object as it would be stored. Fields are booked before hooks and admission
/// add to them, as upstream does: what the server fills in belongs to nobody.
pub async fn prepare(
    call: &Call<'_>,
    object: &mut Value,
    options: &WriteOptions,
    applied: bool,
) -> Result<(), ApiStatus> {
    place(call, object)?;
    system_metadata(call, object);
    if call.resource.has_status {
        for path in &call.resource.status_paths {
            object.remove_at(&path.split('.').collect::<Vec<_>>());
        }
    }
    defaults(call, object);
    if !applied {
        own(call, object, options);
    }
    kinds::prepare_create(&call.resource, object);
    admit::mutate(call, admit::Operation::Create, object, None).await?;
    defaults(call, object);
    Ok(())
}

/// Books the object's fields to the manager of the request.
fn own(call: &Call<'_>, object: &mut Value, options: &WriteOptions) {
    let manager = call.manager(options);
    apply::update(apply::Update {
        schema: &call.resource.schema,
        root: call.resource.root,
        live: None,
        new: object,
        manager: &manager,
        api_version: &call.gvk().api_version(),
        subresource: "",
        now: &clock::now(),
        reset_fields: &reset_fields(call, ""),
    });
}

/// Paths that a write through this endpoint never owns.
pub fn reset_fields<'a>(call: &'a Call<'_>, subresource: &str) -> Vec<&'a str> {
    match (call.resource.has_status, subresource) {
        (true, "") => call.resource.status_paths.iter().map(|p| &**p).collect(),
        (true, "status") if call.resource.custom.is_some() => vec!["spec", "metadata"],
        (true, "status") => match (&*call.gvk().group, &*call.gvk().kind) {
            ("apps", "Deployment") => vec!["spec", "metadata.labels"],
            ("", "Pod") => vec!["spec", "metadata.deletionTimestamp", "metadata.ownerReferences"],
            (
                "flowcontrol.apiserver.k8s.io" | "networking.k8s.io" | "resource.k8s.io" | "storage.k8s.io",
                kind,
            ) if kind != "Ingress" => vec!["spec", "metadata"],
            _ => vec!["spec"],
        },
        _ => Vec::new(),
    }
}

/// Creates what the body says. `applied`: the body came by server-side apply, which has already booked its fields.
pub async fn create(
    call: &Call<'_>,
    mut object: Value,
    options: &WriteOptions,
    applied: bool,
) -> Result<Outcome, ApiStatus> {
    if !call.target.name.is_empty() && object.meta("name").is_empty() {
        object.set_meta("name", call.target.name.as_str());
    }
    let rv = object.meta("resourceVersion");
    if !rv.is_empty() && rv != "0" && !applied {
        return Err(ApiStatus::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let base = Some(object.meta("generateName").to_owned())
        .filter(|b| object.meta("name").is_empty() && !b.is_empty());
    for _ in 0..TRIES {
        // Begun anew each time: what the server fills in may hold the name.
        let mut object = object.clone();
        if let Some(base) = &base {
            object.set_meta("name", names::generated(base));
        }
        prepare(call, &mut object, options, applied).await?;
        validate(call, &object, None)?;
        admit::validate(call, admit::Operation::Create, Some(&object), None).await?;
        let key = call.key(object.meta("namespace"), object.meta("name"));
        if call.tenant.store.snapshot().get(&key).is_some() {
            if base.is_some() {
                continue;
            }
            return Err(ApiStatus::already_exists(call.subject(object.meta("name"))));
        }
        match store(call, key, &object, options).await {
            Ok(done) => return Ok(done),
            Err(Refused::Raced) => {}
            Err(Refused::Status(status)) => return Err(status),
        }
    }
    Err(ApiStatus::already_exists(call.subject(object.meta("name"))))
}

async fn store(
    call: &Call<'_>,
    key: Key,
    object: &Value,
    options: &WriteOptions,
) -> Result<Outcome, Refused> {
    if options.dry_run {
        return Ok(Outcome::created(object.clone()));
    }
    let mut object = object.clone();
    let side = kinds::side_effects(call, &mut object, None).await.map_err(Refused::Status)?;
    let rv = commit::store(call, key, object.clone(), Expect::Absent, side).await?;
    kinds::committed(call, Some(&object));
    Ok(Outcome::created(commit::stored(object, rv)))
}

/// A body whose name is not the one of the path.
pub fn check_name(call: &Call<'_>, object: &mut Value) -> Result<(), ApiStatus> {
    let (given, asked) = (object.meta("name"), call.target.name.as_str());
    if given.is_empty() {
        object.set_meta("name", asked);
        return Ok(());
    }
    if given != asked {
        let why = format!("the name of the object ({given}) does not match the name on the URL ({asked})");
        return Err(ApiStatus::bad_request(why));
    }
    let (given, asked) = (object.meta("namespace"), call.target.namespace.as_str());
    if call.resource.namespaced && !given.is_empty() && given != asked {
        let why = format!(
            "the namespace of the object ({given}) does not match the namespace on the URL ({asked})"
        );
        return Err(ApiStatus::bad_request(why));
    }
    Ok(())
}

/// 422 for an update without a resourceVersion where one is demanded (U2).
pub fn rv_required(call: &Call<'_>, name: &str) -> ApiStatus {
    let cause = Cause::new(
        "FieldValueInvalid",
        "metadata.resourceVersion",
        "Invalid value: 0x0: must be specified for an update",
    );
    ApiStatus::invalid(call.gvk(), name, vec![cause])
}
