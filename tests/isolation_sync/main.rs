//! What a hostile tenant may try against its host and its neighbours (syncer.md section 10): a case for each row, where
//! the attempt is denied and nothing of others changes, byte for byte (SY-140).
//!
//! | row | case |
//! |---|---|
//! | SE1–SE4, SE6–SE11, SE13–SE15 | `isolation_se<row>_…` below |
//! | SE5 | below for Secrets and tokens; streams of logs and exec in `pipeline_pods`, module `streams` |
//! | SE12 | Ingresses and Gateways are carried from stage 2 on (KI7, KI8): no case yet |
//! | SE13 | patches of custom resources come with stage 2 (KI20); huge and deep objects below |
//! | SE15 | rights below; the guard of the host's own API server (I10) needs a real one: tests `upstream` of the guard |

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail as tests do; clippy sees only functions marked #[test]"
)]

mod bodies;
mod floods;
mod names;
mod network;
mod pods;
mod rig;
mod rights;
mod words;

#[allow(dead_code, reason = "shared with the cases of pods, which use all of it")]
#[path = "../pipeline_pods/faults.rs"]
mod faults;
#[allow(dead_code, reason = "shared with the cases of pods, which use all of it")]
#[path = "../pipeline_pods/world.rs"]
mod world;
