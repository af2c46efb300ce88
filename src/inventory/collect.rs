//! What a member has (inventory section 4): figures from nodes and pods, and the Report that shows them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use kube::api::Api;
use serde_json::{Value, json};
use skerry_api::cluster_report::{ClusterReport, NodeShape, Verdict};
use skerry_api::condition::holds;
use skerry_api::virtual_cluster::reasons::{CONTROL_PLANE_READY, managers};
use skerry_api::{labels, quantity};
use skerry_kit::apply;

use super::health;
use super::profile::Facts;
use super::properties::Copied;
use crate::context::Context;
use crate::control_plane::Published;
use crate::provision::ValidatedTenant;
use crate::subject::Subject;

/// Most groups of nodes in a Report (C3).
const MAX_SHAPES: usize = 256;
/// A figure that moved by less is not written (C1), unless the Report says otherwise.
const CHANGE_PERCENT: i128 = 5;

/// Amounts in billionths by resource.
pub type Amounts = BTreeMap<String, i128>;

/// Figures of a real member, from one look at its nodes and pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// All nodes.
    pub total: i64,
    /// Ready ones.
    pub ready: i64,
    /// Ready and not cordoned.
    pub schedulable: i64,
    /// Simulated.
    pub simulated: i64,
    /// By instance type.
    pub types: BTreeMap<String, i64>,
    /// Of schedulable nodes.
    pub allocatable: Amounts,
    /// Requests of pods that are no tenant's.
    pub own: Amounts,
    /// Requests of delivered pods that are no tenant's.
    pub placed: Amounts,
    /// Requests of tenants' pods.
    pub tenants: Amounts,
    /// Requests by tenant id.
    pub by_tenant: BTreeMap<String, Amounts>,
    /// Requests of delivered pods by `<tenant id>/<label value>`; the member's own pods with an empty id.
    pub bindings: BTreeMap<String, Amounts>,
    /// What tenants may use of it, less the pods of nobody (`shared`).
    pub shared: Amounts,
    /// `shared` less the tenants' requests.
    pub available: Amounts,
    /// Groups of like nodes.
    pub shapes: Vec<Shape>,
}

/// A group of like nodes; `free` is the minimum in every resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// zone, arch, os, accelerator, pool.
    pub attributes: [String; 5],
    /// Free on each, at least.
    pub free: Amounts,
    /// How many.
    pub count: i64,
}

fn add(into: &mut Amounts, more: &Amounts, times: i128) {
    for (name, amount) in more {
        *into.entry(name.clone()).or_insert(0) += amount * times;
    }
}

fn amounts(map: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    map.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), quantity::parse(&v.0)?))).collect()
}

/// Quantity texts.
pub fn texts(amounts: &Amounts) -> BTreeMap<String, Quantity> {
    amounts.iter().map(|(k, v)| (k.clone(), Quantity(quantity::format(*v)))).collect()
}

/// What a pod asks for: containers and sidecars, or the largest init container, plus overhead; limits where nothing
/// is requested.
pub fn pod_requests(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::new() };
    let of = |c: &k8s_openapi::api::core::v1::Container| {
        let resources = c.resources.as_ref();
        let mut asked = amounts(resources.and_then(|r| r.limits.as_ref()));
        asked.extend(amounts(resources.and_then(|r| r.requests.as_ref())));
        asked
    };
    let mut sum = Amounts::new();
    for container in &spec.containers {
        add(&mut sum, &of(container), 1);
    }
    let mut sidecars = Amounts::new();
    let mut peak = Amounts::new();
    for init in spec.init_containers.iter().flatten() {
        let mut here = of(init);
        if init.restart_policy.as_deref() == Some("Always") {
            add(&mut sidecars, &here, 1);
            continue;
        }
        add(&mut here, &sidecars, 1);
        for (name, amount) in here {
            let slot = peak.entry(name).or_insert(0);
            *slot = (*slot).max(amount);
        }
    }
    add(&mut sum, &sidecars, 1);
    for (name, amount) in peak {
        let slot = sum.entry(name).or_insert(0);
        *slot = (*slot).max(amount);
    }
    add(&mut sum, &amounts(spec.overhead.as_ref()), 1);
    sum.insert("pods".to_owned(), 1_000_000_000);
    sum
}

