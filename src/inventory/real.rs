//! Real members (mode Push): probed, counted, shown. One task over all of them; each member on its own, so that a
//! silent one delays nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::Api;
use kube::{Client, ResourceExt};
use serde::Deserialize as _;
use serde_json::{Value, json};
use skerry_api::cluster_profile::{JOINED, joined};
use skerry_api::cluster_report::{ClusterReport, MemberMode, Verdict, conditions};
use skerry_api::condition::Statement;
use skerry_api::virtual_cluster::reasons::managers;
use skerry_api::{ClusterProfile, labels};
use skerry_kit::kubeconfig::{Allow, read};
use skerry_kit::{apply, error};
use skerry_telemetry::Shutdown;

use super::health::{Evidence, Thresholds, statement};
use super::profile::Facts;
use super::properties::{self, Copied};
use super::{collect, register, renew};
use crate::context::Context;

/// Between rounds; a member's own period can only be longer.
const ROUND: Duration = Duration::from_secs(5);
/// Until the Reports are asked for again while they are not known.
const UNKNOWN: Duration = Duration::from_secs(1);
/// Members that are looked at at once.
const AT_ONCE: usize = 16;
/// Limit of one look at a member.
const LIMIT: Duration = Duration::from_secs(10);

/// Looks at all real members until the end. `reports` gives the Reports of the inventory as the hub shows them; nothing
/// while they are not known.
pub async fn run(context: &Context, reports: impl Fn() -> Option<Vec<Arc<Value>>>, shutdown: &Shutdown) {
    let mut clients = Clients::default();
    loop {
        let wait = match reports() {
            Some(all) => {
                round(context, &all, &mut clients).await;
                context.metrics.members.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
                ROUND
            }
            None => UNKNOWN,
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.wait() => return,
        }
    }
}

/// Clients of members, kept while their Secrets stay as they are.
#[derive(Default)]
pub(super) struct Clients(BTreeMap<String, (String, Client)>);

/// The Report, if it is a real member's.
pub(super) fn real(report: &Value) -> Option<ClusterReport> {
    let report =
        (report["spec"]["mode"] == json!(MemberMode::Push)).then(|| ClusterReport::deserialize(report))?;
    report.inspect_err(|failed| tracing::warn!(error = %failed, "a ClusterReport does not decode")).ok()
}

async fn round(context: &Context, all: &[Arc<Value>], clients: &mut Clients) {
    let mut ready = Vec::new();
    for report in all.iter().filter_map(|report| real(report)) {
        let client = client_of(context, clients, &report).await;
        ready.push((report, client));
    }
    let looks = futures::stream::iter(ready.into_iter().map(|(report, client)| one(context, report, client)));
    let mut looks = looks.buffer_unordered(AT_ONCE);
    while let Some(result) = looks.next().await {
        // One that left meanwhile is shown no more.
        if let Err(failed) = result
            && !error::is_not_found(&failed)
        {
            tracing::warn!(error = %error::sentence(&failed), "a member could not be shown");
        }
    }
}

/// The client of a member, rebuilt when its Secret changes.
pub(super) async fn client_of(
    context: &Context,
    clients: &mut Clients,
    report: &ClusterReport,
) -> Result<Client, String> {
    let name = report.name_any();
    let push = report.spec.push.as_ref().ok_or_else(|| "spec.push is missing".to_owned())?;
    let secrets: Api<Secret> = Api::namespaced(context.hub.clone(), &context.settings.inventory.namespace);
    let secret = secrets.get(&push.secret_ref.name).await.map_err(|e| error::sentence(&e))?;
    let version = secret.resource_version().unwrap_or_default();
    if let Some((known, client)) = clients.0.get(&name)
        && *known == version
    {
        return Ok(client.clone());
    }
    let key = push.secret_ref.key.as_deref().unwrap_or("kubeconfig");
    let data = secret.data.unwrap_or_default();
    let bytes = data.get(key).ok_or_else(|| format!("Secret {} has no key {key}", push.secret_ref.name))?;
    let text = String::from_utf8_lossy(&bytes.0).into_owned();
    let file = read(&text, push.context.as_deref(), Allow::default()).map_err(|e| e.to_string())?;
    let config = skerry_kit::kubeconfig::config(file).await.map_err(|e| e.to_string())?;
    let client = Client::try_from(config).map_err(|e| error::sentence(&e))?;
    clients.0.insert(name, (version, client.clone()));
    Ok(client)
}

