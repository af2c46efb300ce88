//! etcd, from a module of its own: its requirements and those of Kubernetes are not to be mixed.

use std::path::Path;

use super::{Go, go_build, keep, root, stamp};

/// The program.
pub const NAME: &str = "etcd";
const PACKAGE: &str = "go.etcd.io/etcd/server/v3";

/// Builds it.
pub fn build(bin: &Path) -> anyhow::Result<()> {
    let module = root().join("tests/upstream/etcd");
    let build = || go_build(&module, PACKAGE, &bin.join(NAME), "", Go::Program);
    keep(bin, NAME, &stamp(&module, "")?, build)
}
