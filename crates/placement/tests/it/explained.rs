//! Placement 47: explanations.

use crate::properties::{Dice, random_world};
use crate::support::*;
use skerry_placement::*;

fn explained(world: &World, name: &str) -> Explanation {
    let planned = world.plan();
    explain(&world.input(), &planned, &name.into()).unwrap()
}

#[test]
fn placement_47_one_verdict_per_member_and_terms_add_up() {
    for seed in 0..150 {
        let mut dice = Dice::new(seed);
        let mut world = random_world(&mut dice);
        for _ in 0..2 {
            let planned = world.plan();
            for request in &world.requests {
                let explanation = explain(&world.input(), &planned, &request.id).unwrap();
                let decision = planned.decision(&request.id).unwrap();
                assert_eq!(explanation.outcome, decision.outcome, "seed {seed}: the same evaluation");
                assert_eq!(explanation.tally, decision.tally, "seed {seed}");
                let seen = world.fleet.visible_to(request.eyes(), &request.grants).count();
                assert_eq!(explanation.members.len(), seen, "seed {seed}: one verdict each");
                for (member, _, verdict) in &explanation.members {
                    let picked = decision.picks.iter().find(|p| p.member == *member);
                    if let Explained::Scored { terms, total, rank, selected, .. } = verdict {
                        assert_eq!(
                            terms.iter().map(|t| t.value * t.weight).sum::<i64>(),
                            *total,
                            "seed {seed}"
                        );
                        assert_eq!(*selected, picked.is_some(), "seed {seed}");
                        assert!(
                            picked.is_none_or(|p| (p.score.total, p.score.rank) == (*total, *rank)),
                            "seed {seed}"
                        );
                    } else {
                        assert!(picked.is_none(), "seed {seed}");
                    }
                }
                let missing = decision.outcome.verdict != Verdict::Placed;
                assert_eq!(explanation.hint.is_some(), missing, "seed {seed}: a hint for each shortfall");
            }
            world.commit(&planned);
        }
    }
}

#[test]
fn placement_47_figures_and_hints() {
    let mut world = World::of([host("h", 8, 4), member("m")]);
    world.edit("h", |m| m.owner_namespace = Some(TEAM.into()));
    world.edit("m", |m| m.cordoned = true);
    world.requests.push(Request { select: count(1), needs: web(1, 4_000), ..request("web") });
    let explanation = explained(&world, "web");
    let texts: Vec<_> = explanation
        .members
        .iter()
        .map(|(_, name, verdict)| match verdict {
            Explained::Filtered { filter, detail } => format!("{name} {filter:?} {detail}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        texts,
        ["skerry.h Fragmented 4 cpu needed, largest node of skerry.h has 2 free", "skerry.m Cordoned "]
    );
    let room =
        Hint::Room { resource: "cpu".into(), node: "skerry.h".into(), more: Some(2_000), fragmented: true };
    assert_eq!(explanation.hint, Some(room));

    let mut tainted = World::equal(3).with(request("web"));
    for id in ["m00", "m01", "m02"] {
        tainted.edit(id, |m| {
            let (key, value) = ("maintenance".to_owned(), String::new());
            m.taints.push(Taint { key, value, effect: TaintEffect::NoSchedule, time_added: 0 });
        });
    }
    let lift = Hint::Lift { filter: Reason::UntoleratedTaint, detail: "maintenance".into(), members: 3 };
    assert_eq!(explained(&tainted, "web").hint, Some(lift));
    let nothing = World::default().with(request("web"));
    assert_eq!(explained(&nothing, "web").hint, Some(Hint::NoMembers));
}

/// A tenant's explanation names no host and no member of others, and gives no figure of a host.
#[test]
fn placement_47_a_tenant_sees_no_foreign_name() {
    let mut world =
        World::of([host("secret-host", 10, 1), virt("mine", "secret-host"), virt("foreign", "secret-host")]);
    world.edit("foreign", |m| m.owner_namespace = Some("team-b".into()));
    world.requests.push(Request {
        namespace: "team-b".into(),
        needs: web(1, 9_000),
        select: count(1),
        ..request("theirs")
    });
    world.requests.push(Request { needs: web(1, 5_000), spread: vec![hard(HOST, 1)], ..request("web") });
    world.step();
    let explanation = explained(&world, "web");
    assert_eq!(explanation.outcome.verdict, Verdict::Insufficient);
    assert_eq!(explanation.tally.hidden, 2);
    let text =
        serde_json::to_string(&(&explanation.members, &explanation.hint, &explanation.outcome)).unwrap();
    for foreign in ["secret-host", "foreign", "theirs", "9", "10"] {
        assert!(!text.contains(foreign), "{foreign} in {text}");
    }
    assert!(text.contains("shared host"));
    world.edit("secret-host", |m| m.report = report(100, 1));
    let text = serde_json::to_string(&explained(&world, "web").members).unwrap();
    assert!(text.contains("h-1") && !text.contains("secret-host"), "{text}");
}
