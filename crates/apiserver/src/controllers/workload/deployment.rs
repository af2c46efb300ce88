//! Deployments: a ReplicaSet per template, replaced within the strategy's budget.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::note::{Tone, note};
use super::super::{Controller, Ctx, Failed, Next, View};
use super::plan::{self, Budget, Set, Share};
use super::pods::controller_uid;
use super::revision::{self, DESIRED, HASH_LABEL, MAX, REVISION};
use super::status;
use crate::admit::is_reserved_key;
use crate::bus::Patch;
use crate::kinds::workload::selector_matches;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::store::{Change, NsName};

const DEPLOYMENTS: &str = "apps/deployments";
const SETS: &str = "apps/replicasets";

/// The Deployment controller.
pub struct Deployments;

impl Controller for Deployments {
    fn name(&self) -> &'static str {
        "deployment-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[DEPLOYMENTS, SETS, "/namespaces"]
    }

    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let name = &change.key.name;
        match &**resource {
            DEPLOYMENTS => vec![name.clone()],
            SETS => {
                let set = change.new.tree();
                let owners = set.items(&["metadata", "ownerReferences"]).iter();
                let mut owners = owners.filter(|o| o.text(&["kind"]) == "Deployment");
                match owners.next() {
                    Some(owner) => vec![NsName::new(name.namespace(), owner.text(&["name"]))],
                    None => view
                        .records(DEPLOYMENTS, Some(name.namespace()))
                        .into_iter()
                        .map(|(n, _)| n)
                        .collect(),
                }
            }
            _ => view.records(DEPLOYMENTS, Some(name.name())).into_iter().map(|(name, _)| name).collect(),
        }
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names(DEPLOYMENTS)
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let Some(deployment) = ctx.view.get(DEPLOYMENTS, key.namespace(), key.name()) else {
                return Ok(Next::Done);
            };
            if deployment.is_deleting() || ctx.view.is_template(key.namespace()) {
                return Ok(Next::Done);
            }
            let mut pass = Pass { ctx, deployment };
            pass.run().await
        })
    }
}

struct Pass {
    ctx: Ctx,
    deployment: Value,
}

impl Pass {
    fn path(&self, plural: &str, name: &str) -> String {
        let namespace = self.deployment.meta("namespace");
        let base = format!("/apis/apps/v1/namespaces/{namespace}/{plural}");
        if name.is_empty() { base } else { format!("{base}/{name}") }
    }

    fn is_paused(&self) -> bool {
        self.deployment.at(&["spec", "paused"]) == Some(&Value::Bool(true))
    }

    async fn run(&mut self) -> Result<Next, Failed> {
        let mut sets = self.sets().await?;
        let newest = sets.iter().position(|s| revision::same_template(s, &self.deployment));
        let resizing = self.is_paused() || self.is_scaling(&sets);
        if newest.is_none() && !resizing {
            let made = self.create_set(&sets).await?;
            sets.push(made);
        }
        let newest = sets.iter().position(|s| revision::same_template(s, &self.deployment));
        if let Some(at) = newest {
            sets[at] = self.mark_newest(&sets, at).await?;
        }
        if resizing {
            self.keep_proportions(&mut sets, newest).await?;
        } else {
            self.scale(&mut sets, newest).await?;
            self.clean_up(&sets, newest).await?;
        }
        self.report().await
    }

