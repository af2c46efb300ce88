//! From a Placement's spec to the engine's request. The shapes are the same, so most of it is carried over as it is.

use serde::de::DeserializeOwned;
use serde_json::Value;
use skerry_placement::{
    ApiNeed, Group, Mode, Needs, NeedsMode, Objective, Preferred, PreferredBy, Replicas, Request, RequestId,
    Scope, Select, SelectCount, Spread, Term, Toleration, UnknownCapacity, Unmatched, Unsatisfiable,
    WhenShort,
};

use super::raw::{items, text};
use super::resolve::{Resolved, SourceError};
use super::world::{Placed, World};

/// A member of the spec in the engine's shape, or the path and what is wrong.
fn part<T: DeserializeOwned + Default>(spec: &Value, path: &[&str]) -> Result<T, SourceError> {
    let value = path.iter().try_fold(spec, |v, key| v.get(key)).filter(|v| !v.is_null());
    let Some(value) = value else { return Ok(T::default()) };
    serde_json::from_value(value.clone())
        .map_err(|why| SourceError::Invalid(format!("spec.{}: {why}", path.join("."))))
}

fn count(value: &Value) -> Result<Option<SelectCount>, SourceError> {
    let bad = || SourceError::Invalid("spec.select.count: must be 0..1000 or a percentage".into());
    match value {
        Value::Null => Ok(None),
        Value::Number(n) => match n.as_u64().filter(|n| *n <= 1000).and_then(|n| u32::try_from(n).ok()) {
            Some(n) => Ok(Some(SelectCount::Number(n))),
            None => Err(bad()),
        },
        Value::String(s) => {
            match s.strip_suffix('%').and_then(|p| p.parse::<u32>().ok()).filter(|p| *p <= 100) {
                Some(percent) => Ok(Some(SelectCount::Percent(percent))),
                None => Err(bad()),
            }
        }
        _ => Err(bad()),
    }
}

fn select(spec: &Value) -> Result<Select, SourceError> {
    let select = &spec["select"];
    let names: Vec<String> = part(spec, &["select", "names"])?;
    let count = count(&select["count"])?;
    let mode = match (text(select, &["mode"]), count, names.is_empty()) {
        ("All", _, _) | ("", None, true) => Mode::All,
        ("Count" | "", Some(count), true) => Mode::Count(count),
        ("Fixed" | "", None, false) => Mode::Fixed(names),
        ("Count", None, _) => {
            return Err(SourceError::Invalid("spec.select.count: required with mode Count".into()));
        }
        ("Fixed", _, true) => {
            return Err(SourceError::Invalid("spec.select.names: required with mode Fixed".into()));
        }
        _ => return Err(SourceError::Invalid("spec.select: one of count and names, as mode says".into())),
    };
    let min = select["min"].as_u64().and_then(|m| u32::try_from(m).ok());
    let when_short =
        if text(select, &["whenShort"]) == "Refuse" { WhenShort::Refuse } else { WhenShort::Partial };
    Ok(Select { mode, min, when_short })
}

fn term(value: &Value, path: &str) -> Result<Term, SourceError> {
    serde_json::from_value(value.clone()).map_err(|why| SourceError::Invalid(format!("{path}: {why}")))
}

fn groups(spec: &Value) -> Result<Vec<Group>, SourceError> {
    let mut out = Vec::new();
    for (g, group) in items(spec, &["members", "groups"]).iter().enumerate() {
        let terms = |field: &str| -> Result<Vec<Term>, SourceError> {
            let path = format!("spec.members.groups[{g}].{field}");
            items(group, &[field]).iter().enumerate().map(|(i, t)| term(t, &format!("{path}[{i}]"))).collect()
        };
        out.push(Group {
            name: text(group, &["name"]).to_owned(),
            any: terms("any")?,
            exclude: terms("exclude")?,
        });
    }
    Ok(out)
}

fn preferred(spec: &Value) -> Result<Vec<Preferred>, SourceError> {
    items(spec, &["members", "preferred"])
        .iter()
        .enumerate()
        .map(|(i, p)| {
            let path = format!("spec.members.preferred[{i}]");
            let weight = p["weight"].as_i64().and_then(|w| i32::try_from(w).ok()).unwrap_or(0);
            let by = match p.get("sort") {
                Some(sort) => PreferredBy::Sort(
                    serde_json::from_value(sort.clone())
                        .map_err(|why| SourceError::Invalid(format!("{path}.sort: {why}")))?,
                ),
                None => {
                    let mut bare = p.clone();
                    if let Some(map) = bare.as_object_mut() {
                        map.remove("weight");
                    }
                    PreferredBy::Term(term(&bare, &path)?)
                }
            };
            Ok(Preferred { weight, by })
        })
        .collect()
}

