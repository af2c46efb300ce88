//! Cases of patches (AS-34): one line each, target, patch, and what comes out.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::apply::sample::{Sample, sample};
use crate::model::schema::Ty;

fn check_json(target: Value, patch: Value, expected: Value) {
    assert_eq!(json_patch(&target, &patch), Ok(expected), "{target} patched by {patch}");
}

/// Category, and a part of the message or, where that keeps silent, of the detail.
fn check_refused(outcome: Result<Value, PatchError>, category: Category, text: &str) {
    let refusal = outcome.expect_err("a refusal");
    assert_eq!(refusal.category, category, "{refusal:?}");
    assert!(refusal.message.contains(text) || refusal.detail.contains(text), "{refusal:?} without {text:?}");
}

#[test]
fn as34_json_patch() {
    let doc = || json!({"a": {"b": [1, 2, 3]}, "s": "x", "m~/n": 1, "z": null});
    let with = |path: &str, value: Value| {
        let mut out = doc();
        *out.pointer_mut(path).unwrap() = value;
        out
    };
    check_json(doc(), json!([]), doc());
    check_json(doc(), Value::Null, doc());
    check_json(doc(), json!([{"op": "replace", "path": "/s", "value": "y"}]), with("/s", json!("y")));
    check_json(
        doc(),
        json!([{"op": "add", "path": "/a/b/-", "value": 4}]),
        with("/a/b", json!([1, 2, 3, 4])),
    );
    check_json(
        doc(),
        json!([{"op": "add", "path": "/a/b/1", "value": 4}]),
        with("/a/b", json!([1, 4, 2, 3])),
    );
    check_json(
        doc(),
        json!([{"op": "add", "path": "/a/b/-1", "value": 4}]),
        with("/a/b", json!([1, 2, 3, 4])),
    );
    check_json(
        doc(),
        json!([{"op": "add", "path": "/a/b/-4", "value": 4}]),
        with("/a/b", json!([4, 1, 2, 3])),
    );
    check_json(doc(), json!([{"op": "remove", "path": "/a/b/-2"}]), with("/a/b", json!([1, 3])));
    check_json(
        doc(),
        json!([{"op": "replace", "path": "/a/b/0", "value": 9}]),
        with("/a/b", json!([9, 2, 3])),
    );
    check_json(doc(), json!([{"op": "replace", "path": "/m~0~1n", "value": 2}]), with("/m~0~1n", json!(2)));
    check_json(doc(), json!([{"op": "test", "path": "/a/b/0", "value": 1.0}]), doc());
    check_json(doc(), json!([{"op": "test", "path": "/nope", "value": null}]), doc());
    check_json(doc(), json!([{"op": "test", "path": "/z"}]), doc());
    check_json(doc(), json!([{"op": "copy", "from": "/s", "path": "/a/b"}]), with("/a/b", json!("x")));
    check_json(json!({"a": 1}), json!([{"op": "move", "from": "/a", "path": "/b"}]), json!({"b": 1}));
    check_json(
        json!({"a": 1}),
        json!([{"op": "replace", "path": "/b", "value": 2}]),
        json!({"a": 1, "b": 2}),
    );
    check_json(json!({"a": 1}), json!([{"op": "replace", "path": "", "value": {"c": 3}}]), json!({"c": 3}));
}

#[test]
fn as34_json_patch_refusals() {
    let refused = |patch: Value, category, text: &str| {
        check_refused(json_patch(&json!({"a": {"b": [1]}, "s": "x"}), &patch), category, text);
    };
    use Category::{BadRequest, TooLarge, Unprocessable};
    refused(json!({}), BadRequest, "cannot unmarshal object into Go value");
    refused(json!([1]), BadRequest, "cannot unmarshal number");
    refused(json!([{"op": "add", "path": 7}]), BadRequest, "jsonPatchOp.path of type string");
    refused(json!([{"path": "/a"}]), Unprocessable, "Unexpected kind: unknown");
    refused(json!([{"op": "add", "path": "/x/y"}]), Unprocessable, "doc is missing path: \"/x/y\"");
    refused(json!([{"op": "add", "path": ""}]), Unprocessable, "doc is missing path: \"\"");
    refused(json!([{"op": "add", "path": "/s/y"}]), Unprocessable, "doc is missing path");
    refused(json!([{"op": "add", "path": "/a/b/5"}]), Unprocessable, "Unable to access invalid index: 5");
    refused(json!([{"op": "add", "path": "/a/b/q"}]), Unprocessable, "not a proper array index: 'q'");
    refused(json!([{"op": "remove", "path": "/a/q"}]), Unprocessable, "Unable to remove nonexistent key: q");
    refused(json!([{"op": "test", "path": "/s", "value": "y"}]), Unprocessable, "testing value /s failed");
    refused(json!([{"op": "test", "path": "/s"}]), Unprocessable, "testing value /s failed");
    refused(json!([{"op": "move", "path": "/s"}]), Unprocessable, "failed to decode from");
    let many: Vec<Value> = vec![json!({"op": "test", "path": "/s", "value": "x"}); MAX_OPERATIONS + 1];
    let text = "The allowed maximum operations in a JSON patch is 10000, got 10001";
    refused(many.clone().into(), TooLarge, text);
    let most = Value::Array(many[1..].to_vec());
    assert!(json_patch(&json!({"s": "x"}), &most).is_ok());
}

