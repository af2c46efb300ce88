//! Placement 44, inventory I20: what the ledger holds, and that taking back is exact.

use super::*;
use crate::types::{Figures, Member, NodeShape, Report, Resources, Seen, Snapshot};
use proptest::prelude::*;
use std::sync::Arc;

fn resources(cpu: i64) -> Resources {
    Resources([("cpu".into(), cpu), ("memory".into(), cpu)].into())
}

fn node(id: &str, parent: Option<&str>, figures: Figures) -> Arc<Member> {
    Arc::new(Member {
        id: id.into(),
        parents: parent.into_iter().map(Into::into).collect(),
        report: Report { capacity: Capacity::Known(figures), ..Report::default() },
        ..Member::default()
    })
}

fn host(id: &str, cpu: i64, nodes: u32) -> Arc<Member> {
    let shape = NodeShape { free: resources(cpu / i64::from(nodes)), count: nodes, ..NodeShape::default() };
    node(id, None, Figures { ceiling: resources(cpu), shapes: vec![shape], ..Figures::default() })
}

fn pod(cpu: i64) -> Pod<'static> {
    Pod { request: vec![cpu, cpu, 1], restrict: None }
}

fn load(pods: &[Pod<'_>], count: u32) -> Load {
    let mut load = Load::none(3);
    load.add(0, &pods[0], count);
    load
}

struct World<'a> {
    fleet: Fleet<'a>,
    ledger: Ledger<'a>,
    seen: SeenIndex,
}

fn world(snapshot: &Snapshot) -> World<'_> {
    let fleet = Fleet::new(snapshot);
    let names = Names::new(std::iter::empty());
    let ledger = Ledger::new(Tree::new(&fleet, &names, 0));
    World { seen: SeenIndex::new(&fleet, &names), fleet, ledger }
}

/// Inventory I20: fifty virtual clusters on 100 cores, each asked for ten: exactly ten are granted.
#[test]
fn inventory_i20_fifty_siblings_share_one_host() {
    let mut members = vec![host("h", 100, 10)];
    members.extend((0..50).map(|i| node(&format!("v{i:02}"), Some("h"), Figures::default())));
    let snapshot = Snapshot { members };
    let mut world = world(&snapshot);
    let pods = [pod(10)];
    let ten = load(&pods, 1);
    let none = Load::none(3);
    let granted = (1..51)
        .filter(|m| world.ledger.reserve(&world.fleet, &pods, *m, (&none, &ten), None).is_ok())
        .count();
    assert_eq!(granted, 10);
    assert_eq!(world.ledger.free(0, 0), 0);
}

/// A promise and the pods that fulfil it never count twice (C1).
#[test]
fn visible_pods_release_their_promise() {
    let label = binding_label(&"r".into(), "v");
    let seen = Seen { member: "v".into(), label, requests: resources(3) };
    let used = Figures { ceiling: resources(10), used: resources(3), seen: vec![seen], ..Figures::default() };
    let snapshot =
        Snapshot { members: vec![node("h", None, used), node("v", Some("h"), Figures::default())] };
    let mut world = world(&snapshot);
    let pods = [pod(1)];
    let rows = world.seen.of(&world.fleet, &"r".into(), 1);
    assert!(rows.is_some());
    world.ledger.enter(&world.fleet, &pods, 1, &load(&pods, 5), rows);
    assert_eq!(world.ledger.free(0, 0), 10 - 3 - 2, "three run, two are still to come");
    assert!(
        world.seen.of(&world.fleet, &"other".into(), 1).is_none(),
        "another binding's pods release nothing"
    );
}

#[test]
fn twenty_cores_in_fours_are_fragmented() {
    let snapshot = Snapshot { members: vec![host("h", 400, 100)] };
    let mut world = world(&snapshot);
    let pods = [pod(20)];
    let none = Load::none(3);
    let refusal = world.ledger.reserve(&world.fleet, &pods, 0, (&none, &load(&pods, 1)), None).unwrap_err();
    assert_eq!((refusal.reason, refusal.needed, refusal.free), (Reason::Fragmented, 20, 4));
    assert_eq!(world.ledger.free(0, 0), 400, "a refused promise leaves nothing behind");
}

proptest! {
    /// Inventory I20, placement 44: on random trees no host grants more than it shares, and a transaction that is
    /// taken back leaves equal bytes.
    #[test]
    fn inventory_i20_random_trees_and_grants(
        hosts in prop::collection::vec((1_i64..100, 1_u32..5), 1..4),
        parents in prop::collection::vec(0_usize..7, 1..12),
        asks in prop::collection::vec((0_usize..12, 1_i64..30, 1_u32..5), 1..40),
    ) {
        let mut members: Vec<Arc<Member>> =
            hosts.iter().enumerate().map(|(i, (cpu, nodes))| host(&format!("h{i}"), *cpu, *nodes)).collect();
        for (i, parent) in parents.iter().enumerate() {
            // Some are nested in an earlier virtual cluster.
            let parent = if *parent < hosts.len() || i == 0 {
                format!("h{}", parent % hosts.len())
            } else {
                format!("v{:02}", parent % i)
            };
            members.push(node(&format!("v{i:02}"), Some(&parent), Figures::default()));
        }
        let snapshot = Snapshot { members };
        let mut world = world(&snapshot);
        let none = Load::none(3);
        for (member, cpu, count) in asks {
            let pods = [pod(cpu)];
            let member = hosts.len() + member % parents.len();
            let load = load(&pods, count);
            let fits = world.ledger.fits(&world.fleet, member, &pods[0], u64::from(count));
            let before = (world.ledger.debit.clone(), world.ledger.shapes.clone());
            let mark = world.ledger.mark();
            let granted = world.ledger.reserve(&world.fleet, &pods, member, (&none, &load), None);
            prop_assert_eq!(granted.is_ok(), fits == u64::from(count));
            world.ledger.rollback(mark);
            prop_assert_eq!(&before, &(world.ledger.debit.clone(), world.ledger.shapes.clone()));
            let _ = world.ledger.reserve(&world.fleet, &pods, member, (&none, &load), None);
            for root in 0..hosts.len() {
                prop_assert!(world.ledger.free(root, 0) >= 0);
            }
        }
    }
}
