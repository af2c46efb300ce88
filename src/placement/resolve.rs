//! Which objects a Placement carries (W1, W3, W4) and what they need (W6).

use std::sync::Arc;

use kube::Client;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skerry_api::labels;
use skerry_placement::{PodNeed, Resources};

use super::raw::{self, Served, items, text};
use super::sources::Stamp;
use super::world::Placed;
use crate::placement::Site;

/// Kinds that act nowhere by themselves: they may come from any namespace.
const PASSIVE: [(&str, &str); 10] = [
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "ServiceAccount"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("", "LimitRange"),
    ("policy", "PodDisruptionBudget"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
];
/// Never carried, whatever selects them.
const NEVER: [(&str, &str); 6] = [
    ("", "Node"),
    ("", "Event"),
    ("events.k8s.io", "Event"),
    ("coordination.k8s.io", "Lease"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("", "Endpoints"),
];
const RESERVED: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];
const ROOT_CA: &str = "kube-root-ca.crt";

/// Why a Placement is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A field; the text begins with its path.
    #[error("{0}")]
    Invalid(String),
    /// The source namespace or virtual cluster is not there.
    #[error("{0}")]
    NotFound(String),
    /// The object would run at its source too.
    #[error("{0}")]
    NotTemplate(String),
    /// The source does not answer.
    #[error("{0}")]
    Unreadable(String),
    /// Only a ClusterPlacement carries it.
    #[error("{0}")]
    ClusterScoped(String),
}

impl SourceError {
    /// Reason of `Accepted=False`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "Invalid",
            Self::NotFound(_) => "SourceNotFound",
            Self::NotTemplate(_) => "SourceNotTemplate",
            Self::Unreadable(_) => "SourceUnreadable",
            Self::ClusterScoped(_) => "ClusterScopedObject",
        }
    }
}

/// What a Placement carries.
pub struct Resolved {
    /// Cleaned objects, in order of group, kind and name.
    pub objects: Vec<Value>,
    /// Needs of their pods.
    pub pods: Vec<PodNeed>,
    /// Digest of the objects.
    pub revision: String,
    /// Namespace they come from.
    pub namespace: String,
}

/// What a Placement carries: as it was found last, while nothing of that changed, else read anew.
pub async fn resolve(site: &Site<'_>, placement: &Placed) -> Result<Arc<Resolved>, SourceError> {
    let Some(live) = site.live else { return read(site, placement, &mut Vec::new()).await.map(Arc::new) };
    if let Some(known) = live.sources.known(placement) {
        return Ok(known);
    }
    let mut stamps = Vec::new();
    let found = read(site, placement, &mut stamps).await.map(Arc::new);
    live.sources.keep(placement, found.as_ref().ok().cloned(), stamps);
    found
}

/// Kinds that say what may come from a namespace, and what is served.
fn framework() -> [Served; 2] {
    let served = |api_version: &str, kind: &str, plural: &str| Served {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        namespaced: false,
    };
    let definitions = "customresourcedefinitions";
    [
        served("v1", "Namespace", "namespaces"),
        served("apiextensions.k8s.io/v1", "CustomResourceDefinition", definitions),
    ]
}

/// Reads the selected objects; `stamps` says how often each thing had changed before it was read.
async fn read(site: &Site<'_>, placement: &Placed, stamps: &mut Vec<Stamp>) -> Result<Resolved, SourceError> {
    let workload = &placement.spec()["workload"];
    if ["select", "namespaces", "manifests"].iter().all(|field| items(workload, &[field]).is_empty()) {
        return Err(SourceError::Invalid(
            "spec.workload: at least one of select, namespaces and manifests is required".into(),
        ));
    }
    let namespace = match text(workload, &["source", "namespace"]) {
        "" if placement.namespace.is_empty() => {
            return Err(SourceError::Invalid(
                "spec.workload.source.namespace: required in a ClusterPlacement".into(),
            ));
        }
        "" => placement.namespace.clone(),
        named => named.to_owned(),
    };
    if RESERVED.contains(&namespace.as_str()) || namespace.starts_with("skerry-") {
        return Err(SourceError::Invalid(format!("spec.workload.source.namespace: {namespace} is reserved")));
    }
    let cluster = text(workload, &["source", "virtualCluster"]);
    if cluster.is_empty() && placement.kind == "Placement" && namespace != placement.namespace {
        return Err(SourceError::Invalid(
            "spec.workload.source.namespace: must be the Placement's own".into(),
        ));
    }
    let (client, source) = client_of(site, placement, cluster).await?;
    let mut stamp = |served: &Served, place: Option<&str>| {
        stamps.extend(site.live.map(|live| live.sources.stamp(&client, &source, served, place)));
    };
    let [namespaces, definitions] = framework();
    stamp(&namespaces, Some(&namespace));
    stamp(&definitions, None);
    let template = is_template(&client, &namespace).await?;
    let mut objects: Vec<Value> = Vec::new();
    for (i, selector) in items(workload, &["select"]).iter().enumerate() {
        let path = format!("spec.workload.select[{i}]");
        let served = served(&client, selector, &path).await?;
        if !served.namespaced && placement.kind == "Placement" {
            return Err(SourceError::ClusterScoped(format!(
                "{path}: {} is cluster-scoped; use a ClusterPlacement",
                served.kind
            )));
        }
        stamp(&served, served.namespaced.then_some(namespace.as_str()));
        for object in select(&client, &served, &namespace, selector, &path).await? {
            judge(&object, template, &namespace)?;
            objects.push(object);
        }
    }
    for (i, manifest) in items(workload, &["manifests"]).iter().enumerate() {
        if text(manifest, &["kind"]).is_empty() || text(manifest, &["metadata", "name"]).is_empty() {
            return Err(SourceError::Invalid(format!(
                "spec.workload.manifests[{i}]: kind and metadata.name are required"
            )));
        }
        objects.push(manifest.clone());
    }
    let mut objects: Vec<Value> = objects.iter().map(clean).collect();
    objects.sort_by_key(identity);
    for pair in objects.windows(2) {
        if identity(&pair[0]) == identity(&pair[1]) && pair[0] != pair[1] {
            return Err(SourceError::Invalid(format!(
                "spec.workload: {:?} is selected and inline",
                identity(&pair[0])
            )));
        }
    }
    objects.dedup_by_key(|o| identity(o));
    let bytes = serde_json::to_vec(&objects).unwrap_or_default();
    let revision = data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))[..16].to_owned();
    let pods = objects.iter().filter_map(need).collect();
    Ok(Resolved { objects, pods, revision, namespace })
}

