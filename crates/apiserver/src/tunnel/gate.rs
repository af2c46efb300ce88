//! Addresses of Services come from the host before the Service is stored (T4).

use std::net::IpAddr;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::status::ApiStatus;
use crate::tenant::TenantId;

/// A Service that needs addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceIntent {
    /// UID it has, or will have once stored.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The whole object, admitted and validated.
    pub object: Value,
}

/// What the host gave a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostAllocation {
    /// `spec.clusterIPs`.
    pub cluster_ips: Vec<IpAddr>,
    /// Node ports.
    pub node_ports: Vec<PortAllocation>,
    /// `spec.healthCheckNodePort`.
    pub health_check_node_port: Option<u16>,
}

/// Node port of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortAllocation {
    /// `port`.
    pub port: u16,
    /// `protocol`.
    pub protocol: String,
    /// `nodePort`.
    pub node_port: u16,
}

/// Why a Service got no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// No host is attached: the tenant's own allocator serves (T6).
    #[error("no host is attached")]
    NoHost,
    /// The host does not answer in time (T7).
    #[error("the host did not answer")]
    Unavailable,
    /// The host refused, in the tenant's own names.
    #[error("the host refused: {}", .0.message)]
    Refused(ApiStatus),
}

/// Reserves addresses of Services on the host. Each call is idempotent by the tenant object's UID and takes at most
/// five seconds.
#[async_trait]
pub trait ServiceGate: Send + Sync {
    /// Makes the host Service.
    async fn reserve(&self, tenant: TenantId, service: &ServiceIntent) -> Result<HostAllocation, GateError>;
    /// Follows a change of type or ports.
    async fn update(&self, tenant: TenantId, service: &ServiceIntent) -> Result<HostAllocation, GateError>;
    /// Gives back what was reserved for a Service that was not stored.
    async fn release(&self, tenant: TenantId, uid: &str) -> Result<(), GateError>;
}
