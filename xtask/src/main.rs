//! Generators and checks, run as `cargo xtask <command>`.

mod schemas;

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
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Schemas(args) => schemas::run(&args),
    }
}
