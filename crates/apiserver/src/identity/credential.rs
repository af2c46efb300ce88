//! Credentials that the manager asks for: a user with groups, as a certificate or a token (G9, tenancy A1).

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::issuer::{Issuer, TokenError};
use super::pki::{Authority, PkiError, Subject};
use super::x509::CREDENTIAL_UNIT;
use super::{Identity, MAX_GROUPS, is_reserved};
use crate::config::Reader;
use crate::model::status::Cause;

/// Longest life of a certificate (Q24).
pub const MAX_CERTIFICATE: Duration = Duration::from_secs(90 * 86_400);
const CLAIM: &str = "skerry.dev";

/// Form of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A client certificate with its key.
    Certificate,
    /// A bearer token.
    Token,
}

/// `POST /skerry/v1/tenants/<id>/credentials`.
#[derive(Clone, Debug)]
pub struct CredentialRequest {
    /// User name.
    pub user: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Life asked for.
    pub ttl: Duration,
    /// Audiences of a token; none for the tenant's API.
    pub audiences: Vec<String>,
    /// Form.
    pub kind: CredentialKind,
}

/// A credential. `Debug` shows its form only (Q27).
pub enum Credential {
    /// A client certificate with its key.
    Certificate {
        /// PEM.
        certificate: String,
        /// PEM.
        key: String,
        /// End of validity.
        expires: Timestamp,
    },
    /// A bearer token.
    Token {
        /// The token.
        token: String,
        /// End of validity.
        expires: Timestamp,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (form, expires) = match self {
            Self::Certificate { expires, .. } => ("Certificate", expires),
            Self::Token { expires, .. } => ("Token", expires),
        };
        write!(f, "{form}(until {expires})")
    }
}

impl CredentialRequest {
    /// Reads the body; all wrong fields are named.
    pub fn from_value(tree: &Value) -> Result<Self, Vec<Cause>> {
        let causes = RefCell::default();
        let mut from = Reader::new(tree, &causes);
        let any = |t: &str| (!t.is_empty()).then(|| t.to_owned());
        let out = Self {
            user: from.parsed("user", String::new(), "must not be empty", any),
            groups: from.list("groups", Vec::new(), MAX_GROUPS, "a group name", any),
            ttl: Duration::from_secs(from.number("ttlSeconds", 86_400, 600..=u64::from(u32::MAX))),
            audiences: from.list("audiences", Vec::new(), 16, "an audience", any),
            kind: from.word(
                "kind",
                CredentialKind::Certificate,
                &[("certificate", CredentialKind::Certificate), ("token", CredentialKind::Token)],
            ),
        };
        if !from.has("user") {
            causes.borrow_mut().push(Cause::required("user", ""));
        }
        for (i, group) in out.groups.iter().enumerate() {
            if group.starts_with("skerry:") {
                from.wrong(&format!("groups[{i}]"), &group.as_str().into(), "the prefix skerry: is reserved");
            }
        }
        if out.user.starts_with("skerry:") {
            from.wrong("user", &out.user.as_str().into(), "the prefix skerry: is reserved");
        }
        from.finish();
        match causes.into_inner() {
            none if none.is_empty() => Ok(out),
            causes => Err(causes),
        }
    }

    /// Makes it. A longer life than allowed is cut; the answer says when it ends.
    pub fn issue(
        &self,
        authority: &Authority,
        issuer: &Issuer,
        max_token: Duration,
    ) -> Result<Credential, PkiError> {
        let now = Timestamp::now();
        match self.kind {
            CredentialKind::Certificate => {
                let subject = Subject {
                    user: self.user.clone(),
                    groups: self.groups.clone(),
                    unit: CREDENTIAL_UNIT.to_owned(),
                };
                let (leaf, key) = authority.client(&subject, self.ttl.min(MAX_CERTIFICATE))?;
                Ok(Credential::Certificate {
                    certificate: leaf.to_pem(),
                    key: key.to_pem(),
                    expires: leaf.not_after,
                })
            }
            CredentialKind::Token => {
                let life = self.ttl.min(max_token);
                let own = issuer.audiences().get(..1).unwrap_or_default();
                let audiences = if self.audiences.is_empty() { own } else { &self.audiences };
                let claims = json!({ "sub": self.user, "aud": audiences, CLAIM: { "groups": self.groups } });
                let until = now.as_second().saturating_add_unsigned(life.as_secs());
                Ok(Credential::Token {
                    token: issuer.sign(claims, now, Some(life))?,
                    expires: Timestamp::from_second(until).unwrap_or(now),
                })
            }
        }
    }
}

impl Credential {
    /// The answer's body.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Certificate { certificate, key, expires } => {
                json!({ "certificate": certificate, "key": key, "expires": expires.to_string() })
            }
            Self::Token { token, expires } => json!({ "token": token, "expires": expires.to_string() }),
        }
    }
}

/// Reads verified claims of such a token.
pub fn identify(claims: &Value) -> Result<Identity, TokenError> {
    let groups = claims[CLAIM]["groups"].as_array().ok_or(TokenError::Name)?;
    let groups: Vec<String> = groups.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let user = claims["sub"].as_str().unwrap_or_default();
    let reserved = |name: &str| is_reserved(name) && !name.starts_with("hub:");
    if user.is_empty() || reserved(user) || groups.iter().any(|g| reserved(g)) {
        return Err(TokenError::Name);
    }
    if groups.len() > MAX_GROUPS {
        return Err(TokenError::TooManyGroups);
    }
    Ok(Identity::user(user, groups))
}
