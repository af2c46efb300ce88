//! Skerry's own rules on the embedded hub (apiserver H4): what CEL and an admission policy say elsewhere.

use serde_json::Value;
use skerry_api::rules;
use skerry_apiserver::admit::{Operation, Rule, RuleInput};
use skerry_apiserver::config::Role;
use skerry_apiserver::model::gvk::{Gvk, ResourceId};
use skerry_apiserver::model::status::{ApiStatus, Cause, Subject};

/// Kinds with rules, and their plurals.
const KINDS: [(&str, &str); 6] = [
    ("VirtualCluster", "virtualclusters"),
    ("VirtualClusterClass", "virtualclusterclasses"),
    ("ClusterReport", "clusterreports"),
    ("ClusterBinding", "clusterbindings"),
    ("Placement", "placements"),
    ("ClusterPlacement", "clusterplacements"),
];

/// All of them.
pub fn all() -> Vec<Rule> {
    let id = |plural: &str| ResourceId::new("skerry.dev", plural);
    let mut list: Vec<Rule> = KINDS
        .iter()
        .map(|(kind, plural)| Rule::new(Role::Hub, id(plural), move |input| twins(kind, input)))
        .collect();
    list.push(Rule::new(Role::Hub, id("virtualclusters"), protected));
    list
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The CEL rules of a kind (tenancy V4 to V10, placement D11), by their twins.
fn twins(kind: &str, input: &RuleInput<'_>) -> Result<(), ApiStatus> {
    let Some(new) =
        input.new.filter(|_| input.subresource.is_empty() && input.operation != Operation::Delete)
    else {
        return Ok(());
    };
    let findings = rules::check(kind, new, input.old);
    if findings.is_empty() {
        return Ok(());
    }
    let causes = findings.iter().map(|text| cause(text)).collect();
    Err(ApiStatus::invalid(&Gvk::new("skerry.dev", "v1alpha1", kind), name(new), causes))
}

/// The field that a message begins with becomes the cause's own, as clients show it.
fn cause(text: &str) -> Cause {
    match text.split_once(": ") {
        Some((field, rest)) if !field.contains(' ') => Cause::new("FieldValueInvalid", field, rest),
        _ => Cause::new("FieldValueInvalid", "", text),
    }
}

/// A protected virtual cluster is not deleted (tenancy D1).
fn protected(input: &RuleInput<'_>) -> Result<(), ApiStatus> {
    let Some(old) = input.old.filter(|_| input.operation == Operation::Delete) else { return Ok(()) };
    let on = |part: &Value| part["deletion"]["protect"] == Value::Bool(true);
    let asked = old["spec"]["deletion"]["protect"].as_bool();
    if asked.unwrap_or_else(|| on(&old["status"]["effective"])) {
        let subject = Subject { group: "skerry.dev", plural: "virtualclusters", name: name(old) };
        return Err(ApiStatus::forbidden(subject, "spec.deletion.protect is true; set it to false first"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TN-2: the message of a rule reaches the client as the table has it.
    #[test]
    fn tn2_causes_name_their_field() {
        let named = cause("spec.deletion.deadline: 1s is below the minimum 1m");
        assert_eq!(
            (named.field.as_str(), named.message.as_str()),
            ("spec.deletion.deadline", "1s is below the minimum 1m")
        );
        let whole = cause("spec.network.clusterDomain is immutable; create a new one");
        assert_eq!(whole.field, "");
    }
}
