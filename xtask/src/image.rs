//! `cargo xtask image`: the static binary, and the image of it that the chart runs, by the repository's `Containerfile`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use skerry_testkit::upstream::programs;

use crate::root;
use crate::run::{cargo, executable};

/// As the chart names it when nothing else is said.
const NAME: &str = concat!("docker.io/library/skerry:", env!("CARGO_PKG_VERSION"));

/// What to build, and where to.
#[derive(clap::Args)]
pub struct Args {
    /// Build profile of the binary.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Archive to write, as `docker save` writes one.
    #[arg(long, default_value = "skerry-image.tar")]
    output: PathBuf,
}

/// Builds and says what to do with it.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let lacks = lacks();
    if !lacks.is_empty() {
        bail!("an image needs {}", lacks.join(", "));
    }
    let size = build(&args.profile, &args.output)?;
    let file = args.output.display();
    println!("{NAME}: {:.1} MB in {file}", size as f64 / 1e6);
    println!("Next: ctr -n k8s.io images import {file}      or: podman load -i {file}");
    Ok(())
}

fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// What this machine lacks for an image, with the names of Debian packages.
pub fn lacks() -> Vec<String> {
    let mut out = programs::missing(&[("buildah", "buildah"), ("musl-gcc", "musl-tools")]);
    let library = Command::new("rustc").args(["--print", "target-libdir", "--target", &target()]).output();
    let library =
        library.map(|o| PathBuf::from(String::from_utf8_lossy(&o.stdout).trim())).unwrap_or_default();
    if !library.is_dir() {
        out.push(format!("the target (rustup target add {})", target()));
    }
    out
}

/// Builds the binary and its image; answers the archive's size in bytes.
pub fn build(profile: &str, output: &Path) -> anyhow::Result<u64> {
    let binary = binary(profile)?;
    let folder = tempfile::tempdir().context("a folder for the image")?;
    std::fs::copy(&binary, folder.path().join("skerry")).with_context(|| binary.display().to_string())?;
    let _none_yet = std::fs::remove_file(output);
    let archive = format!("docker-archive:{}:{NAME}", output.display());
    buildah(
        folder.path(),
        &[
            OsStr::new("build"),
            OsStr::new("--isolation=chroot"),
            OsStr::new("--build-arg=BINARY=skerry"),
            OsStr::new("--tag"),
            OsStr::new(NAME),
            OsStr::new("--file"),
            root().join("Containerfile").as_os_str(),
            folder.path().as_os_str(),
        ],
    )?;
    buildah(folder.path(), &[OsStr::new("push"), OsStr::new(NAME), OsStr::new(&archive)])?;
    Ok(std::fs::metadata(output).with_context(|| output.display().to_string())?.len())
}

/// The static binary, without symbols.
fn binary(profile: &str) -> anyhow::Result<PathBuf> {
    let target = target();
    let mut build = cargo();
    build
        .env(format!("CC_{}", target.replace('-', "_")), "musl-gcc")
        .args(["build", "--quiet", "--package", "skerry", "--bin", "skerry", "--target", &target])
        .args(["--profile", profile, "--config", &format!("profile.{profile}.strip='symbols'")]);
    executable(&mut build)
}

/// Runs buildah with a storage of its own, which goes with the folder.
fn buildah(folder: &Path, args: &[&OsStr]) -> anyhow::Result<()> {
    let out = Command::new("buildah")
        .arg("--root")
        .arg(folder.join("storage"))
        .arg("--runroot")
        .arg(folder.join("run"))
        .args(["--storage-driver", "vfs"])
        .args(args)
        .output()
        .context("buildah")?;
    if !out.status.success() {
        bail!("buildah: {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}
