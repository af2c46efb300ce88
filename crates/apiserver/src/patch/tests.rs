//! Cases of patches.
