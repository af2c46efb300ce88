//! Generators and checks, run as `cargo xtask <command>`.

fn main() {}
