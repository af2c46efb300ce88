//! Conditions Accepted and Placed of Placements, and what was selected; written only where something differs.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use skerry_placement::{Plan, Verdict};

use super::raw::{self, items, text};
use super::resolve::{Resolved, SourceError};
use super::world::{Placed, World};
use crate::placement::Site;

/// Manager of what this stage writes.
pub const MANAGER: &str = "skerry-placement";

/// A condition as stored: its transition time moves with its status only.
pub fn condition(object: &Value, ty: &str, holds: &str, reason: &str, message: &str) -> Value {
    let before = items(object, &["status", "conditions"])
        .iter()
        .find(|c| text(c, &["type"]) == ty && text(c, &["status"]) == holds);
    let since = before.map_or_else(
        || Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        |c| text(c, &["lastTransitionTime"]).to_owned(),
    );
    json!({"type": ty, "status": holds, "reason": reason, "message": message, "lastTransitionTime": since,
           "observedGeneration": object["metadata"]["generation"]})
}

/// Applies a part of a Placement's status, unless it is there already.
pub async fn write_part(
    site: &Site<'_>,
    placement: &Placed,
    manager: &str,
    status: Value,
) -> Result<(), kube::Error> {
    if skerry_kit::apply::covers(&placement.object["status"], &status) {
        return Ok(());
    }
    let mut metadata = json!({"name": placement.name});
    if !placement.namespace.is_empty() {
        metadata["namespace"] = placement.namespace.as_str().into();
    }
    let body = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": placement.kind, "metadata": metadata, "status": status});
    match raw::apply(&site.hub, &format!("{}/status", placement.path()), manager, true, &body).await {
        Err(error) if skerry_kit::error::is_not_found(&error) => Ok(()),
        other => other.map(|now| site.saw(&now)),
    }
}

/// Writes every Placement's half.
pub async fn write(
    site: &Site<'_>,
    world: &World,
    plan: &Plan,
    verdicts: &BTreeMap<String, Result<Arc<Resolved>, SourceError>>,
) -> Result<(), kube::Error> {
    for placement in &world.placements {
        let object = &placement.object;
        let mut conditions = vec![match verdicts.get(&placement.uid) {
            Some(Err(error)) => condition(object, "Accepted", "False", error.reason(), &error.to_string()),
            _ => condition(object, "Accepted", "True", "Accepted", "the spec is in force"),
        }];
        let mut status = json!({"observedGeneration": placement.generation()});
        if let Some(decision) = plan.decision(&placement.uid.as_str().into()) {
            let outcome = &decision.outcome;
            let (holds, reason) = match outcome.verdict {
                Verdict::Placed => ("True", "Placed"),
                Verdict::Partial => ("True", "Partial"),
                Verdict::NoMember => ("False", "NoMember"),
                Verdict::Short => ("False", "Short"),
                Verdict::Insufficient => ("False", "Insufficient"),
                Verdict::SpreadUnsatisfiable => ("False", "SpreadUnsatisfiable"),
            };
            let message = format!(
                "{} of {} members; {} visible",
                outcome.selected, outcome.wanted, decision.tally.visible
            );
            conditions.push(condition(object, "Placed", holds, reason, &message));
            status["members"] = json!({"wanted": outcome.wanted, "selected": outcome.selected});
            let rejected: Vec<Value> = decision
                .tally
                .rejected
                .iter()
                .take(10)
                .map(|r| json!({"reason": format!("{:?}", r.reason), "count": r.count, "detail": &*r.detail}))
                .collect();
            status["rejected"] = rejected.into();
        }
        status["conditions"] = conditions.into();
        write_part(site, placement, MANAGER, status).await?;
    }
    Ok(())
}
