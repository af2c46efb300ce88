//! The page: figures, what was run, and a row for each spec.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;

use super::report::{Outcome, Results};

/// Why specs miss, by the start of their names; the longest that fits holds.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Causes {
    /// Of specs that the bare cluster passes and a tenant does not.
    tenant: BTreeMap<String, String>,
    /// Of specs that the bare cluster does not pass.
    bare: BTreeMap<String, String>,
}

impl Causes {
    fn find<'a>(causes: &'a BTreeMap<String, String>, spec: &str) -> Option<&'a str> {
        let fits = causes.iter().filter(|(start, _)| spec.starts_with(start.as_str()));
        fits.max_by_key(|(start, _)| start.len()).map(|(_, cause)| cause.as_str())
    }

    /// Of a miss in the tenant.
    pub fn of(&self, spec: &str) -> Option<&str> {
        Self::find(&self.tenant, spec)
    }
}

/// Those that are written down.
pub fn causes() -> anyhow::Result<Causes> {
    serde_yaml_ng::from_str(include_str!("causes.yaml")).context("causes.yaml")
}

/// Specs that the bare cluster passed and the tenant did not.
pub fn misses<'a>(bare: &'a Results, tenant: &Results) -> Vec<&'a str> {
    passed(bare).filter(|spec| tenant.of(spec) != Some(&Outcome::Passed)).collect()
}

fn passed(bare: &Results) -> impl Iterator<Item = &str> {
    bare.all().filter(|(_, outcome)| **outcome == Outcome::Passed).map(|(spec, _)| spec)
}

/// The figures in one line.
pub fn summary(bare: &Results, tenant: &Results) -> String {
    let (all, of) = (passed(bare).count(), |kept: &dyn Fn(&str) -> bool| {
        let specs: Vec<&str> = passed(bare).filter(|s| kept(s)).collect();
        let good = specs.iter().filter(|s| tenant.of(s) == Some(&Outcome::Passed)).count();
        (good, specs.len())
    });
    let ((good, _), (tagged, of_tagged)) = (of(&|_| true), of(&|s| s.contains("[Conformance]")));
    format!(
        "The bare host passed {all} specs; the tenant passed {good} of them, {}. Of those tagged [Conformance]: {tagged} of {of_tagged}, {}.",
        share(good, all),
        share(tagged, of_tagged)
    )
}

fn share(part: usize, whole: usize) -> String {
    let share = if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    // Down, so that 100 % is said of all only.
    format!("{:.1} %", (share * 10.0).floor() / 10.0)
}

/// The page.
pub fn page(bare: &Results, tenant: &Results, causes: &Causes) -> String {
    let mut page = include_str!("page.md").replace("SUMMARY", &summary(bare, tenant));
    let mut group = "";
    for (spec, outcome) in bare.all() {
        let (head, rest) = split(spec);
        if head != group {
            let _ = write!(page, "\n## {head}\n\n| spec | bare host | tenant | cause |\n|---|---|---|---|\n");
            group = head;
        }
        let inside = tenant.of(spec);
        let cause = match (outcome, inside) {
            (Outcome::Passed, Some(Outcome::Passed)) => "",
            (Outcome::Passed, _) => causes.of(spec).unwrap_or("not known"),
            _ => Causes::find(&causes.bare, spec).unwrap_or_default(),
        };
        let inside = inside.map_or("not run", word);
        let _ = writeln!(page, "| {} | {} | {inside} | {cause} |", escaped(rest), word(outcome));
    }
    page
}

/// The group that a spec is in, and the rest of its name.
fn split(spec: &str) -> (&str, &str) {
    const GROUPS: [&str; 18] = [
        "ConfigMap",
        "CronJob",
        "DNS HostNetwork",
        "DNS",
        "Deployment",
        "Downward API volume",
        "Downward API",
        "EmptyDir volumes",
        "EmptyDir wrapper volumes",
        "Job",
        "Pods Extended",
        "Pods",
        "Projected",
        "ReplicaSet",
        "ReplicationController",
        "Secrets",
        "Services",
        "StatefulSet",
    ];
    let after_sig = spec.find("] ").map_or(0, |at| at + 2);
    let length = GROUPS.iter().filter(|g| spec[after_sig..].starts_with(**g)).map(|g| g.len()).max();
    let (head, rest) = spec.split_at(after_sig + length.unwrap_or(0));
    (head, rest.trim_start())
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Skipped(_) => "skipped",
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
