//! `skerry create NAME`.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use skerry_api::rules::parse_duration;
use skerry_api::virtual_cluster::reasons::managers;

use super::exit::Failure;
use super::hub::HubArgs;
use super::output::{Format, print, text};
use super::progress::{self, Lines};
use super::{connect, list};
use crate::provision::{NAME_LABEL, set_path};

/// Flags.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name: a DNS label of at most 48 characters that begins with a letter.
    name: String,
    /// Class.
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Size of that class.
    #[arg(long, value_name = "NAME")]
    size: Option<String>,
    /// Kubernetes version, as v1.36.
    #[arg(long = "kubernetes-version", value_name = "VERSION")]
    kubernetes_version: Option<String>,
    /// Host to run pods on, by the name of its ClusterProfile.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// A field of the spec, as quota.pods=20; repeatable.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// A manifest to begin with.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only say what would be: client or server.
    #[arg(long, value_name = "WHERE", value_parser = ["client", "server"])]
    dry_run: Option<String>,
    /// Select its context when it is ready.
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    connect: bool,
    /// Wait until it is ready.
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    wait: bool,
    /// How long to wait.
    #[arg(long, default_value = "5m", value_name = "DURATION")]
    timeout: String,
}

/// A duration flag.
pub fn duration(flag: &str, value: &str) -> Result<std::time::Duration, Failure> {
    parse_duration(value)
        .and_then(|n| u64::try_from(n).ok())
        .map(std::time::Duration::from_nanos)
        .ok_or_else(|| Failure::Usage(format!("--{flag}: {value:?} is not a duration as 90s or 5m")))
}

fn manifest(args: &CreateArgs, namespace: &str) -> Result<Value, Failure> {
    let mut object = match &args.file {
        Some(path) => {
            let body = std::fs::read_to_string(path)
                .map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?;
            serde_yaml_ng::from_str(&body).map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?
        }
        None => json!({"spec": {}}),
    };
    object["apiVersion"] = "skerry.dev/v1alpha1".into();
    object["kind"] = "VirtualCluster".into();
    object["metadata"]["name"] = args.name.as_str().into();
    object["metadata"]["namespace"] = namespace.into();
    if !object["spec"].is_object() {
        object["spec"] = json!({});
    }
    let spec = &mut object["spec"];
    for (path, value) in
        [("className", &args.class), ("size", &args.size), ("controlPlane.version", &args.kubernetes_version)]
    {
        if let Some(value) = value {
            set_path(spec, path, value.as_str().into());
        }
    }
    if let Some(host) = &args.host {
        let name = if host.contains('.') { host.clone() } else { format!("skerry.{host}") };
        set_path(spec, "hosts.selector", json!({"matchLabels": {NAME_LABEL: name}}));
    }
    for pair in &args.set {
        let (path, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("--set {pair:?}: not PATH=VALUE, as quota.pods=20")))?;
        let value = serde_yaml_ng::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        set_path(spec, path.trim_start_matches("spec."), value);
    }
    Ok(object)
}

/// Runs.
pub async fn run(args_hub: &HubArgs, args: CreateArgs) -> Result<(), Failure> {
    let limit = duration("timeout", &args.timeout)?;
    if args.dry_run.as_deref() == Some("client") {
        let namespace = args_hub.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let object = manifest(&args, &namespace)?;
        let format = if args_hub.output == Format::Table { Format::Yaml } else { args_hub.output };
        return print(format, &[object], true, &[], &[]);
    }
    let hub = args_hub.connect().await?;
    let object = manifest(&args, &hub.namespace)?;
    let api = progress::api(&hub);
    let what = format!("create {}/{}", hub.namespace, args.name);
    if api.get_opt(&args.name).await?.is_some() && args.file.is_none() {
        return Err(Failure::Refused(format!(
            "{what}: it exists already; `skerry describe {}` shows it",
            args.name
        )));
    }
    let mut params = PatchParams::apply(managers::CLI);
    params.dry_run = args.dry_run.is_some();
    params.field_validation = Some(kube::api::ValidationDirective::Strict);
    let stored =
        api.patch(&args.name, &params, &Patch::Apply(&object)).await.map_err(Failure::during(&what))?;
    let mut stored = serde_json::to_value(stored).unwrap_or_default();
    let lines = Lines::new(args_hub.quiet);
    if args.dry_run.is_none() && args.wait {
        stored = progress::until_ready(&hub, &args.name, limit, lines).await?;
        let mut next = "kubectl get namespaces".to_owned();
        if args.connect {
            let context = connect::select(args_hub, &hub, &stored).await?;
            lines.plain(&format!("Ready. Context {context} is now current."));
        } else {
            lines.plain("Ready.");
            next = format!("skerry connect {} -n {}", args.name, hub.namespace);
        }
        lines.plain(&format!("Next: {next}"));
    }
    match args_hub.output {
        Format::Table | Format::Wide if args.dry_run.is_none() => Ok(()),
        Format::Table => print(Format::Yaml, &[stored], true, &[], &[]),
        format => print(format, &[stored], true, list::COLUMNS, list::WIDE),
    }
}

/// The UID of an object.
pub fn uid(object: &Value) -> String {
    text(&object["metadata"]["uid"])
}
