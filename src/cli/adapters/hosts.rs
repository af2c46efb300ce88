//! What the API server asks of the syncer: addresses of Services, and streams of pods. It is the syncer's functions in
//! one process, and its link where the two run apart.

use async_trait::async_trait;
use serde_json::Value;
use skerry_syncer::{Allocation, HostStream, PodStream, ReserveError, StreamError, StreamHead, SyncerHandle};

/// Ways to tenants' hosts. Tenants are named by their id.
#[async_trait]
pub trait Hosts: Send + Sync {
    /// Makes the host Service of a Service that is about to be stored.
    async fn reserve(&self, tenant: &str, service: &Value) -> Result<Allocation, ReserveError>;
    /// Follows a change of type or ports.
    async fn update(&self, tenant: &str, service: &Value) -> Result<Allocation, ReserveError>;
    /// Gives back what was reserved under a UID.
    async fn release(&self, tenant: &str, uid: &str) -> Result<(), ReserveError>;
    /// Opens a stream to a pod.
    async fn open(&self, tenant: &str, to: &PodStream, head: StreamHead) -> Result<HostStream, StreamError>;
}

#[async_trait]
impl Hosts for SyncerHandle {
    async fn reserve(&self, tenant: &str, service: &Value) -> Result<Allocation, ReserveError> {
        SyncerHandle::reserve(self, tenant, service).await
    }

    async fn update(&self, tenant: &str, service: &Value) -> Result<Allocation, ReserveError> {
        SyncerHandle::update(self, tenant, service).await
    }

    async fn release(&self, tenant: &str, uid: &str) -> Result<(), ReserveError> {
        SyncerHandle::release(self, tenant, uid).await
    }

    async fn open(&self, tenant: &str, to: &PodStream, head: StreamHead) -> Result<HostStream, StreamError> {
        SyncerHandle::open(self, tenant, to, head).await
    }
}
