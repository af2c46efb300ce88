//! What a pod is called in full, and what its hosts file says (PO30, KI13).
//!
//! *Alias*: the kubelet writes the file with the name that the host knows, and the tenant's DNS answers it. *Exact*: a
//! container of Skerry's own writes it with the tenant's name before any other container starts.

use serde_json::{Map, Value, json};

use super::down::require;
use crate::{
    facts::Facts,
    kind::Kind,
    mapping::Mapping,
    object::{Fields, TenantObj, items, text},
    refusal::{Reason, Refusal},
    settings::Fqdn,
};

/// Annotation of a pod that wants the one or the other, whatever its cluster is set to (AP3).
const ANNOTATION: &str = "skerry.dev/fqdn";
/// Where containers look for the file.
const HOSTS: &str = "/etc/hosts";
/// Where it is written, in the container of our own.
const FOLDER: &str = "/run/skerry";
/// Its name there.
const FILE: &str = "hosts";
/// Who writes it: nobody that an image defines.
const USER: u32 = 65532;
/// Longest host name that a kernel is given by kubelets, without setHostnameAsFQDN.
const LONGEST: usize = 63;

/// `hostAliases`, `hostname`, `subdomain` and `setHostnameAsFQDN`; for *Exact* the container and volume of the file too.
/// Runs when containers and volumes are done.
pub(super) fn down(
    tenant: &TenantObj,
    spec: &Map<String, Value>,
    facts: &Facts,
    out: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let called = hostname(tenant, spec);
    let carried = facts.host_name(Kind::Pod, tenant.namespace(), tenant.name());
    if carried.as_str() != tenant.name() && text_of(spec, "hostname").is_empty() && !called.contains('.') {
        out.insert("hostname".to_owned(), Value::from(called));
    }
    let fqdn = domain(tenant, spec, facts).map(|domain| format!("{called}.{domain}"));
    if let Some(fqdn) = &fqdn
        && has_whole_name(spec)
    {
        require(facts, "PodSpec", "hostnameOverride", "spec.setHostnameAsFQDN")?;
        out.insert("hostnameOverride".to_owned(), Value::from(fqdn.as_str()));
    }
    let aliases = aliases(tenant, spec, facts);
    match fqdn.filter(|_| is_exact(tenant, spec, facts)) {
        Some(fqdn) => {
            out.remove("subdomain");
            write_file(tenant, facts, &Names { called, fqdn: &fqdn, aliases: &aliases }, out)
        }
        None => {
            if !aliases.is_empty() {
                out.insert("hostAliases".to_owned(), Value::Array(aliases));
            }
            Ok(())
        }
    }
}

fn text_of<'a>(spec: &'a Map<String, Value>, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the kernel is told the full name; on the network of its node a pod has the node's.
fn has_whole_name(spec: &Map<String, Value>) -> bool {
    is_true(spec, "setHostnameAsFQDN") && !is_true(spec, "hostNetwork")
}

/// The domain in which a pod is searched for by its short name: a kubelet that is told the full one writes no other, and the
/// file of *Exact* has both.
pub(super) fn own_domain(tenant: &TenantObj, spec: &Map<String, Value>, facts: &Facts) -> Option<String> {
    domain(tenant, spec, facts).filter(|_| has_whole_name(spec) && !is_exact(tenant, spec, facts))
}

fn is_true(spec: &Map<String, Value>, field: &str) -> bool {
    spec.get(field).and_then(Value::as_bool) == Some(true)
}

/// The host name, cut as kubelets do.
fn hostname<'a>(tenant: &'a TenantObj, spec: &'a Map<String, Value>) -> &'a str {
    let name = match text_of(spec, "hostname") {
        "" => tenant.name(),
        name => name,
    };
    name.get(..LONGEST).map_or(name, |cut| cut.trim_end_matches(['-', '.']))
}

/// Where the pod's full name lies; a pod without subdomain has none.
fn domain(tenant: &TenantObj, spec: &Map<String, Value>, facts: &Facts) -> Option<String> {
    let subdomain = Some(text_of(spec, "subdomain")).filter(|name| !name.is_empty())?;
    Some(format!("{subdomain}.{}.svc.{}", tenant.namespace(), facts.network.cluster_domain))
}

