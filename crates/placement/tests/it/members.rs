//! Who can be picked: placement 1, 2, 4, 5, 13, 14, 16, 17, 18.

use crate::support::*;
use skerry_placement::*;

#[test]
fn placement_1_all_takes_every_healthy_untainted_visible_member() {
    let mut world = World::equal(6).with(request("web"));
    world.edit("m01", |m| m.health = Health::LinkLost);
    world.edit("m02", |m| m.taints.push(taint("maintenance", TaintEffect::NoSchedule)));
    world.edit("m03", |m| m.owner_namespace = Some("team-b".into()));
    world.edit("m04", |m| m.host_only = true);
    let plan = world.step();
    assert_eq!(world.bound("web"), ["m00", "m05"]);
    let decision = decision(&plan, "web");
    assert!(decision.outcome.placed() && decision.outcome.verdict == Verdict::Placed);
    assert_eq!((decision.tally.visible, decision.tally.hidden, decision.tally.eligible), (4, 1, 2));
    assert_eq!(
        rejected(&plan, "web"),
        [(Reason::Unhealthy, "LinkLost".into(), 1), (Reason::UntoleratedTaint, "maintenance".into(), 1)]
    );
    assert!(world.step().is_empty(), "nothing changed, nothing planned");
}

#[test]
fn placement_1_grants_open_cluster_sets_and_cluster_placements_see_all() {
    let mut world = World::equal(3).with(request("web"));
    world.edit("m00", |m| (m.owner_namespace, m.cluster_set) = (None, Some("edge".into())));
    world.edit("m01", |m| m.owner_namespace = None);
    world.step();
    assert_eq!(world.bound("web"), ["m02"]);
    world.respec("web", |r| r.grants = vec!["edge".into()]);
    world.step();
    assert_eq!(world.bound("web"), ["m00", "m02"]);
    world.respec("web", |r| r.scope = Scope::Cluster);
    world.step();
    assert_eq!(world.bound("web"), ["m00", "m01", "m02"]);
    // Out of sight for five minutes: kept, then let go, at the moment that the plan names.
    world.deliver();
    world.respec("web", |r| (r.scope, r.grants) = (Scope::Namespace, Vec::new()));
    for held in &mut world.held {
        held.hidden_since = (&*held.member.0 != "m02").then_some(0);
    }
    let plan = world.step();
    assert_eq!(plan.next_wake, Some(300_000));
    assert_eq!(world.bound("web").len(), 3);
    world.at = 300_000;
    let plan = world.step();
    assert_eq!(
        dropped(&plan, "web"),
        [("m00".into(), OutCause::NotMatched), ("m01".into(), OutCause::NotMatched)]
    );
}

fn taint(key: &str, effect: TaintEffect) -> Taint {
    Taint { key: key.into(), value: String::new(), effect, time_added: 0 }
}

fn tolerate(key: &str) -> Toleration {
    Toleration { key: key.into(), operator: TolerationOperator::Exists, ..Toleration::default() }
}

fn shop_world() -> World {
    let mut world = World::equal(6);
    for (id, region, tier, nodes) in [
        ("m00", "eu", "gold", 9),
        ("m01", "eu", "gold", 2),
        ("m02", "eu", "iron", 9),
        ("m03", "us", "gold", 9),
        ("m04", "us", "iron", 2),
    ] {
        world.edit(id, |m| {
            m.labels = [("region".into(), region.into()), ("tier".into(), tier.into())].into();
            m.ready_nodes = nodes;
        });
    }
    world
}

fn property(key: &str, operator: Operator, value: &str) -> PropertySelector {
    let expression = Expression { key: key.into(), operator, values: vec![value.into()] };
    PropertySelector { match_expressions: vec![expression], ..PropertySelector::default() }
}

#[test]
fn placement_2_terms_by_label_property_names_or_and_exclude() {
    let nodes = |n: &str| property("nodes-ready", Operator::Ge, n);
    let both = Term { property_selector: Some(nodes("3")), ..labels(&[("tier", "gold")]) };
    let named = |n: &str| Term { names: vec![n.into()], ..Term::default() };
    let not_iron = LabelSelector {
        match_expressions: vec![Expression {
            key: "tier".into(),
            operator: Operator::NotIn,
            values: vec!["iron".into()],
        }],
        ..LabelSelector::default()
    };
    for (name, terms, want) in [
        ("by label", vec![labels(&[("region", "eu")])], vec!["m00", "m01", "m02"]),
        ("two labels are and", vec![labels(&[("region", "eu"), ("tier", "gold")])], vec!["m00", "m01"]),
        ("by property", vec![nodes("3").into()], vec!["m00", "m02", "m03"]),
        ("both are and", vec![both.clone()], vec!["m00", "m03"]),
        (
            "terms are or",
            vec![both, labels(&[("region", "us"), ("tier", "iron")])],
            vec!["m00", "m03", "m04"],
        ),
        ("a missing label is not in", vec![not_iron.into()], vec!["m00", "m01", "m03", "m05"]),
        ("by name", vec![named("skerry.m04")], vec!["m04"]),
        ("by full name", vec![named("skerry-inventory/skerry.m05")], vec!["m05"]),
        ("in another namespace", vec![named("elsewhere/skerry.m05")], vec![]),
        ("no terms", vec![], vec!["m00", "m01", "m02", "m03", "m04", "m05"]),
    ] {
        let mut world = shop_world().with(Request { groups: group(terms), ..request("web") });
        world.step();
        assert_eq!(world.bound("web"), want, "{name}");
    }
    let mut groups = group(vec![labels(&[("region", "eu")])]);
    groups[0].exclude = vec![labels(&[("tier", "iron")])];
    let mut world = shop_world().with(Request { groups, ..request("web") });
    let plan = world.step();
    assert_eq!(world.bound("web"), ["m00", "m01"]);
    assert_eq!(decision(&plan, "web").tally.count(Reason::Excluded), 1);
}