fn is_finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// Computes figures (C3, C5). `lend` is the share that tenants may use, in percent.
pub fn figures(nodes: &[Node], pods: &[Pod], lend: i128) -> Figures {
    let mut out = Figures { total: nodes.len() as i64, ..Figures::default() };
    let mut free: BTreeMap<String, (Amounts, [String; 5])> = BTreeMap::new();
    for node in nodes {
        let cordoned = node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true);
        out.simulated += i64::from(node.labels().get(labels::SIMULATED).is_some_and(|v| v == "true"));
        if let Some(kind) = node.labels().get("node.kubernetes.io/instance-type") {
            *out.types.entry(kind.clone()).or_insert(0) += 1;
        }
        let ready = is_ready(node);
        out.ready += i64::from(ready);
        if !ready || cordoned {
            continue;
        }
        out.schedulable += 1;
        let has = amounts(node.status.as_ref().and_then(|s| s.allocatable.as_ref()));
        add(&mut out.allocatable, &has, 1);
        free.insert(node.name_any(), (has, attributes(node)));
    }
    for pod in pods.iter().filter(|p| !is_finished(p)) {
        let Some(node) = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()) else { continue };
        let asked = pod_requests(pod);
        let tenant = pod.labels().get(labels::TENANT).cloned();
        let binding = pod.labels().get(labels::BINDING);
        if let Some(value) = binding {
            let key = format!("{}/{value}", tenant.as_deref().unwrap_or_default());
            add(out.bindings.entry(key).or_default(), &asked, 1);
        }
        let Some((left, _)) = free.get_mut(node) else { continue };
        add(left, &asked, -1);
        match tenant {
            Some(id) => {
                add(&mut out.tenants, &asked, 1);
                add(out.by_tenant.entry(id).or_default(), &asked, 1);
            }
            None if binding.is_some() => add(&mut out.placed, &asked, 1),
            None => add(&mut out.own, &asked, 1),
        }
    }
    let known = |name: &String| out.allocatable.contains_key(name);
    for (name, amount) in &out.allocatable {
        let shared = amount * lend / 100 - out.own.get(name).copied().unwrap_or(0);
        out.shared.insert(name.clone(), shared.max(0));
        let used = |of: &Amounts| of.get(name).copied().unwrap_or(0);
        let left = shared - used(&out.tenants) - used(&out.placed);
        out.available.insert(name.clone(), left.max(0));
    }
    let extra: Vec<String> = out.tenants.keys().filter(|k| !known(k)).cloned().collect();
    for name in extra {
        out.available.insert(name, 0);
    }
    out.shapes = shapes(free.into_values());
    out
}

fn attributes(node: &Node) -> [String; 5] {
    let label = |key: &str| node.labels().get(key).cloned().unwrap_or_default();
    [
        label("topology.kubernetes.io/zone"),
        label("kubernetes.io/arch"),
        label("kubernetes.io/os"),
        label("nvidia.com/gpu.product"),
        label("skerry.dev/pool"),
    ]
}

/// Groups nodes by attributes and by power-of-two steps of free CPU and memory; what fits a group's `free` fits each of
/// its nodes, so a group may under-promise and never over-promises.
fn shapes(nodes: impl Iterator<Item = (Amounts, [String; 5])>) -> Vec<Shape> {
    let step = |amount: Option<&i128>| amount.map_or(0, |a| 128 - (a / 1_000_000).max(0).leading_zeros());
    let mut groups: BTreeMap<([String; 5], u32, u32), Shape> = BTreeMap::new();
    for (free, attributes) in nodes {
        let key = (attributes.clone(), step(free.get("cpu")), step(free.get("memory")));
        match groups.entry(key) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                let free = free.into_iter().map(|(k, v)| (k, v.max(0))).collect();
                slot.insert(Shape { attributes, free, count: 1 });
            }
            std::collections::btree_map::Entry::Occupied(mut slot) => {
                merge(slot.get_mut(), &Shape { attributes, free, count: 1 })
            }
        }
    }
    let mut out: Vec<Shape> = groups.into_values().collect();
    while out.len() > MAX_SHAPES {
        // Neighbours in the sorted order are the nearest; an attribute on which they differ becomes unknown.
        let at = (0..out.len() - 1)
            .min_by_key(|i| {
                out[*i].attributes.iter().zip(&out[i + 1].attributes).filter(|(a, b)| a != b).count()
            })
            .unwrap_or(0);
        let gone = out.remove(at + 1);
        merge(&mut out[at], &gone);
    }
    out
}

