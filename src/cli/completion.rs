//! `skerry completion SHELL`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::exit::Failure;
use super::output::write;

/// Flags.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// Shell: bash, zsh, fish or powershell.
    shell: Shell,
}

/// Runs.
pub fn run(args: &CompletionArgs) -> Result<(), Failure> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut super::Args::command(), "skerry", &mut out);
    write(&String::from_utf8_lossy(&out))
}
