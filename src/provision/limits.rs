//! What a tenant may not choose: paths outside `overridable` (C4), ceilings and sums of a namespace (C5).

use serde_json::Value;
use skerry_api::class::{Ceilings, PerNamespace};
use skerry_api::quantity;
use skerry_api::rules::parse_duration;
use skerry_api::virtual_cluster::reasons::provisioned as reason;

use super::merge::{at, leaves, text};
use super::refusal::Refusal;

/// Only a class may set these (syncer section 1, marked †).
const CLASS_ONLY: [&str; 9] = [
    "sync.weight",
    "sync.toHost.pods.tokenMaxTTL",
    "sync.toHost.pods.images",
    "sync.toHost.pods.pullSecrets",
    "sync.toHost.pods.tolerations",
    "sync.toHost.pods.nodeSelector",
    "sync.toHost.pods.runtimeClassName",
    "sync.toHost.pods.priorityClassName",
    "sync.fromHost.events.perSecond",
];

/// Always free, whatever a class says.
const FREE: [&str; 2] = ["className", "displayName"];

/// What a tenant may say about its own inventory entry (inventory P11).
#[derive(Clone, Debug, Default)]
pub struct InventoryKeys {
    /// Label keys.
    pub labels: Vec<String>,
    /// Property names under reserved domains that are trusted nevertheless.
    pub properties: Vec<String>,
}

/// Refuses the first value of `spec` that the tenant may not set and that differs from what holds anyway.
pub fn check_overrides(
    spec: &Value,
    anyway: &Value,
    enforced: &Value,
    overridable: &[String],
    class: &str,
    keys: &InventoryKeys,
) -> Result<(), Refusal> {
    for (path, value) in leaves(spec) {
        if path.first().is_some_and(|p| FREE.contains(&p.as_str())) {
            continue;
        }
        let held = at(anyway, &path);
        if held.is_some_and(|h| quantity::equal(h, value)) || (held.is_none() && is_empty(value)) {
            continue;
        }
        let shown = text(&path);
        if at(enforced, &path).is_some() {
            return Err(not_overridable(&format!("spec.{shown}: class {class:?} enforces another value")));
        }
        if CLASS_ONLY.iter().any(|p| covers(p, &path)) {
            return Err(not_overridable(&format!("spec.{shown}: only a class may set it")));
        }
        check_inventory(&path, keys, class)?;
        if !overridable.iter().any(|p| covers(p, &path)) {
            let list = overridable.join(", ");
            return Err(not_overridable(&format!(
                "spec.{shown}: class {class:?} does not let tenants set it; they may set: {list}"
            )));
        }
    }
    Ok(())
}

fn check_inventory(path: &[String], keys: &InventoryKeys, class: &str) -> Result<(), Refusal> {
    let [inventory, kind, key] = path else { return Ok(()) };
    if inventory != "inventory" {
        return Ok(());
    }
    let shown = text(path);
    if kind == "labels" && !keys.labels.contains(key) {
        let list = if keys.labels.is_empty() { "none".to_owned() } else { keys.labels.join(", ") };
        return Err(not_overridable(&format!(
            "spec.{shown}: kept from tenants of class {class:?}; label keys they may set: {list}"
        )));
    }
    if kind == "properties" && is_reserved_property(key) && !keys.properties.contains(key) {
        return Err(not_overridable(&format!(
            "spec.{shown}: kept from tenants; names outside k8s.io, kubernetes.io and skerry.dev are free"
        )));
    }
    Ok(())
}

/// Whether a property name is one that tenants may not claim (inventory A3).
pub fn is_reserved_property(name: &str) -> bool {
    let domain = name.split('/').next().unwrap_or(name);
    ["k8s.io", "kubernetes.io", "skerry.dev"]
        .iter()
        .any(|kept| domain == *kept || domain.strip_suffix(kept).is_some_and(|d| d.ends_with('.')))
}