fn identity(object: &Value) -> (String, String, String) {
    let group = text(object, &["apiVersion"]).rsplit_once('/').map_or("", |(g, _)| g).to_owned();
    (group, text(object, &["kind"]).to_owned(), text(object, &["metadata", "name"]).to_owned())
}

async fn client_of(
    site: &Site<'_>,
    placement: &Placed,
    cluster: &str,
) -> Result<(Client, String), SourceError> {
    if cluster.is_empty() {
        return Ok((site.hub.clone(), String::new()));
    }
    let (namespace, name) = match cluster.split_once('/') {
        Some((namespace, name)) if placement.kind == "ClusterPlacement" => (namespace, name),
        Some(_) => {
            return Err(SourceError::Invalid(
                "spec.workload.source.virtualCluster: a name of this namespace".into(),
            ));
        }
        None => (placement.namespace.as_str(), cluster),
    };
    let path = format!("/apis/skerry.dev/v1alpha1/namespaces/{namespace}/virtualclusters/{name}");
    let unreadable = |e: kube::Error| SourceError::Unreadable(skerry_kit::error::sentence(&e));
    let found = raw::get(&site.hub, &path).await.map_err(unreadable)?;
    let found = found
        .ok_or_else(|| SourceError::NotFound(format!("virtual cluster {namespace}/{name} is not there")))?;
    let id = text(&found, &["status", "id"]);
    let client = (site.members)(id);
    client.map(|client| (client, id.to_owned())).ok_or_else(|| {
        SourceError::Unreadable(format!("virtual cluster {namespace}/{name} cannot be read yet"))
    })
}

async fn is_template(client: &Client, namespace: &str) -> Result<bool, SourceError> {
    let found = raw::get(client, &format!("/api/v1/namespaces/{namespace}"))
        .await
        .map_err(|e| SourceError::Unreadable(skerry_kit::error::sentence(&e)))?;
    let found = found.ok_or_else(|| SourceError::NotFound(format!("namespace {namespace} is not there")))?;
    Ok(text(&found, &["metadata", "labels", labels::TEMPLATE]) == "true")
}

async fn served(client: &Client, selector: &Value, path: &str) -> Result<Served, SourceError> {
    let (group, kind) = (text(selector, &["group"]), text(selector, &["kind"]));
    if NEVER.contains(&(group, kind)) || group == "skerry.dev" {
        return Err(SourceError::Invalid(format!("{path}: {kind} is never carried")));
    }
    raw::served(client, group, kind)
        .await
        .map_err(|e| SourceError::Unreadable(skerry_kit::error::sentence(&e)))?
        .ok_or_else(|| {
            SourceError::Invalid(format!(
                "{path}: kind {kind:?} of group {group:?} is not served at the source"
            ))
        })
}

async fn select(
    client: &Client,
    served: &Served,
    namespace: &str,
    selector: &Value,
    path: &str,
) -> Result<Vec<Value>, SourceError> {
    let name = text(selector, &["name"]);
    let by_labels = selector.get("labelSelector").filter(|s| !s.is_null());
    if !name.is_empty() && by_labels.is_some() {
        return Err(SourceError::Invalid(format!("{path}: name or labelSelector, not both")));
    }
    let unreadable = |e: kube::Error| SourceError::Unreadable(skerry_kit::error::sentence(&e));
    if !name.is_empty() {
        let found = raw::get(client, &served.path(namespace, name)).await.map_err(unreadable)?;
        return Ok(found.into_iter().collect());
    }
    let all = raw::list(client, &served.path(namespace, "")).await.map_err(unreadable)?;
    let fits = |object: &Value| by_labels.is_none_or(|s| matches(s, &object["metadata"]["labels"]));
    Ok(all.into_iter().filter(|o| fits(o) && !is_made_by_server(o)).collect())
}

