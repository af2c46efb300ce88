//! The fifth step: what the stage says about the tenant, one patch, only if different.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};
use skerry_api::condition::Statement;
use skerry_api::virtual_cluster::reasons::{PROVISIONED, managers, provisioned as reason};

use super::validate::ValidatedTenant;
use crate::context::Context;
use crate::subject::Subject;

/// The statement about a tenant that was accepted.
pub fn accepted(tenant: &ValidatedTenant) -> Statement {
    let class = tenant.class.name.as_deref().unwrap_or_default();
    let size = tenant
        .class
        .size
        .as_deref()
        .filter(|s| !s.is_empty())
        .map(|s| format!(", size {s}"))
        .unwrap_or_default();
    if tenant.unbound {
        let text = format!("class {class} no longer selects this namespace; the cluster runs on as it is");
        return Statement::yes(PROVISIONED, reason::CLASS_UNBOUND, text);
    }
    Statement::yes(PROVISIONED, reason::PROVISIONED, format!("class {class}{size}"))
}

/// Writes what is in force.
pub async fn write(
    context: &Context,
    subject: &mut Subject,
    tenant: &ValidatedTenant,
    statement: &Statement,
) -> Result<(), kube::Error> {
    let mut fields = base(subject);
    fields.insert("class".to_owned(), json!(tenant.class));
    fields.insert("effective".to_owned(), tenant.effective.clone());
    fields.insert("origins".to_owned(), json!(tenant.origins));
    fields.insert("pending".to_owned(), json!(tenant.pending));
    fields.insert("hosts".to_owned(), json!(tenant.hosts));
    put(context, subject, statement, fields).await
}

/// Writes a refusal where nothing was ever in force.
pub async fn refused(
    context: &Context,
    subject: &mut Subject,
    statement: &Statement,
) -> Result<(), kube::Error> {
    let fields = base(subject);
    put(context, subject, statement, fields).await
}

/// Writes the progress of a deletion; what was in force stays on record.
pub async fn deleting(
    context: &Context,
    subject: &mut Subject,
    statement: &Statement,
    progress: Value,
) -> Result<(), kube::Error> {
    let mut fields = base(subject);
    for key in ["class", "effective", "origins", "pending", "hosts"] {
        if let Some(value) = subject.status.get(key) {
            fields.insert(key.to_owned(), value.clone());
        }
    }
    fields.insert("deletion".to_owned(), progress);
    put(context, subject, statement, fields).await
}

fn base(subject: &Subject) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("id".to_owned(), subject.status["id"].clone());
    fields.insert("observedGeneration".to_owned(), subject.generation.into());
    fields
}

async fn put(
    context: &Context,
    subject: &mut Subject,
    statement: &Statement,
    fields: Map<String, Value>,
) -> Result<(), kube::Error> {
    let now = Time(Timestamp::now());
    subject.write(&context.hub, managers::PROVISION, Some(statement), fields, &now).await.map(drop)
}
