//! Skerry among the real parts of Kubernetes: `skerry up` under real kubectl of two minors, published applications and
//! definitions, and a real kube-apiserver as a member. `cargo xtask upstream build` makes the tools, `cargo xtask
//! upstream test` runs this; without SKERRY_UPSTREAM=1 every case is skipped by name.
//!
//! A program of its own instead of the usual harness: one `skerry up` serves the cases, in the order below.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail as tests do; clippy sees only functions marked #[test]"
)]

mod applications;
mod apps;
mod chart;
mod fleet;
mod guard;
mod hosts;
mod hub;
mod node;
mod placement;
mod sets;
mod standalone;
mod tunnel;
mod verbs;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use skerry_testkit::upstream::{control_plane, kubectl, world};
use world::{Settings, World};

/// How a case ended, when it did not fail.
pub enum Outcome {
    /// It ran.
    Passed,
    /// It could not run, and why.
    Skipped(String),
}

/// What is tested.
const PROGRAM: &str = env!("CARGO_BIN_EXE_skerry");

type Case = fn(&mut World) -> Outcome;

/// Cases and their names.
const CASES: &[(&str, Case)] = &[
    ("tn73_a_deployment_rolls_out", standalone::rolls_out),
    ("tn73_a_second_start_is_refused", standalone::second_start),
    ("tn73_nothing_acknowledged_is_lost", standalone::killed),
    ("tn73_a_deleted_cluster_is_gone", standalone::deleted),
    ("verbs_of_kubectl_1_36", verbs::newest),
    ("verbs_of_kubectl_1_33", verbs::older),
    ("as48_sets_and_jobs_of_kubectl_1_36", sets::newest),
    ("as48_sets_and_jobs_of_kubectl_1_33", sets::older),
    ("as68_streams_of_a_simulated_host_kubectl_1_36", tunnel::simulated_newest),
    ("as68_streams_of_a_simulated_host_kubectl_1_33", tunnel::simulated_older),
    ("app_guestbook", apps::guestbook),
    ("app_online_boutique", apps::online_boutique),
    ("crds_become_established", apps::definitions),
    ("i2_members_have_profiles", fleet::profiles),
    ("i15_a_real_cluster_joins", fleet::joins),
    ("a_real_cluster_carries_pods", hosts::carries),
    ("tn48_a_host_guards_itself", guard::holds),
    ("i44_a_lost_member_is_forgotten", fleet::forgotten),
    ("placement_97_on_virtual_and_real_members", fleet::placed),
    ("placement_97_an_application_on_three_members", applications::placed),
    ("tn56_pods_of_the_chart", chart::restricted),
    ("tn9_a_real_hub_with_the_chart", hub::real),
    ("sy40_tenants_pods_are_real_containers", node::sy40),
    ("sy40_sets_and_jobs_are_real_containers", node::sy40_sets),
    ("sy40_states_of_containers_come_back", node::sy40_states),
    ("sy80_a_service_leads_to_a_container", node::sy80),
    ("sy42_a_containers_environment", node::sy42),
    ("sy43_configmaps_and_secrets_in_files", node::sy43),
    ("sy44_tokens_of_the_tenant", node::sy44),
    ("sy46_downward_api", node::sy46),
    ("sy49_constraints_of_one_tenant", node::sy49),
    ("ki13_pods_reach_their_own_api", node::ki13),
    ("sy111_names_of_the_tenant", node::sy111),
    ("sy48_a_pods_own_full_name", node::sy48),
    ("sy100_streams_reach_a_container", node::sy100),
    ("sy87_a_claim_keeps_what_a_pod_wrote", node::sy87),
    ("sy14_containers_outlive_a_restart", node::sy14),
    ("a_node_leaves_nothing", node::left_clean),
    ("the_chart_in_a_cluster", node::in_cluster),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = args.iter().filter(|a| !a.starts_with('-')).collect();
    let chosen = |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str()));
    if args.iter().any(|a| a == "--list") {
        CASES.iter().filter(|(name, _)| chosen(name)).for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let cases: Vec<_> = CASES.iter().filter(|(name, _)| chosen(name)).collect();
    if std::env::var_os("SKERRY_UPSTREAM").is_none_or(|v| v != "1") {
        for (name, _) in cases {
            println!("skipped: {name}: SKERRY_UPSTREAM is not set");
        }
        return ExitCode::SUCCESS;
    }
    if cases.is_empty() {
        return ExitCode::SUCCESS;
    }
    let mut world = World::start(Settings::of(PROGRAM));
    let mut failed = Vec::new();
    for (name, case) in &cases {
        let started = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| case(&mut world)));
        let seconds = started.elapsed().as_secs_f64();
        match ended {
            Ok(Outcome::Passed) => println!("ok: {name} ({seconds:.1} s)"),
            Ok(Outcome::Skipped(why)) => println!("skipped: {name}: {why}"),
            Err(_) => {
                println!("FAILED: {name} ({seconds:.1} s)");
                failed.push(*name);
            }
        }
    }
    let on_node = node::end();
    println!("{} cases, {} failed {failed:?}", cases.len(), failed.len());
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("what skerry said:\n{}", world.log());
    if let Some(said) = on_node {
        println!("what skerry said on the node:\n{said}");
    }
    ExitCode::FAILURE
}
