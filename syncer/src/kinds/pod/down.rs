//! A tenant pod as it stands on the host (4.1).

use serde_json::{Map, Value, json};
use skerry_api::labels;

use super::{
    TokenSource, affinity,
    container::{self, Site},
    downward, names, security,
    table::{POD_SECURITY, POD_SPEC, Row, row},
    volumes,
};
use crate::{
    facts::{DnsMode, Facts},
    kind::Kind,
    kinds::Note,
    mapping::{HostName, Mapping},
    object::{Fields, HostObj, TenantObj, entry, filled, items, shell, text},
    refusal::{Reason, Refusal},
    settings::{NodeName, UserNamespaces},
};

/// Message of a pod that still has scheduling gates: it is not sent (PO15).
pub const GATED: &str = "the pod has scheduling gates";

/// The whole desired host pod.
pub(super) fn down(tenant: &TenantObj, facts: &Facts) -> Result<HostObj, Refusal> {
    let spec = tenant.0.get("spec").and_then(Value::as_object).ok_or_else(|| Refusal::unsupported("spec"))?;
    if tenant.annotation("kubernetes.io/config.mirror").is_some() {
        return Err(Refusal::unsupported("metadata.annotations[kubernetes.io/config.mirror]"));
    }
    let host_namespace = facts
        .host_namespace(tenant.namespace())
        .ok_or_else(|| Refusal::unsupported(format_args!("namespace {}", tenant.namespace())))?;
    let mut out = shell(Kind::Pod);
    out.insert("metadata".to_owned(), Value::Object(metadata(tenant, facts, &host_namespace)));
    let host_spec = pod_spec(tenant, spec, facts)?;
    out.insert("spec".to_owned(), Value::Object(host_spec));
    let host = HostObj(Value::Object(out));
    let found = security::violations(&host, facts.pod_security);
    if !found.is_empty() {
        return Err(Refusal::new(Reason::PodSecurityViolation, found.join("; ")));
    }
    Ok(host)
}

fn metadata(tenant: &TenantObj, facts: &Facts, namespace: &HostName) -> Map<String, Value> {
    let translated = facts.rules.translate(tenant.0.get("metadata"));
    let mut meta = Map::new();
    let name = facts.host_name(Kind::Pod, tenant.namespace(), tenant.name());
    meta.insert("name".to_owned(), Value::from(name.as_str()));
    meta.insert("namespace".to_owned(), Value::from(namespace.as_str()));
    meta.insert("labels".to_owned(), Value::Object(translated.labels));
    meta.insert("annotations".to_owned(), Value::Object(translated.annotations));
    facts.mapping.stamp(&mut meta, Kind::Pod, tenant);
    facts.policies.mark(tenant.namespace(), entry(&mut meta, "labels"));
    let host_uid = facts.namespaces.get(tenant.namespace()).and_then(|fact| fact.host_uid.as_ref());
    if let Some(uid) = host_uid {
        // Drain and autoscalers see a managed pod, and no shared owner's loss can wipe the tenant.
        let controller = tenant.controller().is_some();
        let owner = json!({"apiVersion": "v1", "kind": "Namespace", "name": namespace.as_str(), "uid": uid.as_ref(),
            "controller": controller});
        meta.insert("ownerReferences".to_owned(), json!([owner]));
    }
    let annotations = entry(&mut meta, "annotations");
    let account = match tenant.text("/spec/serviceAccountName") {
        "" => "default",
        name => name,
    };
    annotations.insert(labels::SERVICE_ACCOUNT.to_owned(), Value::from(account));
    if tenant.controller().is_some() {
        annotations
            .entry("cluster-autoscaler.kubernetes.io/safe-to-evict".to_owned())
            .or_insert_with(|| Value::from("true"));
    }
    downward::texts(tenant, annotations);
    meta
}

