//! Service: cluster addresses and node ports, from the host where one is attached (T4), else from the tenant's own
//! range.

use serde_json::{Value, json};

use super::{Hooks, NONE, SideEffects, service_range};
use crate::config::OnHostUnavailable;
use crate::model::object::Object;
use crate::model::status::{ApiStatus, Cause};
use crate::registry::Call;
use crate::tunnel::{GateError, HostAllocation, ServiceIntent};

/// Hooks of Services.
pub const HOOKS: Hooks = Hooks { prepare_update, validate, returns_deleted: true, ..NONE };

fn kind(service: &Value) -> &str {
    match service.text(&["spec", "type"]) {
        "" => "ClusterIP",
        other => other,
    }
}

/// Whether the Service has a cluster address at all.
fn wants_address(service: &Value) -> bool {
    kind(service) != "ExternalName" && address(service) != "None"
}

/// `spec.clusterIP`.
pub fn address(service: &Value) -> &str {
    service.text(&["spec", "clusterIP"])
}

/// Whether the Service has been given its address.
fn is_settled(service: &Value) -> bool {
    wants_address(service) && !address(service).is_empty()
}

/// Whether its ports are opened on nodes.
pub fn wants_node_ports(service: &Value) -> bool {
    match kind(service) {
        "NodePort" => true,
        "LoadBalancer" => service.at(&["spec", "allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false)),
        _ => false,
    }
}

/// Allocated members that a client left out stay as they are.
fn prepare_update(new: &mut Value, old: &Value) {
    if wants_address(new) && wants_address(old) {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let absent = new.at(&["spec", field]).is_none_or(|v| v.as_str() == Some("") || v.is_null());
            if let (true, Some(value)) = (absent, old.at(&["spec", field])) {
                new.put(&["spec", field], value.clone());
            }
        }
    }
    if wants_node_ports(new) && wants_node_ports(old) {
        let before: Vec<Value> = old.items(&["spec", "ports"]).to_vec();
        if let Some(ports) = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut) {
            for port in
                ports.iter_mut().filter(|p| p.get("nodePort").and_then(Value::as_u64).unwrap_or(0) == 0)
            {
                let same = before.iter().find(|b| {
                    b.get("port") == port.get("port") && b.text(&["protocol"]) == port.text(&["protocol"])
                });
                if let Some(number) = same.and_then(|b| b.get("nodePort")).cloned() {
                    port.put(&["nodePort"], number);
                }
            }
        }
    }
    if !wants_node_ports(new) && wants_node_ports(old) {
        for port in new.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
            port.remove_at(&["nodePort"]);
        }
    }
    if kind(new) == "ExternalName" && kind(old) != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            new.remove_at(&["spec", field]);
        }
    }
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let headless = address(new) == "None";
    if new.items(&["spec", "ports"]).is_empty() && !headless && kind(new) != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    let many = new.items(&["spec", "ports"]).len() > 1;
    for (i, port) in new.items(&["spec", "ports"]).iter().enumerate() {
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        if !(1..=65535).contains(&number) {
            let detail = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("spec.ports[{i}].port"), &number.into(), detail));
        }
        if many && port.text(&["name"]).is_empty() {
            causes.push(Cause::required(format!("spec.ports[{i}].name"), ""));
        }
    }
    if !matches!(kind(new), "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        let supported = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
        causes.push(Cause::not_supported("spec.type", &kind(new).into(), &supported));
    }
    if kind(new) == "ExternalName" && new.text(&["spec", "externalName"]).is_empty() {
        causes.push(Cause::required("spec.externalName", ""));
    }
    if let Some(old) = old
        && is_settled(old)
        && wants_address(new)
        && address(old) != address(new)
    {
        causes.push(Cause::invalid("spec.clusterIPs[0]", &address(new).into(), "may not change once set"));
    }
    let ingress = ["status", "loadBalancer", "ingress"];
    let reported =
        !new.items(&ingress).is_empty() && old.is_some_and(|old| old.at(&ingress) != new.at(&ingress));
    if reported && kind(new) != "LoadBalancer" {
        let detail = "may only be used when `spec.type` is 'LoadBalancer'";
        causes.push(Cause::forbidden("status.loadBalancer.ingress", detail));
    }
    let addresses = new.items(&["spec", "clusterIPs"]);
    if old.is_none() && addresses.first().is_some_and(|first| first.as_str() != Some(address(new))) {
        let value = Value::from(addresses.to_vec());
        causes.push(Cause::invalid("spec.clusterIPs", &value, "first value must match `clusterIP`"));
    }
    causes
}

