//! How many replicas each ReplicaSet of a Deployment should have now: pure arithmetic of a rolling update.

use serde_json::Value;

use crate::model::object::Object;

/// What a rolling update may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Replicas asked for.
    pub desired: i64,
    /// Above `desired`.
    pub surge: i64,
    /// Below `desired`.
    pub unavailable: i64,
}

fn portion(value: Option<&Value>, total: i64, up: bool) -> i64 {
    match value {
        Some(Value::Number(n)) => n.as_i64().unwrap_or(0),
        Some(Value::String(s)) => match s.strip_suffix('%').and_then(|p| p.parse::<i64>().ok()) {
            Some(percent) if up => (total * percent + 99) / 100,
            Some(percent) => total * percent / 100,
            None => s.parse().unwrap_or(0),
        },
        _ => 0,
    }
}

impl Budget {
    /// Of a Deployment. Surge is rounded up, unavailability down; both zero makes one unavailable.
    pub fn of(deployment: &Value) -> Self {
        let desired = deployment.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(1);
        if deployment.text(&["spec", "strategy", "type"]) == "Recreate" {
            return Self { desired, surge: 0, unavailable: desired };
        }
        let rolling = |field: &str| deployment.at(&["spec", "strategy", "rollingUpdate", field]);
        let surge = portion(rolling("maxSurge"), desired, true);
        let mut unavailable = portion(rolling("maxUnavailable"), desired, false);
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        Self { desired, surge, unavailable: unavailable.min(desired) }
    }
}

/// A ReplicaSet as the arithmetic sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// `spec.replicas`.
    pub size: i64,
    /// `status.availableReplicas`.
    pub available: i64,
    /// `status.replicas`.
    pub existing: i64,
}

/// Wanted sizes of a rolling update: of the new set, and of the old ones, oldest first.
pub fn rolling(budget: Budget, new: Set, old: &[Set]) -> (i64, Vec<i64>) {
    let all: i64 = new.size + old.iter().map(|s| s.size).sum::<i64>();
    let most = budget.desired + budget.surge;
    let grown = if new.size > budget.desired {
        budget.desired
    } else {
        new.size + (most - all).max(0).min(budget.desired - new.size)
    };
    let least = budget.desired - budget.unavailable;
    let pending = (new.size - new.available).max(0);
    let mut removable = (all - least - pending).max(0);
    let mut sizes: Vec<i64> = old.iter().map(|s| s.size).collect();
    // Replicas that are not available go first: they cost nothing.
    for (size, set) in sizes.iter_mut().zip(old) {
        let idle = (set.size - set.available).max(0).min(removable);
        *size -= idle;
        removable -= idle;
    }
    let available: i64 = new.available + old.iter().map(|s| s.available.min(s.size)).sum::<i64>();
    let mut spare = (available - least).max(0).min(removable);
    for size in &mut sizes {
        let cut = spare.min(*size);
        *size -= cut;
        spare -= cut;
    }
    (grown, sizes)
}

/// A ReplicaSet that takes part when the whole is made larger or smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// `spec.replicas`.
    pub size: i64,
    /// The most that all sets together were allowed when it was sized.
    pub most: i64,
}

/// Sizes by which the total meets the budget and each set keeps its share, oldest set first. What rounding leaves goes
/// to the largest; of equals, to the newest when growing and to the oldest when shrinking.
pub fn proportional(budget: Budget, sets: &[Share]) -> Vec<i64> {
    let most = if budget.desired > 0 { budget.desired + budget.surge } else { 0 };
    let change = most - sets.iter().map(|s| s.size).sum::<i64>();
    let mut sizes: Vec<i64> = sets.iter().map(|s| s.size).collect();
    if change == 0 {
        return sizes;
    }
    let mut order: Vec<usize> = (0..sets.len()).collect();
    order.sort_by_key(|&i| {
        let age = i64::try_from(i).unwrap_or(i64::MAX);
        (-sets[i].size, if change > 0 { -age } else { age })
    });
    let mut left = change;
    for &i in &order {
        let Share { size, most: before } = sets[i];
        let whole = if budget.desired == 0 { 0 } else { nearest(size * most, before) };
        let part = if change > 0 { (whole - size).min(left) } else { (whole - size).max(left) };
        sizes[i] += part;
        left -= part;
    }
    if let Some(&largest) = order.first() {
        sizes[largest] = (sizes[largest] + left).max(0);
    }
    sizes
}

/// A quotient to the nearest whole, halves up.
fn nearest(part: i64, of: i64) -> i64 {
    if of <= 0 { part } else { (2 * part + of) / (2 * of) }
}

/// Wanted sizes when everything old goes before anything new comes.
pub fn recreate(budget: Budget, old: &[Set]) -> (i64, Vec<i64>) {
    let ended = old.iter().all(|s| s.existing == 0);
    (if ended { budget.desired } else { 0 }, vec![0; old.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(size: i64, available: i64) -> Set {
        Set { size, available, existing: size }
    }

    #[test]
    fn a_rolling_update_keeps_its_budget_and_ends() {
        let budget = Budget { desired: 4, surge: 1, unavailable: 1 };
        assert_eq!(rolling(budget, set(0, 0), &[set(4, 4)]), (1, vec![3]));
        assert_eq!(rolling(budget, set(1, 0), &[set(3, 3)]), (2, vec![3]));
        assert_eq!(rolling(budget, set(2, 2), &[set(3, 3)]), (2, vec![1]));
        assert_eq!(rolling(budget, set(4, 4), &[set(0, 0)]), (4, vec![0]));
        // A broken new revision stops with the budget intact.
        let (mut new, mut old) = (set(0, 0), set(4, 4));
        for _ in 0..10 {
            let (n, o) = rolling(budget, new, &[old]);
            (new.size, old.size, old.available) = (n, o[0], o[0]);
        }
        assert_eq!((new.size, old.size), (2, 3));
    }

    #[test]
    fn a_rollout_that_is_scaled_keeps_the_shares() {
        let share = |size: i64| Share { size, most: 13 };
        let of = |desired: i64| Budget { desired, surge: 3, unavailable: 2 };
        assert_eq!(proportional(of(30), &[share(8), share(5)]), [20, 13]);
        assert_eq!(proportional(of(10), &[share(8), share(5)]), [8, 5]);
        assert_eq!(proportional(of(5), &[share(8), share(5)]), [5, 3]);
        assert_eq!(proportional(of(0), &[share(8), share(5)]), [0, 0]);
        // The largest takes what is left, the newest of equals.
        let three = [Share { size: 5, most: 15 }; 3];
        let sizes = proportional(Budget { desired: 20, surge: 0, unavailable: 1 }, &three);
        assert_eq!(sizes.iter().sum::<i64>(), 20);
        assert_eq!(sizes, [6, 7, 7]);
    }

    #[test]
    fn recreate_waits_for_the_old_pods() {
        let budget = Budget { desired: 2, surge: 0, unavailable: 2 };
        assert_eq!(recreate(budget, &[set(2, 2)]), (0, vec![0]));
        assert_eq!(recreate(budget, &[Set { size: 0, available: 0, existing: 0 }]), (2, vec![0]));
    }
}
