//! The second step: from what was read to a tenant that may be built, or the one reason why not. No client, no clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use skerry_api::virtual_cluster::reasons::provisioned as reason;
use skerry_api::virtual_cluster::{
    ClassInForce, HostState, HostStatus, Origin, PendingChange, VirtualClusterSpec,
};
use skerry_api::{VirtualClusterClass, rules};

use super::builtin;
use super::class::{self, choose};
use super::dns;
use super::limits::{InventoryKeys, Sibling, check_ceilings, check_namespace, check_overrides};
use super::merge::{self, Layer, merge};
use super::refusal::Refusal;
use crate::control_plane::{ProviderFacts, ProviderPlan, plan_provider};

/// Paths that are decided once; what was left open at birth is kept (V3).
const PINNED: [&str; 4] =
    ["controlPlane.type", "hosts.namespaceMapping", "network.clusterDomain", "network.serviceCIDRs"];

/// A host that may carry tenants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFact {
    /// Name of its ClusterProfile.
    pub name: String,
    /// Labels of its ClusterProfile.
    pub labels: BTreeMap<String, String>,
    /// Free CPU in billionths, where known.
    pub free_cpu: Option<i128>,
    /// Where its pods find the API server that tenants share.
    pub front_door: Vec<SocketAddr>,
}

/// What earlier passes left in status.
#[derive(Clone, Debug, Default)]
pub struct Previous {
    /// Id.
    pub id: Option<String>,
    /// Class in force.
    pub class: Option<ClassInForce>,
    /// Values in force.
    pub effective: Option<Value>,
    /// Origins.
    pub origins: Vec<Origin>,
    /// Hosts.
    pub hosts: Vec<HostStatus>,
    /// Generation of the spec that was last looked at.
    pub observed_generation: Option<i64>,
}

/// Everything that validation looks at.
#[derive(Clone, Debug, Default)]
pub struct Dereferenced {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// UID.
    pub uid: String,
    /// Id, taken or still to be taken.
    pub id: String,
    /// Generation.
    pub generation: i64,
    /// Creation time, RFC 3339.
    pub created: String,
    /// Spec as sent.
    pub spec: Value,
    /// Status of earlier passes.
    pub previous: Previous,
    /// Labels of the namespace.
    pub namespace_labels: BTreeMap<String, String>,
    /// All classes.
    pub classes: Vec<VirtualClusterClass>,
    /// Tenants of the namespace; read only for one that was never admitted.
    pub siblings: Vec<Sibling>,
    /// Host names that other tenants have, with their owners.
    pub taken_hostnames: BTreeMap<String, String>,
    /// Hosts: that of the tenant, or those to choose from.
    pub hosts: Vec<HostFact>,
}

/// A tenant that may be built.
#[derive(Clone, Debug)]
pub struct ValidatedTenant {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// UID.
    pub uid: String,
    /// Id.
    pub id: String,
    /// Class in force.
    pub class: ClassInForce,
    /// Values in force.
    pub effective: Value,
    /// The same, typed.
    pub spec: VirtualClusterSpec,
    /// Where they come from.
    pub origins: Vec<Origin>,
    /// Accepted and not yet in force.
    pub pending: Vec<PendingChange>,
    /// What the provider makes of it.
    pub plan: ProviderPlan,
    /// Hosts.
    pub hosts: Vec<HostStatus>,
    /// Where its pods find their API (syncer KI13).
    pub front_door: Vec<SocketAddr>,
    /// Its class no longer selects the namespace (C8).
    pub unbound: bool,
}

/// What the installation says.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What tenants may say about their inventory entry.
    pub inventory: InventoryKeys,
    /// What the providers have.
    pub provider: ProviderFacts,
}

