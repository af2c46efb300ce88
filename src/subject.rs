//! One VirtualCluster during one pass: what was read, and how its status is written, by field managers, only where
//! something differs (architecture, invariants 4 and 5).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Map, Value, json};
use skerry_api::VirtualCluster;
use skerry_api::condition::Statement;
use skerry_api::virtual_cluster::VirtualClusterStatus;

/// A VirtualCluster as read.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Generation.
    pub generation: i64,
    /// Metadata.
    pub meta: ObjectMeta,
    /// Spec as sent.
    pub spec: Value,
    /// Status as stored.
    pub status: Value,
    /// The same, typed.
    pub typed: VirtualClusterStatus,
    /// Writes made during this pass.
    pub writes: usize,
    /// Conditions that turned False during this pass: type, reason, message.
    pub falls: Vec<(String, String, String)>,
}

/// Why an object cannot be worked on.
#[derive(Debug, thiserror::Error)]
#[error("{namespace}/{name} does not decode")]
pub struct Undecodable {
    namespace: String,
    name: String,
    #[source]
    cause: serde_json::Error,
}

impl Subject {
    /// Reads an object of the watch; one that does not decode hurts nobody else (L4).
    pub fn of(object: &DynamicObject) -> Result<Self, Undecodable> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let failed = |cause| Undecodable { namespace: namespace.clone(), name: name.clone(), cause };
        let spec = object.data.get("spec").cloned().unwrap_or_else(|| json!({}));
        serde_json::from_value::<skerry_api::virtual_cluster::VirtualClusterSpec>(spec.clone())
            .map_err(failed)?;
        let status = object.data.get("status").cloned().unwrap_or_else(|| json!({}));
        let typed = serde_json::from_value(status.clone()).map_err(failed)?;
        Ok(Self {
            uid: object.uid().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            meta: object.metadata.clone(),
            namespace,
            name,
            spec,
            status,
            typed,
            writes: 0,
            falls: Vec::new(),
        })
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether its deletion has begun.
    pub fn is_deleting(&self) -> bool {
        self.meta.deletion_timestamp.is_some()
    }

    /// Conditions as stored.
    pub fn conditions(&self) -> &[Condition] {
        self.typed.conditions()
    }

    /// Writes the status fields and the condition of one manager, if they differ from what is stored.
    ///
    /// Each field at the top of a status has one writer, so a field is compared whole. `null` takes a field away.
    pub async fn write(
        &mut self,
        hub: &Client,
        manager: &str,
        statement: Option<&Statement>,
        fields: Map<String, Value>,
        now: &Time,
    ) -> Result<bool, kube::Error> {
        let same = fields.iter().all(|(key, value)| {
            let stored = self.status.get(key).unwrap_or(&Value::Null);
            stored == value || (stored.is_null() && is_nothing(value))
        });
        let condition = statement.map(|s| s.since(self.conditions(), Some(self.generation), now));
        let known = condition.as_ref().is_none_or(|wanted| self.conditions().contains(wanted));
        if same && known {
            return Ok(false);
        }
        if let Some(wanted) = condition.as_ref().filter(|c| c.status == "False") {
            let before = skerry_api::condition::find(self.conditions(), &wanted.type_);
            if before.is_none_or(|c| c.status != "False" || c.reason != wanted.reason) {
                self.falls.push((wanted.type_.clone(), wanted.reason.clone(), wanted.message.clone()));
            }
        }
        let mut status = fields;
        status.retain(|_, value| !value.is_null());
        if let Some(condition) = condition {
            status.insert("conditions".to_owned(), json!([condition]));
        }
        let kind = ApiResource::erase::<VirtualCluster>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(hub.clone(), &self.namespace, &kind);
        let body = json!({
            "apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": self.name}, "status": status,
        });
        let stored =
            api.patch_status(&self.name, &PatchParams::apply(manager).force(), &Patch::Apply(&body)).await?;
        self.writes += 1;
        self.status = stored.data.get("status").cloned().unwrap_or_else(|| json!({}));
        self.typed = serde_json::from_value(self.status.clone()).map_err(kube::Error::SerdeError)?;
        Ok(true)
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
