//! What tenants are told: refusals, overrides, rivals, as Events, conditions and problems (AP4, EN16).

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    cache::Side,
    carry::Pass,
    decision::Decision,
    model::{Key, Repairs},
};
use crate::{
    kind::Kind,
    kinds::{Note, event},
    object::{Fields, HostObj, TenantObj, items, text},
    refusal::{Reason, Refusal},
    status::Problem,
    wire::FIELD_MANAGER,
};

/// One Event per object and reason in this time.
const QUIET: Duration = Duration::from_secs(600);
/// Problems that are kept.
const NEWEST: usize = 20;
/// Repairs of one object in a minute beyond which somebody fights us.
const RIVALRY: u32 = 5;

/// Now, as it stands in objects.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Pass {
    /// Tells the tenant something about one of its objects, once in a while.
    pub(super) async fn tell(
        &self,
        kind: Kind,
        object: &TenantObj,
        reason: &str,
        message: &str,
        warning: bool,
    ) {
        {
            let mut told = self.tenant.told.lock();
            let slot = hash(&(object.uid(), reason));
            if told.get(&slot).is_some_and(|at| at.elapsed() < QUIET) {
                return;
            }
            if told.len() > 4096 {
                told.retain(|_, at| at.elapsed() < QUIET);
            }
            told.insert(slot, Instant::now());
        }
        let event = event::own(kind, object, reason, message, warning, &now());
        let path = Kind::Event.collection(object.namespace());
        let call = self.wire.create(&path, &event);
        if let Err(error) = self.write(Side::Tenant, "create", Kind::Event, call).await {
            self.engine.counts.add("events_dropped_total", error.category());
        }
    }

    /// Tells what differs from an ordinary cluster.
    pub(super) async fn notes(&self, kind: Kind, object: &TenantObj, notes: Vec<Note>) {
        for note in notes {
            self.tell(kind, object, note.reason, &note.message, false).await;
        }
    }

    /// Notes a refusal: Event, problem, and for pods the condition.
    pub(super) async fn refused(&self, key: &Key, object: &TenantObj, refusal: &Refusal) {
        self.engine.counts.add("refusals_total", refusal.reason.as_str());
        let known = {
            let mut model = self.tenant.model.lock();
            let entry = model.entries.entry(key.clone()).or_default();
            let known = entry.refusal.as_deref() == Some(refusal);
            entry.refusal = Some(Box::new(refusal.clone()));
            known
        };
        self.decided(key, Decision::Refused);
        self.problem(key, refusal);
        self.tell(key.kind, object, refusal.reason.as_str(), &refusal.message, true).await;
        if key.kind == Kind::Pod && !known {
            self.condition(key, object, refusal).await;
        }
    }

    async fn condition(&self, key: &Key, object: &TenantObj, refusal: &Refusal) {
        let message: String = refusal.message.chars().take(1024).collect();
        let have = items(&object.0, "/status/conditions").iter().find(|c| text(c, "type") == CARRIED);
        if have.is_some_and(|c| text(c, "reason") == refusal.reason.as_str() && text(c, "message") == message)
        {
            return;
        }
        let condition = json!({"type": CARRIED, "status": "False", "reason": refusal.reason.as_str(), "message": message,
            "lastTransitionTime": now()});
        let body = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": &*key.name, "namespace": &*key.namespace, "uid": object.uid()},
            "status": {"conditions": [condition]}});
        let path = format!("{}/status", Kind::Pod.path(&key.namespace, &key.name));
        let call = self.wire.apply(&path, &body);
        if let Err(error) = self.write(Side::Tenant, "status", Kind::Pod, call).await {
            tracing::debug!(tenant = &*self.tenant.id, category = error.category(), "condition not written");
        }
    }

    fn problem(&self, key: &Key, refusal: &Refusal) {
        let mut problems = self.tenant.problems.lock();
        let same =
            |p: &Problem| p.kind == key.kind.name() && *p.namespace == *key.namespace && *p.name == *key.name;
        if problems
            .iter()
            .any(|p| same(p) && p.reason == refusal.reason.as_str() && p.message == refusal.message)
        {
            return;
        }
        problems.retain(|p| !same(p));
        problems.push_back(Problem {
            kind: key.kind.name(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            reason: refusal.reason.as_str(),
            message: refusal.message.clone(),
            since: now(),
        });
        while problems.len() > NEWEST {
            problems.pop_front();
        }
    }

    /// Notes that an object is carried: earlier refusals are over.
    pub(super) fn carried(&self, key: &Key) {
        let refused = {
            let mut model = self.tenant.model.lock();
            model.entries.get_mut(key).and_then(|entry| entry.refusal.take()).is_some()
        };
        if refused {
            let mut problems = self.tenant.problems.lock();
            problems.retain(|p| {
                p.kind != key.kind.name() || *p.namespace != *key.namespace || *p.name != *key.name
            });
        }
    }

    /// How long to leave an object alone: the host rewrites what we set, or another writer fights us.
    pub(super) async fn rival(
        &self,
        key: &Key,
        tenant: &TenantObj,
        desired: &HostObj,
        host: &HostObj,
    ) -> Option<Duration> {
        let pair = (hash_tree(&desired.0), hash_content(&host.0));
        let count = {
            let mut model = self.tenant.model.lock();
            let entry = model.entries.get_mut(key)?;
            let repairs = entry.repairs.get_or_insert_with(Box::default);
            if repairs.overridden == Some(pair) {
                drop(model);
                self.decided(key, Decision::Overridden);
                return Some(Duration::from_secs(600));
            }
            let is_old = repairs.since.is_none_or(|at| at.elapsed() > Duration::from_secs(60));
            if repairs.desired != pair.0 || is_old {
                let (desired, overridden) = (pair.0, repairs.overridden);
                **repairs = Repairs { desired, since: Some(Instant::now()), count: 0, overridden };
            }
            repairs.count += 1;
            repairs.count
        };
        if count <= RIVALRY {
            return None;
        }
        let by = self.rivals(key, desired, host).await;
        let message = format!("another writer on the host keeps changing {}: {by}", tenant.name());
        self.refused(key, tenant, &Refusal::new(Reason::HostConflict, message)).await;
        Some(Duration::from_secs(60))
    }

    /// Field managers on the host that own what differs from what we set; our memory keeps our own entries alone.
    async fn rivals(&self, key: &Key, desired: &HostObj, host: &HostObj) -> String {
        self.cost.one();
        let path = key.kind.path(host.namespace(), host.name());
        let live = self.host().find(&path).await.ok().flatten().unwrap_or_default();
        let path = difference(&desired.0, &host.0, String::new());
        let differs: Vec<String> =
            path.split(['.', '[']).take_while(|f| !f.ends_with(']')).map(|f| format!("f:{f}")).collect();
        // An atomic field is owned as a whole: its entry has nothing below it.
        let owns = |owner: &&Value| {
            let mut at = owner.get("fieldsV1");
            for field in &differs {
                match at.and_then(|fields| fields.get(field)) {
                    Some(below) => at = Some(below),
                    None => return at.and_then(Value::as_object).is_some_and(serde_json::Map::is_empty),
                }
            }
            true
        };
        let others =
            items(&live, "/metadata/managedFields").iter().filter(|o| text(o, "manager") != FIELD_MANAGER);
        let names: std::collections::BTreeSet<&str> =
            others.filter(owns).map(|o| text(o, "manager")).collect();
        if names.is_empty() { "unnamed".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
    }

    /// Remembers that the host rewrote what we set (EN16).
    pub(super) async fn overridden(&self, key: &Key, tenant: &TenantObj, desired: &HostObj, host: &HostObj) {
        let pair = (hash_tree(&desired.0), hash_content(&host.0));
        if let Some(entry) = self.tenant.model.lock().entries.get_mut(key) {
            entry.repairs.get_or_insert_with(Box::default).overridden = Some(pair);
        }
        let message =
            format!("the host keeps its own value of {}", difference(&desired.0, &host.0, String::new()));
        self.tell(key.kind, tenant, Reason::HostOverride.as_str(), &message, true).await;
        self.problem(key, &Refusal::new(Reason::HostOverride, message));
    }
}

/// Condition of refused pods.
pub(super) const CARRIED: &str = "skerry.dev/Carried";

fn hash_tree(value: &Value) -> u64 {
    hash(&value.to_string())
}

/// Hash without what changes with every write.
fn hash_content(value: &Value) -> u64 {
    let mut value = value.clone();
    if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("resourceVersion");
        meta.remove("managedFields");
        meta.remove("generation");
    }
    if let Some(map) = value.as_object_mut() {
        map.remove("status");
    }
    hash_tree(&value)
}

/// Path of the first member that differs.
fn difference(desired: &Value, live: &Value, path: String) -> String {
    if let (Some(want), Some(have)) = (desired.as_array(), live.as_array()) {
        let differs = |(i, value): &(usize, &Value)| {
            !crate::kinds::contained(value, have.get(*i).unwrap_or(&Value::Null))
        };
        if let Some((i, value)) = want.iter().enumerate().find(differs) {
            let found = have.get(i).unwrap_or(&Value::Null);
            return difference(value, found, format!("{path}[{i}]"));
        }
    }
    if let (Some(want), Some(have)) = (desired.as_object(), live.as_object()) {
        for (key, value) in want {
            let found = have.get(key).unwrap_or(&Value::Null);
            if !crate::kinds::contained(value, found) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                return difference(value, found, path);
            }
        }
    }
    path
}
