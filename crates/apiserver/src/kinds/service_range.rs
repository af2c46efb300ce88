//! A tenant's own range of Service addresses, with an IPAddress object each, and of node ports (T6).

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::{SideEffects, service};
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::model::status::{ApiStatus, Cause};
use crate::registry::{Call, index_of};
use crate::store::{Expect, Key, NsName, Op, Write};

const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;
/// How many addresses are tried before the range counts as full.
const PROBES: u32 = 4096;

fn addresses() -> ResourceId {
    ResourceId::new("networking.k8s.io", "ipaddresses")
}

/// Gives a Service what it lacks; the writes that hold it come back.
pub fn allocate(call: &Call<'_>, new: &mut Value, old: Option<&Value>) -> Result<SideEffects, ApiStatus> {
    let mut effects = SideEffects::default();
    let fresh =
        old.is_none_or(|o| service::address(o) != service::address(new)) || service::address(new).is_empty();
    if fresh {
        let address = pick_address(call, new)?;
        service::set_ips(new, &[address.to_string()]);
        effects.writes.extend(address_write(call, new, address));
    }
    if service::wants_node_ports(new) {
        pick_node_ports(call, new)?;
    }
    Ok(effects)
}

fn pick_address(call: &Call<'_>, service: &Value) -> Result<IpAddr, ApiStatus> {
    let invalid = |detail: &str| {
        let cause = Cause::invalid("spec.clusterIPs", &json!([service::address(service)]), detail);
        ApiStatus::invalid(call.gvk(), service.meta("name"), vec![cause])
    };
    let snapshot = call.tenant.store.snapshot();
    let taken = |ip: IpAddr| {
        snapshot.get(&Key { resource: addresses(), name: NsName::new("", &ip.to_string()) }).is_some()
            || call.tenant.spec().kubernetes_ip() == Some(ip)
    };
    let given = service::address(service);
    if !given.is_empty() {
        let ip: IpAddr = given.parse().map_err(|_| invalid("must be a valid IP address"))?;
        let ranges = &call.tenant.spec().service_cidrs;
        if !ranges.iter().any(|range| holds(range, ip)) {
            let ranges = ranges.join(", ");
            return Err(invalid(&format!(
                "failed to allocate IP {ip}: provided IP is not in the valid range. The range of valid IPs is {ranges}"
            )));
        }
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

/// Whether an address may be given out of a range: neither the network's own nor, in IPv4, the last one.
fn holds(range: &str, ip: IpAddr) -> bool {
    let Some((base, prefix)) = range.split_once('/') else { return false };
    let Ok(prefix) = prefix.parse::<u32>() else { return false };
    match (base.parse(), ip) {
        (Ok(IpAddr::V4(base)), IpAddr::V4(ip)) => {
            let (base, ip) = (u32::from(base), u32::from(ip));
            let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
            base & !host == ip & !host && ip & host != 0 && ip & host != host
        }
        (Ok(IpAddr::V6(base)), IpAddr::V6(ip)) => {
            let (base, ip) = (u128::from(base), u128::from(ip));
            let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
            base & !host == ip & !host && ip & host != 0
        }
        _ => false,
    }
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
            let (first, last) = (NODE_PORTS.start(), NODE_PORTS.end());
            let objection = if used.contains(&asked) {
                Some("provided port is already allocated".to_owned())
            } else if (u64::from(*first)..=u64::from(*last)).contains(&asked) {
                None
            } else {
                Some(format!(
                    "provided port is not in the valid range. The range of valid ports is {first}-{last}"
                ))
            };
            if let Some(detail) = objection {
                let cause = Cause::invalid(format!("spec.ports[{i}].nodePort"), &asked.into(), &detail);
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
    SideEffects { writes: held.collect(), ..SideEffects::default() }
}
