//! Replaying: every recorded write is given to this crate together with the recorded state before it.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use skerry_apiserver::apply::{Apply, ApplyError, Update, apply, equal_ignoring_times, update};
use skerry_apiserver::model::catalog::Catalog;
use skerry_apiserver::model::defaults::apply_defaults;
use skerry_apiserver::model::gvk::Gvk;
use skerry_apiserver::model::schema::{
    Field, ListTy, MapTy, Patch, Schema, Topology, Ty, TypeDef, TypeId, Zero,
};
use skerry_apiserver::patch::{json_patch, merge_patch, strategic_merge};

use crate::corpus;
use crate::record::{merged, named};
use crate::scenario::{Case, Set, Step, golden, time_of};

/// Kinds of which the server fills in so much after ownership is settled, or takes apart before, that only a
/// whole server shows the recorded answers.
const FILLED_IN: [&str; 6] =
    ["controllerrevisions", "daemonsets", "jobs", "persistentvolumeclaims", "pods", "secrets"];

/// AS-12, AS-33, AS-35: what upstream answered is what comes out.
#[test]
fn as12_recorded_sequences_replay() {
    let (mut cases, mut steps, mut failures) = (0, 0, Vec::new());
    for set in golden_sets() {
        if FILLED_IN.contains(&set.plural.as_str()) {
            continue;
        }
        let Some(kind) = Kind::of(&set) else {
            eprintln!("{} are not served", set.plural);
            continue;
        };
        for case in &set.cases {
            cases += 1;
            steps += case.steps.len();
            if let Err(why) = kind.replay(&set, case) {
                failures.push(format!("{}, {}, {why}", set.plural, case.name));
            }
        }
    }
    eprintln!("{cases} cases, {steps} steps, {} fail", failures.len());
    assert!(failures.is_empty(), "{} of {cases} fail:\n{}", failures.len(), failures.join("\n"));
}

/// The recorded files.
pub fn golden_sets() -> Vec<Set> {
    let mut files: Vec<_> = std::fs::read_dir(golden())
        .expect("recorded files")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    let read = |path| std::fs::read_to_string(path).expect("a recorded file");
    files.into_iter().map(|path| serde_json::from_str(&read(path)).expect("JSON")).collect()
}

