//! The `skerry` binary.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = match skerry::cli::Args::try_parse() {
        Ok(args) => args,
        Err(refusal) => {
            let _ = refusal.print();
            return if refusal.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    skerry::cli::main(args)
}
