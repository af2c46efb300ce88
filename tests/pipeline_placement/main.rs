//! Placements from spec to delivered objects: placement 59, 65, 70, 72, 74, 76, 92 and 93, and inventory I29.
//!
//! Hub and members are tenants of one API server in this process; cycles and delivery passes are called by hand, so a
//! case counts them, and every request to a member is on record.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail as tests do; clippy sees only functions marked #[test]"
)]

mod bad_specs;
mod decisions;
mod drift;
mod fleet;
mod leaving;
mod leaving_real;
mod sources;
mod take_over;
mod watching;
mod waves;
mod wire;
