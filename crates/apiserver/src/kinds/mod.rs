//! Hooks: what a kind needs beyond its table row, a file per kind, pure functions. The registry calls them by
//! storage identity and knows no kind itself.

pub mod config_map;
pub mod crd;
pub mod csr;
pub mod defaults;
mod effects;
pub mod event;
pub mod job;
pub mod namespace;
pub mod node;
pub mod pod;
mod pod_spec;
pub mod proxy;
pub mod rbac;
pub mod review;
pub mod scale;
pub mod secret;
pub mod service;
mod service_family;
mod service_range;
mod stream;
pub mod subresource;
pub mod token;
pub mod workload;

use serde_json::Value;

pub use effects::{SideEffects, committed, release, side_effects};

use crate::model::gvk::Gvk;
use crate::model::object::Object;
use crate::model::resource::Resource;
use crate::model::status::Cause;
use crate::model::validate;
use crate::request::ResourcePath;

/// The optional functions of a kind.
pub struct Hooks {
    /// Computed defaults, after the constant ones.
    pub default: fn(&mut Value),
    /// On create, before admission.
    pub prepare_create: fn(&mut Value),
    /// On update of the main endpoint, before admission.
    pub prepare_update: fn(&mut Value, &Value),
    /// Objections beyond the tables'.
    pub validate: fn(&Value, Option<&Value>) -> Vec<Cause>,
    /// At the first delete, when the object stays.
    pub begin_delete: fn(&mut Value),
    /// Grace in seconds for a delete that asked for some or none.
    pub grace: fn(&Value, Option<i64>) -> i64,
    /// A reason of its own for a deleting object to stay.
    pub held: fn(&Value) -> bool,
    /// DELETE answers with the object instead of a Status.
    pub returns_deleted: bool,
    /// Keeps what a subresource's update may not change.
    pub restore: fn(&str, &mut Value, &Value),
}

/// Hooks of a kind that needs none.
pub const NONE: Hooks = Hooks {
    default: |_| {},
    prepare_create: |_| {},
    prepare_update: |_, _| {},
    validate: |_, _| Vec::new(),
    begin_delete: |_| {},
    grace: |_, _| 0,
    held: |_| false,
    returns_deleted: false,
    restore: |_, new, live| *new = live.clone(),
};

fn hooks(resource: &Resource) -> &'static Hooks {
    match &*resource.id {
        "/namespaces" => &namespace::HOOKS,
        "/pods" => &pod::HOOKS,
        "/services" => &service::HOOKS,
        "/configmaps" => &config_map::HOOKS,
        "/secrets" => &secret::HOOKS,
        "certificates.k8s.io/certificatesigningrequests" => &csr::HOOKS,
        "/nodes" => &node::HOOKS,
        "/serviceaccounts" | "/persistentvolumeclaims" => &RETURNS_DELETED,
        "apps/deployments" | "apps/replicasets" => &workload::HOOKS,
        "apps/statefulsets" => &workload::STATEFUL,
        "apps/daemonsets" => &workload::DAEMON,
        "discovery.k8s.io/endpointslices" => &SLICE,
        "batch/jobs" => &job::HOOKS,
        "apiextensions.k8s.io/customresourcedefinitions" => &crate::kinds::crd::HOOKS,
        id if id.starts_with("rbac.authorization.k8s.io/") => &rbac::HOOKS,
        _ => &NONE,
    }
}

/// A slice is another one with other labels too.
const SLICE: Hooks = Hooks {
    prepare_update: |new, old| {
        let labels = ["metadata", "labels"];
        if new.at(&labels) != old.at(&labels) {
            new.set_meta("generation", old.generation() + 1);
        }
    },
    ..NONE
};

const RETURNS_DELETED: Hooks = Hooks { returns_deleted: true, ..NONE };

/// Whether a request is a heartbeat, which has a share of its own (J1).
pub fn is_heartbeat(target: &ResourcePath) -> bool {
    (&*target.group, &*target.plural) == ("coordination.k8s.io", "leases")
}

/// Computed defaults.
pub fn default(resource: &Resource, object: &mut Value) {
    defaults::computed(&resource.gvk, object);
    (hooks(resource).default)(object);
}

/// See [`Hooks::prepare_create`].
pub fn prepare_create(resource: &Resource, object: &mut Value) {
    (hooks(resource).prepare_create)(object);
}

/// See [`Hooks::prepare_update`].
pub fn prepare_update(resource: &Resource, new: &mut Value, old: &Value) {
    (hooks(resource).prepare_update)(new, old);
}

/// Objections of the tables and of the kind.
pub fn validate(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let own = (hooks(resource).validate)(new, old);
    let mut causes = validate::content(&resource.schema, resource.root, new, old);
    // The kind words its objections better than the tables.
    causes.retain(|cause| !own.iter().any(|known| known.field == cause.field));
    causes.extend(own);
    causes
}

/// See [`Hooks::begin_delete`].
pub fn begin_delete(resource: &Resource, object: &mut Value) {
    (hooks(resource).begin_delete)(object);
}

/// See [`Hooks::grace`].
pub fn grace(resource: &Resource, object: &Value, asked: Option<i64>) -> i64 {
    (hooks(resource).grace)(object, asked)
}

/// See [`Hooks::held`].
pub fn held(resource: &Resource, object: &Value) -> bool {
    (hooks(resource).held)(object)
}

/// See [`Hooks::returns_deleted`].
pub fn returns_deleted(resource: &Resource) -> bool {
    hooks(resource).returns_deleted
}

/// See [`Hooks::restore`].
pub fn restore(resource: &Resource, subresource: &str, new: &mut Value, live: &Value) {
    (hooks(resource).restore)(subresource, new, live);
}

/// Brings an object of a kind with two built-in versions or groups into another.
pub fn convert(object: Value, to: &Gvk) -> Value {
    match &*to.kind {
        "Event" => event::convert(object, to),
        _ => object,
    }
}
