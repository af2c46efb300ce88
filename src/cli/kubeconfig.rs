//! `skerry kubeconfig NAME`: the published kubeconfig, credential included.

use std::path::PathBuf;

use clap::Args;
use k8s_openapi::api::core::v1::Secret;

use super::connect::write_private;
use super::credential::published;
use super::describe::get;
use super::exit::Failure;
use super::hub::HubArgs;
use super::output::write;
use crate::control_plane::secret;

/// Flags.
#[derive(Debug, Args)]
pub struct KubeconfigArgs {
    /// Name.
    name: String,
    /// Write it to this file, readable by its owner only.
    #[arg(short = 'O', long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The CA bundle of a published Secret.
pub fn ca_of(stored: &Secret) -> String {
    let bytes = stored.data.as_ref().and_then(|d| d.get("ca.crt")).map(|b| b.0.clone()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Runs.
pub async fn run(args_hub: &HubArgs, args: KubeconfigArgs) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    get(&hub, &args.name).await?;
    let body = secret::text(&published(&hub, &args.name).await?);
    match args.out {
        Some(path) => write_private(&path, body.as_bytes())
            .map_err(|e| Failure::Failed(format!("{}: {e}", path.display()))),
        None => write(&body),
    }
}
