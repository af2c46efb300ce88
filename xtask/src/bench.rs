//! `cargo xtask bench`: the figures, printed; nothing is asserted about them.

use std::process::Command;

use anyhow::{Context, bail};

use crate::upstream;

/// Which programs, in which profile.
#[derive(clap::Args)]
pub struct Args {
    /// Build profile; another than the default one gives figures of no worth, but fast.
    #[arg(long, default_value = "bench")]
    profile: String,
}

/// Runs them one after the other, so that none disturbs another.
pub fn run(args: &Args) -> anyhow::Result<()> {
    for (package, bench) in [("skerry-placement", "decisions"), ("skerry", "side_by_side")] {
        println!("== {bench}");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .current_dir(crate::root())
            .env("SKERRY_UPSTREAM", "1")
            .env("SKERRY_UPSTREAM_BIN", upstream::bin()?)
            .args(["bench", "--quiet", "--profile", &args.profile, "--package", package, "--bench", bench])
            .status()
            .context("cargo")?;
        if !status.success() {
            bail!("{bench}: {status}");
        }
    }
    Ok(())
}
