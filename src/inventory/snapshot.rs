//! The inventory as placement sees it: one plain value, errors kept inside (inventory section 1).
//!
//! **Guarantee**: a member without figures is `Unknown` with its reason, never zero. Mirrors and profiles of other
//! managers are no members (P13).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use skerry_api::cluster_report::{TaintEffect as ReportEffect, Verdict};
use skerry_api::{ClusterProfile, ClusterReport, labels, quantity};
use skerry_kit::error;
use skerry_placement::{
    Capacity, Figures as Room, Health, Member, MemberId, MemberName, NodeShape, Price, Report, Resources,
    Seen, Snapshot, Taint, TaintEffect,
};

use super::collect::{Amounts, Figures};
use super::{InventorySettings, InventoryState};

/// Marks a copy of a profile for a consumer.
const MIRROR_OF: &str = "skerry.dev/mirror-of";
/// Attributes of a node shape, in the order of [`super::collect::Shape`].
const ATTRIBUTES: [&str; 5] = ["zone", "arch", "os", "accelerator", "pool"];

/// Reads profiles and Reports and joins them with the figures in memory.
pub async fn read(
    hub: &Client,
    settings: &InventorySettings,
    state: &InventoryState,
) -> Result<Snapshot, kube::Error> {
    let profiles: Api<ClusterProfile> = Api::namespaced(hub.clone(), &settings.namespace);
    let reports: Api<ClusterReport> = Api::namespaced(hub.clone(), &settings.namespace);
    let (profiles, reports) = futures::try_join!(all(&profiles), all(&reports))?;
    Ok(build(&profiles, &reports, &settings.manager, &|name| state.figures(name), Timestamp::now()))
}

/// All objects of a kind; none where it is not served.
async fn all<K>(api: &Api<K>) -> Result<Vec<K>, kube::Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let list = error::optional(api.list(&ListParams::default()).await)?;
    Ok(list.map(|l| l.items).unwrap_or_default())
}

/// Cluster sets whose members the Placements of a namespace see besides its own (CS5).
pub async fn grants(hub: &Client, namespace: &str) -> Result<Vec<String>, kube::Error> {
    let api: Api<Namespace> = Api::all(hub.clone());
    let found = api.get_metadata_opt(namespace).await?;
    Ok(found
        .map(|n| granted(n.annotations().get(labels::CLUSTERSETS).map(String::as_str)))
        .unwrap_or_default())
}

/// A comma list of names.
fn granted(annotation: Option<&str>) -> Vec<String> {
    annotation
        .into_iter()
        .flat_map(|t| t.split(','))
        .map(|s| s.trim().to_owned())
        .filter(|s| !s.is_empty())
        .collect()
}

/// Builds the value. Pure: the figures and the present are given.
pub fn build(
    profiles: &[ClusterProfile],
    reports: &[ClusterReport],
    manager: &str,
    figures: &dyn Fn(&str) -> Option<Arc<Figures>>,
    now: Timestamp,
) -> Snapshot {
    let by_name: BTreeMap<String, &ClusterReport> = reports.iter().map(|r| (r.name_any(), r)).collect();
    let ours =
        |p: &&ClusterProfile| p.spec.cluster_manager.name == manager && !p.labels().contains_key(MIRROR_OF);
    let ids: BTreeMap<String, MemberId> = profiles
        .iter()
        .filter(ours)
        .map(|p| (p.name_any(), id_of(p)))
        .filter(|(_, id)| !id.0.is_empty())
        .collect();
    let members = profiles
        .iter()
        .filter(ours)
        .filter(|p| ids.contains_key(&p.name_any()))
        .map(|p| Arc::new(member(p, by_name.get(&p.name_any()).copied(), &ids, figures, now)))
        .collect();
    Snapshot { members }
}

fn id_of(profile: &ClusterProfile) -> MemberId {
    MemberId(profile.labels().get(labels::INVENTORY_MEMBER_ID).map(String::as_str).unwrap_or_default().into())
}

