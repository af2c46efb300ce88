//! Generators and checks, run as `cargo xtask <command>`.

mod bench;
mod crds;
mod image;
mod run;
mod schemas;
mod upstream;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the schema tables of a Kubernetes minor from module directories.
    Schemas(schemas::Args),
    /// Writes crds/ and the chart's rules, or with --check compares.
    Crds {
        /// Only compare.
        #[arg(long)]
        check: bool,
    },
    /// Prints the performance figures.
    Bench(bench::Args),
    /// Builds the static binary and its image.
    Image(image::Args),
    /// The upstream tier: its tools and its tests.
    #[command(subcommand)]
    Upstream(upstream::Upstream),
}

/// The repository: where cargo runs this, and not where it was built, for checkouts may share a build.
fn root() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(built, PathBuf::from);
    path.parent().map(Path::to_path_buf).unwrap_or(path)
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Schemas(args) => schemas::run(&args),
        Command::Crds { check } => crds::run(check),
        Command::Bench(args) => bench::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Upstream(command) => upstream::run(&command),
    }
}