/// Q7: a patch cannot grow a document without end, nor deeper than any body.
#[test]
fn as34_json_patch_growth_is_bounded() {
    let double = json!([{"op": "copy", "from": "/a", "path": "/a/-"}]);
    let doubles = Value::Array(std::iter::repeat_n(double[0].clone(), 64).collect());
    let refused = json_patch(&json!({"a": ["0123456789"]}), &doubles);
    check_refused(refused, Category::Unprocessable, "exceeding the limit 3145728");
    let mut deeper = vec![json!({"op": "add", "path": "/a", "value": {}})];
    for i in 0..600 {
        let path = "/a".repeat(i + 2);
        deeper.push(json!({"op": "add", "path": path, "value": {}}));
    }
    let refused = json_patch(&json!({}), &deeper.into());
    check_refused(refused, Category::Unprocessable, "nested deeper than 512");
    let swaps = |times: usize| -> Value {
        let once = [
            json!({"op": "add", "path": "/b", "value": {}}),
            json!({"op": "move", "from": "/a", "path": "/b/a"}),
            json!({"op": "move", "from": "/b", "path": "/a"}),
        ];
        (0..times).flat_map(|_| once.clone()).collect()
    };
    let refused = json_patch(&json!({"a": 1}), &swaps(5000));
    check_refused(refused, Category::TooLarge, "got 15000");
    let refused = json_patch(&json!({"a": 1}), &swaps(3000));
    check_refused(refused, Category::Unprocessable, "nested deeper than 512");
}

#[test]
fn as34_merge_patch() {
    let check = |target: Value, patch: Value, expected: Value| {
        assert_eq!(merge_patch(&target, &patch), Ok(expected), "{target} merged with {patch}");
    };
    check(json!({"a": 1}), json!({"a": null, "b": {"c": null, "d": 1}}), json!({"b": {"d": 1}}));
    check(json!({"a": {"b": 1}}), json!({"a": {"c": 2}}), json!({"a": {"b": 1, "c": 2}}));
    check(json!({"a": [1]}), json!({"a": [{"x": null}, null]}), json!({"a": [{}, null]}));
    check(json!({"a": "x"}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}}));
    check(json!({"a": {"b": 1}}), json!({"a": [1]}), json!({"a": [1]}));
    check(json!({"a": 1}), json!({}), json!({"a": 1}));
    for bad in [json!([1]), json!("x"), json!(null), json!(7)] {
        check_refused(merge_patch(&json!({}), &bad), Category::BadRequest, "map[string]interface {}");
    }
}

struct Strategic(Sample);

impl Strategic {
    fn patch(&self, target: &Value, patch: &Value) -> Result<Value, PatchError> {
        strategic_merge(&self.0.schema, &Ty::Struct(self.0.root), target, patch)
    }

    fn check(&self, target: Value, patch: Value, expected: Value) {
        assert_eq!(self.patch(&target, &patch), Ok(expected), "{target} merged with {patch}");
    }

    /// The same, with all below `spec`.
    fn spec(&self, target: Value, patch: Value, expected: Value) {
        let wrap = |v| json!({"spec": v});
        self.check(wrap(target), wrap(patch), wrap(expected));
    }

    fn refused(&self, target: Value, patch: Value, category: Category, text: &str) {
        check_refused(self.patch(&json!({"spec": target}), &json!({"spec": patch})), category, text);
    }
}

