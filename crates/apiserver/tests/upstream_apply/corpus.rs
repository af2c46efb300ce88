//! What is recorded: cases written by hand, and walks drawn from a seed.

use serde_json::{Map, Value, json};

use crate::kinds;
use crate::scenario::{Case, Set, Step};

pub fn sets() -> Vec<Set> {
    let set = |api_version: &str, kind: &str, plural: &str, cases| Set {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        cases,
    };
    vec![
        set("v1", "ConfigMap", "configmaps", configmaps()),
        set("apps/v1", "Deployment", "deployments", deployments()),
        set("v1", "Service", "services", services()),
        set("golden.skerry.test/v1", "Thing", "things", things()),
    ]
    .into_iter()
    .chain(kinds::sets())
    .collect()
}

pub fn case(name: &str, steps: Vec<Step>) -> Case {
    Case { name: name.to_owned(), steps }
}

pub fn apply(manager: &str, body: Value) -> Step {
    Step::new("apply", manager, body)
}

pub fn create(manager: &str, body: Value) -> Step {
    Step::new("create", manager, body)
}

pub fn update(manager: &str, edit: Value) -> Step {
    Step::new("update", manager, edit)
}

pub fn merge(manager: &str, body: Value) -> Step {
    Step::new("merge", manager, body)
}

pub fn json_patch(manager: &str, body: Value) -> Step {
    Step::new("json", manager, body)
}

pub fn strategic(manager: &str, body: Value) -> Step {
    Step::new("strategic", manager, body)
}

fn data(v: Value) -> Value {
    json!({"data": v})
}