fn spread(spec: &Value) -> Vec<Spread> {
    let number = |s: &Value, field: &str, default: u32| {
        s[field].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(default)
    };
    items(spec, &["spread"])
        .iter()
        .map(|s| Spread {
            topology: text(s, &["topology"]).to_owned(),
            max_skew: number(s, "maxSkew", 1),
            when_unsatisfiable: match text(s, &["whenUnsatisfiable"]) {
                "ScheduleAnyway" => Unsatisfiable::ScheduleAnyway,
                _ => Unsatisfiable::DoNotSchedule,
            },
            min_domains: number(s, "minDomains", 0),
            max_domains: number(s, "maxDomains", 0),
            weight: s["weight"].as_i64().and_then(|w| i32::try_from(w).ok()).unwrap_or(30),
        })
        .collect()
}

/// Whether the spec is one that the engine can be asked.
pub fn check(placement: &Placed) -> Result<(), SourceError> {
    let spec = placement.spec();
    let names: Vec<&str> = items(spec, &["spread"]).iter().map(|s| text(s, &["topology"])).collect();
    for (i, topology) in names.iter().enumerate() {
        if names[..i].contains(topology) {
            return Err(SourceError::Invalid(format!(
                "spec.spread[{i}].topology: {topology:?} is there twice"
            )));
        }
    }
    select(spec)?;
    groups(spec)?;
    preferred(spec)?;
    part::<Vec<Toleration>>(spec, &["members", "tolerations"])?;
    part::<Replicas>(spec, &["replicas"])?;
    part::<Objective>(spec, &["objective"])?;
    suspended(placement)?;
    Ok(())
}

/// Members to which `spec.suspend` stops delivery.
pub fn suspended(placement: &Placed) -> Result<Vec<Term>, SourceError> {
    let terms = items(placement.spec(), &["suspend", "members"]);
    terms.iter().enumerate().map(|(i, t)| term(t, &format!("spec.suspend.members[{i}]"))).collect()
}

/// The engine's request of a Placement whose spec passed [`check`].
pub fn of(placement: &Placed, resolved: &Resolved, world: &World) -> Request {
    let spec = placement.spec();
    let cluster = placement.kind == "ClusterPlacement";
    let apis = resolved.objects.iter().map(|o| ApiNeed {
        group_version: text(o, &["apiVersion"]).to_owned(),
        kind: text(o, &["kind"]).to_owned(),
    });
    let mode = match text(spec, &["workload", "needs", "mode"]) {
        "None" => NeedsMode::None,
        "Declared" => NeedsMode::Declared,
        _ => NeedsMode::Derived,
    };
    let replan = text(&placement.object, &["metadata", "annotations", skerry_api::labels::REPLAN]).to_owned();
    Request {
        id: RequestId::from(placement.uid.as_str()),
        scope: if cluster { Scope::Cluster } else { Scope::Namespace },
        namespace: placement.namespace.clone(),
        name: placement.name.clone(),
        generation: placement.generation(),
        decided: placement.object["status"]["observedGeneration"].as_i64().unwrap_or(0),
        replanned: replan.clone(),
        replan,
        waiting_since: None,
        grants: world.grants.get(&placement.namespace).cloned().unwrap_or_default(),
        needs: Needs { mode, pods: resolved.pods.clone() },
        apis: apis.collect(),
        objects: Vec::new(),
        groups: groups(spec).unwrap_or_default(),
        preferred: preferred(spec).unwrap_or_default(),
        tolerations: part(spec, &["members", "tolerations"]).unwrap_or_default(),
        when_unmatched: match text(spec, &["members", "whenUnmatched"]) {
            "Evict" => Unmatched::Evict,
            _ => Unmatched::Keep,
        },
        unknown_capacity: match text(spec, &["members", "unknownCapacity"]) {
            "Deny" => UnknownCapacity::Deny,
            _ => UnknownCapacity::Allow,
        },
        select: select(spec).unwrap_or_default(),
        spread: spread(spec),
        replicas: part(spec, &["replicas"]).unwrap_or_default(),
        objective: part(spec, &["objective"]).unwrap_or_default(),
        priority: 0,
    }
}
