//! The push executor: server-side apply on the member, wave by wave. What is to go is [`super::removal`]'s.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use skerry_api::labels;

use super::clients::Member;
use super::compare::{self, Diff, MANAGER};
use super::health::{self, Health};
use super::memory::Kept;
use super::retry::{Refusal, Try};
use super::status::Delivered;
use super::{removal, work};
use crate::placement::raw::{self, Served, text};
use crate::placement::{Placed, Resolved};

/// One delivery: what, where, when.
pub struct Job<'a> {
    /// The member.
    pub member: &'a Member,
    /// The Placement as it is in force.
    pub placement: &'a Placed,
    /// What it carries.
    pub resolved: &'a Arc<Resolved>,
    /// The binding.
    pub binding: &'a Value,
    /// The present.
    pub now: Instant,
}

/// Group of an object.
pub fn group_of(object: &Value) -> &str {
    text(object, &["apiVersion"]).rsplit_once('/').map_or("", |(group, _)| group)
}

/// `Kind name`, for people.
pub fn named(object: &Value) -> String {
    format!("{} {}", text(object, &["kind"]), text(object, &["metadata", "name"]))
}

fn key_of(object: &Value) -> String {
    let meta = |field| text(object, &["metadata", field]);
    format!("{}/{}/{}/{}", group_of(object), text(object, &["kind"]), meta("namespace"), meta("name"))
}

impl Job<'_> {
    fn delivery(&self, field: &str) -> &str {
        text(self.placement.spec(), &["delivery", field])
    }

    /// The binding has this revision by its own status, so that what differs has drifted.
    fn is_at_revision(&self) -> bool {
        text(self.binding, &["status", "revision"]) == self.resolved.revision
            && self.binding["status"]["observedGeneration"] == self.binding["metadata"]["generation"]
    }
}

/// Brings the member to what the binding wants and says how it is there.
pub async fn deliver(job: &Job<'_>, kept: &mut Kept) -> Delivered {
    let namespace = work::target_namespace(job.placement, job.resolved, job.member);
    let mut out = Delivered { revision: job.resolved.revision.clone(), ..Delivered::default() };
    if job.delivery("mode") != "ReportOnly"
        && let Err(refusal) = ensure_namespace(job, &namespace).await
    {
        out.fail("Namespace", &namespace, refusal);
        return out;
    }
    let shares = &job.binding["spec"]["shares"];
    let objects = work::objects(job.placement, job.resolved, job.binding, shares, &namespace);
    let before = kept
        .last()
        .map(|(resolved, shares)| work::objects(job.placement, resolved, job.binding, shares, &namespace));
    let mut wave = None;
    for object in &objects {
        let this = work::wave(object);
        // A wave waits for the one before, and for the kinds that it defined (A7).
        if wave.is_some_and(|w| w != this) && (!out.failing.is_empty() || out.undefined) {
            out.incomplete = true;
            return out;
        }
        wave = Some(this);
        let last = before.as_ref().map(|all| all.iter().find(|b| key_of(b) == key_of(object)));
        match one(job, kept, object, last, &mut out).await {
            Ok(Some((served, live))) => out.note(object, served, &live),
            Ok(None) => {}
            Err(refusal) => out.fail(text(object, &["kind"]), text(object, &["metadata", "name"]), refusal),
        }
    }
    if !job.is_at_revision() && job.delivery("mode") != "ReportOnly" {
        let keep = job.delivery("whenRemoved") == "Orphan";
        match removal::prune(job.member, job.binding, &objects, keep).await {
            Ok(None) => {}
            Ok(Some(going)) => out.wait(format!("{going} is being deleted")),
            Err(error) => out.fail("Prune", &namespace, refusal(&error)),
        }
    }
    if out.is_whole() {
        kept.delivered(job.resolved, shares);
        kept.retain(|key| objects.iter().any(|o| key_of(o) == key));
    }
    out
}

/// What a server's refusal is called in conditions.
pub fn refusal(error: &kube::Error) -> Refusal {
    let sentence = skerry_kit::error::sentence(error);
    match skerry_kit::error::code(error) {
        Some(403) => ("Forbidden", sentence),
        Some(409) => ("Conflict", sentence),
        Some(400 | 422) => ("Invalid", sentence),
        _ => ("Unreachable", sentence),
    }
}

async fn ensure_namespace(job: &Job<'_>, name: &str) -> Result<(), Refusal> {
    let client = &job.member.client;
    let path = format!("/api/v1/namespaces/{name}");
    if raw::get(client, &path).await.map_err(|e| refusal(&e))?.is_some() {
        return Ok(());
    }
    if job.placement.spec()["delivery"]["createNamespace"] == Value::Bool(false) {
        return Err((
            "Invalid",
            format!("namespace {name} is missing and spec.delivery.createNamespace is false"),
        ));
    }
    let body = work::namespace(job.placement, job.binding, name);
    raw::apply(client, &path, MANAGER, false, &body).await.map(drop).map_err(|e| refusal(&e))
}

