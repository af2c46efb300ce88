//! A small world to plan in: members, requests, bindings, and a clock that stands still.

use skerry_placement::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Namespace that owns the tests' virtual members.
pub const TEAM: &str = "team-a";

#[derive(Clone, Default)]
pub struct World {
    pub at: Millis,
    pub seed: u64,
    pub config: Config,
    pub fleet: Snapshot,
    pub requests: Vec<Request>,
    pub evaluate: Option<BTreeSet<RequestId>>,
    pub blocked: BTreeSet<RequestId>,
    pub held: Vec<Held>,
    pub claims: Vec<Claim>,
    pub parent: Plan,
}

pub fn cpu(millis: i64) -> Resources {
    Resources([("cpu".into(), millis)].into())
}

/// A capacity report of so many cores on so many equal nodes.
pub fn report(cores: i64, nodes: u32) -> Report {
    let ceiling = cpu(cores * 1000);
    let each = cores * 1000 / i64::from(nodes.max(1));
    let shapes = vec![NodeShape { free: cpu(each), count: nodes, ..NodeShape::default() }];
    let figures = Figures { allocatable: ceiling.clone(), ceiling, shapes, ..Figures::default() };
    Report { capacity: Capacity::Known(figures), ..Report::default() }
}

pub fn member(id: &str) -> Member {
    let name = MemberName { namespace: "skerry-inventory".into(), name: format!("skerry.{id}").into() };
    Member {
        id: id.into(),
        name,
        owner_namespace: Some(TEAM.into()),
        report: report(100, 10),
        ..Member::default()
    }
}

pub fn virt(id: &str, host: &str) -> Member {
    let report = Report { capacity: Capacity::Known(Figures::default()), ..Report::default() };
    Member { parents: vec![host.into()], is_virtual: true, report, ..member(id) }
}

pub fn host(id: &str, cores: i64, nodes: u32) -> Member {
    Member { report: report(cores, nodes), owner_namespace: None, ..member(id) }
}

/// A Deployment `web` of so many pods of so many thousandths of a core.
pub fn web(replicas: u32, millis: i64) -> Needs {
    let pod = PodNeed {
        target: "apps/Deployment/web".into(),
        replicas,
        divisible: true,
        request: cpu(millis),
        ..PodNeed::default()
    };
    Needs { mode: NeedsMode::Derived, pods: vec![pod] }
}

pub fn request(name: &str) -> Request {
    Request {
        id: name.into(),
        namespace: TEAM.into(),
        name: name.into(),
        generation: 1,
        needs: web(1, 100),
        ..Request::default()
    }
}

pub fn count(n: u32) -> Select {
    Select { mode: Mode::Count(SelectCount::Number(n)), ..Select::default() }
}

pub fn fixed(names: &[&str]) -> Select {
    Select { mode: Mode::Fixed(names.iter().map(|n| (*n).to_owned()).collect()), ..Select::default() }
}

pub fn labels(pairs: &[(&str, &str)]) -> Term {
    let match_labels = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    LabelSelector { match_labels, ..LabelSelector::default() }.into()
}

pub fn group(terms: Vec<Term>) -> Vec<Group> {
    vec![Group { name: "g".into(), any: terms, exclude: Vec::new() }]
}

pub fn hard(topology: &str, max_skew: u32) -> Spread {
    Spread {
        topology: topology.into(),
        max_skew,
        when_unsatisfiable: Unsatisfiable::DoNotSchedule,
        min_domains: 0,
        max_domains: 0,
        weight: 30,
    }
}

pub fn soft(topology: &str) -> Spread {
    Spread { when_unsatisfiable: Unsatisfiable::ScheduleAnyway, ..hard(topology, 1) }
}

impl World {
    pub fn of(members: impl IntoIterator<Item = Member>) -> Self {
        let members = members.into_iter().map(Arc::new).collect();
        Self { fleet: Snapshot { members }, seed: 7, ..Self::default() }
    }

    /// `n` equal members `m00`, `m01`, ….
    pub fn equal(n: usize) -> Self {
        Self::of((0..n).map(|i| member(&format!("m{i:02}"))))
    }

    pub fn with(mut self, request: Request) -> Self {
        self.requests.push(request);
        self
    }

    pub fn edit(&mut self, id: &str, change: impl Fn(&mut Member)) {
        let mut found = 0;
        for member in self.fleet.members.iter_mut().filter(|m| &*m.id.0 == id) {
            change(Arc::make_mut(member));
            found += 1;
        }
        assert_eq!(found, 1, "{id}");
    }

    pub fn respec(&mut self, name: &str, change: impl Fn(&mut Request)) {
        let request = self.requests.iter_mut().find(|r| r.name == name).unwrap();
        change(request);
        request.generation += 1;
    }

    pub fn join(&mut self, member: Member) {
        self.fleet.members.push(Arc::new(member));
    }