/// Whether the file is ours to write: on the network of its node a pod has the node's, and ours is a Linux program.
fn is_exact(tenant: &TenantObj, spec: &Map<String, Value>, facts: &Facts) -> bool {
    let on_windows = tenant.text("/spec/os/name") == "windows";
    let wanted = match tenant.annotation(ANNOTATION) {
        Some("Exact") => true,
        Some("Alias") => false,
        _ => facts.settings.to_host.pods.fqdn == Fqdn::Exact,
    };
    wanted && !on_windows && !is_true(spec, "hostNetwork")
}

/// The tenant's entries, then the front door's under the names that the tenant gave to nothing else (KI13).
fn aliases(tenant: &TenantObj, spec: &Map<String, Value>, facts: &Facts) -> Vec<Value> {
    let mut aliases = spec.get("hostAliases").and_then(Value::as_array).cloned().unwrap_or_default();
    let given: Vec<&str> = items(&tenant.0, "/spec/hostAliases")
        .iter()
        .flat_map(|alias| items(alias, "/hostnames"))
        .filter_map(Value::as_str)
        .collect();
    let names: Vec<String> = [
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        format!("kubernetes.default.svc.{}", facts.network.cluster_domain),
    ]
    .into_iter()
    .filter(|name| !given.contains(&name.as_str()))
    .collect();
    if !names.is_empty() {
        for address in &facts.network.front_door {
            aliases.push(json!({"ip": address, "hostnames": names}));
        }
    }
    aliases
}

/// What the file says besides the pod's addresses.
struct Names<'a> {
    called: &'a str,
    fqdn: &'a str,
    aliases: &'a [Value],
}

/// The container that writes the file, before all others; its volume; and the mounts of those that have none of their own
/// there.
fn write_file(
    tenant: &TenantObj,
    facts: &Facts,
    names: &Names<'_>,
    out: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let Some(image) = &facts.image else {
        let message = "spec.subdomain: a hosts file with the exact name (fqdn: Exact) is written by Skerry's own image, \
                       which the syncer was not told (--image)";
        return Err(Refusal::new(Reason::HostFeatureMissing, message));
    };
    let name = Mapping::hosts_file(tenant.uid());
    for member in ["initContainers", "containers"] {
        let list = out.get_mut(member).and_then(Value::as_array_mut);
        list.into_iter().flatten().for_each(|container| mount(container, name.as_str()));
    }
    let writer = writer(name.as_str(), image, names);
    change(out, "initContainers", |list| list.insert(0, writer));
    let volume = json!({"name": name.as_str(), "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}});
    change(out, "volumes", |list| list.push(volume));
    Ok(())
}

fn mount(container: &mut Value, volume: &str) {
    let own = |m: &Value| text(m, "mountPath").trim_end_matches('/') == HOSTS;
    if items(container, "/volumeMounts").iter().any(own) {
        return;
    }
    let Some(container) = container.as_object_mut() else { return };
    let mount = json!({"name": volume, "mountPath": HOSTS, "subPath": FILE});
    change(container, "volumeMounts", |list| list.push(mount));
}

fn writer(name: &str, image: &str, names: &Names<'_>) -> Value {
    let mut args = vec![
        "hosts-file".to_owned(),
        format!("--to={FOLDER}/{FILE}"),
        format!("--hostname={}", names.called),
        format!("--fqdn={}", names.fqdn),
    ];
    for alias in names.aliases {
        let hostnames: Vec<&str> = items(alias, "/hostnames").iter().filter_map(Value::as_str).collect();
        args.push(format!("--alias={}={}", text(alias, "ip"), hostnames.join(",")));
    }
    let figures = json!({"cpu": "5m", "memory": "8Mi"});
    json!({
        "name": name, "image": image, "imagePullPolicy": "IfNotPresent", "args": args,
        "env": [{"name": "SKERRY_POD_IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}],
        "resources": {"requests": figures, "limits": figures},
        "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "privileged": false,
            "readOnlyRootFilesystem": true, "runAsGroup": USER, "runAsNonRoot": true, "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": name, "mountPath": FOLDER}],
    })
}

/// Changes a member that is a list, or is missing.
fn change(map: &mut Map<String, Value>, member: &str, how: impl FnOnce(&mut Vec<Value>)) {
    let mut list = match map.remove(member) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    how(&mut list);
    map.insert(member.to_owned(), Value::Array(list));
}

#[cfg(test)]
mod tests;
