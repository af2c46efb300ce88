//! Server-side apply and ownership against answers of a real kube-apiserver 1.36.3 (AS-12, AS-33, AS-35).
//!
//! `tests/golden/apply/*.json` holds sequences of writes with what the real server answered. `replay` gives each
//! write and the state before it to this crate and compares. `record` (ignored) writes the files anew:
//! `SKERRY_RECORD_SERVER=https://127.0.0.1:6443 SKERRY_RECORD_TOKEN=… cargo test --test upstream_apply -- --ignored`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail as tests do; clippy sees only functions marked #[test]"
)]

mod corpus;
mod kinds;
mod record;
mod replay;
mod scenario;
mod served;
#[allow(dead_code, reason = "shared with the tests of the whole server, which use all of it")]
#[path = "../it/support.rs"]
mod support;
