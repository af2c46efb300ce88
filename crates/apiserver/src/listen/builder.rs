//! Puts a server together: configuration, store, keys of the process, and what the embedding program adds.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use http::{Request, Response};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::routes::Routes;
use super::serving::{Serving, ServingError, kubernetes_name};
use super::{Body, Server};
use crate::admit::Rule;
use crate::base::{BaseError, BaseImages};
use crate::config::{Backend, Role, ServerConfig, StoreConfig};
use crate::fair::Seats;
use crate::identity::Identity;
use crate::identity::pki::{PkiError, certificates_of_pem};
use crate::ops::Metrics;
use crate::store::{self, Db, OpenError};
use crate::tenant::{ProcessError, Tenants, process_authority};
use crate::tunnel::{ServiceGate, Tunnel};

/// A server cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[from] OpenError),
    /// The keys of the process cannot be made or read.
    #[error("the keys of the process cannot be had")]
    Process(#[from] ProcessError),
    /// Serving certificates cannot be had.
    #[error("serving certificates cannot be had")]
    Serving(#[from] ServingError),
    /// Bootstrap objects are wrong.
    #[error("bootstrap objects are wrong")]
    Base(#[from] BaseError),
    /// `system.clientCAFile` cannot be read.
    #[error("system.clientCAFile cannot be read")]
    SystemFile(#[source] std::io::Error),
    /// Authorities of system identities are no certificates.
    #[error("authorities of system identities cannot be read")]
    SystemAuthority(#[source] PkiError),
}

/// Parts of a server.
#[derive(Default)]
pub struct Builder {
    config: ServerConfig,
    db: Option<Arc<Db>>,
    rules: Vec<Rule>,
    routes: Routes,
    tunnel: OnceLock<Arc<dyn Tunnel>>,
    service_gate: OnceLock<Arc<dyn ServiceGate>>,
    objects: BTreeMap<Role, Vec<Value>>,
    addresses: Vec<IpAddr>,
    port: Option<u16>,
    url: Option<String>,
    system_authorities: Vec<String>,
    without_controllers: bool,
}

impl Builder {
    /// Settings.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// An open store, instead of the one the settings name.
    pub fn db(mut self, db: Arc<Db>) -> Self {
        self.db = Some(db);
        self
    }

    /// A platform rule (H4).
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// A path prefix of the hub, behind its authentication (H4).
    pub fn route(
        mut self,
        prefix: impl Into<String>,
        handler: impl Fn(Identity, Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        self.routes.add(prefix.into(), Arc::new(handler));
        self
    }

    /// The way to pods on hosts.
    pub fn tunnel(self, tunnel: Arc<dyn Tunnel>) -> Self {
        let _first = self.tunnel.set(tunnel);
        self
    }

    /// Where addresses of Services come from.
    pub fn service_gate(self, gate: Arc<dyn ServiceGate>) -> Self {
        let _first = self.service_gate.set(gate);
        self
    }

    /// Objects that tenants of a role begin with, beyond the common ones: CustomResourceDefinitions of the hub.
    pub fn objects(mut self, role: Role, objects: impl IntoIterator<Item = Value>) -> Self {
        self.objects.entry(role).or_default().extend(objects);
        self
    }

    /// Where clients reach this process: in the serving certificate, and the port that `default/kubernetes` points to.
    pub fn advertise(mut self, address: SocketAddr) -> Self {
        self.addresses.push(address.ip());
        self.port = Some(address.port());
        self
    }

    /// The address under which path addresses begin, `https://host[:port]`; it is part of every token's issuer and must
    /// not change.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Authorities of system identities, PEM, besides the settings' file.
    pub fn system_authority(mut self, pem: impl Into<String>) -> Self {
        self.system_authorities.push(pem.into());
        self
    }

    /// Runs no controllers: for tests of the API alone.
    pub fn without_controllers(mut self) -> Self {
        self.without_controllers = true;
        self
    }

    /// Opens the store, makes or reads the keys of the process, and begins background work.
    pub async fn build(self) -> Result<Arc<Server>, BuildError> {
        let Self {
            config,
            db,
            rules,
            routes,
            tunnel,
            service_gate,
            objects,
            mut addresses,
            port,
            url,
            system_authorities,
            without_controllers,
        } = self;
        let db = match db {
            Some(db) => db,
            None => Arc::new(open(&config.store)?),
        };
        let port = port.unwrap_or(match config.listen.address.port() {
            0 => 6443,
            port => port,
        });
        let url = url.unwrap_or_else(|| match config.serving.base_domain.as_str() {
            "" => "https://kubernetes.default.svc".to_owned(),
            domain => format!("https://{domain}"),
        });
        let authority = process_authority(&db).await?;
        let images = Arc::new(BaseImages::new(authority.to_pem(), port, objects)?);
        let layers = {
            let images = images.clone();
            Box::new(move |spec: &_, keys: &_, created: &str| images.layer(spec, keys, created))
        };
        let tenants = Tenants::new(db.clone(), url, layers, config.tenant_defaults);
        addresses.push(config.listen.address.ip());
        addresses.extend([IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
        let files = config.serving.cert_file.clone().zip(config.serving.key_file.clone());
        let names = tenants.names();
        let known = Box::new(move |host: &str| match kubernetes_name(host) {
            Some(Some(domain)) => domain != "cluster.local" && names.is_domain(domain),
            Some(None) => false,
            None => names.of_host(host).is_some(),
        });
        let serving = Serving::new(authority, config.serving.base_domain.clone(), addresses, files, known)?;
        let seats = Seats::new(config.resources.seats);
        let server = Arc::new(Server {
            system_authorities: system(&config, &system_authorities)?,
            config,
            db,
            tenants,
            rules,
            routes,
            images,
            serving: Arc::new(serving),
            metrics: Metrics::default(),
            failures: Default::default(),
            seats,
            service_gate,
            tunnel,
            debug: OnceLock::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        server.begin(!without_controllers);
        Ok(server)
    }
}

fn system(config: &ServerConfig, more: &[String]) -> Result<Vec<Vec<u8>>, BuildError> {
    let mut all = Vec::new();
    if let Some(file) = &config.system.client_ca_file {
        let text = std::fs::read(file).map_err(BuildError::SystemFile)?;
        all.extend(certificates_of_pem(&text).map_err(BuildError::SystemAuthority)?);
    }
    for pem in more {
        all.extend(certificates_of_pem(pem.as_bytes()).map_err(BuildError::SystemAuthority)?);
    }
    Ok(all)
}

/// Opens the store that the settings name.
fn open(config: &StoreConfig) -> Result<Db, OpenError> {
    let StoreConfig { backend, redb, commit, history } = config;
    let settings = store::StoreConfig {
        max_writes: commit.max_writes,
        max_bytes: commit.max_bytes,
        max_per_tenant: commit.max_per_tenant,
        linger: commit.linger,
        min_age: history.min_age,
        max_age: history.max_age,
        tenant_hard_bytes: history.tenant_hard_bytes,
        shard_bytes: history.shard_bytes,
        ..store::StoreConfig::default()
    };
    match backend {
        Backend::Memory => Db::memory(settings),
        Backend::Redb => Db::redb(Path::new(&redb.path), usize::from(redb.shards), settings),
    }
}