/// AS-12: lists merge by the keys that the tables name.
#[test]
fn as12_strategic_merge_keys() {
    let s = Strategic(sample());
    let c = |name: &str, image: &str| json!({"name": name, "image": image});
    s.spec(
        json!({"containers": [c("a", "1"), c("b", "1")]}),
        json!({"containers": [c("b", "2"), c("c", "1")]}),
        json!({"containers": [c("a", "1"), c("b", "2"), c("c", "1")]}),
    );
    s.spec(
        json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81}]}]}),
        json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "x"}]}]}),
        json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP", "name": "x"}, {"containerPort": 81}]}]}),
    );
    s.spec(
        json!({"tolerations": [{"key": "a"}]}),
        json!({"tolerations": [{"key": "b"}]}),
        json!({"tolerations": [{"key": "b"}]}),
    );
    s.spec(
        json!({"nodeSelector": {"a": "1"}}),
        json!({"nodeSelector": {"b": "1"}}),
        json!({"nodeSelector": {"a": "1", "b": "1"}}),
    );
    s.check(
        json!({"metadata": {"finalizers": ["a", "b"]}}),
        json!({"metadata": {"finalizers": ["c", "a"]}}),
        json!({"metadata": {"finalizers": ["c", "a", "b"]}}),
    );
    s.check(
        json!({"status": {"conditions": [{"type": "A", "status": "True"}]}}),
        json!({"status": {"conditions": [{"type": "B"}, {"type": "A", "status": "False"}]}}),
        json!({"status": {"conditions": [{"type": "B"}, {"type": "A", "status": "False"}]}}),
    );
    s.check(
        json!({"metadata": {"ownerReferences": [{"uid": "1", "name": "x"}]}}),
        json!({"metadata": {"ownerReferences": [{"uid": "1", "kind": "K"}]}}),
        json!({"metadata": {"ownerReferences": [{"uid": "1", "name": "x", "kind": "K"}]}}),
    );
}

/// P2: `$patch`, `$deleteFromPrimitiveList`, `$setElementOrder`, `$retainKeys`.
#[test]
fn as34_strategic_directives() {
    let s = Strategic(sample());
    let names =
        |names: &[&str]| json!({"containers": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()});
    s.spec(names(&["a", "b"]), json!({"containers": [{"name": "a", "$patch": "delete"}]}), names(&["b"]));
    s.spec(names(&["a", "b"]), json!({"containers": [{"$patch": "replace"}, {"name": "z"}]}), names(&["z"]));
    s.spec(
        json!({"replicas": 1, "paused": true}),
        json!({"$patch": "replace", "replicas": 2}),
        json!({"replicas": 2}),
    );
    s.spec(
        json!({"strategy": {"type": "x"}}),
        json!({"strategy": {"$patch": "delete"}}),
        json!({"strategy": {}}),
    );
    s.spec(json!({}), json!({"strategy": {"$patch": "replace", "type": "x"}}), json!({}));
    s.spec(json!({"replicas": 1}), json!({"replicas": null, "paused": null}), json!({}));
    s.spec(
        json!({}),
        json!({"strategy": {"type": null, "rollingUpdate": {"maxSurge": 1}}}),
        json!({"strategy": {"rollingUpdate": {"maxSurge": 1}}}),
    );
    s.spec(
        names(&["a", "b", "c", "d"]),
        json!({"$setElementOrder/containers": [{"name": "d"}, {"name": "b"}]}),
        names(&["a", "c", "d", "b"]),
    );
    s.spec(
        names(&["a", "b"]),
        json!({"$setElementOrder/containers": [{"name": "n"}, {"name": "b"}], "containers": [{"name": "n"}]}),
        names(&["n", "a", "b"]),
    );
    s.spec(
        names(&["a", "b", "c"]),
        json!({"$setElementOrder/containers": [{"name": "n"}, {"name": "c"}],
            "containers": [{"name": "n"}, {"name": "b", "$patch": "delete"}]}),
        names(&["a", "n", "c"]),
    );
    s.spec(json!({}), json!({"$setElementOrder/containers": [{"name": "n"}], "containers": [{"name": "n"}, {"name": "x", "$patch": "delete"}]}), names(&["n"]));
    s.check(
        json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d"]}}),
        json!({"metadata": {"finalizers": ["d", "a", "c"]}}),
    );
    s.check(
        json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
        json!({"metadata": {"$setElementOrder/finalizers": ["c", "a"]}}),
        json!({"metadata": {"finalizers": ["b", "c", "a"]}}),
    );
    s.spec(
        json!({"strategy": {"type": "x", "rollingUpdate": {"maxSurge": 1}}}),
        json!({"strategy": {"$retainKeys": ["type"], "type": "y"}}),
        json!({"strategy": {"type": "y"}}),
    );
    s.spec(
        json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        json!({"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]}),
        json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}),
    );
}