/// Validates.
pub fn validate(input: &Dereferenced, policy: &Policy) -> Result<ValidatedTenant, Refusal> {
    twins(input)?;
    let class = match find_class(input) {
        Err(refusal) if refusal.reason == reason::CLASS_NOT_ALLOWED && is_unedited(input) => {
            return last_valid(input, policy).map(|t| ValidatedTenant { unbound: true, ..t }).ok_or(refusal);
        }
        other => other?,
    };
    let class_name = class.metadata.name.clone().unwrap_or_default();
    let wanted_size = input.spec["size"].as_str().unwrap_or_default();
    let layers = class::layers(class, wanted_size)?;
    let built_in = Layer::new("BuiltIn", builtin::values());
    let mut own = input.spec.clone();
    for free in ["className", "size"] {
        own.as_object_mut().map(|o| o.remove(free));
    }
    let own = Layer::new("Spec", own);

    let anyway_layers = std::iter::once(&built_in).chain(&layers.before).chain([&layers.enforced]);
    let mut anyway = merge(anyway_layers).values;
    anyway["size"] = layers_default_size(class).into();
    let overridable = class.spec.overridable.as_deref().unwrap_or_default();
    check_overrides(
        &input.spec,
        &anyway,
        &layers.enforced.values,
        overridable,
        &class_name,
        &policy.inventory,
    )?;

    let all = std::iter::once(&built_in).chain(&layers.before).chain([&own, &layers.enforced]);
    let merged = merge(all);
    let mut effective = merged.values.clone();
    pin(&mut effective, input)?;
    effective["className"] = class_name.as_str().into();
    effective["size"] = layers.size.as_str().into();
    if let Some(ceilings) = &class.spec.ceilings {
        check_ceilings(&effective, ceilings, &class_name)?;
    }
    if let (None, Some(limit)) = (&input.previous.effective, &class.spec.per_namespace) {
        check_namespace(&sibling(input), &effective, &input.siblings, limit, &class_name)?;
    }
    check_hostnames(&effective, input)?;
    dns::check(&effective, class, &class_name)?;
    let in_force = ClassInForce {
        name: Some(class_name),
        generation: class.metadata.generation,
        size: Some(layers.size.clone()),
    };
    finish(input, policy, effective, in_force, merged.origins(), Some(class))
}

/// The tenant as its last valid request left it, which stays in force while a newer one is refused (C6).
pub fn last_valid(input: &Dereferenced, policy: &Policy) -> Option<ValidatedTenant> {
    let effective = input.previous.effective.clone()?;
    let class = input.previous.class.clone()?;
    finish(input, policy, effective, class, input.previous.origins.clone(), None).ok()
}

fn finish(
    input: &Dereferenced,
    policy: &Policy,
    effective: Value,
    class: ClassInForce,
    origins: Vec<Origin>,
    offered: Option<&VirtualClusterClass>,
) -> Result<ValidatedTenant, Refusal> {
    let spec: VirtualClusterSpec =
        serde_json::from_value(effective.clone()).map_err(|e| Refusal::invalid(format!("spec: {e}")))?;
    let offers = offered.and_then(|c| c.spec.providers.as_deref());
    let plan = plan_provider(&spec, offers, &policy.provider)?;
    let hosts = choose_hosts(&spec, input, offered)?;
    let fact = hosts.first().and_then(|host| input.hosts.iter().find(|fact| fact.name == host.name));
    let front_door = fact.map(|fact| fact.front_door.clone()).unwrap_or_default();
    Ok(ValidatedTenant {
        name: input.name.clone(),
        namespace: input.namespace.clone(),
        uid: input.uid.clone(),
        id: input.id.clone(),
        class,
        effective,
        spec,
        origins,
        pending: Vec::new(),
        plan,
        hosts,
        front_door,
        unbound: false,
    })
}

/// The CEL rules in Rust (V4), for hubs that do not evaluate them.
fn twins(input: &Dereferenced) -> Result<(), Refusal> {
    let object = json!({"metadata": {"name": input.name}, "spec": input.spec});
    match rules::check("VirtualCluster", &object, None).into_iter().next() {
        Some(message) => Err(Refusal::invalid(message)),
        None => Ok(()),
    }
}

