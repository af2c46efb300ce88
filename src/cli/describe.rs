//! `skerry describe NAME`: all that is known, where values come from, and the next step when something is missing.

use std::fmt::Write as _;

use clap::Args;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::Value;

use super::exit::Failure;
use super::hub::{Hub, HubArgs};
use super::output::{Format, age, aligned, condition, print, text, write};
use super::progress;

/// Flags.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Name.
    name: String,
    /// Each value in force with its origin.
    #[arg(long)]
    effective: bool,
}

/// Gets one virtual cluster, or says which name is nearest (U4).
pub async fn get(hub: &Hub, name: &str) -> Result<Value, Failure> {
    let api = progress::api(hub);
    if let Some(object) = api.get_opt(name).await? {
        return Ok(serde_json::to_value(object).unwrap_or_default());
    }
    let list = api.list_metadata(&ListParams::default()).await?;
    let names: Vec<String> = list.items.iter().filter_map(|o| o.metadata.name.clone()).collect();
    let hint = nearest(name, &names).map(|n| format!("; did you mean {n:?}?")).unwrap_or_default();
    Err(Failure::NotFound(format!("no virtual cluster {name:?} in namespace {:?}{hint}", hub.namespace)))
}

/// The name that differs least, if it differs little.
fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a String> {
    let best = names.iter().min_by_key(|n| distance(wanted, n))?;
    (distance(wanted, best) <= 2).then_some(best)
}

/// Edits between two texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == *y { diagonal } else { 1 + diagonal.min(above).min(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

/// Runs.
pub async fn run(args_hub: &HubArgs, args: DescribeArgs) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    let object = get(&hub, &args.name).await?;
    if !matches!(args_hub.output, Format::Table | Format::Wide) {
        return print(args_hub.output, &[object], true, &[], &[]);
    }
    let mut out = head(&object);
    conditions(&object, &mut out);
    if args.effective {
        effective(&object, &mut out);
    }
    deletion(&object, &mut out);
    events(&hub, &args.name, &mut out).await;
    if let Some(next) = next_step(&object) {
        let _ = writeln!(out, "\nNext: {next}");
    }
    write(&out)
}

fn head(object: &Value) -> String {
    let status = &object["status"];
    let row = |name: &str, value: String| vec![format!("{name}:"), value];
    let hosts = status["hosts"].as_array().into_iter().flatten();
    let hosts =
        hosts.map(|h| format!("{} ({})", text(&h["name"]), text(&h["state"]))).collect::<Vec<_>>().join(", ");
    let size = text(&status["class"]["size"]);
    aligned(&[
        row("Name", text(&object["metadata"]["name"])),
        row("Namespace", text(&object["metadata"]["namespace"])),
        row("Id", text(&status["id"])),
        row("Phase", text(&status["phase"])),
        row("Age", age(object)),
        row(
            "Class",
            format!(
                "{}{}",
                text(&status["class"]["name"]),
                if size.is_empty() { String::new() } else { format!(", size {size}") }
            ),
        ),
        row("Version", text(&status["controlPlane"]["version"])),
        row("Endpoint", text(&status["endpoint"]["url"])),
        row(
            "Kubeconfig",
            format!(
                "Secret {}, expires {}",
                text(&status["credentials"]["kubeconfigSecret"]),
                text(&status["credentials"]["expires"])
            ),
        ),
        row("Hosts", hosts),
        row("Profile", text(&status["inventory"]["clusterProfile"])),
    ])
}

fn conditions(object: &Value, out: &mut String) {
    let mut rows = vec![["TYPE", "STATUS", "REASON", "MESSAGE"].map(str::to_owned).to_vec()];
    for found in object["status"]["conditions"].as_array().into_iter().flatten() {
        rows.push(["type", "status", "reason", "message"].map(|key| text(&found[key])).to_vec());
    }
    let _ = write!(out, "\nConditions:\n{}", aligned(&rows));
}

