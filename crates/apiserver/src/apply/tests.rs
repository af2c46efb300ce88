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

/// AS-12: what is merged by which key, and what is one value.
#[test]
fn as12_merge_keys() {
    let merge = |live: Value, config: Value, expected: Value| {
        let mut w = World::new();
        w.put("u", "", World::object(json!({"spec": live})));
        w.try_apply("a", json!({"spec": config}), true).unwrap();
        let mut expected = expected;
        if let Some(members) = w.live.as_ref().and_then(|l| l["spec"].as_object()) {
            expected.as_object_mut().unwrap().retain(|_, v| !v.is_null());
            assert_eq!(Value::Object(members.clone()), expected);
        }
    };
    let names =
        |names: &[&str]| json!({"containers": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()});
    merge(names(&["a", "b"]), names(&["c", "b"]), names(&["a", "c", "b"]));
    merge(names(&["a", "b", "c"]), names(&["c", "a"]), names(&["b", "c", "a"]));
    merge(names(&["a", "b", "c", "d"]), names(&["d", "x", "b"]), names(&["a", "c", "d", "x", "b"]));
    merge(names(&[]), names(&["x"]), names(&["x"]));
    merge(names(&["x"]), names(&[]), names(&["x"]));
    let ports = |ports: Value| json!({"containers": [{"name": "a", "ports": ports}]});
    merge(
        ports(json!([{"containerPort": 80, "protocol": "TCP", "name": "x"}])),
        ports(json!([{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 80, "name": "y"}])),
        ports(
            json!([{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 80, "protocol": "TCP", "name": "y"}]),
        ),
    );
    merge(
        json!({"tolerations": [{"key": "a"}]}),
        json!({"tolerations": [{"key": "b"}]}),
        json!({"tolerations": [{"key": "b"}]}),
    );
    merge(
        json!({"nodeSelector": {"a": "1"}}),
        json!({"nodeSelector": {"b": "1"}}),
        json!({"nodeSelector": {"b": "1"}}),
    );
    merge(
        json!({"schedulers": ["a", "b"]}),
        json!({"schedulers": ["c", "b"]}),
        json!({"schedulers": ["a", "c", "b"]}),
    );
    merge(
        json!({"raw": {"a": 1, "l": [1]}}),
        json!({"raw": {"b": 2, "l": [2]}}),
        json!({"raw": {"b": 2, "l": [2]}}),
    );
    merge(json!({"replicas": 3, "paused": true}), json!({"replicas": null}), json!({"paused": true}));
    merge(
        json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}),
        json!({"volumes": [{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}]}),
    );
}

#[test]
fn as12_refusals_say_where() {
    let refused = |body: Value, text: &str| {
        let refusal = World::new().try_apply("a", body, true).unwrap_err();
        let head = "failed to create typed patch object (d/x; apps/v1, Kind=App): ";
        assert_eq!(refusal.to_string(), format!("{head}{text}"));
        refusal
    };
    let twice = json!({"spec": {"containers": [{"name": "a"}, {"name": "a"}]}});
    let refusal = refused(twice, ".spec.containers: duplicate entries for key [name=\"a\"]");
    assert!(matches!(refusal, ApplyError::DuplicateKeys { .. }));
    refused(
        json!({"metadata": {"finalizers": ["e", "e"]}, "spec": {"nope": 1}}),
        "errors:\n  .metadata.finalizers: duplicate entries for key [=\"e\"]\n  .spec.nope: field not declared in schema",
    );
    refused(
        json!({"spec": {"replicas": "1"}}),
        ".spec.replicas: expected numeric (int or float), got string",
    );
    refused(json!({"spec": {"paused": 1}}), ".spec.paused: expected boolean, got &{1}");
    refused(json!({"spec": {"containers": {}}}), ".spec.containers: expected list, got &{map[]}");
    refused(json!({"spec": []}), ".spec: expected map, got &{[]}");
    let refusal = World::new().try_apply("a", json!({"metadata": {"managedFields": []}}), true).unwrap_err();
    assert_eq!(refusal, ApplyError::ManagedFieldsGiven);
}

