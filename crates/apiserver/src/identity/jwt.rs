//! Compact ES256 tokens: signing, checking, and the one unverified look that routing takes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::pki::{Key, PkiError};

/// Longest token that is looked at (Q21).
pub const MAX_TOKEN: usize = 16 * 1024;

/// A token is not what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It has no form of a token, or another algorithm.
    #[error("token is malformed")]
    Malformed,
    /// The key is another one, or the signature is wrong.
    #[error("token is not signed by this issuer")]
    Signature,
}

/// Key id as upstream computes it: SHA-256 of SubjectPublicKeyInfo, base64url.
pub fn key_id(key: &Key) -> Result<String, PkiError> {
    use x509_cert::der::Encode as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, &key.spki()?.to_der()?);
    Ok(BASE64.encode(digest.as_ref()))
}

/// Signs claims.
pub fn sign(key: &Key, kid: &str, claims: &Value) -> Result<String, PkiError> {
    let header = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
    let mut token = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let signature = key.sign_fixed(token.as_bytes())?;
    token.push('.');
    BASE64.encode_string(signature, &mut token);
    Ok(token)
}

fn part(text: &str) -> Result<Value, JwtError> {
    let bytes = BASE64.decode(text).map_err(|_| JwtError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| JwtError::Malformed)
}

/// Checks the signature and gives the claims. Nothing of them is judged here.
pub fn verify(key: &Key, kid: &str, token: &str) -> Result<Value, JwtError> {
    if token.len() > MAX_TOKEN {
        return Err(JwtError::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(JwtError::Malformed)?;
    let header = part(header)?;
    if header["alg"] != "ES256" {
        return Err(JwtError::Malformed);
    }
    if header["kid"] != kid {
        return Err(JwtError::Signature);
    }
    let signature = BASE64.decode(signature).map_err(|_| JwtError::Malformed)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_point())
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| JwtError::Signature)?;
    part(claims)
}

/// `iss` as the token itself says it. A hint for routing, no more (G1).
pub fn unverified_issuer(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let claims = part(token.split('.').nth(1)?).ok()?;
    claims["iss"].as_str().map(str::to_owned)
}

/// The key as a JWKS document.
pub fn key_set(key: &Key, kid: &str) -> Value {
    let (x, y) = key.public_point().get(1..).unwrap_or_default().split_at(32);
    json!({ "keys": [{
        "use": "sig", "kty": "EC", "kid": kid, "crv": "P-256", "alg": "ES256",
        "x": BASE64.encode(x), "y": BASE64.encode(y),
    }] })
}
