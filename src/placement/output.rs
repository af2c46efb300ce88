//! PlacementDecisions (inventory section 8): slices of at most a hundred, in which a member never moves.

use std::collections::{BTreeMap, BTreeSet};

use std::sync::Arc;

use serde_json::{Value, json};
use skerry_placement::Plan;

use super::live::Kind;
use super::raw::{self, items, text};
use super::world::{Placed, World};
use crate::placement::Site;

const ROOT: &str = "/apis/multicluster.x-k8s.io/v1alpha1";
const SLICE: usize = 100;
const KEY: &str = "multicluster.x-k8s.io/decision-key";

/// Writes the slices of every Placement that was decided.
pub async fn write(site: &Site<'_>, world: &World, plan: &Plan) -> Result<(), kube::Error> {
    let all = match site.live.filter(|l| l.is_ready()) {
        Some(live) => live.all(Kind::PlacementDecision),
        None => {
            let all = raw::list_if_served(&site.hub, &format!("{ROOT}/placementdecisions")).await?;
            all.into_iter().map(Arc::new).collect()
        }
    };
    for placement in &world.placements {
        let Some(wanted) = wanted(world, plan, placement) else { continue };
        let mine: Vec<&Value> = all
            .iter()
            .map(|d| &**d)
            .filter(|d| text(d, &["metadata", "labels", KEY]) == placement.uid)
            .collect();
        one(site, world, placement, &wanted, &mine, plan.generation).await?;
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
        // A bound member keeps what its binding says: ranks drift, reasons must not.
        if let Some(name) = name_of(&pick.member.0).filter(|name| !out.contains_key(name)) {
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

/// Members by slice: each stays where it was, newcomers fill holes first, slice 0 is always there (O2).
fn cut(
    before: BTreeMap<usize, BTreeSet<String>>,
    wanted: &BTreeSet<String>,
) -> BTreeMap<usize, BTreeSet<String>> {
    let mut listed: BTreeSet<String> = BTreeSet::new();
    let mut slices = BTreeMap::from([(0, BTreeSet::new())]);
    for (i, members) in before {
        // A foreign edit may have listed one twice: the first slice keeps it.
        let kept: BTreeSet<String> = members
            .into_iter()
            .filter(|m| wanted.contains(m) && listed.insert(m.clone()))
            .take(SLICE)
            .collect();
        slices.insert(i, kept);
    }
    let listed: BTreeSet<String> = slices.values().flatten().cloned().collect();
    for name in wanted.difference(&listed) {
        let free = slices.iter().find(|(_, members)| members.len() < SLICE).map(|(i, _)| *i);
        let i = free.unwrap_or_else(|| slices.keys().next_back().map_or(0, |last| last + 1));
        slices.entry(i).or_default().insert(name.clone());
    }
    slices
}

async fn one(
    site: &Site<'_>,
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
    let before = live.iter().filter_map(|slice| Some((index(slice)?, names(slice)))).collect();
    let slices = cut(before, &wanted.keys().cloned().collect());
    for (i, members) in &slices {
        let name = format!("{prefix}-{i}");
        let path = format!("{ROOT}/namespaces/{namespace}/placementdecisions/{name}");
        let known = live.iter().find(|d| text(d, &["metadata", "name"]) == name);
        if members.is_empty() && *i != 0 {
            if let Some(known) = known {
                raw::delete(&site.hub, &path, text(known, &["metadata", "uid"])).await?;
            }
            continue;
        }
        let reason = |m: &str| wanted.get(m).map(String::as_str).unwrap_or_default();
        let decisions: Vec<Value> = members.iter().map(|m| entry(&world.inventory, m, reason(m))).collect();
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
        let written = raw::apply(&site.hub, &path, "skerry-placement", true, &body).await?;
        site.saw(&written);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(range: std::ops::Range<usize>) -> BTreeSet<String> {
        range.map(|i| format!("m-{i:03}")).collect()
    }

    fn changed(a: &BTreeMap<usize, BTreeSet<String>>, b: &BTreeMap<usize, BTreeSet<String>>) -> Vec<usize> {
        b.iter().filter(|(i, m)| a.get(i) != Some(m)).map(|(i, _)| *i).collect()
    }

    /// I28, placement 92: three slices for 250 members, one changes per change, a member never moves.
    #[test]
    fn i28_a_member_never_moves_between_slices() {
        assert_eq!(cut(BTreeMap::new(), &BTreeSet::new()), BTreeMap::from([(0, BTreeSet::new())]));
        let all = members(0..250);
        let first = cut(BTreeMap::new(), &all);
        assert_eq!(first.values().map(BTreeSet::len).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(cut(first.clone(), &all), first, "the same again");

        let mut fewer = all.clone();
        fewer.remove("m-120");
        let second = cut(first.clone(), &fewer);
        assert_eq!(changed(&first, &second), [1]);

        let mut other = fewer.clone();
        other.insert("zz".to_owned());
        let third = cut(second.clone(), &other);
        assert_eq!(changed(&second, &third), [1], "a newcomer fills the hole");
        for (i, before) in &second {
            assert!(before.is_subset(&third[i]), "slice {i}");
        }
    }

    /// I29: a member listed twice by a foreign edit stands once afterwards.
    #[test]
    fn i29_a_double_entry_is_taken_out() {
        let twice = BTreeMap::from([(0, members(0..2)), (1, members(1..3))]);
        let out = cut(twice, &members(0..3));
        assert_eq!(out, BTreeMap::from([(0, members(0..2)), (1, members(2..3))]));
    }
}
