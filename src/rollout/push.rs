//! The push executor: server-side apply on the member, wave by wave; removal of what a binding delivered.

use serde_json::{Value, json};
use skerry_api::labels;

use super::clients::Member;
use super::health::{self, Health};
use super::status::Delivered;
use super::work;
use crate::placement::raw::{self, Served, items, text};
use crate::placement::{Placed, Resolved, World};

/// Manager of delivered fields.
const MANAGER: &str = "skerry-fleet";
/// Kinds that are looked for when a binding's objects are pruned or removed, workloads first.
const KINDS: [(&str, &str); 12] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("", "Service"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("rbac.authorization.k8s.io", "Role"),
    ("", "ServiceAccount"),
    ("", "Secret"),
    ("", "ConfigMap"),
];

fn group_of(object: &Value) -> &str {
    text(object, &["apiVersion"]).rsplit_once('/').map_or("", |(group, _)| group)
}

fn named(object: &Value) -> String {
    format!("{} {}", text(object, &["kind"]), text(object, &["metadata", "name"]))
}

/// Brings the member to what the binding wants and says how it is there.
pub async fn deliver(
    member: &Member,
    _world: &World,
    placement: &Placed,
    resolved: &Resolved,
    binding: &Value,
) -> Delivered {
    let namespace = work::target_namespace(placement, resolved, member);
    let mut out = Delivered::default();
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
    if let Err(error) = prune(member, binding, &objects).await {
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
        let observed = text(binding, &["status", "revision"]);
        if !observed.is_empty() {
            out.drifted(&named(object), kind == "Secret", &diff);
        }
        match text(placement.spec(), &["delivery", "whenDrifted"]) {
            "Report" | "Hold" if out.is_only_drift(binding) => return Ok(live),
            _ => {}
        }
    }
    if text(placement.spec(), &["delivery", "mode"]) == "CreateOnly" {
        return Ok(live);
    }
    // Fields this manager owned before are taken back; others' fields are theirs only where nobody ever gave them up.
    raw::apply(&member.client, &path, MANAGER, mine, object).await.map_err(|e| refusal(&e))
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

/// Objects with the binding's mark, of the kinds that are carried.
async fn delivered(member: &Member, binding: &Value) -> Result<Vec<(Served, Value)>, kube::Error> {
    let mark = work::applied_by(binding);
    let mut out = Vec::new();
    for (group, kind) in KINDS {
        let Some(served) = raw::served(&member.client, group, kind).await? else { continue };
        let path =
            format!("{}?labelSelector={}%3Dtrue", served.path("", ""), labels::PLACED.replace('/', "%2F"));
        for object in raw::list(&member.client, &path).await? {
            if text(&object, &["metadata", "annotations", labels::APPLIED_BY]) == mark {
                out.push((served.clone(), object));
            }
        }
    }
    Ok(out)
}

/// Deletes what the newest revision no longer has.
async fn prune(member: &Member, binding: &Value, wanted: &[Value]) -> Result<(), kube::Error> {
    for (served, object) in delivered(member, binding).await? {
        let kept = wanted.iter().any(|w| {
            text(w, &["kind"]) == served.kind
                && text(w, &["metadata", "name"]) == text(&object, &["metadata", "name"])
        });
        if !kept && object["metadata"]["deletionTimestamp"].is_null() {
            let path =
                served.path(text(&object, &["metadata", "namespace"]), text(&object, &["metadata", "name"]));
            raw::delete(&member.client, &path, text(&object, &["metadata", "uid"])).await?;
        }
    }
    Ok(())
}

/// Takes everything of a binding off its member, backwards; an error names what is still there.
pub async fn remove(member: &Member, binding: &Value) -> Result<(), String> {
    let sentence = |e: kube::Error| skerry_kit::error::sentence(&e);
    let objects = delivered(member, binding).await.map_err(sentence)?;
    for (served, object) in &objects {
        let path = served.path(text(object, &["metadata", "namespace"]), text(object, &["metadata", "name"]));
        raw::delete(&member.client, &path, text(object, &["metadata", "uid"])).await.map_err(sentence)?;
    }
    let left = delivered(member, binding).await.map_err(sentence)?;
    if let Some((_, object)) = left.first() {
        return Err(named(object));
    }
    remove_namespaces(member, binding).await.map_err(sentence)
}

/// Namespaces that the binding made go when nothing foreign is in them.
async fn remove_namespaces(member: &Member, binding: &Value) -> Result<(), kube::Error> {
    let mark = work::applied_by(binding);
    for namespace in raw::list(&member.client, "/api/v1/namespaces").await? {
        if text(&namespace, &["metadata", "annotations", labels::APPLIED_BY]) != mark {
            continue;
        }
        let name = text(&namespace, &["metadata", "name"]);
        let mut foreign = false;
        for (group, kind) in KINDS {
            let Some(served) = raw::served(&member.client, group, kind).await? else { continue };
            let objects = raw::list(&member.client, &served.path(name, "")).await?;
            foreign |= objects.iter().any(|o| {
                let own = matches!(
                    (kind, text(o, &["metadata", "name"])),
                    ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt")
                );
                !own && items(o, &["metadata", "ownerReferences"]).is_empty()
                    && o["metadata"]["deletionTimestamp"].is_null()
            });
        }
        if !foreign && namespace["metadata"]["deletionTimestamp"].is_null() {
            raw::delete(
                &member.client,
                &format!("/api/v1/namespaces/{name}"),
                text(&namespace, &["metadata", "uid"]),
            )
            .await?;
        }
    }
    Ok(())
}

impl Delivered {
    fn drifted(&mut self, object: &str, secret: bool, diff: &[(String, Value, Value)]) {
        for (pointer, hub, member) in diff.iter().take(100) {
            let shown = |v: &Value| {
                if secret && pointer.starts_with("/data") {
                    "***".to_owned()
                } else {
                    v.to_string().chars().take(256).collect()
                }
            };
            self.drift.push(
                json!({"object": object, "pointer": pointer, "hub": shown(hub), "member": shown(member)}),
            );
        }
    }

    /// Whether what differs is not a new revision on its way.
    fn is_only_drift(&self, binding: &Value) -> bool {
        text(binding, &["status", "revision"]) == self.revision || self.revision.is_empty()
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