fn pod_spec(
    tenant: &TenantObj,
    spec: &Map<String, Value>,
    facts: &Facts,
) -> Result<Map<String, Value>, Refusal> {
    let mut out = Map::new();
    for (field, value) in spec {
        let path = format!("spec.{field}");
        match row(POD_SPEC, field) {
            Some(Row::Copied) => {
                out.insert(field.clone(), value.clone());
            }
            Some(Row::Required) if filled(value) => {
                require(facts, "PodSpec", field, &path)?;
                out.insert(field.clone(), value.clone());
            }
            Some(Row::Handled | Row::NotSent | Row::Required) => {}
            Some(Row::Unsupported) | None => {
                if filled(value) {
                    return Err(Refusal::unsupported(path));
                }
            }
        }
    }
    identity(tenant, spec, facts, &mut out)?;
    host_namespaces(spec, facts, &mut out)?;
    pod_security(spec, facts, &mut out)?;
    dns(tenant, spec, facts, &mut out)?;
    scheduling(tenant, spec, facts, &mut out)?;
    let volumes = volumes::down(tenant, facts)?;
    for member in ["initContainers", "containers"] {
        let Some(list) = spec.get(member).and_then(Value::as_array) else { continue };
        let mut done = Vec::with_capacity(list.len());
        for (n, item) in list.iter().enumerate() {
            let path = format!("spec.{member}[{n}]");
            done.push(container::down(item, &Site { tenant, facts, path: &path, volumes: &volumes })?);
        }
        out.insert(member.to_owned(), Value::Array(done));
    }
    if !volumes.list.is_empty() {
        out.insert("volumes".to_owned(), Value::Array(volumes.list));
    }
    names::down(tenant, spec, facts, &mut out)?;
    Ok(out)
}

/// Refuses a field that the host's schema lacks.
pub(super) fn require(facts: &Facts, schema: &str, field: &str, path: &str) -> Result<(), Refusal> {
    if facts.host_has(&format!("{schema}.{field}")) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::HostFeatureMissing,
        format!("{path} needs a field that the host, Kubernetes 1.{}, does not have", facts.host.minor),
    ))
}

/// ServiceAccount, pull secrets, service links: never the host's own identity (I4, PO16).
fn identity(
    tenant: &TenantObj,
    spec: &Map<String, Value>,
    facts: &Facts,
    out: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    out.insert("serviceAccountName".to_owned(), Value::from("default"));
    out.insert("automountServiceAccountToken".to_owned(), Value::Bool(false));
    out.insert("enableServiceLinks".to_owned(), Value::Bool(false));
    let mut pulls: Vec<Value> = Vec::new();
    for pull in facts.settings.to_host.pods.pull_secrets.iter() {
        pulls.push(json!({"name": Mapping::pull_secret(&pull.namespace, &pull.name).as_str()}));
    }
    let own = spec.get("imagePullSecrets").and_then(Value::as_array);
    for name in own.into_iter().flatten().map(|item| text(item, "name")).filter(|name| !name.is_empty()) {
        pulls.push(json!({"name": facts.host_name(Kind::Secret, tenant.namespace(), name).as_str()}));
    }
    if !pulls.is_empty() {
        out.insert("imagePullSecrets".to_owned(), Value::Array(pulls));
    }
    let pods = &facts.settings.to_host.pods;
    if !pods.runtime_class_name.is_empty() {
        out.insert("runtimeClassName".to_owned(), Value::from(pods.runtime_class_name.as_str()));
    } else if let Some(class) = spec.get("runtimeClassName").and_then(Value::as_str).filter(|c| !c.is_empty())
    {
        let message = format!("spec.runtimeClassName: {class} is not shared with this cluster");
        return Err(Refusal::new(Reason::ClassNotShared, message));
    }
    if !pods.priority_class_name.is_empty() && !pods.priority_class_name.starts_with("system-") {
        out.insert("priorityClassName".to_owned(), Value::from(pods.priority_class_name.as_str()));
    }
    Ok(())
}

