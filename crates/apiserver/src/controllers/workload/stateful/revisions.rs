//! ControllerRevisions of a StatefulSet: one per template, numbered, the newest one last.

use serde_json::{Value, json};

use super::steps::{Pods, REVISION};
use crate::bus::Patch;
use crate::controllers::workload::pods::controller_uid;
use crate::controllers::workload::{children, revision};
use crate::controllers::{Ctx, Failed};
use crate::kinds::workload::selector_matches;
use crate::model::object::Object;

const REVISIONS: &str = "apps/controllerrevisions";
const HASH: &str = "controller.kubernetes.io/hash";

/// The revisions of a set.
#[derive(Debug)]
pub struct Revisions {
    /// What pods have until the newest one has gone all the way.
    pub current: Value,
    /// That of the set as it is.
    pub update: Value,
    /// How often a name was taken.
    pub collisions: i64,
    all: Vec<Value>,
}

fn path(set: &Value) -> String {
    format!("/apis/apps/v1/namespaces/{}/controllerrevisions", set.meta("namespace"))
}

fn number(revision: &Value) -> i64 {
    revision.get("revision").and_then(Value::as_i64).unwrap_or(0)
}

/// The template of a revision.
pub fn template(revision: &Value) -> Value {
    let mut template = revision.at(&["data", "spec", "template"]).cloned().unwrap_or_default();
    template.remove_at(&["$patch"]);
    template
}

/// What a revision holds: a strategic merge patch that brings the template back.
fn data(set: &Value) -> Value {
    let mut template = set.at(&["spec", "template"]).cloned().unwrap_or_default();
    template.remove_at(&["metadata", "creationTimestamp"]);
    template.put(&["$patch"], "replace");
    json!({"spec": {"template": template}})
}

impl Revisions {
    /// Finds the revisions of the set, and makes one of its template where there is none.
    pub async fn settle(ctx: &Ctx, set: &Value) -> Result<Self, Failed> {
        let mut all = owned(ctx, set).await?;
        let mut collisions = set.at(&["status", "collisionCount"]).and_then(Value::as_i64).unwrap_or(0);
        let wanted = data(set);
        let next = all.last().map_or(0, number) + 1;
        let equal = all.iter().rposition(|r| r.get("data") == Some(&wanted));
        let update = match equal {
            Some(at) if at + 1 == all.len() => all[at].clone(),
            Some(at) => {
                // An earlier template is back: it becomes the newest.
                let path = format!("{}/{}", path(set), all[at].meta("name"));
                let bumped = ctx.api.patch(&path, Patch::Merge, &json!({"revision": next})).await?;
                all.remove(at);
                all.push(bumped.clone());
                bumped
            }
            None => {
                let made = create(ctx, set, &wanted, next, &mut collisions).await?;
                all.push(made.clone());
                made
            }
        };
        let known = set.text(&["status", "currentRevision"]);
        let current = all.iter().find(|r| r.meta("name") == known).unwrap_or(&update).clone();
        Ok(Self { current, update, collisions, all })
    }

    /// Deletes the oldest revisions beyond the limit that nothing has any more.
    pub async fn truncate(&self, ctx: &Ctx, set: &Value, pods: &Pods) -> Result<(), Failed> {
        let limit = set.at(&["spec", "revisionHistoryLimit"]).and_then(Value::as_u64).unwrap_or(10);
        let is_live = |name: &str| {
            name == self.current.meta("name")
                || name == self.update.meta("name")
                || pods.values().any(|p| p.text(&["metadata", "labels", REVISION]) == name)
        };
        let idle: Vec<&Value> = self.all.iter().filter(|r| !is_live(r.meta("name"))).collect();
        let surplus = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for revision in idle.into_iter().take(surplus) {
            children::delete(ctx, &format!("{}/{}", path(set), revision.meta("name")), revision).await?;
        }
        Ok(())
    }
}

/// The set's revisions, oldest first; fitting ones that nobody controls are adopted.
async fn owned(ctx: &Ctx, set: &Value) -> Result<Vec<Value>, Failed> {
    let empty = json!({});
    let selector = set.at(&["spec", "selector"]).unwrap_or(&empty);
    let mut all = Vec::new();
    for revision in ctx.view.list(REVISIONS, set.meta("namespace")) {
        let fits = || selector_matches(selector, revision.at(&["metadata", "labels"]).unwrap_or(&empty));
        match controller_uid(&revision) {
            Some(owner) if owner == set.meta("uid") => all.push(revision),
            None if !revision.is_deleting() && fits() => {
                let mut owners = revision.items(&["metadata", "ownerReferences"]).to_vec();
                owners.push(children::reference("apps/v1", "StatefulSet", set));
                let body = json!({"metadata": {"uid": revision.meta("uid"), "ownerReferences": owners}});
                let path = format!("{}/{}", path(set), revision.meta("name"));
                all.push(ctx.api.patch(&path, Patch::Merge, &body).await?);
            }
            _ => {}
        }
    }
    all.sort_by_key(|r| (number(r), r.meta("creationTimestamp").to_owned(), r.meta("name").to_owned()));
    Ok(all)
}

/// Makes a revision; a name that is taken by another one is counted and gives way to the next.
async fn create(
    ctx: &Ctx,
    set: &Value,
    data: &Value,
    number: i64,
    collisions: &mut i64,
) -> Result<Value, Failed> {
    loop {
        let template = set.at(&["spec", "template"]).cloned().unwrap_or_default();
        let hash = revision::hash(&template, collisions.unsigned_abs());
        let mut labels = template.at(&["metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
        labels.put(&[HASH], hash.as_str());
        let name = format!("{}-{hash}", set.meta("name"));
        let body = json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevision",
            "metadata": {"name": name, "labels": labels, "annotations": set.at(&["metadata", "annotations"]),
                         "ownerReferences": [children::reference("apps/v1", "StatefulSet", set)]},
            "data": data, "revision": number,
        });
        match ctx.api.create(&path(set), &body).await {
            Err(status) if status.reason == "AlreadyExists" => *collisions += 1,
            made => return Ok(made?),
        }
    }
}
