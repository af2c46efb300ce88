//! A tenant's issuer of tokens: its URL, its key, its audiences.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::jwt::{self, JwtError};
use super::pki::{Key, PkiError};

/// Seconds by which clocks may differ.
pub const LEEWAY: i64 = 60;
/// Shortest life of a token.
pub const MIN_LIFE: Duration = Duration::from_secs(600);

/// Issues and checks a tenant's tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    url: String,
    kid: String,
    key: Key,
    audiences: Vec<String>,
}

/// Why a token proves nothing. For the log; the client hears 401.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Form or signature.
    #[error(transparent)]
    Jwt(#[from] JwtError),
    /// Another issuer.
    #[error("token is of another issuer")]
    Issuer,
    /// Expired, or not yet valid.
    #[error("token is outside its validity")]
    Expired,
    /// Issued before what the tenant still accepts.
    #[error("token is older than minIssuedAt")]
    TooOld,
    /// None of the audiences fits.
    #[error("token is for another audience")]
    Audience,
    /// The ServiceAccount or what the token is bound to does not live.
    #[error("{0} of the token is gone")]
    Gone(&'static str),
    /// It names a reserved user or group.
    #[error("token names a reserved or empty user or group")]
    Name,
    /// It names too many groups.
    #[error("token names too many groups")]
    TooManyGroups,
}

impl Issuer {
    /// Over a key. `audiences` besides the URL stand for the tenant's own API too.
    pub fn new(url: String, key: Key, audiences: impl IntoIterator<Item = String>) -> Result<Self, PkiError> {
        let kid = jwt::key_id(&key)?;
        let audiences = [url.clone()].into_iter().chain(audiences).collect();
        Ok(Self { url, kid, key, audiences })
    }

    /// `iss`, the tenant's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Audiences that stand for the tenant's API; the first is the default of a request without any.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The key, to be stored.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Signs claims after adding `iss`, `iat`, `nbf`, `exp` and `jti`.
    pub fn sign(
        &self,
        mut claims: Value,
        now: Timestamp,
        life: Option<Duration>,
    ) -> Result<String, PkiError> {
        let at = now.as_second();
        claims["iss"] = self.url.as_str().into();
        claims["iat"] = at.into();
        claims["nbf"] = at.into();
        claims["jti"] = uuid::Uuid::new_v4().to_string().into();
        if let Some(life) = life {
            claims["exp"] = at.saturating_add_unsigned(life.as_secs()).into();
        }
        jwt::sign(&self.key, &self.kid, &claims)
    }

    /// Checks signature, issuer, times and audience. Gives the claims and the audiences that fit.
    pub fn verify(
        &self,
        token: &str,
        wanted: &[String],
        now: Timestamp,
        min_issued_at: Option<Timestamp>,
    ) -> Result<(Value, Vec<String>), TokenError> {
        let claims = jwt::verify(&self.key, &self.kid, token)?;
        if claims["iss"] != self.url.as_str() {
            return Err(TokenError::Issuer);
        }
        let at = now.as_second();
        let time = |name: &str| claims[name].as_i64();
        if time("exp").is_some_and(|exp| at >= exp + LEEWAY)
            || time("nbf").is_some_and(|nbf| at + LEEWAY < nbf)
        {
            return Err(TokenError::Expired);
        }
        if min_issued_at.is_some_and(|min| time("iat").is_none_or(|iat| iat < min.as_second())) {
            return Err(TokenError::TooOld);
        }
        let named = audiences_of(&claims);
        let fit: Vec<String> = wanted.iter().filter(|a| named.contains(&a.as_str())).cloned().collect();
        if fit.is_empty() {
            return Err(TokenError::Audience);
        }
        Ok((claims, fit))
    }

    /// `/openid/v1/jwks`.
    pub fn key_set(&self) -> Value {
        jwt::key_set(&self.key, &self.kid)
    }

    /// `/.well-known/openid-configuration`.
    pub fn discovery(&self) -> Value {
        json!({
            "issuer": self.url,
            "jwks_uri": format!("{}/openid/v1/jwks", self.url),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }
}

fn audiences_of(claims: &Value) -> Vec<&str> {
    match &claims["aud"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
