//! Reviews: SubjectAccessReview in its three forms, SelfSubjectRulesReview, SelfSubjectReview.

use serde_json::{Value, json};

use super::Attributes;
use super::decide::{decide, rules_for};
use super::index::Index;
use crate::identity::Identity;
use crate::identity::review::user_info;
use crate::model::gvk::Gvk;
use crate::model::status::{ApiStatus, Cause};

const GROUP: &str = "authorization.k8s.io";

/// Whom an access review is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The caller: SelfSubjectAccessReview.
    Caller,
    /// Anybody: SubjectAccessReview.
    Anybody,
    /// Anybody, in one namespace: LocalSubjectAccessReview.
    AnybodyIn,
}

impl About {
    fn kind(self) -> &'static str {
        match self {
            Self::Caller => "SelfSubjectAccessReview",
            Self::Anybody => "SubjectAccessReview",
            Self::AnybodyIn => "LocalSubjectAccessReview",
        }
    }
}

/// Answers an access review: the object with its status. `namespace` is the path's.
pub fn access_review(
    index: &Index,
    caller: &Identity,
    about: About,
    namespace: &str,
    mut review: Value,
) -> Result<Value, ApiStatus> {
    let causes = objections(about, namespace, &review["spec"]);
    if !causes.is_empty() {
        return Err(ApiStatus::invalid(&Gvk::new(GROUP, "v1", about.kind()), "", causes));
    }
    let spec = &review["spec"];
    let who = match about {
        About::Caller => caller.clone(),
        About::Anybody | About::AnybodyIn => named(spec),
    };
    let text = |of: &'static str, key: &str| spec[of][key].as_str().unwrap_or_default();
    let resource = |key: &str| text("resourceAttributes", key);
    let a = match spec.get("nonResourceAttributes").filter(|n| n.is_object()) {
        Some(_) => {
            Attributes::path(text("nonResourceAttributes", "verb"), text("nonResourceAttributes", "path"))
        }
        None => Attributes {
            verb: resource("verb"),
            group: resource("group"),
            version: resource("version"),
            resource: resource("resource"),
            subresource: resource("subresource"),
            namespace: resource("namespace"),
            name: resource("name"),
            path: None,
        },
    };
    let decision = decide(index, &who, &a);
    let mut status = json!({ "allowed": decision.allowed });
    if !decision.reason.is_empty() {
        status["reason"] = decision.reason.into();
    }
    review["status"] = status;
    Ok(review)
}

fn named(spec: &Value) -> Identity {
    let list =
        |v: &Value| v.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    Identity {
        user: spec["user"].as_str().unwrap_or_default().to_owned(),
        uid: spec["uid"].as_str().unwrap_or_default().to_owned(),
        // Nobody becomes a system identity by being asked about.
        groups: Vec::into_iter(list(&spec["groups"]))
            .filter(|g| g != crate::identity::SYSTEM_GROUP)
            .collect(),
        extra: spec["extra"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), list(v))).collect(),
    }
}

fn objections(about: About, namespace: &str, spec: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    let (by_resource, by_path) =
        (spec["resourceAttributes"].is_object(), spec["nonResourceAttributes"].is_object());
    if by_resource && by_path {
        let why = "cannot be specified in combination with resourceAttributes";
        out.push(Cause::invalid("spec.nonResourceAttributes", &spec["nonResourceAttributes"], why));
    }
    if !by_resource && !by_path {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        out.push(Cause::invalid("spec.resourceAttributes", &Value::Null, why));
    }
    let is_named = spec["user"].as_str().is_some_and(|u| !u.is_empty())
        || spec["groups"].as_array().is_some_and(|g| !g.is_empty());
    if about != About::Caller && !is_named {
        out.push(Cause::invalid("spec.user", &"".into(), "at least one of user or group must be specified"));
    }
    if about == About::AnybodyIn {
        let asked = &spec["resourceAttributes"]["namespace"];
        if by_resource && asked.as_str().unwrap_or_default() != namespace {
            out.push(Cause::invalid(
                "spec.resourceAttributes.namespace",
                asked,
                "must match metadata.namespace",
            ));
        }
        if by_path {
            let why = "disallowed on this kind of request";
            out.push(Cause::invalid("spec.nonResourceAttributes", &spec["nonResourceAttributes"], why));
        }
    }
    out
}

/// Answers a SelfSubjectRulesReview.
pub fn rules_review(index: &Index, caller: &Identity, mut review: Value) -> Result<Value, ApiStatus> {
    let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(ApiStatus::bad_request("no namespace on request"));
    }
    let (rules, errors) = rules_for(index, caller, namespace);
    let (on_paths, on_resources): (Vec<_>, Vec<_>) = rules.iter().partition(|r| !r.urls.is_empty());
    let values =
        |list: Vec<&super::rule::Rule>| list.into_iter().map(super::rule::Rule::to_value).collect::<Vec<_>>();
    let mut status = json!({
        "resourceRules": values(on_resources), "nonResourceRules": values(on_paths), "incomplete": false,
    });
    if !errors.is_empty() {
        status["evaluationError"] = errors.join(", ").into();
    }
    review["status"] = status;
    Ok(review)
}

/// Answers a SelfSubjectReview.
pub fn self_review(caller: &Identity, mut review: Value) -> Value {
    review["status"] = json!({ "userInfo": user_info(caller) });
    review
}
