//! `skerry-guard` (tenancy I10): what a host's own API server refuses to Skerry's accounts, whatever their roles grant.
//!
//! The account that carries tenants writes into their namespaces and its own alone. The account of a member delivers
//! elsewhere, and so stays out of tenants' namespaces and of the host's system. Neither gives a namespace to a tenant
//! that was there before, nor takes one away from it.

use serde_json::{Value, json};

use crate::labels;
use crate::rights::{ACCOUNT, HOST_ACCOUNT};

/// Name of the policy and of its binding.
pub const NAME: &str = "skerry-guard";
/// Label, taint and annotation of nodes that are lent to one tenant (tenancy N3, N4).
const POOL: &str = "skerry.dev/pool";
const POOL_CLAIM: &str = "skerry.dev/pool-claim";

fn account(name: &str) -> String {
    format!("system:serviceaccount:{}:{name}", labels::SYSTEM_NAMESPACE)
}

/// A tenant label of the object before or after, empty without one.
fn label_of(object: &str) -> String {
    let tenant = labels::TENANT;
    format!(
        "{object} != null && has({object}.metadata.labels) ? {object}.metadata.labels[?'{tenant}'].orValue('') : ''"
    )
}

/// Whether a map is the same on both sides but for one key.
fn same_but(member: &str, key: &str) -> String {
    let of = |object: &str| format!("(has({object}.metadata.{member}) ? {object}.metadata.{member} : {{}})");
    let (new, old) = (of("object"), of("oldObject"));
    format!(
        "{new}.all(k, k == '{key}' || {old}[?k] == {new}[?k]) && {old}.all(k, k == '{key}' || k in {new})"
    )
}

/// Expressions, each with what is said when it does not hold.
fn validations() -> Vec<(String, String)> {
    let own = labels::SYSTEM_NAMESPACE;
    let system = "['kube-system', 'kube-public', 'kube-node-lease']";
    let taints = |object: &str| {
        format!("(has({object}.spec.taints) ? {object}.spec.taints : []).filter(t, t.key != '{POOL}')")
    };
    let (new_taints, old_taints) = (taints("object"), taints("oldObject"));
    let rest = ["podCIDR", "podCIDRs", "providerID", "unschedulable", "externalID", "configSource"];
    let rest = rest.map(|f| {
        format!("has(object.spec.{f}) == has(oldObject.spec.{f}) && (!has(object.spec.{f}) || object.spec.{f} == oldObject.spec.{f})")
    });
    vec![
        (
            format!("!variables.host || namespaceObject == null || variables.inTenant || namespaceObject.metadata.name == '{own}'"),
            format!("only namespaces of tenants and {own} are written"),
        ),
        (
            format!("variables.host || namespaceObject == null || (!variables.inTenant && !(namespaceObject.metadata.name in {system}))"),
            "namespaces of tenants and of the system take no deliveries".to_owned(),
        ),
        (
            "!variables.isNamespace || request.operation != 'UPDATE' || variables.before == variables.after".to_owned(),
            "an existing namespace is not given to a tenant, nor taken from one".to_owned(),
        ),
        (
            "!variables.isNamespace || !variables.host || (request.operation == 'CREATE' ? has(request.name) && request.name.startsWith('sk-') && variables.after != '' : variables.before != '')".to_owned(),
            "only namespaces sk-* with the label of a tenant are made, changed and deleted".to_owned(),
        ),
        (
            format!("!variables.isNamespace || variables.host || (variables.before == '' && variables.after == '' && (request.operation == 'CREATE' || !(request.name in {system})))"),
            "namespaces of tenants and of the system are not this account's".to_owned(),
        ),
        (
            "!variables.host || namespaceObject != null || variables.isNamespace || variables.isNode".to_owned(),
            "nothing else of the whole cluster is written".to_owned(),
        ),
        (
            format!(
                "!variables.isNode || !variables.host || (request.operation == 'UPDATE' && !has(request.subResource) && {} && {} && {new_taints} == {old_taints} && {})",
                same_but("labels", POOL),
                same_but("annotations", POOL_CLAIM),
                rest.join(" && "),
            ),
            "of nodes only pool label, taint and claim are written".to_owned(),
        ),
    ]
}

/// The policy and its binding, for `admissionregistration.k8s.io/v1`.
pub fn objects() -> [Value; 2] {
    let accounts = [ACCOUNT, HOST_ACCOUNT].map(account);
    let rules: Vec<Value> = validations()
        .into_iter()
        .map(|(expression, message)| {
            json!({"expression": expression, "message": format!("{NAME}: {message}"), "reason": "Forbidden"})
        })
        .collect();
    let reviews = ["authentication.k8s.io", "authorization.k8s.io"];
    let tenant = labels::TENANT;
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"],
                    "operations": ["CREATE", "UPDATE", "DELETE", "CONNECT"]}],
                "excludeResourceRules": [{"apiGroups": reviews, "apiVersions": ["*"], "resources": ["*/*"],
                    "operations": ["CREATE"]}],
            },
            "matchConditions": [{"name": "skerry", "expression": format!("request.userInfo.username in {accounts:?}")}],
            "variables": [
                {"name": "host", "expression": format!("request.userInfo.username == '{}'", account(HOST_ACCOUNT))},
                {"name": "isNamespace", "expression": "request.resource.group == '' && request.resource.resource == 'namespaces'"},
                {"name": "isNode", "expression": "request.resource.group == '' && request.resource.resource == 'nodes'"},
                {"name": "inTenant", "expression": format!("namespaceObject != null && has(namespaceObject.metadata.labels) && '{tenant}' in namespaceObject.metadata.labels")},
                {"name": "before", "expression": label_of("oldObject")},
                {"name": "after", "expression": label_of("object")},
            ],
            "validations": rules,
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME, "validationActions": ["Deny"]},
    });
    [policy, binding]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I10: both accounts are meant, a review of their own rights is not, and a refusal is one of rights.
    #[test]
    fn the_guard_names_both_accounts() {
        let [policy, binding] = objects();
        let who = policy["spec"]["matchConditions"][0]["expression"].as_str().unwrap();
        for name in [ACCOUNT, HOST_ACCOUNT] {
            assert!(who.contains(&format!("\"system:serviceaccount:skerry-system:{name}\"")), "{who}");
        }
        assert_eq!(policy["spec"]["failurePolicy"], "Fail");
        assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
        let rules = policy["spec"]["validations"].as_array().unwrap();
        assert!(
            rules
                .iter()
                .all(|r| r["reason"] == "Forbidden" && r["message"].as_str().unwrap().starts_with(NAME))
        );
    }
}