/// What every namespace has by itself.
fn is_made_by_server(object: &Value) -> bool {
    let name = text(object, &["metadata", "name"]);
    let kind = text(object, &["kind"]);
    (kind == "ConfigMap" && name == ROOT_CA)
        || (kind == "ServiceAccount" && name == "default")
        || (kind == "Secret" && text(object, &["type"]) == "kubernetes.io/service-account-token")
        || !items(object, &["metadata", "ownerReferences"]).is_empty()
}

fn matches(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal =
        selector["matchLabels"].as_object().is_none_or(|m| m.iter().all(|(k, v)| label(k) == v.as_str()));
    equal
        && items(selector, &["matchExpressions"]).iter().all(|e| {
            let found = label(text(e, &["key"]));
            let listed = |v: &str| items(e, &["values"]).iter().any(|x| x.as_str() == Some(v));
            match text(e, &["operator"]) {
                "In" => found.is_some_and(listed),
                "NotIn" => found.is_none_or(|v| !listed(v)),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// A kind that acts may only come from a template namespace: it would run at its source too.
fn judge(object: &Value, template: bool, namespace: &str) -> Result<(), SourceError> {
    let (group, kind, name) = identity(object);
    if template || PASSIVE.contains(&(group.as_str(), kind.as_str())) {
        return Ok(());
    }
    Err(SourceError::NotTemplate(format!(
        "{kind} {name:?}: namespace {namespace} is not labelled {}: \"true\", so it would run there too",
        labels::TEMPLATE
    )))
}

/// The object without what belongs to its source (W3).
fn clean(object: &Value) -> Value {
    let mut metadata = json!({"name": object["metadata"]["name"]});
    for field in ["labels", "annotations"] {
        if let Some(map) = object["metadata"][field].as_object() {
            let kept: serde_json::Map<String, Value> = map
                .iter()
                .filter(|(k, _)| {
                    *k != "kubectl.kubernetes.io/last-applied-configuration"
                        && *k != "deployment.kubernetes.io/revision"
                })
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            if !kept.is_empty() {
                metadata[field] = kept.into();
            }
        }
    }
    let mut out = object.clone();
    out["metadata"] = metadata;
    if let Some(map) = out.as_object_mut() {
        map.remove("status");
    }
    match text(object, &["kind"]) {
        "Service" => {
            let headless = text(object, &["spec", "clusterIP"]) == "None";
            if let Some(spec) = out["spec"].as_object_mut() {
                for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"] {
                    spec.remove(field);
                }
                if !headless {
                    spec.remove("clusterIP");
                }
            }
            for port in out["spec"]["ports"].as_array_mut().into_iter().flatten() {
                if let Some(port) = port.as_object_mut() {
                    port.remove("nodePort");
                }
            }
        }
        "PersistentVolumeClaim" => {
            if let Some(spec) = out["spec"].as_object_mut() {
                spec.remove("volumeName");
            }
        }
        _ => {}
    }
    out
}

/// Pods of an object, where it makes any.
fn need(object: &Value) -> Option<PodNeed> {
    let (group, kind, name) = identity(object);
    let number = |path: &[&str]| {
        let value = path.iter().try_fold(object, |v, key| v.get(key))?;
        u32::try_from(value.as_u64()?).ok()
    };
    let (replicas, divisible, pod) = match kind.as_str() {
        "Deployment" | "ReplicaSet" | "StatefulSet" => {
            (number(&["spec", "replicas"]).unwrap_or(1), true, &object["spec"]["template"]["spec"])
        }
        "Job" => (number(&["spec", "parallelism"]).unwrap_or(1), true, &object["spec"]["template"]["spec"]),
        "CronJob" => (1, false, &object["spec"]["jobTemplate"]["spec"]["template"]["spec"]),
        "Pod" => (1, false, &object["spec"]),
        _ => return None,
    };
    let mut request = Resources::default();
    for container in items(pod, &["containers"]) {
        request.add(&requests(container), 1);
    }
    request.set("pods", 1);
    let target = if group.is_empty() { format!("{kind}/{name}") } else { format!("{group}/{kind}/{name}") };
    Some(PodNeed { target, replicas, divisible, request, ..PodNeed::default() })
}

fn requests(container: &Value) -> Resources {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for side in ["limits", "requests"] {
        for (name, amount) in container["resources"][side].as_object().into_iter().flatten() {
            if let Some(amount) = amount.as_str() {
                pairs.retain(|(known, _)| known != name);
                pairs.push((name, amount));
            }
        }
    }
    Resources::of(pairs).unwrap_or_default()
}
