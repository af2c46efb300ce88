//! `skerry list`.

use clap::Args;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::Value;
use skerry_api::VirtualCluster;

use super::exit::Failure;
use super::hub::HubArgs;
use super::output::{Column, age, condition, print, text};

/// Flags.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// All namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Label selector.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
}

/// Columns of a virtual cluster.
pub const COLUMNS: &[Column] = &[
    ("NAME", |o| text(&o["metadata"]["name"])),
    ("PHASE", |o| text(&o["status"]["phase"])),
    ("READY", |o| condition(o, "Ready")),
    ("CLASS", |o| text(&o["status"]["class"]["name"])),
    ("VERSION", |o| text(&o["status"]["controlPlane"]["version"])),
    ("AGE", age),
];

/// More of them.
pub const WIDE: &[Column] = &[
    ("PROVIDER", |o| text(&o["status"]["effective"]["controlPlane"]["type"])),
    ("HOST", |o| {
        let hosts = o["status"]["hosts"].as_array();
        hosts.into_iter().flatten().map(|h| text(&h["name"])).collect::<Vec<_>>().join(",")
    }),
    ("SIZE", |o| text(&o["status"]["class"]["size"])),
    ("ID", |o| text(&o["status"]["id"])),
    ("ENDPOINT", |o| text(&o["status"]["endpoint"]["url"])),
];

/// Runs.
pub async fn run(args_hub: &HubArgs, args: ListArgs) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    let kind = ApiResource::erase::<VirtualCluster>(&());
    let api: Api<DynamicObject> = if args.all_namespaces {
        Api::all_with(hub.client.clone(), &kind)
    } else {
        Api::namespaced_with(hub.client.clone(), &hub.namespace, &kind)
    };
    let params = ListParams { label_selector: args.selector, ..ListParams::default() };
    let objects: Vec<Value> =
        api.list(&params).await?.items.iter().map(|o| serde_json::to_value(o).unwrap_or_default()).collect();
    if objects.is_empty()
        && matches!(args_hub.output, super::output::Format::Table | super::output::Format::Wide)
    {
        let place = if args.all_namespaces {
            "any namespace".to_owned()
        } else {
            format!("namespace {}", hub.namespace)
        };
        eprintln!("No virtual clusters in {place}. Next: skerry create dev");
        return Ok(());
    }
    let with_namespace: Vec<Column> =
        [("NAMESPACE", (|o: &Value| text(&o["metadata"]["namespace"])) as fn(&Value) -> String)]
            .into_iter()
            .chain(COLUMNS.iter().copied())
            .collect();
    let columns: &[Column] = if args.all_namespaces { &with_namespace } else { COLUMNS };
    print(args_hub.output, &objects, false, columns, WIDE)
}
