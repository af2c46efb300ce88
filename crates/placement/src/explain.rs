//! Explanations (Y1): the evaluation of one request, repeated from the same input, with everything it looked at.

use crate::bits::Bits;
use crate::capacity::ledger::Refusal;
use crate::cycle::Cycle;
use crate::decide::Draft;
use crate::plan::Done;
use crate::types::{
    Digest, InCause, Input, MemberId, Millis, OutCause, Outcome, Plan, Reason, Request, RequestId, Tally,
    Verdict,
};
use crate::whatif::edited;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Why a request has the members it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explanation {
    /// Which.
    pub request: RequestId,
    /// Generation of the plan it belongs to.
    pub generation: u64,
    /// Digest of the input.
    pub input: Digest,
    /// The present of that input.
    pub at: Millis,
    /// How it ended.
    pub outcome: Outcome,
    /// The counts.
    pub tally: Tally,
    /// One verdict per visible member, by id.
    pub members: Vec<(MemberId, String, Explained)>,
    /// The smallest change that would help; none where nothing is missing.
    pub hint: Option<Hint>,
}

/// What was found about one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Explained {
    /// A filter refused it.
    Filtered {
        /// The first that did.
        filter: Reason,
        /// What exactly.
        detail: String,
    },
    /// It was ranked.
    Scored {
        /// Terms; weight × value adds up to `total`.
        terms: Vec<TermValue>,
        /// Weighted sum.
        total: i64,
        /// Balance of the soft spreads as the picks stand, weighted; beside the total.
        balance: i64,
        /// 1 = best.
        rank: u32,
        /// Spread domains, host names the request may not know as tokens.
        domains: BTreeMap<String, String>,
        /// Further pods of the largest kind that fit, at most 1,000,000; 0 where nothing is asked for.
        fits: u64,
        /// Bound after this plan.
        selected: bool,
        /// Bound before.
        held: bool,
        /// Its divided replicas, all targets.
        replicas: u32,
        /// Why it came, if bound.
        cause: Option<InCause>,
    },
    /// It was let go, in this plan or before.
    Leaving {
        /// Why.
        cause: Option<OutCause>,
    },
}

/// One term of a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TermValue {
    /// Name.
    pub term: String,
    /// −1000..1000.
    pub value: i64,
    /// Weight.
    pub weight: i64,
}

/// The smallest change that would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hint {
    /// So much more of a resource at a node (`nodes` when it is there in pieces too small).
    Room {
        /// Resource.
        resource: String,
        /// Node; `shared host` where the request may not know it.
        node: String,
        /// How much more; none for a host the request may not look into.
        more: Option<i64>,
        /// Whether the pieces are too small rather than the sum.
        fragmented: bool,
    },
    /// Another domain of this topology, or a larger maxSkew.
    Domain {
        /// Topology key.
        topology: String,
    },
    /// These members would be there but for this.
    Lift {
        /// The filter.
        filter: Reason,
        /// What exactly.
        detail: String,
        /// How many members.
        members: u32,
    },
    /// These names do not exist or are not visible.
    Names(Vec<String>),
    /// Nothing is visible at all.
    NoMembers,
}

/// Explains one request of the plan that was made from `input`; `None` if it is not there.
pub fn explain(input: &Input<'_>, plan: &Plan, of: &RequestId) -> Option<Explanation> {
    let edited = edited(input);
    let mut input = edited.input();
    if let Some(ids) = &mut input.evaluate {
        ids.insert(of.clone());
    }
    let cycle = Cycle::new(&input);
    let r = cycle.find(of)?;
    let mut done = cycle.run(Some(r));
    let draft = done.watched.take()?;
    let (outcome, tally) = done.result(r)?;
    let members = members(&mut done, r, &draft);
    let hint = hint(&done.cycle, r, &draft, &outcome);
    let at = input.at;
    Some(Explanation {
        request: of.clone(),
        generation: plan.generation,
        input: plan.input,
        at,
        outcome,
        tally,
        members,
        hint,
    })
}

