//! How a tenant's control plane is reached (tenancy P1): the value that crosses from the control_plane stage to the
//! syncer, the inventory and placement.

use serde::{Deserialize, Serialize};

/// What a control plane can do beyond serving the API (tenancy P3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Capability {
    /// Reached by a client of the same process, without TLS.
    InProcess,
    /// One watch over all tenants of a server.
    WildcardWatch,
    /// Can be frozen.
    ReadOnly,
    /// Namespaces that hold desired state only.
    TemplateNamespaces,
}

impl Capability {
    /// The word in `status.controlPlane.capabilities`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProcess => "InProcess",
            Self::WildcardWatch => "WildcardWatch",
            Self::ReadOnly => "ReadOnly",
            Self::TemplateNamespaces => "TemplateNamespaces",
        }
    }
}

/// How holders of the endpoint authenticate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndpointCredential {
    /// By a system identity inside the process that serves the tenant.
    InProcess,
    /// By the kubeconfig in a Secret of the hub.
    SecretRef {
        /// Namespace on the hub.
        namespace: String,
        /// Name.
        name: String,
        /// Key.
        key: String,
    },
}

/// Network of a tenant as its control plane sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// Service addresses.
    pub service_cidrs: Vec<String>,
    /// DNS domain.
    pub cluster_domain: String,
    /// Address of the DNS service, where there is one.
    pub dns_ip: Option<String>,
}

/// Where and how a control plane answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlPlaneEndpoint {
    /// URL in kubeconfigs.
    pub url: String,
    /// URL from inside the hub's network; the same one if empty.
    pub internal_url: String,
    /// Server name, where it is not the URL's host.
    pub server_name: String,
    /// PEM bundle that signs the serving certificate.
    pub ca_bundle: String,
    /// Version that answers.
    pub version: String,
    /// Network.
    pub network: NetworkFacts,
    /// How holders authenticate.
    pub credential: EndpointCredential,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// Rises exactly when holders must rebuild their client; they do so without dropping caches.
    pub epoch: i64,
}

impl ControlPlaneEndpoint {
    /// Whether the control plane can do this.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
