//! Scripts with golden outputs: placement 50, 51. `UPDATE_EXPECT=1` writes them anew.

use crate::support::*;
use skerry_placement::*;
use std::fmt::Write;
use std::path::Path;

fn text(world: &World, planned: &Plan, title: &str) -> String {
    let mut out = format!("== {title}\n");
    for decision in &planned.decisions {
        let outcome = &decision.outcome;
        let _ = write!(
            out,
            "{}: {:?}, {} of {}",
            decision.request, outcome.verdict, outcome.selected, outcome.wanted
        );
        if outcome.replicas > 0 {
            let _ = write!(out, ", {} of {} replicas", outcome.replicas - outcome.unplaced, outcome.replicas);
        }
        if let Some(tight) = &outcome.tightest {
            let _ = write!(out, ", tightest {} of {}", tight.resource, tight.node);
        }
        let _ = writeln!(out, ", {} visible, {} not", decision.tally.visible, decision.tally.hidden);
        for pick in &decision.picks {
            let shares: Vec<String> = pick.shares.iter().map(|s| format!(" x{}", s.replicas)).collect();
            let _ = writeln!(out, "  {:?} {} {:?}{}", pick.step, pick.member, pick.cause, shares.concat());
        }
        for drop in &decision.drops {
            let _ = writeln!(out, "  Drop {} {:?}", drop.member, drop.cause);
        }
        if let Some(explanation) = explain(&world.input(), planned, &decision.request) {
            explained(&mut out, &explanation);
        }
    }
    for row in &planned.ledger.0 {
        let _ = writeln!(out, "ledger {} {} {} -> {}", row.node, row.resource, row.before, row.after);
    }
    out
}

fn explained(out: &mut String, explanation: &Explanation) {
    for (member, _, verdict) in &explanation.members {
        let _ = write!(out, "    {member}: ");
        let _ = match verdict {
            Explained::Filtered { filter, detail } => writeln!(out, "{filter:?} {detail}"),
            Explained::Leaving { cause } => writeln!(out, "leaving {cause:?}"),
            Explained::Scored { terms, total, rank, fits, selected, domains, .. } => {
                let shown: Vec<String> = terms
                    .iter()
                    .filter(|t| t.value != 0)
                    .map(|t| format!("{} {}", t.term, t.value * t.weight))
                    .collect();
                let mark = if *selected { "selected" } else { "not needed" };
                let hosts: Vec<&str> = domains.values().map(String::as_str).collect();
                writeln!(
                    out,
                    "{mark}, rank {rank}, total {total} ({}), fits {fits} {}",
                    shown.join(", "),
                    hosts.join(" ")
                )
            }
        };
    }
    if let Some(hint) = &explanation.hint {
        let _ = writeln!(out, "    hint: {hint:?}");
    }
}

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>(), "{}", path.display());
}

#[test]
fn placement_50_script_01_first_fit() {
    let mut world = World { seed: 1, ..World::default() };
    for h in 0..3 {
        world.join(host(&format!("h{h}"), 8, 2));
        for v in 0..3 {
            let team = if v == 2 { "team-b" } else { TEAM };
            let mut m = virt(&format!("h{h}v{v}"), &format!("h{h}"));
            m.owner_namespace = Some(team.into());
            m.labels = [("tier".into(), if v == 0 { "gold" } else { "iron" }.into())].into();
            world.join(m);
        }
    }
    let placements = [
        Request { select: count(2), needs: web(2, 1_000), spread: vec![hard(HOST, 1)], ..request("1-shop") },
        Request {
            select: count(1),
            needs: web(1, 4_000),
            preferred: vec![Preferred { weight: 40, by: PreferredBy::Term(labels(&[("tier", "gold")])) }],
            ..request("2-database")
        },
        Request { namespace: "team-b".into(), needs: web(1, 500), ..request("3-agent") },
        Request {
            replicas: Replicas { mode: ReplicasMode::Divided, ..Replicas::default() },
            needs: web(12, 1_000),
            ..request("4-train")
        },
        Request { select: count(1), needs: web(1, 6_000), ..request("5-giant") },
    ];
    let mut out = String::new();
    for placement in placements {
        let title = format!("{} joins", placement.name);
        world.evaluate = Some([placement.id.clone()].into());
        world.requests.push(placement);
        let before = world.clone();
        let planned = world.step();
        out.push_str(&text(&before, &planned, &title));
        world.deliver();
    }
    golden("01-first-fit.txt", &out);
}

#[test]
fn placement_51_script_02_fifty_on_one() {
    let mut world = World::of([host("h", 10, 2)]);
    for i in 0..50 {
        world.join(virt(&format!("v{i:02}"), "h"));
    }
    let mut out = String::new();
    let line = |out: &mut String, planned: &Plan, what: &str| {
        let _ = writeln!(out, "== {what}");
        for decision in planned.decisions.iter().filter(|d| !d.is_empty() || !d.outcome.placed()) {
            let members: Vec<String> =
                decision.picks.iter().map(|p| format!("{:?} {}", p.step, p.member)).collect();
            let gone: Vec<String> =
                decision.drops.iter().map(|d| format!("Drop {} {:?}", d.member, d.cause)).collect();
            let all = [members, gone].concat().join(", ");
            let _ = writeln!(out, "{}: {:?} {all}", decision.request, decision.outcome.verdict);
        }
    };
    for i in 0..7 {
        world.requests.push(Request { select: count(1), needs: web(1, 2_000), ..request(&format!("p{i}")) });
        let planned = world.step();
        line(&mut out, &planned, &format!("p{i} joins"));
        world.deliver();
    }
    world.requests.retain(|r| r.name != "p1");
    let planned = world.step();
    line(&mut out, &planned, "p1 is deleted, its copy is still there");
    world.deliver();
    let planned = world.step();
    line(&mut out, &planned, "its copy is gone");
    golden("02-fifty-on-one.txt", &out);
}