const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn configmaps() -> Vec<Case> {
    let last_applied = |data: Value| {
        let text = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data})
            .to_string();
        json!({"metadata": {"annotations": {LAST: text}}, "data": data})
    };
    let mut cases = vec![
        case("apply twice", vec![apply("a", data(json!({"k": "1"}))), apply("a", data(json!({"k": "1"})))]),
        case("apply changes", vec![apply("a", data(json!({"k": "1"}))), apply("a", data(json!({"k": "2"})))]),
        case(
            "apply removes",
            vec![
                apply("a", data(json!({"k": "1", "l": "1"}))),
                apply("a", data(json!({"l": "1"}))),
                apply("a", json!({})),
            ],
        ),
        case(
            "conflict with applier",
            vec![
                apply("a", data(json!({"k": "1"}))),
                apply("b", data(json!({"k": "2"}))),
                apply("b", data(json!({"k": "2"}))).force(),
                apply("a", data(json!({"k": "1"}))),
            ],
        ),
        case(
            "conflict with updater",
            vec![
                create("u", data(json!({"k": "1", "l": "1"}))),
                apply("a", data(json!({"k": "2", "l": "2"}))),
                apply("a", data(json!({"k": "2", "l": "2"}))).force(),
            ],
        ),
        case(
            "conflicts with several",
            vec![
                apply("b", data(json!({"k": "1"}))),
                apply("a", data(json!({"l": "1"}))),
                update("u", data(json!({"m": "1"}))),
                apply("c", data(json!({"k": "2", "l": "2", "m": "2"}))),
            ],
        ),
        case(
            "shared",
            vec![
                apply("a", data(json!({"k": "1"}))),
                apply("b", data(json!({"k": "1"}))),
                apply("a", json!({})),
                apply("b", json!({})),
            ],
        ),
        case(
            "shared then one changes",
            vec![
                apply("a", data(json!({"k": "1"}))),
                apply("b", data(json!({"k": "1"}))),
                apply("a", data(json!({"k": "2"}))),
                apply("a", data(json!({"k": "2"}))).force(),
            ],
        ),
        case(
            "updater shares with applier",
            vec![
                create("u", data(json!({"k": "1"}))),
                apply("a", data(json!({"k": "1"}))),
                apply("a", json!({})),
                update("u", data(json!({"k": null}))),
            ],
        ),
        case(
            "update takes",
            vec![
                apply("a", data(json!({"k": "1", "l": "1"}))),
                update("u", data(json!({"k": "2"}))),
                apply("a", data(json!({"k": "1", "l": "1"}))),
            ],
        ),
        case(
            "update removes",
            vec![
                apply("a", data(json!({"k": "1", "l": "1"}))),
                update("u", data(json!({"k": null}))),
                apply("a", data(json!({"k": "1", "l": "1"}))),
            ],
        ),
        case("update changes nothing", vec![create("u", data(json!({"k": "1"}))), update("v", json!({}))]),
        case(
            "update only removes keeps the time",
            vec![create("u", data(json!({"k": "1", "l": "1"}))), update("u", data(json!({"k": null})))],
        ),
        case(
            "reset by one empty entry",
            vec![
                apply("a", data(json!({"k": "1"}))),
                update("u", json!({"metadata": {"managedFields": [{}]}})),
                update("u", data(json!({"k": "3"}))),
                apply("a", data(json!({"k": "2"}))),
                apply("a", data(json!({"k": "2"}))).force(),
            ],
        ),
        case(
            "reset by an empty list",
            vec![
                apply("a", data(json!({"k": "1"}))),
                update("u", json!({"metadata": {"managedFields": []}})),
                apply("b", data(json!({"l": "1"}))),
            ],
        ),
        case(
            "managedFields left out",
            vec![
                apply("a", data(json!({"k": "1"}))),
                update("u", json!({"metadata": {"managedFields": null}, "data": {"l": "1"}})),
            ],
        ),
        case(
            "managedFields removed by json patch",
            vec![
                apply("a", data(json!({"k": "1"}))),
                json_patch("j", json!([{"op": "remove", "path": "/metadata/managedFields/0"}])),
                json_patch("j", json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}])),
            ],
        ),
        case(
            "managedFields renamed by json patch",
            vec![
                create("u", data(json!({"k": "1"}))),
                json_patch(
                    "j",
                    json!([{"op": "replace", "path": "/metadata/managedFields/0/manager", "value": "other"}]),
                ),
                apply("a", data(json!({"k": "2"}))),
            ],
        ),
        case(
            "managedFields become an apply",
            vec![
                create("u", data(json!({"k": "1"}))),
                json_patch(
                    "j",
                    json!([{"op": "replace", "path": "/metadata/managedFields/0/operation", "value": "Apply"}]),
                ),
                apply("u", json!({})),
            ],
        ),
        case(
            "managedFields broken by a client",
            vec![
                create("u", data(json!({"k": "1"}))),
                json_patch(
                    "j",
                    json!([{"op": "replace", "path": "/metadata/managedFields/0/operation", "value": "Nonsense"}]),
                ),
                json_patch(
                    "j",
                    json!([{"op": "replace", "path": "/metadata/managedFields/0/fieldsV1", "value": {"f:data": {"f:z": {}, "f:k": {}}, "x": {}}}]),
                ),
                json_patch(
                    "j",
                    json!([{"op": "replace", "path": "/metadata/managedFields/0/fieldsV1", "value": {"f:data": {"f:z": {}, "q:k": {}}}}]),
                ),
            ],
        ),
        case(
            "created with managedFields",
            vec![create(
                "u",
                json!({"metadata": {"managedFields": [{"manager": "old", "operation": "Update", "apiVersion": "v1", "time": "2020-01-01T10:00:00+02:00", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:k": {}}}}]}, "data": {"k": "1", "l": "1"}}),
            )],
        ),
        case(
            "labels and annotations",
            vec![
                apply("a", json!({"metadata": {"labels": {"x": "1"}, "annotations": {"y": "1"}}})),
                apply("b", json!({"metadata": {"labels": {"z": "1"}}})),
                apply("a", json!({})),
                apply("b", json!({"metadata": {"labels": {}}})),
            ],
        ),
        case(
            "finalizers are a set",
            vec![
                apply("a", json!({"metadata": {"finalizers": ["e.io/a", "e.io/b"]}})),
                apply("b", json!({"metadata": {"finalizers": ["e.io/c", "e.io/a"]}})),
                apply("a", json!({"metadata": {"finalizers": ["e.io/b"]}})),
                apply("b", json!({"metadata": {"finalizers": []}})),
                apply("a", json!({})),
            ],
        ),
        case(
            "owners by uid",
            vec![
                apply("a", owners(&["1", "2"])),
                apply("b", owners(&["3", "1"])),
                apply("a", owners(&["2"])),
                apply("a", json!({})),
                update("u", owners(&["3"])),
                apply("b", json!({})),
            ],
        ),
        case(
            "duplicate set items",
            vec![apply("a", json!({"metadata": {"finalizers": ["e.io/a", "e.io/a"]}}))],
        ),
        case("duplicate owners", vec![apply("a", owners(&["1", "1"]))]),
        case("unknown field", vec![apply("a", json!({"nope": 1}))]),
        case(
            "wrong type",
            vec![
                apply("a", json!({"data": {"k": 1}})),
                apply("a", json!({"data": []})),
                apply("a", json!({"immutable": "x"})),
                apply("a", json!({"metadata": {"finalizers": {"a": 1}}})),
            ],
        ),
        case(
            "null value",
            vec![
                apply("a", json!({"data": null})),
                apply("a", data(json!({"k": "1"}))),
                apply("a", json!({"data": null})),
                apply("a", data(json!({"k": null}))),
            ],
        ),
        case(
            "empty maps",
            vec![
                apply("a", data(json!({}))),
                apply("a", data(json!({"k": "1"}))),
                apply("b", data(json!({}))),
                apply("a", data(json!({}))),
            ],
        ),
        case(
            "immutable and binary",
            vec![
                apply("a", json!({"immutable": false, "binaryData": {"b": "AAEC"}})),
                apply("b", json!({"immutable": true})),
                apply("a", json!({"binaryData": {"b": "AAED"}})),
            ],
        ),
        case(
            "managedFields in the body",
            vec![
                apply("a", json!({"metadata": {"managedFields": []}})),
                apply("a", json!({"metadata": {"managedFields": [{}]}})),
            ],
        ),
        case("body of another version", vec![apply("a", json!({"apiVersion": "v2"}))]),
        case(
            "kubectl annotation lets conflicts go",
            vec![
                create("kubectl-client-side-apply", last_applied(json!({"k": "1", "l": "1"}))),
                apply("kubectl", data(json!({"k": "2", "l": "1"}))),
            ],
        ),
        case(
            "kubectl annotation does not cover another change",
            vec![
                create("kubectl-client-side-apply", last_applied(json!({"k": "1", "l": "1"}))),
                update("u", data(json!({"k": "7"}))),
                apply("kubectl", data(json!({"k": "2", "l": "3"}))),
            ],
        ),
        case(
            "annotation is of no use to others",
            vec![
                create("kubectl-client-side-apply", last_applied(json!({"k": "1"}))),
                apply("a", data(json!({"k": "2"}))),
            ],
        ),
        case(
            "kubectl keeps the annotation",
            vec![
                create("kubectl-client-side-apply", last_applied(json!({"k": "1"}))),
                apply("kubectl", data(json!({"k": "2", "m": "1"}))),
                apply("kubectl", data(json!({"k": "2"}))),
            ],
        ),
        case("kubectl migration", migration(&last_applied)),
        case(
            "many updaters",
            (0..14)
                .map(|i| {
                    if i == 0 {
                        create("u0", data(json!({"k0": "1"})))
                    } else {
                        update(&format!("u{i}"), data(json!({format!("k{i}"): "1"})))
                    }
                })
                .collect(),
        ),
        case(
            "many updaters of one field",
            (0..13)
                .map(|i| {
                    if i == 0 {
                        create("u0", data(json!({"k": "0", "l": "0"})))
                    } else {
                        update(
                            &format!("u{i}"),
                            data(json!({"k": format!("{i}"), format!("m{}", i % 4): format!("{i}")})),
                        )
                    }
                })
                .collect(),
        ),
        case(
            "merge patch",
            vec![
                create("u", data(json!({"k": "1"}))),
                merge("m", data(json!({"k": null, "l": "1"}))),
                merge("m", json!({"metadata": {"labels": {"a": "b"}}})),
            ],
        ),
        case(
            "merge patch of a wrong kind",
            vec![
                create("u", data(json!({"k": "1"}))),
                merge("m", json!([1])),
                merge("m", json!({"data": "x"})),
                merge("m", json!("x")),
            ],
        ),
        case("json patch refused", json_refusals()),
        case(
            "json patch",
            vec![
                create("u", data(json!({"k": "1"}))),
                json_patch(
                    "j",
                    json!([{"op": "test", "path": "/data/k", "value": "1"}, {"op": "add", "path": "/data/l", "value": "2"}, {"op": "copy", "from": "/data/l", "path": "/data/m"}, {"op": "move", "from": "/data/m", "path": "/data/n"}, {"op": "replace", "path": "/data/q", "value": "new"}, {"op": "test", "path": "/data/zz", "value": null}]),
                ),
                json_patch(
                    "j",
                    json!([{"op": "add", "path": "/metadata/finalizers", "value": ["e.io/a"]}, {"op": "add", "path": "/metadata/finalizers/-1", "value": "e.io/b"}, {"op": "add", "path": "/metadata/finalizers/0", "value": "e.io/c"}]),
                ),
                json_patch("j", json!([{"op": "remove", "path": "/metadata/finalizers/-1"}])),
                json_patch("j", json!([{"op": "remove", "path": "/data"}])),
            ],
        ),
        case(
            "strategic",
            vec![
                create(
                    "u",
                    json!({"metadata": {"finalizers": ["e.io/a", "e.io/b", "e.io/c"]}, "data": {"k": "1"}}),
                ),
                strategic(
                    "s",
                    json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["e.io/b"], "finalizers": ["e.io/d"]}, "data": {"k": null, "l": "1"}}),
                ),
                strategic(
                    "s",
                    json!({"metadata": {"$setElementOrder/finalizers": ["e.io/d", "e.io/a"], "$deleteFromPrimitiveList/finalizers": ["e.io/c"]}}),
                ),
                strategic("s", json!({"data": {"$patch": "replace", "z": "1"}})),
                strategic("s", json!({"data": {"$patch": "delete"}})),
            ],
        ),
        case(
            "strategic refused",
            vec![
                create("u", data(json!({"k": "1"}))),
                strategic("s", json!({"data": {"$patch": "merge"}})),
                strategic("s", json!({"metadata": {"$setElementOrder": []}})),
                strategic("s", json!({"metadata": {"$retainKeys": "x"}})),
                strategic("s", json!({"metadata": {"$retainKeys": ["name"], "labels": {"a": "b"}}})),
                strategic("s", json!([])),
            ],
        ),
        case(
            "empty manager name of an update",
            vec![create("", data(json!({"k": "1"}))), update("", data(json!({"l": "1"})))],
        ),
        case(
            "metadata that nobody owns",
            vec![apply(
                "a",
                json!({"metadata": {"selfLink": "/x", "creationTimestamp": null}, "data": {"k": "1"}}),
            )],
        ),
    ];
    let mut draw = Draw(11);
    for i in 0..90 {
        let steps = (0..draw.below(4) + 4).map(|n| configmap_step(&mut draw, n == 0)).collect();
        cases.push(case(&format!("walk {i}"), steps));
    }
    cases
}

