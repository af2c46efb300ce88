//! Properties over random worlds: placement 40, 41, 46.

use crate::support::*;
use proptest::prelude::*;
use skerry_placement::wake::Index;
use skerry_placement::*;
use std::collections::BTreeSet;

/// A small source of choices, so that a world is one number.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    pub fn of<'t, T>(&mut self, list: &'t [T]) -> &'t T {
        &list[self.roll(list.len() as u64) as usize]
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.roll(i as u64 + 1) as usize);
        }
    }
}

const TEAMS: [&str; 2] = ["team-a", "team-b"];
const ZONES: [&str; 3] = ["a", "b", "c"];
const TIERS: [&str; 2] = ["gold", "iron"];

fn random_member(dice: &mut Dice, id: &str, hosts: u64) -> Member {
    let mut m = if hosts > 0 && !dice.one_in(4) {
        virt(id, &format!("h{}", dice.roll(hosts)))
    } else {
        let nodes = 1 + dice.roll(3) as u32;
        Member { report: report(2 + dice.roll(10) as i64, nodes), ..member(id) }
    };
    m.owner_namespace = Some((*dice.of(&TEAMS)).to_owned());
    dress(dice, &mut m);
    m
}

fn dress(dice: &mut Dice, m: &mut Member) {
    m.labels.insert("tier".into(), (*dice.of(&TIERS)).into());
    if !dice.one_in(5) {
        m.labels.insert("zone".into(), (*dice.of(&ZONES)).into());
    }
    m.properties.insert("price".into(), dice.roll(9).to_string());
    m.cluster_set = dice.one_in(3).then(|| "edge".to_owned());
    m.health = if dice.one_in(8) { Health::LinkLost } else { Health::Healthy };
    m.cordoned = dice.one_in(8);
    m.leaving = dice.one_in(15);
    m.falls = dice.roll(3) as u32;
    m.taints.clear();
    if dice.one_in(5) {
        let effect =
            *dice.of(&[TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute]);
        m.taints.push(Taint { key: "t".into(), value: String::new(), effect, time_added: 0 });
    }
}

fn random_request(dice: &mut Dice, name: &str) -> Request {
    let mut r = request(name);
    r.namespace = (*dice.of(&TEAMS)).to_owned();
    r.scope = if dice.one_in(5) { Scope::Cluster } else { Scope::Namespace };
    if dice.one_in(3) {
        r.grants = vec!["edge".into()];
    }
    respec(dice, &mut r);
    r
}

fn respec(dice: &mut Dice, r: &mut Request) {
    r.needs = if dice.one_in(6) {
        Needs::default()
    } else {
        web(1 + dice.roll(4) as u32, 250 * (1 + dice.roll(6) as i64))
    };
    if dice.one_in(5) && r.needs.mode == NeedsMode::Derived && !r.needs.pods.is_empty() {
        let side = PodNeed {
            target: "batch/CronJob/side".into(),
            replicas: 1,
            request: cpu(100),
            ..PodNeed::default()
        };
        r.needs.pods.push(side);
    }
    r.select = match dice.roll(6) {
        0 | 1 => Select::default(),
        2 => fixed(&["skerry.m00", "skerry.m01", "skerry.m03"]),
        3 => Select { mode: Mode::Count(SelectCount::Percent(50)), ..Select::default() },
        _ => count(dice.roll(5) as u32),
    };
    if dice.one_in(6) {
        r.select.when_short = WhenShort::Refuse;
    }
    r.groups = if dice.one_in(2) { group(vec![labels(&[("tier", *dice.of(&TIERS))])]) } else { Vec::new() };
    r.when_unmatched = if dice.one_in(2) { Unmatched::Evict } else { Unmatched::Keep };
    r.tolerations = Vec::new();
    if dice.one_in(4) {
        r.tolerations.push(Toleration {
            key: "t".into(),
            operator: TolerationOperator::Exists,
            ..Toleration::default()
        });
    }
    r.preferred = Vec::new();
    if dice.one_in(2) {
        let sort = Sort { property: "price".into(), order: Order::Ascending };
        r.preferred.push(Preferred { weight: 10, by: PreferredBy::Sort(sort) });
        r.preferred.push(Preferred { weight: -5, by: PreferredBy::Term(labels(&[("tier", "iron")])) });
    }
    r.spread = match dice.roll(5) {
        0 => vec![hard("zone", 1 + dice.roll(2) as u32)],
        1 => vec![soft("zone"), hard(HOST, 2)],
        _ => Vec::new(),
    };
    let objects = ["x", "y", "z"];
    r.objects = if dice.one_in(4) { vec![(*dice.of(&objects)).to_owned()] } else { Vec::new() };
    r.replicas = Replicas::default();
    if dice.one_in(3) {
        r.replicas.mode = ReplicasMode::Divided;
        r.replicas.by =
            *dice.of(&[DivideBy::Capacity, DivideBy::Even, DivideBy::Weighted, DivideBy::Aggregated]);
        r.replicas.weights = vec![
            WeightRule { term: labels(&[("tier", "gold")]), weight: 3 },
            WeightRule { term: Term::default(), weight: 1 },
        ];
        r.replicas.min = dice.roll(3) as u32;
        r.replicas.max = if dice.one_in(3) { 3 } else { 0 };
        r.needs = web(dice.roll(9) as u32, 500);
    }
}

