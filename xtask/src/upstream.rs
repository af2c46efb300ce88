//! `cargo xtask upstream`: builds the real parts of Kubernetes that the upstream tier runs, and runs that tier.
//!
//! `node` starts the same parts with a kubelet for use by hand. The tools are ordinary Go modules (`tests/upstream/go.mod`, etcd in a module of its own beside it) and a kubectl of
//! an older minor from a Python package. They are kept outside the checkout, each beside a stamp of what it was made
//! from, so that a second build is a comparison of stamps.

mod conformance;
mod coredns;
mod e2e;
mod etcd;
mod kubectl;
mod node;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Subcommand;
use sha2::{Digest, Sha256};

use skerry_testkit::upstream::node::names;

use crate::root;
use crate::run::{self, cargo};

/// The Kubernetes version of `tests/upstream/go.mod`.
const VERSION: &str = "v1.36.3";
/// Tools and their packages.
const TOOLS: [(&str, &str); 7] = [
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
];

/// What to do.
#[derive(Subcommand)]
pub enum Upstream {
    /// Builds the tools that are not there or are of another version.
    Build,
    /// Runs the tests against them.
    Test {
        /// Passed to the test program, as a filter.
        args: Vec<String>,
    },
    /// Starts a cluster with a node that executes containers, until Ctrl-C.
    Node,
    /// Runs the end-to-end specs of Kubernetes on such a cluster and inside a tenant there.
    Conformance(conformance::Args),
}

/// Runs.
pub fn run(command: &Upstream) -> anyhow::Result<()> {
    match command {
        Upstream::Build => build(),
        Upstream::Test { args } => test(args),
        Upstream::Node => node::run(),
        Upstream::Conformance(args) => conformance::run(args),
    }
}

/// Where the tools are: `SKERRY_UPSTREAM_BIN`, or the user's cache.
pub fn bin() -> anyhow::Result<PathBuf> {
    skerry_testkit::upstream::kubectl::tools().context("no home directory; set SKERRY_UPSTREAM_BIN")
}

fn build() -> anyhow::Result<()> {
    let bin = bin()?;
    std::fs::create_dir_all(&bin).with_context(|| format!("make {}", bin.display()))?;
    let module = root().join("tests/upstream");
    let stamp = stamp(&module, VERSION)?;
    for (tool, package) in TOOLS {
        let build = || go_build(&module, package, &bin.join(tool), &version_flags(package), Go::Program);
        keep(&bin, tool, &stamp, build)?;
    }
    etcd::build(&bin)?;
    coredns::build(&bin)?;
    kubectl::fetch(&bin)?;
    println!("tools are in {}", bin.display());
    Ok(())
}

/// Runs a step unless the tool is there and its stamp is the wanted one.
fn keep(
    bin: &Path,
    tool: &str,
    stamp: &str,
    make: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (path, note) = (bin.join(tool), bin.join(format!(".{tool}.stamp")));
    if path.is_file() && std::fs::read_to_string(&note).is_ok_and(|s| s == stamp) {
        println!("{tool}: there already");
        return Ok(());
    }
    println!("{tool}: building");
    let started = Instant::now();
    make().with_context(|| format!("build {tool}"))?;
    std::fs::write(&note, stamp)?;
    println!("{tool}: built in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// A digest of what a Go tool is made from: the locked modules, the toolchain, the flags.
fn stamp(module: &Path, flags: &str) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = module.join(file);
        digest.update(std::fs::read(&path).with_context(|| path.display().to_string())?);
    }
    digest.update(flags);
    Ok(digest.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Without these the servers call themselves v0.0.0, which clients refuse to believe.
fn version_flags(package: &str) -> String {
    if !package.starts_with("k8s.io/kubernetes/") {
        return String::new();
    }
    let (major, minor) = VERSION[1..].split_once('.').unwrap_or(("1", "0"));
    let minor = minor.split('.').next().unwrap_or(minor);
    let parts = [("gitVersion", VERSION), ("gitMajor", major), ("gitMinor", minor)];
    let set = |package: &str| {
        parts.iter().map(|(name, value)| format!("-X {package}.{name}={value} ")).collect::<String>()
    };
    set("k8s.io/component-base/version")
}

/// What is made of a Go package.
#[derive(Clone, Copy)]
enum Go {
    /// A program.
    Program,
    /// A program that needs no libraries.
    Static,
    /// The program of its tests.
    Tests,
}

/// Builds one package of a module into a file.
fn go_build(module: &Path, package: &str, to: &Path, flags: &str, how: Go) -> anyhow::Result<()> {
    let part = to.with_extension("part");
    let mut go = Command::new("go");
    match how {
        Go::Program => go.arg("build"),
        Go::Static => go.env("CGO_ENABLED", "0").arg("build"),
        Go::Tests => go.args(["test", "-c"]),
    };
    let status = go
        .current_dir(module)
        .args(["-ldflags", &format!("-s -w {flags}"), "-o"])
        .arg(&part)
        .arg(package)
        .status();
    match status {
        Err(e) => bail!("go: {e}; the Go toolchain 1.26 or later is needed"),
        Ok(s) if !s.success() => bail!("go build {package}: {s}"),
        Ok(_) => {}
    }
    std::fs::rename(&part, to)?;
    Ok(())
}

/// Builds `skerry`, then runs the test program `upstream` with the tools.
fn test(args: &[String]) -> anyhow::Result<()> {
    let bin = bin()?;
    for tool in
        TOOLS.iter().map(|t| t.0).chain([etcd::NAME, names::PROGRAM]).chain(kubectl::PROGRAMS.map(|p| p.0))
    {
        if !bin.join(tool).is_file() {
            bail!("{tool} is not in {}: run `cargo xtask upstream build`", bin.display());
        }
    }
    let image = bin.join("skerry-image.tar");
    let lacks = crate::image::lacks();
    if lacks.is_empty() {
        // Unoptimized, as all that is tested here.
        crate::image::build("dev", &image)?;
    } else {
        println!("no image: this machine lacks {}", lacks.join(", "));
        let _none = std::fs::remove_file(&image);
    }
    let mut tests = cargo();
    tests
        .env("SKERRY_UPSTREAM", "1")
        .env("SKERRY_IMAGE", &image)
        .env("SKERRY_UPSTREAM_BIN", &bin)
        // The whole workspace, so that what `cargo test --workspace` has built is built with the same features.
        .args(["test", "--workspace", "--test", "upstream", "--", "--nocapture"])
        .args(args);
    run::ok(&mut tests).context("the upstream tests failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_tools_know_their_version() {
        let flags = version_flags("k8s.io/kubernetes/cmd/kubectl");
        assert!(flags.contains("version.gitVersion=v1.36.3 "), "{flags}");
        assert!(flags.contains("version.gitMajor=1 ") && flags.contains("version.gitMinor=36 "), "{flags}");
        assert_eq!(version_flags("sigs.k8s.io/kwok/cmd/kwok"), "");
    }

    #[test]
    fn upstream_version_is_that_of_the_module() {
        let text = std::fs::read_to_string(root().join("tests/upstream/go.mod")).unwrap();
        assert!(text.contains(&format!("k8s.io/kubernetes {VERSION}")));
    }

    #[test]
    fn upstream_tool_with_its_stamp_is_kept() {
        let folder = std::env::temp_dir().join(format!("skerry-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut made = 0;
        for stamp in ["a", "a", "b"] {
            let file = folder.join("tool");
            keep(&folder, "tool", stamp, || {
                made += 1;
                Ok(std::fs::write(&file, stamp)?)
            })
            .unwrap();
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(made, 2);
    }
}
