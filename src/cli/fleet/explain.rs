//! `skerry fleet explain` and `skerry fleet status`: why a Placement is where it is, and how far it is (placement 7).

use std::collections::BTreeMap;

use serde_json::Value;
use skerry_placement::{Explained, Explanation};

use super::settings;
use crate::cli::exit::Failure;
use crate::cli::hub::HubArgs;
use crate::cli::output::{self, Column, Format, aligned, text};
use crate::inventory::InventoryState;
use crate::placement::raw::{self, items};
use crate::placement::{CycleError, Site, explain};

const GROUP: &str = "/apis/skerry.dev/v1alpha1";
/// Notes longer than this are cut in a table.
const NOTE: usize = 120;

/// Explains one Placement, or with `cluster` one ClusterPlacement.
pub async fn run(args_hub: &HubArgs, name: &str, cluster: bool) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    let settings = settings();
    let figures = InventoryState::default();
    let site = Site {
        hub: hub.client.clone(),
        settings: &settings,
        figures: &figures,
        members: Box::new(|_| None),
        live: None,
    };
    let namespace = if cluster { "" } else { hub.namespace.as_str() };
    let found = explain(&site, namespace, name).await.map_err(|failed| match failed {
        CycleError::Read(error) | CycleError::Write(error) => Failure::from(error),
        other => Failure::Failed(other.to_string()),
    })?;
    let Some(found) = found else {
        return Err(Failure::Failed(format!(
            "placement {name} is not there, or its spec is not accepted: `skerry fleet status`"
        )));
    };
    match args_hub.output {
        Format::Table | Format::Wide => output::write(&table(name, &found, settings.manager.as_str())),
        Format::Name => output::write(&format!("placement.skerry.dev/{name}\n")),
        form => {
            let value = serde_json::to_value(&found).map_err(|e| Failure::Failed(e.to_string()))?;
            output::print(form, &[value], true, &[], &[])
        }
    }
}

