//! Rules of Placement, ClusterPlacement and ClusterBinding.

use serde_json::Value;

use super::{Rule, at};

pub(super) fn rules(cluster: bool) -> Vec<Rule> {
    let mut rules = vec![
        Rule::fixed(
            "has(self.spec.workload.select) || has(self.spec.workload.namespaces) || has(self.spec.workload.manifests)",
            "spec.workload: at least one of select, namespaces, manifests",
            |new, _| {
                ["select", "namespaces", "manifests"]
                    .iter()
                    .any(|k| at(new, &format!("spec.workload.{k}")).is_some())
            },
        ),
        Rule::fixed(
            "!has(self.spec.workload.select) || self.spec.workload.select.all(s, !(has(s.name) && has(s.labelSelector)))",
            "spec.workload.select: name or labelSelector, not both",
            |new, _| {
                items(new, "spec.workload.select")
                    .all(|s| s.get("name").is_none() || s.get("labelSelector").is_none())
            },
        ),
        Rule::fixed(
            "!has(self.spec.workload.needs) || !has(self.spec.workload.needs.mode) || self.spec.workload.needs.mode != 'Declared' || (has(self.spec.workload.needs.replicas) && has(self.spec.workload.needs.perReplica))",
            "spec.workload.needs: replicas and perReplica are required with mode Declared",
            |new, _| {
                at(new, "spec.workload.needs.mode").and_then(Value::as_str) != Some("Declared")
                    || (at(new, "spec.workload.needs.replicas").is_some()
                        && at(new, "spec.workload.needs.perReplica").is_some())
            },
        ),
        Rule::fixed(
            "!has(self.spec.members) || !has(self.spec.members.preferred) || self.spec.members.preferred.all(p, p.weight != 0)",
            "spec.members.preferred: weight is -100 to 100 and not 0",
            |new, _| {
                items(new, "spec.members.preferred")
                    .all(|p| p.get("weight").and_then(Value::as_i64) != Some(0))
            },
        ),
        Rule::fixed(
            "!has(self.spec.members) || !has(self.spec.members.preferred) || self.spec.members.preferred.all(p, has(p.sort) != (has(p.labelSelector) || has(p.propertySelector) || has(p.names)))",
            "spec.members.preferred: a selector or a sort, exactly one",
            |new, _| {
                items(new, "spec.members.preferred").all(|p| {
                    let selects =
                        ["labelSelector", "propertySelector", "names"].iter().any(|k| p.get(k).is_some());
                    p.get("sort").is_some() != selects
                })
            },
        ),
        Rule::fixed(
            "!has(self.spec.spread) || self.spec.spread.all(s, self.spec.spread.exists_one(t, t.topology == s.topology))",
            "spec.spread: each topology once",
            |new, _| {
                let all: Vec<_> = items(new, "spec.spread").map(|s| s.get("topology")).collect();
                all.iter().all(|t| all.iter().filter(|u| *u == t).count() == 1)
            },
        ),
    ];
    rules.extend(selection());
    rules.push(budgets());
    if !cluster {
        rules.push(Rule::fixed(
            "!has(self.spec.workload.namespaces) && !(has(self.spec.output) && has(self.spec.output.namespaces))",
            "spec.workload.namespaces, spec.output.namespaces: only in a ClusterPlacement",
            |new, _| at(new, "spec.workload.namespaces").is_none() && at(new, "spec.output.namespaces").is_none(),
        ));
    }
    rules
}

fn selection() -> [Rule; 3] {
    [
        Rule::fixed(
            "!has(self.spec.select) || !has(self.spec.select.count) || (type(self.spec.select.count) == int ? (self.spec.select.count >= 0 && self.spec.select.count <= 1000) : self.spec.select.count.matches('^([0-9]|[1-9][0-9]|100)%$'))",
            "spec.select.count: must be 0..1000 or a percentage",
            |new, _| at(new, "spec.select.count").is_none_or(count_is_valid),
        ),
        Rule::fixed(
            "!has(self.spec.select) || !has(self.spec.select.mode) || self.spec.select.mode != 'Fixed' || (has(self.spec.select.names) && self.spec.select.names.size() > 0)",
            "spec.select.names: required with mode Fixed",
            |new, _| mode(new) != Some("Fixed") || items(new, "spec.select.names").next().is_some(),
        ),
        Rule::fixed(
            "!has(self.spec.select) || !(has(self.spec.select.count) && has(self.spec.select.names))",
            "spec.select: count or names, not both",
            |new, _| at(new, "spec.select.count").is_none() || at(new, "spec.select.names").is_none(),
        ),
    ]
}

fn budgets() -> Rule {
    let zero = |path: &str| format!("has({path}) && (type({path}) == int ? {path} == 0 : {path} == '0%')");
    Rule::fixed(
        format!(
            "!has(self.spec.rollout) || !(({}) && ({}))",
            zero("self.spec.rollout.maxUnavailable"),
            zero("self.spec.rollout.maxSurge")
        ),
        "spec.rollout: maxUnavailable and maxSurge may not both be 0",
        |new, _| {
            let none =
                |path| at(new, path).is_some_and(|v| v.as_i64() == Some(0) || v.as_str() == Some("0%"));
            !(none("spec.rollout.maxUnavailable") && none("spec.rollout.maxSurge"))
        },
    )
}

fn count_is_valid(count: &Value) -> bool {
    match count {
        Value::Number(n) => n.as_i64().is_some_and(|n| (0..=1000).contains(&n)),
        Value::String(text) => text
            .strip_suffix('%')
            .is_some_and(|digits| digits.parse::<u8>().is_ok_and(|n| n <= 100 && n.to_string() == digits)),
        _ => false,
    }
}

fn mode(new: &Value) -> Option<&str> {
    at(new, "spec.select.mode").and_then(Value::as_str)
}

fn items<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    at(value, path).and_then(Value::as_array).map(|l| l.iter()).unwrap_or_default()
}

pub(super) fn binding_rules() -> Vec<Rule> {
    vec![
        Rule::immutable("spec.placement", "spec.placement is immutable".to_owned()),
        Rule::immutable("spec.member", "spec.member is immutable".to_owned()),
        Rule::fixed(
            "self.spec.planGeneration >= oldSelf.spec.planGeneration",
            "spec.planGeneration may not fall: a newer plan has decided",
            |new, old| {
                let of = |v: &Value| at(v, "spec.planGeneration").and_then(Value::as_i64);
                old.is_none_or(|old| of(new) >= of(old))
            },
        ),
    ]
}
