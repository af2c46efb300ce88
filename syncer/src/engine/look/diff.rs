//! One object on both sides, and what the translator makes of the tenant's now.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::super::{
    Engine,
    cache::Side,
    carry::{self, Pass},
    decide::HostSide,
    decision::Decision,
    model::Key,
    observe::slim,
    state::Tenant,
    wanted,
};
use super::{LookError, ObjectName, Refused, fields, fields::Field, hide::Marks};
use crate::{
    kinds::{Change, translator},
    object::{HostObj, TenantObj},
};

/// An object on both sides.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The object.
    pub object: ObjectName,
    /// What the host's object is to this tenant.
    pub proof: Proof,
    /// What a pass would write on the host; `None` where there is nothing of ours to write to.
    pub repair: Option<Repair>,
    /// Why it is not carried, where it is not.
    pub kept: Option<Kept>,
    /// Fields that should be set, or that are ours on the host, with their owners.
    pub fields: Vec<Field>,
    /// The tenant's object.
    pub tenant: Option<Value>,
    /// The host's as it should be.
    pub desired: Option<Value>,
    /// The host's as it is.
    pub live: Option<Value>,
}

/// What a host object is to a tenant (NM5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Proof {
    /// There is none.
    Absent,
    /// Proven the tenant's, of this very object.
    Ours,
    /// Of an earlier object of that name.
    Older,
    /// Of another object of the tenant.
    Collision,
    /// Without proof: neither written nor deleted.
    Foreign,
}

/// What a pass would write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Repair {
    /// Nothing: owned fields agree.
    Nothing,
    /// An apply of the whole object.
    Apply,
    /// A patch of the fields that may still change.
    Patch,
    /// It is deleted and made again.
    Replace,
}

/// Why an object is not carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kept {
    /// A switch, a label, an annotation or a missing reference keeps it in the tenant.
    Unwanted {
        /// The rule of the design.
        rule: &'static str,
        /// For people.
        message: &'static str,
    },
    /// The translator refuses it.
    Refused(Refused),
}

impl From<Decision> for Kept {
    fn from(decision: Decision) -> Self {
        Kept::Unwanted { rule: decision.rule(), message: decision.says() }
    }
}

pub(super) async fn of(
    engine: &Arc<Engine>,
    tenant: Arc<Tenant>,
    object: &ObjectName,
) -> Result<Diff, LookError> {
    let pass = Pass::new(engine.clone(), tenant);
    let key = object.key();
    let path = key.kind.path(&key.namespace, &key.name);
    let in_tenant = pass.wire.find(&path).await.map_err(LookError::Tenant)?;
    let on_host = match pass.place(&key) {
        Some(place) => {
            let path = key.kind.path(place.namespace.as_str(), place.name.as_str());
            pass.host().find(&path).await.map_err(LookError::Host)?
        }
        None => None,
    };
    if in_tenant.is_none() && on_host.is_none() {
        return Err(LookError::NoObject(object.clone()));
    }
    let (desired, kept) = match &in_tenant {
        Some(tenant) => desired(&pass, &key, tenant),
        None => (None, None),
    };
    let proof = on_host.as_ref().map_or(Proof::Absent, |live| proof(&pass, &key, in_tenant.as_ref(), live));
    let repair = match (&desired, &on_host, proof) {
        (Some(desired), Some(live), Proof::Ours) => repair(&key, desired, live),
        _ => None,
    };
    let [tenant, desired, live] = shown(&key, [in_tenant, desired, on_host]);
    let fields = match (&desired, &live) {
        (None, _) => Vec::new(),
        (Some(desired), live) => fields::compare(key.kind, desired, live.as_ref().unwrap_or(&Value::Null)),
    };
    let bare = |object: Option<Value>| object.map(without_owners);
    let (tenant, live) = (bare(tenant), bare(live));
    Ok(Diff { object: object.clone(), proof, repair, kept, fields, tenant, desired, live })
}

/// What the translator makes of it now, or why nothing.
fn desired(pass: &Pass, key: &Key, tenant: &Value) -> (Option<Value>, Option<Kept>) {
    let mut tenant = TenantObj(tenant.clone());
    slim(&mut tenant.0, Side::Tenant);
    let Some(kind) = translator(key.kind) else { return (None, Some(Decision::NotForHosts.into())) };
    if let Some(refusal) = carry::unreadable(&tenant, None) {
        return (None, Some(Kept::Refused((&refusal).into())));
    }
    let unwanted = wanted::unwanted(pass, key, &tenant);
    let unwanted = unwanted.or((!kind.wanted(&tenant, &pass.facts)).then_some(Decision::NotForHosts));
    if let Some(why) = unwanted {
        return (None, Some(why.into()));
    }
    match kind.down(&tenant, &pass.facts_for(key)) {
        Ok(desired) => (Some(desired.0), None),
        Err(refusal) => (None, Some(Kept::Refused((&refusal).into()))),
    }
}

fn proof(pass: &Pass, key: &Key, tenant: Option<&Value>, live: &Value) -> Proof {
    let uid = |object: &Value| object.pointer("/metadata/uid").cloned();
    let of_this = |origin: &str| tenant.and_then(uid).is_none_or(|uid| uid == *origin);
    let object = HostObj(live.clone());
    match pass.claim(key, &object) {
        HostSide::Absent => Proof::Absent,
        HostSide::Foreign => Proof::Foreign,
        HostSide::Collision => Proof::Collision,
        HostSide::Ours { .. } | HostSide::Older { .. } => {
            use crate::object::Fields as _;
            let origin = object.annotation(skerry_api::labels::ORIGIN_UID).unwrap_or_default();
            if of_this(origin) { Proof::Ours } else { Proof::Older }
        }
    }
}

fn repair(key: &Key, desired: &Value, live: &Value) -> Option<Repair> {
    let mut live = live.clone();
    slim(&mut live, Side::Host);
    Some(match translator(key.kind)?.change(&HostObj(desired.clone()), &HostObj(live)) {
        None => Repair::Nothing,
        Some(Change::Apply) => Repair::Apply,
        Some(Change::Patch(_)) => Repair::Patch,
        Some(Change::Replace) => Repair::Replace,
    })
}

/// What may be seen of them; the marks of hidden values are the same in all.
fn shown(key: &Key, mut objects: [Option<Value>; 3]) -> [Option<Value>; 3] {
    let marks = Marks::default();
    for object in objects.iter_mut().flatten() {
        marks.hide(key.kind, object);
    }
    objects
}

/// Owners stand at the fields.
fn without_owners(mut object: Value) -> Value {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
    object
}
