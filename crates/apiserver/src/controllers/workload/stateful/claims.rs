//! The claims of a StatefulSet's pods: made with them, kept or given away as the retention policy says.

use serde_json::{Value, json};

use super::spec::Spec;
use crate::controllers::workload::children;
use crate::controllers::{Ctx, Failed};
use crate::model::object::Object;
use crate::model::status::ApiStatus;

const CLAIMS: &str = "/persistentvolumeclaims";

/// Templates of claims.
pub fn templates(set: &Value) -> &[Value] {
    set.items(&["spec", "volumeClaimTemplates"])
}

/// Name of a pod's claim by a template.
pub fn name(template: &Value, pod: &str) -> String {
    format!("{}-{pod}", template.meta("name"))
}

fn path(set: &Value) -> String {
    format!("/api/v1/namespaces/{}/persistentvolumeclaims", set.meta("namespace"))
}

/// Claims of a pod that are there, and templates of those that are not.
fn find<'a>(ctx: &Ctx, set: &'a Value, pod: &str) -> (Vec<Value>, Vec<&'a Value>) {
    let mut there = Vec::new();
    let mut missing = Vec::new();
    for template in templates(set) {
        match ctx.view.get(CLAIMS, set.meta("namespace"), &name(template, pod)) {
            Some(claim) => there.push(claim),
            None => missing.push(template),
        }
    }
    (there, missing)
}

/// Whether a claim of a pod that is to be made still goes away with an earlier one.
pub fn is_leaving(ctx: &Ctx, set: &Value, spec: &Spec, pod: &str) -> bool {
    let of_earlier = |claim: &Value| {
        let owners = claim.items(&["metadata", "ownerReferences"]);
        owners.iter().any(|o| o.text(&["kind"]) == "Pod" && o.text(&["name"]) == pod)
    };
    spec.claims_go_with_pod
        && find(ctx, set, pod).0.iter().any(|claim| claim.is_deleting() || of_earlier(claim))
}

/// Makes the missing claims of a pod; gives the names of the new ones, or the name of the refused one and why.
pub async fn make(
    ctx: &Ctx,
    set: &Value,
    spec: &Spec,
    pod: &str,
) -> Result<Vec<String>, (String, ApiStatus)> {
    let mut made = Vec::new();
    for template in find(ctx, set, pod).1 {
        let name = name(template, pod);
        let mut claim = template.clone();
        claim.remove_at(&["status"]);
        claim.set_meta("name", name.as_str());
        claim.set_meta("namespace", set.meta("namespace"));
        let selected = set.at(&["spec", "selector", "matchLabels"]).and_then(Value::as_object);
        for (key, value) in selected.into_iter().flatten() {
            claim.put(&["metadata", "labels", key], value.clone());
        }
        if spec.claims_go_with_set {
            claim.set_meta("ownerReferences", json!([owner_set(set)]));
        }
        match ctx.api.create(&path(set), &claim).await {
            Ok(_) => made.push(name),
            Err(status) if status.reason == "AlreadyExists" => {}
            Err(status) => return Err((name, status)),
        }
    }
    Ok(made)
}

fn owner_set(set: &Value) -> Value {
    children::reference("apps/v1", "StatefulSet", set)
}

/// Gives the claims of a pod the owner that the retention policy names.
pub async fn retain(ctx: &Ctx, set: &Value, spec: &Spec, ordinal: i64, pod: &Value) -> Result<(), Failed> {
    let owner = if spec.claims_go_with_pod && !spec.ordinals.contains(&ordinal) {
        Some(children::reference("v1", "Pod", pod))
    } else {
        spec.claims_go_with_set.then(|| owner_set(set))
    };
    for mut claim in find(ctx, set, pod.meta("name")).0 {
        let is_ours = |o: &Value| {
            o.text(&["uid"]) == set.meta("uid")
                || (o.text(&["kind"]) == "Pod" && o.text(&["name"]) == pod.meta("name"))
        };
        let known = claim.items(&["metadata", "ownerReferences"]).to_vec();
        let uids =
            |all: &[Value]| -> Vec<String> { all.iter().map(|o| o.text(&["uid"]).to_owned()).collect() };
        let ours: Vec<Value> = known.iter().filter(|o| is_ours(o)).cloned().collect();
        if uids(&ours) == uids(owner.as_slice()) {
            continue;
        }
        let others = known.into_iter().filter(|o| !is_ours(o));
        claim.set_meta("ownerReferences", others.chain(owner.clone()).collect::<Vec<_>>());
        let path = format!("{}/{}", path(set), claim.meta("name"));
        children::gone_is_fine(ctx.api.update(&path, &claim).await)?;
    }
    Ok(())
}