fn owners(uids: &[&str]) -> Value {
    let list: Vec<Value> = uids
        .iter()
        .map(|u| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": format!("o{u}"), "uid": *u}))
        .collect();
    json!({"metadata": {"ownerReferences": list}})
}

/// What kubectl does with `apply --server-side` on an object of its client-side apply.
fn migration(last_applied: &impl Fn(Value) -> Value) -> Vec<Step> {
    vec![
        create("kubectl-client-side-apply", last_applied(json!({"k": "1", "l": "1"}))),
        apply("kubectl", data(json!({"k": "1", "l": "1"}))),
        apply("kubectl-last-applied", last_applied(json!({"k": "1", "l": "1"}))),
        json_patch(
            "kubectl",
            json!([
                {"op": "test", "path": "/metadata/managedFields/2/manager", "value": "kubectl-client-side-apply"},
                {"op": "remove", "path": "/metadata/managedFields/2"}
            ]),
        ),
        apply("kubectl", data(json!({"k": "2", "l": "1"}))),
        apply("kubectl", data(json!({"k": "2"}))),
    ]
}

fn json_refusals() -> Vec<Step> {
    let mut steps = vec![create("u", json!({"metadata": {"finalizers": ["e.io/a"]}, "data": {"k": "1"}}))];
    for patch in [
        json!({}),
        json!("x"),
        json!([1]),
        json!([{"op": "nope", "path": "/data"}]),
        json!([{"path": "/data"}]),
        json!([{"op": "add", "value": 1}]),
        json!([{"op": "add", "path": 7}]),
        json!([{"op": "add", "path": "/a/b/c", "value": 1}]),
        json!([{"op": "add", "path": "", "value": {}}]),
        json!([{"op": "add", "path": "/metadata/finalizers/x", "value": "e.io/b"}]),
        json!([{"op": "add", "path": "/metadata/finalizers/7", "value": "e.io/b"}]),
        json!([{"op": "add", "path": "/metadata/finalizers/-7", "value": "e.io/b"}]),
        json!([{"op": "remove", "path": "/data/zz"}]),
        json!([{"op": "remove", "path": "/zz/zz"}]),
        json!([{"op": "remove", "path": "/metadata/finalizers/3"}]),
        json!([{"op": "replace", "path": "/zz/zz", "value": 1}]),
        json!([{"op": "replace", "path": "/metadata/finalizers/3", "value": 1}]),
        json!([{"op": "replace"}]),
        json!([{"op": "test", "path": "/data/k", "value": "2"}]),
        json!([{"op": "test", "path": "/data/zz", "value": "2"}]),
        json!([{"op": "test", "path": "/zz/zz", "value": "2"}]),
        json!([{"op": "test", "path": "", "value": {}}]),
        json!([{"op": "move", "path": "/data/q"}]),
        json!([{"op": "move", "from": "/zz/zz", "path": "/data/q"}]),
        json!([{"op": "move", "from": "/data/zz", "path": "/data/q"}]),
        json!([{"op": "copy", "from": "/zz/zz", "path": "/data/q"}]),
        json!([{"op": "copy", "from": "/data/k", "path": "/zz/q"}]),
        json!([{"op": "copy", "from": "/metadata/finalizers/9", "path": "/data/q"}]),
    ] {
        steps.push(json_patch("j", patch));
    }
    steps
}

fn configmap_step(draw: &mut Draw, first: bool) -> Step {
    let manager = draw.pick(&["a", "b", "kubectl"]);
    let mut body = Map::new();
    let mut values = Map::new();
    for key in ["k", "l", "m"] {
        if draw.chance(50) {
            values.insert(key.to_owned(), draw.pick(&["1", "2"]).into());
        }
    }
    if draw.chance(85) {
        body.insert("data".to_owned(), values.into());
    }
    let mut metadata = Map::new();
    if draw.chance(40) {
        metadata.insert("labels".to_owned(), json!({draw.pick(&["x", "y"]): draw.pick(&["1", "2"])}));
    }
    if draw.chance(30) {
        let all = ["e.io/a", "e.io/b", "e.io/c"];
        let mut some: Vec<&str> = all.into_iter().filter(|_| draw.chance(60)).collect();
        if draw.chance(50) {
            some.reverse();
        }
        metadata.insert("finalizers".to_owned(), json!(some));
    }
    body.insert("metadata".to_owned(), metadata.into());
    step_of(draw, first, manager, body.into())
}

/// A write of any kind with that content.
fn step_of(draw: &mut Draw, first: bool, manager: &str, body: Value) -> Step {
    if first && draw.chance(40) {
        return create(manager, body);
    }
    if first || draw.chance(65) {
        let step = apply(manager, body);
        return if draw.chance(45) { step.force() } else { step };
    }
    match draw.below(3) {
        0 => merge(manager, body),
        1 => strategic(manager, body),
        _ => update(manager, body),
    }
}

fn deployment(spec: Value, pod: Value) -> Value {
    let mut out = json!({"spec": {"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}});
    for (k, v) in spec.as_object().into_iter().flatten() {
        out["spec"][k] = v.clone();
    }
    out
}

fn one_container(image: &str) -> Value {
    json!({"containers": [{"name": "c", "image": image}]})
}

fn deployments() -> Vec<Case> {
    let base = |pod: Value| deployment(json!({}), pod);
    let pod = |containers: Value| base(json!({"containers": containers}));
    let strategic_pod = |pod: Value| json!({"spec": {"template": {"spec": pod}}});
    let mut cases = vec![
        case(
            "replicas handed to a scaler",
            vec![
                apply("a", deployment(json!({"replicas": 3}), one_container("i"))),
                apply("hpa", json!({"spec": {"replicas": 5}})),
                apply("hpa", json!({"spec": {"replicas": 5}})).force(),
                apply("a", base(one_container("i"))),
                apply("hpa", json!({})),
            ],
        ),
        case(
            "default comes back",
            vec![
                apply("a", deployment(json!({"replicas": 3}), one_container("i"))),
                apply("a", base(one_container("i"))),
            ],
        ),
        case(
            "containers by name",
            vec![
                apply("a", pod(json!([{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]))),
                apply("b", pod(json!([{"name": "e", "image": "i"}, {"name": "d", "args": ["x"]}]))),
                apply("a", pod(json!([{"name": "c", "image": "j"}]))),
                apply("a", pod(json!([{"name": "d", "image": "i"}, {"name": "c", "image": "j"}]))),
            ],
        ),
        case(
            "ports by port and protocol",
            vec![
                apply(
                    "a",
                    pod(
                        json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]}]),
                    ),
                ),
                apply(
                    "b",
                    pod(
                        json!([{"name": "c", "ports": [{"containerPort": 80, "protocol": "TCP", "name": "web"}, {"containerPort": 443, "protocol": "TCP"}]}]),
                    ),
                ),
                apply(
                    "a",
                    pod(
                        json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "UDP"}]}]),
                    ),
                ),
                apply(
                    "a",
                    pod(
                        json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]}]),
                    ),
                ),
            ],
        ),
        case(
            "duplicate ports already live",
            vec![
                create(
                    "u",
                    pod(
                        json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80, "name": "x"}, {"containerPort": 80, "name": "y"}]}]),
                    ),
                ),
                apply("a", pod(json!([{"name": "c", "image": "j"}]))).force(),
                apply(
                    "a",
                    pod(json!([{"name": "c", "image": "j", "ports": [{"containerPort": 80, "name": "z"}]}])),
                ),
                apply(
                    "a",
                    pod(json!([{"name": "c", "image": "j", "ports": [{"containerPort": 80, "name": "z"}]}])),
                )
                .force(),
            ],
        ),
        case(
            "env",
            vec![
                apply(
                    "a",
                    pod(
                        json!([{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}]),
                    ),
                ),
                apply(
                    "b",
                    pod(
                        json!([{"name": "c", "env": [{"name": "C", "value": "1"}, {"name": "A", "value": "1"}]}]),
                    ),
                ),
                apply(
                    "a",
                    pod(
                        json!([{"name": "c", "image": "i", "env": [{"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]),
                    ),
                ),
            ],
        ),
        case(
            "volumes",
            vec![
                apply(
                    "a",
                    base(
                        json!({"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "x"}}]}),
                    ),
                ),
                apply("b", strategic_pod(json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}))),
                apply(
                    "b",
                    strategic_pod(json!({"volumes": [{"name": "z", "emptyDir": {"medium": "Memory"}}]})),
                ),
                apply("a", base(one_container("i"))),
            ],
        ),
        case(
            "tolerations are atomic",
            vec![
                apply(
                    "a",
                    base(
                        json!({"containers": [{"name": "c", "image": "i"}], "tolerations": [{"key": "x", "operator": "Exists"}]}),
                    ),
                ),
                apply("b", strategic_pod(json!({"tolerations": [{"key": "y", "operator": "Exists"}]}))),
                apply("b", strategic_pod(json!({"tolerations": [{"key": "y", "operator": "Exists"}]})))
                    .force(),
                apply("b", json!({})),
            ],
        ),
        case(
            "node selector is atomic",
            vec![
                apply(
                    "a",
                    base(json!({"containers": [{"name": "c", "image": "i"}], "nodeSelector": {"x": "y"}})),
                ),
                apply("b", strategic_pod(json!({"nodeSelector": {"z": "y"}}))),
                apply("b", strategic_pod(json!({"nodeSelector": {"z": "y"}}))).force(),
            ],
        ),
        case(
            "strategy",
            vec![
                apply("a", deployment(json!({"strategy": {"type": "Recreate"}}), one_container("i"))),
                apply(
                    "a",
                    deployment(
                        json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
                        one_container("i"),
                    ),
                ),
                apply("b", json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 2}}}})),
                apply("a", base(one_container("i"))),
            ],
        ),
        case(
            "quantities as numbers",
            vec![
                apply(
                    "a",
                    pod(
                        json!([{"name": "c", "image": "i", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]),
                    ),
                ),
                apply(
                    "a",
                    pod(
                        json!([{"name": "c", "image": "i", "resources": {"limits": {"cpu": 1, "memory": "1024Mi"}}}]),
                    ),
                ),
                apply("b", pod(json!([{"name": "c", "resources": {"limits": {"cpu": "1"}}}]))),
                apply("b", pod(json!([{"name": "c", "resources": {"limits": {"cpu": 1}}}]))),
            ],
        ),
        case(
            "duplicate containers",
            vec![apply("a", pod(json!([{"name": "c", "image": "i"}, {"name": "c", "image": "j"}])))],
        ),
        case("container without name", vec![apply("a", pod(json!([{"image": "i"}])))]),
        case(
            "null fields",
            vec![
                apply(
                    "a",
                    deployment(
                        json!({"replicas": null, "strategy": null, "paused": null}),
                        one_container("i"),
                    ),
                ),
                apply("a", deployment(json!({"replicas": 2}), one_container("i"))),
                apply("a", deployment(json!({"replicas": null}), one_container("i"))),
                apply("a", pod(json!([{"name": "c", "image": "i", "env": null, "args": null}]))),
            ],
        ),
        case(
            "wrong types",
            vec![
                apply("a", deployment(json!({"replicas": "3"}), one_container("i"))),
                apply("a", deployment(json!({"paused": "yes"}), one_container("i"))),
                apply("a", pod(json!({"name": "c"}))),
                apply("a", pod(json!(["c"]))),
                apply("a", pod(json!([{"name": 5}]))),
                apply("a", pod(json!([{"name": "c", "image": "i", "args": "x"}]))),
            ],
        ),
        case(
            "status is another endpoint",
            vec![
                apply("a", base(one_container("i"))),
                apply("ctl", json!({"status": {"replicas": 1}})).status(),
                apply("a", merged_status(base(one_container("i")))),
                apply("ctl", json!({"spec": {"replicas": 9}, "status": {"readyReplicas": 1, "replicas": 1}}))
                    .status(),
                merge("k", json!({"status": {"conditions": [{"type": "Available", "status": "True"}]}}))
                    .status(),
                strategic(
                    "k",
                    json!({"status": {"conditions": [{"type": "Progressing", "status": "True"}]}}),
                )
                .status(),
                apply("ctl", json!({"status": {"conditions": [{"type": "Available", "status": "False"}]}}))
                    .status(),
            ],
        ),
        case(
            "created then applied",
            vec![
                create("kubectl-create", base(one_container("i"))),
                apply("a", base(one_container("i"))),
                apply("a", base(one_container("j"))),
            ],
        ),
        case(
            "scale up by merge patch",
            vec![
                apply("a", deployment(json!({"replicas": 1}), one_container("i"))),
                merge("s", json!({"spec": {"replicas": 2}})),
                apply("a", deployment(json!({"replicas": 1}), one_container("i"))),
            ],
        ),
        case(
            "strategic containers",
            vec![
                create(
                    "u",
                    pod(
                        json!([{"name": "a", "image": "i"}, {"name": "b", "image": "i"}, {"name": "c", "image": "i"}]),
                    ),
                ),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"containers": [{"name": "b", "image": "j"}, {"name": "d", "image": "i"}]}),
                    ),
                ),
                strategic("s", strategic_pod(json!({"containers": [{"name": "a", "$patch": "delete"}]}))),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"$setElementOrder/containers": [{"name": "d"}, {"name": "b"}], "containers": [{"name": "d", "args": ["x"]}]}),
                    ),
                ),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"$setElementOrder/containers": [{"name": "e"}, {"name": "c"}], "containers": [{"name": "e", "image": "i"}, {"name": "b", "$patch": "delete"}]}),
                    ),
                ),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"containers": [{"$patch": "replace"}, {"name": "z", "image": "i"}]}),
                    ),
                ),
            ],
        ),
        case(
            "strategic ports",
            vec![
                create(
                    "u",
                    pod(
                        json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80}, {"containerPort": 81}]}]),
                    ),
                ),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "w"}, {"containerPort": 82, "protocol": "UDP"}]}]}),
                    ),
                ),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"containers": [{"name": "c", "$setElementOrder/ports": [{"containerPort": 82}, {"containerPort": 80}], "ports": [{"containerPort": 81, "$patch": "delete"}]}]}),
                    ),
                ),
            ],
        ),
        case(
            "strategic volumes retain keys",
            vec![
                create(
                    "u",
                    base(
                        json!({"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]}),
                    ),
                ),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "x"}}]}),
                    ),
                ),
                strategic(
                    "s",
                    strategic_pod(json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]})),
                ),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"volumes": [{"name": "v", "$retainKeys": ["name"], "secret": {"secretName": "s"}}]}),
                    ),
                ),
                strategic("s", strategic_pod(json!({"volumes": null}))),
            ],
        ),
        case(
            "strategic strategy",
            vec![
                create(
                    "u",
                    deployment(
                        json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
                        one_container("i"),
                    ),
                ),
                strategic("s", json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})),
                strategic("s", json!({"spec": {"strategy": {"type": "RollingUpdate"}}})),
                strategic("s", json!({"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}})),
            ],
        ),
        case(
            "strategic lists that replace",
            vec![
                create(
                    "u",
                    base(
                        json!({"containers": [{"name": "c", "image": "i", "args": ["a", "b"]}], "tolerations": [{"key": "x", "operator": "Exists"}]}),
                    ),
                ),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"containers": [{"name": "c", "args": ["z"]}], "tolerations": [{"key": "y", "operator": "Exists"}]}),
                    ),
                ),
                strategic("s", strategic_pod(json!({"tolerations": []}))),
            ],
        ),
        case(
            "strategic refused",
            vec![
                create("u", base(one_container("i"))),
                strategic("s", strategic_pod(json!({"containers": [{"image": "j"}]}))),
                strategic("s", strategic_pod(json!({"containers": [{"name": "c", "$patch": "merge"}]}))),
                strategic("s", strategic_pod(json!({"containers": [{"name": "c", "$patch": "nope"}]}))),
                strategic("s", strategic_pod(json!({"containers": [{"$patch": "delete"}]}))),
                strategic(
                    "s",
                    strategic_pod(
                        json!({"$setElementOrder/containers": [{"name": "x"}], "containers": [{"name": "c", "image": "z"}]}),
                    ),
                ),
                strategic("s", strategic_pod(json!({"$setElementOrder/containers": "x"}))),
                strategic("s", strategic_pod(json!({"containers": ["x"]}))),
            ],
        ),
        case(
            "init containers and probes",
            vec![
                apply(
                    "a",
                    base(
                        json!({"containers": [{"name": "c", "image": "i", "readinessProbe": {"httpGet": {"port": 80}}}], "initContainers": [{"name": "init", "image": "i"}], "securityContext": {}}),
                    ),
                ),
                apply(
                    "b",
                    strategic_pod(
                        json!({"containers": [{"name": "c", "readinessProbe": {"periodSeconds": 3}}]}),
                    ),
                ),
                apply("a", base(one_container("i"))),
            ],
        ),
        case(
            "affinity and spread",
            vec![
                apply(
                    "a",
                    base(
                        json!({"containers": [{"name": "c", "image": "i"}], "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}, {"maxSkew": 1, "topologyKey": "h", "whenUnsatisfiable": "ScheduleAnyway"}], "imagePullSecrets": [{"name": "p"}], "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["x"]}]}),
                    ),
                ),
                apply(
                    "b",
                    strategic_pod(
                        json!({"topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}], "imagePullSecrets": [{"name": "q"}]}),
                    ),
                ),
                apply(
                    "b",
                    strategic_pod(
                        json!({"topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}], "imagePullSecrets": [{"name": "q"}]}),
                    ),
                ),
                apply("a", base(one_container("i"))),
            ],
        ),
        case(
            "mounts and devices",
            vec![
                apply(
                    "a",
                    base(
                        json!({"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]}]}),
                    ),
                ),
                apply(
                    "b",
                    strategic_pod(
                        json!({"containers": [{"name": "c", "volumeMounts": [{"mountPath": "/a", "name": "v", "readOnly": true}]}]}),
                    ),
                ),
                apply(
                    "a",
                    base(
                        json!({"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/b"}]}]}),
                    ),
                ),
            ],
        ),
    ];
    let mut draw = Draw(23);
    for i in 0..70 {
        let steps = (0..draw.below(3) + 3).map(|n| deployment_step(&mut draw, n == 0)).collect();
        cases.push(case(&format!("walk {i}"), steps));
    }
    cases
}