/// The explanation as a table: members that were ranked one by one, refusals by their reason.
fn table(name: &str, found: &Explanation, manager: &str) -> String {
    let outcome = &found.outcome;
    let mut out = format!(
        "{name}: {} of {}, {} members visible ({} not), input {}\n",
        outcome.selected, outcome.wanted, found.tally.visible, found.tally.hidden, found.input
    );
    let mut heads: Vec<String> = Vec::new();
    for (_, _, explained) in &found.members {
        if let Explained::Scored { terms, .. } = explained {
            heads.extend(
                terms.iter().map(|t| t.term.clone()).filter(|t| !heads.contains(t)).collect::<Vec<_>>(),
            );
        }
    }
    let mut head = vec![" MEMBER".to_owned(), "RESULT".to_owned(), "TOTAL".to_owned()];
    head.extend(heads.iter().cloned());
    head.extend(["balance".to_owned(), "NOTE".to_owned()]);
    let blank = heads.len() + 2;
    let mut ranked: Vec<(u32, Vec<String>)> = Vec::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut leaving: Vec<Vec<String>> = Vec::new();
    for (_, member, explained) in &found.members {
        let short = member.strip_prefix(&format!("{manager}.")).unwrap_or(member);
        match explained {
            Explained::Scored { terms, total, balance, rank, .. } => {
                let (result, note) = result(explained);
                let mut row = vec![format!(" {short}"), result, total.to_string()];
                row.extend(heads.iter().map(|h| {
                    terms
                        .iter()
                        .find(|t| t.term == *h)
                        .map(|t| (t.value * t.weight).to_string())
                        .unwrap_or_default()
                }));
                row.extend([balance.to_string(), note]);
                ranked.push((*rank, row));
            }
            Explained::Filtered { filter, detail } => {
                *refused.entry(format!("{filter:?} {detail}").trim_end().to_owned()).or_default() += 1;
            }
            Explained::Leaving { cause } => {
                let mut row = vec![format!(" {short}"), "leaving".to_owned()];
                row.extend(vec![String::new(); blank]);
                row.push(cause.map(|c| format!("{c:?}")).unwrap_or_default());
                leaving.push(row);
            }
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut rows = vec![head];
    rows.extend(ranked.into_iter().map(|(_, row)| row));
    rows.extend(leaving);
    for (reason, count) in refused {
        let what = if count == 1 { " 1 member".to_owned() } else { format!(" {count} members") };
        let mut row = vec![what, "filtered".to_owned()];
        row.extend(vec![String::new(); blank]);
        row.push(reason.chars().take(NOTE).collect());
        rows.push(row);
    }
    out.push_str(&aligned(&rows));
    if let Some(hint) = &found.hint {
        let hint = serde_json::to_string(hint).unwrap_or_default();
        out.push_str(&format!("would help: {hint}\n"));
    }
    out
}

fn result(explained: &Explained) -> (String, String) {
    let Explained::Scored { rank, fits, selected, held, domains, replicas, cause, .. } = explained else {
        return Default::default();
    };
    let mut notes: Vec<String> = domains.iter().map(|(key, domain)| format!("{key} {domain}")).collect();
    if *fits > 0 {
        notes.push(format!("fits {fits}"));
    }
    if *replicas > 0 {
        notes.push(format!("{replicas} replicas"));
    }
    let result = match (held, selected) {
        (true, true) => "held".to_owned(),
        (false, true) => "selected".to_owned(),
        (true, false) => "leaves".to_owned(),
        (false, false) => format!("rank {rank}"),
    };
    if *selected {
        notes.insert(0, format!("rank {rank}"));
        notes.extend(cause.map(|c| format!("{c:?}")));
    } else if notes.is_empty() {
        notes.push("not needed".to_owned());
    }
    (result, notes.join(", "))
}

fn mode(placement: &Value) -> String {
    let select = &placement["spec"]["select"];
    let names = items(select, &["names"]).len();
    match (raw::text(select, &["mode"]), &select["count"], names) {
        ("", Value::Null, 0) => "All".to_owned(),
        ("Fixed" | "", Value::Null, n) => format!("Fixed {n}"),
        ("Count" | "", count, _) => format!("Count {}", text(count)),
        (mode, ..) => mode.to_owned(),
    }
}

fn of_two(have: &Value, wanted: &Value) -> String {
    match wanted {
        Value::Null => String::new(),
        wanted => format!("{}/{}", have.as_u64().unwrap_or(0), text(wanted)),
    }
}

/// Ready, or the first condition that does not hold, with its reason and text.
fn state(placement: &Value) -> String {
    let all = items(placement, &["status", "conditions"]);
    let find = |ty: &str| all.iter().find(|c| raw::text(c, &["type"]) == ty);
    if find("Ready").is_some_and(|c| raw::text(c, &["status"]) == "True") {
        return "Ready".to_owned();
    }
    for ty in ["Accepted", "Placed", "RolledOut", "Applied", "Available"] {
        let Some(found) = find(ty) else { return format!("{ty}=Unknown") };
        if raw::text(found, &["status"]) != "True" {
            let said = format!(
                "{ty}={} {}: {}",
                raw::text(found, &["status"]),
                raw::text(found, &["reason"]),
                raw::text(found, &["message"])
            );
            return said.chars().take(NOTE).collect();
        }
    }
    "Evaluating".to_owned()
}

const COLUMNS: &[Column] = &[
    ("PLACEMENT", |o| text(&o["metadata"]["name"])),
    ("MODE", mode),
    ("MEMBERS", |o| of_two(&o["status"]["members"]["available"], &o["status"]["members"]["wanted"])),
    ("REVISION", |o| text(&o["status"]["revision"]["target"])),
    ("STATE", state),
];
const WIDE: &[Column] = &[
    ("DRIFTED", |o| text(&o["status"]["members"]["drifted"])),
    ("FAILED", |o| text(&o["status"]["members"]["failed"])),
    ("AGE", output::age),
];

/// Lists Placements of the namespace, or with `cluster` the ClusterPlacements.
pub async fn status(args_hub: &HubArgs, cluster: bool) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    let path = match cluster {
        true => format!("{GROUP}/clusterplacements"),
        false => format!("{GROUP}/namespaces/{}/placements", hub.namespace),
    };
    let all = raw::list_if_served(&hub.client, &path).await?;
    output::print(args_hub.output, &all, false, COLUMNS, WIDE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skerry_placement::{Reason, TermValue};

    use super::*;

    /// Placement 7, Y1: ranked members in order with their terms, refusals counted by reason.
    #[test]
    fn an_explanation_names_every_member_or_counts_it() {
        let scored = |rank: u32, selected: bool| Explained::Scored {
            terms: vec![TermValue { term: "fit".into(), value: 500, weight: 20 }],
            total: 10_000,
            balance: 0,
            rank,
            domains: BTreeMap::new(),
            fits: 3,
            selected,
            held: false,
            replicas: 0,
            cause: None,
        };
        let refused = Explained::Filtered { filter: Reason::UntoleratedTaint, detail: "maintenance".into() };
        let found = Explanation {
            members: vec![
                ("b".into(), "skerry.edge-4".into(), scored(2, false)),
                ("a".into(), "skerry.team-a.dev".into(), scored(1, true)),
                ("c".into(), "skerry.c".into(), refused.clone()),
                ("d".into(), "skerry.d".into(), refused),
            ],
            ..Explanation::default()
        };
        let shown = table("shop", &found, "skerry");
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].contains("fit"), "{shown}");
        assert!(lines[2].starts_with(" team-a.dev   selected   10000"), "{shown}");
        assert!(lines[3].starts_with(" edge-4       rank 2"), "{shown}");
        assert!(
            lines[4].starts_with(" 2 members    filtered")
                && lines[4].ends_with("UntoleratedTaint maintenance"),
            "{shown}"
        );
    }

    #[test]
    fn the_state_is_the_first_condition_that_does_not_hold() {
        let placement = json!({"spec": {"select": {"count": 3}}, "status": {"conditions": [
            {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""},
            {"type": "Placed", "status": "False", "reason": "Short", "message": "1 of 3"},
            {"type": "Ready", "status": "False", "reason": "Short", "message": "1 of 3"}]}});
        assert_eq!(state(&placement), "Placed=False Short: 1 of 3");
        assert_eq!(mode(&placement), "Count 3");
        assert_eq!(mode(&json!({"spec": {}})), "All");
    }
}
