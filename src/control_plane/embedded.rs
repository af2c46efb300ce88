//! Provider Embedded, shared (tenancy P4): one tenant record, no pod, no host object.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use skerry_api::virtual_cluster::reasons::control_plane as reason;
use skerry_kit::kubeconfig::User;
use skerry_kit::{ControlPlaneEndpoint, EndpointCredential, NetworkFacts, error};

use super::admin::{Admin, CredentialAsk};
use super::{Located, Minted, Part, Provider, ProviderError, TenantRef};
use crate::provision::ValidatedTenant;

/// The owner's identity in its tenant (A1).
pub const OWNER: &str = "hub:credential:owner";
/// The group that the base image binds to cluster-admin.
pub const ADMINS: &str = "hub:role:admins";

/// Where the embedded server is reached.
#[derive(Clone, Debug, Default)]
pub struct FrontDoor {
    /// `https://host:port` without a path.
    pub url: String,
    /// Domain below which tenants have names; empty for path addresses.
    pub domain: String,
    /// PEM bundle of its serving CA.
    pub ca_bundle: String,
    /// Name that its certificate is checked for, where that is not the URL's host: behind an address, the API server
    /// cannot tell by which it was dialled. Empty: the host.
    pub server_name: String,
}

impl FrontDoor {
    /// URL of a tenant.
    pub fn url_of(&self, id: &str) -> String {
        if self.domain.is_empty() {
            return format!("{}/clusters/{id}", self.url);
        }
        let port = self.url.rsplit_once(':').and_then(|(_, p)| p.parse::<u16>().ok()).unwrap_or(443);
        format!("https://{id}.{}:{port}", self.domain)
    }
}

/// Makes clients with a system identity for tenants of the embedded server.
pub trait SystemClients: Send + Sync {
    /// A client for one tenant.
    fn tenant(&self, id: &str) -> Option<kube::Client>;
}

/// The provider.
pub struct Embedded {
    admin: Admin,
    front_door: FrontDoor,
    clients: Arc<dyn SystemClients>,
}

impl Embedded {
    /// Over this admin API.
    pub fn new(admin: Admin, front_door: FrontDoor, clients: Arc<dyn SystemClients>) -> Self {
        Self { admin, front_door, clients }
    }

    /// Whether no other virtual cluster has a record of this id.
    pub async fn is_free(&self, id: &str, uid: &str) -> Result<bool, kube::Error> {
        Ok(self.admin.get(id).await?.is_none_or(|known| uid_of(&known) == Some(uid)))
    }

    /// Whether the shared server answers as ready.
    pub async fn is_ready(&self) -> Result<(), kube::Error> {
        self.admin.is_ready().await
    }

    /// A client with Skerry's own rights in a tenant.
    pub fn client(&self, id: &str) -> Option<kube::Client> {
        self.clients.tenant(id)
    }
}

/// The tenant record of a validated tenant.
pub fn record(tenant: &ValidatedTenant) -> Value {
    let effective = &tenant.effective;
    let mut record = json!({
        "id": tenant.id,
        "uid": tenant.uid,
        "role": "Tenant",
        "clusterDomain": effective["network"]["clusterDomain"],
        "hostNames": effective["expose"]["hostnames"],
        "limits": effective["limits"],
    });
    if let Some(ranges) = effective["network"]["serviceCIDRs"].as_array().filter(|l| !l.is_empty()) {
        record["serviceCIDRs"] = ranges.clone().into();
    }
    // A port for all addresses: they are of one Service.
    if let Some(port) = tenant.front_door.first().map(SocketAddr::port) {
        let addresses: Vec<IpAddr> = tenant.front_door.iter().map(SocketAddr::ip).collect();
        record["kubernetesService"] = json!({"addresses": addresses, "port": port});
    }
    if let Some(weight) = effective["sync"]["weight"].as_i64() {
        record["weight"] = weight.into();
    }
    record
}

#[async_trait]
impl Provider for Embedded {
    fn build(&self, tenant: &ValidatedTenant) -> Part {
        Part::Embedded { record: record(tenant) }
    }

    async fn apply(&self, tenant: &TenantRef, part: &Part) -> Result<Located, ProviderError> {
        if let Part::Embedded { record } = part {
            self.admin.put(&tenant.id, record).await.map_err(|e| refusal(&tenant.id, e))?;
        }
        self.locate(tenant, part).await
    }

    async fn locate(&self, tenant: &TenantRef, part: &Part) -> Result<Located, ProviderError> {
        let Part::Embedded { record } = part else {
            return Err(ProviderError::Refused("not a tenant record".to_owned()));
        };
        let url = self.front_door.url_of(&tenant.id);
        let ranges = record["serviceCIDRs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(Located {
            endpoint: ControlPlaneEndpoint {
                internal_url: String::new(),
                server_name: self.front_door.server_name.clone(),
                ca_bundle: self.front_door.ca_bundle.clone(),
                version: String::new(),
                network: NetworkFacts {
                    service_cidrs: ranges.map(str::to_owned).collect(),
                    cluster_domain: record["clusterDomain"].as_str().unwrap_or_default().to_owned(),
                    dns_ip: None,
                },
                credential: EndpointCredential::InProcess,
                capabilities: Vec::new(),
                epoch: 0,
                url,
            },
            source: String::new(),
            client: self.clients.tenant(&tenant.id),
        })
    }

    async fn mint(&self, tenant: &TenantRef, _: &Located, ttl: Duration) -> Result<Minted, ProviderError> {
        let ask = CredentialAsk { user: OWNER, groups: &[ADMINS], ttl, token: false };
        let answer = self.admin.credential(&tenant.id, &ask).await.map_err(|e| refusal(&tenant.id, e))?;
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        let expires = text("expires").parse().map_err(|_| ProviderError::NotReady {
            reason: reason::CERTIFICATE_INVALID,
            message: "the API server issued a credential without an end".to_owned(),
        })?;
        Ok(Minted { user: User::Certificate { certificate: text("certificate"), key: text("key") }, expires })
    }

    async fn teardown(&self, tenant: &TenantRef) -> Result<u64, ProviderError> {
        match self.admin.get(&tenant.id).await? {
            None => Ok(0),
            Some(known) if uid_of(&known).is_some_and(|uid| uid != tenant.uid) => Ok(0),
            Some(_) => Ok(self.admin.delete(&tenant.id).await?),
        }
    }
}

/// UID in an answer about a record.
fn uid_of(answer: &Value) -> Option<&str> {
    answer["uid"].as_str().or_else(|| answer["spec"]["uid"].as_str())
}

fn refusal(id: &str, failed: kube::Error) -> ProviderError {
    match error::code(&failed) {
        Some(409) => {
            ProviderError::NameConflict(format!("tenant record {id} belongs to another virtual cluster"))
        }
        Some(422 | 400) => ProviderError::Refused(error::sentence(&failed)),
        Some(503 | 429) => ProviderError::NotReady {
            reason: reason::STORE_UNAVAILABLE,
            message: format!("the API server says: {}", error::sentence(&failed)),
        },
        Some(507) => ProviderError::NotReady {
            reason: reason::STORE_FULL,
            message: format!("the store is full: {}", error::sentence(&failed)),
        },
        _ => ProviderError::Api(failed),
    }
}