fn member(
    profile: &ClusterProfile,
    report: Option<&ClusterReport>,
    ids: &BTreeMap<String, MemberId>,
    figures: &dyn Fn(&str) -> Option<Arc<Figures>>,
    now: Timestamp,
) -> Member {
    let own = profile.labels();
    let status = report.and_then(|r| r.status.clone()).unwrap_or_default();
    let is_virtual = own.get(labels::MEMBER_KIND).is_some_and(|k| k == "virtual");
    let parents: Vec<String> = status.parents.iter().flatten().filter_map(|p| p.name.clone()).collect();
    let seen = profile.status.clone().unwrap_or_default();
    let here = figures(&profile.name_any());
    let id = id_of(profile);
    let capacity = if is_virtual {
        virtual_capacity(&id, report, &parents, figures)
    } else {
        here.as_deref()
            .map_or_else(|| Capacity::Unknown("NotCollected".to_owned()), |f| Capacity::Known(root(f, &id)))
    };
    let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    Member {
        name: MemberName {
            namespace: profile.namespace().unwrap_or_default().as_str().into(),
            name: profile.name_any().as_str().into(),
        },
        owner_namespace: own.get(labels::OWNER_NAMESPACE).cloned(),
        cluster_set: own.get(labels::CLUSTERSET).cloned(),
        host_only: false,
        is_virtual,
        simulated: own.get(labels::SIMULATED).is_some_and(|v| v == "true"),
        labels: own.clone(),
        properties: seen.properties.into_iter().flatten().map(|p| (p.name, p.value)).collect(),
        version: seen.version.and_then(|v| v.kubernetes).unwrap_or_default(),
        parents: parents.iter().filter_map(|p| ids.get(p).cloned()).collect(),
        health: health(status.verdict),
        falls: 0,
        cordoned: report.is_some_and(|r| r.spec.unschedulable == Some(true)),
        leaving: status.leave.is_some(),
        taints: report.map(taints).unwrap_or_default(),
        apis: None,
        report: Report {
            observed: now.as_millisecond(),
            heartbeat: now.as_millisecond(),
            // The collector lives in this process: what it has is current.
            interval: 0,
            capacity,
        },
        schedulable_nodes: here.as_deref().map_or(0, |f| count(f.schedulable)),
        ready_nodes: here.as_deref().map_or(0, |f| count(f.ready)),
        instance_types: here
            .as_deref()
            .map(|f| f.types.iter().map(|(k, v)| (k.clone(), count(*v))).collect())
            .unwrap_or_default(),
        price: report.and_then(price),
        id,
    }
}

fn health(verdict: Option<Verdict>) -> Health {
    match verdict {
        Some(Verdict::Healthy) => Health::Healthy,
        Some(Verdict::HostDown) => Health::HostDown,
        Some(Verdict::LinkLost) => Health::LinkLost,
        Some(Verdict::ControlPlaneDown) => Health::ControlPlaneDown,
        Some(Verdict::HubIsolated | Verdict::Unknown) | None => Health::Unknown,
    }
}

fn taints(report: &ClusterReport) -> Vec<Taint> {
    let effect = |e: ReportEffect| match e {
        ReportEffect::NoSchedule => TaintEffect::NoSchedule,
        ReportEffect::PreferNoSchedule => TaintEffect::PreferNoSchedule,
        ReportEffect::NoExecute => TaintEffect::NoExecute,
    };
    let taint = |t: &skerry_api::cluster_report::Taint| Taint {
        key: t.key.clone(),
        value: t.value.clone().unwrap_or_default(),
        effect: effect(t.effect),
        time_added: t.time_added.as_ref().map_or(0, |t| t.0.as_millisecond()),
    };
    report.spec.taints.iter().flatten().map(taint).collect()
}

fn price(report: &ClusterReport) -> Option<Price> {
    let price = report.spec.price.as_ref()?;
    Some(Price {
        currency: price.currency.clone()?,
        cpu_hour: price.cpu_hour.clone().unwrap_or_else(|| "0".to_owned()),
        gib_hour: price.gib_hour.clone().unwrap_or_else(|| "0".to_owned()),
    })
}