/// Where two stored objects differ, but for what no two servers share.
pub fn differences(ours: &Value, theirs: &Value, addresses: bool) -> Vec<String> {
    let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
    for side in [&mut ours, &mut theirs] {
        let metadata = side["metadata"].as_object_mut().expect("metadata");
        for name in ["managedFields", "uid", "resourceVersion", "creationTimestamp"] {
            metadata.remove(name);
        }
        if addresses {
            let spec = side["spec"].as_object_mut().expect("a spec");
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
    }
    let mut out = Vec::new();
    contained(&ours, &theirs, "", true, &mut out);
    contained(&theirs, &ours, "theirs", true, &mut out);
    out
}

pub struct Kind {
    schema: Arc<Schema>,
    root: TypeId,
    custom: bool,
}

impl Kind {
    /// `None` where the kind is not served.
    pub fn of(set: &Set) -> Option<Kind> {
        if set.kind == "Thing" {
            let (schema, root) = custom_schema();
            return Some(Kind { schema: Arc::new(schema), root, custom: true });
        }
        let (group, version) = set.api_version.split_once('/').unwrap_or(("", &set.api_version));
        let row = Catalog::builtin().by_kind(&Gvk {
            group: group.into(),
            version: version.into(),
            kind: set.kind.as_str().into(),
        })?;
        Some(Kind { schema: row.schema.clone(), root: row.root, custom: false })
    }

    fn replay(&self, set: &Set, case: &Case) -> Result<(), String> {
        let mut live: Option<Value> = None;
        for (i, step) in case.steps.iter().enumerate() {
            let at = |why: String| format!("step {i} ({}, {}): {why}", step.verb, step.manager);
            self.step(set, i, step, live.as_ref()).map_err(at)?;
            if step.code < 300 {
                live = Some(step.answer.clone());
            }
        }
        Ok(())
    }

    fn step(&self, set: &Set, i: usize, step: &Step, live: Option<&Value>) -> Result<(), String> {
        let now = time_of(i);
        let reset = reset_fields(&set.kind, &step.subresource);
        if step.verb == "apply" {
            let applied = named(&step.body, "n", &set.api_version, &set.kind);
            if applied["apiVersion"] != set.api_version.as_str() {
                return Ok(());
            }
            let outcome = apply(Apply {
                schema: &self.schema,
                root: self.root,
                live,
                applied: &applied,
                manager: &step.manager,
                api_version: &set.api_version,
                subresource: &step.subresource,
                force: step.force,
                now: &now,
                reset_fields: reset,
            });
            return match outcome {
                Ok(done) => self.accepted(step, live, done.object),
                Err(refusal) => refused(step, &refusal),
            };
        }
        let Some(mut new) = self.patched(set, step, live)? else { return Ok(()) };
        if step.code >= 300 {
            return validation_only(step);
        }
        // Ownership is computed on the object to be stored: upstream's, with the managers that the client sent.
        let mut stored = step.answer.clone();
        if live.is_none() && set.kind == "Service" {
            // Addresses are given out after ownership is settled.
            for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                stored["spec"].as_object_mut().expect("a spec").remove(name);
            }
        }
        let sent = new["metadata"].as_object_mut().and_then(|m| m.remove("managedFields"));
        let metadata = stored["metadata"].as_object_mut().expect("metadata");
        metadata.remove("managedFields");
        if let Some(sent) = &sent {
            metadata.insert("managedFields".to_owned(), sent.clone());
        }
        let manager = if step.manager.is_empty() { "unknown" } else { &step.manager };
        update(Update {
            schema: &self.schema,
            root: self.root,
            live,
            new: &mut stored,
            manager,
            api_version: &set.api_version,
            subresource: &step.subresource,
            now: &now,
            reset_fields: reset,
        });
        compare_managers(step, live, &stored)?;
        self.compare_content(step, new)
    }

    /// What the write makes of the live object, or that it was rightly refused.
    fn patched(&self, set: &Set, step: &Step, live: Option<&Value>) -> Result<Option<Value>, String> {
        let base = live.unwrap_or(&Value::Null);
        let outcome = match step.verb.as_str() {
            "create" => return Ok(Some(named(&step.body, "n", &set.api_version, &set.kind))),
            "update" => return Ok(Some(merged(base, &step.body))),
            "json" => json_patch(base, &step.body),
            "merge" => merge_patch(base, &step.body),
            "strategic" => strategic_merge(&self.schema, &Ty::Struct(self.root), base, &step.body),
            other => panic!("verb {other}"),
        };
        match outcome {
            Ok(new) => Ok(Some(new)),
            Err(refusal) => {
                let expected = (step.code, step.answer["message"].as_str().unwrap_or_default());
                let got = (refusal.code(), refusal.message.as_str());
                if expected == got {
                    Ok(None)
                } else {
                    Err(format!("refused {got:?}\n  expected {expected:?}"))
                }
            }
        }
    }

    fn accepted(&self, step: &Step, live: Option<&Value>, object: Value) -> Result<(), String> {
        if step.code >= 300 {
            return validation_only(step);
        }
        compare_managers(step, live, &object)?;
        self.compare_content(step, object)
    }

    /// The content agrees, but for defaults, and for what this endpoint does not write.
    fn compare_content(&self, step: &Step, mut object: Value) -> Result<(), String> {
        apply_defaults(&self.schema, self.root, &mut object);
        let mut theirs = step.answer.clone();
        for side in [&mut object, &mut theirs] {
            let members = side.as_object_mut().expect("an object");
            members.remove(if step.subresource.is_empty() { "status" } else { "spec" });
            let metadata = members["metadata"].as_object_mut().expect("metadata");
            for name in
                ["managedFields", "generation", "uid", "resourceVersion", "creationTimestamp", "selfLink"]
            {
                metadata.remove(name);
            }
            if !step.subresource.is_empty() {
                metadata.remove("labels");
                metadata.remove("annotations");
            }
        }
        let mut differences = Vec::new();
        contained(&object, &theirs, "", self.custom, &mut differences);
        // A custom kind and a ConfigMap have no defaults that are computed.
        if self.custom || object["kind"] == "ConfigMap" {
            contained(&theirs, &object, "theirs", self.custom, &mut differences);
        }
        if differences.is_empty() { Ok(()) } else { Err(differences.join("\n  ")) }
    }
}