#[test]
fn placement_2_a_cel_term_is_counted_and_matches_nobody() {
    let cel = Term { cel: "member.nodes.ready >= 3".into(), ..labels(&[("region", "eu")]) };
    let mut world = shop_world()
        .with(Request { groups: group(vec![cel, labels(&[("region", "us")])]), ..request("web") });
    let plan = world.step();
    assert_eq!(world.bound("web"), ["m03", "m04"]);
    assert_eq!(decision(&plan, "web").tally.count(Reason::CelError), 3);
    assert_eq!(plan.notes[0].reason, NoteReason::CelError);
}

#[test]
fn placement_3_computed_properties() {
    let mut world = World::of([host("h", 40, 4), virt("v", "h"), member("m")]);
    world.edit("h", |m| m.host_only = true);
    world.edit("v", |m| m.version = "v1.36.1".into());
    world.edit("m", |m| {
        m.price = Some(Price { currency: "EUR".into(), cpu_hour: "0.031".into(), gib_hour: "0.004".into() });
        m.instance_types.insert("c8".into(), 3);
    });
    for (key, operator, value, want) in [
        ("available-cpu", Operator::Eq, "40", vec!["v"]),
        ("allocatable-cpu", Operator::Gt, "99", vec!["m"]),
        ("kubernetes-version", Operator::Ge, "1.36", vec!["v"]),
        ("price-cpu-hour", Operator::Lt, "0.04", vec!["m"]),
        ("instance-type/c8", Operator::Ge, "3", vec!["m"]),
        ("available-nvidia.com/gpu", Operator::Eq, "0", vec!["m", "v"]),
        ("available-cpu", Operator::Gt, "plenty", vec![]),
    ] {
        let mut world = world
            .clone()
            .with(Request { groups: group(vec![property(key, operator, value).into()]), ..request("web") });
        world.step();
        assert_eq!(world.bound("web"), want, "{key} {operator:?} {value}");
    }
}

#[test]
fn placement_4_an_edit_releases_who_fails_it_and_leaves_the_rest() {
    let mut world =
        shop_world().with(Request { groups: group(vec![labels(&[("region", "eu")])]), ..request("web") });
    world.settle();
    world.respec("web", |r| r.groups = group(vec![labels(&[("tier", "gold")])]));
    let plan = world.step();
    assert_eq!(dropped(&plan, "web"), [("m02".into(), OutCause::SpecChanged)]);
    assert_eq!(added(&plan, "web"), ["m03"]);
    assert_eq!(world.bound("web"), ["m00", "m01", "m03"]);
    let kept = decision(&plan, "web").picks.iter().filter(|p| p.step == Step::Keep).count();
    assert_eq!(kept, 2);
}

#[test]
fn placement_5_nobody_matches_and_others_are_decided() {
    let nowhere = Request { groups: group(vec![labels(&[("region", "mars")])]), ..request("nowhere") };
    let mut world = shop_world().with(nowhere).with(request("web"));
    let plan = world.step();
    assert_eq!(verdict(&plan, "nowhere"), Verdict::NoMember);
    assert_eq!(rejected(&plan, "nowhere"), [(Reason::NotMatched, String::new(), 6)]);
    assert_eq!(verdict(&plan, "web"), Verdict::Placed);
    assert_eq!(world.bound("web").len(), 6);
}

#[test]
fn placement_13_fixed_names_each_with_its_reason() {
    let mut world = World::equal(5).with(Request { select: fixed(&["skerry.m00"]), ..request("web") });
    world.step();
    assert_eq!(world.bound("web"), ["m00"]);
    world.edit("m02", |m| m.health = Health::HostDown);
    world.edit("m03", |m| m.taints.push(taint("k", TaintEffect::NoExecute)));
    world.edit("m04", |m| m.owner_namespace = Some("team-b".into()));
    let names = ["skerry.m01", "skerry-inventory/skerry.m02", "skerry.m03", "skerry.m04", "skerry.none"];
    world.respec("web", |r| r.select = fixed(&names));
    let plan = world.step();
    assert_eq!(world.bound("web"), ["m01"]);
    assert_eq!(dropped(&plan, "web"), [("m00".into(), OutCause::SpecChanged)]);
    let decision = decision(&plan, "web");
    assert_eq!(decision.outcome.unknown, ["skerry.m04", "skerry.none"], "hidden and absent look alike");
    assert_eq!(decision.outcome.verdict, Verdict::Short);
    assert_eq!(decision.tally.count(Reason::Unhealthy), 1);
    assert_eq!(decision.tally.count(Reason::UntoleratedTaint), 1);
    world.edit("m02", |m| m.health = Health::Healthy);
    world.respec("web", |r| r.tolerations = vec![tolerate("k")]);
    world.step();
    assert_eq!(world.bound("web"), ["m01", "m02", "m03"]);
    world.respec("web", |r| r.select = fixed(&[]));
    let plan = world.step();
    assert!(world.bound("web").is_empty());
    assert_eq!(verdict(&plan, "web"), Verdict::Placed, "nobody was asked for");
}

