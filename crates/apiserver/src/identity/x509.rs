//! Judges client certificates: possession of the key was proven in the handshake, here is asked whose it is.

use jiff::Timestamp;
use x509_parser::oid_registry;
use x509_parser::prelude::*;

use super::pki::Subject;
use super::{Identity, SYSTEM_GROUP, is_reserved};
use crate::tenant::TenantId;

/// Longest chain that is looked at.
const MAX_CHAIN: usize = 4;
/// Seconds by which clocks may differ.
const LEEWAY: i64 = 60;

/// OU of certificates that the manager asked for; only these may carry `hub:` names (Z2). The signer of CSRs
/// never copies an OU.
pub const CREDENTIAL_UNIT: &str = "skerry.dev/credential";

/// Why a certificate proves nothing. For the log; the client hears 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be parsed.
    #[error("certificate cannot be parsed")]
    Malformed,
    /// Its chain does not end at the authority.
    #[error("certificate is of another authority")]
    OtherAuthority,
    /// It is not yet or no longer valid.
    #[error("certificate is outside its validity")]
    Expired,
    /// It is no client certificate, or an authority's.
    #[error("certificate is not for clients")]
    Purpose,
    /// It was issued before what the tenant still accepts.
    #[error("certificate is older than minIssuedAt")]
    TooOld,
    /// It names no user, or one that nobody may claim.
    #[error("certificate names a reserved or empty user or group")]
    Name,
}

/// The tenant whose client authority issued a certificate, as it says itself. A hint for routing, no more (G1).
pub fn issuer_hint(leaf: &[u8]) -> Option<TenantId> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let name = certificate.issuer().iter_common_name().next()?.as_str().ok()?;
    name.strip_prefix(super::CLIENT_AUTHORITY_PREFIX)?.parse().ok()
}

fn weak(certificate: &X509Certificate<'_>) -> bool {
    let algorithm = &certificate.signature_algorithm.algorithm;
    *algorithm == oid_registry::OID_PKCS1_SHA1WITHRSA || *algorithm == oid_registry::OID_SHA1_WITH_RSA
}

/// From when to when something holds, in seconds of the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: i64,
    until: i64,
}

impl Span {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() }
    }

    fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    fn holds(self, now: i64) -> Result<Self, CertificateError> {
        let inside = self.from <= now + LEEWAY && self.until + LEEWAY > now;
        inside.then_some(self).ok_or(CertificateError::Expired)
    }
}

fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    certificate.basic_constraints().is_ok_and(|b| b.is_some_and(|b| b.value.ca))
}

