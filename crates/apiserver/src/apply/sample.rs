//! A small schema for tests: a workload with the list and map types that occur in built-in kinds.

use serde_json::{Value, json};

use crate::model::schema::{Field, ListTy, MapTy, Patch, Schema, Topology, Ty, TypeDef, TypeId, Zero};

pub(crate) struct Sample {
    pub(crate) schema: Schema,
    pub(crate) root: TypeId,
    /// The same kind as a CRD has it: nodes without names.
    pub(crate) custom: TypeId,
}

pub(crate) fn field(name: &str, ty: Ty) -> Field {
    Field {
        name: name.into(),
        number: 0,
        ty,
        required: false,
        nullable: false,
        default: None,
        immutable: false,
        zero: Zero::Kept,
        patch: Patch::default(),
    }
}

fn shown(mut f: Field) -> Field {
    f.zero = Zero::Shown;
    f
}

fn merged(mut f: Field, key: Option<&str>) -> Field {
    f.patch = Patch { merge: true, retain_keys: false, merge_key: key.map(Into::into) };
    f
}

fn retained(mut f: Field) -> Field {
    f.patch.retain_keys = true;
    f
}

pub(crate) fn list(item: Ty, topology: Topology) -> Ty {
    Ty::List(Box::new(ListTy { item, topology }))
}

pub(crate) fn keyed(item: Ty, keys: &[(&str, Option<Value>)]) -> Ty {
    list(item, Topology::Map(keys.iter().map(|(k, d)| ((*k).into(), d.clone())).collect()))
}

pub(crate) fn map(value: Ty, atomic: bool) -> Ty {
    Ty::Map(Box::new(MapTy { value, atomic }))
}

pub(crate) fn add(schema: &mut Schema, name: &str, atomic: bool, mut fields: Vec<Field>) -> Ty {
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    Ty::Struct(schema.add(TypeDef { name: name.into(), fields, atomic, ..TypeDef::default() }))
}

fn id(ty: &Ty) -> TypeId {
    match ty {
        Ty::Struct(id) => *id,
        other => panic!("{other:?} is no struct"),
    }
}

pub(crate) fn sample() -> Sample {
    let mut s = Schema::default();
    let owner = add(
        &mut s,
        "meta/v1.OwnerReference",
        true,
        ["apiVersion", "kind", "name", "uid"].map(|n| field(n, Ty::Str)).into(),
    );
    let meta = add(
        &mut s,
        "meta/v1.ObjectMeta",
        false,
        vec![
            field("name", Ty::Str),
            field("namespace", Ty::Str),
            field("uid", Ty::Str),
            field("resourceVersion", Ty::Str),
            field("generation", Ty::Int64),
            field("creationTimestamp", Ty::Time),
            field("labels", map(Ty::Str, false)),
            field("annotations", map(Ty::Str, false)),
            merged(field("finalizers", list(Ty::Str, Topology::Set)), None),
            merged(field("ownerReferences", keyed(owner, &[("uid", None)])), Some("uid")),
            field("managedFields", list(Ty::Any, Topology::Atomic)),
        ],
    );
    let selector =
        add(&mut s, "meta/v1.LabelSelector", true, vec![field("matchLabels", map(Ty::Str, false))]);
    let env = add(
        &mut s,
        "core/v1.EnvVar",
        false,
        vec![field("name", Ty::Str), field("value", Ty::Str), field("valueFrom", selector.clone())],
    );
    let port = add(
        &mut s,
        "core/v1.ContainerPort",
        false,
        vec![
            field("containerPort", Ty::Int32),
            field("name", Ty::Str),
            Field { default: Some(json!("TCP")), ..field("protocol", Ty::Str) },
        ],
    );
    let resources = add(
        &mut s,
        "core/v1.ResourceRequirements",
        false,
        vec![field("limits", map(Ty::Quantity, false)), field("requests", map(Ty::Quantity, false))],
    );
    let container = add(
        &mut s,
        "core/v1.Container",
        false,
        vec![
            field("name", Ty::Str),
            field("image", Ty::Str),
            field("args", list(Ty::Str, Topology::Atomic)),
            merged(field("env", keyed(env, &[("name", None)])), Some("name")),
            merged(
                field("ports", keyed(port, &[("containerPort", None), ("protocol", Some(json!("TCP")))])),
                Some("containerPort"),
            ),
            shown(field("resources", resources)),
        ],
    );
    let empty_dir = add(&mut s, "core/v1.EmptyDir", false, vec![field("medium", Ty::Str)]);
    let secret = add(&mut s, "core/v1.SecretVolume", false, vec![field("secretName", Ty::Str)]);
    let volume = add(
        &mut s,
        "core/v1.Volume",
        false,
        vec![field("name", Ty::Str), field("emptyDir", empty_dir), field("secret", secret)],
    );
    let toleration =
        add(&mut s, "core/v1.Toleration", false, vec![field("key", Ty::Str), field("operator", Ty::Str)]);
    let rolling = add(&mut s, "apps/v1.RollingUpdate", false, vec![field("maxSurge", Ty::IntOrString)]);
    let strategy =
        add(&mut s, "apps/v1.Strategy", false, vec![field("type", Ty::Str), field("rollingUpdate", rolling)]);
    let volumes = keyed(volume, &[("name", None)]);
    let spec_fields = vec![
        field("replicas", Ty::Int32),
        field("paused", Ty::Bool),
        field("selector", selector),
        shown(retained(field("strategy", strategy))),
        shown(merged(field("containers", keyed(container, &[("name", None)])), Some("name"))),
        retained(merged(field("volumes", volumes), Some("name"))),
        field("tolerations", list(toleration, Topology::Atomic)),
        field("nodeSelector", map(Ty::Str, true)),
        field("raw", Ty::Raw),
        field("any", Ty::Any),
        field("schedulers", list(Ty::Str, Topology::Set)),
    ];
    let spec = add(&mut s, "apps/v1.Spec", false, spec_fields.clone());
    let condition = add(
        &mut s,
        "apps/v1.Condition",
        false,
        ["type", "status", "reason"].map(|n| field(n, Ty::Str)).into(),
    );
    let status = add(
        &mut s,
        "apps/v1.Status",
        false,
        vec![
            field("ready", Ty::Int32),
            merged(field("conditions", keyed(condition, &[("type", None)])), Some("type")),
        ],
    );
    let head = |meta: &Ty| {
        vec![field("apiVersion", Ty::Str), field("kind", Ty::Str), shown(field("metadata", meta.clone()))]
    };
    let mut fields = head(&meta);
    fields.extend([shown(field("spec", spec)), shown(field("status", status.clone()))]);
    let root = id(&add(&mut s, "apps/v1.App", false, fields));
    let plain = spec_fields.into_iter().map(|f| Field { zero: Zero::Kept, ..f }).collect();
    let spec = add(&mut s, "", false, plain);
    let mut fields = head(&meta);
    fields[2].zero = Zero::Kept;
    fields.extend([field("spec", spec), field("status", status)]);
    let custom = id(&add(&mut s, "", false, fields));
    Sample { schema: s, root, custom }
}