#[test]
fn as34_strategic_refusals() {
    use Category::{BadRequest, Internal};
    let s = Strategic(sample());
    let live = || json!({"containers": [{"name": "a"}], "strategy": {"type": "x"}});
    s.refused(
        live(),
        json!({"containers": [{"image": "i"}]}),
        Internal,
        "map: map[image:i] does not contain declared merge key: name",
    );
    s.refused(
        live(),
        json!({"containers": [{"$patch": "delete"}]}),
        Internal,
        "does not contain declared merge key",
    );
    s.refused(
        live(),
        json!({"containers": [{"name": "a", "$patch": "merge"}]}),
        Internal,
        "merging lists cannot yet be specified",
    );
    s.refused(live(), json!({"containers": ["a"]}), Internal, "list element types are not identical");
    s.refused(live(), json!({"strategy": {"$patch": "merge"}}), Internal, "unknown patch type: merge in map");
    s.refused(
        live(),
        json!({"strategy": {"$retainKeys": "x"}}),
        BadRequest,
        "invalid patch format of retainKeys",
    );
    s.refused(
        live(),
        json!({"strategy": {"$retainKeys": [], "type": "y"}}),
        BadRequest,
        "invalid patch format of retainKeys",
    );
    s.refused(
        live(),
        json!({"$setElementOrder": []}),
        BadRequest,
        "invalid patch format of setElementOrder list",
    );
    s.refused(
        live(),
        json!({"$setElementOrder/containers": "x"}),
        Internal,
        "expected a []interface {}, but received a string",
    );
    s.refused(
        live(),
        json!({"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]}),
        Internal,
        "The order in patch list:",
    );
    s.refused(
        live(),
        json!({"$deleteFromPrimitiveList": []}),
        BadRequest,
        "invalid patch format of primitive list",
    );
    check_refused(s.patch(&json!({}), &json!([])), BadRequest, "cannot unmarshal array");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4i64).prop_map(Value::from),
        "[ab]{1}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        3 => "[a-c]{1}",
        1 => prop::sample::select(vec!["$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/a", "containers", "name", "spec", "metadata", "finalizers", "ports"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    /// A merge patch that turns one document into another is what RFC 7386 says it is.
    #[test]
    fn as34_merge_patch_reaches_its_goal(a in any_json(), b in any_json()) {
        fn diff(a: &Value, b: &Value) -> Value {
            match (a, b) {
                (Value::Object(a), Value::Object(b)) => {
                    let mut out = serde_json::Map::new();
                    for key in a.keys().filter(|k| !b.contains_key(*k)) {
                        out.insert(key.clone(), Value::Null);
                    }
                    for (key, value) in b {
                        let change = a.get(key).map_or_else(|| value.clone(), |a| diff(a, value));
                        if a.get(key) != Some(value) {
                            out.insert(key.clone(), change);
                        }
                    }
                    Value::Object(out)
                }
                _ => b.clone(),
            }
        }
        fn without_nulls(v: &Value) -> Value {
            match v {
                Value::Object(m) => m.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect(),
                Value::Array(l) => l.iter().map(without_nulls).collect(),
                v => v.clone(),
            }
        }
        let (a, b) = (json!({"r": without_nulls(&a)}), json!({"r": without_nulls(&b)}));
        let patch = diff(&a, &b);
        prop_assert_eq!(without_nulls(&merge_patch(&a, &patch).unwrap()), without_nulls(&b));
    }

    /// No patch makes the walk fall over (Q29).
    #[test]
    fn as34_patches_never_panic(target in any_json(), patch in any_json(), ops in prop::collection::vec(any_json(), 0..4)) {
        let s = sample();
        let _ = strategic_merge(&s.schema, &Ty::Struct(s.root), &target, &patch);
        let _ = merge_patch(&target, &patch);
        let _ = json_patch(&target, &Value::from(ops));
    }

    /// `test` after `add` finds what was added.
    #[test]
    fn as34_json_patch_round_trip(target in any_json(), value in any_json()) {
        let target = json!({"r": target});
        let patch = json!([
            {"op": "add", "path": "/x", "value": value},
            {"op": "test", "path": "/x", "value": value},
            {"op": "copy", "from": "/x", "path": "/y"},
            {"op": "move", "from": "/y", "path": "/z"},
            {"op": "test", "path": "/z", "value": value},
            {"op": "remove", "path": "/z"},
            {"op": "remove", "path": "/x"},
        ]);
        prop_assert_eq!(json_patch(&target, &patch).unwrap(), target);
    }
}