fn host_namespaces(
    spec: &Map<String, Value>,
    facts: &Facts,
    out: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    for (field, policy) in [("hostNetwork", "network"), ("hostPID", "pid"), ("hostIPC", "ipc")] {
        if spec.get(field).and_then(Value::as_bool) == Some(true) {
            if !facts.policy.host_namespaces.iter().any(|allowed| allowed == policy) {
                return Err(Refusal::policy(format_args!("spec.{field}"), "hostNamespaces"));
            }
            out.insert(field.to_owned(), Value::Bool(true));
        }
    }
    let wanted = spec.get("hostUsers").and_then(Value::as_bool);
    let users = match facts.policy.user_namespaces {
        UserNamespaces::Required => Some(false),
        UserNamespaces::Optional => wanted,
    };
    if let Some(users) = users {
        require(facts, "PodSpec", "hostUsers", "spec.hostUsers")?;
        out.insert("hostUsers".to_owned(), Value::Bool(users));
    }
    Ok(())
}

fn pod_security(
    spec: &Map<String, Value>,
    facts: &Facts,
    out: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let Some(context) = spec.get("securityContext").and_then(Value::as_object) else { return Ok(()) };
    let mut copy = Map::new();
    for (field, value) in context {
        let path = format!("spec.securityContext.{field}");
        match row(POD_SECURITY, field) {
            Some(Row::Required) if filled(value) => require(facts, "PodSecurityContext", field, &path)?,
            Some(_) => {}
            None if filled(value) => return Err(Refusal::unsupported(path)),
            None => {}
        }
        copy.insert(field.clone(), value.clone());
    }
    out.insert("securityContext".to_owned(), Value::Object(copy));
    Ok(())
}

/// DNS policy (PO31).
fn dns(
    tenant: &TenantObj,
    spec: &Map<String, Value>,
    facts: &Facts,
    out: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let policy = spec.get("dnsPolicy").and_then(Value::as_str).unwrap_or("ClusterFirst");
    let on_host_network = spec.get("hostNetwork").and_then(Value::as_bool) == Some(true);
    let user = spec.get("dnsConfig").cloned().unwrap_or_else(|| json!({}));
    let mut put = |policy: &str, config: Value| {
        out.insert("dnsPolicy".to_owned(), Value::from(policy));
        if filled(&config) {
            out.insert("dnsConfig".to_owned(), config);
        }
    };
    let cluster_first = match policy {
        "ClusterFirst" if on_host_network => {
            put("Default", user);
            return Ok(());
        }
        "ClusterFirst" | "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    if !cluster_first {
        put(policy, user);
        return Ok(());
    }
    let servers = match &facts.network.dns {
        DnsMode::Host => {
            put(policy, user);
            return Ok(());
        }
        // The API wants one server with this policy; nothing answers on loopback.
        DnsMode::None if items(&user, "/nameservers").is_empty() => vec!["127.0.0.1".to_owned()],
        DnsMode::None => Vec::new(),
        DnsMode::Tenant(servers) => servers.clone(),
    };
    let searches = if facts.network.dns == DnsMode::None {
        Vec::new()
    } else {
        let domain = &facts.network.cluster_domain;
        let all = [format!("{}.svc.{domain}", tenant.namespace()), format!("svc.{domain}"), domain.clone()];
        all.into_iter().chain(names::own_domain(tenant, spec, facts)).collect()
    };
    put("None", merged_dns(&user, servers, searches, facts)?);
    Ok(())
}

fn merged_dns(
    user: &Value,
    mut servers: Vec<String>,
    mut searches: Vec<String>,
    facts: &Facts,
) -> Result<Value, Refusal> {
    let add = |list: &mut Vec<String>, pointer: &str| {
        for item in items(user, pointer).iter().filter_map(Value::as_str) {
            if !list.iter().any(|have| have == item) {
                list.push(item.to_owned());
            }
        }
    };
    add(&mut servers, "/nameservers");
    add(&mut searches, "/searches");
    for (list, limit, field) in [(&servers, 3, "nameservers"), (&searches, 32, "searches")] {
        if list.len() > limit {
            let message = format!(
                "spec.dnsConfig.{field}: {} with those of the cluster, at most {limit} are possible",
                list.len()
            );
            return Err(Refusal::new(Reason::UnsupportedField, message));
        }
    }
    let mut options: Vec<Value> = items(user, "/options").to_vec();
    if facts.network.dns != DnsMode::None && !options.iter().any(|o| text(o, "name") == "ndots") {
        options.insert(0, json!({"name": "ndots", "value": "5"}));
    }
    let mut config = Map::new();
    config.insert("nameservers".to_owned(), json!(servers));
    if !searches.is_empty() {
        config.insert("searches".to_owned(), json!(searches));
    }
    if !options.is_empty() {
        config.insert("options".to_owned(), Value::Array(options));
    }
    Ok(Value::Object(config))
}