#[test]
fn placement_14_taints_block_newcomers_only() {
    for select in [Select::default(), count(2)] {
        let mut world = World::equal(2).with(Request { select, ..request("web") });
        world.edit("m00", |m| m.taints.push(taint("k", TaintEffect::NoSchedule)));
        world.step();
        assert_eq!(world.bound("web"), ["m01"], "before the pick");
        world.edit("m01", |m| m.taints.push(taint("late", TaintEffect::NoExecute)));
        assert!(world.step().is_empty(), "after the pick nothing moves");
        world.respec("web", |r| r.tolerations = vec![tolerate("k")]);
        world.step();
        assert_eq!(world.bound("web"), ["m00", "m01"], "tolerated");
        world.respec("web", |r| r.tolerations = Vec::new());
        assert!(world.step().is_empty(), "a toleration that goes evicts nobody");
    }
    let mut world = World::equal(2).with(Request { select: count(1), ..request("web") });
    world.edit("m00", |m| m.taints.push(taint("soft", TaintEffect::PreferNoSchedule)));
    for seed in 0..20 {
        world.seed = seed;
        assert_eq!(added(&world.plan(), "web"), ["m01"], "PreferNoSchedule loses against any lot");
    }
}

#[test]
fn placement_16_all_and_fixed_gain_who_becomes_eligible() {
    let select = fixed(&["skerry.m00", "skerry.m01", "skerry.late"]);
    let mut world = World::equal(2)
        .with(request("all"))
        .with(Request { select, ..request("fixed") })
        .with(Request { select: count(1), ..request("one") });
    world.edit("m01", |m| m.health = Health::ControlPlaneDown);
    world.settle();
    let one = world.bound("one");
    world.edit("m01", |m| m.health = Health::Healthy);
    world.join(member("late"));
    let plan = world.step();
    for name in ["all", "fixed"] {
        assert_eq!(added(&plan, name), ["late", "m01"]);
    }
    assert_eq!(world.bound("one"), one, "a full Count does not move");
}

#[test]
fn placement_17_a_held_member_stays_whatever_it_loses() {
    let groups = group(vec![labels(&[("tier", "gold")])]);
    let mut world = shop_world().with(Request { groups, ..request("web") });
    world.settle();
    let before = world.bound("web");
    world.edit("m00", |m| m.labels.clear());
    world.edit("m01", |m| m.health = Health::LinkLost);
    world.edit("m03", |m| m.report = report(0, 1));
    assert!(world.step().is_empty());
    assert_eq!(world.bound("web"), before);
    world.respec("web", |r| r.when_unmatched = Unmatched::Evict);
    world.requests[0].decided = world.requests[0].generation;
    let plan = world.step();
    assert_eq!(dropped(&plan, "web"), [("m00".into(), OutCause::NotMatched)]);
}

#[test]
fn placement_18_a_leaver_is_replaced_listed_or_missed() {
    let mut world = World::equal(4)
        .with(request("all"))
        .with(Request { select: count(3), needs: Needs::default(), ..request("three") })
        .with(Request { select: fixed(&["skerry.m00", "skerry.m01"]), ..request("fixed") });
    world.config.tie_break = TieBreak::Name;
    world.settle();
    world.edit("m00", |m| m.leaving = true);
    let plan = world.step();
    for name in ["all", "three", "fixed"] {
        assert_eq!(dropped(&plan, name), [("m00".into(), OutCause::MemberLeft)], "{name}");
    }
    assert_eq!(added(&plan, "three"), ["m03"]);
    assert_eq!(
        decision(&plan, "three").picks.iter().find(|p| p.step == Step::Add).unwrap().cause,
        InCause::Moved
    );
    assert_eq!(decision(&plan, "fixed").tally.count(Reason::Leaving), 1, "listed with its reason");
    let draining = world.held.iter().filter(|h| h.state == State::Draining).count();
    assert_eq!(draining, 3, "kept while leaving");
    world.deliver();
    world.leave("m00");
    let plan = world.step();
    assert_eq!(decision(&plan, "fixed").outcome.unknown, ["skerry.m00"]);
    assert_eq!(world.bound("all"), ["m01", "m02", "m03"]);
    world.leave("m01");
    let plan = world.step();
    assert_eq!(dropped(&plan, "all"), [("m01".into(), OutCause::MemberLeft)], "gone without a goodbye");
    assert_eq!(world.bound("all"), ["m02", "m03"]);
}
