//! CoreDNS, from a module of its own, with the plugins that the names of a cluster need.

use std::path::Path;

use skerry_testkit::upstream::node::names::PROGRAM;

use super::{Go, go_build, keep, root, stamp};

/// Which of its plugins are built in.
const MAIN: &str = include_str!("../../../tests/upstream/coredns/main.go");

/// Builds it.
pub fn build(bin: &Path) -> anyhow::Result<()> {
    let module = root().join("tests/upstream/coredns");
    let build = || go_build(&module, ".", &bin.join(PROGRAM), "", Go::Static);
    keep(bin, PROGRAM, &stamp(&module, MAIN)?, build)
}
