//! Stage 5: from what a request carries to who sent it.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde_json::Value;

use super::chain::Chain;
use super::issuer::{Issuer, TokenError};
use super::service_account::{self, Lookup};
use super::x509::CertificateError;
use super::{Identity, credential};

/// What judges the credentials of one tenant's requests.
pub struct Authenticator<'a, L> {
    /// Authority of the tenant's client certificates, DER.
    pub client_authority: &'a [u8],
    /// Authorities of system identities, DER.
    pub system_authorities: &'a [Vec<u8>],
    /// Issuer of the tenant's tokens.
    pub issuer: &'a Issuer,
    /// Credentials issued before are refused.
    pub min_issued_at: Option<Timestamp>,
    /// The tenant's objects.
    pub objects: L,
}

/// Why no credential proved anything. For the log; the client hears 401.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The certificate.
    #[error("certificate refused")]
    Certificate(#[from] CertificateError),
    /// The token.
    #[error("token refused")]
    Token(#[from] TokenError),
    /// The `Authorization` header is no bearer token.
    #[error("authorization is no bearer token")]
    Scheme,
}

impl AuthError {
    /// Stable name for metrics and logs.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "certificate",
            Self::Token(_) => "token",
            Self::Scheme => "scheme",
        }
    }
}

/// The bearer token of a request, if its header has that form.
pub fn bearer(headers: &HeaderMap) -> Option<Result<&str, AuthError>> {
    let value = headers.get(AUTHORIZATION)?;
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
    });
    Some(token.ok_or(AuthError::Scheme))
}

/// A chain below the system authority.
pub fn system_certificate(chain: &Chain, authorities: &[Vec<u8>]) -> Result<Identity, CertificateError> {
    chain.verify(authorities)?.into_system_identity()
}

impl<L: Lookup> Authenticator<'_, L> {
    /// Judges all a request carries, the certificate first, as upstream: one that proves somebody is enough; none that
    /// does is an error; none at all is [`Identity::anonymous`].
    pub fn authenticate(&self, chain: &Chain, headers: &HeaderMap) -> Result<Identity, AuthError> {
        let mut refused = None;
        if !chain.is_empty() {
            match self.certificate(chain) {
                Ok(who) => return Ok(who),
                Err(error) => refused = Some(error.into()),
            }
        }
        match bearer(headers) {
            None => {}
            Some(Err(error)) => refused = Some(error),
            Some(Ok(token)) => match self.token(token, self.issuer.audiences()) {
                Ok((who, _)) => return Ok(who),
                Err(error) => refused = Some(error.into()),
            },
        }
        refused.map_or_else(|| Ok(Identity::anonymous()), Err)
    }

    fn certificate(&self, chain: &Chain) -> Result<Identity, CertificateError> {
        if !self.system_authorities.is_empty()
            && let Ok(who) = system_certificate(chain, self.system_authorities)
        {
            return Ok(who);
        }
        chain.verify(&[self.client_authority])?.into_tenant_identity(self.min_issued_at)
    }

    /// Judges a token for audiences; gives those that fit.
    pub fn token(&self, token: &str, audiences: &[String]) -> Result<(Identity, Vec<String>), TokenError> {
        let now = Timestamp::now();
        let (claims, fit) = self.issuer.verify(token, audiences, now, self.min_issued_at)?;
        Ok((self.identify(&claims, now)?, fit))
    }

    fn identify(&self, claims: &Value, now: Timestamp) -> Result<Identity, TokenError> {
        if service_account::is_service_account(claims) {
            service_account::identify(claims, &self.objects, now)
        } else {
            credential::identify(claims)
        }
    }
}