fn merge(into: &mut Shape, other: &Shape) {
    for (own, theirs) in into.attributes.iter_mut().zip(&other.attributes) {
        if own != theirs {
            own.clear();
        }
    }
    into.free.retain(|name, _| other.free.contains_key(name));
    for (name, amount) in &mut into.free {
        *amount = (*amount).min(other.free.get(name).copied().unwrap_or(0)).max(0);
    }
    into.count += other.count;
}

impl Shape {
    /// As it stands in a Report.
    pub fn reported(&self) -> NodeShape {
        let [zone, arch, os, accelerator, pool] =
            self.attributes.clone().map(|a| (!a.is_empty()).then_some(a));
        NodeShape {
            zone,
            arch,
            os,
            accelerator,
            pool,
            free: Some(texts(&self.free)),
            count: Some(self.count),
        }
    }
}

impl Figures {
    /// Requests of all pods that are no tenant's, delivered ones included.
    fn nobodys(&self) -> Amounts {
        let mut sum = self.own.clone();
        add(&mut sum, &self.placed, 1);
        sum
    }

    /// The part of a Report's status that `skerry-collect` writes.
    pub fn status(&self) -> Value {
        json!({
            "nodes": {
                "total": self.total, "ready": self.ready, "schedulable": self.schedulable, "simulated": self.simulated,
                "types": self.types.iter().take(64).collect::<BTreeMap<_, _>>(),
            },
            "allocatable": texts(&self.allocatable),
            "requested": {
                "own": texts(&self.nobodys()),
                "tenants": texts(&self.tenants),
                "bindings": self.bindings.iter().take(2000).map(|(k, v)| (k, texts(v))).collect::<BTreeMap<_, _>>(),
            },
            "available": texts(&self.available),
            "nodeShapes": self.shapes.iter().map(Shape::reported).collect::<Vec<_>>(),
        })
    }

    /// Whether this differs from `other` by enough to be written (C1).
    pub fn moved(&self, other: &Self, percent: i128) -> bool {
        let counts = |f: &Self| (f.total, f.ready, f.schedulable, f.simulated);
        let shape_counts = |f: &Self| f.shapes.iter().map(|s| s.count).collect::<Vec<_>>();
        counts(self) != counts(other)
            || self.shapes.len() != other.shapes.len()
            || shape_counts(self) != shape_counts(other)
            || self.bindings.keys().ne(other.bindings.keys())
            || [
                (&self.available, &other.available),
                (&self.allocatable, &other.allocatable),
                (&self.tenants, &other.tenants),
            ]
            .iter()
            .any(|(a, b)| any_moved(a, b, percent))
    }
}

/// Whether any amount moved by at least so many percent of the larger one.
fn any_moved(a: &Amounts, b: &Amounts, percent: i128) -> bool {
    a.keys().ne(b.keys())
        || a.iter().any(|(name, x)| {
            let y = b.get(name).copied().unwrap_or(0);
            x != &y && (x - y).abs() * 100 >= percent * x.abs().max(y.abs())
        })
}