    pub fn leave(&mut self, id: &str) {
        self.fleet.members.retain(|m| &*m.id.0 != id);
    }

    pub fn input(&self) -> Input<'_> {
        Input {
            at: self.at,
            seed: self.seed,
            config: &self.config,
            fleet: &self.fleet,
            requests: self.requests.clone(),
            evaluate: self.evaluate.clone(),
            blocked: self.blocked.clone(),
            held: self.held.clone(),
            claims: self.claims.clone(),
            changes: &[],
        }
    }

    pub fn plan(&self) -> Plan {
        plan(&self.input(), &self.parent)
    }

    /// Violations of a plan, with planning again.
    pub fn violations(&self, planned: &Plan) -> Vec<Violation> {
        let input = self.input();
        let mut found = check(&input, &self.parent, planned);
        let next = input.after(planned);
        let again = plan(&next, planned);
        found.extend(check_again(&again));
        found
    }

    /// What planning again would change, for people who look for the reason.
    pub fn restless(&self, planned: &Plan) -> String {
        let input = self.input();
        let again = plan(&input.after(planned), planned);
        let mut out = String::new();
        for decision in again.decisions.iter().filter(|d| !d.is_empty()) {
            let request = self.requests.iter().find(|r| r.id == decision.request);
            let first = planned.decision(&decision.request);
            out.push_str(&format!("{request:#?}\nfirst {first:#?}\nagain {decision:#?}\n"));
        }
        out
    }

    /// Plans, checks, commits.
    #[track_caller]
    pub fn step(&mut self) -> Plan {
        let planned = self.plan();
        let violations = self.violations(&planned);
        assert!(violations.is_empty(), "{violations:#?}");
        self.commit(&planned);
        planned
    }

    pub fn commit(&mut self, planned: &Plan) {
        let next = self.input().after(planned);
        let (requests, held) = (next.requests, next.held);
        (self.requests, self.held) = (requests, held);
        self.parent = planned.clone();
    }

    /// Everything bound runs, everything draining is gone. Reports do not follow: promises stand for the pods.
    pub fn deliver(&mut self) {
        self.held.retain(|h| h.state == State::Bound);
        for held in &mut self.held {
            (held.delivered, held.available) = (true, true);
        }
    }

    /// Plans and delivers until nothing changes; the last plan that changed something.
    #[track_caller]
    pub fn settle(&mut self) -> Plan {
        let mut last = self.step();
        for _ in 0..10 {
            self.deliver();
            let next = self.step();
            if next.is_empty() {
                return last;
            }
            last = next;
        }
        panic!("does not settle");
    }

    /// Ids of the members a request is bound to.
    pub fn bound(&self, name: &str) -> Vec<String> {
        let mine = self.held.iter().filter(|h| &*h.request.0 == name && h.state == State::Bound);
        let mut ids: Vec<String> = mine.map(|h| h.member.to_string()).collect();
        ids.sort();
        ids
    }

    /// Replicas by member of a divided request.
    pub fn shares(&self, name: &str) -> Vec<(String, u32)> {
        let mine = self.held.iter().filter(|h| &*h.request.0 == name && h.state == State::Bound);
        let mut out: Vec<_> =
            mine.map(|h| (h.member.to_string(), h.shares.iter().map(|s| s.replicas).sum())).collect();
        out.sort();
        out
    }

    /// Promised thousandths of a core below one host.
    pub fn promised(&self, root: &str) -> i64 {
        let on = |h: &&Held| {
            let member = self.fleet.members.iter().find(|m| m.id == h.member);
            member.is_some_and(|m| &*m.id.0 == root || m.parents.iter().any(|p| &*p.0 == root))
        };
        self.held.iter().filter(on).map(|h| h.promise.get("cpu")).sum()
    }
}

pub fn decision<'p>(plan: &'p Plan, name: &str) -> &'p Decision {
    plan.decision(&name.into()).unwrap_or_else(|| panic!("no decision on {name}"))
}

pub fn verdict(plan: &Plan, name: &str) -> Verdict {
    decision(plan, name).outcome.verdict
}

/// Members added by a plan.
pub fn added(plan: &Plan, name: &str) -> Vec<String> {
    let picks = decision(plan, name).picks.iter().filter(|p| p.step == Step::Add);
    picks.map(|p| p.member.to_string()).collect()
}

/// Members let go by a plan, with their causes.
pub fn dropped(plan: &Plan, name: &str) -> Vec<(String, OutCause)> {
    decision(plan, name).drops.iter().map(|d| (d.member.to_string(), d.cause)).collect()
}

/// Refusals of a plan as (reason, detail, count).
pub fn rejected(plan: &Plan, name: &str) -> Vec<(Reason, String, u32)> {
    let rejected = &decision(plan, name).tally.rejected;
    rejected.iter().map(|r| (r.reason, r.detail.to_string(), r.count)).collect()
}
