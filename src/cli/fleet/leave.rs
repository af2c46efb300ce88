//! `skerry fleet leave`: the steps of inventory section 12, for real members. Each is idempotent, and the one at work
//! is on record in the Report.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use skerry_api::rights::MEMBER_ROLE;
use skerry_api::{ClusterBinding, ClusterReport, VirtualCluster, labels};
use skerry_kit::error;
use skerry_kit::kubeconfig::{Allow, config, read};

use super::{LeaveArgs, apis, profile_name, settings};
use crate::cli::create::duration;
use crate::cli::exit::Failure;
use crate::cli::hub::{Hub, HubArgs};
use crate::cli::progress::Lines;
use crate::inventory::join;

/// Section 12, for a real member: cordon, wait until nothing uses it, then access, credential, profile, report.
pub(super) async fn run(args_hub: &HubArgs, args: LeaveArgs) -> Result<(), Failure> {
    let limit = duration("timeout", &args.timeout)?;
    let hub = args_hub.connect().await?;
    let (profiles, reports) = apis(&hub);
    let name = profile_name(&args.name);
    let lines = Lines::new(args_hub.quiet);
    let profile = profiles.get(&name).await.map_err(Failure::during(&format!("member {name}")))?;
    if profile.labels().get(labels::MEMBER_KIND).is_some_and(|k| k == "virtual") {
        return Err(Failure::Refused(format!(
            "{name} is a virtual cluster: it leaves when it is deleted, `skerry delete`"
        )));
    }
    refuse_used_host(&hub, &name).await?;
    let id = profile.labels().get(labels::INVENTORY_MEMBER_ID).cloned().unwrap_or_default();
    let leaving = json!({"spec": {"unschedulable": true}});
    reports.patch(&name, &PatchParams::default(), &Patch::Merge(&leaving)).await?;
    at_step(&reports, &name, "Evict").await?;
    lines.done("Cordon");
    if args.forget {
        forget_bindings(&hub, &id, &name).await?;
    }
    wait_for_bindings(&hub, &id, &name, limit, lines).await?;
    lines.done("Evict");
    at_step(&reports, &name, "Access").await?;
    let short = name.rsplit_once('.').map_or(name.as_str(), |(_, last)| last);
    if args.forget {
        let rights =
            format!("{name} clusterrolebinding {MEMBER_ROLE}, namespace {}", labels::SYSTEM_NAMESPACE);
        abandon(&hub, &[rights]).await?;
    } else {
        release(&hub, short).await.map_err(|text| {
            Failure::Failed(format!("the member does not answer: {text}; --forget leaves it as it is"))
        })?;
        lines.done("Access");
    }
    let secrets: Api<Secret> = Api::namespaced(hub.client.clone(), &settings().namespace);
    let gone = DeleteParams::default();
    for result in [
        secrets.delete(&join::secret_name(short), &gone).await.map(drop),
        profiles.delete(&name, &gone).await.map(drop),
        reports.delete(&name, &gone).await.map(drop),
    ] {
        match result {
            Err(failed) if !error::is_not_found(&failed) => return Err(failed.into()),
            _ => {}
        }
    }
    lines.done("Profile");
    lines.plain(&format!("{name} has left."));
    Ok(())
}

/// Writes the step down, so that whoever looks sees it and a second call goes on from it.
async fn at_step(reports: &Api<ClusterReport>, name: &str, step: &str) -> Result<(), Failure> {
    let known = reports.get_opt(name).await?.and_then(|r| r.status).and_then(|s| s.leave);
    let since = known.map_or_else(|| json!(jiff::Timestamp::now()), |leave| json!(leave.since));
    let mark = json!({"status": {"leave": {"step": step, "since": since}}});
    reports.patch_status(name, &PatchParams::default(), &Patch::Merge(&mark)).await?;
    Ok(())
}