/// Verifies a chain, leaf first, against authorities and reads who the leaf names.
pub fn verify(
    chain: &[impl AsRef<[u8]>],
    authorities: &[impl AsRef<[u8]>],
) -> Result<Verified, CertificateError> {
    let parse = |der| X509Certificate::from_der(der).map(|(_, c)| c).map_err(|_| CertificateError::Malformed);
    let chain = chain.iter().take(MAX_CHAIN).map(|c| parse(c.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let roots = authorities.iter().map(|c| parse(c.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let now = Timestamp::now().as_second();
    let leaf = chain.first().ok_or(CertificateError::Malformed)?;
    let mut current = leaf;
    let mut rest = chain.get(1..).unwrap_or_default().iter();
    let mut span = Span::of(leaf);
    loop {
        span = span.and(Span::of(current).holds(now)?);
        if weak(current) {
            return Err(CertificateError::OtherAuthority);
        }
        let signed_by = |issuer: &X509Certificate<'_>| {
            issuer.subject().as_raw() == current.issuer().as_raw()
                && current.verify_signature(Some(issuer.public_key())).is_ok()
        };
        if let Some(root) = roots.iter().find(|root| signed_by(root)) {
            span = span.and(Span::of(root).holds(now)?);
            break;
        }
        let next = rest.next().filter(|c| is_authority(c) && signed_by(c));
        current = next.ok_or(CertificateError::OtherAuthority)?;
    }
    let for_clients = leaf
        .extended_key_usage()
        .is_ok_and(|usage| usage.is_some_and(|usage| usage.value.client_auth || usage.value.any));
    if is_authority(leaf) || !for_clients {
        return Err(CertificateError::Purpose);
    }
    Ok(Verified {
        subject: subject_of(leaf.subject()),
        issued_at: leaf.validity().not_before.timestamp() + LEEWAY,
        span,
    })
}

/// A leaf whose chain holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who it names.
    pub subject: Subject,
    /// When it was issued, in seconds of the epoch.
    pub issued_at: i64,
    /// When all certificates of the chain are valid.
    span: Span,
}

/// Reads CN, O and OU of a name.
pub fn subject_of(name: &X509Name<'_>) -> Subject {
    fn text(attribute: &AttributeTypeAndValue<'_>) -> String {
        attribute.as_str().unwrap_or_default().to_owned()
    }
    Subject {
        user: name.iter_common_name().next().map(text).unwrap_or_default(),
        groups: name.iter_organization().map(text).collect(),
        unit: name.iter_organizational_unit().next().map(text).unwrap_or_default(),
    }
}

impl Verified {
    /// The same at another time, in seconds of the epoch.
    pub fn at(self, now: i64) -> Result<Self, CertificateError> {
        self.span.holds(now).map(|_| self)
    }

    /// As an identity of a tenant.
    pub fn into_tenant_identity(
        self,
        min_issued_at: Option<Timestamp>,
    ) -> Result<Identity, CertificateError> {
        if min_issued_at.is_some_and(|min| self.issued_at < min.as_second()) {
            return Err(CertificateError::TooOld);
        }
        let Subject { user, groups, unit } = self.subject;
        let reserved =
            |name: &str| name.starts_with("skerry:") || (is_reserved(name) && unit != CREDENTIAL_UNIT);
        if user.is_empty()
            || groups.len() > super::MAX_GROUPS
            || reserved(&user)
            || groups.iter().any(|g| reserved(g))
        {
            return Err(CertificateError::Name);
        }
        Ok(Identity::user(user, groups))
    }

    /// As a system identity; the chain was verified against the system authority.
    pub fn into_system_identity(self) -> Result<Identity, CertificateError> {
        let Subject { user, groups, .. } = self.subject;
        if user.is_empty() {
            return Err(CertificateError::Name);
        }
        Ok(Identity::user(user, groups.into_iter().chain([SYSTEM_GROUP.to_owned()])))
    }
}

#[cfg(test)]
mod tests {
    use super::super::pki::Authority;
    use super::*;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn subject(user: &str, groups: &[&str], unit: &str) -> Subject {
        Subject { user: user.into(), groups: groups.iter().map(|g| (*g).into()).collect(), unit: unit.into() }
    }

    /// I1: several groups survive; another authority's leaf, an expired one and a server's are refused.
    #[test]
    fn a_leaf_is_judged_by_its_own_authority() {
        let id = TenantId::of_uid("u");
        let ours = Authority::generate(&format!("{}{id}", super::super::CLIENT_AUTHORITY_PREFIX)).unwrap();
        let other = Authority::generate("other").unwrap();
        let who = subject("jane", &["a", "b", "c"], "");
        let (leaf, _) = ours.client(&who, HOUR).unwrap();
        assert_eq!(issuer_hint(&leaf.der), Some(id));
        let verified = verify(&[&leaf.der], &[ours.der()]).unwrap();
        assert_eq!(verified.subject, who);
        let identity = verified.into_tenant_identity(None).unwrap();
        assert_eq!((identity.user.as_str(), identity.groups.len()), ("jane", 4));
        assert_eq!(verify(&[&leaf.der], &[other.der()]), Err(CertificateError::OtherAuthority));
        let (server, _) = ours.server("x", &["x.y".into()], &[], HOUR).unwrap();
        assert_eq!(verify(&[&server.der], &[ours.der()]), Err(CertificateError::Purpose));
        assert_eq!(verify(&[ours.der()], &[ours.der()]), Err(CertificateError::Purpose));
        assert_eq!(verify(&[&[1_u8, 2][..]], &[ours.der()]), Err(CertificateError::Malformed));
    }

    /// AS-46, Z2: reserved names are refused, `hub:` but from the manager's own credentials.
    #[test]
    fn reserved_names_prove_nothing() {
        let ours = Authority::generate("ca").unwrap();
        let judge = |who: Subject| {
            let (leaf, _) = ours.client(&who, HOUR).unwrap();
            verify(&[&leaf.der], &[ours.der()]).unwrap().into_tenant_identity(None)
        };
        for (user, group, unit) in [
            ("skerry:syncer", "a", ""),
            ("skerry:syncer", "a", CREDENTIAL_UNIT),
            ("a", SYSTEM_GROUP, CREDENTIAL_UNIT),
            ("hub:x", "a", ""),
            ("a", "hub:role:admins", ""),
            ("", "a", ""),
        ] {
            assert_eq!(judge(subject(user, &[group], unit)), Err(CertificateError::Name), "{user} {group}");
        }
        assert!(judge(subject("hub:credential:owner", &["hub:role:admins"], CREDENTIAL_UNIT)).is_ok());
        let (leaf, _) = ours.client(&subject("jane", &[], ""), HOUR).unwrap();
        let later = Timestamp::from_second(Timestamp::now().as_second() + 5).unwrap();
        let verified = verify(&[&leaf.der], &[ours.der()]).unwrap();
        assert_eq!(verified.clone().into_tenant_identity(Some(later)), Err(CertificateError::TooOld));
        assert!(verified.into_system_identity().unwrap().is_system());
    }
}
