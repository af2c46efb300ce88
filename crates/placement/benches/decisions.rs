//! Decisions per second (placement 10, goal 1): a plain program that prints a table; no test asserts a time.
//!
//! The mix: 30 % All, 50 % Count 10 with two preferences and a spread, 20 % Divided; one core, one batch. Two numbers
//! after `--` are members and requests of one run instead, for a profiler.

use skerry_placement::*;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

const REGIONS: [&str; 5] = ["eu-north-1", "eu-west-1", "us-east-1", "us-west-2", "ap-south-1"];

fn amounts(cpu: i64, memory: i64, pods: i64) -> Resources {
    Resources([("cpu".into(), cpu), ("memory".into(), memory), ("pods".into(), pods)].into())
}

fn member(i: usize) -> Member {
    let total = amounts(400_000_000, 1 << 50, 100_000_000);
    let shapes = (1..=4)
        .map(|s| NodeShape {
            free: amounts(s * 4_000_000, s << 44, 1_000_000),
            count: 30,
            ..NodeShape::default()
        })
        .collect();
    let used = amounts((i as i64 * 7919) % 200_000_000, (i as i64 * 104_729) % (1 << 49), 0);
    let figures = Figures { allocatable: total.clone(), ceiling: total, used, shapes, ..Figures::default() };
    let tier = if i.is_multiple_of(3) { "gold" } else { "iron" };
    let kinds = ["Deployment", "StatefulSet", "DaemonSet"].map(str::to_owned).into();
    Member {
        id: format!("member-{i:05}").as_str().into(),
        name: MemberName { namespace: "skerry-inventory".into(), name: format!("m-{i:05}").into() },
        labels: [("tier".into(), tier.into()), ("region".into(), REGIONS[i % 5].into())].into(),
        properties: [("price".into(), (i % 97).to_string())].into(),
        version: "v1.36.1".into(),
        apis: Some(vec![Api { group_version: "apps/v1".into(), kinds }]),
        report: Report { capacity: Capacity::Known(figures), ..Report::default() },
        ..Member::default()
    }
}

fn request(i: usize) -> Request {
    let pod = PodNeed {
        target: "apps/Deployment/web".into(),
        replicas: 2,
        divisible: true,
        request: amounts(100, 64 << 20, 0),
        ..PodNeed::default()
    };
    let base = Request {
        id: format!("6f9619ff-8b86-d011-b42d-{i:012}").as_str().into(),
        scope: Scope::Cluster,
        name: format!("p{i}"),
        generation: 1,
        needs: Needs { mode: NeedsMode::Derived, pods: vec![pod] },
        apis: vec![ApiNeed { group_version: "apps/v1".into(), kind: "Deployment".into() }],
        ..Request::default()
    };
    let gold =
        LabelSelector { match_labels: [("tier".into(), "gold".into())].into(), ..LabelSelector::default() };
    match i % 10 {
        0..3 => base,
        3..8 => Request {
            select: Select { mode: Mode::Count(SelectCount::Number(10)), ..Select::default() },
            preferred: vec![
                Preferred { weight: 40, by: PreferredBy::Term(gold.into()) },
                Preferred {
                    weight: 20,
                    by: PreferredBy::Sort(Sort { property: "price".into(), order: Order::Ascending }),
                },
            ],
            spread: vec![Spread {
                topology: "region".into(),
                max_skew: 1,
                when_unsatisfiable: Unsatisfiable::DoNotSchedule,
                min_domains: 0,
                max_domains: 0,
                weight: 30,
            }],
            ..base
        },
        _ => {
            let mut divided =
                Request { replicas: Replicas { mode: ReplicasMode::Divided, ..Replicas::default() }, ..base };
            divided.needs.pods[0].replicas = 100;
            divided
        }
    }
}

fn run(members: usize, requests: usize) -> (u128, usize) {
    let fleet = Snapshot { members: (0..members).map(|i| Arc::new(member(i))).collect() };
    let config = Config::default();
    let input = Input {
        at: 0,
        seed: 42,
        config: &config,
        fleet: &fleet,
        requests: (0..requests).map(request).collect(),
        evaluate: None,
        blocked: Default::default(),
        held: Vec::new(),
        claims: Vec::new(),
        changes: &[],
    };
    let start = clock();
    let planned = plan(&input, &Plan::default());
    let micros = ((clock() - start) / 1000).max(1);
    (micros, planned.decisions.iter().map(|d| d.picks.len()).sum())
}

/// Nanoseconds that this thread has spent on a core, so that a busy machine does not count; elsewhere than on Linux
/// the wall clock.
fn clock() -> u128 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let on_core = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_core = on_core.and_then(|text| text.split(' ').next()?.parse().ok());
    on_core.unwrap_or_else(|| START.elapsed().as_nanos())
}

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let (sizes, rounds) = match asked[..] {
        [members, requests] => (vec![(members, requests)], 1),
        _ => (vec![(1_000, 2_000), (10_000, 500)], 3),
    };
    println!("{:>8} {:>9} {:>9} {:>12} {:>12}", "members", "requests", "picks", "core ms", "decisions/s");
    for (members, requests) in sizes {
        let mut best = u128::MAX;
        let mut picks = 0;
        for _ in 0..rounds {
            let (micros, count) = run(members, requests);
            best = best.min(micros);
            picks = count;
        }
        let per_second = requests as u128 * 1_000_000 / best;
        println!("{members:>8} {requests:>9} {picks:>9} {:>12} {per_second:>12}", best / 1000);
    }
}