/// Upstream refused for a reason that is judged elsewhere.
fn validation_only(step: &Step) -> Result<(), String> {
    match step.code {
        422 | 404 => Ok(()),
        code => Err(format!("accepted\n  expected {code} {}", step.answer)),
    }
}

fn refused(step: &Step, refusal: &ApplyError) -> Result<(), String> {
    let message = refusal.to_string();
    if step.answer["message"] != message.as_str() {
        return Err(format!("refused {message:?}\n  expected {} {}", step.code, step.answer));
    }
    let expected_code = match refusal {
        ApplyError::Conflicts(_) => 409,
        ApplyError::ManagedFieldsGiven => 400,
        // Here the design departs from upstream's 500 (A5).
        ApplyError::DuplicateKeys { .. } | ApplyError::Invalid { .. } => 500,
    };
    if step.code != expected_code {
        return Err(format!("refused {message:?}\n  expected {}", step.code));
    }
    if let ApplyError::Conflicts(conflicts) = refusal {
        let mut ours: Vec<Value> = conflicts
            .iter()
            .map(|c| json!({"reason": "FieldManagerConflict", "message": c.message, "field": c.path_text}))
            .collect();
        let mut theirs = step.answer["causes"].as_array().cloned().unwrap_or_default();
        for side in [&mut ours, &mut theirs] {
            side.sort_by_key(Value::to_string);
        }
        if ours != theirs {
            return Err(format!("causes {ours:?}\n  expected {theirs:?}"));
        }
    }
    Ok(())
}

fn reset_fields(kind: &str, subresource: &str) -> &'static [&'static str] {
    match (kind, subresource) {
        ("ConfigMap", _) => &[],
        (_, "") => &["status"],
        ("Deployment", _) => &["spec", "metadata.labels"],
        ("Thing", _) => &["spec", "metadata"],
        _ => &["spec"],
    }
}

fn compare_managers(step: &Step, live: Option<&Value>, ours: &Value) -> Result<(), String> {
    let list = |object: &Value| {
        let mut list = object["metadata"].get("managedFields").cloned().unwrap_or_default();
        // A write without effect is taken back by the caller, times included.
        if live.is_some_and(|live| equal_ignoring_times(live, &step.answer)) {
            for entry in list.as_array_mut().into_iter().flatten() {
                entry.as_object_mut().expect("an entry").remove("time");
            }
        }
        list
    };
    let (ours, theirs) = (list(ours), list(&step.answer));
    if ours == theirs { Ok(()) } else { Err(format!("managers {ours}\n  expected {theirs}")) }
}

/// Everything of `a` is in `b`. Zero values may be absent.
fn contained(a: &Value, b: &Value, path: &str, strict: bool, out: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in a {
                let path = format!("{path}.{name}");
                // Kept or dropped by what else the Service has.
                if name == "externalTrafficPolicy" {
                    continue;
                }
                match b.get(name) {
                    Some(other) => contained(value, other, &path, strict, out),
                    None if !strict && is_zero(value) => {}
                    None => out.push(format!("{path}: {value} missing")),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                contained(a, b, &format!("{path}[{i}]"), strict, out);
            }
        }
        // This default is computed elsewhere.
        (Value::Number(n), _) if path.ends_with(".targetPort") && n.as_i64() == Some(0) => {}
        // Quantities are written in one form.
        (Value::Number(n), Value::String(s)) if n.to_string() == *s => {}
        (Value::String(a), Value::String(b)) if a == "1024Mi" && b == "1Gi" => {}
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{path}: {a} is not {b}")),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.values().all(is_zero),
    }
}

