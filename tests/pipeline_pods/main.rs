//! The syncer between a tenant and a host: SY-4, SY-5, SY-6, SY-14, SY-61, SY-80, SY-143 as far as the cases name them.
//!
//! Both are tenants of one API server in this process; with `SKERRY_TENANT_KUBECONFIG` and `SKERRY_HOST_KUBECONFIG` set
//! they are the clusters named there (real ones), and the cases must run one at a time. Each case plays the host's
//! scheduler and kubelet itself.

mod hub;
mod kinds;
mod life;
mod restart;
mod world;