/// An object on its way: where it is, what it was when it was applied last (`None`: not known; `Some(None)`: it was
/// not part of that delivery).
struct Target {
    path: String,
    key: String,
    last: Option<Option<Value>>,
}

/// Brings one object to what is wanted. `None`: there is nothing to judge the health of.
async fn one(
    job: &Job<'_>,
    kept: &mut Kept,
    object: &Value,
    last: Option<Option<&Value>>,
    out: &mut Delivered,
) -> Result<Option<(Served, Value)>, Refusal> {
    let kind = text(object, &["kind"]);
    let client = &job.member.client;
    let served = raw::served(client, group_of(object), kind).await.map_err(|e| refusal(&e))?;
    let served = served.ok_or_else(|| ("Invalid", format!("{kind} is not served by the member")))?;
    let scoped = |object: &Value| {
        let mut object = object.clone();
        if let (false, Some(metadata)) = (served.namespaced, object["metadata"].as_object_mut()) {
            metadata.remove("namespace");
        }
        object
    };
    let path = served.path(text(object, &["metadata", "namespace"]), text(object, &["metadata", "name"]));
    let mut target = Target { path, key: key_of(object), last: last.map(|last| last.map(scoped)) };
    let mut object = scoped(object);
    let live = raw::get(client, &target.path).await.map_err(|e| refusal(&e))?;
    let only_reports = job.delivery("mode") == "ReportOnly";
    let Some(live) = live else {
        if only_reports {
            out.drifted(job, &object, &[missing(&object)]);
            return Ok(None);
        }
        return write(job, kept, &target, "", false, &object).await.map(|live| Some((served, live)));
    };
    if !live["metadata"]["deletionTimestamp"].is_null() {
        out.wait(format!("{} is being deleted", named(&object)));
        return Ok(None);
    }
    let mut diff = differences(job, &live, &object);
    if work::only_mark_differs(&live, &object) {
        // An adopted or unmarked template takes the mark with its next change: a restart for it is not worth it (A3).
        work::unmark_template(&mut object);
        if let Some(Some(last)) = &mut target.last {
            work::unmark_template(last);
        }
        diff = differences(job, &live, &object);
    }
    let normal = &kept.object(&target.key).normal;
    diff.retain(|d| !normal.contains(d));
    if diff.is_empty() {
        kept.object(&target.key).retry.succeeded();
        return Ok(Some((served, live)));
    }
    if only_reports {
        diff.retain(|d| !work::is_mark(&d.pointer));
        out.drifted(job, &object, &diff);
        return Ok(Some((served, live)));
    }
    let is_ours =
        text(&live, &["metadata", "annotations", labels::APPLIED_BY]) == work::applied_by(job.binding);
    let now = if is_ours {
        mend(job, kept, &target, &object, live, diff, out).await?
    } else {
        adopt(job, kept, &target, &object, &live, &diff).await?
    };
    Ok(Some((served, now)))
}

/// As the comparison asks for.
fn differences(job: &Job<'_>, live: &Value, wanted: &Value) -> Vec<Diff> {
    let mut diff = compare::managed(live, wanted);
    if job.delivery("compare") == "Full" {
        diff.extend(compare::foreign(live, wanted));
    }
    diff
}

fn missing(object: &Value) -> Diff {
    Diff { pointer: String::new(), hub: named(object).into(), member: Value::Null, coarse: false }
}

/// Takes an object over that is there without our mark, if it may be (A3).
async fn adopt(
    job: &Job<'_>,
    kept: &mut Kept,
    target: &Target,
    object: &Value,
    live: &Value,
    diff: &[Diff],
) -> Result<Value, Refusal> {
    let mut object = object.clone();
    let mut real: Vec<&str> = diff.iter().map(|d| d.pointer.as_str()).collect();
    real.retain(|path| !path.starts_with("/metadata/"));
    let foreign = text(live, &["metadata", "annotations", labels::APPLIED_BY]);
    let always = job.delivery("takeOver") == "Always";
    match job.delivery("takeOver") {
        _ if !foreign.is_empty() => {
            return Err(("ObjectClaimed", format!("another placement delivered it ({foreign})")));
        }
        "Always" => {}
        "Never" => return Err(("NotOwned", "it is there and spec.delivery.takeOver is Never".into())),
        _ if real.is_empty() => {}
        _ => {
            real.truncate(100);
            return Err(("NotOwned", format!("it is there and differs: {}", real.join(", "))));
        }
    }
    if real.is_empty() {
        work::unmark_template(&mut object);
    }
    let live =
        write(job, kept, target, text(live, &["metadata", "resourceVersion"]), always, &object).await?;
    strip(job, kept, target, &object, live).await
}

