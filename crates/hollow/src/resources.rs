//! Quantities of requests, in thousandths.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Resource name to thousandths of its unit.
pub type Amounts = BTreeMap<String, i128>;

const SUFFIXES: [(&str, i128); 13] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("", 1),
];

/// A quantity in thousandths; unreadable text counts as nothing.
pub fn milli(quantity: &Quantity) -> i128 {
    let text = quantity.0.trim();
    if let Some(number) = text.strip_suffix('m') {
        return decimal(number, 1) / 1000;
    }
    let (suffix, factor) = SUFFIXES.iter().find(|(s, _)| text.ends_with(s)).copied().unwrap_or(("", 1));
    decimal(text.strip_suffix(suffix).unwrap_or(text), factor)
}

/// `number × factor`, in thousandths.
fn decimal(number: &str, factor: i128) -> i128 {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole: i128 = whole.parse().unwrap_or(0);
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    let part: i128 = digits.parse().unwrap_or(0);
    (whole * 1000 + part) * factor
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
