//! Policies on the host and the labels of pods that they select (KI6, tenancy I6): set once a policy lies there, cleared
//! before it goes, so that no pod is ever left to the default deny alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    carry::Pass,
    model::{Key, Model},
    queue::Lane,
    state::Tenant,
};
use crate::{kind::Kind, kinds::policy::PolicyFact, object::HostObj};

/// How long a policy that goes waits for labels at most: a pod that cannot be written holds up nothing for ever.
const LIMIT: Duration = Duration::from_secs(10);
/// Between looks at those labels.
const AGAIN: Duration = Duration::from_millis(100);

impl Model {
    /// A policy lies on the host as this.
    pub(super) fn policy_lies(&mut self, key: &Key, fact: PolicyFact) {
        let space = self.policies.0.get(&key.namespace);
        if space.and_then(|space| space.all.get(&key.name)) == Some(&fact) {
            return;
        }
        let space = Arc::make_mut(&mut self.policies).0.entry(key.namespace.clone()).or_default();
        space.all.insert(key.name.clone(), fact);
        space.generation += 1;
        self.relabel.insert(key.namespace.clone());
    }

    /// A policy selects nothing any more.
    pub(super) fn policy_goes(&mut self, key: &Key) {
        if self.policies.0.get(&key.namespace).is_none_or(|space| !space.all.contains_key(&key.name)) {
            return;
        }
        if let Some(space) = Arc::make_mut(&mut self.policies).0.get_mut(&key.namespace) {
            space.all.remove(&key.name);
            space.generation += 1;
        }
        self.relabel.insert(key.namespace.clone());
    }

    /// Pods of a namespace that are on the host.
    fn pods_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = (&'a Key, &'a super::model::Entry)> {
        self.within(Kind::Pod, namespace).filter(|(_, entry)| entry.host.is_some())
    }
}

impl Tenant {
    /// Queues the pods whose labels may have to follow policies.
    pub(super) fn relabel(&self) {
        let pods: Vec<Key> = {
            let mut model = self.model.lock();
            let spaces = std::mem::take(&mut model.relabel);
            spaces.iter().flat_map(|space| model.pods_in(space).map(|(key, _)| key.clone())).collect()
        };
        for pod in pods {
            self.queue_key(pod, Lane::Change);
        }
    }
}

/// Clears the labels of pods that only this policy selects; when to look again while some still carry them.
pub(super) fn release(pass: &Pass, key: &Key) -> Option<Duration> {
    let waits = {
        let mut model = pass.tenant.model.lock();
        model.policy_goes(key);
        let since = *model.leaving.entry(key.clone()).or_insert_with(Instant::now);
        let generation = model.policies.generation(&key.namespace);
        let stale = model.pods_in(&key.namespace).any(|(_, pod)| pod.labelled && pod.under != generation);
        stale && since.elapsed() < LIMIT
    };
    pass.tenant.relabel();
    waits.then_some(AGAIN)
}

/// A policy stays, whatever was begun before.
pub(super) fn hold(pass: &Pass, key: &Key, host: &HostObj) {
    {
        let mut model = pass.tenant.model.lock();
        model.leaving.remove(key);
        model.policy_lies(key, PolicyFact::of(host));
    }
    pass.tenant.relabel();
}
