//! The Service gate of the API server over the ways to hosts (syncer SV1).

use async_trait::async_trait;
use skerry_apiserver::model::gvk::Gvk;
use skerry_apiserver::model::status::{ApiStatus, Cause};
use skerry_apiserver::tenant::TenantId;
use skerry_apiserver::tunnel::{GateError, HostAllocation, PortAllocation, ServiceGate, ServiceIntent};
use skerry_syncer::{Allocation, ReserveError};

use super::hosts::Hosts;

/// The gate.
pub struct Gate<H>(pub H);

fn allocation(from: Allocation) -> HostAllocation {
    HostAllocation {
        cluster_ips: from.cluster_ips.iter().filter_map(|ip| ip.parse().ok()).collect(),
        node_ports: from
            .node_ports
            .into_iter()
            .map(|(port, protocol, node_port)| PortAllocation { port, protocol, node_port })
            .collect(),
        health_check_node_port: from.health_check_node_port,
    }
}

fn refusal(service: &ServiceIntent) -> impl Fn(ReserveError) -> GateError {
    let name = service.name.clone();
    move |failed| match failed {
        ReserveError::NoHost => GateError::NoHost,
        ReserveError::Unavailable => GateError::Unavailable,
        ReserveError::Refused(refusal) => {
            let why = format!("{}: {}", refusal.reason.as_str(), refusal.message);
            let cause = Cause::forbidden("spec", &why);
            GateError::Refused(ApiStatus::invalid(&Gvk::new("", "v1", "Service"), &name, vec![cause]))
        }
    }
}

#[async_trait]
impl<H: Hosts> ServiceGate for Gate<H> {
    async fn reserve(&self, tenant: TenantId, service: &ServiceIntent) -> Result<HostAllocation, GateError> {
        self.0.reserve(tenant.as_str(), &service.object).await.map(allocation).map_err(refusal(service))
    }

    async fn update(&self, tenant: TenantId, service: &ServiceIntent) -> Result<HostAllocation, GateError> {
        self.0.update(tenant.as_str(), &service.object).await.map(allocation).map_err(refusal(service))
    }

    async fn release(&self, tenant: TenantId, uid: &str) -> Result<(), GateError> {
        self.0.release(tenant.as_str(), uid).await.map_err(|failed| match failed {
            ReserveError::NoHost => GateError::NoHost,
            ReserveError::Unavailable | ReserveError::Refused(_) => GateError::Unavailable,
        })
    }
}