#[test]
fn as12_conflicts_are_listed_by_owner() {
    let mut w = World::new();
    w.apply("b", json!({"spec": {"replicas": 1}}));
    w.put("s", "status", {
        let mut new = w.live.clone().unwrap();
        new["status"] = json!({"ready": 1});
        new
    });
    w.write("u", |new| new["spec"]["containers"] = json!([{"name": "a", "image": "i"}]));
    let body = json!({"spec": {"replicas": 2, "containers": [{"name": "a", "image": "j"}]}});
    let refusal = w.try_apply("a", body, false).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"b\":\n- .spec.replicas\nconflicts with \"u\" using apps/v1:\n- .spec.containers[name=\"a\"].image"
    );
    let ApplyError::Conflicts(conflicts) = refusal else { panic!("conflicts") };
    assert_eq!(
        (&*conflicts[1].manager, &*conflicts[1].api_version, &*conflicts[1].message),
        ("u", "apps/v1", "conflict with \"u\" using apps/v1")
    );
}

/// U7: old updaters are folded, the list is sorted, times move only with content.
#[test]
fn as33_managers_are_kept_in_order() {
    let mut w = World::new();
    w.put("u0", "", World::object(json!({"metadata": {"annotations": {"k0": "1"}}})));
    for i in 1..14 {
        w.write(&format!("u{i}"), |new| new["metadata"]["annotations"][format!("k{i}")] = "1".into());
    }
    let owners = w.owners();
    assert_eq!(owners.len(), 10);
    assert_eq!(owners[0].0, "ancient-changes Update");
    assert_eq!(owners[0].1.len(), 6);
    w.now = T2;
    w.write("u13", |_| {});
    w.write("u13", |new| _ = new["metadata"]["annotations"].as_object_mut().unwrap().remove("k0"));
    let times = w.live.as_ref().unwrap()["metadata"]["managedFields"].to_string();
    assert!(!times.contains(T2), "{times}");
    w.write("u13", |new| new["metadata"]["annotations"]["k13"] = "2".into());
    w.apply("a", json!({"spec": {"replicas": 1}}));
    let last = w.owners().pop().map(|(who, _)| who);
    assert_eq!((w.owners()[0].0.as_str(), last.as_deref()), ("a Apply", Some("u13 Update")));
}

#[test]
fn as33_a_client_may_rewrite_managers() {
    let mut w = World::new();
    w.apply("a", json!({"spec": {"replicas": 1, "paused": true}}));
    w.write("u", |new| new["metadata"]["managedFields"][0]["manager"] = "b".into());
    assert_eq!(w.owners()[0].0, "b Apply");
    w.write("u", |new| {
        new["metadata"]["managedFields"][0]["fieldsV1"] = json!({"f:spec": {"f:replicas": {}}, "x": {}})
    });
    assert_eq!(w.owned_by("b Apply"), [".spec.paused", ".spec.replicas"], "malformed, so the old list stays");
    w.write("u", |new| {
        new["metadata"]["managedFields"][0]["fieldsV1"] = json!({"f:spec": {"f:replicas": {}, "q:z": {}}})
    });
    assert_eq!(w.owned_by("b Apply"), [".spec.replicas"]);
    w.write("u", |new| _ = new["metadata"].as_object_mut().unwrap().remove("managedFields"));
    assert_eq!(w.owned_by("b Apply"), [".spec.replicas"], "left out is not reset");
    w.write("u", |new| new["metadata"]["managedFields"] = json!([{}]));
    assert!(w.owners().is_empty());
    w.write("u", |new| new["spec"]["replicas"] = 2.into());
    assert!(w.owners().is_empty(), "an update starts no list");
    let refusal = w.try_apply("a", json!({"spec": {"replicas": 3}}), false).unwrap_err();
    assert!(
        refusal.to_string().contains("\"before-first-apply\" using apps/v1: .spec.replicas"),
        "{refusal}"
    );
}

