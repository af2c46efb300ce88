//! The certificate chain of a connection, and what was found of it: the connection stays, and so does the answer.

use jiff::Timestamp;
use parking_lot::Mutex;

use super::x509::{self, CertificateError, Verified};

/// Authorities whose answers a connection keeps: the system's, and those of the tenants that it speaks to.
const KEPT: usize = 4;

/// A client certificate chain, DER, leaf first; possession of the leaf's key is proven, nothing else.
#[derive(Debug, Default)]
pub struct Chain {
    certificates: Vec<Vec<u8>>,
    found: Mutex<Vec<Found>>,
}

#[derive(Debug)]
struct Found {
    authorities: Vec<Vec<u8>>,
    outcome: Result<Verified, CertificateError>,
}

impl From<Vec<Vec<u8>>> for Chain {
    fn from(certificates: Vec<Vec<u8>>) -> Self {
        Self { certificates, found: Mutex::default() }
    }
}

impl Chain {
    /// Whether the client showed none.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// The client's own certificate.
    pub fn leaf(&self) -> Option<&[u8]> {
        self.certificates.first().map(Vec::as_slice)
    }

    /// As [`x509::verify`]. Signatures are checked once for the same authorities, validity each time.
    pub fn verify(&self, authorities: &[impl AsRef<[u8]>]) -> Result<Verified, CertificateError> {
        let now = Timestamp::now().as_second();
        let same = |found: &Found| {
            let known = found.authorities.iter().map(Vec::as_slice);
            known.eq(authorities.iter().map(AsRef::as_ref))
        };
        if let Some(known) = self.found.lock().iter().find(|found| same(found)) {
            return known.outcome.clone().and_then(|verified| verified.at(now));
        }
        let outcome = x509::verify(&self.certificates, authorities);
        // What else is wrong may be right later, or is refused for good.
        if matches!(outcome, Ok(_) | Err(CertificateError::OtherAuthority)) {
            let authorities = authorities.iter().map(|der| der.as_ref().to_vec()).collect();
            let mut found = self.found.lock();
            if found.len() == KEPT {
                found.remove(0);
            }
            found.push(Found { authorities, outcome: outcome.clone() });
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::pki::{Authority, Subject};
    use super::*;

    /// What was found for one authority says nothing of another, and what has expired since is refused.
    #[test]
    fn a_chain_is_judged_anew_for_other_authorities_and_times() {
        let [ours, other] = ["ours", "other"].map(|name| Authority::generate(name).unwrap());
        let who = Subject { user: "jane".into(), groups: Vec::new(), unit: String::new() };
        let (leaf, _) = ours.client(&who, Duration::from_secs(3600)).unwrap();
        let chain = Chain::from(vec![leaf.der]);
        for _ in 0..2 {
            assert_eq!(chain.verify(&[ours.der()]).unwrap().subject, who);
            assert_eq!(chain.verify(&[other.der()]), Err(CertificateError::OtherAuthority));
            assert_eq!(chain.verify(&[other.der(), ours.der()]).unwrap().subject, who);
        }
        let known = chain.verify(&[ours.der()]).unwrap();
        let now = Timestamp::now().as_second();
        assert!(known.clone().at(now).is_ok());
        assert_eq!(known.clone().at(now + 7200), Err(CertificateError::Expired));
        assert_eq!(known.at(now - 7200), Err(CertificateError::Expired));
    }

    /// However many tenants one connection speaks to, it keeps few answers.
    #[test]
    fn a_chain_keeps_few_answers() {
        let authorities = ["a", "b", "c", "d", "e", "f"].map(|name| Authority::generate(name).unwrap());
        let chain = Chain::from(vec![authorities[0].der().to_vec()]);
        for authority in &authorities[1..] {
            assert!(chain.verify(&[authority.der()]).is_err());
        }
        assert_eq!(chain.found.lock().len(), KEPT);
    }
}
