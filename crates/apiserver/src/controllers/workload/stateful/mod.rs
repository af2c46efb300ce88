//! StatefulSets: pods with names and claims that last, made, replaced and removed in order.
//!
//! A pass: take the pods, settle the revisions, mend what is there, choose the steps, do them, report, and let old
//! revisions go.

mod act;
mod claims;
mod pod;
mod report;
mod revisions;
mod spec;
mod steps;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use self::revisions::Revisions;
use self::spec::Spec;
use self::steps::Pods;
use super::children;
use super::pods::controller_uid;
use crate::controllers::{Controller, Ctx, Failed, Next, View};
use crate::kinds::workload::selector_matches;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::store::{Change, NsName};

const SETS: &str = "apps/statefulsets";
const PODS: &str = "/pods";
const CLAIMS: &str = "/persistentvolumeclaims";

/// The StatefulSet controller.
pub struct StatefulSets;

impl Controller for StatefulSets {
    fn name(&self) -> &'static str {
        "statefulset-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[SETS, PODS, CLAIMS, "/namespaces"]
    }

    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let name = &change.key.name;
        let named = |test: &dyn Fn(&str) -> bool| {
            let sets = view.records(SETS, Some(name.namespace())).into_iter().map(|(name, _)| name);
            sets.filter(|set| test(set.name())).collect()
        };
        match &**resource {
            SETS => vec![name.clone()],
            PODS => named(&|set| spec::ordinal(set, name.name()).is_some()),
            // A claim that goes may be what a pod waits for.
            CLAIMS => named(&|set| name.name().contains(&format!("-{set}-"))),
            // A namespace that stops being a template starts its workloads (C9).
            _ => view.records(SETS, Some(name.name())).into_iter().map(|(name, _)| name).collect(),
        }
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names(SETS)
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let Some(set) = ctx.view.get(SETS, key.namespace(), key.name()) else { return Ok(Next::Done) };
            if set.is_deleting() || ctx.view.is_template(key.namespace()) {
                return Ok(Next::Done);
            }
            let spec = Spec::of(&set);
            let pods = taken(&ctx, &set).await?;
            let revisions = Revisions::settle(&ctx, &set).await?;
            let acted = act::act(&ctx, &set, &spec, &revisions, &pods).await;
            let (set, pods) = match seen_again(&ctx, &set) {
                Some(now) => now,
                None => return Ok(Next::Done),
            };
            let after = report::report(&ctx, &set, &spec, &revisions, &pods).await?;
            revisions.truncate(&ctx, &set, &pods).await?;
            acted?;
            Ok(after)
        })
    }
}

/// Pods that the set controls, by ordinal; those that fit and that nobody controls are adopted, those that no longer
/// fit are let go.
async fn taken(ctx: &Ctx, set: &Value) -> Result<Pods, Failed> {
    let empty = json!({});
    let selector = set.at(&["spec", "selector"]).unwrap_or(&empty);
    let mut mine = Pods::new();
    for (name, record) in ctx.view.records(PODS, Some(set.meta("namespace"))) {
        let Some(ordinal) = spec::ordinal(set.meta("name"), name.name()) else { continue };
        let pod = record.tree();
        let fits = selector_matches(selector, pod.at(&["metadata", "labels"]).unwrap_or(&empty));
        match controller_uid(&pod) {
            Some(uid) if uid == set.meta("uid") && fits => {
                mine.insert(ordinal, pod);
            }
            Some(uid) if uid == set.meta("uid") => children::release(ctx, &pod, uid).await?,
            None if fits && !pod.is_deleting() => {
                let reference = children::reference("apps/v1", "StatefulSet", set);
                mine.insert(ordinal, children::adopt(ctx, &pod, reference).await?);
            }
            _ => {}
        }
    }
    Ok(mine)
}

/// The set and its pods after the writes of this pass.
fn seen_again(ctx: &Ctx, set: &Value) -> Option<(Value, Pods)> {
    let view = ctx.view.again();
    let live = view.get(SETS, set.meta("namespace"), set.meta("name"))?;
    let pods = view.owned_by(PODS, live.meta("namespace"), live.meta("uid")).into_iter();
    let pods = pods.filter_map(|pod| Some((spec::ordinal(live.meta("name"), pod.meta("name"))?, pod)));
    let pods = pods.collect();
    Some((live, pods))
}