fn effective(object: &Value, out: &mut String) {
    let origins: Vec<(String, String)> = object["status"]["origins"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|o| (text(&o["path"]), text(&o["from"])))
        .collect();
    let from = |path: &str| {
        let above = |o: &&(String, String)| {
            path == o.0 || path.starts_with(&format!("{}.", o.0)) || path.starts_with(&format!("{}[", o.0))
        };
        origins.iter().filter(above).max_by_key(|o| o.0.len()).map(|o| o.1.clone()).unwrap_or_default()
    };
    let mut rows = vec![["FIELD", "VALUE", "FROM"].map(str::to_owned).to_vec()];
    for (path, value) in crate::provision::leaf_texts(&object["status"]["effective"]) {
        rows.push(vec![path.clone(), text(&value), from(&path)]);
    }
    let _ = write!(out, "\nIn force:\n{}", aligned(&rows));
}

fn deletion(object: &Value, out: &mut String) {
    let deletion = &object["status"]["deletion"];
    if deletion["step"].is_null() {
        return;
    }
    let _ = writeln!(
        out,
        "\nDeletion: step {}, deadline {}",
        text(&deletion["step"]),
        text(&deletion["deadline"])
    );
    for blocked in deletion["blockedOn"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "  waits for {}", text(blocked));
    }
}

async fn events(hub: &Hub, name: &str, out: &mut String) {
    let api: Api<Event> = Api::namespaced(hub.client.clone(), &hub.namespace);
    let about = ListParams::default()
        .fields(&format!("involvedObject.name={name},involvedObject.kind=VirtualCluster"));
    let Ok(list) = api.list(&about).await else { return };
    let rows: Vec<Vec<String>> = list
        .items
        .iter()
        .rev()
        .take(10)
        .map(|e| {
            vec![
                e.type_.clone().unwrap_or_default(),
                e.reason.clone().unwrap_or_default(),
                e.message.clone().unwrap_or_default(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let _ = write!(out, "\nEvents:\n{}", aligned(&rows));
    }
}

/// What to do, where something is missing.
pub fn next_step(object: &Value) -> Option<String> {
    if condition(object, "Ready") == "True" {
        return None;
    }
    let name = text(&object["metadata"]["name"]);
    let list = object["status"]["conditions"].as_array();
    let reason_of = |kind: &str| {
        list.into_iter()
            .flatten()
            .find(|c| c["type"] == kind && c["status"] != "True")
            .map(|c| text(&c["reason"]))
    };
    if list.is_none() {
        return Some("no manager looks at it: start one with `skerry up` or `skerry manager`".to_owned());
    }
    let provisioned = reason_of("Provisioned");
    Some(match provisioned.as_deref() {
        Some("ClassNotFound" | "ClassAmbiguous" | "ClassNotAllowed") => {
            "choose a class: kubectl get virtualclusterclasses".to_owned()
        }
        Some("HostNotFound") => {
            "join a host: skerry fleet join NAME --host --member-kubeconfig FILE".to_owned()
        }
        Some("SpecInvalid" | "NotOverridable" | "CeilingExceeded") => {
            format!("mend the field that the message names: kubectl edit virtualcluster {name}")
        }
        Some("NamespaceLimitReached") => "delete a virtual cluster of this namespace: skerry list".to_owned(),
        Some("Deleting") => "wait, or look at what it waits for above".to_owned(),
        _ => match (reason_of("ControlPlaneReady").as_deref(), reason_of("Synced")) {
            (Some(_), _) => "look at the API server: skerry doctor".to_owned(),
            (None, Some(_)) => "look at the host and the syncer: skerry fleet list; skerry doctor".to_owned(),
            (None, None) => "wait; follow it with `skerry describe`".to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// TN-72, U4: a wrong name suggests the nearest.
    #[test]
    fn tn72_wrong_names_suggest_the_nearest() {
        let names = ["dev".to_owned(), "prod".to_owned()];
        assert_eq!(nearest("dve", &names).map(String::as_str), Some("dev"));
        assert_eq!(nearest("staging", &names), None);
    }

    #[test]
    fn a_ready_cluster_needs_no_next_step() {
        let ready = json!({"metadata": {"name": "dev"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(next_step(&ready), None);
        let hostless = json!({"metadata": {"name": "dev"}, "status": {"conditions": [{"type": "Provisioned", "status": "False", "reason": "HostNotFound"}]}});
        assert!(next_step(&hostless).unwrap().contains("fleet join"));
    }
}