/// The types of the recorded custom kind; metadata is that of built-in kinds.
fn custom_schema() -> (Schema, TypeId) {
    let builtin = Catalog::builtin();
    let map = builtin
        .by_kind(&Gvk { group: "".into(), version: "v1".into(), kind: "ConfigMap".into() })
        .expect("ConfigMap");
    let mut schema = Schema::default();
    let meta = map.schema.get(map.root).field("metadata").expect("metadata").ty.clone();
    let meta = graft(&map.schema, &meta, &mut schema);
    let crd = corpus::crd();
    let root = struct_of(&mut schema, &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
    let Ty::Struct(root) = root else { panic!("the root is a struct") };
    let def = schema.get_mut(root);
    for (name, ty) in [("apiVersion", Ty::Str), ("kind", Ty::Str), ("metadata", meta)] {
        def.fields.push(member(name, ty, None, false));
    }
    def.fields.sort_by(|a, b| a.name.cmp(&b.name));
    (schema, root)
}

fn member(name: &str, ty: Ty, default: Option<Value>, nullable: bool) -> Field {
    Field {
        name: name.into(),
        number: 0,
        ty,
        required: false,
        nullable,
        default,
        immutable: false,
        zero: Zero::Kept,
        patch: Patch::default(),
    }
}

/// Copies a type with all it refers to into another arena.
fn graft(from: &Schema, ty: &Ty, to: &mut Schema) -> Ty {
    match ty {
        Ty::Struct(id) => {
            let mut def = from.get(*id).clone();
            def.fields = def.fields.into_iter().map(|f| Field { ty: graft(from, &f.ty, to), ..f }).collect();
            Ty::Struct(to.add(def))
        }
        Ty::Map(map) => Ty::Map(Box::new(MapTy { value: graft(from, &map.value, to), atomic: map.atomic })),
        Ty::List(list) => {
            Ty::List(Box::new(ListTy { item: graft(from, &list.item, to), topology: list.topology.clone() }))
        }
        scalar => scalar.clone(),
    }
}

fn struct_of(schema: &mut Schema, node: &Value) -> Ty {
    let none = Map::new();
    let properties = node["properties"].as_object().unwrap_or(&none);
    let mut fields: Vec<Field> = properties
        .iter()
        .map(|(name, node)| {
            let ty = ty_of(schema, node);
            member(name, ty, node.get("default").cloned(), node["nullable"] == true)
        })
        .collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    Ty::Struct(schema.add(TypeDef {
        fields,
        preserve_unknown: node["x-kubernetes-preserve-unknown-fields"] == true,
        atomic: node["x-kubernetes-map-type"] == "atomic",
        ..TypeDef::default()
    }))
}

fn ty_of(schema: &mut Schema, node: &Value) -> Ty {
    if node["x-kubernetes-int-or-string"] == true {
        return Ty::IntOrString;
    }
    match node["type"].as_str() {
        Some("integer") => Ty::Int64,
        Some("number") => Ty::Float,
        Some("boolean") => Ty::Bool,
        Some("string") => Ty::Str,
        Some("array") => {
            let item = ty_of(schema, &node["items"]);
            let default = |key: &str| node["items"]["properties"][key].get("default").cloned();
            let topology = match node["x-kubernetes-list-type"].as_str() {
                Some("set") => Topology::Set,
                Some("map") => Topology::Map(
                    node["x-kubernetes-list-map-keys"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .map(|key| (key.into(), default(key)))
                        .collect(),
                ),
                _ => Topology::Atomic,
            };
            Ty::List(Box::new(ListTy { item, topology }))
        }
        _ if node.get("additionalProperties").is_some() => Ty::Map(Box::new(MapTy {
            value: ty_of(schema, &node["additionalProperties"]),
            atomic: node["x-kubernetes-map-type"] == "atomic",
        })),
        _ if node.get("properties").is_some() => struct_of(schema, node),
        _ => Ty::Any,
    }
}
