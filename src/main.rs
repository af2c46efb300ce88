//! The `skerry` binary.

use std::process::ExitCode;

use clap::Parser as _;

/// Trees of small strings are made and dropped all day; that of the C library, and above all musl's, spends a quarter of
/// the time on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
