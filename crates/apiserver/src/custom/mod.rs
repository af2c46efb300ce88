//! The engine of custom resources: structural schemas, pruning, defaulting, validation, versions. Pure.
//!
//! A definition is parsed into typed parts (`definition`), judged (`check`: `structural`, `document`, `defaults`)
//! and compiled once per content (`compile`). Objects then go through [`prune`], [`default`] and [`validate`];
//! [`convert`] moves them between versions.
//!
//! Guarantees: no function here does I/O; regular expressions run in linear time; findings carry upstream's paths,
//! reasons and sentences. Absent: CEL rules (`x-kubernetes-validations`) are kept but not run.

mod arena;
mod check;
mod compile;
mod conditions;
mod defaults;
mod definition;
mod document;
mod fields;
mod fill;
mod formats;
mod lists;
mod meta;
mod names;
mod node;
mod numbers;
mod object;
mod path;
mod pattern;
mod prune;
mod publish;
mod ratchet;
mod rewrite;
mod structural;
#[cfg(test)]
mod tests;
mod validate;

pub use check::{MAX_NODES, check as check_definition};
pub use compile::{CompiledCrd, CustomVersion, compile, shared_count};
pub use conditions::{
    Clash, Condition, Naming, RULES_ENFORCED, Terminating, conditions, naming, set_condition,
    stored_versions, terminating, write_status, write_terminating,
};
pub use definition::{CLEANUP, Definition, Names, Scale, condition};
pub use node::Node;
pub use object::{
    Malformed, convert, default, from_storage, prune, settle, to_storage, validate, validate_status, warnings,
};
pub use publish::{list_schema, model_name, published_schema};