pub fn random_world(dice: &mut Dice) -> World {
    let hosts = dice.roll(3);
    let mut world = World::of((0..hosts).map(|h| {
        let mut m = host(&format!("h{h}"), 2 + dice.roll(12) as i64, 1 + dice.roll(3) as u32);
        m.host_only = dice.one_in(2);
        m
    }));
    for i in 0..1 + dice.roll(7) {
        let m = random_member(dice, &format!("m{i:02}"), hosts);
        world.join(m);
    }
    for i in 0..1 + dice.roll(5) {
        let r = random_request(dice, &format!("p{i}"));
        world.requests.push(r);
    }
    world.seed = dice.roll(100);
    world
}

/// One random change of the world between two cycles.
fn random_delta(dice: &mut Dice, world: &mut World) {
    let ids: Vec<String> = world.fleet.members.iter().map(|m| m.id.to_string()).collect();
    let id = if ids.is_empty() { String::new() } else { dice.of(&ids).clone() };
    let hosts = ids.iter().filter(|i| i.starts_with('h')).count() as u64;
    match dice.roll(12) {
        0 => {
            let name = format!("m{:02}", dice.roll(12));
            if !ids.contains(&name) {
                let m = random_member(dice, &name, hosts);
                world.join(m);
            }
        }
        1 if id.starts_with('m') => world.leave(&id),
        2 | 3 if id.starts_with('m') => {
            let mut choice = dice.clone();
            let fresh = std::cell::RefCell::new(&mut choice);
            world.edit(&id, |m| dress(&mut fresh.borrow_mut(), m));
            dice.roll(7);
        }
        4 | 5 => {
            let cores = 1 + dice.roll(14) as i64;
            let real = world.fleet.members.iter().any(|m| *m.id.0 == *id && m.parents.is_empty());
            if real {
                world.edit(&id, |m| m.report = report(cores, 2));
            }
        }
        6 => {
            let i = dice.roll(20);
            if !world.requests.iter().any(|r| r.name == format!("p{i}")) {
                let r = random_request(dice, &format!("p{i}"));
                world.requests.push(r);
            }
        }
        7 | 8 if !world.requests.is_empty() => {
            let i = dice.roll(world.requests.len() as u64) as usize;
            respec(dice, &mut world.requests[i]);
            world.requests[i].generation += 1;
        }
        9 if !world.requests.is_empty() => {
            let i = dice.roll(world.requests.len() as u64) as usize;
            if dice.one_in(3) {
                world.requests.remove(i);
            } else {
                world.requests[i].replan.push('+');
            }
        }
        10 if !world.held.is_empty() => {
            let i = dice.roll(world.held.len() as u64) as usize;
            if world.held[i].state == State::Bound {
                world.held[i].eviction = Some(Eviction { cause: OutCause::Evicted });
            }
        }
        _ => {
            world.deliver();
            world.at += 1_000;
        }
    }
}