    /// ReplicaSets of the Deployment, oldest first; matching orphans are adopted.
    async fn sets(&self) -> Result<Vec<Value>, Failed> {
        let (namespace, uid) = (self.deployment.meta("namespace"), self.deployment.meta("uid"));
        let empty = json!({});
        let selector = self.deployment.at(&["spec", "selector"]).unwrap_or(&empty);
        let mut mine = Vec::new();
        for set in self.ctx.view.list(SETS, namespace) {
            let fits = selector_matches(selector, set.at(&["metadata", "labels"]).unwrap_or(&empty));
            match controller_uid(&set) {
                Some(owner) if owner == uid => mine.push(set),
                None if fits && !set.is_deleting() => {
                    let mut owners = set.items(&["metadata", "ownerReferences"]).to_vec();
                    owners.push(self.reference());
                    let body = json!({"metadata": {"uid": set.meta("uid"), "ownerReferences": owners}});
                    let path = self.path("replicasets", set.meta("name"));
                    mine.push(self.ctx.api.patch(&path, Patch::Merge, &body).await?);
                }
                _ => {}
            }
        }
        mine.sort_by_key(|s| {
            (revision::number(s), s.meta("creationTimestamp").to_owned(), s.meta("name").to_owned())
        });
        Ok(mine)
    }

