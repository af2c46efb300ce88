//! Sort terms: a property on a number line, scaled to 0..1000 over the ranked members.

use crate::filter::properties::property;
use crate::intern::Fleet;
use crate::types::{Order, Sort};
use crate::value::{NumberKind, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

type Numbers = Rc<Vec<Option<(NumberKind, i128)>>>;

/// Properties as numbers, each read once per planning.
#[derive(Default)]
pub(crate) struct Sorts(BTreeMap<String, Numbers>);

impl Sorts {
    /// 1000 (x − min) ÷ (max − min), mirrored for Ascending; a missing value, and everybody when all are equal, has 0.
    /// Where quantities and versions mix, only quantities count.
    pub(crate) fn values(&mut self, fleet: &Fleet<'_>, sort: &Sort, members: &[usize]) -> Vec<i64> {
        let numbers = self.numbers(fleet, &sort.property);
        let has = |kind| members.iter().any(|m| numbers[*m].is_some_and(|(k, _)| k == kind));
        let kind = if has(NumberKind::Quantity) { NumberKind::Quantity } else { NumberKind::Version };
        let number = |m: &usize| numbers[*m].filter(|(k, _)| *k == kind).map(|(_, n)| n);
        let (mut min, mut max) = (i128::MAX, i128::MIN);
        for n in members.iter().filter_map(number) {
            min = min.min(n);
            max = max.max(n);
        }
        let scale = |m: &usize| {
            let Some(n) = number(m).filter(|_| max > min) else { return 0 };
            let distance = if sort.order == Order::Ascending { max - n } else { n - min };
            ratio(distance, max - min)
        };
        members.iter().map(scale).collect()
    }

    fn numbers(&mut self, fleet: &Fleet<'_>, key: &str) -> Numbers {
        if let Some(known) = self.0.get(key) {
            return known.clone();
        }
        let read = |i| property(fleet, i, key).and_then(|text| Value::new(&text).number());
        let numbers: Numbers = Rc::new((0..fleet.len()).map(read).collect());
        self.0.insert(key.to_owned(), numbers.clone());
        numbers
    }
}

/// ⌊1000 × part ÷ whole⌋, in 64 bits where they suffice.
fn ratio(part: i128, whole: i128) -> i64 {
    match (i64::try_from(part).ok().and_then(|p| p.checked_mul(1000)), i64::try_from(whole)) {
        (Some(part), Ok(whole)) => part / whole,
        _ => i64::try_from(part * 1000 / whole).unwrap_or(0),
    }
}
