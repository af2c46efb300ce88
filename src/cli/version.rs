//! `skerry version`.

use clap::Args;
use serde_json::json;

use super::exit::Failure;
use super::hub::HubArgs;
use super::output::{Format, print, write};

/// Flags.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Do not ask the hub.
    #[arg(long)]
    client: bool,
}

/// Runs.
pub async fn run(args_hub: &HubArgs, args: VersionArgs) -> Result<(), Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let hub = if args.client { None } else { ask(args_hub).await };
    if matches!(args_hub.output, Format::Json | Format::Yaml) {
        return print(args_hub.output, &[json!({"skerry": own, "hub": hub})], true, &[], &[]);
    }
    let mut out = format!("skerry  {own}\n");
    if !args.client {
        out.push_str(&format!("hub     {}\n", hub.unwrap_or_else(|| "does not answer".to_owned())));
    }
    write(&out)
}

async fn ask(args_hub: &HubArgs) -> Option<String> {
    let hub = args_hub.connect().await.ok()?;
    hub.client.apiserver_version().await.ok().map(|v| v.git_version)
}
