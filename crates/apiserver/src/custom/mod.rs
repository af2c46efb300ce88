//! The engine of custom resources: structural schemas, pruning, defaulting, validation, versions. Pure.
