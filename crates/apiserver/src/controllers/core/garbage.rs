//! Objects whose owners are gone go too (C5): background, foreground and orphan deletion.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::{Controller, Ctx, Failed, Next, View};
use super::namespace::collection_path;
use crate::model::gvk::{Gvk, ResourceId};
use crate::model::object::Object;
use crate::store::{Change, ChangeKind, NsName};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// The garbage collector.
pub struct Garbage;

/// A key of any resource: `group|plural` as the namespace part, `namespace|name` as the name part.
fn key_of(resource: &str, name: &NsName) -> NsName {
    NsName::new(&resource.replace('/', "|"), &format!("{}|{}", name.namespace(), name.name()))
}

fn parts(key: &NsName) -> Option<(String, String, String)> {
    let (namespace, name) = key.name().split_once('|')?;
    Some((key.namespace().replacen('|', "/", 1), namespace.to_owned(), name.to_owned()))
}

/// Every object that names `uid` as an owner. A namespaced owner's dependents live beside it.
fn dependents(view: &View, namespace: &str, uid: &str) -> Vec<(ResourceId, NsName)> {
    let place = (!namespace.is_empty()).then_some(namespace);
    let mut found = Vec::new();
    for resource in view.snapshot().resources() {
        for (name, record) in view.snapshot().list(&resource, place, None) {
            if record.index().owners.iter().any(|owner| &**owner == uid) {
                found.push((resource.clone(), name));
            }
        }
    }
    found
}

/// Storage identity and name of an owner.
fn owner_of(view: &View, reference: &Value, namespace: &str) -> Option<(ResourceId, NsName)> {
    let gvk = Gvk::from_api_version(reference.text(&["apiVersion"]), reference.text(&["kind"]));
    let row = view.tenant().catalog().by_kind(&gvk)?;
    let place = if row.namespaced { namespace } else { "" };
    Some((row.id.clone(), NsName::new(place, reference.text(&["name"]))))
}

impl Controller for Garbage {
    fn name(&self) -> &'static str {
        "generic-garbage-collector"
    }

    fn watches(&self) -> &[&'static str] {
        &[]
    }

    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let (name, index) = (&change.key.name, change.new.index());
        if matches!(&**resource, "/events" | "coordination.k8s.io/leases") {
            return Vec::new();
        }
        let mut keys = Vec::new();
        let gone = change.kind == ChangeKind::Deleted;
        if gone || index.deleting {
            let all = dependents(view, name.namespace(), &index.uid);
            keys.extend(all.iter().map(|(resource, name)| key_of(resource, name)));
        }
        if gone && !index.owners.is_empty() {
            let last = change.new.tree();
            let owners = last.items(&["metadata", "ownerReferences"]).iter();
            keys.extend(
                owners.filter_map(|o| owner_of(view, o, name.namespace())).map(|(r, n)| key_of(&r, &n)),
            );
        }
        if !gone && (index.deleting || (change.kind == ChangeKind::Added && !index.owners.is_empty())) {
            keys.push(key_of(resource, name));
        }
        keys
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        let mut keys = Vec::new();
        for resource in view.snapshot().resources() {
            for (name, record) in view.snapshot().list(&resource, None, None) {
                if record.index().deleting || !record.index().owners.is_empty() {
                    keys.push(key_of(&resource, &name));
                }
            }
        }
        keys
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let Some((resource, namespace, name)) = parts(&key) else { return Ok(Next::Done) };
            let Some(record) = ctx.view.record(&resource, &namespace, &name) else { return Ok(Next::Done) };
            let Some(row) = ctx.view.tenant().catalog().storage(&ResourceId::from(resource.as_str())) else {
                return Ok(Next::Done);
            };
            let object = record.tree();
            let place = row.namespaced.then_some(namespace.as_str());
            let path = format!("{}/{name}", collection_path(&row, place));
            let finished = finish_deletion(&ctx, &object, &path, &namespace).await?;
            if !finished && !object.items(&["metadata", "ownerReferences"]).is_empty() {
                judge(&ctx, &object, &path, &namespace).await?;
            }
            Ok(Next::Done)
        })
    }
}

