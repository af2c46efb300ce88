//! Which hub a command speaks to, and as whom: kubectl's flags.
//!
//! A context that `skerry connect` made belongs to a tenant; commands go to the hub that it remembers.

use std::path::PathBuf;

use clap::Args;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use super::exit::Failure;
use super::output::Format;

/// Extension of a context that names the hub it came from.
pub const HUB_EXTENSION: &str = "skerry.dev/hub";

/// Flags common to all commands.
#[derive(Clone, Debug, Args)]
pub struct HubArgs {
    /// Kubeconfig of the hub.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in it.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace on the hub.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Form of the output.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// No progress.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// How much is logged: 0 to 6 show nothing more than warnings, from 6 on requests too.
    #[arg(short, long, global = true, default_value_t = 0, value_name = "LEVEL")]
    pub verbosity: u8,
}

/// A hub to speak to.
pub struct Hub {
    /// Client.
    pub client: Client,
    /// Where it is.
    pub url: http::Uri,
    /// Namespace.
    pub namespace: String,
    /// Context, if a kubeconfig was used.
    pub context: Option<String>,
}

/// The file that kubectl would write to: the flag, the first of KUBECONFIG, or the user's.
pub fn kubeconfig_path(flag: Option<&PathBuf>) -> PathBuf {
    if let Some(path) = flag {
        return path.clone();
    }
    if let Some(list) = std::env::var_os("KUBECONFIG")
        && let Some(first) = std::env::split_paths(&list).find(|p| !p.as_os_str().is_empty())
    {
        return first;
    }
    std::env::home_dir().unwrap_or_default().join(".kube").join("config")
}

/// The context that leads to the hub: the asked one, or the current one, or the hub that a tenant's context remembers.
pub fn hub_context(file: &Kubeconfig, asked: Option<&str>) -> Option<String> {
    if let Some(asked) = asked {
        return Some(asked.to_owned());
    }
    let current = file.current_context.clone().filter(|c| !c.is_empty())?;
    let context = file.contexts.iter().find(|c| c.name == current).and_then(|c| c.context.as_ref());
    let remembered = context
        .and_then(|c| c.extensions.as_ref())
        .into_iter()
        .flatten()
        .find(|e| e.name == HUB_EXTENSION)
        .and_then(|e| serde_json::to_value(&e.extension).ok())
        .and_then(|e| e["context"].as_str().map(str::to_owned));
    Some(remembered.unwrap_or(current))
}

impl HubArgs {
    /// Sets up logs for a command that runs once.
    pub fn logs(&self) {
        let filter = if self.verbosity >= 6 { "info,kube_client=debug,skerry=debug" } else { "warn" };
        let _ = skerry_telemetry::logs::init(skerry_telemetry::logs::Format::Text, filter);
    }

    /// The client configuration and the context it came from.
    pub async fn config(&self) -> Result<(Config, Option<String>), Failure> {
        let explicit = self.kubeconfig.is_some() || self.context.is_some();
        let file = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let file = match file {
            Ok(file) => file,
            Err(missing) if explicit => return Err(Failure::Usage(missing.to_string())),
            Err(missing) => {
                let inside = Config::incluster().map_err(|_| {
                    Failure::Failed(format!(
                        "{missing}; start a hub with `skerry up`, or name one with --kubeconfig"
                    ))
                })?;
                return Ok((inside, None));
            }
        };
        let context = hub_context(&file, self.context.as_deref());
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(file, &options)
            .await
            .map_err(|e| Failure::Usage(e.to_string()))?;
        Ok((config, context))
    }

    /// Connects.
    pub async fn connect(&self) -> Result<Hub, Failure> {
        self.logs();
        let (config, context) = self.config().await?;
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let url = config.cluster_url.clone();
        let client = Client::try_from(config)?;
        Ok(Hub { client, url, namespace, context })
    }
}
