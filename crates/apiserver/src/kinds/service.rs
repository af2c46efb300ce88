//! Service: cluster addresses and node ports, from the host where one is attached (T4), else from the tenant's own
//! range.

use serde_json::Value;

use super::service_family::{self, Family};
use super::{Hooks, NONE, SideEffects, service_range};
use crate::config::OnHostUnavailable;
use crate::model::object::Object;
use crate::model::status::{ApiStatus, Cause};
use crate::registry::Call;
use crate::tunnel::{GateError, HostAllocation, ServiceIntent};

/// Hooks of Services.
pub const HOOKS: Hooks = Hooks { prepare_create, prepare_update, validate, returns_deleted: true, ..NONE };

/// `spec.type`.
pub fn kind(service: &Value) -> &str {
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

/// Whether balancers ask its nodes whether they have an endpoint.
pub fn wants_health_check(service: &Value) -> bool {
    kind(service) == "LoadBalancer" && service.text(&["spec", "externalTrafficPolicy"]) == "Local"
}

fn prepare_create(new: &mut Value) {
    service_family::follow_address(new, None);
}

/// Allocated members that a client left out stay as they are.
fn prepare_update(new: &mut Value, old: &Value) {
    service_family::follow_address(new, Some(old));
    if kind(new) != "ExternalName" && kind(old) != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let is_nothing =
                |v: &Value| v.is_null() || v.as_str() == Some("") || v.as_array().is_some_and(Vec::is_empty);
            let absent = new.at(&["spec", field]).is_none_or(is_nothing);
            if let (true, Some(value)) = (absent, old.at(&["spec", field])) {
                new.put(&["spec", field], value.clone());
            }
        }
    }
    service_family::trim(new, old);
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
    let health = ["spec", "healthCheckNodePort"];
    if wants_health_check(old) {
        let (is, was) = (new.at(&health).cloned(), old.at(&health).cloned());
        match was {
            Some(was) if wants_health_check(new) && is.is_none() => new.put(&health, was),
            was if !wants_health_check(new) && is == was => {
                new.remove_at(&health);
            }
            _ => {}
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
    causes.extend(service_family::judge(new, old));
    let ingress = ["status", "loadBalancer", "ingress"];
    let reported =
        !new.items(&ingress).is_empty() && old.is_some_and(|old| old.at(&ingress) != new.at(&ingress));
    if reported && kind(new) != "LoadBalancer" {
        let detail = "may only be used when `spec.type` is 'LoadBalancer'";
        causes.push(Cause::forbidden("status.loadBalancer.ingress", detail));
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
        settle(call, new, old)?;
        return Ok(old
            .filter(|old| is_settled(old))
            .map_or_else(SideEffects::default, |old| service_range::release(call, old)));
    }
    let same = |path: &[&str]| old.is_some_and(|o| o.at(path) == new.at(path));
    let settled = old.is_some_and(is_settled)
        && ["type", "ports", "clusterIPs", "ipFamilyPolicy", "ipFamilies", "externalTrafficPolicy"]
            .iter()
            .all(|f| same(&["spec", f]));
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
    let wants_ports = wants_node_ports(new) || wants_health_check(new);
    if wants_ports {
        call.turn.leave();
    }
    settle(call, new, old)?;
    let turn = if wants_ports { Some(call.tenant.allocating().await) } else { None };
    Ok(SideEffects { turn, ..service_range::allocate(call, new, old)? })
}

async fn from_host(
    call: &Call<'_>,
    new: &mut Value,
    old: Option<&Value>,
) -> Result<Option<SideEffects>, ApiStatus> {
    let Some(gate) = call.server.service_gate() else { return Ok(None) };
    if let Some(cause) = service_family::changed(new, old) {
        return Err(ApiStatus::invalid(call.gvk(), new.meta("name"), vec![cause]));
    }
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
    let families: Vec<&str> = ips.iter().filter_map(|ip| Family::of(ip)).map(Family::as_str).collect();
    service.put(&["spec", "ipFamilies"], families);
    if service.text(&["spec", "ipFamilyPolicy"]).is_empty() {
        service.put(&["spec", "ipFamilyPolicy"], "SingleStack");
    }
}

/// Families and policy by the tenant's own ranges.
fn settle(call: &Call<'_>, new: &mut Value, old: Option<&Value>) -> Result<(), ApiStatus> {
    let ranges = &call.tenant.spec().service_cidrs;
    let cluster: Vec<Family> = ranges.iter().filter_map(|range| Family::of(range)).collect();
    let causes = service_family::settle(new, &cluster).err();
    let causes = causes.or_else(|| service_family::changed(new, old).map(|cause| vec![cause]));
    causes.map_or(Ok(()), |causes| Err(ApiStatus::invalid(call.gvk(), new.meta("name"), causes)))
}
