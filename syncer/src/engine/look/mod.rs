//! What the syncer knows and does, for those who operate it (OB2): a tenant's state, one object on both sides, the last
//! decision about it, and a patrol at once.
//!
//! Nothing here writes to a tenant or a host but what a patrol queues. Data of Secrets is in none of the answers.

mod diff;
mod fields;
mod hide;
mod status;
mod why;

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Instant};

use serde::Serialize;

use super::{SyncerHandle, carry::StepError, model::Key, patrol, report, state::Tenant};
use crate::{kind::Kind, wire::WireError};

pub use diff::{Diff, Kept, Proof, Repair};
pub use fields::Field;
pub use status::{Listed, Objects, Patrolled, Queued, Status, Watches};
pub use why::{Attempts, Next, Refused, Side, Why};

/// An object of a virtual cluster, as `pod/namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// A carried kind.
    pub kind: Kind,
    /// Namespace in the tenant.
    pub namespace: String,
    /// Name in the tenant.
    pub name: String,
}

/// A text that names no object that is carried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It does not have three parts.
    #[error("{0:?} is not KIND/NAMESPACE/NAME, as pod/default/web")]
    Form(String),
    /// Objects of that kind are not carried.
    #[error("{0:?} is no kind that is carried; those are {list}", list = kinds())]
    Kind(String),
}

fn kinds() -> String {
    let named = |kind: Kind| match kind.short() {
        "" => kind.singular(),
        short => format!("{} ({short})", kind.singular()),
    };
    Kind::CARRIED.map(named).join(", ")
}

impl FromStr for ObjectName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = text.split('/').collect();
        let [kind, namespace, name] = *parts.as_slice() else { return Err(NameError::Form(text.to_owned())) };
        if namespace.is_empty() || name.is_empty() {
            return Err(NameError::Form(text.to_owned()));
        }
        let kind = Kind::carried(kind).ok_or_else(|| NameError::Kind(kind.to_owned()))?;
        Ok(Self { kind, namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.singular(), self.namespace, self.name)
    }
}

impl Serialize for ObjectName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ObjectName {
    fn key(&self) -> Key {
        Key::new(self.kind, &self.namespace, &self.name)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The tenant is not served by this process.
    #[error("the syncer does not serve this virtual cluster: it has no host yet, or carries nothing")]
    NotServed,
    /// It is on neither side.
    #[error("neither the virtual cluster nor its host has {0}")]
    NoObject(ObjectName),
    /// Nothing may be written for the tenant now, so nothing is compared.
    #[error("nothing is patrolled: {0}")]
    NotNow(String),
    /// The tenant's API server did not answer as it should.
    #[error("asking the virtual cluster")]
    Tenant(#[source] WireError),
    /// The host's did not.
    #[error("asking the host")]
    Host(#[source] WireError),
}

impl From<StepError> for LookError {
    fn from(failed: StepError) -> Self {
        match failed {
            StepError::Tenant(error) => LookError::Tenant(error),
            StepError::Host(error) => LookError::Host(error),
        }
    }
}

/// What a patrol found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Patrol {
    /// Objects that memory holds.
    pub objects: usize,
    /// Differences by class, those of other patrols in the same time among them.
    pub found: BTreeMap<&'static str, u64>,
    /// How long it took.
    pub seconds: f64,
}

impl SyncerHandle {
    fn seen(&self, id: &str) -> Result<Arc<Tenant>, LookError> {
        self.engine.tenants.read().get(id).cloned().ok_or(LookError::NotServed)
    }

    /// Namespace and name of a tenant's VirtualCluster.
    pub fn owner(&self, tenant: &str) -> Result<(String, String), LookError> {
        let entry = self.seen(tenant)?.entry();
        Ok((entry.owner.namespace.clone(), entry.owner.name.clone()))
    }

    /// Queue, objects, refusals, watches and patrols of a tenant, from memory.
    pub fn status(&self, tenant: &str) -> Result<Status, LookError> {
        Ok(status::of(&self.engine, &*self.seen(tenant)?))
    }

    /// One object: the tenant's and the host's as they are now, and what the translator makes of the first, with the
    /// owner of each field.
    pub async fn diff(&self, tenant: &str, object: &ObjectName) -> Result<Diff, LookError> {
        diff::of(&self.engine, self.seen(tenant)?, object).await
    }

    /// What was decided last about an object, by which rule, and when it is looked at next. From memory.
    pub fn why(&self, tenant: &str, object: &ObjectName) -> Result<Why, LookError> {
        why::of(&self.engine, &*self.seen(tenant)?, object)
    }

    /// Compares a tenant with its host at once, by both walks (EN22, EN23); differences are queued. Takes some seconds
    /// where a watch seems to have lost something.
    pub async fn patrol(&self, tenant: &str) -> Result<Patrol, LookError> {
        let tenant = self.seen(tenant)?;
        if !tenant.writable() {
            return Err(LookError::NotNow(report::state(&tenant, self.engine.periods.silence).message));
        }
        let began = Instant::now();
        let found = patrol::now(&self.engine, &tenant).await?;
        let objects = tenant.model.lock().entries.keys().filter(|k| Kind::CARRIED.contains(&k.kind)).count();
        Ok(Patrol { objects, found, seconds: began.elapsed().as_secs_f64() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OB2: kinds as kubectl takes them; what is none is told with those that are.
    #[test]
    fn plan_ob2_objects_are_named_as_kubectl_names_them() {
        for text in ["pod/a/b", "pods/a/b", "po/a/b", "Pod/a/b"] {
            let name: ObjectName = text.parse().expect(text);
            assert_eq!((name.kind, name.to_string()), (Kind::Pod, "pod/a/b".to_owned()), "{text}");
        }
        let policies = ["netpol/a/b", "networkpolicies/a/b", "networkpolicy.networking.k8s.io/a/b"];
        for (text, kind) in policies.map(|p| (p, Kind::NetworkPolicy)).into_iter().chain([
            ("svc/a/b", Kind::Service),
            ("cm/a/b", Kind::ConfigMap),
            ("pvc/a/b", Kind::PersistentVolumeClaim),
            ("secrets/a/b", Kind::Secret),
            ("endpointslice/a/b", Kind::EndpointSlice),
        ]) {
            assert_eq!(text.parse::<ObjectName>().map(|n| n.kind), Ok(kind), "{text}");
        }
        for text in ["pod", "pod/a", "pod/a/", "pod//b", "pod/a/b/c", ""] {
            assert_eq!(text.parse::<ObjectName>(), Err(NameError::Form(text.to_owned())));
        }
        for text in ["deployment/a/b", "pods.apps/a/b", "/a/b"] {
            let said = text.parse::<ObjectName>().expect_err(text).to_string();
            assert!(said.contains("configmap (cm)") && said.contains("endpointslice,"), "{said}");
        }
    }
}
