//! The syncer between a tenant and a host: the cases of syncer.md that each test names, as far as stage 1 has them.
//!
//! Both are tenants of one API server in this process; with `SKERRY_TENANT_KUBECONFIG` and `SKERRY_HOST_KUBECONFIG` set
//! they are the clusters named there (real ones): then run one case at a time, those that count writes on fresh
//! clusters. Each case plays the host's
//! scheduler and kubelet itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail as tests do; clippy sees only functions marked #[test]"
)]

mod asked;
mod cluster_dns;
mod dns;
mod ending;
mod failing;
mod faults;
mod figures;
mod floods;
mod fqdn;
mod gates;
mod hub;
mod kinds;
mod kubelet;
mod life;
mod link;
mod looks;
mod many;
mod matrix;
mod nodes;
mod policies;
mod restart;
mod rewound;
mod rights;
mod rivals;
mod services;
mod strangers;
mod streams;
mod switches;
mod world;
