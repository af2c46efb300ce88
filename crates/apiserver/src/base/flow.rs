//! Bootstrap flow control, read from its table.

use serde_json::{Value, json};

const TABLE: &str = include_str!("../../schemas/overlay/flow.tbl");
const API_VERSION: &str = "flowcontrol.apiserver.k8s.io/v1";

/// A line of the table that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("flow control table, line {0}")]
pub struct TableError(usize);

/// All PriorityLevelConfigurations and FlowSchemas.
pub fn objects() -> Result<Vec<Value>, TableError> {
    let mut out: Vec<Value> = Vec::new();
    for (number, line) in TABLE.lines().enumerate() {
        let error = || TableError(number + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(' ') {
            let (list, rule) = rule(&words).ok_or_else(error)?;
            let to = out.last_mut().map(|flow| &mut flow["spec"]["rules"][0][list]).ok_or_else(error)?;
            match to.as_array_mut() {
                Some(rules) => rules.push(rule),
                None => *to = json!([rule]),
            }
        } else {
            out.push(head(&words).ok_or_else(error)?);
        }
    }
    Ok(out)
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": kind, "spec": spec, "status": {},
        "metadata": { "name": name, "annotations": { "apf.kubernetes.io/autoupdate-spec": "true" } },
    })
}

fn head(words: &[&str]) -> Option<Value> {
    let number = |text: &str| text.parse::<u32>().ok();
    match words {
        ["level", "exempt", shares, lendable] => {
            let exempt =
                json!({ "nominalConcurrencyShares": number(shares)?, "lendablePercent": number(lendable)? });
            Some(object(
                "PriorityLevelConfiguration",
                "exempt",
                json!({ "type": "Exempt", "exempt": exempt }),
            ))
        }
        ["level", name, shares, lendable, queuing @ ..] => {
            let response = match queuing {
                [] => json!({ "type": "Reject" }),
                [queues, hand, length] => json!({ "type": "Queue", "queuing": {
                    "queues": number(queues)?, "handSize": number(hand)?, "queueLengthLimit": number(length)?,
                } }),
                _ => return None,
            };
            let limited = json!({
                "nominalConcurrencyShares": number(shares)?, "lendablePercent": number(lendable)?,
                "limitResponse": response,
            });
            Some(object("PriorityLevelConfiguration", name, json!({ "type": "Limited", "limited": limited })))
        }
        ["flow", name, level, precedence, by, subjects @ ..] => {
            let mut spec = json!({
                "priorityLevelConfiguration": { "name": level }, "matchingPrecedence": number(precedence)?,
                "rules": [{ "subjects": subjects.iter().map(|s| subject(s)).collect::<Option<Vec<_>>>()? }],
            });
            if *by != "-" {
                spec["distinguisherMethod"] = json!({ "type": by });
            }
            Some(object("FlowSchema", name, spec))
        }
        _ => None,
    }
}

fn subject(text: &str) -> Option<Value> {
    match text.split_once(':')? {
        ("group", name) => Some(json!({ "kind": "Group", "group": { "name": name } })),
        ("user", name) => Some(json!({ "kind": "User", "user": { "name": name } })),
        ("sa", account) => {
            let (namespace, name) = account.split_once('/')?;
            Some(
                json!({ "kind": "ServiceAccount", "serviceAccount": { "namespace": namespace, "name": name } }),
            )
        }
        _ => None,
    }
}

fn rule(words: &[&str]) -> Option<(&'static str, Value)> {
    fn list(text: &str) -> Vec<&str> {
        text.split(',').map(|w| if w == "core" { "" } else { w }).collect()
    }
    match words {
        [verbs, "path", urls] => {
            Some(("nonResourceRules", json!({ "verbs": list(verbs), "nonResourceURLs": list(urls) })))
        }
        [verbs, groups, resources, scope @ ..] => {
            let mut rule = json!({
                "verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources), "namespaces": ["*"],
            });
            if scope == ["cluster"] {
                rule["clusterScope"] = true.into();
            }
            Some(("resourceRules", rule))
        }
        _ => None,
    }
}