fn shuffled(dice: &mut Dice, world: &World) -> World {
    let mut other = world.clone();
    dice.shuffle(&mut other.fleet.members);
    dice.shuffle(&mut other.requests);
    dice.shuffle(&mut other.held);
    dice.shuffle(&mut other.claims);
    for member in &mut other.fleet.members {
        let member = std::sync::Arc::make_mut(member);
        dice.shuffle(&mut member.taints);
        if let Capacity::Known(figures) = &mut member.report.capacity {
            dice.shuffle(&mut figures.shapes);
            dice.shuffle(&mut figures.seen);
        }
    }
    for request in &mut other.requests {
        dice.shuffle(&mut request.needs.pods);
        dice.shuffle(&mut request.spread);
        dice.shuffle(&mut request.tolerations);
        if let Mode::Fixed(names) = &mut request.select.mode {
            dice.shuffle(names);
        }
        request.groups.iter_mut().for_each(|g| dice.shuffle(&mut g.any));
    }
    other
}

/// Runs a property on so many worlds; `PLACEMENT_SEEDS=from..to` runs others.
fn run(cases: u64, test: impl Fn(Dice) -> Result<(), TestCaseError>) {
    let wish = std::env::var("PLACEMENT_SEEDS").unwrap_or_default();
    let (from, to) =
        wish.split_once("..").map_or((0, cases), |(a, b)| (a.parse().unwrap(), b.parse().unwrap()));
    for seed in from..to {
        if let Err(error) = test(Dice::new(seed)) {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn placement_40_order_never_matters() {
    run(300, |mut dice| {
        let mut world = random_world(&mut dice);
        for _ in 0..3 {
            let planned = world.plan();
            let other = shuffled(&mut dice, &world).plan();
            prop_assert_eq!(&planned, &other);
            prop_assert_eq!(serde_json::to_vec(&planned).unwrap(), serde_json::to_vec(&other).unwrap());
            world.commit(&planned);
            random_delta(&mut dice, &mut world);
        }
        Ok(())
    });
}

fn bindings(world: &World) -> Vec<Held> {
    let mut held = world.held.clone();
    held.sort_by(|a, b| (&a.request, &a.member).cmp(&(&b.request, &b.member)));
    held
}

#[test]
fn placement_41_incremental_is_from_nothing() {
    run(120, |mut dice| {
        let mut world = random_world(&mut dice);
        let mut index = Index::default();
        for _ in 0..10 {
            let woken: BTreeSet<RequestId> = index.woken(&world.input()).into_keys().collect();
            let mut all = world.clone();
            let whole = all.plan();
            all.commit(&whole);
            world.evaluate = Some(woken.clone());
            world.blocked = index.blocked();
            let part = world.plan();
            let violations = world.violations(&part);
            prop_assert!(violations.is_empty(), "{violations:#?}\n{}", world.restless(&part));
            let last = world.parent.clone();
            let input = world.input();
            index.note(&input, &part);
            world.commit(&part);
            let (got, want) = (bindings(&world), bindings(&all));
            prop_assert!(
                got == want,
                "last {:#?}\n requests {:#?}\n woken {woken:?}\n got {got:#?}\n want {want:#?}\n of {whole:#?}",
                last,
                all.requests
            );
            (world.evaluate, world.blocked) = (None, BTreeSet::new());
            for _ in 0..1 + dice.roll(2) {
                random_delta(&mut dice, &mut world);
            }
        }
        Ok(())
    });
}

#[test]
fn placement_46_random_plans_break_nothing() {
    run(400, |mut dice| {
        let mut world = random_world(&mut dice);
        for _ in 0..5 {
            let planned = world.plan();
            let violations = world.violations(&planned);
            prop_assert!(violations.is_empty(), "{violations:#?}\n{}", world.restless(&planned));
            world.commit(&planned);
            random_delta(&mut dice, &mut world);
        }
        Ok(())
    });
}
