//! Removal of everything of a tenant from its host, by proof, with what is left (tenancy D6).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{Engine, cache::Side, carry::Pass, sources, state::Tenant};
use crate::{
    kind::Kind,
    kinds::data::is_own,
    mapping::{Claim, NamespaceOrigin},
    object::{Fields, HostObj, items},
    status::Remaining,
    wire::WireError,
};

/// What a sweep of one host namespace found.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Objects of ours that are still there.
    pub(super) ours: usize,
    /// Objects of others.
    pub(super) foreign: usize,
    /// What is left, by kind.
    pub(super) left: BTreeMap<&'static str, Remaining>,
}

impl Swept {
    fn is_empty(&self) -> bool {
        self.ours == 0 && self.foreign == 0
    }
}

/// Kinds that are looked for in a host namespace, in the order of their removal.
const ORDER: [Kind; 7] = [
    Kind::Pod,
    Kind::NetworkPolicy,
    Kind::Service,
    Kind::EndpointSlice,
    Kind::PersistentVolumeClaim,
    Kind::Secret,
    Kind::ConfigMap,
];

/// Deletes what proves to be ours in a proven host namespace; the rest is counted.
pub(super) async fn sweep(
    pass: &Pass,
    space: &HostObj,
    origin: &NamespaceOrigin,
    retain_volumes: bool,
) -> Result<Swept, WireError> {
    let mut out = Swept::default();
    for kind in ORDER {
        let list = match pass.host().list_metadata(&kind.collection(space.name())).await {
            Ok(list) => list,
            Err(error) if error.unserved(kind) => continue,
            Err(error) => return Err(error),
        };
        for item in items(&list, "/items") {
            let object = HostObj(item.clone());
            let ours = match pass.facts.mapping.prove(kind, &object, origin) {
                Claim::Ours(origin) => Some(format!("{}/{}", origin.namespace, origin.name)),
                Claim::Foreign if pass.facts.mapping.marked(&object) && is_own(&object) => {
                    Some(object.name().to_owned())
                }
                Claim::Foreign => None,
            };
            if kind == Kind::NetworkPolicy && ours.is_some() && is_own(&object) {
                // What bounds the namespace goes with it.
                continue;
            }
            let Some(example) = ours else {
                if !furniture(kind, &object) {
                    out.foreign += 1;
                    remain(
                        &mut out,
                        kind,
                        object.name().to_owned(),
                        Some(format!("foreign {} {}", kind.name(), object.name())),
                    );
                }
                continue;
            };
            out.ours += 1;
            let finalizer = items(&object.0, "/metadata/finalizers").first().and_then(Value::as_str);
            let blocked = object
                .deleting()
                .then(|| finalizer.map(|f| format!("{} {example}: {f}", kind.name())))
                .flatten();
            remain(&mut out, kind, example, blocked);
            if object.deleting() || (retain_volumes && kind == Kind::PersistentVolumeClaim) {
                continue;
            }
            let path = kind.path(space.name(), object.name());
            let call = pass.host().delete(&path, object.uid(), None);
            match pass.write(Side::Host, "delete", kind, call).await {
                Ok(_) => {}
                Err(error) if error.conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(out)
}

/// What a cluster's own controllers put into every namespace.
fn furniture(kind: Kind, object: &HostObj) -> bool {
    match kind {
        Kind::ConfigMap => matches!(object.name(), "kube-root-ca.crt" | "openshift-service-ca.crt"),
        // The host's controllers keep the slices of Services that are ours.
        Kind::EndpointSlice => object.label(crate::kinds::slice::SLICE_MANAGER).is_some(),
        _ => false,
    }
}

fn remain(out: &mut Swept, kind: Kind, example: String, blocked_on: Option<String>) {
    let entry = out.left.entry(kind.name()).or_insert_with(|| Remaining {
        kind: kind.name().to_owned(),
        count: 0,
        example,
        blocked_on: None,
    });
    entry.count += 1;
    entry.blocked_on = entry.blocked_on.take().or(blocked_on);
}

/// Removes a host namespace that holds nothing more, once.
async fn remove_space(pass: &Pass, space: &HostObj) -> Result<(), WireError> {
    if space.deleting() {
        return Ok(());
    }
    let path = Kind::Namespace.path("", space.name());
    let call = pass.host().delete(&path, space.uid(), None);
    pass.write(Side::Host, "delete", Kind::Namespace, call).await.map(drop)
}

/// One pass of a drain; the result stands in the tenant's state.
pub(super) async fn pass(engine: &Arc<Engine>, tenant: &Arc<Tenant>) -> Result<(), WireError> {
    let work = Pass::new(engine.clone(), tenant.clone());
    let retain = tenant.entry().effective.retain_volumes;
    let selector = tenant.entry().selector();
    let mut spaces = Vec::new();
    sources::list(work.host(), Kind::Namespace, &selector, |item| spaces.push(HostObj(item))).await?;
    let mut left: BTreeMap<&'static str, Remaining> = BTreeMap::new();
    for space in &spaces {
        let Some(origin) = work.facts.mapping.prove_namespace(space) else { continue };
        let swept = sweep(&work, space, &origin, retain).await?;
        let volumes = swept.left.get(Kind::PersistentVolumeClaim.name()).map_or(0, |r| r.count);
        let only_volumes = retain && swept.ours == volumes && swept.foreign == 0;
        let is_empty = swept.is_empty();
        for (kind, found) in swept.left {
            match left.get_mut(kind) {
                Some(known) => {
                    known.count += found.count;
                    known.blocked_on = known.blocked_on.take().or(found.blocked_on);
                }
                None => drop(left.insert(kind, found)),
            }
        }
        if is_empty {
            remove_space(&work, space).await?;
        } else if only_volumes {
            // Retained volumes keep their namespace; they are listed and hold nothing up.
            continue;
        }
        let entry = left.entry(Kind::Namespace.name()).or_insert_with(|| Remaining {
            kind: Kind::Namespace.name().to_owned(),
            count: 0,
            example: origin.name.clone(),
            blocked_on: None,
        });
        entry.count += 1;
    }
    let home = work.facts.mapping.home();
    let home = spaces.iter().find(|s| s.name() == home.as_str() && work.facts.mapping.marked(s));
    if let (true, Some(space)) = (left.is_empty(), home) {
        let swept = super::dns::remove_home(&work, space).await?;
        if swept.is_empty() {
            remove_space(&work, space).await?;
        }
        left.extend(swept.left);
        let (kind, example) = (Kind::Namespace.name(), space.name().to_owned());
        left.entry(kind).or_insert(Remaining { kind: kind.to_owned(), count: 1, example, blocked_on: None });
    }
    *tenant.remaining.lock() = Some(left.into_values().collect());
    Ok(())
}

/// Whether a drain is through: nothing but retained volumes is left.
pub(super) fn drained(tenant: &Tenant) -> bool {
    let remaining = tenant.remaining.lock();
    let retain = tenant.entry().effective.retain_volumes;
    remaining
        .as_ref()
        .is_some_and(|left| left.iter().all(|r| retain && r.kind == Kind::PersistentVolumeClaim.name()))
}

/// How often a drain looks again.
pub(super) const PERIOD: Duration = Duration::from_secs(1);