/// The Report of a virtual member: policy half and observed half, written where they differ.
pub async fn virtual_report(
    context: &Context,
    subject: &Subject,
    tenant: &ValidatedTenant,
    facts: &Facts,
    published: &Published,
    copied: Option<&Copied>,
) -> Result<(), kube::Error> {
    let api = super::register::reports(context);
    let stored = api.get_opt(&facts.name).await?;
    let spec_holds = stored.as_ref().is_some_and(|r| {
        r.spec.cluster_set == facts.set && r.spec.display_name.as_deref() == Some(&facts.display_name)
    });
    if !spec_holds {
        let body = json!({
            "metadata": {"name": facts.name, "namespace": facts.namespace},
            "spec": {"mode": "Virtual", "displayName": facts.display_name, "clusterSet": facts.set},
        });
        let report: ClusterReport = serde_json::from_value(body).map_err(kube::Error::SerdeError)?;
        apply::apply(&api, managers::INVENTORY, &report).await?;
        context.metrics.report_writes.inc();
    }
    let up = holds(subject.conditions(), CONTROL_PLANE_READY);
    let parents: Vec<(String, Verdict)> =
        tenant.hosts.iter().map(|h| (h.name.clone(), context.inventory.verdicts.of(&h.name))).collect();
    let (verdict, cause) = health::of_virtual(up, &parents);
    let quota = amounts_of(&tenant.effective["quota"]);
    let mut used = Amounts::new();
    let mut available = Amounts::new();
    let mut parent_rows = Vec::new();
    for (name, _) in &parents {
        let mut row = json!({"name": name, "namespace": facts.namespace});
        if let Some(host) = context.inventory.figures(name) {
            add(&mut used, host.by_tenant.get(&tenant.id).unwrap_or(&Amounts::new()), 1);
            available = room(&quota, &used, &host.available);
            row["available"] = json!(texts(&available));
        }
        parent_rows.push(row);
    }
    let mut status = json!({
        "memberID": tenant.id,
        "verdict": verdict,
        "profileManager": facts.manager,
        "kubernetesVersion": published.located.endpoint.version,
        "parents": parent_rows,
        "quota": {"hard": texts(&quota), "used": texts(&used)},
        "available": texts(&available),
    });
    if let Some(cause) = cause {
        status["cause"] = cause.into();
    }
    let before = stored.and_then(|r| r.status);
    let known = before.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::now());
    status["conditions"] = match copied {
        Some(copied) => json!([copied.says.since(&known, None, &now)]),
        None => json!(known),
    };
    let before = before.map(|s| json!(s)).unwrap_or_default();
    if same_report(&before, &status) {
        return Ok(());
    }
    status["observedTime"] = json!(now);
    apply::apply_status(&api, managers::INVENTORY, &facts.name, status).await?;
    context.metrics.report_writes.inc();
    Ok(())
}

/// min(headroom, free): quota resources are named `requests.cpu` or plainly; without a quota the host bounds alone.
fn room(quota: &Amounts, used: &Amounts, free: &Amounts) -> Amounts {
    free.iter()
        .map(|(name, left)| {
            let hard = quota.get(&format!("requests.{name}")).or_else(|| quota.get(name));
            let headroom = hard.map(|h| (h - used.get(name).copied().unwrap_or(0)).max(0));
            (name.clone(), headroom.map_or(*left, |h| h.min(*left)))
        })
        .collect()
}

fn amounts_of(value: &Value) -> Amounts {
    value.as_object().into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), quantity::of(v)?))).collect()
}

/// Verdicts, quota and identity are compared exactly, figures only if they moved.
fn same_report(stored: &Value, wanted: &Value) -> bool {
    let exact = ["memberID", "verdict", "cause", "profileManager", "kubernetesVersion", "conditions"];
    let names = |v: &Value| {
        v["parents"]
            .as_array()
            .map(|l| l.iter().map(|p| p["name"].clone()).collect::<Vec<_>>())
            .unwrap_or_default()
    };
    exact.iter().all(|key| stored.get(*key) == wanted.get(*key))
        && names(stored) == names(wanted)
        && amounts_of(&stored["quota"]["hard"]) == amounts_of(&wanted["quota"]["hard"])
        && !any_moved(&amounts_of(&stored["available"]), &amounts_of(&wanted["available"]), CHANGE_PERCENT)
}

/// All nodes and pods of a member.
pub async fn look(client: &kube::Client, lend: i128) -> Result<Figures, kube::Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let pods: Api<Pod> = Api::all(client.clone());
    let everything = kube::api::ListParams::default();
    let (nodes, pods) = futures::try_join!(nodes.list(&everything), pods.list(&everything))?;
    Ok(figures(&nodes.items, &pods.items, lend))
}
