//! The push executor: server-side apply on the member, wave by wave; removal of what a binding delivered.

use jiff::Timestamp;
use serde_json::{Value, json};
use skerry_api::labels;

use super::clients::Member;
use super::health::{self, Health};
use super::status::Delivered;
use super::work;
use crate::placement::raw::{self, Served, items, text};
use crate::placement::{Placed, Resolved};

/// Manager of delivered fields.
const MANAGER: &str = "skerry-fleet";
fn group_of(object: &Value) -> &str {
    text(object, &["apiVersion"]).rsplit_once('/').map_or("", |(group, _)| group)
}

fn named(object: &Value) -> String {
    format!("{} {}", text(object, &["kind"]), text(object, &["metadata", "name"]))
}

/// Brings the member to what the binding wants and says how it is there.
pub async fn deliver(member: &Member, placement: &Placed, resolved: &Resolved, binding: &Value) -> Delivered {
    let namespace = work::target_namespace(placement, resolved, member);
    let mut out = Delivered { revision: resolved.revision.clone(), ..Delivered::default() };
    if let Err(refusal) = ensure_namespace(member, placement, binding, &namespace).await {
        out.fail("Namespace", &namespace, refusal);
        return out;
    }
    let objects = work::objects(placement, resolved, binding, &namespace);
    let mut wave = None;
    for object in &objects {
        let this = work::wave(object);
        // A wave waits for the one before (A7).
        if wave.is_some_and(|w| w != this) && !out.failing.is_empty() {
            return out;
        }
        wave = Some(this);
        match one(member, placement, binding, object, &mut out).await {
            Ok(live) => out.note(&named(object), health::of(&live)),
            Err(refusal) => out.fail(text(object, &["kind"]), text(object, &["metadata", "name"]), refusal),
        }
    }
    let changed = text(binding, &["status", "revision"]) != resolved.revision;
    let keep = text(placement.spec(), &["delivery", "whenRemoved"]) == "Orphan";
    if changed && let Err(error) = prune(member, binding, &objects, keep).await {
        out.fail("Prune", &namespace, ("Unreachable", skerry_kit::error::sentence(&error)));
    }
    out
}

