//! `skerry connect NAME [-- CMD]`, `skerry disconnect`.
//!
//! The context that is added holds no secret: its user is this program as an exec plugin, which reads the published
//! Secret with the caller's own rights on the hub.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use skerry_kit::kubeconfig::{Entry, User};

use super::credential::published;
use super::describe::get;
use super::exit::Failure;
use super::hub::{HUB_EXTENSION, Hub, HubArgs, kubeconfig_path};
use super::kubeconfig::ca_of;
use super::output::{condition, text, write};
use super::progress::Lines;
use crate::control_plane::secret;

/// Flags.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Name.
    name: String,
    /// Print the kubeconfig instead of writing it.
    #[arg(long)]
    print: bool,
    /// Run this with a temporary kubeconfig.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Runs.
pub async fn run(args_hub: &HubArgs, args: ConnectArgs) -> Result<ExitCode, Failure> {
    let hub = args_hub.connect().await?;
    let object = get(&hub, &args.name).await?;
    if object["status"]["endpoint"]["url"].as_str().is_none_or(str::is_empty) {
        return Err(Failure::Failed(format!(
            "{} has no endpoint yet; `skerry describe {}` shows why",
            args.name, args.name
        )));
    }
    if !args.command.is_empty() {
        return in_shell(&hub, &args).await;
    }
    if args.print {
        let mut file = json!({"apiVersion": "v1", "kind": "Config"});
        merge(args_hub, &hub, &object, &mut file).await?;
        write(&serde_yaml_ng::to_string(&file).map_err(|e| Failure::Failed(e.to_string()))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let context = select(args_hub, &hub, &object).await?;
    let lines = Lines::new(args_hub.quiet);
    if condition(&object, "Ready") != "True" {
        lines.plain(&format!("{} is not ready yet; `skerry describe {}` shows why.", args.name, args.name));
    }
    lines.plain(&format!(
        "Context {context} is now current.\nNext: kubectl get namespaces      back: skerry disconnect"
    ));
    Ok(ExitCode::SUCCESS)
}

/// Adds the context to the user's kubeconfig and selects it.
pub async fn select(args: &HubArgs, hub: &Hub, object: &Value) -> Result<String, Failure> {
    let path = kubeconfig_path(args.kubeconfig.as_ref());
    let mut file = read_file(&path)?;
    let context = merge(args, hub, object, &mut file).await?;
    write_file(&path, &file)?;
    Ok(context)
}

async fn merge(args: &HubArgs, hub: &Hub, object: &Value, file: &mut Value) -> Result<String, Failure> {
    let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    let context = secret::context(&namespace, &name);
    let stored = published(hub, &name).await?;
    let endpoint = &object["status"]["endpoint"];
    let program =
        std::env::current_exe().map(|p| p.display().to_string()).unwrap_or_else(|_| "skerry".to_owned());
    let mut config = json!({"virtualCluster": format!("{namespace}/{name}")});
    if let Some(hub_context) = &hub.context {
        config["context"] = hub_context.as_str().into();
    }
    if let Some(path) = &args.kubeconfig {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        config["kubeconfig"] = path.display().to_string().into();
    }
    let entry = Entry {
        name: &context,
        server: &text(&endpoint["url"]),
        server_name: &text(&endpoint["serverName"]),
        ca: &ca_of(&stored),
        user: User::Exec {
            command: program,
            args: ["credential", "--from", "cluster"].map(str::to_owned).to_vec(),
            config: Some(config),
        },
        namespace: None,
    };
    entry.merge_into(file);
    remember_hub(file, &context, hub.context.as_deref());
    Ok(context)
}

/// Notes in the context which hub it came from.
fn remember_hub(file: &mut Value, context: &str, hub: Option<&str>) {
    let Some(hub) = hub else { return };
    for entry in file["contexts"].as_array_mut().into_iter().flatten() {
        if entry["name"] == context {
            entry["context"]["extensions"] = json!([{"name": HUB_EXTENSION, "extension": {"context": hub}}]);
        }
    }
}

/// Selects the hub's context again.
pub fn disconnect(args: &HubArgs) -> Result<(), Failure> {
    let path = kubeconfig_path(args.kubeconfig.as_ref());
    let mut file = read_file(&path)?;
    let current = text(&file["current-context"]);
    let hub = file["contexts"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|c| c["name"] == current.as_str())
        .and_then(|c| c["context"]["extensions"].as_array())
        .into_iter()
        .flatten()
        .find(|e| e["name"] == HUB_EXTENSION)
        .and_then(|e| e["extension"]["context"].as_str().map(str::to_owned));
    let Some(hub) = hub else {
        return Err(Failure::NotFound(format!("context {current:?} was not made by `skerry connect`")));
    };
    file["current-context"] = hub.as_str().into();
    write_file(&path, &file)?;
    Lines::new(args.quiet).plain(&format!("Context {hub} is now current."));
    Ok(())
}

/// A kubeconfig as a tree; an absent file is an empty one.
pub fn read_file(path: &Path) -> Result<Value, Failure> {
    match std::fs::read_to_string(path) {
        Ok(body) if body.trim().is_empty() => Ok(json!({"apiVersion": "v1", "kind": "Config"})),
        Ok(body) => {
            serde_yaml_ng::from_str(&body).map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))
        }
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
            Ok(json!({"apiVersion": "v1", "kind": "Config"}))
        }
        Err(failed) => Err(Failure::Failed(format!("{}: {failed}", path.display()))),
    }
}

/// Writes a kubeconfig whole or not at all, for its owner only.
pub fn write_file(path: &Path, file: &Value) -> Result<(), Failure> {
    let body = serde_yaml_ng::to_string(file).map_err(|e| Failure::Failed(e.to_string()))?;
    write_private(path, body.as_bytes()).map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))
}

/// Writes a file for its owner only, by renaming a complete one into its place.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    std::fs::create_dir_all(&folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = folder.join(format!(".{name}.{}", std::process::id()));
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

/// Runs a command with a kubeconfig of its own, which goes with it.
async fn in_shell(hub: &Hub, args: &ConnectArgs) -> Result<ExitCode, Failure> {
    let stored = published(hub, &args.name).await?;
    let folder = std::env::temp_dir().join(format!("skerry-{}", std::process::id()));
    let path = folder.join("kubeconfig");
    write_private(&path, secret::text(&stored).as_bytes())?;
    let (program, rest) =
        args.command.split_first().ok_or_else(|| Failure::Usage("no command".to_owned()))?;
    let status = tokio::process::Command::new(program).args(rest).env("KUBECONFIG", &path).status().await;
    let _ = std::fs::remove_dir_all(&folder);
    let status = status.map_err(|e| Failure::Failed(format!("{program}: {e}")))?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}
