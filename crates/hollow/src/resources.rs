//! Quantities of requests, in thousandths.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Resource name to thousandths of its unit.
pub type Amounts = BTreeMap<String, i128>;

/// A quantity in thousandths; unreadable text counts as nothing.
pub fn milli(quantity: &Quantity) -> i128 {
    skerry_api::quantity::parse(quantity.0.trim()).unwrap_or_default() / 1_000_000
}

fn add(to: &mut Amounts, from: &BTreeMap<String, Quantity>) {
    for (name, quantity) in from {
        *to.entry(name.clone()).or_default() += milli(quantity);
    }
}

/// What a pod asks for: its containers together, or its largest init container, and one pod.
pub fn of_pod(pod: &Pod) -> Amounts {
    let mut total = Amounts::new();
    let Some(spec) = &pod.spec else { return total };
    for container in &spec.containers {
        if let Some(requests) = container.resources.as_ref().and_then(|r| r.requests.as_ref()) {
            add(&mut total, requests);
        }
    }
    for init in spec.init_containers.iter().flatten() {
        let mut one = Amounts::new();
        if let Some(requests) = init.resources.as_ref().and_then(|r| r.requests.as_ref()) {
            add(&mut one, requests);
        }
        for (name, amount) in one {
            let known = total.entry(name).or_default();
            *known = (*known).max(amount);
        }
    }
    *total.entry("pods".into()).or_default() += 1000;
    total
}

/// What a node offers.
pub fn of_map(map: &BTreeMap<String, Quantity>) -> Amounts {
    map.iter().map(|(name, quantity)| (name.clone(), milli(quantity))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_thousandths() {
        for (text, want) in
            [("1", 1000), ("250m", 250), ("1.5", 1500), ("1Ki", 1_024_000), ("2k", 2_000_000), ("x", 0)]
        {
            assert_eq!(milli(&Quantity(text.into())), want, "{text}");
        }
    }
}
