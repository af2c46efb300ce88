//! TokenRequest and TokenReview: what the two kinds answer, apart from the wire.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::authn::Authenticator;
use super::issuer::{Issuer, MIN_LIFE};
use super::service_account::{self, Binding, Lookup, Reference};
use super::{Identity, issuer};
use crate::model::gvk::Gvk;
use crate::model::status::{ApiStatus, Cause, Subject};

/// A projected token's usual life; upstream extends such tokens and warns after it.
const EXTENDED: u64 = 3607;

/// What a TokenRequest is answered with.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The TokenRequest with its status.
    pub object: Value,
    /// `Warning` header texts.
    pub warnings: Vec<String>,
}

/// Answers `POST …/serviceaccounts/<name>/token`. `request` is the decoded TokenRequest.
pub fn token_request(
    issuer: &Issuer,
    objects: &impl Lookup,
    (namespace, name): (&str, &str),
    mut request: Value,
    max_life: Duration,
) -> Result<Issued, ApiStatus> {
    let gvk = Gvk::new("authentication.k8s.io", "v1", "TokenRequest");
    check_names(&gvk, &request, namespace, name)?;
    let not_found = |plural, name: &str| ApiStatus::not_found(Subject { group: "", plural, name });
    let account = objects
        .object("/serviceaccounts", namespace, name)
        .ok_or_else(|| not_found("serviceaccounts", name))?;
    let account = Reference::of(&account);
    let asked_uid = request["metadata"]["uid"].as_str().unwrap_or_default();
    if !asked_uid.is_empty() && asked_uid != account.uid {
        let why = format!(
            "the UID in the token request ({asked_uid}) does not match the UID of the service account ({})",
            account.uid
        );
        return Err(ApiStatus::conflict(
            Subject { group: "authentication.k8s.io", plural: "TokenRequest", name },
            &why,
        ));
    }
    let mut warnings = Vec::new();
    let seconds = life(&gvk, &request["spec"], max_life, &mut warnings)?;
    let own = issuer.audiences().get(..1).unwrap_or_default();
    let asked = audiences(&request);
    let audiences = if asked.is_empty() { own.to_vec() } else { asked };
    let mut binding = Binding { namespace: namespace.into(), account: account.clone(), ..Binding::default() };
    bind(&mut binding, objects, &request["spec"]["boundObjectRef"])?;

    let for_api = audiences.iter().all(|a| issuer.audiences().contains(a));
    let is_extended = binding.pod.is_some() && seconds == EXTENDED && for_api;
    let warn_after = is_extended.then(|| Duration::from_secs(EXTENDED));
    let token_life = if is_extended { max_life } else { Duration::from_secs(seconds) };
    let now = Timestamp::now();
    let token = service_account::issue(issuer, &binding, &audiences, now, Some(token_life), warn_after)
        .map_err(|_| ApiStatus::internal("failed to generate token"))?;
    let expires = Timestamp::from_second(now.as_second().saturating_add_unsigned(seconds)).unwrap_or(now);

    let metadata = &mut request["metadata"];
    metadata["name"] = name.into();
    metadata["namespace"] = namespace.into();
    metadata["uid"] = account.uid.into();
    metadata["creationTimestamp"] = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
    request["spec"]["audiences"] = json!(audiences);
    request["spec"]["expirationSeconds"] = seconds.into();
    request["status"] =
        json!({ "token": token, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() });
    Ok(Issued { object: request, warnings })
}

fn check_names(gvk: &Gvk, request: &Value, namespace: &str, name: &str) -> Result<(), ApiStatus> {
    for (key, want) in [("name", name), ("namespace", namespace)] {
        let asked = request["metadata"][key].as_str().unwrap_or_default();
        if !asked.is_empty() && asked != want {
            let why = format!("must match the service account {key} if specified");
            let cause = Cause::invalid(format!("metadata.{key}"), &asked.into(), &why);
            return Err(ApiStatus::invalid(gvk, name, vec![cause]));
        }
    }
    Ok(())
}

