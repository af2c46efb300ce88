//! One pass over one object: both sides as they are now, a decision, at most one write down and one up (EN10, EN11).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use super::{
    Engine,
    cache::Side,
    decide::{Action, HostSide, TenantSide, decide},
    decision::Decision,
    dns::shown::{self, Shown},
    ledger,
    model::{Entry, Gone, Key},
    observe::slim,
    pods, policies,
    refused::{collision, denied, not_first, refuse, taken},
    state::{Cost, Tenant},
    upward,
    wanted::{row, tenant_side},
};
use crate::{
    facts::Facts,
    kind::Kind,
    kinds::{Change, Translator, translator},
    mapping::{Claim, HostRef, NamespaceOrigin},
    object::{Fields, HostObj, TenantObj},
    refusal::{Reason, Refusal},
    wire::{Wire, WireError},
};

/// Why a pass is tried again: which side did not do its part.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// The tenant's API server.
    #[error("asking the tenant")]
    Tenant(#[source] WireError),
    /// The host's.
    #[error("asking the host")]
    Host(#[source] WireError),
}

/// What a pass works with.
pub(super) struct Pass {
    pub(super) engine: Arc<Engine>,
    pub(super) tenant: Arc<Tenant>,
    pub(super) facts: Facts,
    pub(super) wire: Wire,
    pub(super) cost: Cost,
    /// Whether anything was written, by side.
    wrote: [AtomicBool; 2],
}

/// Result of a pass: when to look again.
pub(super) type Next = Result<Option<Duration>, StepError>;

impl Pass {
    pub(super) fn new(engine: Arc<Engine>, tenant: Arc<Tenant>) -> Self {
        let (facts, wire) = (tenant.facts(), tenant.wire());
        Self { engine, tenant, facts, wire, cost: Cost::default(), wrote: Default::default() }
    }

    pub(super) fn host(&self) -> &Wire {
        &self.tenant.host.wire
    }

    /// Makes a write; it is counted by its result (OB1).
    pub(super) async fn write<T>(
        &self,
        side: Side,
        verb: &'static str,
        kind: Kind,
        call: impl Future<Output = Result<T, WireError>>,
    ) -> Result<T, WireError> {
        self.wrote[side as usize].store(true, Ordering::Relaxed);
        self.write_of(side, verb, kind.plural(), call).await
    }

    /// The same for what is no object of a carried kind.
    pub(super) async fn write_of<T>(
        &self,
        side: Side,
        verb: &'static str,
        what: &'static str,
        call: impl Future<Output = Result<T, WireError>>,
    ) -> Result<T, WireError> {
        self.cost.one();
        let answer = call.await;
        self.engine.counts.write(side, verb, what, answer.as_ref().err());
        answer
    }

    /// Notes what is done about an object, and by which rule (OB2).
    pub(super) fn decided(&self, key: &Key, decision: Decision) {
        let now = u32::try_from(self.engine.began.elapsed().as_secs()).unwrap_or(u32::MAX);
        if let Some(entry) = self.tenant.model.lock().entries.get_mut(key) {
            (entry.decision, entry.decided) = (decision, now);
        }
    }

    /// Notes that both sides are as they should be, whether or not that took a write.
    pub(super) fn agreed(&self, key: &Key) {
        let wrote = Side::ALL.into_iter().any(|side| self.has_written(side));
        self.decided(key, if wrote { Decision::Mended } else { Decision::InOrder });
    }

    /// Whether anything was written to a side.
    pub(super) fn has_written(&self, side: Side) -> bool {
        self.wrote[side as usize].load(Ordering::Relaxed)
    }

    /// A copy of an entry.
    pub(super) fn entry(&self, key: &Key) -> Option<Entry> {
        self.tenant.model.lock().entries.get(key).cloned()
    }

    /// Where the object lies on the host, while its namespace is there.
    pub(super) fn place(&self, key: &Key) -> Option<HostRef> {
        let namespace = self.facts.host_namespace(&key.namespace)?;
        Some(HostRef { namespace, name: self.facts.host_name(key.kind, &key.namespace, &key.name) })
    }

    /// The tenant's object, from memory or by GET.
    pub(super) async fn tenant_object(&self, key: &Key) -> Result<Option<TenantObj>, StepError> {
        let Some(seen) = self.entry(key).and_then(|e| e.tenant) else { return Ok(None) };
        let cached = self.engine.cache.lock().get(&self.tenant.id, key, Side::Tenant, seen.version);
        if let Some(object) = cached.and_then(|body| serde_json::from_slice(&body).ok()) {
            return Ok(Some(TenantObj(object)));
        }
        self.fresh_tenant_object(key, seen.version).await
    }

    /// The tenant's object by GET; absence is taken in.
    pub(super) async fn fresh_tenant_object(
        &self,
        key: &Key,
        version: u64,
    ) -> Result<Option<TenantObj>, StepError> {
        self.cost.one();
        let path = key.kind.path(&key.namespace, &key.name);
        match self.wire.find(&path).await.map_err(StepError::Tenant)? {
            Some(mut value) => {
                slim(&mut value, Side::Tenant);
                let object = TenantObj(value);
                self.tenant.model.lock().tenant_seen(key.kind, &object);
                self.engine.cache.lock().put(&self.tenant.id, key, Side::Tenant, object.version(), &object.0);
                Ok(Some(object))
            }
            None => {
                self.engine.tenant_gone(&self.tenant, key, version, true);
                Ok(None)
            }
        }
    }

    /// The host's object, from memory or by GET; `certain`: by GET.
    pub(super) async fn host_object(&self, key: &Key, certain: bool) -> Result<Option<HostObj>, StepError> {
        let seen = self.entry(key).and_then(|e| e.host);
        if let (Some(seen), false) = (&seen, certain) {
            let cached = self.engine.cache.lock().get(&self.tenant.id, key, Side::Host, seen.version);
            if let Some(object) = cached.and_then(|body| serde_json::from_slice(&body).ok()) {
                return Ok(Some(HostObj(object)));
            }
        }
        if seen.is_none() && !certain {
            return Ok(None);
        }
        let Some(place) = self.place(key) else { return Ok(None) };
        self.cost.one();
        let path = key.kind.path(place.namespace.as_str(), place.name.as_str());
        match self.host().find(&path).await.map_err(StepError::Host)? {
            Some(value) => Ok(Some(self.took(key, value))),
            None => {
                if let Some(seen) = seen {
                    self.engine.host_gone(&self.tenant, key, &seen.uid, Gone::Certain);
                }
                Ok(None)
            }
        }
    }

    /// Takes in an answer of the host: our own write, or a GET.
    pub(super) fn took(&self, key: &Key, mut value: Value) -> HostObj {
        slim(&mut value, Side::Host);
        let object = HostObj(value);
        if matches!(self.claim(key, &object), HostSide::Ours { .. } | HostSide::Older { .. }) {
            self.tenant.model.lock().host_seen(key, &object);
            self.engine.keep_host(&self.tenant, key, &object);
        }
        object
    }

    /// What a host object is to a key (NM5), checked before every write.
    pub(super) fn claim(&self, key: &Key, object: &HostObj) -> HostSide {
        let Some(fact) = self.facts.namespaces.get(&key.namespace) else { return HostSide::Foreign };
        let namespace = NamespaceOrigin { name: key.namespace.to_string(), uid: fact.uid.to_string() };
        let deleting = object.deleting();
        match self.facts.mapping.prove(key.kind, object, &namespace) {
            Claim::Foreign => HostSide::Foreign,
            Claim::Ours(origin) if *origin.name != *key.name => HostSide::Collision,
            Claim::Ours(origin) => {
                let same =
                    self.entry(key).and_then(|e| e.tenant).is_none_or(|tenant| *tenant.uid == *origin.uid);
                if same { HostSide::Ours { deleting } } else { HostSide::Older { deleting } }
            }
        }
    }

    /// Remembers that the versions a pass has seen leave nothing to do; what came meanwhile is looked at again, and
    /// a second pass writes nothing (EN17).
    pub(super) fn settle(&self, key: &Key, tenant: Option<&TenantObj>, host: Option<&HostObj>) {
        let seen = (tenant.map_or(0, Fields::version), host.map_or(0, Fields::version), self.facts.epoch);
        if let Some(entry) = self.tenant.model.lock().entries.get_mut(key) {
            entry.settled = Some(seen);
            entry.under = self.under(key);
        }
    }

    /// Whether nothing moved since the last pass that left nothing to do.
    pub(super) fn settled(&self, key: &Key) -> bool {
        let model = self.tenant.model.lock();
        model.entries.get(key).is_some_and(|entry| {
            let version = |seen: &Option<super::model::Seen>| seen.as_ref().map_or(0, |s| s.version);
            entry.settled == Some((version(&entry.tenant), version(&entry.host), self.facts.epoch))
                && entry.under == self.under(key)
        })
    }

    /// Generation of the policies that a pod is labelled by.
    fn under(&self, key: &Key) -> u64 {
        if key.kind == Kind::Pod { self.facts.policies.generation(&key.namespace) } else { 0 }
    }

    /// Deletes the host object of a key, with its UID.
    pub(super) async fn delete_host(&self, key: &Key, grace: Option<i64>) -> Result<(), StepError> {
        let Some(object) = self.host_object(key, false).await? else { return Ok(()) };
        if !matches!(self.claim(key, &object), HostSide::Ours { .. } | HostSide::Older { .. }) {
            return Ok(());
        }
        let path = key.kind.path(object.namespace(), object.name());
        let call = self.host().delete(&path, object.uid(), grace);
        match self.write(Side::Host, "delete", key.kind, call).await {
            Ok(None) => {
                self.engine.host_gone(&self.tenant, key, object.uid(), Gone::Certain);
                Ok(())
            }
            Ok(Some(_)) => {
                if !key.kind.host_watched() {
                    self.engine.host_gone(&self.tenant, key, object.uid(), Gone::Absent);
                }
                Ok(())
            }
            Err(error) if error.conflict() => Ok(()),
            Err(error) => Err(StepError::Host(error)),
        }
    }
}

/// Looks at one object of a carried kind.
pub(super) async fn object(pass: &Pass, key: &Key) -> Next {
    if key.kind == Kind::Pod {
        return pods::pod(pass, key).await;
    }
    let Some(kind) = translator(key.kind) else { return Ok(None) };
    if *key == shown::key()
        && let Shown::Ours(next) = shown::keep(pass, key).await?
    {
        pass.decided(key, Decision::NotForHosts);
        return Ok(next);
    }
    if pass.settled(key) {
        return Ok(None);
    }
    let next = generic(pass, key, kind).await?;
    pass.tenant.model.lock().prune(key);
    Ok(next)
}

/// Carries what a pod needs before the pod. One that fails does not hold the pod back, and its own turn comes again: of a
/// reference the kubelet speaks, as in any cluster.
pub(super) async fn ahead(pass: &Pass, keys: Vec<Key>) {
    for key in keys {
        if let Err(error) = Box::pin(object(pass, &key)).await {
            tracing::debug!(tenant = &*pass.tenant.id, kind = key.kind.name(), %error, "not carried yet");
            pass.tenant.queue_key(key, super::queue::Lane::Change);
        }
    }
}

async fn generic(pass: &Pass, key: &Key, kind: &dyn Translator) -> Next {
    let tenant = pass.tenant_object(key).await?;
    let host = pass.host_object(key, false).await?;
    if let Some(tenant) = tenant.as_ref()
        && let Some(refusal) = unreadable(tenant, host.as_ref())
    {
        return refuse(pass, key, tenant, refusal).await;
    }
    let host_side = host.as_ref().map_or(HostSide::Absent, |object| pass.claim(key, object));
    let mut tenant_side = tenant_side(pass, key, tenant.as_ref(), kind);
    if tenant_side == TenantSide::Unknown {
        if let Some(wait) = pending(pass, key) {
            pass.decided(key, Decision::Reserved);
            return Ok(Some(wait));
        }
        if decide(tenant_side, host_side) == Action::Confirm {
            if pass.tenant.model.lock().held.contains_key(&key.kind) {
                pass.decided(key, Decision::Held);
                return Ok(None);
            }
            pass.decided(key, Decision::Unsure);
            let version = pass.entry(key).map_or(0, |e| e.deleted_at);
            tenant_side = match pass.fresh_tenant_object(key, version).await? {
                Some(_) => return Ok(Some(Duration::from_millis(100))),
                None => TenantSide::Absent,
            };
        }
    }
    let action = decide(tenant_side, host_side);
    if let Some(decision) = row(pass, key, (tenant.as_ref(), tenant_side), host_side) {
        pass.decided(key, decision);
    }
    if action == Action::Nothing {
        pass.settle(key, tenant.as_ref(), host.as_ref());
        return Ok(None);
    }
    match (action, tenant, host) {
        (Action::Create, Some(tenant), _) if upward::claim_lost(key, &tenant) => {
            // An empty volume under the old name would be worse than none (KI3).
            if !upward::complete(pass, Kind::PersistentVolumeClaim)
                || pass.host_object(key, true).await?.is_some()
            {
                return Ok(Some(Duration::from_secs(1)));
            }
            upward::tell_claim_lost(pass, key, &tenant).await?;
            let message =
                "the volume's claim was deleted on the host; it is not made again, because it would be empty";
            refuse(pass, key, &tenant, Refusal::new(Reason::HostClaimLost, message)).await
        }
        (Action::Create, Some(tenant), _) => create(pass, key, kind, &tenant).await,
        (Action::Compare, Some(tenant), Some(host)) => compare(pass, key, kind, &tenant, &host).await,
        (Action::DeleteHost, tenant, host) => {
            if key.kind == Kind::PersistentVolumeClaim && tenant_side == TenantSide::Unwanted {
                // A volume is not thrown away because a switch was turned (AP2).
                let Some(tenant) = &tenant else { return Ok(None) };
                let message = "the claim is carried no more; its volume is left where it is";
                return refuse(pass, key, tenant, Refusal::new(Reason::LeftOnHost, message)).await;
            }
            if key.kind == Kind::PersistentVolumeClaim {
                upward::forget_volume(pass, key).await?;
            }
            if key.kind == Kind::NetworkPolicy
                && let Some(wait) = policies::release(pass, key)
            {
                return Ok(Some(wait));
            }
            pass.delete_host(key, None).await?;
            let again = host.is_some() && tenant_side == TenantSide::Present;
            Ok(again.then(|| Duration::from_millis(500)))
        }
        (Action::NameTaken, Some(tenant), _) => refuse(pass, key, &tenant, taken(&tenant)).await,
        (Action::NameCollision, Some(tenant), _) => refuse(pass, key, &tenant, collision(&tenant)).await,
        (Action::Wait, ..) => Ok(Some(Duration::from_secs(5))),
        _ => Ok(None),
    }
}

/// An object that could not be decoded, on either side, and that is to stay: its key fails, and what lies on the host stays
/// (FM11).
pub(super) fn unreadable(tenant: &TenantObj, host: Option<&HostObj>) -> Option<Refusal> {
    if tenant.deleting() {
        return None;
    }
    let message = match (tenant.unreadable(), host.and_then(Fields::unreadable)) {
        (Some(why), _) => format!("the object cannot be read: {why}"),
        (None, Some(_)) => "what the host holds of the object cannot be read".to_owned(),
        (None, None) => return None,
    };
    Some(Refusal::new(Reason::UnsupportedField, message))
}

/// How long a reserved Service still waits for its tenant object.
fn pending(pass: &Pass, key: &Key) -> Option<Duration> {
    let since = pass.entry(key)?.pending?;
    let left = pass.engine.periods.pending.saturating_sub(since.elapsed());
    (!left.is_zero()).then_some(left + Duration::from_millis(100))
}

async fn create(pass: &Pass, key: &Key, kind: &dyn Translator, tenant: &TenantObj) -> Next {
    known(pass, key).await?;
    let facts = pass.facts_for(key);
    let desired = match kind.down(tenant, &facts) {
        Ok(desired) => desired,
        Err(refusal) => return refuse(pass, key, tenant, refusal).await,
    };
    super::namespaces::ensure(pass, &key.namespace).await?;
    if pass.entry(key).is_some_and(|entry| entry.host.is_some()) {
        // The namespace was there already, and the object with it.
        return Ok(Some(Duration::ZERO));
    }
    let figures = ledger::figures(key.kind, &desired);
    let quota = pass.tenant.entry().effective.clone();
    let reserved = ledger::reserve(&mut pass.tenant.model.lock().used, &quota.quota, &figures);
    if let Err(refusal) = reserved {
        return refuse(pass, key, tenant, refusal).await;
    }
    let path = key.kind.path(desired.namespace(), desired.name());
    let call = pass.host().apply_new(&path, &desired.0);
    let answer = pass.write(Side::Host, "create", key.kind, call).await;
    let outcome = match answer {
        Ok(value) => {
            let host = pass.took(key, value);
            pass.tenant.model.lock().taken.remove(key);
            if kind.change(&desired, &host).is_some() {
                pass.overridden(key, tenant, &desired, &host).await;
            }
            pass.carried(key);
            if key.kind == Kind::Service {
                tell_mirrored(pass, tenant, &host).await;
            }
            Ok(Some(host))
        }
        Err(error) => Err(error),
    };
    ledger::add(&mut pass.tenant.model.lock().used, &figures, -1);
    match outcome {
        Ok(Some(host)) => {
            pass.notes(key.kind, tenant, kind.notes(tenant, &facts)).await;
            upward::kind_up(pass, key, kind, tenant, &host).await?;
            pass.settle(key, Some(tenant), Some(&host));
            Ok(None)
        }
        Ok(None) => Ok(None),
        Err(error) if error.conflict() => not_first(pass, key, tenant).await,
        Err(error) => denied(pass, key, tenant, error).await,
    }
}

/// A Service whose host address is another than its own says so, once as it is made (SV1).
async fn tell_mirrored(pass: &Pass, tenant: &TenantObj, host: &HostObj) {
    let (own, given) = (tenant.text("/spec/clusterIP"), host.text("/spec/clusterIP"));
    if own.is_empty() || own == "None" || own == given {
        return;
    }
    let message = "the host gave this Service another address than its clusterIP; pods are led to that one by name \
                   and environment";
    pass.tell(Kind::Service, tenant, "AddressMirrored", message, false).await;
}

async fn compare(pass: &Pass, key: &Key, kind: &dyn Translator, tenant: &TenantObj, host: &HostObj) -> Next {
    known(pass, key).await?;
    let facts = pass.facts_for(key);
    let desired = match kind.down(tenant, &facts) {
        Ok(desired) => desired,
        Err(refusal) => return refuse(pass, key, tenant, refusal).await,
    };
    let mut host = host.clone();
    match kind.change(&desired, &host) {
        None => {}
        Some(Change::Replace) => {
            pass.decided(key, Decision::Replace);
            pass.delete_host(key, None).await?;
            return Ok(Some(Duration::from_millis(200)));
        }
        Some(change) => {
            if let Some(wait) = pass.rival(key, tenant, &desired, &host).await {
                return Ok(Some(wait));
            }
            let path = key.kind.path(host.namespace(), host.name());
            let call = async {
                match change {
                    Change::Patch(patch) => pass.host().strategic(&path, &patch).await,
                    _ => pass.host().apply_to(&path, host.uid(), &desired.0).await,
                }
            };
            match pass.write(Side::Host, "apply", key.kind, call).await {
                Ok(value) => {
                    host = pass.took(key, value);
                    pass.notes(key.kind, tenant, kind.notes(tenant, &facts)).await;
                    if kind.change(&desired, &host).is_some() {
                        pass.overridden(key, tenant, &desired, &host).await;
                    }
                }
                Err(error) if error.conflict() || error.not_found() || error.code() == 422 => {
                    pass.host_object(key, true).await?;
                    if error.code() == 422 {
                        return denied(pass, key, tenant, error).await;
                    }
                    return Ok(Some(Duration::from_millis(200)));
                }
                Err(error) => return denied(pass, key, tenant, error).await,
            }
        }
    }
    if key.kind == Kind::NetworkPolicy {
        policies::hold(pass, key, &host);
    }
    pass.carried(key);
    upward::kind_up(pass, key, kind, tenant, &host).await?;
    pass.agreed(key);
    pass.settle(key, Some(tenant), Some(&host));
    Ok(None)
}

/// A policy names the tenant's DNS, which is known once its namespace is made.
async fn known(pass: &Pass, key: &Key) -> Result<(), StepError> {
    if key.kind == Kind::NetworkPolicy {
        super::namespaces::ensure(pass, &key.namespace).await?;
    }
    Ok(())
}

impl Pass {
    /// Facts with addresses, for the kind that is judged by them; those of this moment for policies.
    pub(super) fn facts_for(&self, key: &Key) -> Facts {
        if key.kind == Kind::NetworkPolicy {
            return self.tenant.facts();
        }
        let mut facts = self.facts.clone();
        if key.kind == Kind::EndpointSlice {
            let (own, foreign) = self.engine.addresses(&self.tenant);
            facts.own_addresses = Arc::new(own);
            facts.foreign_addresses = Arc::new(foreign);
        }
        facts
    }
}
