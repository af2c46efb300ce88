//! A namespace that is deleted is emptied, pods first, and let go when nothing is left in it (C4).

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::{Controller, Ctx, Failed, Next, View};
use crate::model::clock;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::model::resource::Resource;
use crate::store::{Change, ChangeKind, NsName};

const PAUSE: Duration = Duration::from_secs(1);

/// Empties terminating namespaces.
pub struct Namespaces;

impl Controller for Namespaces {
    fn name(&self) -> &'static str {
        "namespace-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[]
    }

    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let name = &change.key.name;
        if &**resource == "/namespaces" {
            return vec![NsName::new("", name.name())];
        }
        let leaves = change.kind == ChangeKind::Deleted && !name.namespace().is_empty();
        let ending = || view.record("/namespaces", "", name.namespace()).is_some_and(|r| r.index().deleting);
        if leaves && ending() { vec![NsName::new("", name.namespace())] } else { Vec::new() }
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        let records = view.records("/namespaces", None).into_iter();
        records.filter(|(_, record)| record.index().deleting).map(|(name, _)| name).collect()
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let name = key.name();
            let Some(namespace) = ctx.view.get("/namespaces", "", name) else { return Ok(Next::Done) };
            if !namespace.is_deleting() || namespace.items(&["spec", "finalizers"]).is_empty() {
                return Ok(Next::Done);
            }
            let left = empty(&ctx, name).await?;
            if left.is_empty() {
                let mut done = namespace;
                done["spec"]["finalizers"] = json!([]);
                match ctx.api.update(&format!("/api/v1/namespaces/{name}/finalize"), &done).await {
                    Err(status) if status.code != 404 => return Err(status.into()),
                    _ => return Ok(Next::Done),
                }
            }
            report(&ctx, &namespace, &left).await?;
            Ok(Next::After(PAUSE))
        })
    }
}

/// What is left of one resource.
struct Left {
    resource: String,
    count: usize,
    finalizers: Vec<String>,
}

/// Path of a collection.
pub fn collection_path(row: &Resource, namespace: Option<&str>) -> String {
    let root = match &*row.gvk.group {
        "" => format!("/api/{}", row.gvk.version),
        group => format!("/apis/{group}/{}", row.gvk.version),
    };
    match namespace {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{}", row.plural),
        None => format!("{root}/{}", row.plural),
    }
}

/// Deletes every object of a resource that is not on its way; gives how many are still there.
pub async fn delete_all(ctx: &Ctx, row: &Resource, namespace: Option<&str>) -> Result<usize, Failed> {
    for (name, record) in ctx.view.records(&row.id, namespace) {
        if record.index().deleting {
            continue;
        }
        let place = (!name.namespace().is_empty()).then(|| name.namespace());
        let path = format!("{}/{}", collection_path(row, place), name.name());
        let options =
            json!({"propagationPolicy": "Background", "preconditions": {"uid": &*record.index().uid}});
        match ctx.api.delete(&path, &options).await {
            Err(status) if !matches!(status.code, 404 | 409) => return Err(status.into()),
            _ => {}
        }
    }
    let now = ctx.view.again();
    Ok(now.records(&row.id, namespace).len())
}

fn rows(ctx: &Ctx) -> Vec<std::sync::Arc<Resource>> {
    let catalog = ctx.view.tenant().catalog();
    let mut rows: Vec<_> = catalog
        .all()
        .filter(|r| r.namespaced && r.has_verb("delete") && r.has_verb("list") && r.gvk == r.storage)
        .cloned()
        .collect();
    rows.sort_by_key(|r| &*r.id != "/pods");
    rows
}

async fn empty(ctx: &Ctx, namespace: &str) -> Result<Vec<Left>, Failed> {
    let mut left = Vec::new();
    for row in rows(ctx) {
        if ctx.view.records(&row.id, Some(namespace)).is_empty() {
            continue;
        }
        let count = delete_all(ctx, &row, Some(namespace)).await?;
        if count == 0 {
            continue;
        }
        let now = ctx.view.again();
        let finalizers = now
            .list(&row.id, namespace)
            .iter()
            .flat_map(|o| o.finalizers().into_iter().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let group = if row.gvk.group.is_empty() { String::new() } else { format!(".{}", row.gvk.group) };
        left.push(Left { resource: format!("{}{group}", row.plural), count, finalizers });
        if &*row.id == "/pods" {
            // The rest waits until no pod runs any more.
            return Ok(left);
        }
    }
    Ok(left)
}

/// Upstream's five conditions.
async fn report(ctx: &Ctx, namespace: &Value, left: &[Left]) -> Result<(), Failed> {
    let contents: Vec<String> =
        left.iter().map(|l| format!("{} has {} resource instances", l.resource, l.count)).collect();
    let mut finalizers: Vec<String> = left.iter().flat_map(|l| l.finalizers.clone()).collect();
    finalizers.sort();
    let mut counted: Vec<(String, usize)> = Vec::new();
    for finalizer in finalizers {
        match counted.last_mut() {
            Some((known, count)) if *known == finalizer => *count += 1,
            _ => counted.push((finalizer, 1)),
        }
    }
    let waiting: Vec<String> =
        counted.iter().map(|(f, n)| format!("{f} in {n} resource instances")).collect();
    let rows = [
        (
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".into(),
        ),
        (
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".into(),
        ),
        (
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", contents.join(", ")),
        ),
        match waiting.is_empty() {
            true => (
                "NamespaceFinalizersRemaining",
                false,
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished".into(),
            ),
            false => (
                "NamespaceFinalizersRemaining",
                true,
                "SomeFinalizersRemain",
                format!("Some content in the namespace has finalizers remaining: {}", waiting.join(", ")),
            ),
        },
    ];
    let old = namespace.items(&["status", "conditions"]);
    let conditions: Vec<Value> = rows
        .into_iter()
        .map(|(ty, holds, reason, message)| {
            let status = if holds { "True" } else { "False" };
            let before = old.iter().find(|c| c.text(&["type"]) == ty && c.text(&["status"]) == status);
            let since = before.map_or_else(clock::now, |c| c.text(&["lastTransitionTime"]).to_owned());
            json!({"type": ty, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
        })
        .collect();
    if old == conditions {
        return Ok(());
    }
    let path = format!("/api/v1/namespaces/{}/status", namespace.meta("name"));
    let mut body = namespace.clone();
    body.put(&["status", "conditions"], conditions);
    match ctx.api.update(&path, &body).await {
        Err(status) if !matches!(status.code, 404 | 409) => Err(status.into()),
        _ => Ok(()),
    }
}