fn find_class(input: &Dereferenced) -> Result<&VirtualClusterClass, Refusal> {
    let named = input.spec["className"].as_str().unwrap_or_default();
    let kept = input.previous.class.as_ref().and_then(|c| c.name.as_deref()).unwrap_or_default();
    let wanted = if named.is_empty() { kept } else { named };
    choose(wanted, &input.classes, &input.namespace, &input.namespace_labels)
}

fn is_unedited(input: &Dereferenced) -> bool {
    input.previous.effective.is_some() && input.previous.observed_generation == Some(input.generation)
}

fn layers_default_size(class: &VirtualClusterClass) -> String {
    class.spec.default_size.clone().unwrap_or_default()
}

/// Keeps what was decided at birth; a spec that now says otherwise is refused.
fn pin(effective: &mut Value, input: &Dereferenced) -> Result<(), Refusal> {
    let Some(before) = &input.previous.effective else { return Ok(()) };
    for path in PINNED {
        let Some(held) = rules::at(before, path) else { continue };
        if let Some(asked) = rules::at(&input.spec, path)
            && asked != held
        {
            return Err(Refusal::invalid(format!(
                "spec.{path} is immutable; create a new virtual cluster and restore a snapshot into it"
            )));
        }
        merge::set(effective, path, held.clone());
    }
    Ok(())
}

fn sibling(input: &Dereferenced) -> Sibling {
    Sibling { name: input.name.clone(), created: input.created.clone(), quota: None }
}

fn check_hostnames(effective: &Value, input: &Dereferenced) -> Result<(), Refusal> {
    for name in effective["expose"]["hostnames"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if input.taken_hostnames.contains_key(name) {
            let text = format!(
                "spec.expose.hostnames: {name:?} belongs to another virtual cluster; choose another name"
            );
            return Err(Refusal::new(reason::HOSTNAME_TAKEN, text));
        }
    }
    Ok(())
}

/// Hosts stay once chosen; else the one that the class's strategy prefers, ties by name.
fn choose_hosts(
    spec: &VirtualClusterSpec,
    input: &Dereferenced,
    class: Option<&VirtualClusterClass>,
) -> Result<Vec<HostStatus>, Refusal> {
    if spec.sync.as_ref().and_then(|s| s.enabled) == Some(false) {
        return Ok(Vec::new());
    }
    if !input.previous.hosts.is_empty() {
        return Ok(input.previous.hosts.clone());
    }
    let allowed = class.and_then(|c| c.spec.hosts.as_ref());
    let of_class = allowed.and_then(|h| h.selector.as_ref());
    let of_tenant = spec.hosts.as_ref().and_then(|h| h.selector.as_ref());
    let fits = |host: &&HostFact| {
        [of_class, of_tenant].into_iter().flatten().all(|s| class::selects(s, &host.labels))
    };
    let most = allowed.and_then(|h| h.strategy) == Some(skerry_api::class::HostStrategy::MostAllocated);
    let mut candidates: Vec<&HostFact> = input.hosts.iter().filter(fits).collect();
    candidates.sort_by(|a, b| {
        let by_room = if most { a.free_cpu.cmp(&b.free_cpu) } else { b.free_cpu.cmp(&a.free_cpu) };
        by_room.then_with(|| a.name.cmp(&b.name))
    });
    match candidates.first() {
        Some(host) => {
            Ok(vec![HostStatus { name: host.name.clone(), state: HostState::Active, namespaces: None }])
        }
        None => Err(Refusal::new(
            reason::HOST_NOT_FOUND,
            format!(
                "no host matches class and spec.hosts.selector; there are {} hosts: join one with `skerry fleet join NAME --host`",
                input.hosts.len()
            ),
        )),
    }
}
