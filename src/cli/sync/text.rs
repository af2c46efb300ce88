//! Answers of the syncer for people.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::output::{aligned, short, text};

/// Longest value of a field in a table.
const CELL: usize = 48;

fn row(name: &str, value: impl Into<String>) -> Vec<String> {
    vec![format!("{name}:"), value.into()]
}

fn seconds(value: &Value) -> Option<String> {
    value.as_f64().map(|seconds| short(seconds as i64))
}

fn words(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ")
}

/// `name count`, for each member.
fn counts(map: &Value) -> String {
    let all = map.as_object().into_iter().flatten().filter(|(_, n)| n.as_u64() != Some(0));
    let all: Vec<String> = all.map(|(name, n)| format!("{name} {n}")).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// `skerry sync status`.
pub fn status(answer: &Value) -> String {
    let (state, queue) = (&answer["state"], &answer["queue"]);
    let synced = if state["synced"] == true { "True" } else { "False" };
    let mut waiting = format!("{} waiting, {} worked on", queue["queued"], queue["working"]);
    if let Some(oldest) = queue["oldest"].as_str() {
        let _ =
            write!(waiting, ", oldest {oldest} for {}", seconds(&queue["oldestSeconds"]).unwrap_or_default());
    }
    let _ = write!(waiting, ", {} due later, {} failing", queue["due"], queue["failing"]);
    let patrol = &answer["patrol"];
    let patrolled = match seconds(&patrol["secondsAgo"]) {
        Some(ago) => format!("{ago} ago, found so far: {}", counts(&patrol["found"])),
        None => "not yet".to_owned(),
    };
    let mut out = aligned(&[
        row("Name", text(&answer["metadata"]["name"])),
        row("Namespace", text(&answer["metadata"]["namespace"])),
        row("Id", text(&answer["id"])),
        row("Host", text(&answer["host"])),
        row("Synced", format!("{synced} ({}): {}", text(&state["reason"]), text(&state["message"]))),
        row("Queue", waiting),
        row("Refused", counts(&answer["refusals"])),
        row("Watches", watches(&answer["watches"])),
        row("Patrol", patrolled),
    ]);
    let mut rows = vec![["KIND", "IN TENANT", "ON HOST", "REFUSED"].map(str::to_owned).to_vec()];
    for kind in answer["objects"].as_array().into_iter().flatten() {
        rows.push(["kind", "inTenant", "onHost", "refused"].map(|member| text(&kind[member])).to_vec());
    }
    let _ = write!(out, "\nObjects:\n{}", aligned(&rows));
    let problems: Vec<&Value> = state["problems"].as_array().into_iter().flatten().collect();
    if !problems.is_empty() {
        let mut rows = vec![["OBJECT", "REASON", "MESSAGE"].map(str::to_owned).to_vec()];
        rows.extend(problems.iter().rev().take(10).map(|p| {
            let object =
                format!("{}/{}/{}", text(&p["kind"]).to_lowercase(), text(&p["namespace"]), text(&p["name"]));
            vec![object, text(&p["reason"]), text(&p["message"])]
        }));
        let _ = write!(out, "\nNewest refusals:\n{}", aligned(&rows));
    }
    out
}

fn watches(watches: &Value) -> String {
    let side = |name: &str| {
        let side = &watches[name];
        let mut out = format!("{name} {} kinds", side["complete"]);
        if side["missing"].as_array().is_some_and(|missing| !missing.is_empty()) {
            let _ = write!(out, " (not yet: {})", words(&side["missing"]));
        }
        if let Some(silent) = seconds(&side["silentSeconds"]) {
            let _ = write!(out, " (no answer for {silent})");
        }
        out
    };
    let shared = match watches["live"].as_array().map(Vec::as_slice) {
        Some([live, all]) => format!("; {live} of {all} watches of all tenants are current"),
        _ => String::new(),
    };
    format!("{}, {}{shared}", side("tenant"), side("host"))
}

/// `skerry sync diff`; `all`: with the fields that agree.
pub fn diff(answer: &Value, all: bool) -> String {
    let fields: Vec<&Value> = answer["fields"].as_array().into_iter().flatten().collect();
    let differing = fields.iter().filter(|field| field["differs"] == true).count();
    let is_there = |side: &str| if answer[side].is_null() { "absent" } else { "there" };
    let mut rows = vec![
        row("Object", text(&answer["object"])),
        row("Tenant", is_there("tenant")),
        row("Host", host(answer)),
    ];
    if let Some(kept) = kept(&answer["kept"]) {
        rows.push(row("Not carried", kept));
    }
    if !answer["desired"].is_null() {
        rows.push(row("Fields", format!("{} set or owned, {differing} differ", fields.len())));
    }
    if let Some(repair) = answer["repair"].as_str() {
        rows.push(row(
            "Repair",
            match repair {
                "Nothing" => "nothing to write: what may be changed agrees",
                "Apply" => "the next pass applies the whole object",
                "Patch" => "the next pass patches what may still change",
                _ => "the next pass deletes it, to be made again",
            },
        ));
    }
    let mut out = aligned(&rows);
    let shown = fields.iter().filter(|field| all || field["differs"] == true);
    let mut rows = vec![["", "FIELD", "DESIRED", "LIVE", "OWNER"].map(str::to_owned).to_vec()];
    rows.extend(shown.map(|field| {
        let mark = if field["differs"] == true { "!" } else { "" };
        vec![
            mark.to_owned(),
            text(&field["path"]),
            cell(&field["desired"]),
            cell(&field["live"]),
            words(&field["owners"]),
        ]
    }));
    if rows.len() > 1 {
        let _ = write!(out, "\n{}", aligned(&rows));
    }
    if !all && differing < fields.len() {
        out.push_str("\nNext: -o wide lists the fields that agree, -o yaml shows the whole objects\n");
    }
    out
}

fn host(answer: &Value) -> String {
    let live = &answer["live"]["metadata"];
    let place = format!("{}/{}", text(&live["namespace"]), text(&live["name"]));
    match answer["proof"].as_str().unwrap_or_default() {
        "Absent" => "absent".to_owned(),
        "Ours" => format!("{place}, this object's copy"),
        "Older" => format!("{place}, the copy of an earlier object of this name (EN11)"),
        "Collision" => format!("{place}, the copy of another object of this cluster (NM7)"),
        _ => format!("{place}, foreign: neither written nor deleted (NM5)"),
    }
}

fn kept(kept: &Value) -> Option<String> {
    let unwanted = &kept["unwanted"];
    if unwanted.is_object() {
        return Some(format!("{} ({})", text(&unwanted["message"]), text(&unwanted["rule"])));
    }
    let refused = &kept["refused"];
    refused.is_object().then(|| refusal(refused))
}

fn refusal(refused: &Value) -> String {
    format!("{}: {} ({})", text(&refused["reason"]), text(&refused["message"]), text(&refused["rule"]))
}

fn cell(value: &Value) -> String {
    let whole = if value.is_null() { "-".to_owned() } else { text(value) };
    let one_line = whole.replace('\n', "\\n");
    if one_line.chars().count() <= CELL {
        return one_line;
    }
    one_line.chars().take(CELL - 1).chain(['…']).collect()
}

/// `skerry sync why`.
pub fn why(answer: &Value) -> String {
    let mut decision = text(&answer["says"]);
    if let Some(rule) = answer["rule"].as_str().filter(|rule| !rule.is_empty()) {
        let _ = write!(decision, " ({rule})");
    }
    if let Some(ago) = seconds(&answer["secondsAgo"]) {
        let _ = write!(decision, ", {ago} ago");
    }
    let mut rows = vec![row("Object", text(&answer["object"])), row("Decision", decision)];
    if answer["refusal"].is_object() {
        rows.push(row("Refused", refusal(&answer["refusal"])));
    }
    if answer["failed"].is_object() {
        let failed = &answer["failed"];
        rows.push(row("Failed", format!("{} times, last: {}", failed["count"], text(&failed["error"]))));
    }
    rows.push(row("Next try", next(&answer["next"])));
    if let Some(stopped) = answer["stopped"].as_str() {
        rows.push(row("Stopped", stopped));
    }
    for (name, member) in [("Tenant", "tenant"), ("Host", "host")] {
        let side = &answer[member];
        let seen = match side {
            Value::Null => "absent".to_owned(),
            side => {
                let deleting = if side["deleting"] == true { ", being deleted" } else { "" };
                format!(
                    "uid {}, resourceVersion {}{deleting}",
                    text(&side["uid"]),
                    text(&side["resourceVersion"])
                )
            }
        };
        rows.push(row(name, seen));
    }
    aligned(&rows)
}

fn next(next: &Value) -> String {
    if next["now"] == true {
        return "it is being looked at".to_owned();
    }
    if let Some(queued) = seconds(&next["queuedSeconds"]) {
        return format!("queued, for {queued}");
    }
    match seconds(&next["dueSeconds"]) {
        Some(due) => format!("in {due}, or when either side changes"),
        None => "when either side changes".to_owned(),
    }
}

/// `skerry sync patrol`.
pub fn patrol(answer: &Value) -> String {
    let mut rows = vec![["CLASS", "FOUND"].map(str::to_owned).to_vec()];
    let found = answer["found"].as_object();
    rows.extend(found.into_iter().flatten().map(|(class, count)| vec![class.clone(), text(count)]));
    let seconds = answer["seconds"].as_f64().unwrap_or_default();
    format!(
        "{}\n{} objects compared in {seconds:.2}s; what differed is queued.\n",
        aligned(&rows),
        answer["objects"]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// OB2, TN-72: golden texts.
    #[test]
    fn ob2_answers_read_as_sentences() {
        let answer = json!({"object": "pod/a/web", "decision": "Refused", "rule": "AP4", "says": "refused", "secondsAgo": 3,
            "refusal": {"rule": "AP4", "reason": "PolicyDenied", "message": "spec.hostNetwork is not allowed"},
            "failed": {"count": 2, "error": "host: no answer in time"}, "next": {"dueSeconds": 59.7},
            "tenant": {"uid": "u", "resourceVersion": "7", "deleting": true}, "host": null});
        let want = "Object:     pod/a/web\n\
                    Decision:   refused (AP4), 3s ago\n\
                    Refused:    PolicyDenied: spec.hostNetwork is not allowed (AP4)\n\
                    Failed:     2 times, last: host: no answer in time\n\
                    Next try:   in 59s, or when either side changes\n\
                    Tenant:     uid u, resourceVersion 7, being deleted\n\
                    Host:       absent\n";
        assert_eq!(why(&answer), want);
        let fields = json!([{"path": "spec.x", "desired": 1, "live": 2, "differs": true, "owners": ["a", "b"]},
            {"path": "spec.y", "desired": "y", "live": "y", "differs": false, "owners": ["a"]}]);
        let answer = json!({"object": "svc/a/web", "proof": "Ours", "repair": "Apply", "tenant": {}, "desired": {},
            "live": {"metadata": {"namespace": "sk-x", "name": "web"}}, "fields": fields});
        let told = diff(&answer, false);
        assert!(
            told.contains("sk-x/web, this object's copy") && told.contains("2 set or owned, 1 differ"),
            "{told}"
        );
        assert!(told.contains("!   spec.x   1         2      a, b") && !told.contains("spec.y"), "{told}");
        assert!(diff(&answer, true).contains("spec.y"));
        assert_eq!(counts(&json!({"spec": 0, "foreign": 2})), "foreign 2");
    }
}