fn not_overridable(message: &str) -> Refusal {
    Refusal::new(reason::NOT_OVERRIDABLE, message)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Whether the dotted `prefix` is `path` or lies above it.
fn covers(prefix: &str, path: &[String]) -> bool {
    let steps: Vec<&str> = prefix.split('.').collect();
    steps.len() <= path.len() && steps.iter().zip(path).all(|(a, b)| a == b)
}

/// Refuses what exceeds a ceiling of the class.
pub fn check_ceilings(effective: &Value, ceilings: &Ceilings, class: &str) -> Result<(), Refusal> {
    let exceeded = |path: String, value: &Value, ceiling: &str| {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = format!("spec.{path}: {shown} exceeds the ceiling {ceiling} of class {class:?}");
        Refusal::new(reason::CEILING_EXCEEDED, text)
    };
    for (resource, ceiling) in ceilings.quota.iter().flatten() {
        let path = ["quota".to_owned(), resource.clone()];
        if let Some(value) = at(effective, &path)
            && quantity::of(value) > quantity::parse(&ceiling.0)
        {
            return Err(exceeded(text(&path), value, &ceiling.0));
        }
    }
    let limits = serde_json::to_value(&ceilings.limits).unwrap_or_default();
    for (name, ceiling) in limits.as_object().into_iter().flatten() {
        let path = ["limits".to_owned(), name.clone()];
        if let Some(value) = at(effective, &path)
            && quantity::of(value) > quantity::of(ceiling)
        {
            let shown = ceiling.as_str().map_or_else(|| ceiling.to_string(), str::to_owned);
            return Err(exceeded(text(&path), value, &shown));
        }
    }
    let ttl = effective["access"]["credentialTTL"].as_str().and_then(parse_duration);
    if let Some(ceiling) = &ceilings.credential_ttl
        && ttl > parse_duration(ceiling)
    {
        return Err(exceeded(
            "access.credentialTTL".to_owned(),
            &effective["access"]["credentialTTL"],
            ceiling,
        ));
    }
    let replicas = &effective["controlPlane"]["embedded"]["replicas"];
    if let (Some(wanted), Some(ceiling)) = (replicas.as_i64(), ceilings.control_plane_replicas)
        && wanted > i64::from(ceiling)
    {
        return Err(exceeded("controlPlane.embedded.replicas".to_owned(), replicas, &ceiling.to_string()));
    }
    Ok(())
}

/// Another tenant of the namespace, as far as sums are concerned.
#[derive(Clone, Debug)]
pub struct Sibling {
    /// Name.
    pub name: String,
    /// Creation time, RFC 3339, so that text order is time order.
    pub created: String,
    /// Quota in force; `None` if it was never admitted.
    pub quota: Option<Value>,
}

/// Decides whether the namespace has room for one more: older requests come first, admitted ones count anyway (C5).
pub fn check_namespace(
    own: &Sibling,
    effective: &Value,
    siblings: &[Sibling],
    limit: &PerNamespace,
    class: &str,
) -> Result<(), Refusal> {
    let before =
        |s: &Sibling| (s.created.as_str(), s.name.as_str()) < (own.created.as_str(), own.name.as_str());
    let counted: Vec<&Sibling> =
        siblings.iter().filter(|s| s.name != own.name && (s.quota.is_some() || before(s))).collect();
    let reached = |what: &str, used: String, limit: String| {
        let text = format!("class {class:?} allows {limit} {what} in one namespace, {used} are used");
        Refusal::new(reason::NAMESPACE_LIMIT_REACHED, text)
    };
    if let Some(most) = limit.virtual_clusters
        && counted.len() as i64 >= most
    {
        return Err(reached("virtual clusters", counted.len().to_string(), most.to_string()));
    }
    for (resource, most) in limit.quota.iter().flatten() {
        let of = |quota: &Value| quota.get(resource).and_then(quantity::of).unwrap_or(0);
        let used: i128 = counted.iter().filter_map(|s| s.quota.as_ref()).map(of).sum();
        let wanted = of(&effective["quota"]);
        if quantity::parse(&most.0).is_some_and(|most| used + wanted > most) {
            return Err(reached(resource, quantity::format(used), most.0.clone()));
        }
    }
    Ok(())
}
