//! Rolling without a plan (placement 4.2), as a pure function: which copies may be updated, added or removed now.
//!
//! T wanted copies, `a` available ones whose removal has not begun, U and G the two budgets. An available copy may be
//! updated or removed while a − 1 ≥ T − U; an unavailable one always; one may be added while all present are fewer
//! than T + G. What is in the caller's hands: what "available" means, and waiting for a step to take effect.

use serde::{Deserialize, Serialize};

/// A number, or a share of the wanted copies, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Amount {
    /// So many.
    Number(u32),
    /// 0..100 per cent.
    Percent(u32),
}

impl Amount {
    /// The number for `total` copies.
    pub fn of(self, total: u32) -> u32 {
        match self {
            Self::Number(n) => n,
            Self::Percent(p) => {
                u32::try_from((u64::from(total) * u64::from(p)).div_ceil(100)).unwrap_or(u32::MAX)
            }
        }
    }
}

/// `rollout.maxUnavailable` and `rollout.maxSurge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// U.
    pub max_unavailable: Amount,
    /// G.
    pub max_surge: Amount,
}

impl Default for Budget {
    fn default() -> Self {
        Self { max_unavailable: Amount::Percent(25), max_surge: Amount::Percent(25) }
    }
}

/// One copy of the workload, on one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Copy<Id> {
    /// The member.
    pub member: Id,
    /// It is to be there; otherwise it is to go.
    pub wanted: bool,
    /// Something of it is on the member; otherwise it is still to be added.
    pub present: bool,
    /// It has the target revision.
    pub updated: bool,
    /// It is Available.
    pub available: bool,
    /// Its last apply failed: mending it is outside the budget.
    pub failed: bool,
    /// Its removal has begun: it counts in nothing, and a copy wanted anew on that member waits for its end.
    pub deleting: bool,
    /// It is to go, but only after its replacement is Available (B2).
    pub awaited: bool,
}

/// What may be done now.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Moves<Id> {
    /// Copies that get the target revision.
    pub update: Vec<Id>,
    /// Members that get a first copy.
    pub add: Vec<Id>,
    /// Copies that are removed.
    pub remove: Vec<Id>,
}

/// The moves that the budgets allow now, in the order of `copies`; unavailable ones before available ones.
pub fn moves<Id: Clone>(copies: &[Copy<Id>], budget: Budget) -> Moves<Id> {
    let count = |keep: &dyn Fn(&Copy<Id>) -> bool| copies.iter().filter(|c| keep(c)).count() as u32;
    let total = count(&|c| c.wanted);
    let floor = total.saturating_sub(budget.max_unavailable.of(total));
    let mut available = count(&|c| c.present && c.available && !c.deleting);
    let mut present = count(&|c| c.present && !c.deleting);
    let most = total.saturating_add(budget.max_surge.of(total));
    let mut out = Moves { update: Vec::new(), add: Vec::new(), remove: Vec::new() };
    let live = || copies.iter().filter(|c| c.present && !c.deleting);
    let leaves = |c: &&Copy<Id>| !c.wanted && !c.awaited;
    let lags = |c: &&Copy<Id>| c.wanted && !c.updated;
    for copy in live().filter(|c| !c.available) {
        if leaves(&copy) {
            out.remove.push(copy.member.clone());
        } else if lags(&copy) {
            out.update.push(copy.member.clone());
        }
    }
    for copy in live().filter(|c| c.available && c.failed).filter(lags) {
        out.update.push(copy.member.clone());
    }
    for copy in live().filter(|c| c.available && !(c.failed && c.wanted)) {
        if !(leaves(&copy) || lags(&copy)) || available < floor + 1 {
            continue;
        }
        available -= 1;
        if copy.wanted { out.update.push(copy.member.clone()) } else { out.remove.push(copy.member.clone()) }
    }
    for copy in copies.iter().filter(|c| c.wanted && !c.present && !c.deleting) {
        if present >= most {
            break;
        }
        present += 1;
        out.add.push(copy.member.clone());
    }
    out
}

#[cfg(test)]
mod tests;