type Refusal = (&'static str, String);

fn refusal(error: &kube::Error) -> Refusal {
    let sentence = skerry_kit::error::sentence(error);
    match skerry_kit::error::code(error) {
        Some(403) => ("Forbidden", sentence),
        Some(409) => ("Conflict", sentence),
        Some(400 | 422) => ("Invalid", sentence),
        _ => ("Unreachable", sentence),
    }
}

async fn ensure_namespace(
    member: &Member,
    placement: &Placed,
    binding: &Value,
    name: &str,
) -> Result<(), Refusal> {
    let path = format!("/api/v1/namespaces/{name}");
    if raw::get(&member.client, &path).await.map_err(|e| refusal(&e))?.is_some() {
        return Ok(());
    }
    if placement.spec()["delivery"]["createNamespace"] == Value::Bool(false) {
        return Err((
            "Invalid",
            format!("namespace {name} is missing and spec.delivery.createNamespace is false"),
        ));
    }
    let body = work::namespace(placement, binding, name);
    raw::apply(&member.client, &path, MANAGER, false, &body).await.map(drop).map_err(|e| refusal(&e))
}

/// Fields of `wanted` that `live` has otherwise, as JSON pointers.
fn differences(live: &Value, wanted: &Value, at: &str, out: &mut Vec<(String, Value, Value)>) {
    match (live, wanted) {
        (Value::Object(have), Value::Object(want)) => {
            for (key, value) in want {
                let path = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                differences(have.get(key).unwrap_or(&Value::Null), value, &path, out);
            }
        }
        (Value::Array(have), Value::Array(want)) if have.len() == want.len() => {
            for (i, (have, want)) in have.iter().zip(want).enumerate() {
                differences(have, want, &format!("{at}/{i}"), out);
            }
        }
        (have, want) if have == want => {}
        // What the server leaves out because it stands for nothing.
        (Value::Null, Value::Object(map)) if map.is_empty() => {}
        (Value::Null, Value::Null) => {}
        (have, want) => out.push((at.to_owned(), want.clone(), have.clone())),
    }
}

async fn one(
    member: &Member,
    placement: &Placed,
    binding: &Value,
    object: &Value,
    out: &mut Delivered,
) -> Result<Value, Refusal> {
    let kind = text(object, &["kind"]);
    let served = raw::served(&member.client, group_of(object), kind).await.map_err(|e| refusal(&e))?;
    let served = served.ok_or_else(|| ("Invalid", format!("{kind} is not served by the member")))?;
    let name = text(object, &["metadata", "name"]);
    let path = served.path(text(object, &["metadata", "namespace"]), name);
    let live = raw::get(&member.client, &path).await.map_err(|e| refusal(&e))?;
    let Some(live) = live else {
        return raw::apply(&member.client, &path, MANAGER, false, object).await.map_err(|e| refusal(&e));
    };
    let mut diff = Vec::new();
    differences(&live, object, "", &mut diff);
    if diff.is_empty() {
        return Ok(live);
    }
    let mine = text(&live, &["metadata", "annotations", labels::APPLIED_BY]) == work::applied_by(binding);
    if !mine {
        take_over(placement, &live, &diff)?;
    } else {
        let only_drift = text(binding, &["status", "revision"]) == out.revision;
        if only_drift {
            out.drifted(binding, &named(object), kind == "Secret", &diff);
        }
        let leaves = matches!(text(placement.spec(), &["delivery", "whenDrifted"]), "Report" | "Hold");
        if only_drift && leaves {
            return Ok(live);
        }
    }
    if text(placement.spec(), &["delivery", "mode"]) == "CreateOnly" {
        return Ok(live);
    }
    // What is ours is taken back, and Always takes what was another's; else a conflict is the answer.
    let force = mine || text(placement.spec(), &["delivery", "takeOver"]) == "Always";
    raw::apply(&member.client, &path, MANAGER, force, object).await.map_err(|e| refusal(&e))
}

/// An object that is there without our mark (A3).
fn take_over(placement: &Placed, live: &Value, diff: &[(String, Value, Value)]) -> Result<(), Refusal> {
    let foreign = text(live, &["metadata", "annotations", labels::APPLIED_BY]);
    let real: Vec<&str> =
        diff.iter().map(|(path, ..)| path.as_str()).filter(|path| !path.starts_with("/metadata/")).collect();
    match text(placement.spec(), &["delivery", "takeOver"]) {
        _ if !foreign.is_empty() => {
            Err(("ObjectClaimed", format!("another placement delivered it ({foreign})")))
        }
        "Always" => Ok(()),
        "Never" => Err(("NotOwned", "it is there and spec.delivery.takeOver is Never".into())),
        _ if real.is_empty() => Ok(()),
        _ => Err(("NotOwned", format!("it is there and differs: {}", real.join(", ")))),
    }
}

/// Objects with the binding's mark, of every kind the member serves, the last wave first.
async fn delivered(member: &Member, binding: &Value) -> Result<Vec<(Served, Value)>, kube::Error> {
    let mark = work::applied_by(binding);
    let mut out = Vec::new();
    for served in raw::everything(&member.client).await? {
        let path =
            format!("{}?labelSelector={}%3Dtrue", served.path("", ""), labels::PLACED.replace('/', "%2F"));
        let objects = match raw::list_if_served(&member.client, &path).await {
            // What may not be listed was not delivered either.
            Err(error) if skerry_kit::error::code(&error) == Some(403) => continue,
            other => other?,
        };
        for object in objects {
            let is_namespace = text(&object, &["kind"]) == "Namespace";
            if !is_namespace && text(&object, &["metadata", "annotations", labels::APPLIED_BY]) == mark {
                out.push((served.clone(), object));
            }
        }
    }
    out.sort_by_key(|(_, object)| std::cmp::Reverse(work::wave(object)));
    Ok(out)
}

fn path_of(served: &Served, object: &Value) -> String {
    served.path(text(object, &["metadata", "namespace"]), text(object, &["metadata", "name"]))
}

/// Takes our marks off an object: from now on it is the member's own.
async fn let_be(member: &Member, served: &Served, object: &Value) -> Result<(), kube::Error> {
    let none =
        json!({"metadata": {"labels": {labels::PLACED: null}, "annotations": {labels::APPLIED_BY: null}}});
    raw::merge(&member.client, &path_of(served, object), &none).await.map(drop)
}

/// Deletes what the newest revision no longer has, or leaves it there without our marks.
async fn prune(member: &Member, binding: &Value, wanted: &[Value], keep: bool) -> Result<(), kube::Error> {
    for (served, object) in delivered(member, binding).await? {
        let kept = wanted.iter().any(|w| {
            text(w, &["kind"]) == served.kind
                && text(w, &["metadata", "name"]) == text(&object, &["metadata", "name"])
        });
        if kept || !object["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        match keep {
            true => let_be(member, &served, &object).await?,
            false => {
                let uid = text(&object, &["metadata", "uid"]);
                raw::delete(&member.client, &path_of(&served, &object), uid).await?;
            }
        }
    }
    Ok(())
}

/// Leaves everything of a binding on its member, without our marks.
pub async fn orphan(member: &Member, binding: &Value) -> Result<(), String> {
    let sentence = |e: kube::Error| skerry_kit::error::sentence(&e);
    for (served, object) in delivered(member, binding).await.map_err(sentence)? {
        let_be(member, &served, &object).await.map_err(sentence)?;
    }
    Ok(())
}

/// Takes everything of a binding off its member, wave by wave backwards; an error names what is still there.
pub async fn remove(member: &Member, binding: &Value) -> Result<(), String> {
    let sentence = |e: kube::Error| skerry_kit::error::sentence(&e);
    loop {
        let objects = delivered(member, binding).await.map_err(sentence)?;
        let Some((_, first)) = objects.first() else { break };
        let wave = work::wave(first);
        for (served, object) in objects.iter().filter(|(_, o)| work::wave(o) == wave) {
            if !object["metadata"]["deletionTimestamp"].is_null() {
                return Err(named(object));
            }
            let uid = text(object, &["metadata", "uid"]);
            raw::delete(&member.client, &path_of(served, object), uid).await.map_err(sentence)?;
        }
    }
    remove_namespaces(member, binding).await.map_err(sentence)
}

/// Namespaces that the binding made go when nothing foreign is in them.
async fn remove_namespaces(member: &Member, binding: &Value) -> Result<(), kube::Error> {
    let mark = work::applied_by(binding);
    for namespace in raw::list(&member.client, "/api/v1/namespaces").await? {
        let is_ours = text(&namespace, &["metadata", "annotations", labels::APPLIED_BY]) == mark;
        if !is_ours || !namespace["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let name = text(&namespace, &["metadata", "name"]);
        if !has_foreign(member, name).await? {
            let path = format!("/api/v1/namespaces/{name}");
            raw::delete(&member.client, &path, text(&namespace, &["metadata", "uid"])).await?;
        }
    }
    Ok(())
}

async fn has_foreign(member: &Member, namespace: &str) -> Result<bool, kube::Error> {
    for served in raw::everything(&member.client).await?.iter().filter(|s| s.namespaced) {
        if served.kind == "Event" {
            continue;
        }
        let objects = match raw::list_if_served(&member.client, &served.path(namespace, "")).await {
            // What may not be seen may be foreign: the namespace stays.
            Err(error) if skerry_kit::error::code(&error) == Some(403) => return Ok(true),
            other => other?,
        };
        let foreign = objects.iter().any(|o| {
            let own = matches!(
                (served.kind.as_str(), text(o, &["metadata", "name"])),
                ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt")
            );
            !own && items(o, &["metadata", "ownerReferences"]).is_empty()
                && o["metadata"]["deletionTimestamp"].is_null()
        });
        if foreign {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Delivered {
    fn drifted(&mut self, binding: &Value, object: &str, secret: bool, diff: &[(String, Value, Value)]) {
        for (pointer, hub, member) in diff.iter().take(100) {
            let shown = |v: &Value| {
                if secret && (pointer.starts_with("/data") || pointer.starts_with("/stringData")) {
                    "***".to_owned()
                } else {
                    v.to_string().chars().take(256).collect()
                }
            };
            let mut item = json!({"object": object, "pointer": pointer.chars().take(1024).collect::<String>(),
                                  "hub": shown(hub), "member": shown(member)});
            let same = |known: &&Value| ["object", "pointer"].iter().all(|f| known[f] == item[f]);
            let known = items(binding, &["status", "drift"]).iter().find(same);
            let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            item["firstSeen"] = known.map_or_else(|| now.into(), |k| k["firstSeen"].clone());
            self.drift.push(item);
        }
    }

    fn note(&mut self, object: &str, health: Health) {
        match health {
            Health::Available => self.available += 1,
            Health::Progressing(why) => self.progressing.push(format!("{object}: {why}")),
            Health::Failed(why) => self.failed.push(format!("{object}: {why}")),
        }
        self.applied += 1;
    }

    fn fail(&mut self, kind: &str, name: &str, (reason, message): Refusal) {
        self.failing.push(json!({"object": format!("{kind} {name}"), "reason": reason, "message": message.chars().take(1024).collect::<String>()}));
    }
}