fn merged_status(mut body: Value) -> Value {
    body["status"] = json!({"replicas": 7});
    body
}

fn deployment_step(draw: &mut Draw, first: bool) -> Step {
    let manager = draw.pick(&["a", "b", "c"]);
    let mut containers = Vec::new();
    for name in ["c", "d", "e"] {
        if draw.chance(if name == "c" { 85 } else { 35 }) {
            let mut c = json!({"name": name, "image": draw.pick(&["i", "j"])});
            if draw.chance(35) {
                let ports: Vec<Value> = [80, 81, 443]
                    .into_iter()
                    .filter(|_| draw.chance(50))
                    .collect::<Vec<_>>()
                    .into_iter()
                    .map(|p| json!({"containerPort": p, "protocol": draw.pick(&["TCP", "UDP"])}))
                    .collect();
                c["ports"] = json!(ports);
            }
            if draw.chance(35) {
                let env: Vec<Value> = ["A", "B", "C"]
                    .into_iter()
                    .filter(|_| draw.chance(50))
                    .collect::<Vec<_>>()
                    .into_iter()
                    .map(|n| json!({"name": n, "value": draw.pick(&["1", "2"])}))
                    .collect();
                c["env"] = json!(env);
            }
            if draw.chance(25) {
                c["args"] = json!([draw.pick(&["x", "y"])]);
            }
            containers.push(c);
        }
    }
    if draw.chance(40) {
        containers.reverse();
    }
    let mut pod = json!({"containers": containers});
    if draw.chance(25) {
        pod["tolerations"] = json!([{"key": draw.pick(&["x", "y"]), "operator": "Exists"}]);
    }
    if draw.chance(25) {
        pod["nodeSelector"] = json!({draw.pick(&["x", "y"]): "1"});
    }
    if draw.chance(30) {
        pod["volumes"] = json!([{"name": draw.pick(&["v", "w"]), "emptyDir": {}}]);
    }
    let mut spec = json!({});
    if draw.chance(40) {
        spec["replicas"] = json!(draw.below(3));
    }
    if draw.chance(20) {
        spec["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": draw.below(2) + 1}});
    }
    step_of(draw, first, manager, deployment(spec, pod))
}