/// Our own object differs: by drift, by a new template, or by both (A5).
async fn mend(
    job: &Job<'_>,
    kept: &mut Kept,
    target: &Target,
    object: &Value,
    live: Value,
    diff: Vec<Diff>,
    out: &mut Delivered,
) -> Result<Value, Refusal> {
    let (changed, drift) = match &target.last {
        Some(Some(last)) if last == object => (false, diff.clone()),
        Some(Some(last)) => {
            let normal = &kept.object(&target.key).normal;
            let mut drift = differences(job, &live, last);
            drift.retain(|d| !normal.contains(d) && !work::is_mark(&d.pointer));
            (true, drift)
        }
        Some(None) => (true, Vec::new()),
        None if job.is_at_revision() => (false, diff.clone()),
        None if Delivered::was_drifted(job.binding, object) => (true, diff.clone()),
        None => (true, Vec::new()),
    };
    let leaves = match job.delivery("whenDrifted") {
        "Report" => !drift.is_empty(),
        "Hold" => !drift.is_empty() && !changed,
        _ => false,
    };
    if leaves {
        let dry = raw::would_apply(&job.member.client, &target.path, MANAGER, object).await;
        let dry = dry.map_err(|e| refusal(&e))?;
        if compare::same(&dry, &live) && drift.iter().all(|d| !d.hub.is_null()) {
            kept.object(&target.key).normal = diff;
            return Ok(live);
        }
        out.drifted(job, object, &drift);
        out.held += 1;
        return Ok(live);
    }
    if job.delivery("mode") == "CreateOnly" {
        return Ok(live);
    }
    // What is ours is taken back.
    let version = text(&live, &["metadata", "resourceVersion"]);
    let now = write(job, kept, target, version, true, object).await?;
    let now = strip(job, kept, target, object, now).await?;
    if text(&now, &["metadata", "resourceVersion"]) == version {
        kept.object(&target.key).normal = diff;
    } else {
        out.drifted(job, object, &drift);
    }
    Ok(now)
}

/// With `Full`, takes out what others set beyond what is wanted.
async fn strip(
    job: &Job<'_>,
    kept: &mut Kept,
    target: &Target,
    object: &Value,
    live: Value,
) -> Result<Value, Refusal> {
    let reapply = !matches!(job.delivery("whenDrifted"), "Report" | "Hold");
    if job.delivery("compare") != "Full" || !reapply || job.delivery("mode") == "CreateOnly" {
        return Ok(live);
    }
    let mut paths: Vec<String> = compare::foreign(&live, object).into_iter().map(|d| d.pointer).collect();
    if paths.is_empty() {
        return Ok(live);
    }
    // Items of a list go from the last to the first, so that the pointers before them stay true.
    paths.sort_by(|a, b| human(b).cmp(&human(a)));
    let version = text(&live, &["metadata", "resourceVersion"]).to_owned();
    let outcome = raw::remove_fields(&job.member.client, &target.path, MANAGER, &version, &paths).await;
    outcome.map_err(|e| remember(job, kept, target, &version, &e))
}

/// A pointer's parts, numbers as numbers.
fn human(pointer: &str) -> Vec<(Option<usize>, &str)> {
    pointer.split('/').map(|part| (part.parse().ok(), part)).collect()
}

/// Applies the object, unless a refusal stands whose time is not over.
async fn write(
    job: &Job<'_>,
    kept: &mut Kept,
    target: &Target,
    version: &str,
    force: bool,
    object: &Value,
) -> Result<Value, Refusal> {
    let known = kept.object(&target.key);
    let this = Try { revision: job.resolved.revision.clone(), live: version.to_owned() };
    if let Some(refusal) = known.retry.stands(&this, job.now) {
        return Err(refusal.clone());
    }
    match raw::apply(&job.member.client, &target.path, MANAGER, force, object).await {
        Ok(live) => {
            known.retry.succeeded();
            Ok(live)
        }
        Err(error) => Err(remember(job, kept, target, version, &error)),
    }
}

fn remember(job: &Job<'_>, kept: &mut Kept, target: &Target, version: &str, error: &kube::Error) -> Refusal {
    let refusal = refusal(error);
    let this = Try { revision: job.resolved.revision.clone(), live: version.to_owned() };
    kept.object(&target.key).retry.refused(&target.key, this, job.now, refusal.clone());
    refusal
}

impl Delivered {
    fn note(&mut self, object: &Value, served: Served, live: &Value) {
        let health = health::of(live);
        let meta = |field| text(live, &["metadata", field]).to_owned();
        self.seen.push((served, [meta("namespace"), meta("name"), meta("resourceVersion")]));
        if text(object, &["kind"]) == "CustomResourceDefinition" && health != Health::Available {
            self.undefined = true;
        }
        match health {
            Health::Available => self.available += 1,
            Health::Progressing(why) => self.progressing.push(format!("{}: {why}", named(object))),
            Health::Failed(why) => self.failed.push(format!("{}: {why}", named(object))),
        }
        self.applied += 1;
    }
}
