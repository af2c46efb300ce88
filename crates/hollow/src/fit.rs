//! Whether a pod may be on a node: selectors, required affinity, taints, cordon, room.

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, Taint, Toleration};

use super::resources::Amounts;

/// Why a node was passed over, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Cordoned.
    Unschedulable,
    /// A taint is not tolerated.
    Taint,
    /// Selector or required affinity does not fit.
    Affinity,
    /// Not enough of a resource.
    Room,
}

impl Refusal {
    /// The part of the scheduler's message.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unschedulable => "node(s) were unschedulable",
            Self::Taint => "node(s) had untolerated taint(s)",
            Self::Affinity => "node(s) didn't match Pod's node affinity/selector",
            Self::Room => "Insufficient resources",
        }
    }
}

fn requirement(r: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = r.values.as_deref().unwrap_or_default();
    let listed = |v: &str| values.iter().any(|x| x == v);
    let number = |v: &str| v.parse::<i64>().ok();
    let compare = |f: fn(&i64, &i64) -> bool| {
        value.and_then(number).zip(values.first().and_then(|v| number(v))).is_some_and(|(a, b)| f(&a, &b))
    };
    match r.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => value.is_none_or(|v| !listed(v)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(i64::gt),
        "Lt" => compare(i64::lt),
        _ => false,
    }
}

fn term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|l| l.get(key)).map(String::as_str);
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let named = |r: &NodeSelectorRequirement| {
        let value = (r.key == "metadata.name").then_some(node.metadata.name.as_deref()).flatten();
        requirement(r, value)
    };
    (!expressions.is_empty() || !fields.is_empty())
        && expressions.iter().all(|r| requirement(r, label(&r.key)))
        && fields.iter().all(named)
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().is_none_or(|e| e.is_empty() || e == taint.effect);
    let exists = toleration.operator.as_deref() == Some("Exists");
    let key = match toleration.key.as_deref().unwrap_or_default() {
        "" => exists,
        key => key == taint.key,
    };
    let value = exists
        || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
    effect && key && value
}

/// Judges everything but room.
pub fn placement(pod: &Pod, node: &Node) -> Result<(), Refusal> {
    let Some(spec) = &pod.spec else { return Ok(()) };
    let node_spec = node.spec.clone().unwrap_or_default();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    if node_spec.unschedulable == Some(true)
        && !tolerations.iter().any(|t| t.key.as_deref() == Some("node.kubernetes.io/unschedulable"))
    {
        return Err(Refusal::Unschedulable);
    }
    let taints = node_spec.taints.unwrap_or_default();
    let mut hard = taints.iter().filter(|t| t.effect != "PreferNoSchedule");
    if hard.any(|taint| !tolerations.iter().any(|t| tolerates(t, taint))) {
        return Err(Refusal::Taint);
    }
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let selector = spec.node_selector.iter().flatten().all(|(k, v)| labels.get(k) == Some(v));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|a| a.node_affinity.as_ref())
        .and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    let affinity = required.is_none_or(|r| r.node_selector_terms.iter().any(|t| term(t, node)));
    if selector && affinity { Ok(()) } else { Err(Refusal::Affinity) }
}

/// Whether `need` fits into what is left of `offer` after `used`.
pub fn room(need: &Amounts, offer: &Amounts, used: &Amounts) -> bool {
    need.iter().all(|(name, amount)| {
        *amount == 0
            || offer.get(name).copied().unwrap_or(0) - used.get(name).copied().unwrap_or(0) >= *amount
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    #[test]
    fn nodes_are_judged_by_labels_names_and_taints() {
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "n1", "labels": {"zone": "a"}},
            "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}}))
        .unwrap();
        let tolerant = json!([{"key": "gpu", "operator": "Exists"}]);
        let by_name = |name: &str| {
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]}}})
        };
        let judge = |spec| placement(&pod(spec), &node);
        assert_eq!(judge(json!({"containers": []})), Err(Refusal::Taint));
        assert_eq!(judge(json!({"containers": [], "tolerations": tolerant})), Ok(()));
        assert_eq!(
            judge(json!({"containers": [], "tolerations": tolerant, "nodeSelector": {"zone": "b"}})),
            Err(Refusal::Affinity)
        );
        assert_eq!(
            judge(json!({"containers": [], "tolerations": tolerant, "affinity": by_name("n1")})),
            Ok(())
        );
        assert_eq!(
            judge(json!({"containers": [], "tolerations": tolerant, "affinity": by_name("n2")})),
            Err(Refusal::Affinity)
        );
    }
}