    fn reference(&self) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": self.deployment.meta("name"),
               "uid": self.deployment.meta("uid"), "controller": true, "blockOwnerDeletion": true})
    }

    fn inherited_annotations(&self) -> Value {
        let all = self.deployment.at(&["metadata", "annotations"]).and_then(Value::as_object);
        all.into_iter()
            .flatten()
            .filter(|(key, _)| !revision::is_own_annotation(key) && !is_reserved_key(key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    async fn create_set(&mut self, sets: &[Value]) -> Result<Value, Failed> {
        let collisions =
            self.deployment.at(&["status", "collisionCount"]).and_then(Value::as_u64).unwrap_or(0);
        let mut template = self.deployment.at(&["spec", "template"]).cloned().unwrap_or_default();
        let hash = revision::hash(&template, collisions);
        template.put(&["metadata", "labels", HASH_LABEL], hash.as_str());
        let mut selector = self.deployment.at(&["spec", "selector"]).cloned().unwrap_or_default();
        selector.put(&["matchLabels", HASH_LABEL], hash.as_str());
        let budget = Budget::of(&self.deployment);
        let existing: Vec<Set> = sets.iter().map(arithmetic).collect();
        let none = Set { size: 0, available: 0, existing: 0 };
        let (size, _) = self.sizes(budget, none, &existing);
        let mut annotations = self.inherited_annotations();
        let number = sets.iter().map(revision::number).max().unwrap_or(0) + 1;
        annotations[REVISION] = number.to_string().into();
        annotations[DESIRED] = budget.desired.to_string().into();
        annotations[MAX] = (budget.desired + budget.surge).to_string().into();
        let set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-{hash}", self.deployment.meta("name")),
                "labels": template.at(&["metadata", "labels"]), "annotations": annotations,
                "ownerReferences": [self.reference()],
            },
            "spec": {"replicas": size, "selector": selector, "template": template,
                     "minReadySeconds": self.deployment.at(&["spec", "minReadySeconds"]).cloned().unwrap_or(json!(0))},
        });
        match self.ctx.api.create(&self.path("replicasets", ""), &set).await {
            Ok(made) => {
                if size > 0 {
                    self.note_scaled(made.meta("name"), 0, size).await;
                }
                Ok(made)
            }
            Err(status) if status.reason == "AlreadyExists" => {
                // Somebody else's set has the name: count, so that the next pass makes another one.
                let mut body = self.deployment.clone();
                body.put(&["status", "collisionCount"], collisions + 1);
                let path = format!("{}/status", self.path("deployments", self.deployment.meta("name")));
                self.ctx.api.update(&path, &body).await?;
                Err(status.into())
            }
            Err(status) => {
                let message =
                    format!("Failed to create new replica set {:?}: {}", set.meta("name"), status.message);
                note(&self.ctx, &self.deployment, Tone::Warning, "ReplicaSetCreateError", &message).await;
                Err(status.into())
            }
        }
    }

    /// Gives the newest set the highest revision, and the Deployment that number.
    async fn mark_newest(&mut self, sets: &[Value], at: usize) -> Result<Value, Failed> {
        let others = sets.iter().enumerate().filter(|(i, _)| *i != at);
        let highest = others.map(|(_, s)| revision::number(s)).max().unwrap_or(0);
        let mut newest = sets[at].clone();
        let mut wanted = revision::number(&newest);
        let mut annotations = self.inherited_annotations();
        if wanted <= highest {
            wanted = highest + 1;
            annotations[REVISION] = wanted.to_string().into();
        }
        let live = newest.at(&["metadata", "annotations"]).cloned().unwrap_or_default();
        let differs =
            annotations.as_object().is_some_and(|all| all.iter().any(|(k, v)| live.get(k) != Some(v)));
        if differs {
            let body = json!({"metadata": {"annotations": annotations}});
            let path = self.path("replicasets", newest.meta("name"));
            newest = self.ctx.api.patch(&path, Patch::Merge, &body).await?;
        }
        if self.deployment.text(&["metadata", "annotations", REVISION]) != wanted.to_string() {
            let mut body = self.deployment.clone();
            body.put(&["metadata", "annotations", REVISION], wanted.to_string());
            let path = self.path("deployments", self.deployment.meta("name"));
            self.deployment = self.ctx.api.update(&path, &body).await?;
        }
        Ok(newest)
    }

    fn sizes(&self, budget: Budget, new: Set, old: &[Set]) -> (i64, Vec<i64>) {
        match self.deployment.text(&["spec", "strategy", "type"]) {
            "Recreate" => plan::recreate(budget, old),
            _ => plan::rolling(budget, new, old),
        }
    }

    async fn scale(&self, sets: &mut [Value], newest: Option<usize>) -> Result<(), Failed> {
        let Some(at) = newest else { return Ok(()) };
        let budget = Budget::of(&self.deployment);
        let olds: Vec<usize> = (0..sets.len()).filter(|i| *i != at).collect();
        let old: Vec<Set> = olds.iter().map(|i| arithmetic(&sets[*i])).collect();
        let (size, sizes) = self.sizes(budget, arithmetic(&sets[at]), &old);
        self.resize(&mut sets[at], size, budget).await?;
        for (i, size) in olds.into_iter().zip(sizes) {
            self.resize(&mut sets[i], size, budget).await?;
        }
        Ok(())
    }

    /// Whether `spec.replicas` is another one than the sets were sized for.
    fn is_scaling(&self, sets: &[Value]) -> bool {
        let desired = Budget::of(&self.deployment).desired.to_string();
        let known = |s: &Value| s.text(&["metadata", "annotations", DESIRED]).to_owned();
        sets.iter().filter(|s| arithmetic(s).size > 0).map(known).any(|k| !k.is_empty() && k != desired)
    }

    /// The total follows `spec.replicas`, the shares of the sets stay.
    async fn keep_proportions(&self, sets: &mut [Value], newest: Option<usize>) -> Result<(), Failed> {
        let budget = Budget::of(&self.deployment);
        let active: Vec<usize> = (0..sets.len()).filter(|i| arithmetic(&sets[*i]).size > 0).collect();
        let latest = newest.or_else(|| sets.len().checked_sub(1));
        let alone = match active.as_slice() {
            [] => latest,
            [one] => Some(*one),
            _ => None,
        };
        if let Some(at) = alone {
            return self.resize(&mut sets[at], budget.desired, budget).await;
        }
        let full = |s: &Value| {
            let Set { size, available, .. } = arithmetic(s);
            let known = s.text(&["metadata", "annotations", DESIRED]) == budget.desired.to_string();
            known && size == budget.desired && available == budget.desired
        };
        if let Some(at) = newest.filter(|at| full(&sets[*at])) {
            for i in active.into_iter().filter(|i| *i != at) {
                self.resize(&mut sets[i], 0, budget).await?;
            }
            return Ok(());
        }
        if self.deployment.text(&["spec", "strategy", "type"]) == "Recreate" {
            return Ok(());
        }
        let before = |s: &Value| s.text(&["metadata", "annotations", MAX]).parse::<i64>().ok();
        let total = self.deployment.at(&["status", "replicas"]).and_then(Value::as_i64).unwrap_or(0);
        let shares: Vec<Share> = active
            .iter()
            .map(|i| Share { size: arithmetic(&sets[*i]).size, most: before(&sets[*i]).unwrap_or(total) })
            .collect();
        for (i, size) in active.into_iter().zip(plan::proportional(budget, &shares)) {
            self.resize(&mut sets[i], size, budget).await?;
        }
        Ok(())
    }

    async fn resize(&self, set: &mut Value, size: i64, budget: Budget) -> Result<(), Failed> {
        let annotation = |key: &str| set.text(&["metadata", "annotations", key]).to_owned();
        let (desired, most) = (budget.desired.to_string(), (budget.desired + budget.surge).to_string());
        let marked = annotation(DESIRED) == desired && annotation(MAX) == most;
        let current = arithmetic(set).size;
        if current == size && (marked || size == 0) {
            return Ok(());
        }
        let body =
            json!({"metadata": {"annotations": {DESIRED: desired, MAX: most}}, "spec": {"replicas": size}});
        let path = self.path("replicasets", set.meta("name"));
        *set = self.ctx.api.patch(&path, Patch::Merge, &body).await?;
        if current != size {
            self.note_scaled(set.meta("name"), current, size).await;
        }
        Ok(())
    }

    async fn note_scaled(&self, set: &str, from: i64, to: i64) {
        let way = if to > from { "up" } else { "down" };
        let message = format!("Scaled {way} replica set {set} from {from} to {to}");
        note(&self.ctx, &self.deployment, Tone::Normal, "ScalingReplicaSet", &message).await;
    }

    /// Old, empty sets beyond the history limit go.
    async fn clean_up(&self, sets: &[Value], newest: Option<usize>) -> Result<(), Failed> {
        let limit =
            self.deployment.at(&["spec", "revisionHistoryLimit"]).and_then(Value::as_u64).unwrap_or(10);
        let idle: Vec<&Value> = sets
            .iter()
            .enumerate()
            .filter(|(i, s)| {
                Some(*i) != newest
                    && !s.is_deleting()
                    && arithmetic(s) == Set { size: 0, available: 0, existing: 0 }
            })
            .map(|(_, s)| s)
            .collect();
        let surplus = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for set in idle.into_iter().take(surplus) {
            let path = self.path("replicasets", set.meta("name"));
            match self.ctx.api.delete(&path, &json!({"preconditions": {"uid": set.meta("uid")}})).await {
                Err(status) if !matches!(status.code, 404 | 409) => return Err(status.into()),
                _ => {}
            }
        }
        Ok(())
    }

    async fn report(&self) -> Result<Next, Failed> {
        let view = self.ctx.view.again();
        let (namespace, name) = (self.deployment.meta("namespace"), self.deployment.meta("name"));
        let Some(mut live) = view.get(DEPLOYMENTS, namespace, name) else { return Ok(Next::Done) };
        let mut sets = view.owned_by(SETS, namespace, live.meta("uid"));
        sets.retain(|s| controller_uid(s) == Some(live.meta("uid")));
        let newest = sets.iter().find(|s| revision::same_template(s, &live));
        let (wanted, recheck) = status::of(&live, newest, &sets);
        if live.at(&["status"]) != Some(&wanted) {
            live["status"] = wanted;
            let path = format!("{}/status", self.path("deployments", name));
            match self.ctx.api.update(&path, &live).await {
                Err(status) if status.code != 404 => return Err(status.into()),
                _ => {}
            }
        }
        Ok(recheck.map_or(Next::Done, |seconds| Next::After(Duration::from_secs(seconds.unsigned_abs()))))
    }
}

fn arithmetic(set: &Value) -> Set {
    let status = |field: &str| set.at(&["status", field]).and_then(Value::as_i64).unwrap_or(0);
    Set {
        size: set.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(0),
        available: status("availableReplicas"),
        existing: status("replicas"),
    }
}