/// Foreground and orphan finalizers of an object that is being deleted. Gives whether one was looked after.
async fn finish_deletion(ctx: &Ctx, object: &Value, path: &str, namespace: &str) -> Result<bool, Failed> {
    if !object.is_deleting() {
        return Ok(false);
    }
    let finalizers = object.finalizers();
    let uid = object.meta("uid");
    if finalizers.contains(&ORPHAN) {
        for (resource, name) in dependents(&ctx.view, namespace, uid) {
            release(ctx, &resource, &name, |owner| owner.text(&["uid"]) != uid).await?;
        }
        return drop_finalizer(ctx, object, path, ORPHAN).await.map(|()| true);
    }
    if finalizers.contains(&FOREGROUND) {
        let blocking = dependents(&ctx.view, namespace, uid).into_iter().any(|(resource, name)| {
            let dependent = ctx.view.get(&resource, name.namespace(), name.name()).unwrap_or_default();
            let owners = dependent.items(&["metadata", "ownerReferences"]).iter();
            let blocks = |o: &&Value| {
                o.text(&["uid"]) == uid && o.get("blockOwnerDeletion") == Some(&Value::Bool(true))
            };
            owners.into_iter().any(|o| blocks(&o))
        });
        if !blocking {
            drop_finalizer(ctx, object, path, FOREGROUND).await?;
        }
        return Ok(true);
    }
    Ok(false)
}

async fn drop_finalizer(ctx: &Ctx, object: &Value, path: &str, finalizer: &str) -> Result<(), Failed> {
    let rest: Vec<&str> = object.finalizers().into_iter().filter(|f| *f != finalizer).collect();
    let body = json!({"metadata": {"finalizers": rest, "uid": object.meta("uid"), "resourceVersion": object.meta("resourceVersion")}});
    ignore_gone(ctx.api.patch(path, crate::bus::Patch::Merge, &body).await)
}

/// Takes references that `keep` refuses out of an object.
async fn release(
    ctx: &Ctx,
    resource: &ResourceId,
    name: &NsName,
    keep: impl Fn(&Value) -> bool,
) -> Result<(), Failed> {
    let Some(object) = ctx.view.get(resource, name.namespace(), name.name()) else { return Ok(()) };
    let Some(row) = ctx.view.tenant().catalog().storage(resource) else { return Ok(()) };
    let kept: Vec<&Value> =
        object.items(&["metadata", "ownerReferences"]).iter().filter(|o| keep(o)).collect();
    let path = format!("{}/{}", collection_path(&row, row.namespaced.then(|| name.namespace())), name.name());
    let body = json!({"metadata": {"ownerReferences": kept, "uid": object.meta("uid"), "resourceVersion": object.meta("resourceVersion")}});
    ignore_gone(ctx.api.patch(&path, crate::bus::Patch::Merge, &body).await)
}

fn ignore_gone(result: Result<Value, crate::model::status::ApiStatus>) -> Result<(), Failed> {
    match result {
        Err(status) if status.code != 404 => Err(status.into()),
        _ => Ok(()),
    }
}

/// Whether the object still has a living owner; without one it is deleted.
async fn judge(ctx: &Ctx, object: &Value, path: &str, namespace: &str) -> Result<(), Failed> {
    let owners = object.items(&["metadata", "ownerReferences"]);
    let (mut solid, mut absent, mut waiting) = (0usize, Vec::new(), false);
    for owner in owners {
        let uid = owner.text(&["uid"]);
        let gvk = Gvk::from_api_version(owner.text(&["apiVersion"]), owner.text(&["kind"]));
        if ctx.view.tenant().catalog().by_kind(&gvk).is_none() {
            // A kind that is not served now may come back: nothing is decided on its absence.
            return Ok(());
        }
        let live = owner_of(&ctx.view, owner, namespace)
            .and_then(|(resource, name)| ctx.view.get(&resource, name.namespace(), name.name()))
            .filter(|live| live.meta("uid") == uid);
        match live {
            None => absent.push(uid.to_owned()),
            Some(live) if live.is_deleting() && live.finalizers().contains(&FOREGROUND) => waiting = true,
            Some(_) => solid += 1,
        }
    }
    if solid > 0 {
        if absent.is_empty() {
            return Ok(());
        }
        let kept: Vec<&Value> =
            owners.iter().filter(|o| !absent.iter().any(|uid| uid == o.text(&["uid"]))).collect();
        let body = json!({"metadata": {"ownerReferences": kept, "uid": object.meta("uid"), "resourceVersion": object.meta("resourceVersion")}});
        return ignore_gone(ctx.api.patch(path, crate::bus::Patch::Merge, &body).await);
    }
    if object.is_deleting() {
        return Ok(());
    }
    let has_own = !dependents(&ctx.view, namespace, object.meta("uid")).is_empty();
    let policy = if waiting && has_own { "Foreground" } else { "Background" };
    let options = json!({"propagationPolicy": policy, "preconditions": {"uid": object.meta("uid")}});
    match ctx.api.delete(path, &options).await {
        Err(status) if !matches!(status.code, 404 | 409) => Err(status.into()),
        _ => Ok(()),
    }
}
