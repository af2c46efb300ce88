//! Cargo, run from here on this repository.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::root;

/// The cargo that runs this, in the repository.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs it to its end, which must be a good one.
pub fn ok(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().context("cargo")?;
    if !status.success() {
        let args: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        bail!("cargo {}: {status}", args.join(" "));
    }
    Ok(())
}

/// Runs a build of one program; answers where it lies.
pub fn executable(build: &mut Command) -> anyhow::Result<PathBuf> {
    let build = build.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let out = build.output().context("cargo")?;
    if !out.status.success() {
        bail!("cargo build: {}", out.status);
    }
    let messages = String::from_utf8_lossy(&out.stdout);
    let made = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let path = made.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    path.context("cargo named no executable")
}