/// AS-35, A6: kubectl's way from client-side to server-side apply ends with one owner and no conflict.
#[test]
fn as35_kubectl_migration() {
    let last = |replicas: i64| {
        let body = World::object(json!({"spec": {"replicas": replicas}}));
        json!({"kubectl.kubernetes.io/last-applied-configuration": body.to_string()})
    };
    let mut w = World::new();
    let body = json!({"metadata": {"annotations": last(1)}, "spec": {"replicas": 1}});
    w.put("kubectl-client-side-apply", "", World::object(body));
    w.apply("kubectl", json!({"spec": {"replicas": 2}}));
    assert_eq!(w.spec()["replicas"], 2);
    let annotation = w.live.as_ref().unwrap()["metadata"]["annotations"].to_string();
    assert!(annotation.contains("\\\"replicas\\\":2"), "{annotation}");
    // kubectl takes its old annotation over, drops its old entry by patch, and applies once more.
    let annotations = w.live.as_ref().unwrap()["metadata"]["annotations"].clone();
    w.try_apply("kubectl-last-applied", json!({"metadata": {"annotations": annotations}}), true).unwrap();
    w.write("kubectl", |new| {
        new["metadata"]["managedFields"].as_array_mut().unwrap().retain(|e| e["operation"] == "Apply");
    });
    w.apply("kubectl", json!({"spec": {"replicas": 3}}));
    assert_eq!(w.owned_by("kubectl Apply"), [".spec.replicas"]);
    assert_eq!(w.owners().len(), 2);
    w.apply("kubectl", json!({}));
    assert_eq!(w.spec().get("replicas"), None);
}

/// A5: repeated items that are stored already bother nobody until they are named.
#[test]
fn as33_live_duplicates_are_tolerated() {
    let mut w = World::new();
    let twice = json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "a", "image": "2"}]}});
    w.put("u", "", World::object(twice));
    assert_eq!(w.owned_by("u Update"), [".spec.containers[name=\"a\"]"]);
    w.apply("a", json!({"spec": {"containers": [{"name": "b"}]}}));
    assert_eq!(w.spec()["containers"].as_array().unwrap().len(), 3);
    w.try_apply("a", json!({"spec": {"containers": [{"name": "a", "image": "3"}]}}), true).unwrap();
    assert_eq!(w.spec()["containers"], json!([{"name": "a", "image": "3"}]));
}

/// Of a custom kind every struct that is new counts as a change of its own.
#[test]
fn as33_custom_kinds_show_nothing_of_themselves() {
    let s = sample();
    let mut new = World::object(json!({"spec": {"strategy": {"type": "x"}, "containers": [{"name": "a"}]}}));
    update(Update {
        schema: &s.schema,
        root: s.custom,
        live: None,
        new: &mut new,
        manager: "u",
        api_version: "x/v1",
        subresource: "",
        now: T1,
        reset_fields: &[],
    });
    assert_eq!(
        new["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {".": {}, "f:strategy": {".": {}, "f:type": {}},
            "f:containers": {".": {}, "k:{\"name\":\"a\"}": {".": {}, "f:name": {}}}}})
    );
}

/// A set written before a schema made a list atomic owns the list as one value from then on.
#[test]
fn as12_sets_follow_the_schema() {
    let mut w = World::new();
    w.apply("a", json!({"spec": {"tolerations": [{"key": "x"}], "nodeSelector": {"k": "v"}}}));
    let live = w.live.as_mut().unwrap();
    live["metadata"]["managedFields"][0]["fieldsV1"] = json!({"f:spec": {"f:tolerations": {"k:{\"key\":\"x\"}": {".": {}, "f:key": {}}}, "f:nodeSelector": {"f:k": {}}}});
    w.apply("b", json!({"spec": {"paused": true}}));
    assert_eq!(w.owned_by("a Apply"), [".spec.nodeSelector", ".spec.tolerations"]);
}

#[test]
fn as33_equality_ignores_times_only() {
    let object = |time: &str, manager: &str| json!({"metadata": {"name": "x", "managedFields": [{"manager": manager, "time": time}]}, "spec": {"time": "1"}});
    assert!(equal_ignoring_times(&object(T1, "a"), &object(T2, "a")));
    assert!(!equal_ignoring_times(&object(T1, "a"), &object(T1, "b")));
    let mut other = object(T1, "a");
    other["spec"]["time"] = "2".into();
    assert!(!equal_ignoring_times(&object(T1, "a"), &other));
    let mut other = object(T1, "a");
    other["metadata"]["managedFields"][0].as_object_mut().unwrap().remove("time");
    assert!(equal_ignoring_times(&object(T1, "a"), &other));
}
