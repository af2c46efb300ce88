//! The placement engine against its acceptance cases, through its public functions only.

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
