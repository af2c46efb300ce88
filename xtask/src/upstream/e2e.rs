//! The end-to-end suite of Kubernetes, its runner and its test image's program, from a module of their own: they need
//! more modules than the servers do.

use std::path::Path;

use super::{Go, VERSION, go_build, keep, root, stamp, version_flags};

/// The suite.
pub const SUITE: &str = "e2e.test";
/// Runs it in parallel.
pub const RUNNER: &str = "ginkgo";
/// What most of its pods run.
pub const AGNHOST: &str = "agnhost";

/// Builds all three.
pub fn build(bin: &Path) -> anyhow::Result<()> {
    let module = root().join("tests/upstream/e2e");
    let stamp = stamp(&module, VERSION)?;
    let tools = [
        (RUNNER, "github.com/onsi/ginkgo/v2/ginkgo", Go::Program),
        (AGNHOST, "k8s.io/kubernetes/test/images/agnhost", Go::Static),
        (SUITE, "k8s.io/kubernetes/test/e2e", Go::Tests),
    ];
    for (tool, package, how) in tools {
        let build = || go_build(&module, package, &bin.join(tool), &version_flags(package), how);
        keep(bin, tool, &stamp, build)?;
    }
    Ok(())
}
