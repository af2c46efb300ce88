//! The placement engine against its acceptance cases, through its public functions only.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![allow(clippy::type_complexity, reason = "tables of cases are read where they stand")]

mod capacity;
mod checker;
mod divided;
mod explained;
mod how_many;
mod members;
mod oracle;
mod properties;
mod scores;
mod scripts;
mod spread;
mod support;
mod waking;
mod whatif;