/// Lets go of what was delivered to a member that does not answer: each binding is written down, then ended.
async fn forget_bindings(hub: &Hub, id: &str, name: &str) -> Result<(), Failure> {
    let all: Api<ClusterBinding> = Api::all(hub.client.clone());
    let of_member = ListParams::default().labels(&format!("{}={id}", labels::MEMBER_ID));
    let left = error::optional(all.list(&of_member).await)?.map(|l| l.items).unwrap_or_default();
    let line = |b: &ClusterBinding| {
        let (namespace, placement) = (b.namespace().unwrap_or_default(), &b.spec.placement);
        let revision = b.spec.revision.as_deref().unwrap_or("none");
        format!(
            "{name} clusterbinding {namespace}/{} of {} {}, revision {revision}",
            b.name_any(),
            placement.kind,
            placement.name
        )
    };
    abandon(hub, &left.iter().map(line).collect::<Vec<_>>()).await?;
    for binding in &left {
        let api: Api<ClusterBinding> =
            Api::namespaced(hub.client.clone(), &binding.namespace().unwrap_or_default());
        let name = binding.name_any();
        let released = json!({"metadata": {"finalizers": null, "uid": binding.uid()}});
        for result in [
            api.delete(&name, &DeleteParams::default()).await.map(drop),
            api.patch(&name, &PatchParams::default(), &Patch::Merge(&released)).await.map(drop),
        ] {
            match result {
                Err(failed) if !error::is_not_found(&failed) && !error::is_conflict(&failed) => {
                    return Err(failed.into());
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Adds lines to the list of what was left behind (inventory L1); the last thousand are kept.
async fn abandon(hub: &Hub, what: &[String]) -> Result<(), Failure> {
    const NAME: &str = "skerry-abandoned";
    const MOST: usize = 1000;
    if what.is_empty() {
        return Ok(());
    }
    let api: Api<ConfigMap> = Api::namespaced(hub.client.clone(), &settings().namespace);
    let stored = api.get_opt(NAME).await?;
    let before = stored.as_ref().and_then(|c| c.data.as_ref()).and_then(|d| d.get("list")).cloned();
    let now = jiff::Timestamp::now();
    let mut lines: Vec<String> = before.unwrap_or_default().lines().map(str::to_owned).collect();
    lines.extend(what.iter().map(|line| format!("{now} {line}")));
    let list = lines[lines.len().saturating_sub(MOST)..].join("\n");
    let body = json!({"metadata": {"name": NAME, "resourceVersion": stored.and_then(|c| c.resource_version())}, "data": {"list": list}});
    let map: ConfigMap = serde_json::from_value(body).map_err(|e| Failure::Failed(e.to_string()))?;
    match map.resource_version() {
        Some(_) => api.replace(NAME, &PostParams::default(), &map).await?,
        None => api.create(&PostParams::default(), &map).await?,
    };
    Ok(())
}

async fn refuse_used_host(hub: &Hub, name: &str) -> Result<(), Failure> {
    let kind = kube::api::ApiResource::erase::<VirtualCluster>(&());
    let api: Api<DynamicObject> = Api::all_with(hub.client.clone(), &kind);
    let on = |o: &&DynamicObject| {
        o.data["status"]["hosts"].as_array().is_some_and(|l| l.iter().any(|h| h["name"] == name))
    };
    let list = api.list(&ListParams::default()).await?;
    let used: Vec<String> = list
        .items
        .iter()
        .filter(on)
        .map(|o| format!("{}/{}", o.namespace().unwrap_or_default(), o.name_any()))
        .collect();
    match used.as_slice() {
        [] => Ok(()),
        some => Err(Failure::Refused(format!(
            "{name} carries virtual clusters: {}; delete them first",
            some.join(", ")
        ))),
    }
}

async fn wait_for_bindings(
    hub: &Hub,
    id: &str,
    name: &str,
    limit: Duration,
    lines: Lines,
) -> Result<(), Failure> {
    let api: Api<ClusterBinding> = Api::all(hub.client.clone());
    let of_member = ListParams::default().labels(&format!("{}={id}", labels::MEMBER_ID));
    let started = Instant::now();
    let mut said = false;
    loop {
        let left = error::optional(api.list_metadata(&of_member).await)?.map(|l| l.items).unwrap_or_default();
        let Some(first) = left.first() else { return Ok(()) };
        let waits = format!("clusterbinding {}/{}", first.namespace().unwrap_or_default(), first.name_any());
        if !said {
            lines.busy(&format!("Evict waits for {} bindings, as {waits}", left.len()));
            said = true;
        }
        if started.elapsed() > limit {
            return Err(Failure::TimedOut(format!("{name}: stuck on Evict/{waits}; run it again to go on")));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Takes our rights out of the member: its own administrator sees nothing of us afterwards.
async fn release(hub: &Hub, short: &str) -> Result<(), String> {
    let secrets: Api<Secret> = Api::namespaced(hub.client.clone(), &settings().namespace);
    let stored = secrets.get_opt(&join::secret_name(short)).await.map_err(|e| error::sentence(&e))?;
    let Some(stored) = stored else { return Ok(()) };
    let body = stored.data.and_then(|mut d| d.remove("kubeconfig")).map(|b| b.0).unwrap_or_default();
    let file = read(&String::from_utf8_lossy(&body), None, Allow::default()).map_err(|e| e.to_string())?;
    let client =
        Client::try_from(config(file).await.map_err(|e| e.to_string())?).map_err(|e| error::sentence(&e))?;
    let bindings: Api<ClusterRoleBinding> = Api::all(client);
    // Role and account are owned by the binding and go with it; the token is dead with the account.
    match bindings.delete(MEMBER_ROLE, &DeleteParams::background()).await {
        Err(failed) if error::code(&failed).is_none() => return Err(error::sentence(&failed)),
        _ => {}
    }
    Ok(())
}
