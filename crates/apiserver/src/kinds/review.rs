//! Questions: access reviews, token reviews, who am I. Answered from the index, never stored.

use serde_json::{Value, json};

use crate::access;
use crate::access::review::{About, self_review};
use crate::identity::review::token_review;
use crate::model::object::Object;
use crate::model::status::ApiStatus;
use crate::registry::{Call, Outcome};

/// Answers a question by its resource.
pub fn answer(call: &Call<'_>, mut body: Value) -> Result<Outcome, ApiStatus> {
    body.put(&["apiVersion"], call.gvk().api_version());
    body.put(&["kind"], &*call.gvk().kind);
    if body.at(&["metadata"]).is_none() {
        body.put(&["metadata"], json!({"creationTimestamp": null}));
    }
    let tenant = call.tenant;
    let access = |about, body| access::access_review(tenant, call.who, about, &call.target.namespace, body);
    let answered = match &*call.resource.plural {
        "selfsubjectaccessreviews" => access(About::Caller, body)?,
        "subjectaccessreviews" => access(About::Anybody, body)?,
        "localsubjectaccessreviews" => access(About::AnybodyIn, body)?,
        "selfsubjectrulesreviews" => access::rules_review(tenant, call.who, body)?,
        "selfsubjectreviews" => self_review(call.who, body),
        "tokenreviews" => token_review(&tenant.authenticator(&[]), body)?,
        other => return Err(ApiStatus::method_not_allowed(call.subject(""), other)),
    };
    Ok(Outcome::created(answered))
}
