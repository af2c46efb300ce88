//! Certificates towards clients (T8): one leaf of the own authority for the common names, one each for other cluster
//! domains and for tenants' host names, made when asked for and renewed at two thirds of their life.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::identity::pki::{Authority, PkiError};

/// Life of a serving leaf.
const LIFE: Duration = Duration::from_secs(30 * 86_400);
/// Age at which it is renewed.
const RENEW: i64 = 20 * 86_400;
/// How often files are looked at again.
const REREAD: Duration = Duration::from_secs(60);
/// Names of the API inside every cluster.
const KUBERNETES: [&str; 3] = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/// Serving certificates cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// Making a key or certificate failed.
    #[error("serving certificate cannot be made")]
    Pki(#[from] PkiError),
    /// A key is of no use to TLS.
    #[error("serving key cannot be used")]
    Key(#[source] rustls::Error),
    /// A file is missing or holds something else.
    #[error("serving.{field} cannot be read")]
    File {
        /// The configuration's field.
        field: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Whether a host name is one the API has inside clusters: `kubernetes[.default[.svc[.<domain>]]]`. The domain is
/// given, where there is one.
pub fn kubernetes_name(host: &str) -> Option<Option<&str>> {
    if KUBERNETES.contains(&host) {
        return Some(None);
    }
    host.strip_prefix("kubernetes.default.svc.").filter(|d| !d.is_empty()).map(Some)
}

/// Answers which names beyond the shared ones deserve a leaf: cluster domains and host names of tenants.
pub type KnownNames = dyn Fn(&str) -> bool + Send + Sync;

struct Held {
    key: Arc<CertifiedKey>,
    renew_at: i64,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    held: Mutex<(Instant, Arc<CertifiedKey>)>,
}

/// Chooses the certificate of a connection by its SNI.
pub struct Serving {
    authority: Authority,
    base_domain: String,
    addresses: Mutex<BTreeSet<IpAddr>>,
    files: Option<Files>,
    known: Box<KnownNames>,
    shared: Mutex<Option<Held>>,
    single: Mutex<HashMap<String, Held>>,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Serving")
    }
}

impl Serving {
    /// With the own authority, names and addresses, and the files of another certificate for outside names.
    pub fn new(
        authority: Authority,
        base_domain: String,
        addresses: impl IntoIterator<Item = IpAddr>,
        files: Option<(PathBuf, PathBuf)>,
        known: Box<KnownNames>,
    ) -> Result<Self, ServingError> {
        let files = files
            .map(|(certificate, key)| {
                let held = Mutex::new((Instant::now(), read_files(&certificate, &key)?));
                Ok::<_, ServingError>(Files { certificate, key, held })
            })
            .transpose()?;
        let out = Self {
            authority,
            base_domain,
            addresses: Mutex::new(addresses.into_iter().filter(|a| !a.is_unspecified()).collect()),
            files,
            known,
            shared: Mutex::default(),
            single: Mutex::default(),
        };
        out.shared_leaf()?;
        Ok(out)
    }

    /// The own authority's certificate, PEM: what `kube-root-ca.crt` and kubeconfigs hold.
    pub fn authority_pem(&self) -> String {
        self.authority.to_pem()
    }

    /// Adds addresses to the shared leaf: of the listener, of hosts' front doors. Known ones change nothing.
    pub fn add_addresses(&self, more: impl IntoIterator<Item = IpAddr>) {
        let mut addresses = self.addresses.lock();
        let before = addresses.len();
        addresses.extend(more.into_iter().filter(|a| !a.is_unspecified()));
        if addresses.len() != before {
            *self.shared.lock() = None;
        }
    }

    fn make(&self, names: &[String], addresses: &[IpAddr]) -> Result<Held, ServingError> {
        let common = names.first().map_or("kubernetes", String::as_str);
        let (leaf, key) = self.authority.server(common, names, addresses, LIFE)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.pkcs8().to_vec()));
        let chain = vec![CertificateDer::from(leaf.der), CertificateDer::from(self.authority.der().to_vec())];
        let key = CertifiedKey::new(chain, any_supported_type(&private).map_err(ServingError::Key)?);
        Ok(Held { key: Arc::new(key), renew_at: Timestamp::now().as_second() + RENEW })
    }

    fn shared_leaf(&self) -> Result<Arc<CertifiedKey>, ServingError> {
        let addresses: Vec<IpAddr> = self.addresses.lock().iter().copied().collect();
        let mut held = self.shared.lock();
        if let Some(held) = held.as_ref().filter(|h| Timestamp::now().as_second() < h.renew_at) {
            return Ok(held.key.clone());
        }
        let mut names: Vec<String> = KUBERNETES.iter().map(|n| (*n).to_owned()).collect();
        names.push("kubernetes.default.svc.cluster.local".into());
        names.push("localhost".into());
        if !self.base_domain.is_empty() {
            names.push(self.base_domain.clone());
            names.push(format!("*.{}", self.base_domain));
        }
        Ok(held.insert(self.make(&names, &addresses)?).key.clone())
    }

    fn single_leaf(&self, name: &str) -> Result<Arc<CertifiedKey>, ServingError> {
        let mut single = self.single.lock();
        if let Some(held) = single.get(name).filter(|h| Timestamp::now().as_second() < h.renew_at) {
            return Ok(held.key.clone());
        }
        let mut names = vec![name.to_owned()];
        if kubernetes_name(name).is_some() {
            names.extend(KUBERNETES.iter().map(|n| (*n).to_owned()));
        }
        let held = self.make(&names, &[])?;
        let key = held.key.clone();
        single.insert(name.to_owned(), held);
        Ok(key)
    }

    fn file_leaf(&self) -> Option<Arc<CertifiedKey>> {
        let files = self.files.as_ref()?;
        let mut held = files.held.lock();
        if held.0.elapsed() > REREAD {
            // A file being replaced is read the next time; until then the old one serves.
            match read_files(&files.certificate, &files.key) {
                Ok(key) => *held = (Instant::now(), key),
                Err(error) => {
                    tracing::warn!(%error, "serving certificate files cannot be read again");
                    held.0 = Instant::now();
                }
            }
        }
        Some(held.1.clone())
    }

    /// The certificate for a server name.
    pub fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let chosen = match name.as_deref() {
            None => self.shared_leaf(),
            Some(name) => match kubernetes_name(name) {
                None | Some(Some(_)) if (self.known)(name) => self.single_leaf(name),
                Some(_) => self.shared_leaf(),
                None => match self.file_leaf() {
                    Some(key) => return Some(key),
                    None => self.shared_leaf(),
                },
            },
        };
        chosen.map_err(|error| tracing::error!(%error, "no serving certificate")).ok()
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

fn read_files(certificate: &PathBuf, key: &PathBuf) -> Result<Arc<CertifiedKey>, ServingError> {
    let fault =
        |field| move |e: rustls::pki_types::pem::Error| ServingError::File { field, source: Box::new(e) };
    let chain = CertificateDer::pem_file_iter(certificate)
        .map_err(fault("certFile"))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(fault("certFile"))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(fault("keyFile"))?;
    let key = any_supported_type(&key).map_err(ServingError::Key)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(ServingError::Key)?;
    Ok(Arc::new(certified))
}
