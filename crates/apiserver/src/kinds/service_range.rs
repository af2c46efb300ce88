//! A tenant's own range of Service addresses, with an IPAddress object each, and of node ports (T6).

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::service_family::{self, Family};
use super::{SideEffects, service};
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::model::status::{ApiStatus, Cause};
use crate::registry::{Call, index_of};
use crate::store::{Expect, Key, NsName, Op, Write};

const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;
/// How many addresses are tried before the range counts as full.
const PROBES: u64 = 4096;

fn addresses() -> ResourceId {
    ResourceId::new("networking.k8s.io", "ipaddresses")
}

/// Gives a Service what it lacks; the writes that hold it, and those that let go of what it gave up, come back.
pub fn allocate(call: &Call<'_>, new: &mut Value, old: Option<&Value>) -> Result<SideEffects, ApiStatus> {
    let mut effects = SideEffects::default();
    let held = old.map(service_family::ips).unwrap_or_default();
    let given = service_family::ips(new);
    let mut all = Vec::new();
    for (i, family) in service_family::wanted(new).into_iter().enumerate() {
        let asked = given.get(i).map(String::as_str).unwrap_or_default();
        if !asked.is_empty() && held.iter().any(|h| h == asked) {
            all.push(asked.to_owned());
            continue;
        }
        let address = pick_address(call, new, asked, family)?;
        effects.writes.extend(address_write(call, new, address));
        all.push(address.to_string());
    }
    service::set_ips(new, &all);
    if let Some(old) = old {
        effects.writes.extend(let_go(call, old, |ip| !all.iter().any(|a| a == ip)));
    }
    if service::wants_node_ports(new) || service::wants_health_check(new) {
        pick_node_ports(call, new)?;
    }
    Ok(effects)
}

fn pick_address(call: &Call<'_>, service: &Value, given: &str, family: Family) -> Result<IpAddr, ApiStatus> {
    let invalid = |detail: &str| {
        let cause = Cause::invalid("spec.clusterIPs", &json!([given]), detail);
        ApiStatus::invalid(call.gvk(), service.meta("name"), vec![cause])
    };
    let snapshot = call.tenant.store.snapshot();
    let taken = |ip: IpAddr| {
        snapshot.get(&Key { resource: addresses(), name: NsName::new("", &ip.to_string()) }).is_some()
            || call.tenant.spec().kubernetes_ip() == Some(ip)
    };
    let ranges = &call.tenant.spec().service_cidrs;
    let range = ranges.iter().find(|range| Family::of(range) == Some(family));
    if !given.is_empty() {
        let ip: IpAddr = given.parse().map_err(|_| invalid("must be a valid IP address"))?;
        if !range.is_some_and(|range| holds(range, ip)) {
            let range = range.map(String::as_str).unwrap_or_default();
            return Err(invalid(&format!(
                "failed to allocate IP {ip}: provided IP is not in the valid range. The range of valid IPs is {range}"
            )));
        }
        if taken(ip) {
            return Err(invalid(&format!("failed to allocate IP {ip}: provided IP is already allocated")));
        }
        return Ok(ip);
    }
    let none =
        || ApiStatus::internal(format!("failed to allocate a serviceIP: no {} range", family.as_str()));
    let range = range.ok_or_else(none)?;
    let mut hasher = DefaultHasher::new();
    service.meta("uid").hash(&mut hasher);
    let start = hasher.finish();
    (0..PROBES)
        .filter_map(|i| at(range, start.wrapping_add(i)))
        .filter(|ip| holds(range, *ip))
        .find(|ip| !taken(*ip))
        .ok_or_else(|| ApiStatus::internal("failed to allocate a serviceIP: range is full"))
}

/// The n-th address of a range, counted around; of a large one only the first 2^32 are used.
fn at(range: &str, n: u64) -> Option<IpAddr> {
    let (base, prefix) = range.split_once('/')?;
    let prefix: u32 = prefix.parse().ok()?;
    match base.parse().ok()? {
        IpAddr::V4(base) => {
            let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
            let offset = u32::try_from(n % (u64::from(host) + 1)).ok()?;
            Some(IpAddr::V4(Ipv4Addr::from((u32::from(base) & !host) | offset)))
        }
        IpAddr::V6(base) => {
            let host = u128::MAX.checked_shr(prefix).unwrap_or(0).min(u128::from(u32::MAX));
            Some(IpAddr::V6(Ipv6Addr::from((u128::from(base) & !host) | (u128::from(n) & host))))
        }
    }
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
            let ports = tree.items(&["spec", "ports"]).iter().filter_map(|p| p.get("nodePort")?.as_u64());
            let health = tree.at(&["spec", "healthCheckNodePort"]).and_then(Value::as_u64);
            ports.chain(health).collect::<Vec<u64>>()
        })
        .collect();
    let name = service.meta("name").to_owned();
    let mut mine = BTreeSet::new();
    let mut pick = |asked: u64, field: &str| {
        let (first, last) = (NODE_PORTS.start(), NODE_PORTS.end());
        if asked == 0 {
            let free = NODE_PORTS.map(u64::from).find(|p| !used.contains(p) && !mine.contains(p));
            let free =
                free.ok_or_else(|| ApiStatus::internal("failed to allocate a nodePort: range is full"))?;
            mine.insert(free);
            return Ok(free);
        }
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
            let cause = Cause::invalid(field, &asked.into(), &detail);
            return Err(ApiStatus::invalid(call.gvk(), &name, vec![cause]));
        }
        mine.insert(asked);
        Ok(asked)
    };
    if service::wants_node_ports(service) {
        let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
        for (i, port) in ports.into_iter().flatten().enumerate() {
            let asked = port.get("nodePort").and_then(Value::as_u64).unwrap_or(0);
            port.put(&["nodePort"], pick(asked, &format!("spec.ports[{i}].nodePort"))?);
        }
    }
    if service::wants_health_check(service) {
        let health = ["spec", "healthCheckNodePort"];
        let asked = service.at(&health).and_then(Value::as_u64).unwrap_or(0);
        service.put(&health, pick(asked, "spec.healthCheckNodePort")?);
    }
    Ok(())
}

/// The IPAddress objects of a Service that goes.
pub fn release(call: &Call<'_>, last: &Value) -> SideEffects {
    SideEffects { writes: let_go(call, last, |_| true), ..SideEffects::default() }
}

fn let_go(call: &Call<'_>, last: &Value, which: impl Fn(&str) -> bool) -> Vec<Write> {
    let snapshot = call.tenant.store.snapshot();
    let held = service_family::ips(last).into_iter().filter(|ip| which(ip)).filter_map(|ip| {
        let key = Key { resource: addresses(), name: NsName::new("", &ip) };
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
    held.collect()
}
