//! Which class governs a request (tenancy C1, C2), and its layers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skerry_api::virtual_cluster::reasons::provisioned as reason;
use skerry_api::{LabelSelector, VirtualClusterClass};

use super::merge::Layer;
use super::refusal::Refusal;

/// Whether a selector matches labels; an empty one matches all.
pub fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(k, v)| labels.get(k) == Some(v));
    let holds = |e: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement| {
        let value = labels.get(&e.key);
        let listed = value.is_some_and(|v| e.values.iter().flatten().any(|w| w == v));
        match e.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    };
    equal && selector.match_expressions.iter().flatten().all(holds)
}

/// Finds the class: the named one, which must select the namespace, or the only default one that does.
pub fn choose<'a>(
    wanted: &str,
    classes: &'a [VirtualClusterClass],
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<&'a VirtualClusterClass, Refusal> {
    let name = |c: &VirtualClusterClass| c.metadata.name.clone().unwrap_or_default();
    let selected =
        |c: &VirtualClusterClass| c.spec.namespace_selector.as_ref().is_some_and(|s| selects(s, labels));
    if !wanted.is_empty() {
        let class = classes.iter().find(|c| name(c) == wanted).ok_or_else(|| {
            let known = classes.iter().map(name).collect::<Vec<_>>().join(", ");
            Refusal::new(
                reason::CLASS_NOT_FOUND,
                format!("spec.className: no class {wanted:?}; there are: {known}"),
            )
        })?;
        if !selected(class) {
            let text = format!(
                "class {wanted:?} does not select namespace {namespace:?}; ask for another class, or for the namespace to be selected"
            );
            return Err(Refusal::new(reason::CLASS_NOT_ALLOWED, text));
        }
        return Ok(class);
    }
    let defaults: Vec<_> = classes.iter().filter(|c| c.spec.default == Some(true) && selected(c)).collect();
    match defaults.as_slice() {
        [one] => Ok(one),
        [] => Err(Refusal::new(
            reason::CLASS_NOT_FOUND,
            format!("no default class selects namespace {namespace:?}; set spec.className"),
        )),
        several => {
            let names = several.iter().map(|c| name(c)).collect::<Vec<_>>().join(", ");
            let text = format!(
                "several default classes select namespace {namespace:?}: {names}; set spec.className"
            );
            Err(Refusal::new(reason::CLASS_AMBIGUOUS, text))
        }
    }
}

/// Layers of a class around the tenant's own.
#[derive(Clone, Debug)]
pub struct ClassLayers {
    /// Class `defaults`, then the size.
    pub before: Vec<Layer>,
    /// `enforced`.
    pub enforced: Layer,
    /// Name of the size.
    pub size: String,
}

/// The layers of a class with the size that the tenant asks for.
pub fn layers(class: &VirtualClusterClass, wanted_size: &str) -> Result<ClassLayers, Refusal> {
    let class_name = class.metadata.name.clone().unwrap_or_default();
    let spec = &class.spec;
    let size = if wanted_size.is_empty() {
        spec.default_size.clone().unwrap_or_default()
    } else {
        wanted_size.to_owned()
    };
    let mut before = vec![Layer::new("Class", shaped(&spec.defaults)?)];
    if !size.is_empty() {
        let sizes = spec.sizes.as_deref().unwrap_or_default();
        let found = sizes.iter().find(|s| s.name == size).ok_or_else(|| {
            let known = sizes.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
            Refusal::invalid(format!("spec.size: class {class_name:?} has no size {size:?}; it has: {known}"))
        })?;
        let values = json!({
            "quota": found.quota, "limitRange": found.limit_range, "limits": found.limits, "sync": found.sync,
        });
        before.push(Layer::new(format!("Size/{size}"), values));
    }
    Ok(ClassLayers { before, enforced: Layer::new("Enforced", shaped(&spec.enforced)?), size })
}

fn shaped(spec: &Option<skerry_api::virtual_cluster::VirtualClusterSpec>) -> Result<Value, Refusal> {
    let mut value = serde_json::to_value(spec).map_err(|e| Refusal::invalid(e.to_string()))?;
    if let Some(fields) = value.as_object_mut() {
        for name in ["className", "displayName"] {
            fields.remove(name);
        }
    }
    Ok(value)
}
