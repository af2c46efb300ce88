//! The placement engine: a pure function from inventory and requests to a plan.
//!
//! ```text
//!  Snapshot, requests, held, claims ──► Input ──► plan ──► Plan ──► check ──► (the driver commits it)
//!                                         │                  │
//!                  what_if, changes ──────┘                  └──► explain, Input::after
//! ```
//! Inside one planning: `intern` (columns) → requests in order, each `filter` → `score` → `pick` → `divide` →
//! `capacity::ledger` → `plan`.
//!
//! What is absent on purpose: a client, a clock, a task, a float, an iteration over a hash map. Time and seed are
//! fields of the input, so a decision can be repeated, tested and explained.

mod after;
mod bits;
mod capacity;
pub mod check;
mod claims;
mod cycle;
mod decide;
pub mod digest;
pub mod divide;
mod explain;
mod filter;
mod intern;
mod needs;
mod pick;
mod plan;
mod rank;
mod release;
pub mod rolling;
mod score;
mod share;
mod spread;
pub mod types;
pub mod value;
pub mod wake;
mod whatif;
mod whom;

pub use check::{Violation, check, check_again};
pub use explain::{Explained, Explanation, Hint, TermValue, explain};
pub use plan::plan;
pub use spread::{HOST, MEMBER};
pub use types::*;
pub use whatif::what_if;
pub use whom::members_matching;