/// Probes one member, counts what it has, shows both.
async fn one(
    context: &Context,
    report: ClusterReport,
    client: Result<Client, String>,
) -> Result<(), kube::Error> {
    let name = report.name_any();
    let probe = report.spec.probe.clone().unwrap_or_default();
    let number = |n: Option<i32>, d: u32| n.and_then(|n| u32::try_from(n).ok()).unwrap_or(d);
    let thresholds = Thresholds {
        failure: number(probe.failure_threshold, 3),
        success: number(probe.success_threshold, 2),
    };
    let lend = report.spec.lend.as_ref().and_then(|l| l.percent).unwrap_or(100);
    let seen = match &client {
        Ok(client) => match tokio::time::timeout(LIMIT, observe(client, i128::from(lend))).await {
            Ok(seen) => seen,
            Err(_) => Evidence::Silent("no answer in time".to_owned()).into(),
        },
        Err(message) => Evidence::Denied(message.clone()).into(),
    };
    let is_leaving = report.leave().is_some();
    if let (Evidence::Good, Ok(client), false) = (&seen.evidence, &client, is_leaving)
        && let Err(failed) = renew::if_due(context, &report, client).await
    {
        tracing::warn!(member = %name, error = %error::sentence(&failed), "the member's token was not renewed");
    }
    let verdict = context.inventory.verdicts.note(&name, &seen.evidence, thresholds);
    show_profile(context, &report, verdict, &seen).await?;
    show_report(context, &report, verdict, seen).await
}

/// What one look at a member gave.
struct Seen {
    evidence: Evidence,
    version: Option<String>,
    figures: Option<collect::Figures>,
    copied: Option<Copied>,
}

impl From<Evidence> for Seen {
    fn from(evidence: Evidence) -> Self {
        Self { evidence, version: None, figures: None, copied: None }
    }
}

/// Probe, version, figures and properties of a member.
async fn observe(client: &Client, lend: i128) -> Seen {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
        return Evidence::Silent("no request".to_owned()).into();
    };
    match client.request_text(request).await {
        Ok(_) => {}
        Err(failed) if error::is_denied(&failed) => return Evidence::Denied(error::sentence(&failed)).into(),
        Err(failed) if error::code(&failed).is_some() => {
            return Evidence::NotReady(error::sentence(&failed)).into();
        }
        Err(failed) => return Evidence::Silent(error::sentence(&failed)).into(),
    }
    let said = |what: &'static str| move |failed: &kube::Error| tracing::debug!(error = %error::sentence(failed), "{what} cannot be read");
    Seen {
        evidence: Evidence::Good,
        version: client.apiserver_version().await.ok().map(|v| v.git_version),
        figures: collect::look(client, lend).await.inspect_err(said("nodes and pods")).ok(),
        copied: properties::read(client)
            .await
            .inspect_err(said("ClusterProperties"))
            .ok()
            .map(|all| properties::own(&all, None)),
    }
}

async fn show_profile(
    context: &Context,
    report: &ClusterReport,
    verdict: Verdict,
    seen: &Seen,
) -> Result<(), kube::Error> {
    let api: Api<ClusterProfile> =
        Api::namespaced(context.hub.clone(), &context.settings.inventory.namespace);
    let Some(stored) = error::optional(api.get(&report.name_any()).await)? else { return Ok(()) };
    if stored.spec.cluster_manager.name != context.settings.inventory.manager {
        return Ok(());
    }
    let is_leaving = report.leave().is_some();
    let joined = match &seen.evidence {
        _ if is_leaving => Statement::no(JOINED, joined::DRAINING, "leaving the inventory"),
        Evidence::Denied(message) => Statement::no(JOINED, joined::CREDENTIAL_INVALID, message.clone()),
        _ => Statement::yes(JOINED, joined::JOINED, "registered"),
    };
    if stored.labels().get(labels::SIMULATED).is_some_and(|v| v == "true") {
        context.inventory.note_simulated(&report.name_any());
    }
    let mut facts = facts_of(context, report, &stored, seen.version.as_deref());
    match &seen.copied {
        Some(copied) => facts.own.clone_from(&copied.values),
        None => facts.keep_own(Some(&stored)),
    }
    register::write_profile(context, &api, &facts, Some(&stored), &[joined, statement(verdict)])
        .await
        .map(drop)
}

