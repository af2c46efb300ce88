//! Requests of a pod as a whole, from its limits and its containers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{absent, has};
use crate::model::quantity::Quantity;

type Sums = BTreeMap<String, Quantity>;

/// Resources that can be asked for a whole pod.
fn is_pod_level(name: &str) -> bool {
    name == "cpu" || name == "memory" || name.starts_with("hugepages-")
}

/// Where a pod sets limits of its own, its requests follow from its containers' requests, then from the limits.
pub(super) fn pod_level(spec: &mut Value) {
    let Some(Value::Object(limits)) = spec.pointer("/resources/limits").cloned() else { return };
    if limits.is_empty() {
        return;
    }
    let asked = container_requests(spec);
    let Some(resources) = spec.get_mut("resources") else { return };
    let mut requests = resources.get("requests").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, sum) in asked.iter().filter(|(name, _)| is_pod_level(name) && !name.starts_with("hugepages-"))
    {
        requests.entry(name.clone()).or_insert_with(|| sum.canonical().into());
    }
    for (name, limit) in limits.into_iter().filter(|(name, _)| is_pod_level(name)) {
        requests.entry(name).or_insert(limit);
    }
    if !requests.is_empty() {
        resources["requests"] = Value::Object(requests);
    }
}

/// What the containers ask for together: all ordinary ones and sidecars, or an init container with the
/// sidecars before it, whichever is more.
fn container_requests(spec: &Value) -> Sums {
    let list = |name: &str| spec[name].as_array().cloned().unwrap_or_default();
    let mut sums = Sums::new();
    list("containers").iter().for_each(|c| add(&mut sums, c));
    let (mut sidecars, mut peak) = (Sums::new(), Sums::new());
    for container in list("initContainers") {
        if container["restartPolicy"] == "Always" {
            add(&mut sums, &container);
            add(&mut sidecars, &container);
        } else {
            let mut with = sidecars.clone();
            add(&mut with, &container);
            raise(&mut peak, &with);
        }
    }
    raise(&mut sums, &peak);
    sums
}

fn add(sums: &mut Sums, container: &Value) {
    let none = Map::new();
    for (name, value) in container.pointer("/resources/requests").and_then(Value::as_object).unwrap_or(&none)
    {
        let Some(value) = value.as_str().and_then(Quantity::parse) else { continue };
        let sum = sums.get(name).map_or(value, |sum| sum.plus(&value));
        sums.insert(name.clone(), sum);
    }
}

fn raise(sums: &mut Sums, other: &Sums) {
    for (name, value) in other {
        let known = sums.get(name).is_some_and(|sum| sum.millis() >= value.millis());
        if !known {
            sums.insert(name.clone(), *value);
        }
    }
}

/// Counts of device requests.
pub(super) fn device_requests(spec: &mut Value) {
    let Some(requests) = spec.pointer_mut("/devices/requests").and_then(Value::as_array_mut) else { return };
    for request in requests {
        let exact = request.get_mut("exactly").into_iter();
        let mut all: Vec<&mut Value> = exact.collect();
        if all.is_empty() {
            all = super::each(request, "firstAvailable").collect();
        }
        for request in all.into_iter().filter(|r| r["allocationMode"] == "ExactCount") {
            if !has(request, "count") {
                absent(request, "count", json!(1));
            }
        }
    }
}
