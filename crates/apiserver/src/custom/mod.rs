//! The engine of custom resources: structural schemas, pruning, defaulting, validation, versions. Pure.

/// One served version of a CustomResourceDefinition, compiled.
#[derive(Debug)]
pub struct CustomVersion {}