fn members(done: &mut Done<'_>, r: usize, draft: &Draft) -> Vec<(MemberId, String, Explained)> {
    let cycle = &mut done.cycle;
    let request = cycle.requests[r];
    let ranked: Vec<usize> = draft.ranking.iter().map(|rank| rank.member).collect();
    let places = draft.ranking.places(&ranked);
    let bound: Vec<usize> = cycle.rows[r].iter().filter(|b| b.bound()).map(|b| b.member).collect();
    let spreads = cycle.spreads(r, &bound, &draft.filtered.passed);
    let floors = spreads.floors();
    let tokens = Tokens::new(cycle, request, &draft.filtered.visible);
    let mut shown: Bits = draft.filtered.visible.clone();
    bound.iter().for_each(|m| shown.insert(*m));
    let mut out = Vec::new();
    for member in shown.iter() {
        let known = cycle.fleet.members[member];
        let row = cycle.rows[r].binary_search_by_key(&member, |b| b.member).ok().map(|i| &cycle.rows[r][i]);
        let selected = row.is_some_and(|b| b.bound());
        let refused = draft.filtered.refused.iter().find(|f| f.members.has(member));
        let explained = if let (false, Some(row)) = (selected, row) {
            Explained::Leaving { cause: row.out }
        } else if let (false, Some(refused)) = (selected, refused) {
            let detail = detail(cycle, request, draft.refusals.get(&member), &refused.detail);
            Explained::Filtered { filter: refused.reason, detail }
        } else {
            let at = ranked.binary_search(&member).ok();
            let term = |c: &crate::score::Column| {
                Some(TermValue { term: c.term.clone(), value: c.values[at?], weight: c.weight })
            };
            let kind = cycle.needs[r].largest();
            let pods = &cycle.kinds.pods;
            Explained::Scored {
                terms: draft.columns.iter().filter_map(term).collect(),
                total: draft.ranking.of(member).map_or(0, |rank| rank.total.0),
                balance: spreads.balance(member, &floors),
                rank: at.map_or(0, |i| places[i]),
                domains: tokens.domains(cycle, request, member),
                fits: kind.map_or(0, |k| cycle.ledger.fits(&cycle.fleet, member, &pods[k], 1_000_000)),
                selected,
                held: draft.kept.contains(&member),
                replicas: row.map_or(0, |b| b.shares.iter().sum()),
                cause: row.filter(|_| selected).map(|b| b.cause),
            }
        };
        out.push((known.id.clone(), known.name.to_string(), explained));
    }
    out
}

/// The detail of a refusal, with figures where the request may know them.
fn detail(cycle: &Cycle<'_>, request: &Request, refusal: Option<&Refusal>, plain: &str) -> String {
    let Some(refusal) = refusal else { return plain.to_owned() };
    let node = cycle.node_name(request, refusal.node);
    if !cycle.may_know(request, refusal.node) {
        return format!("{plain}: {node}");
    }
    let text = |amount| crate::types::resources::amount_text(plain, amount);
    let (needed, free) = (text(refusal.needed), text(refusal.free));
    match refusal.reason {
        Reason::Fragmented => format!("{needed} {plain} needed, largest node of {node} has {free} free"),
        _ => format!("{needed} {plain} needed, {node} has {free} free"),
    }
}

/// Host names as a request may know them: its own by name, others as `h-<n>`.
struct Tokens {
    tokens: BTreeMap<usize, String>,
}

impl Tokens {
    fn new(cycle: &Cycle<'_>, request: &Request, visible: &Bits) -> Self {
        let roots: BTreeSet<usize> = visible.iter().map(|m| cycle.fleet.root(m)).collect();
        let name = |(n, root): (usize, usize)| {
            let known = cycle.may_know(request, root);
            (root, if known { cycle.fleet.members[root].name.to_string() } else { format!("h-{}", n + 1) })
        };
        Self { tokens: roots.into_iter().enumerate().map(name).collect() }
    }

    fn domains(&self, cycle: &Cycle<'_>, request: &Request, member: usize) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for rule in &request.spread {
            let key = rule.topology.as_str();
            let value = match key {
                crate::spread::HOST => self.tokens.get(&cycle.fleet.root(member)).cloned(),
                crate::spread::MEMBER => Some(cycle.fleet.members[member].name.to_string()),
                _ => {
                    let label = cycle.fleet.members[member].labels.get(key).cloned();
                    label.or_else(|| {
                        crate::filter::properties::property(&cycle.fleet, member, key).map(|v| v.into_owned())
                    })
                }
            };
            out.extend(value.map(|v| (key.to_owned(), v)));
        }
        out
    }
}

fn hint(cycle: &Cycle<'_>, r: usize, draft: &Draft, outcome: &Outcome) -> Option<Hint> {
    if outcome.verdict == Verdict::Placed {
        return None;
    }
    let request = cycle.requests[r];
    if !outcome.blocked_by.is_empty() {
        return Some(Hint::Domain { topology: outcome.blocked_by.clone() });
    }
    let missing = |f: &&Refusal| f.needed - f.free;
    let smallest = draft.refusals.values().min_by_key(|f| (missing(f), f.node)).or(draft.refusal.as_ref());
    if let Some(refusal) = smallest {
        return Some(Hint::Room {
            resource: cycle.names.name(refusal.resource).to_owned(),
            node: cycle.node_name(request, refusal.node),
            more: cycle.may_know(request, refusal.node).then(|| missing(&refusal)),
            fragmented: refusal.reason == Reason::Fragmented,
        });
    }
    if !outcome.unknown.is_empty() {
        return Some(Hint::Names(outcome.unknown.clone()));
    }
    let largest =
        draft.filtered.refused.iter().max_by_key(|f| (f.reason != Reason::NotMatched, f.members.count()));
    match largest {
        Some(f) => {
            let members = f.members.count() as u32;
            Some(Hint::Lift { filter: f.reason, detail: f.detail.to_string(), members })
        }
        None if draft.unplaced > 0 => Some(Hint::Room {
            resource: "replicas".to_owned(),
            node: "replicas.max".to_owned(),
            more: Some(i64::from(draft.unplaced)),
            fragmented: false,
        }),
        None => Some(Hint::NoMembers),
    }
}