/// Fills in addresses and ports; the writes or the reservation that hold them come back.
pub async fn allocate(
    call: &Call<'_>,
    new: &mut Value,
    old: Option<&Value>,
) -> Result<SideEffects, ApiStatus> {
    if !wants_address(new) {
        mirror_cluster_ip(new);
        return Ok(old
            .filter(|old| is_settled(old))
            .map_or_else(SideEffects::default, |old| service_range::release(call, old)));
    }
    let settled = old.is_some_and(|o| {
        is_settled(o)
            && address(o) == address(new)
            && o.at(&["spec", "type"]) == new.at(&["spec", "type"])
            && o.at(&["spec", "ports"]) == new.at(&["spec", "ports"])
    });
    // What could not be had at first is brought by the system, once (T7).
    let brought = call.who.is_system()
        && is_settled(new)
        && old.is_some_and(|o| wants_address(o) && !is_settled(o))
        && call.server.service_gate().is_some();
    if brought {
        let ips: Vec<String> = match new.items(&["spec", "clusterIPs"]) {
            [] => vec![address(new).to_owned()],
            given => given.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        };
        set_ips(new, &ips);
    }
    if settled || brought {
        return Ok(SideEffects::default());
    }
    if let Some(effects) = from_host(call, new, old).await? {
        return Ok(effects);
    }
    if wants_node_ports(new) {
        call.turn.leave();
    }
    let turn = if wants_node_ports(new) { Some(call.tenant.allocating().await) } else { None };
    Ok(SideEffects { turn, ..service_range::allocate(call, new, old)? })
}

async fn from_host(
    call: &Call<'_>,
    new: &mut Value,
    old: Option<&Value>,
) -> Result<Option<SideEffects>, ApiStatus> {
    let Some(gate) = call.server.service_gate() else { return Ok(None) };
    let uid = new.meta("uid").to_owned();
    let intent = ServiceIntent {
        uid: uid.clone(),
        namespace: new.meta("namespace").into(),
        name: new.meta("name").into(),
        object: new.clone(),
    };
    let held = old.is_some_and(is_settled);
    call.turn.leave();
    let answer = match held {
        true => gate.update(call.tenant.id, &intent).await,
        false => gate.reserve(call.tenant.id, &intent).await,
    };
    let defers = call.tenant.spec().on_host_unavailable == OnHostUnavailable::Defer;
    match answer {
        Ok(allocation) => {
            fill(new, &allocation);
            Ok(Some(SideEffects { reserved: (!held).then_some(uid), ..SideEffects::default() }))
        }
        Err(GateError::NoHost) => Ok(None),
        Err(GateError::Refused(status)) => Err(status),
        // An address of the client's own choice cannot be put off: nobody knows whether it is free.
        Err(GateError::Unavailable) if defers && (held || address(new).is_empty()) => {
            Ok(Some(SideEffects::default()))
        }
        Err(GateError::Unavailable) => Err(ApiStatus::unavailable(format!(
            "services {:?}: host did not allocate a cluster IP",
            new.meta("name")
        ))),
    }
}

fn fill(service: &mut Value, allocation: &HostAllocation) {
    let ips: Vec<String> = allocation.cluster_ips.iter().map(ToString::to_string).collect();
    set_ips(service, &ips);
    for given in &allocation.node_ports {
        let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten();
        for port in ports {
            let same = port.get("port").and_then(Value::as_u64) == Some(u64::from(given.port));
            if same && port.text(&["protocol"]) == given.protocol {
                port.put(&["nodePort"], given.node_port);
            }
        }
    }
    if let Some(port) = allocation.health_check_node_port {
        service.put(&["spec", "healthCheckNodePort"], port);
    }
}

/// Writes the addresses with what follows from them.
pub fn set_ips(service: &mut Value, ips: &[String]) {
    let Some(first) = ips.first() else { return };
    service.put(&["spec", "clusterIP"], first.as_str());
    service.put(&["spec", "clusterIPs"], ips.to_vec());
    let families: Vec<&str> = ips.iter().map(|ip| if ip.contains(':') { "IPv6" } else { "IPv4" }).collect();
    if service.items(&["spec", "ipFamilies"]).len() != families.len() {
        service.put(&["spec", "ipFamilies"], families);
    }
    if service.text(&["spec", "ipFamilyPolicy"]).is_empty() {
        service.put(&["spec", "ipFamilyPolicy"], "SingleStack");
    }
}

/// Headless: `clusterIPs` repeats `clusterIP`.
fn mirror_cluster_ip(service: &mut Value) {
    if address(service) == "None" {
        service.put(&["spec", "clusterIPs"], json!(["None"]));
        if service.items(&["spec", "ipFamilies"]).is_empty() {
            service.put(&["spec", "ipFamilies"], json!(["IPv4"]));
        }
        if service.text(&["spec", "ipFamilyPolicy"]).is_empty() {
            service.put(&["spec", "ipFamilyPolicy"], "SingleStack");
        }
    }
}
