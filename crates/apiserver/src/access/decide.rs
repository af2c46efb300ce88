//! Allowed or not, with the sentence that says why.

use std::fmt::Write as _;

use super::index::Index;
use super::rule::Rule;
use super::{Attributes, Denied, MASTERS};
use crate::identity::Identity;

/// An answer with its reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why, or what went wrong while asking.
    pub reason: String,
}

/// Whether RBAC is not asked at all.
pub fn is_above(who: &Identity) -> bool {
    who.is_system() || who.in_group(MASTERS)
}

/// Asks the index.
pub fn decide(index: &Index, who: &Identity, a: &Attributes<'_>) -> Decision {
    if is_above(who) {
        return Decision { allowed: true, reason: String::new() };
    }
    let mut decision = Decision::default();
    let mut missing = Vec::new();
    index.visit(who, a.namespace, &mut |found| match found {
        Ok((source, rule)) if rule.allows(a) => {
            decision = Decision { allowed: true, reason: format!("RBAC: allowed by {source}") };
            false
        }
        Ok(_) => true,
        Err(error) => {
            missing.push(error.to_string());
            true
        }
    });
    if !decision.allowed && !missing.is_empty() {
        missing.dedup();
        let joined = missing.join(", ");
        decision.reason = format!("RBAC: {}", if missing.len() > 1 { format!("[{joined}]") } else { joined });
    }
    decision
}

/// Upstream's sentence for a denial.
pub fn denied(who: &Identity, a: &Attributes<'_>, reason: &str) -> Denied {
    let user = &who.user;
    let mut out = match a.path {
        Some(path) => format!("User {user:?} cannot {} path {path:?}", a.verb),
        None => {
            let resource = if a.subresource.is_empty() {
                a.resource.to_owned()
            } else {
                format!("{}/{}", a.resource, a.subresource)
            };
            let scope = if a.namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {:?}", a.namespace)
            };
            format!(
                "User {user:?} cannot {} resource {resource:?} in API group {:?} {scope}",
                a.verb, a.group
            )
        }
    };
    // As upstream: nothing that reads as HTML.
    out = out.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if !reason.is_empty() {
        let _ = write!(out, ": {reason}");
    }
    Denied(out)
}

/// All rules of an identity in a namespace, and what could not be resolved.
pub fn rules_for(index: &Index, who: &Identity, namespace: &str) -> (Vec<Rule>, Vec<String>) {
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    if is_above(who) {
        rules.push(Rule::resources(&["*"], &["*"], &["*"], &[]));
        rules.push(Rule::urls(&["*"], &["*"]));
    }
    index.visit(who, namespace, &mut |found| {
        match found {
            Ok((_, rule)) => rules.push(rule.clone()),
            Err(error) => errors.push(error.to_string()),
        }
        true
    });
    (rules, errors)
}
