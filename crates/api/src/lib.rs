//! CRD types, names, labels and conditions of Skerry. No client, no runtime.

pub mod ids;
pub mod labels;