fn services() -> Vec<Case> {
    let ports = |list: Value| json!({"spec": {"ports": list}});
    let mut cases = vec![
        case("ports by port and protocol", vec![apply("a", ports(json!([{"name": "x", "port": 80}]))), apply("b", ports(json!([{"name": "y", "port": 443, "protocol": "TCP"}, {"name": "x", "port": 80, "protocol": "TCP", "targetPort": 8080}]))), apply("a", ports(json!([{"name": "x", "port": 80, "targetPort": "web"}]))), apply("b", ports(json!([{"name": "y", "port": 443}])))]),
        case("selector is atomic", vec![apply("a", json!({"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}})), apply("b", json!({"spec": {"selector": {"a": "b", "c": "d"}}})), apply("b", json!({"spec": {"selector": {"a": "b", "c": "d"}}})).force()]),
        case("strategic ports merge by port", vec![create("u", ports(json!([{"name": "x", "port": 80}, {"name": "y", "port": 81}]))), strategic("s", ports(json!([{"port": 80, "targetPort": 8080}]))), strategic("s", json!({"spec": {"$setElementOrder/ports": [{"port": 81}, {"port": 80}], "ports": [{"port": 81, "targetPort": 1}]}}))]),
        case("status", vec![apply("a", ports(json!([{"port": 80}]))), apply("lb", json!({"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}})).status(), apply("lb", json!({"status": {"conditions": [{"type": "T", "status": "True", "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})).status()]),
    ];
    let mut draw = Draw(31);
    for i in 0..40 {
        let steps = (0..draw.below(3) + 3)
            .map(|n| {
                let manager = draw.pick(&["a", "b", "c"]);
                let mut list: Vec<Value> = Vec::new();
                for port in [80, 81, 443] {
                    if draw.chance(if port == 80 { 90 } else { 45 }) {
                        let mut p = json!({"name": format!("p{port}"), "port": port});
                        if draw.chance(50) {
                            p["protocol"] = "TCP".into();
                        }
                        if draw.chance(40) {
                            p["targetPort"] = if draw.chance(50) { json!(8080) } else { json!("web") };
                        }
                        list.push(p);
                    }
                }
                if draw.chance(40) {
                    list.reverse();
                }
                let mut spec = json!({"ports": list});
                if draw.chance(40) {
                    spec["selector"] = json!({draw.pick(&["x", "y"]): "1"});
                }
                if draw.chance(25) {
                    spec["externalIPs"] = json!([draw.pick(&["1.1.1.1", "2.2.2.2"])]);
                }
                step_of(&mut draw, n == 0, manager, json!({"spec": spec}))
            })
            .collect();
        cases.push(case(&format!("walk {i}"), steps));
    }
    cases
}

/// A kind with every list and map type.
pub fn crd() -> Value {
    serde_json::from_str(include_str!("crd.json")).expect("JSON")
}

fn things() -> Vec<Case> {
    let spec = |v: Value| json!({"spec": v});
    let a = |v: Value| apply("a", spec(v));
    let b = |v: Value| apply("b", spec(v));
    let mut cases = vec![
        case("scalars", vec![a(json!({"size": 1, "on": true, "ratio": 1.5, "port": 80})), a(json!({"size": 2, "ratio": 1, "port": "web"})), b(json!({"ratio": 1.0, "port": 80})), b(json!({"port": 80})).force()]),
        case("default is not owned", vec![a(json!({"size": 1})), b(json!({"mode": "fast"})), b(json!({})), b(json!({"mode": "slow"})), b(json!({}))]),
        case("nullable", vec![a(json!({"maybe": null})), a(json!({"maybe": "x"})), a(json!({"maybe": null})), a(json!({}))]),
        case("null of other types", vec![a(json!({"size": null, "tags": null, "free": null, "nested": null, "rows": null, "mode": null}))]),
        case("sets", vec![a(json!({"tags": ["a", "b"], "numbers": [3, 10, 2]})), b(json!({"tags": ["c", "b"], "numbers": [10, 1]})), a(json!({"tags": ["b"], "numbers": [2]})), a(json!({"tags": [], "numbers": []})), b(json!({}))]),
        case("set order", vec![a(json!({"tags": ["a", "b", "c", "d"]})), b(json!({"tags": ["d", "x", "b"]})), b(json!({"tags": ["y", "c", "z"]})), a(json!({"tags": ["d", "c", "b", "a"]}))]),
        case("duplicates", vec![a(json!({"tags": ["a", "a"]})), a(json!({"rows": [{"id": 1}, {"id": 1, "kind": "k"}]})), a(json!({"numbers": [1, 1.0]}))]),
        case("rows", vec![a(json!({"rows": [{"id": 1, "v": "x"}, {"id": 2, "kind": "z", "v": "x"}]})), b(json!({"rows": [{"id": 2, "kind": "z", "tags": ["t"]}, {"id": 1, "kind": "k", "v": "x"}]})), a(json!({"rows": [{"id": 2, "kind": "z", "v": "y"}]})), b(json!({"rows": []})), a(json!({}))]),
        case("rows without a key", vec![a(json!({"rows": [{"v": "x"}]})), a(json!({"rows": [null]})), a(json!({"rows": ["x"]})), a(json!({"tags": [null]}))]),
        case("atomic list", vec![a(json!({"steps": ["a", "b"]})), b(json!({"steps": ["a", "b", "c"]})), b(json!({"steps": ["a", "b"]})), b(json!({"steps": []})), a(json!({"steps": []})), a(json!({}))]),
        case("free map", vec![a(json!({"free": {"a": "1", "b": "1"}})), b(json!({"free": {"c": "1", "b": "1"}})), a(json!({"free": {}})), b(json!({})), a(json!({}))]),
        case("whole map", vec![a(json!({"whole": {"a": "1"}})), b(json!({"whole": {"b": "1"}})), b(json!({"whole": {"b": "1"}})).force(), b(json!({}))]),
        case("atomic struct", vec![a(json!({"point": {"x": 1, "y": 2}})), b(json!({"point": {"x": 1}})), b(json!({"point": {"x": 1, "y": 2}})), a(json!({})), b(json!({}))]),
        case("nested structs go together", vec![a(json!({"nested": {"a": "1", "b": {"c": "1", "d": "1"}}})), b(json!({"nested": {"b": {"d": "1"}}})), a(json!({})), b(json!({}))]),
        case("unowned inside an omitted struct", vec![a(json!({"nested": {"a": "1"}})), merge("u", spec(json!({"nested": {"b": {"c": "9"}}}))), a(json!({})), merge("u", spec(json!({"nested": null})))]),
        case("deduced", vec![a(json!({"any": {"x": 1, "l": [1, 2], "m": {"n": "1"}}})), b(json!({"any": {"l": [1, 2, 3]}})), b(json!({"any": {"m": {"o": "2"}, "x": 1}})), a(json!({"any": {"m": {"n": "2"}}})), b(json!({})), a(json!({}))]),
        case("deduced kinds change", vec![a(json!({"any": {"x": 1}})), a(json!({"any": {"x": {"y": 1}}})), a(json!({"any": {"x": [1]}})), b(json!({"any": {"x": {"z": 1}}})), b(json!({"any": {"x": {"z": 1}}})).force(), merge("u", spec(json!({"any": {"x": "s"}}))), merge("u", spec(json!({"any": {"x": {"k": {"l": 1}}}}))), merge("u", spec(json!({"any": {"x": null}})))]),
        case("deduced nulls and empties", vec![a(json!({"any": {"x": null, "y": {}, "z": []}})), a(json!({"any": {"y": {"k": 1}, "z": [1]}})), b(json!({"any": {"y": {}, "z": [1]}})), a(json!({"any": {}})), a(json!({}))]),
        case("open struct", vec![a(json!({"open": {"known": "1", "other": {"deep": [1]}}})), b(json!({"open": {"other": {"more": 1}}})), a(json!({"open": {"known": "1"}}))]),
        case("map of structs", vec![a(json!({"maps": {"k": {"v": "1", "w": "1"}, "l": {"v": "1"}}})), b(json!({"maps": {"k": {"w": "1"}, "m": {}}})), a(json!({"maps": {"l": {"v": "2"}}})), b(json!({})), a(json!({}))]),
        case("status", vec![a(json!({"size": 1})), apply("c", json!({"spec": {"size": 9}, "status": {"phase": "x", "conditions": [{"type": "A", "status": "True"}]}})).status(), apply("a", json!({"spec": {"size": 1}, "status": {"phase": "zzz"}})), merge("d", json!({"status": {"phase": "y"}, "spec": {"size": 4}})).status(), apply("c", json!({"status": {"phase": "x"}})).status(), update("e", json!({"status": {"phase": "never"}, "spec": {"size": 5}})), update("e", json!({"status": {"conditions": [{"type": "B", "status": "True"}]}, "metadata": {"labels": {"l": "m"}}})).status()]),
        case("status ignores sent managedFields", vec![a(json!({"size": 1})), update("e", json!({"status": {"phase": "x"}, "metadata": {"managedFields": [{}]}})).status()]),
        case("created by update", vec![create("u", spec(json!({"size": 1, "tags": ["a"], "rows": [{"id": 1}], "nested": {"b": {"c": "1"}}, "any": {"x": {"y": 1}}, "free": {"a": "b"}, "steps": ["a"]}))), update("v", spec(json!({"tags": ["a", "b"], "rows": [{"id": 1, "v": "x"}, {"id": 2}], "nested": {"b": {"c": null, "d": "1"}}, "any": {"x": {"z": 1}}}))), update("v", spec(json!({"rows": [], "tags": null})))]),
        case("unknown fields", vec![a(json!({"nope": 1})), a(json!({"nested": {"nope": 1}})), a(json!({"point": {"z": 1}})), a(json!({"rows": [{"id": 1, "nope": 2}]}))]),
        case("wrong types", vec![a(json!({"size": "1"})), a(json!({"size": 1.5})), a(json!({"on": 1})), a(json!({"tags": "x"})), a(json!({"free": []})), a(json!({"nested": "x"})), a(json!({"mode": {"a": 1}})), a(json!({"port": {}})), a(json!({"free": {"a": 1}}))]),
        case("patches of a custom kind", vec![create("u", spec(json!({"tags": ["a"]}))), json_patch("j", json!([{"op": "add", "path": "/spec/tags/-", "value": "b"}])), json_patch("j", json!([{"op": "add", "path": "/spec/tags/-", "value": "b"}])), merge("m", spec(json!({"size": 1, "tags": ["b"]})))]),
    ];
    let mut draw = Draw(47);
    for i in 0..110 {
        let steps = (0..draw.below(4) + 4).map(|n| thing_step(&mut draw, n == 0)).collect();
        cases.push(case(&format!("walk {i}"), steps));
    }
    cases
}

fn thing_step(draw: &mut Draw, first: bool) -> Step {
    let manager = draw.pick(&["a", "b", "c"]);
    let mut spec = Map::new();
    let mut put = |draw: &mut Draw, percent: u64, name: &str, make: &mut dyn FnMut(&mut Draw) -> Value| {
        if draw.chance(percent) {
            let value = make(draw);
            spec.insert(name.to_owned(), value);
        }
    };
    put(draw, 35, "size", &mut |d| json!(d.below(2) + 1));
    put(draw, 25, "mode", &mut |d| d.pick(&["slow", "fast"]).into());
    put(draw, 35, "tags", &mut |d| json!(d.some(&["a", "b", "c", "d"])));
    put(draw, 20, "steps", &mut |d| json!(d.some(&["a", "b"])));
    put(draw, 30, "free", &mut |d| map_of(d, &["a", "b"]));
    put(draw, 20, "whole", &mut |d| map_of(d, &["a", "b"]));
    put(draw, 15, "point", &mut |d| json!({"x": d.below(2)}));
    put(draw, 30, "nested", &mut |d| {
        let mut n = map_of(d, &["a"]);
        if d.chance(60) {
            n["b"] = map_of(d, &["c", "d"]);
        }
        n
    });
    put(draw, 30, "any", &mut |d| {
        let mut n = map_of(d, &["a", "b"]);
        if d.chance(60) {
            n["m"] = map_of(d, &["c", "d"]);
        }
        if d.chance(30) {
            n["l"] = json!(d.some(&["x", "y"]));
        }
        n
    });
    put(draw, 20, "maps", &mut |d| json!({d.pick(&["k", "l"]): map_of(d, &["v", "w"])}));
    put(draw, 40, "rows", &mut |d| {
        let mut rows = Vec::new();
        for id in [1, 2, 10] {
            if d.chance(50) {
                let mut row = json!({"id": id});
                if d.chance(50) {
                    row["kind"] = d.pick(&["k", "z"]).into();
                }
                if d.chance(50) {
                    row["v"] = d.pick(&["1", "2"]).into();
                }
                if d.chance(25) {
                    row["tags"] = json!(d.some(&["s", "t"]));
                }
                rows.push(row);
            }
        }
        if d.chance(40) {
            rows.reverse();
        }
        json!(rows)
    });
    let step = step_of(draw, first, manager, json!({"spec": spec}));
    // Custom kinds have no strategic patch.
    if step.verb == "strategic" { Step { verb: "merge".to_owned(), ..step } } else { step }
}

fn map_of(draw: &mut Draw, keys: &[&str]) -> Value {
    let mut out = Map::new();
    for key in keys {
        if draw.chance(55) {
            out.insert((*key).to_owned(), draw.pick(&["1", "2"]).into());
        }
    }
    out.into()
}

/// A reproducible source of choices.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn some<'a>(&mut self, of: &[&'a str]) -> Vec<&'a str> {
        let mut out: Vec<&str> = of.iter().copied().filter(|_| self.chance(55)).collect();
        if self.chance(40) {
            out.reverse();
        }
        out
    }
}