/// A real member's profile: labels of the Report, access as it was published at join.
fn facts_of(
    context: &Context,
    report: &ClusterReport,
    stored: &ClusterProfile,
    version: Option<&str>,
) -> Facts {
    let kept = [labels::ROLE, labels::SIMULATED];
    let mut own = report.spec.labels.clone().unwrap_or_default();
    for key in kept {
        if let Some(value) = stored.labels().get(key) {
            own.insert(key.to_owned(), value.clone());
        }
    }
    let before = stored.status.clone().unwrap_or_default();
    let access = before.access_providers.unwrap_or_default().into_iter().next().and_then(|a| a.cluster);
    let ca = access.as_ref().and_then(|c| c.certificate_authority_data.clone()).unwrap_or_default();
    let ca: k8s_openapi::ByteString = serde_json::from_value(Value::String(ca)).unwrap_or_default();
    let known = before.version.and_then(|v| v.kubernetes).unwrap_or_default();
    Facts {
        name: report.name_any(),
        namespace: context.settings.inventory.namespace.clone(),
        manager: context.settings.inventory.manager.clone(),
        id: stored.labels().get(labels::INVENTORY_MEMBER_ID).cloned().unwrap_or_default(),
        display_name: report
            .spec
            .display_name
            .clone()
            .or(stored.spec.display_name.clone())
            .unwrap_or_default(),
        set: report.spec.cluster_set.clone(),
        member_kind: "real",
        labels: own,
        properties: BTreeMap::new(),
        own: BTreeMap::new(),
        version: version.map_or(known, str::to_owned),
        server: access.map(|c| c.server).unwrap_or_default(),
        ca_bundle: String::from_utf8(ca.0).unwrap_or_default(),
    }
}

async fn show_report(
    context: &Context,
    report: &ClusterReport,
    verdict: Verdict,
    seen: Seen,
) -> Result<(), kube::Error> {
    let Seen { evidence, version, figures, copied } = seen;
    let api = register::reports(context);
    let name = report.name_any();
    let before = report.status.clone().unwrap_or_default();
    let now = Time(Timestamp::now());
    let stored = before.conditions.clone().unwrap_or_default();
    let reachable = match evidence {
        Evidence::Silent(text) => Statement::no(conditions::REACHABLE, "NoAnswer", text),
        _ => Statement::yes(conditions::REACHABLE, "Answering", "readyz answered"),
    };
    let capacity = if figures.is_some() || before.nodes.is_some() {
        Statement::yes(conditions::CAPACITY_KNOWN, "Collected", "nodes and pods were read")
    } else {
        Statement::no(conditions::CAPACITY_KNOWN, "NotCollected", "nodes and pods cannot be read")
    };
    let says = [Some(reachable), Some(capacity), copied.map(|c| c.says)];
    let mut wanted: Vec<_> = says.iter().flatten().map(|s| s.since(&stored, None, &now)).collect();
    // What was not looked at keeps what was said of it.
    let silent = |c: &&skerry_api::Condition| wanted.iter().all(|w| w.type_ != c.type_);
    let kept: Vec<_> = stored.iter().filter(silent).cloned().collect();
    wanted.extend(kept);
    let known_version = version.or(before.kubernetes_version.clone());
    let same = before.verdict == Some(verdict)
        && wanted.iter().all(|c| stored.contains(c))
        && known_version == before.kubernetes_version;
    if !same {
        let mut status = json!({
            "memberID": before.member_id,
            "verdict": verdict,
            "profileManager": context.settings.inventory.manager,
            "conditions": wanted,
        });
        if let Some(version) = known_version {
            status["kubernetesVersion"] = version.into();
        }
        apply::apply_status(&api, managers::INVENTORY, &name, status).await?;
        context.metrics.report_writes.inc();
    }
    let Some(figures) = figures else { return Ok(()) };
    let percent = report.spec.report.as_ref().and_then(|r| r.change_percent).unwrap_or(5);
    let last = context.inventory.shown(&name);
    let moved = last.is_none_or(|last| figures.moved(&last, i128::from(percent)));
    let stale = before.nodes.is_none();
    context.inventory.set_figures(&name, figures.clone());
    if moved || stale {
        let mut status = figures.status();
        let unchanged = apply::covers(&json!(before), &status);
        if !unchanged {
            status["observedTime"] = json!(now);
            apply::apply_status(&api, managers::COLLECT, &name, status).await?;
            context.metrics.report_writes.inc();
        }
        context.inventory.set_shown(&name, figures);
    }
    Ok(())
}
