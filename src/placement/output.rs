//! PlacementDecisions (inventory section 8): slices of at most a hundred, in which a member never moves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use skerry_placement::Plan;

use super::raw::{self, items, text};
use super::world::{Placed, World};
use crate::context::Context;

const ROOT: &str = "/apis/multicluster.x-k8s.io/v1alpha1";
const SLICE: usize = 100;
const KEY: &str = "multicluster.x-k8s.io/decision-key";

/// Writes the slices of every Placement that was decided.
pub async fn write(context: &Context, world: &World, plan: &Plan) -> Result<(), kube::Error> {
    let all = raw::list_if_served(&context.hub, &format!("{ROOT}/placementdecisions")).await?;
    for placement in &world.placements {
        let Some(wanted) = wanted(world, plan, placement) else { continue };
        let mine: Vec<&Value> =
            all.iter().filter(|d| text(d, &["metadata", "labels", KEY]) == placement.uid).collect();
        one(context, world, placement, &wanted, &mine, plan.generation).await?;
    }
    Ok(())
}

/// Members to list with their reasons; `None` while nothing was decided.
fn wanted(world: &World, plan: &Plan, placement: &Placed) -> Option<BTreeMap<String, String>> {
    let decision = plan.decision(&placement.uid.as_str().into());
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    let name_of = |id: &str| {
        let profile = world
            .profiles
            .iter()
            .find(|p| text(p, &["metadata", "labels", skerry_api::labels::INVENTORY_MEMBER_ID]) == id)?;
        Some(text(profile, &["metadata", "name"]).to_owned())
    };
    for binding in world.bindings_of(&placement.uid) {
        let id = text(binding, &["spec", "member", "id"]);
        let dropped = decision.is_some_and(|d| d.drops.iter().any(|drop| &*drop.member.0 == id));
        let gone = dropped && text(binding, &["status", "phase"]).is_empty();
        if let (Some(name), false) = (name_of(id), gone) {
            let (rank, of) = (&binding["spec"]["score"]["rank"], &binding["spec"]["score"]["of"]);
            out.insert(name, format!("chosen: rank {rank} of {of}"));
        }
    }
    for pick in decision.iter().flat_map(|d| &d.picks) {
        if let Some(name) = name_of(&pick.member.0) {
            out.insert(name, format!("chosen: rank {} of {}", pick.score.rank, pick.score.of));
        }
    }
    (decision.is_some() || !out.is_empty()).then_some(out)
}

fn entry(inventory: &str, name: &str, reason: &str) -> Value {
    json!({"clusterProfileRef": {"name": name, "namespace": inventory}, "reason": reason})
}

fn names(slice: &Value) -> BTreeSet<String> {
    items(slice, &["decisions"]).iter().map(|d| text(d, &["clusterProfileRef", "name"]).to_owned()).collect()
}

async fn one(
    context: &Context,
    world: &World,
    placement: &Placed,
    wanted: &BTreeMap<String, String>,
    live: &[&Value],
    generation: u64,
) -> Result<(), kube::Error> {
    let namespace = placement.home(&world.inventory);
    let prefix = match placement.kind {
        "Placement" => placement.name.clone(),
        _ => format!("cluster.{}", placement.name),
    };
    let index = |slice: &Value| {
        text(slice, &["metadata", "name"]).rsplit('-').next().and_then(|n| n.parse::<usize>().ok())
    };
    let mut slices: BTreeMap<usize, BTreeSet<String>> = BTreeMap::from([(0, BTreeSet::new())]);
    for slice in live {
        if let Some(i) = index(slice) {
            slices.insert(i, names(slice).into_iter().filter(|n| wanted.contains_key(n)).collect());
        }
    }
    let listed: BTreeSet<String> = slices.values().flatten().cloned().collect();
    for name in wanted.keys().filter(|n| !listed.contains(*n)) {
        let free = slices.iter().find(|(_, members)| members.len() < SLICE).map(|(i, _)| *i);
        let i = free.unwrap_or_else(|| slices.keys().next_back().map_or(0, |last| last + 1));
        slices.entry(i).or_default().insert(name.clone());
    }
    for (i, members) in &slices {
        let name = format!("{prefix}-{i}");
        let path = format!("{ROOT}/namespaces/{namespace}/placementdecisions/{name}");
        let known = live.iter().find(|d| text(d, &["metadata", "name"]) == name);
        if members.is_empty() && *i != 0 {
            if let Some(known) = known {
                raw::delete(&context.hub, &path, text(known, &["metadata", "uid"])).await?;
            }
            continue;
        }
        let before = |member: &str| {
            let decisions = known.map(|k| items(k, &["decisions"])).unwrap_or_default();
            decisions
                .iter()
                .find(|d| text(d, &["clusterProfileRef", "name"]) == member)
                .map(|d| text(d, &["reason"]).to_owned())
        };
        let decisions: Vec<Value> = members
            .iter()
            .map(|m| {
                entry(
                    &world.inventory,
                    m,
                    &before(m).unwrap_or_else(|| wanted.get(m).cloned().unwrap_or_default()),
                )
            })
            .collect();
        if known.is_some_and(|k| items(k, &["decisions"]) == decisions) {
            continue;
        }
        let key = match text(placement.spec(), &["output", "placementKey"]) {
            "" => placement.name.chars().take(63).collect::<String>(),
            key => key.to_owned(),
        };
        let body = json!({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "PlacementDecision",
            "metadata": {"name": name, "namespace": namespace,
                "labels": {KEY: placement.uid, "multicluster.x-k8s.io/placement-key": key,
                           "skerry.dev/decision-revision": generation.to_string()},
                "ownerReferences": [{"apiVersion": "skerry.dev/v1alpha1", "kind": placement.kind, "name": placement.name,
                                     "uid": placement.uid, "controller": true}]},
            "decisions": decisions, "schedulerName": "skerry",
        });
        raw::apply(&context.hub, &path, "skerry-placement", true, &body).await?;
    }
    Ok(())
}
