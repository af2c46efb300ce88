//! The placement engine against its acceptance cases, through its public functions only.

mod how_many;
mod members;
mod support;