/// Amounts in the engine's units, rounded down; what it cannot hold is left out.
fn floor(amounts: &Amounts) -> Resources {
    let mut out = Resources::default();
    for (name, nano) in amounts {
        let text = quantity::format((*nano).max(0));
        if let Ok(one) = Resources::floor_of([(name.as_str(), text.as_str())]) {
            out.set(name, one.get(name));
        }
    }
    out
}

/// Figures of a host, or of a real member itself.
fn root(figures: &Figures, id: &MemberId) -> Room {
    let mut used = floor(&figures.tenants);
    used.add(&floor(&figures.placed), 1);
    Room {
        allocatable: floor(&figures.allocatable),
        ceiling: floor(&figures.shared),
        used,
        shapes: figures.shapes.iter().map(shape).collect(),
        seen: figures.bindings.iter().map(|(key, amounts)| seen(key, amounts, id)).collect(),
    }
}

fn shape(shape: &super::collect::Shape) -> NodeShape {
    let attributes = ATTRIBUTES
        .iter()
        .zip(&shape.attributes)
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    NodeShape { attributes, free: floor(&shape.free), count: u32::try_from(shape.count).unwrap_or(u32::MAX) }
}

/// Requests under `<tenant id>/<label value>`; an empty id is the member itself.
fn seen(key: &str, amounts: &Amounts, own: &MemberId) -> Seen {
    let (tenant, label) = key.split_once('/').unwrap_or(("", key));
    let member = if tenant.is_empty() { own.clone() } else { MemberId(tenant.into()) };
    Seen { member, label: label.to_owned(), requests: floor(amounts) }
}

