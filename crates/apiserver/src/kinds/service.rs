//! Service: cluster addresses and node ports, from the host where one is attached (T4), else from the tenant's own
//! range with an IPAddress object each (T6).

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::{Hooks, NONE, SideEffects};
use crate::config::OnHostUnavailable;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::model::status::{ApiStatus, Cause};
use crate::registry::{Call, index_of};
use crate::store::{Expect, Key, NsName, Op, Write};
use crate::tunnel::{GateError, HostAllocation, ServiceIntent};

const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;
/// How many addresses are tried before the range counts as full.
const PROBES: u32 = 4096;

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
    kind(service) != "ExternalName" && service.text(&["spec", "clusterIP"]) != "None"
}

fn wants_node_ports(service: &Value) -> bool {
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
    let headless = new.text(&["spec", "clusterIP"]) == "None";
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
        && wants_address(old)
        && wants_address(new)
        && !old.text(&["spec", "clusterIP"]).is_empty()
        && old.text(&["spec", "clusterIP"]) != new.text(&["spec", "clusterIP"])
    {
        let value = new.text(&["spec", "clusterIP"]).into();
        causes.push(Cause::invalid("spec.clusterIPs[0]", &value, "may not change once set"));
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
        return Ok(SideEffects::default());
    }
    let settled = old.is_some_and(|o| {
        o.text(&["spec", "clusterIP"]) == new.text(&["spec", "clusterIP"])
            && !new.text(&["spec", "clusterIP"]).is_empty()
            && o.at(&["spec", "type"]) == new.at(&["spec", "type"])
            && o.at(&["spec", "ports"]) == new.at(&["spec", "ports"])
    });
    if settled {
        return Ok(SideEffects::default());
    }
    match from_host(call, new, old).await? {
        Some(effects) => Ok(effects),
        None => from_range(call, new, old),
    }
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
    let held = old.is_some_and(wants_address);
    let answer = match held {
        true => gate.update(call.tenant.id, &intent).await,
        false => gate.reserve(call.tenant.id, &intent).await,
    };
    match answer {
        Ok(allocation) => {
            fill(new, &allocation);
            Ok(Some(SideEffects { writes: Vec::new(), reserved: (!held).then_some(uid) }))
        }
        Err(GateError::NoHost) => Ok(None),
        Err(GateError::Refused(status)) => Err(status),
        Err(GateError::Unavailable) if call.tenant.spec().on_host_unavailable == OnHostUnavailable::Defer => {
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

fn set_ips(service: &mut Value, ips: &[String]) {
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
    if service.text(&["spec", "clusterIP"]) == "None" {
        service.put(&["spec", "clusterIPs"], json!(["None"]));
        if service.items(&["spec", "ipFamilies"]).is_empty() {
            service.put(&["spec", "ipFamilies"], json!(["IPv4"]));
        }
        if service.text(&["spec", "ipFamilyPolicy"]).is_empty() {
            service.put(&["spec", "ipFamilyPolicy"], "SingleStack");
        }
    }
}

fn addresses() -> ResourceId {
    ResourceId::new("networking.k8s.io", "ipaddresses")
}

fn from_range(call: &Call<'_>, new: &mut Value, old: Option<&Value>) -> Result<SideEffects, ApiStatus> {
    let mut effects = SideEffects::default();
    let fresh = old.is_none_or(|o| o.text(&["spec", "clusterIP"]) != new.text(&["spec", "clusterIP"]))
        || new.text(&["spec", "clusterIP"]).is_empty();
    if fresh {
        let address = pick_address(call, new)?;
        set_ips(new, &[address.to_string()]);
        effects.writes.extend(address_write(call, new, address));
    }
    if wants_node_ports(new) {
        pick_node_ports(call, new)?;
    }
    Ok(effects)
}

fn pick_address(call: &Call<'_>, service: &Value) -> Result<IpAddr, ApiStatus> {
    let invalid = |detail: &str| {
        let given = service.text(&["spec", "clusterIP"]);
        let cause = Cause::invalid("spec.clusterIPs", &json!([given]), detail);
        ApiStatus::invalid(call.gvk(), service.meta("name"), vec![cause])
    };
    let snapshot = call.tenant.store.snapshot();
    let taken = |ip: IpAddr| {
        snapshot.get(&Key { resource: addresses(), name: NsName::new("", &ip.to_string()) }).is_some()
            || call.tenant.spec().kubernetes_ip() == Some(ip)
    };
    let given = service.text(&["spec", "clusterIP"]);
    if !given.is_empty() {
        let ip: IpAddr = given.parse().map_err(|_| invalid("must be a valid IP address"))?;
        if taken(ip) {
            return Err(invalid(&format!("failed to allocate IP {ip}: provided IP is already allocated")));
        }
        return Ok(ip);
    }
    let (base, prefix) = ipv4_range(&call.tenant.spec().service_cidrs)
        .ok_or_else(|| ApiStatus::internal("failed to allocate a serviceIP: no IPv4 service range"))?;
    let size = 1u32 << (32 - u32::from(prefix.clamp(8, 30)));
    let mut hasher = DefaultHasher::new();
    service.meta("uid").hash(&mut hasher);
    let start = (hasher.finish() % u64::from(size)) as u32;
    (0..PROBES.min(size))
        .map(|i| (start.wrapping_add(i)) % size)
        .filter(|offset| *offset > 1 && *offset < size - 1)
        .map(|offset| IpAddr::V4(Ipv4Addr::from(u32::from(base).wrapping_add(offset))))
        .find(|ip| !taken(*ip))
        .ok_or_else(|| ApiStatus::internal("failed to allocate a serviceIP: range is full"))
}

/// The first IPv4 range of a tenant, as network and prefix length.
fn ipv4_range(cidrs: &[String]) -> Option<(Ipv4Addr, u8)> {
    cidrs.iter().find_map(|cidr| {
        let (base, prefix) = cidr.split_once('/')?;
        Some((base.parse().ok()?, prefix.parse().ok()?))
    })
}

fn address_write(call: &Call<'_>, service: &Value, ip: IpAddr) -> Option<Write> {
    let row = call.catalog.storage(&addresses())?;
    let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    let tree = json!({
        "apiVersion": row.storage.api_version(), "kind": &*row.storage.kind,
        "metadata": {
            "name": ip.to_string(), "uid": uuid::Uuid::new_v4().to_string(), "generation": 1,
            "creationTimestamp": crate::model::clock::now(),
            "labels": {"ipaddress.kubernetes.io/ip-family": family, "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"},
        },
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": service.meta("namespace"), "name": service.meta("name")}},
    });
    let index = index_of(&row, &tree);
    let key = Key { resource: addresses(), name: NsName::new("", &ip.to_string()) };
    Some(Write { key, expect: Expect::Absent, op: Op::Put { tree, index } })
}

fn pick_node_ports(call: &Call<'_>, service: &mut Value) -> Result<(), ApiStatus> {
    let own = service.meta("uid").to_owned();
    let used: BTreeSet<u64> = call
        .tenant
        .store
        .snapshot()
        .list(&call.resource.id, None, None)
        .filter(|(_, record)| *record.index().uid != *own)
        .flat_map(|(_, record)| {
            let tree = record.tree();
            let ports: Vec<u64> =
                tree.items(&["spec", "ports"]).iter().filter_map(|p| p.get("nodePort")?.as_u64()).collect();
            ports
        })
        .collect();
    let name = service.meta("name").to_owned();
    let mut mine = BTreeSet::new();
    for (i, port) in
        service.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
    {
        let asked = port.get("nodePort").and_then(Value::as_u64).unwrap_or(0);
        if asked != 0 {
            if used.contains(&asked) {
                let cause = Cause::invalid(
                    format!("spec.ports[{i}].nodePort"),
                    &asked.into(),
                    "provided port is already allocated",
                );
                return Err(ApiStatus::invalid(call.gvk(), &name, vec![cause]));
            }
            mine.insert(asked);
            continue;
        }
        let free = NODE_PORTS.map(u64::from).find(|p| !used.contains(p) && !mine.contains(p));
        let free = free.ok_or_else(|| ApiStatus::internal("failed to allocate a nodePort: range is full"))?;
        mine.insert(free);
        port.put(&["nodePort"], free);
    }
    Ok(())
}

/// The IPAddress objects of a Service that goes.
pub fn release(call: &Call<'_>, last: &Value) -> SideEffects {
    let snapshot = call.tenant.store.snapshot();
    let held = last.items(&["spec", "clusterIPs"]).iter().filter_map(Value::as_str).filter_map(|ip| {
        let key = Key { resource: addresses(), name: NsName::new("", ip) };
        let record = snapshot.get(&key)?;
        let owner = record.tree();
        let same = owner.text(&["spec", "parentRef", "name"]) == last.meta("name")
            && owner.text(&["spec", "parentRef", "namespace"]) == last.meta("namespace");
        same.then(|| Write {
            key,
            expect: Expect::Rv(record.rv()),
            op: Op::Delete { last: Some(record.tree()) },
        })
    });
    SideEffects { writes: held.collect(), reserved: None }
}
