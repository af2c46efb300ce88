//! Cases of apply and of ownership (AS-12, AS-33).

use serde_json::{Value, json};

use super::sample::{Sample, sample};
use super::*;

const T1: &str = "2026-01-01T00:00:01Z";
const T2: &str = "2026-01-01T00:00:02Z";

/// A kind, its one object, and the writes to it.
struct World {
    sample: Sample,
    live: Option<Value>,
    now: &'static str,
}

impl World {
    fn new() -> World {
        World { sample: sample(), live: None, now: T1 }
    }

    fn object(body: Value) -> Value {
        let mut object =
            json!({"apiVersion": "apps/v1", "kind": "App", "metadata": {"name": "x", "namespace": "d"}});
        merge_into(&mut object, body);
        object
    }

    fn try_apply(&mut self, manager: &str, body: Value, force: bool) -> Result<bool, ApplyError> {
        let applied = World::object(body);
        let done = apply(Apply {
            schema: &self.sample.schema,
            root: self.sample.root,
            live: self.live.as_ref(),
            applied: &applied,
            manager,
            api_version: "apps/v1",
            subresource: "",
            force,
            now: self.now,
            reset_fields: &["status"],
        })?;
        self.live = Some(done.object);
        Ok(done.changed)
    }

    fn apply(&mut self, manager: &str, body: Value) -> bool {
        self.try_apply(manager, body, false).unwrap()
    }

    fn write(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        let mut new = self.live.clone().unwrap_or_else(|| World::object(json!({})));
        change(&mut new);
        self.put(manager, "", new);
    }

    fn put(&mut self, manager: &str, subresource: &str, mut new: Value) {
        update(Update {
            schema: &self.sample.schema,
            root: self.sample.root,
            live: self.live.as_ref(),
            new: &mut new,
            manager,
            api_version: "apps/v1",
            subresource,
            now: self.now,
            reset_fields: if subresource.is_empty() { &["status"] } else { &["spec"] },
        });
        self.live = Some(new);
    }

    fn spec(&self) -> Value {
        self.live.as_ref().and_then(|l| l.get("spec")).cloned().unwrap_or_default()
    }

    /// `manager operation`: paths, for each entry.
    fn owners(&self) -> Vec<(String, Vec<String>)> {
        let list = self.live.as_ref().and_then(|l| l["metadata"].get("managedFields")).cloned();
        managers::trusted(list.unwrap_or_default())
            .into_iter()
            .map(|e| (format!("{} {:?}", e.manager.name, e.manager.operation), e.fields.paths()))
            .collect()
    }

    fn owned_by(&self, who: &str) -> Vec<String> {
        self.owners().into_iter().find(|(w, _)| w == who).map(|(_, p)| p).unwrap_or_default()
    }
}

fn merge_into(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (k, v) in over {
                merge_into(base.entry(k).or_insert(Value::Null), v);
            }
        }
        (base, over) => *base = over,
    }
}

#[test]
fn as12_apply_creates_owns_and_is_idempotent() {
    let mut w = World::new();
    let body = json!({"spec": {"replicas": 1, "containers": [{"name": "a", "image": "i"}]}});
    assert!(w.apply("m", body.clone()));
    assert_eq!(
        w.owned_by("m Apply"),
        [
            ".spec.replicas",
            ".spec.containers[name=\"a\"]",
            ".spec.containers[name=\"a\"].image",
            ".spec.containers[name=\"a\"].name"
        ]
    );
    w.now = T2;
    let before = w.live.clone();
    assert!(!w.apply("m", body));
    assert_eq!(w.live, before);
}

#[test]
fn as12_conflict_then_force() {
    let mut w = World::new();
    w.apply("a", json!({"spec": {"replicas": 1}}));
    let refused = w.try_apply("b", json!({"spec": {"replicas": 2}}), false).unwrap_err();
    assert_eq!(refused.to_string(), "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas");
    w.try_apply("b", json!({"spec": {"replicas": 2}}), true).unwrap();
    assert_eq!(w.owners().len(), 1);
    assert_eq!(w.spec()["replicas"], 2);
}

#[test]
fn as12_omitted_fields_go_unless_shared() {
    let mut w = World::new();
    w.apply("a", json!({"spec": {"replicas": 1, "paused": true, "nodeSelector": {"x": "y"}}}));
    w.apply("b", json!({"spec": {"paused": true}}));
    w.apply("a", json!({"spec": {"nodeSelector": {"x": "y"}}}));
    assert_eq!(w.spec(), json!({"paused": true, "nodeSelector": {"x": "y"}}));
    w.apply("a", json!({}));
    assert_eq!(w.spec(), json!({"paused": true}));
}

#[test]
fn as12_create_by_update_marks_as_upstream() {
    let mut w = World::new();
    w.put(
        "kubectl-create",
        "",
        World::object(json!({
            "metadata": {"labels": {"a": "b"}},
            "spec": {"replicas": 1, "strategy": {"type": "x"}, "selector": {"matchLabels": {"a": "b"}},
                "containers": [{"name": "a", "resources": {}}]}})),
    );
    let fields = &w.live.as_ref().unwrap()["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(
        *fields,
        json!({
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:strategy": {"f:type": {}},
                "f:selector": {},
                "f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:resources": {}}}
            }
        })
    );
}
