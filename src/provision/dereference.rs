//! The first step: reads everything that the request refers to. Nothing is decided here.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};
use skerry_api::condition::find;
use skerry_api::virtual_cluster::reasons::PROVISIONED;
use skerry_api::{ClusterProfile, ClusterReport, VirtualCluster, VirtualClusterClass, labels, quantity};

use super::limits::Sibling;
use super::validate::{Dereferenced, HostFact, Previous};
use crate::context::Context;
use crate::inventory::front_door;
use crate::subject::Subject;

/// Label by which a host selector names a host.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Reads.
pub async fn dereference(context: &Context, subject: &Subject) -> Result<Dereferenced, kube::Error> {
    let hub = &context.hub;
    let classes: Api<VirtualClusterClass> = Api::all(hub.clone());
    let namespaces: Api<Namespace> = Api::all(hub.clone());
    let (classes, namespace) = futures::try_join!(classes_of(&classes), async {
        namespaces.get_metadata_opt(&subject.namespace).await
    })?;
    let previous = previous(subject);
    let siblings = if previous.effective.is_some() { Vec::new() } else { siblings(context, subject).await? };
    let hosts = match previous.hosts.first() {
        Some(chosen) => vec![kept(context, &chosen.name).await?],
        None => hosts(context).await?,
    };
    Ok(Dereferenced {
        name: subject.name.clone(),
        namespace: subject.namespace.clone(),
        uid: subject.uid.clone(),
        id: subject.typed.id.clone().unwrap_or_default(),
        generation: subject.generation,
        created: created(&subject.meta.creation_timestamp),
        spec: subject.spec.clone(),
        previous,
        namespace_labels: namespace.and_then(|n| n.metadata.labels).unwrap_or_default(),
        classes,
        siblings,
        taken_hostnames: taken_hostnames(context, subject),
        hosts,
    })
}

async fn classes_of(api: &Api<VirtualClusterClass>) -> Result<Vec<VirtualClusterClass>, kube::Error> {
    Ok(api.list(&ListParams::default()).await?.items)
}

fn created(time: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>) -> String {
    time.as_ref().map(|t| t.0.to_string()).unwrap_or_default()
}

fn previous(subject: &Subject) -> Previous {
    let typed = &subject.typed;
    let valid_at = find(subject.conditions(), PROVISIONED)
        .filter(|c| c.status == "True")
        .and_then(|c| c.observed_generation);
    Previous {
        id: typed.id.clone(),
        class: typed.class.clone(),
        effective: subject.status.get("effective").filter(|e| e.is_object()).cloned(),
        origins: typed.origins.clone().unwrap_or_default(),
        hosts: typed.hosts.clone().unwrap_or_default(),
        observed_generation: valid_at,
    }
}

/// A fresh list: sums are never decided on a cache (C5).
async fn siblings(context: &Context, subject: &Subject) -> Result<Vec<Sibling>, kube::Error> {
    let kind = kube::api::ApiResource::erase::<VirtualCluster>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.hub.clone(), &subject.namespace, &kind);
    let list = api.list(&ListParams::default()).await?;
    let sibling = |o: DynamicObject| Sibling {
        name: o.name_any(),
        created: created(&o.metadata.creation_timestamp),
        quota: o.data["status"]["effective"]
            .as_object()
            .map(|e| e.get("quota").cloned().unwrap_or_else(|| json!({}))),
    };
    Ok(list.items.into_iter().map(sibling).collect())
}

/// Names that others have in force.
fn taken_hostnames(context: &Context, subject: &Subject) -> BTreeMap<String, String> {
    let asks = |v: &Value| v["expose"]["hostnames"].as_array().is_some_and(|l| !l.is_empty());
    if !asks(&subject.spec) && !asks(&subject.status["effective"]) {
        return BTreeMap::new();
    }
    let mut taken = BTreeMap::new();
    for other in context.tenants.state() {
        if other.uid().as_deref() == Some(&subject.uid) {
            continue;
        }
        let names = other.data["status"]["effective"]["expose"]["hostnames"].as_array();
        for name in names.into_iter().flatten().filter_map(Value::as_str) {
            taken.insert(name.to_owned(), other.name_any());
        }
    }
    taken
}

/// What may change of the host that a tenant has.
async fn kept(context: &Context, name: &str) -> Result<HostFact, kube::Error> {
    let reports: Api<ClusterReport> =
        Api::namespaced(context.hub.clone(), &context.settings.inventory.namespace);
    let report = reports.get_opt(name).await?;
    let front_door = report.as_ref().map(front_door::read).unwrap_or_default();
    Ok(HostFact { name: name.to_owned(), front_door, ..HostFact::default() })
}

/// Members that carry tenants.
async fn hosts(context: &Context) -> Result<Vec<HostFact>, kube::Error> {
    let namespace = &context.settings.inventory.namespace;
    let profiles: Api<ClusterProfile> = Api::namespaced(context.hub.clone(), namespace);
    let reports: Api<ClusterReport> = Api::namespaced(context.hub.clone(), namespace);
    let hosts = profiles.list(&ListParams::default().labels(&format!("{}=host", labels::ROLE))).await?;
    let mut facts = Vec::new();
    for host in hosts {
        if host.labels().get(labels::SIMULATED).is_some_and(|v| v == "true") {
            context.inventory.note_simulated(&host.name_any());
        }
        let report = reports.get_opt(&host.name_any()).await?;
        let front_door = report.as_ref().map(front_door::read).unwrap_or_default();
        let free = report
            .and_then(|r| r.status)
            .and_then(|s| s.available)
            .and_then(|a| a.get("cpu").and_then(|q| quantity::parse(&q.0)));
        // A selector can name a host too.
        let mut own = host.labels().clone();
        own.insert(NAME_LABEL.to_owned(), host.name_any());
        facts.push(HostFact { name: host.name_any(), labels: own, free_cpu: free, front_door });
    }
    Ok(facts)
}