/// Seconds of life: at least ten minutes, cut to the maximum with a warning.
fn life(gvk: &Gvk, spec: &Value, max: Duration, warnings: &mut Vec<String>) -> Result<u64, ApiStatus> {
    let asked = spec["expirationSeconds"].as_i64().unwrap_or(3600);
    let refuse = |why| {
        let cause = Cause::invalid("spec.expirationSeconds", &asked.into(), why);
        Err(ApiStatus::invalid(gvk, "", vec![cause]))
    };
    let Some(seconds) = u64::try_from(asked).ok().filter(|s| *s >= MIN_LIFE.as_secs()) else {
        return refuse("may not specify a duration less than 10 minutes");
    };
    if seconds > 1 << 32 {
        return refuse("may not specify a duration larger than 2^32 seconds");
    }
    let max = max.as_secs().max(MIN_LIFE.as_secs());
    if seconds > max {
        warnings.push(format!("requested expiration of {seconds} seconds shortened to {max} seconds"));
    }
    Ok(seconds.min(max))
}

fn bind(binding: &mut Binding, objects: &impl Lookup, to: &Value) -> Result<(), ApiStatus> {
    let text = |key: &str| to[key].as_str().unwrap_or_default();
    if !to.is_object() {
        return Ok(());
    }
    let gvk = Gvk::from_api_version(text("apiVersion"), text("kind"));
    let name = text("name");
    let find = |plural, namespace: &str| {
        objects
            .object(&format!("/{plural}"), namespace, name)
            .ok_or_else(|| ApiStatus::not_found(Subject { group: "", plural, name }))
    };
    let found = match (&*gvk.group, &*gvk.kind) {
        ("", "Pod") => {
            let pod = find("pods", &binding.namespace)?;
            if pod["spec"]["serviceAccountName"] != binding.account.name.as_str() {
                return Err(ApiStatus::bad_request(format!(
                    "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                    binding.account.name
                )));
            }
            binding.node = pod["spec"]["nodeName"].as_str().filter(|n| !n.is_empty()).map(|node| {
                objects.object("/nodes", "", node).map_or_else(
                    || Reference { name: node.into(), ..Reference::default() },
                    |n| Reference::of(&n),
                )
            });
            binding.pod.insert(Reference::of(&pod)).clone()
        }
        ("", "Secret") => binding.secret.insert(Reference::of(&find("secrets", &binding.namespace)?)).clone(),
        ("", "Node") => binding.node.insert(Reference::of(&find("nodes", "")?)).clone(),
        _ => return Err(ApiStatus::bad_request(format!("cannot bind token to object of type {gvk}"))),
    };
    let asked = text("uid");
    if !asked.is_empty() && asked != found.uid {
        let why = format!(
            "the UID in the bound object reference ({asked}) does not match the UID in record. The object might have \
             been deleted and then recreated"
        );
        return Err(ApiStatus::conflict(Subject { group: &gvk.group, plural: &gvk.kind, name }, &why));
    }
    Ok(())
}

/// `spec.audiences` of a request.
fn audiences(request: &Value) -> Vec<String> {
    let asked = request["spec"]["audiences"].as_array().into_iter().flatten();
    asked.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Answers a TokenReview: the object with its status.
pub fn token_review<L: Lookup>(by: &Authenticator<'_, L>, mut review: Value) -> Result<Value, ApiStatus> {
    let token = review["spec"]["token"].as_str().unwrap_or_default().to_owned();
    if token.is_empty() {
        return Err(ApiStatus::bad_request("token is required for TokenReview in authentication"));
    }
    let asked = audiences(&review);
    let audiences = if asked.is_empty() { by.issuer.audiences() } else { &asked };
    review["status"] = match by.token(&token, audiences) {
        Ok((who, fit)) => json!({ "authenticated": true, "user": user_info(&who), "audiences": fit }),
        Err(issuer::TokenError::Audience) => json!({ "user": {}, "error": "token audiences do not match" }),
        Err(error) => json!({ "user": {}, "error": format!("invalid bearer token: {error}") }),
    };
    Ok(review)
}

/// `authentication.k8s.io` UserInfo of an identity.
pub fn user_info(who: &Identity) -> Value {
    let mut out = json!({ "username": who.user, "groups": who.groups });
    if !who.uid.is_empty() {
        out["uid"] = who.uid.as_str().into();
    }
    if !who.extra.is_empty() {
        out["extra"] = json!(who.extra);
    }
    out
}
