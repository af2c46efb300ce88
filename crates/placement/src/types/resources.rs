//! Amounts of resources as whole numbers: CPU in thousandths of a core, everything else in whole units (bytes,
//! pods, devices), so that no float and no rounding of sums ever enters a decision.

use crate::value::parse_quantity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Amounts by resource name. A missing name means zero in a request; what it means in a ceiling depends on the
/// node (see [`crate::types::Figures`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resources(pub BTreeMap<String, i64>);

/// Why a quantity text could not become an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource}: {text:?} is not a quantity this engine can hold")]
pub struct QuantityError {
    /// Name of the resource.
    pub resource: String,
    /// The text that was given.
    pub text: String,
}

impl Resources {
    /// Amounts from quantity texts. CPU is kept in thousandths, the rest in whole units; fractions round up, which
    /// is the safe side for a need (for a ceiling use [`Resources::floor_of`]).
    ///
    /// # Errors
    /// A text that is no quantity, is negative, or does not fit 64 bits.
    pub fn of<'a, I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Result<Self, QuantityError> {
        Self::read(pairs, true)
    }

    /// Like [`Resources::of`], but fractions round down: for ceilings and free amounts.
    ///
    /// # Errors
    /// As [`Resources::of`].
    pub fn floor_of<'a, I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Result<Self, QuantityError> {
        Self::read(pairs, false)
    }

    fn read<'a, I: IntoIterator<Item = (&'a str, &'a str)>>(
        pairs: I,
        up: bool,
    ) -> Result<Self, QuantityError> {
        let mut out = BTreeMap::new();
        for (resource, text) in pairs {
            let bad = || QuantityError { resource: resource.to_owned(), text: text.to_owned() };
            let nano = parse_quantity(text).filter(|n| *n >= 0).ok_or_else(bad)?;
            let unit: i128 = if resource == "cpu" { 1_000_000 } else { 1_000_000_000 };
            let whole = if up { (nano + unit - 1) / unit } else { nano / unit };
            out.insert(resource.to_owned(), i64::try_from(whole).map_err(|_| bad())?);
        }
        Ok(Self(out))
    }

    /// The amount of one resource, zero when it is not named.
    pub fn get(&self, resource: &str) -> i64 {
        self.0.get(resource).copied().unwrap_or(0)
    }

    /// Sets one amount.
    pub fn set(&mut self, resource: &str, amount: i64) {
        self.0.insert(resource.to_owned(), amount);
    }

    /// Whether every amount is zero.
    pub fn is_zero(&self) -> bool {
        self.0.values().all(|v| *v == 0)
    }

    /// Adds `times` of `other`, saturating.
    pub fn add(&mut self, other: &Resources, times: i64) {
        for (name, amount) in &other.0 {
            let slot = self.0.entry(name.clone()).or_insert(0);
            *slot = slot.saturating_add(amount.saturating_mul(times));
        }
    }

    /// The amounts as quantity texts, for people and for status fields.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, amount)| (name.clone(), amount_text(name, *amount))).collect()
    }
}

/// One amount as quantity text: `1500m` of CPU, `4Gi` of memory where it divides evenly, else the bare number.
pub fn amount_text(resource: &str, amount: i64) -> String {
    if resource == "cpu" {
        return if amount % 1000 == 0 { (amount / 1000).to_string() } else { format!("{amount}m") };
    }
    if resource == "memory" || resource.ends_with("storage") || resource.starts_with("hugepages-") {
        for (shift, suffix) in [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")] {
            if amount != 0 && amount % (1_i64 << shift) == 0 {
                return format!("{}{suffix}", amount >> shift);
            }
        }
    }
    amount.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_become_whole_numbers_and_back() {
        let need =
            Resources::of([("cpu", "1500m"), ("memory", "4Gi"), ("nvidia.com/gpu", "2"), ("pods", "1")])
                .unwrap();
        assert_eq!(need.get("cpu"), 1500);
        assert_eq!(need.get("memory"), 4 << 30);
        assert_eq!(need.texts().get("memory").unwrap(), "4Gi");
        assert_eq!(need.texts().get("cpu").unwrap(), "1500m");
        assert_eq!(Resources::of([("cpu", "1u")]).unwrap().get("cpu"), 1, "a need rounds up");
        assert_eq!(Resources::floor_of([("cpu", "1u")]).unwrap().get("cpu"), 0, "a ceiling rounds down");
        assert!(Resources::of([("cpu", "-1")]).is_err());
        assert!(Resources::of([("cpu", "lots")]).is_err());
    }
}
