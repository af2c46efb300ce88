//! The checker (Y4): the rules of a plan stated a second time, apart from the code that makes plans. It imports the
//! types and nothing of the planner (a test reads its `use` lines), so a mistake there cannot hide here.
//!
//! Invariants of features that come later (I7 gangs, I8 relations, I9 quota and cap, I11 victims) come with them.

mod capacity;
mod members;
mod objects;
mod paper;
mod shares;
mod spread;

use crate::types::{Decision, Held, Input, Member, MemberId, Plan, Request, RequestId, State};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// `I1` … `I16`.
    pub id: &'static str,
    /// The request it concerns; `None` concerns the whole plan.
    pub request: Option<RequestId>,
    /// What exactly.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.request {
            Some(request) => write!(f, "{} {request}: {}", self.id, self.detail),
            None => write!(f, "{}: {}", self.id, self.detail),
        }
    }
}

/// Checks a plan that was made live (without what-if changes) from `input`; nothing to report is an empty list.
pub fn check(input: &Input<'_>, parent: &Plan, plan: &Plan) -> Vec<Violation> {
    let facts = Facts::new(input, plan);
    let mut found = Vec::new();
    capacity::check(&facts, &mut found);
    members::check(&facts, &mut found);
    spread::check(&facts, &mut found);
    shares::check(&facts, &mut found);
    objects::check(&facts, &mut found);
    paper::check(&facts, parent, &mut found);
    found.sort();
    found.dedup();
    found
}

/// I16: `again` is what planning makes of the input that follows from the checked plan, at the same time.
pub fn check_again(again: &Plan) -> Vec<Violation> {
    let restless = again.decisions.iter().filter(|d| !d.is_empty());
    let detail = "planning again would change it".to_owned();
    restless
        .map(|d| Violation { id: "I16", request: Some(d.request.clone()), detail: detail.clone() })
        .collect()
}

/// Input and plan, found by key.
struct Facts<'a> {
    input: &'a Input<'a>,
    plan: &'a Plan,
    members: BTreeMap<&'a MemberId, &'a Member>,
    requests: BTreeMap<&'a RequestId, &'a Request>,
    decisions: BTreeMap<&'a RequestId, &'a Decision>,
    held: BTreeMap<(&'a RequestId, &'a MemberId), &'a Held>,
}

impl<'a> Facts<'a> {
    fn new(input: &'a Input<'a>, plan: &'a Plan) -> Self {
        Self {
            members: input.fleet.members.iter().map(|m| (&m.id, &**m)).collect(),
            requests: input.requests.iter().map(|r| (&r.id, r)).collect(),
            decisions: plan.decisions.iter().map(|d| (&d.request, d)).collect(),
            held: input.held.iter().map(|h| ((&h.request, &h.member), h)).collect(),
            input,
            plan,
        }
    }

    /// Decisions on requests that are still there.
    fn live(&self) -> impl Iterator<Item = (&'a Request, &'a Decision)> + '_ {
        self.decisions.iter().filter_map(|(id, d)| Some((*self.requests.get(id)?, *d)))
    }

    /// Bindings of a request that were Bound before.
    fn bound<'s>(&'s self, id: &'s RequestId) -> impl Iterator<Item = &'a Held> + 's {
        let mine = self.held.iter().filter(move |((request, _), _)| *request == id).map(|(_, h)| *h);
        mine.filter(|h| h.state == State::Bound)
    }
}

fn violation(id: &'static str, request: &RequestId, detail: impl Into<String>) -> Violation {
    Violation { id, request: Some(request.clone()), detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Placement Y4: the checker imports the types, the digest and its own files; nothing of the planner.
    #[test]
    fn the_checker_imports_nothing_of_the_planner() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check");
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            files += 1;
            for line in fs::read_to_string(&path).unwrap().lines() {
                let line = line.trim();
                if line.starts_with("use ") || line.starts_with("pub use ") {
                    let allowed = ["std::", "serde::", "crate::types::", "crate::digest::", "super::"];
                    let path = line.trim_start_matches("pub ").trim_start_matches("use ");
                    assert!(allowed.iter().any(|a| path.starts_with(a)), "{name}: {line}");
                } else if name != "mod.rs" {
                    assert!(line.starts_with("//") || !line.contains("crate::"), "{name}: {line}");
                }
            }
        }
        assert!(files >= 7);
    }
}
