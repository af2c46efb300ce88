//! The plan as ClusterBindings (T2): created, changed or set draining, each write guarded by what it was decided on.

use std::sync::Arc;

use serde_json::{Value, json};
use skerry_api::labels;
use skerry_placement::{Pick, Plan, RequestId, Step, binding_label};

use super::raw::{self, text};
use super::world::{Placed, World};
use crate::placement::Site;

const GROUP: &str = "/apis/skerry.dev/v1alpha1";
const MANAGER: &str = "skerry-placement";
/// ConfigMap that holds the generation of the last committed plan.
const PLAN: &str = "skerry-plan";

/// Name of a binding: the Placement's cut to 54, and eight letters of Placement and member.
pub fn binding_name(placement: &str, uid: &str, member: &str) -> String {
    let cut: String = placement.chars().take(54).collect();
    format!("{}-{}", cut.trim_end_matches(['-', '.']), binding_label(&RequestId::from(uid), member))
}

fn path(namespace: &str, name: &str) -> String {
    format!("{GROUP}/namespaces/{namespace}/clusterbindings/{name}")
}

/// Writes what changed.
pub async fn commit(site: &Site<'_>, world: &World, plan: &Plan) -> Result<(), kube::Error> {
    let changes = plan.decisions.iter().any(|d| !d.is_empty());
    let orphans: Vec<&Arc<Value>> = world
        .bindings
        .iter()
        .filter(|b| text(b, &["spec", "state"]) != "Draining" && b["metadata"]["deletionTimestamp"].is_null())
        .filter(|b| !world.placements.iter().any(|p| p.uid == text(b, &["spec", "placement", "uid"])))
        .collect();
    if !changes && orphans.is_empty() {
        return Ok(());
    }
    let generation = next_generation(site, world, plan).await?;
    for binding in orphans {
        drain(site, binding, "PlacementDeleted", generation).await?;
    }
    for decision in &plan.decisions {
        let Some(placement) = world.placements.iter().find(|p| *p.uid == *decision.request.0) else {
            continue;
        };
        for pick in &decision.picks {
            if pick.step != Step::Keep {
                bind(site, world, placement, pick, generation).await?;
            }
        }
        for drop in &decision.drops {
            let held = world
                .bindings_of(&placement.uid)
                .find(|b| text(b, &["spec", "member", "id"]) == &*drop.member.0);
            if let Some(binding) = held {
                drain(site, binding, &format!("{:?}", drop.cause), generation).await?;
            }
        }
    }
    Ok(())
}

/// The next generation, taken by compare-and-swap: two leaders cannot both have it.
async fn next_generation(site: &Site<'_>, world: &World, plan: &Plan) -> Result<i64, kube::Error> {
    let collection = format!("/api/v1/namespaces/{}/configmaps", world.inventory);
    let path = format!("{collection}/{PLAN}");
    let digest = plan.digest.to_string();
    match raw::get(&site.hub, &path).await? {
        Some(mut map) => {
            let next = text(&map, &["data", "generation"]).parse::<i64>().unwrap_or(0) + 1;
            map["data"] =
                json!({"generation": next.to_string(), "plan": digest, "input": plan.input.to_string()});
            raw::replace(&site.hub, &path, &map).await?;
            Ok(next)
        }
        None => {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PLAN},
                "data": {"generation": "1", "plan": digest, "input": plan.input.to_string()}});
            raw::create(&site.hub, &collection, &map).await?;
            Ok(1)
        }
    }
}

async fn bind(
    site: &Site<'_>,
    world: &World,
    placement: &Placed,
    pick: &Pick,
    generation: i64,
) -> Result<(), kube::Error> {
    let Some(profile) = world
        .profiles
        .iter()
        .find(|p| text(p, &["metadata", "labels", labels::INVENTORY_MEMBER_ID]) == &*pick.member.0)
    else {
        return Ok(());
    };
    let namespace = placement.home(&world.inventory);
    let name = binding_name(&placement.name, &placement.uid, &pick.member.0);
    let shares: Vec<Value> =
        pick.shares.iter().map(|s| json!({"target": s.target, "replicas": s.replicas})).collect();
    let body = json!({
        "apiVersion": "skerry.dev/v1alpha1", "kind": "ClusterBinding",
        "metadata": {
            "name": name, "namespace": namespace, "finalizers": [labels::FINALIZER_DELIVERED],
            "labels": {labels::PLACEMENT_UID: placement.uid, labels::MEMBER_ID: &*pick.member.0},
        },
        "spec": {
            "placement": {"kind": placement.kind, "name": placement.name, "uid": placement.uid},
            "member": {"namespace": world.inventory, "name": text(profile, &["metadata", "name"]), "id": &*pick.member.0},
            "planGeneration": generation, "state": "Bound", "cause": format!("{:?}", pick.cause),
            "shares": shares, "promise": pick.promise.texts(),
            "score": {"total": pick.score.total, "rank": pick.score.rank, "of": pick.score.of},
        },
    });
    let bound = raw::apply(&site.hub, &path(namespace, &name), MANAGER, true, &body).await?;
    site.saw(&bound);
    Ok(())
}

async fn drain(site: &Site<'_>, binding: &Value, cause: &str, generation: i64) -> Result<(), kube::Error> {
    if text(binding, &["spec", "state"]) == "Draining" {
        return Ok(());
    }
    let path = path(text(binding, &["metadata", "namespace"]), text(binding, &["metadata", "name"]));
    let body = json!({"metadata": {"resourceVersion": binding["metadata"]["resourceVersion"]},
                      "spec": {"state": "Draining", "cause": cause, "planGeneration": generation}});
    match raw::merge(&site.hub, &path, &body).await {
        // Somebody was faster: the next cycle decides anew.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        other => other.map(|now| site.saw(&now)),
    }
}
