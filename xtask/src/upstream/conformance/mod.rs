//! `cargo xtask upstream conformance`: the end-to-end specs of Kubernetes for pods and what belongs to them, run on a
//! bare cluster with one real node and then inside a tenant whose host that cluster is. Writes `docs/conformance.md`.
//!
//! What the bare cluster does not pass says nothing of Skerry, so the share is counted of what it passes. Causes of
//! misses are kept by hand in `causes.yaml`.

mod images;
mod report;
mod stage;
mod suite;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use self::report::Results;
use self::suite::{Stop, Suite};
use super::{bin, coredns, e2e};
use crate::root;

/// Where the table is.
const PAGE: &str = "docs/conformance.md";

/// Flags.
#[derive(clap::Args)]
pub struct Args {
    /// Only specs whose full name this expression finds; what is known of others is kept.
    #[arg(long, value_name = "REGEX")]
    focus: Option<String>,
    /// Leaves out specs whose full name this expression finds.
    #[arg(long, value_name = "REGEX")]
    skip: Option<String>,
    /// How long the runner may take before it reports what it has.
    #[arg(long, default_value = "3h", value_name = "DURATION")]
    timeout: String,
    /// Specs at a time.
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    procs: u8,
    /// Only on one side.
    #[arg(long, value_name = "SIDE")]
    only: Option<Side>,
    /// Where outcomes and logs go; outcomes that are there count until their specs are run again.
    #[arg(long, value_name = "FOLDER")]
    reports: Option<PathBuf>,
    /// Runs nothing and writes the page of what is known.
    #[arg(long)]
    page: bool,
}

/// Where specs run.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Side {
    /// On the host itself.
    Bare,
    /// Inside a tenant.
    Tenant,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Bare => "bare",
            Side::Tenant => "tenant",
        }
    }
}

/// Ctrl-C ends the runner, and with it the run; a second one, or one that comes before there is a runner, ends this.
fn watch(stop: Arc<Stop>) -> anyhow::Result<()> {
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = signals.enter();
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    drop(entered);
    std::thread::spawn(move || {
        loop {
            signals.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            if !stop.now() {
                std::process::exit(130);
            }
        }
    });
    Ok(())
}

/// Builds the tools, runs both sides, writes the page.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let folder = args.reports.clone().unwrap_or_else(|| std::env::temp_dir().join("skerry-conformance"));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let folder = folder.canonicalize()?;
    let suite = Suite {
        bin: bin()?,
        folder,
        focus: args.focus.clone(),
        skip: args.skip.clone(),
        timeout: args.timeout.clone(),
        procs: args.procs,
        stop: Arc::default(),
    };
    watch(suite.stop.clone())?;
    if !args.page {
        std::fs::create_dir_all(&suite.bin).with_context(|| suite.bin.display().to_string())?;
        e2e::build(&suite.bin)?;
        coredns::build(&suite.bin)?;
        let program = stage::build()?;
        let sides = [Side::Bare, Side::Tenant].into_iter();
        let sides: Vec<Side> = sides.filter(|s| args.only.is_none_or(|only| only == *s)).collect();
        stage::run(&program, &suite, &sides)?;
    }
    let of = |side| Results::read(&suite.results(side));
    let (bare, tenant) = (of(Side::Bare)?, of(Side::Tenant)?);
    let causes = table::causes()?;
    if args.page || (args.focus.is_none() && args.only.is_none()) {
        std::fs::write(root().join(PAGE), table::page(&bare, &tenant, &causes))?;
        println!("wrote {PAGE}");
    }
    for miss in table::misses(&bare, &tenant) {
        println!("missed  {miss}\n        {}", causes.of(miss).unwrap_or("no cause is written down"));
    }
    println!("{}", table::summary(&bare, &tenant));
    Ok(())
}
