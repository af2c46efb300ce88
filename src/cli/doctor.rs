//! `skerry doctor`: each finding has an id, a cause, and a command.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use skerry_api::{ClusterProfile, ClusterReport, VirtualCluster, VirtualClusterClass, labels};
use skerry_kit::error;
use skerry_kit::kubeconfig::{Allow, config, read};

use super::describe::next_step;
use super::exit::Failure;
use super::hub::{Hub, HubArgs};
use super::output::{Format, aligned, condition, print, text, write};
use crate::inventory::join::HOST_KEY;
use crate::inventory::rights;

/// Limit of one look at a host.
const LIMIT: Duration = Duration::from_secs(5);

/// Flags.
#[derive(Debug, Args)]
pub struct DoctorArgs {}

/// Something that is wrong.
struct Finding {
    id: &'static str,
    cause: String,
    command: String,
}

impl Finding {
    fn new(id: &'static str, cause: impl Into<String>, command: impl Into<String>) -> Self {
        Self { id, cause: cause.into(), command: command.into() }
    }
}

/// Runs. Findings are no failure of the command, but its code says that there are some.
pub async fn run(args_hub: &HubArgs, _: DoctorArgs) -> Result<ExitCode, Failure> {
    let hub = args_hub.connect().await?;
    let mut findings = Vec::new();
    if let Err(failed) = hub.client.apiserver_version().await {
        let cause = format!("the hub does not answer: {}", error::sentence(&failed));
        findings.push(Finding::new("HubUnreachable", cause, "skerry up"));
    } else {
        kinds(&hub, &mut findings).await;
        classes(&hub, &mut findings).await;
        members(&hub, &mut findings).await;
        tenants(&hub, &mut findings).await;
    }
    report(args_hub, &findings)?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn report(args: &HubArgs, findings: &[Finding]) -> Result<(), Failure> {
    if matches!(args.output, Format::Json | Format::Yaml) {
        let list: Vec<Value> =
            findings.iter().map(|f| json!({"id": f.id, "cause": f.cause, "command": f.command})).collect();
        return print(args.output, &[json!({"findings": list})], true, &[], &[]);
    }
    if findings.is_empty() {
        return write("Nothing is wrong.\n");
    }
    let mut rows = vec![["FINDING", "CAUSE", "COMMAND"].map(str::to_owned).to_vec()];
    rows.extend(findings.iter().map(|f| vec![f.id.to_owned(), f.cause.clone(), f.command.clone()]));
    write(&aligned(&rows))
}

async fn kinds(hub: &Hub, out: &mut Vec<Finding>) {
    let api: Api<CustomResourceDefinition> = Api::all(hub.client.clone());
    // A hub that has the kinds built in serves them without definitions.
    let built_in =
        hub.client.list_api_groups().await.is_ok_and(|g| g.groups.iter().any(|g| g.name == "skerry.dev"));
    for crd in skerry_api::crds::all() {
        let name = text(&crd["metadata"]["name"]);
        if !built_in && !matches!(api.get_metadata_opt(&name).await, Ok(Some(_))) {
            let cause = format!("the hub does not serve {name}");
            out.push(Finding::new(
                "KindMissing",
                cause,
                format!("kubectl apply --server-side -f crds/{name}.yaml"),
            ));
        }
    }
}

async fn classes(hub: &Hub, out: &mut Vec<Finding>) {
    let api: Api<VirtualClusterClass> = Api::all(hub.client.clone());
    match api.list(&ListParams::default()).await {
        Ok(list) if list.items.is_empty() => {
            out.push(Finding::new(
                "NoClass",
                "there is no VirtualClusterClass",
                "skerry up ships `standard`; kubectl apply one",
            ));
        }
        Ok(list) if list.items.iter().filter(|c| c.spec.default == Some(true)).count() > 1 => {
            let cause =
                "several classes are default: requests without className are ambiguous where both select";
            out.push(Finding::new("ClassAmbiguous", cause, "kubectl get virtualclusterclasses"));
        }
        Ok(_) => {}
        Err(failed) => out.push(Finding::new(
            "ClassUnreadable",
            error::sentence(&failed),
            "kubectl auth can-i list virtualclusterclasses",
        )),
    }
}

async fn members(hub: &Hub, out: &mut Vec<Finding>) {
    let profiles: Api<ClusterProfile> = Api::namespaced(hub.client.clone(), labels::INVENTORY_NAMESPACE);
    let hosts = ListParams::default().labels(&format!("{}=host", labels::ROLE));
    if profiles.list_metadata(&hosts).await.is_ok_and(|l| l.items.is_empty()) {
        out.push(Finding::new(
            "NoHost",
            "no member carries tenants",
            "skerry fleet join NAME --host --member-kubeconfig FILE",
        ));
    }
    let real = ListParams::default().labels(&format!("{}=host,{}!=true", labels::ROLE, labels::SIMULATED));
    let real = profiles.list_metadata(&real).await.map(|l| l.items).unwrap_or_default();
    let real: Vec<String> = real.iter().map(|profile| profile.name_any()).collect();
    let reports: Api<ClusterReport> = Api::namespaced(hub.client.clone(), labels::INVENTORY_NAMESPACE);
    let Ok(list) = reports.list(&ListParams::default()).await else { return };
    for report in list.items {
        if real.contains(&report.name_any()) && is_unguarded(hub, &report).await {
            let name = &report.spec.display_name.clone().unwrap_or_else(|| report.name_any());
            out.push(Finding::new(
                "GuardMissing",
                format!("{name}: nothing on the host bounds what Skerry's accounts write there"),
                format!("skerry fleet join {name} --host --member-kubeconfig FILE"),
            ));
        }
        let name = report.metadata.name.clone().unwrap_or_default();
        let verdict = report.status.and_then(|s| s.verdict);
        if let Some(verdict) = verdict.filter(|v| *v != skerry_api::cluster_report::Verdict::Healthy) {
            out.push(Finding::new(
                "MemberUnhealthy",
                format!("{name}: {verdict}"),
                format!("skerry fleet get {name}"),
            ));
        }
    }
}

/// Whether a host says that it has no guard (tenancy I10); one that does not answer is a finding of its own.
async fn is_unguarded(hub: &Hub, report: &ClusterReport) -> bool {
    let Some(push) = &report.spec.push else { return false };
    let secrets: Api<Secret> = Api::namespaced(hub.client.clone(), labels::INVENTORY_NAMESPACE);
    let Ok(stored) = secrets.get(&push.secret_ref.name).await else { return false };
    let Some(bytes) = stored.data.as_ref().and_then(|data| data.get(HOST_KEY)) else { return true };
    let Ok(file) = read(&String::from_utf8_lossy(&bytes.0), None, Allow::default()) else { return false };
    let Ok(Ok(host)) = config(file).await.map(Client::try_from) else { return false };
    matches!(tokio::time::timeout(LIMIT, rights::is_guarded(&host)).await, Ok(Ok(false)))
}

async fn tenants(hub: &Hub, out: &mut Vec<Finding>) {
    let kind = ApiResource::erase::<VirtualCluster>(&());
    let api: Api<DynamicObject> = Api::all_with(hub.client.clone(), &kind);
    let Ok(list) = api.list(&ListParams::default()).await else { return };
    for object in list.items {
        let object = serde_json::to_value(object).unwrap_or_default();
        let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        let show = format!("skerry describe {name} -n {namespace}");
        if object["status"]["deletion"]["overdue"] == true {
            let blocked =
                object["status"]["deletion"]["blockedOn"].as_array().and_then(|l| l.first()).map(text);
            let cause = format!("{namespace}/{name}: waits for {}", blocked.unwrap_or_default());
            out.push(Finding::new("DeletionOverdue", cause, show));
        } else if condition(&object, "Ready") != "True" {
            let next = next_step(&object).unwrap_or_default();
            out.push(Finding::new("NotReady", format!("{namespace}/{name}: {next}"), show));
        }
    }
}
