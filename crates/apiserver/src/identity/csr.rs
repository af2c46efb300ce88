//! Signs certificate requests of clients (`kubernetes.io/kube-apiserver-client` and its kubelet form).

use std::time::Duration;

use x509_parser::prelude::*;

use super::pki::{Authority, Leaf, PkiError, Subject};
use super::{is_reserved, x509};

/// A certificate request that cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    /// It is no PEM `CERTIFICATE REQUEST`, or not signed by its own key.
    #[error("request is malformed or not signed by its key")]
    Malformed,
    /// It names nobody, or somebody nobody may claim (Z2).
    #[error("{0:?} is reserved or empty")]
    Name(String),
    /// Signing failed.
    #[error("request cannot be signed")]
    Signing(#[from] PkiError),
}

/// A checked request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who it is for. Never carries an OU.
    pub subject: Subject,
    spki: Vec<u8>,
}

impl Request {
    /// Reads and checks PEM. Reserved names are refused.
    pub fn from_pem(text: &[u8]) -> Result<Self, CsrError> {
        let block = ::pem::parse(text).map_err(|_| CsrError::Malformed)?;
        if block.tag() != "CERTIFICATE REQUEST" {
            return Err(CsrError::Malformed);
        }
        let (_, csr) =
            X509CertificationRequest::from_der(block.contents()).map_err(|_| CsrError::Malformed)?;
        csr.verify_signature().map_err(|_| CsrError::Malformed)?;
        let info = &csr.certification_request_info;
        let mut subject = x509::subject_of(&info.subject);
        subject.unit.clear();
        let reserved = [&subject.user].into_iter().chain(&subject.groups).find(|n| is_reserved(n));
        if let Some(name) = reserved {
            return Err(CsrError::Name(name.clone()));
        }
        Ok(Self { subject, spki: info.subject_pki.raw.to_vec() })
    }

    /// A client certificate over the request's key.
    pub fn sign(&self, authority: &Authority, life: Duration) -> Result<Leaf, CsrError> {
        if self.subject.user.is_empty() {
            return Err(CsrError::Name(String::new()));
        }
        Ok(authority.client_over(&self.subject, &self.spki, life)?)
    }
}
