//! Tokens of ServiceAccounts: what upstream's carry, bound to objects that must live (I2).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Identity;
use super::issuer::{Issuer, TokenError};
use super::pki::PkiError;

/// Reads objects of the tenant as they are now.
pub trait Lookup {
    /// The object of a storage identity (`/pods`).
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value>;
}

impl<F: Fn(&str, &str, &str) -> Option<Value>> Lookup for F {
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self(resource, namespace, name)
    }
}

/// Name and UID of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

impl Reference {
    /// Of an object.
    pub fn of(object: &Value) -> Self {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        Self { name: text("name"), uid: text("uid") }
    }

    fn claim(&self) -> Value {
        if self.uid.is_empty() {
            json!({ "name": self.name })
        } else {
            json!({ "name": self.name, "uid": self.uid })
        }
    }

    fn of_claim(claim: &Value) -> Option<Self> {
        let text = |key: &str| claim[key].as_str().unwrap_or_default().to_owned();
        claim.is_object().then(|| Self { name: text("name"), uid: text("uid") })
    }
}

/// What a token is about.
#[derive(Clone, Debug, Default)]
pub struct Binding {
    /// Namespace of the ServiceAccount.
    pub namespace: String,
    /// The ServiceAccount.
    pub account: Reference,
    /// Bound pod.
    pub pod: Option<Reference>,
    /// Bound Secret.
    pub secret: Option<Reference>,
    /// Node of the pod, or the bound node.
    pub node: Option<Reference>,
}

/// Makes a token. `life` none only for token Secrets; `warn_after` as upstream for extended ones.
pub fn issue(
    issuer: &Issuer,
    binding: &Binding,
    audiences: &[String],
    now: Timestamp,
    life: Option<Duration>,
    warn_after: Option<Duration>,
) -> Result<String, PkiError> {
    let Binding { namespace, account, pod, secret, node } = binding;
    let mut own = json!({ "namespace": namespace, "serviceaccount": account.claim() });
    for (key, bound) in [("pod", pod), ("secret", secret), ("node", node)] {
        if let Some(bound) = bound {
            own[key] = bound.claim();
        }
    }
    if let Some(warn) = warn_after {
        own["warnafter"] = now.as_second().saturating_add_unsigned(warn.as_secs()).into();
    }
    let claims = json!({
        "sub": format!("system:serviceaccount:{namespace}:{}", account.name),
        "aud": audiences,
        "kubernetes.io": own,
    });
    issuer.sign(claims, now, life)
}

/// Whether claims are those of a ServiceAccount.
pub fn is_service_account(claims: &Value) -> bool {
    claims["kubernetes.io"]["serviceaccount"].is_object()
}

/// Reads verified claims into an identity, if all they are bound to lives.
pub fn identify(claims: &Value, objects: &impl Lookup, now: Timestamp) -> Result<Identity, TokenError> {
    let own = &claims["kubernetes.io"];
    let namespace = own["namespace"].as_str().unwrap_or_default();
    let account = Reference::of_claim(&own["serviceaccount"]).ok_or(TokenError::Name)?;
    let lives = |resource: &str, namespace: &str, bound: &Reference| {
        let found = objects.object(resource, namespace, &bound.name)?;
        (found["metadata"]["uid"] == bound.uid.as_str() && !long_deleted(&found, now)).then_some(found)
    };
    if namespace.is_empty() || claims["sub"] != format!("system:serviceaccount:{namespace}:{}", account.name)
    {
        return Err(TokenError::Name);
    }
    lives("/serviceaccounts", namespace, &account).ok_or(TokenError::Gone("service account"))?;
    let pod = Reference::of_claim(&own["pod"]);
    if let Some(pod) = &pod {
        lives("/pods", namespace, pod).ok_or(TokenError::Gone("pod"))?;
    }
    if let Some(secret) = Reference::of_claim(&own["secret"]) {
        lives("/secrets", namespace, &secret).ok_or(TokenError::Gone("secret"))?;
    }
    let node = Reference::of_claim(&own["node"]);
    // As upstream: the node of a pod is told, only a token bound to the node itself dies with it.
    if let Some(node) = node.as_ref().filter(|_| pod.is_none()) {
        lives("/nodes", "", node).ok_or(TokenError::Gone("node"))?;
    }
    let mut who = Identity::service_account(namespace, &account.name, &account.uid);
    let mut tell = |key: &str, value: String| {
        if !value.is_empty() {
            who.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
        }
    };
    if let Some(jti) = claims["jti"].as_str() {
        tell("credential-id", format!("JTI={jti}"));
    }
    if let Some(pod) = pod {
        tell("pod-name", pod.name);
        tell("pod-uid", pod.uid);
    }
    if let Some(node) = node {
        tell("node-name", node.name);
        tell("node-uid", node.uid);
    }
    Ok(who)
}

/// An object counts as gone a minute after its deletionTimestamp.
fn long_deleted(object: &Value, now: Timestamp) -> bool {
    object["metadata"]["deletionTimestamp"]
        .as_str()
        .and_then(|t| t.parse::<Timestamp>().ok())
        .is_some_and(|at| at.as_second() + super::issuer::LEEWAY < now.as_second())
}