/// Scheduler, node selection, tolerations, spread (PO12, PO14).
fn scheduling(
    tenant: &TenantObj,
    spec: &Map<String, Value>,
    facts: &Facts,
    out: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let scheduler = spec.get("schedulerName").and_then(Value::as_str).unwrap_or("default-scheduler");
    if !facts.policy.schedulers.iter().any(|known| known == scheduler) {
        let message =
            format!("spec.schedulerName: {scheduler} is not one of {}", facts.policy.schedulers.join(", "));
        return Err(Refusal::new(Reason::SchedulerUnknown, message));
    }
    out.insert("schedulerName".to_owned(), Value::from(scheduler));
    let mut selector = spec.get("nodeSelector").and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, value) in &facts.settings.to_host.pods.node_selector {
        match selector.get(key).and_then(Value::as_str) {
            Some(other) if other != value => {
                let message = format!("spec.nodeSelector[{key}]: {other} is outside this cluster's nodes");
                return Err(Refusal::new(Reason::NodeNotVisible, message));
            }
            _ => {
                selector.insert(key.clone(), Value::from(value.as_str()));
            }
        }
    }
    if !selector.is_empty() {
        out.insert("nodeSelector".to_owned(), Value::Object(selector));
    }
    let mut tolerations = spec.get("tolerations").and_then(Value::as_array).cloned().unwrap_or_default();
    for extra in &facts.settings.to_host.pods.tolerations {
        if !tolerations.contains(extra) {
            tolerations.push(extra.clone());
        }
    }
    if !tolerations.is_empty() {
        out.insert("tolerations".to_owned(), Value::Array(tolerations));
    }
    let node = spec.get("nodeName").and_then(Value::as_str).unwrap_or_default();
    if !node.is_empty() {
        if facts.policy.node_name == NodeName::Refuse {
            return Err(Refusal::policy("spec.nodeName", "nodeName"));
        }
        if !facts.visible_nodes.contains(node) {
            let message = format!("spec.nodeName: {node} is not a node of this cluster");
            return Err(Refusal::new(Reason::NodeNotVisible, message));
        }
    }
    if let Some(affinity) = affinity::down(tenant, facts, node) {
        out.insert("affinity".to_owned(), affinity);
    }
    if let Some(spread) = affinity::spread(tenant, facts) {
        out.insert("topologySpreadConstraints".to_owned(), spread);
    }
    Ok(())
}

/// What differs from an ordinary cluster, told as Events.
pub(super) fn notes(tenant: &TenantObj, facts: &Facts) -> Vec<Note> {
    let mut notes = Vec::new();
    let dropped = facts.rules.translate(tenant.0.get("metadata")).dropped;
    if !dropped.is_empty() {
        let message = format!("annotations are not carried: {}", dropped.join(", "));
        notes.push(Note { reason: "MetadataNotCarried", message });
    }
    let policy = tenant.text("/spec/dnsPolicy");
    let cluster_first = matches!(policy, "" | "ClusterFirst" | "ClusterFirstWithHostNet");
    if facts.network.dns == DnsMode::Host && facts.network.dns_pending && cluster_first {
        let message = "cluster DNS is not served yet: the pod uses the DNS policy of its host".to_owned();
        notes.push(Note { reason: "ClusterDNSNotServed", message });
    }
    notes
}

/// The tokens a pod mounts (PO20), in the order of its volumes.
pub fn token_sources(tenant: &TenantObj, facts: &Facts) -> Vec<TokenSource> {
    volumes::token_sources(tenant, facts.settings.to_host.pods.token_max_seconds())
}