/// A shared virtual cluster: bounded by its quota; what it uses is read from its host's figures.
fn virtual_capacity(
    id: &MemberId,
    report: Option<&ClusterReport>,
    parents: &[String],
    figures: &dyn Fn(&str) -> Option<Arc<Figures>>,
) -> Capacity {
    let hosts: Vec<Arc<Figures>> = parents.iter().filter_map(|p| figures(p)).collect();
    if hosts.len() != parents.len() || hosts.is_empty() {
        return Capacity::Unknown("HostNotCollected".to_owned());
    }
    let hard = report.and_then(|r| r.status.as_ref()?.quota.as_ref()?.hard.clone()).unwrap_or_default();
    let mut ceiling = Amounts::new();
    for (name, amount) in &hard {
        let plain = name.strip_prefix("requests.").unwrap_or(name);
        if matches!(plain, "cpu" | "memory" | "pods" | "ephemeral-storage") || name.starts_with("requests.") {
            ceiling.extend(quantity::parse(&amount.0).map(|a| (plain.to_owned(), a)));
        }
    }
    let mut used = Resources::default();
    let mut rows = Vec::new();
    for host in &hosts {
        if let Some(amounts) = host.by_tenant.get(id.0.as_ref()) {
            used.add(&floor(amounts), 1);
        }
        let prefix = format!("{}/", id.0);
        rows.extend(
            host.bindings.iter().filter(|(k, _)| k.starts_with(&prefix)).map(|(k, v)| seen(k, v, id)),
        );
    }
    Capacity::Known(Room {
        allocatable: Resources::default(),
        ceiling: floor(&ceiling),
        used,
        shapes: Vec::new(),
        seen: rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn profile(name: &str, labels: serde_json::Value) -> ClusterProfile {
        serde_json::from_value(json!({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile",
            "metadata": {"name": name, "namespace": "skerry-inventory", "labels": labels},
            "spec": {"clusterManager": {"name": "skerry"}},
        }))
        .unwrap()
    }

    fn report(name: &str, status: serde_json::Value) -> ClusterReport {
        serde_json::from_value(json!({
            "apiVersion": "skerry.dev/v1alpha1", "kind": "ClusterReport", "metadata": {"name": name},
            "spec": {"mode": "Virtual"}, "status": status,
        }))
        .unwrap()
    }

    /// I27, CS5: a namespace sees its own members and those of sets that are granted to it.
    #[test]
    fn i27_members_are_seen_by_owner_and_grant() {
        let member = |name: &str, id: &str, ns: &str, set: &str| {
            profile(
                name,
                json!({labels::INVENTORY_MEMBER_ID: id, labels::MEMBER_KIND: "virtual", labels::OWNER_NAMESPACE: ns, labels::CLUSTERSET: set}),
            )
        };
        let profiles = [
            member("skerry.a.x", "ta", "a", "a"),
            member("skerry.b.x", "tb", "b", "b"),
            member("skerry.c.x", "tc", "c", "shared"),
        ];
        let snapshot = build(&profiles, &[], "skerry", &|_| None, Timestamp::UNIX_EPOCH);
        let seen = |ns: Option<&str>, grants: &[String]| snapshot.visible_to(ns, grants).count();
        assert_eq!(seen(Some("a"), &[]), 1);
        assert_eq!(seen(Some("a"), &granted(Some("shared, none"))), 2);
        assert_eq!(seen(None, &[]), 3);
        assert!(
            snapshot
                .members
                .iter()
                .all(|m| m.report.capacity == Capacity::Unknown("HostNotCollected".into()))
        );
    }

    /// C4, C5: a virtual member is bounded by its quota, its use read from its host, its delivered pods named.
    #[test]
    fn a_virtual_member_has_its_quota_and_what_its_host_saw() {
        let core = 1_000_000_000i128;
        let mut host = Figures::default();
        host.shared.insert("cpu".into(), 10 * core);
        host.tenants.insert("cpu".into(), 2 * core);
        host.by_tenant.insert("ta".into(), [("cpu".to_owned(), 2 * core)].into());
        host.bindings.insert("ta/abc".into(), [("cpu".to_owned(), core)].into());
        let host = Arc::new(host);
        let profiles = [
            profile("skerry.a.x", json!({labels::INVENTORY_MEMBER_ID: "ta", labels::MEMBER_KIND: "virtual"})),
            profile("skerry.local", json!({labels::INVENTORY_MEMBER_ID: "h", labels::MEMBER_KIND: "real"})),
        ];
        let reports = [report(
            "skerry.a.x",
            json!({"verdict": "Healthy", "parents": [{"name": "skerry.local"}], "quota": {"hard": {"requests.cpu": "8", "count/services": "5"}}}),
        )];
        let find = |name: &str| (name == "skerry.local").then(|| host.clone());
        let snapshot = build(&profiles, &reports, "skerry", &find, Timestamp::UNIX_EPOCH);
        let Capacity::Known(room) = &snapshot.members[0].report.capacity else { panic!() };
        assert_eq!((room.ceiling.get("cpu"), room.used.get("cpu")), (8000, 2000));
        assert_eq!(
            room.seen[0],
            Seen {
                member: "ta".into(),
                label: "abc".into(),
                requests: Resources::of([("cpu", "1")]).unwrap()
            }
        );
        assert_eq!(snapshot.members[0].parents, [MemberId::from("h")]);
        let Capacity::Known(root) = &snapshot.members[1].report.capacity else { panic!() };
        assert_eq!((root.ceiling.get("cpu"), root.used.get("cpu")), (10_000, 2000));
    }

    #[test]
    fn mirrors_and_foreign_profiles_are_no_members() {
        let mut foreign = profile("x", json!({labels::INVENTORY_MEMBER_ID: "x"}));
        foreign.spec.cluster_manager.name = "other".into();
        let mirror = profile("skerry-m.x", json!({labels::INVENTORY_MEMBER_ID: "x", MIRROR_OF: "skerry.x"}));
        assert!(
            build(&[foreign, mirror], &[], "skerry", &|_| None, Timestamp::UNIX_EPOCH).members.is_empty()
        );
    }
}
