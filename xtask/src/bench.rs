//! `cargo xtask bench`: the figures, printed; nothing is asserted about them.

use crate::run::{cargo, ok};
use crate::upstream;

/// Which programs, in which profile.
#[derive(clap::Args)]
pub struct Args {
    /// What to measure; all, when nothing is said.
    #[arg(value_name = "WHAT")]
    which: Vec<Which>,
    /// Build profile; another than the default one gives figures of no worth, but fast.
    #[arg(long, default_value = "bench")]
    profile: String,
    /// Passed to the programs.
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// What can be measured.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Which {
    /// Decisions of placement, at fleets of several sizes.
    Placement,
    /// Virtual clusters and their API beside a kube-apiserver with etcd.
    Apiserver,
    /// Pods through the syncer beside pods sent straight to the host.
    Syncer,
}

impl Which {
    const ALL: [Which; 3] = [Which::Placement, Which::Apiserver, Which::Syncer];

    /// Package and program.
    const fn program(self) -> (&'static str, &'static str) {
        match self {
            Which::Placement => ("skerry-placement", "decisions"),
            Which::Apiserver => ("skerry", "side_by_side"),
            Which::Syncer => ("skerry", "syncer"),
        }
    }
}

/// Runs them one after the other, so that none disturbs another.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let chosen = if args.which.is_empty() { &Which::ALL[..] } else { &args.which };
    for which in chosen {
        let (package, bench) = which.program();
        println!("== {bench}");
        let mut command = cargo();
        command.env("SKERRY_UPSTREAM", "1").env("SKERRY_UPSTREAM_BIN", upstream::bin()?).args([
            "bench",
            "--quiet",
            "--profile",
            &args.profile,
            "--package",
            package,
            "--bench",
            bench,
        ]);
        if !args.args.is_empty() {
            command.arg("--").args(&args.args);
        }
        ok(&mut command)?;
    }
    Ok(())
}
