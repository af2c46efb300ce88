//! Address families of a Service: what a client left out, what it may not say, and what follows from the cluster's own
//! ranges. The order of objections is upstream's: those of a later group appear only when the earlier ones are silent.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::service::{address, kind};
use crate::model::object::Object;
use crate::model::status::Cause;

const POLICY: [&str; 2] = ["spec", "ipFamilyPolicy"];
const FAMILIES: [&str; 2] = ["spec", "ipFamilies"];
const IPS: [&str; 2] = ["spec", "clusterIPs"];

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::V4, Self::V6].into_iter().find(|f| f.as_str() == word)
    }

    /// The family of an address, or of a range that begins with it.
    pub fn of(text: &str) -> Option<Self> {
        let address = text.split_once('/').map_or(text, |(address, _)| address);
        address.parse::<IpAddr>().ok().map(|ip| if ip.is_ipv4() { Self::V4 } else { Self::V6 })
    }

    fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

fn words(service: &Value, path: &[&str]) -> Vec<String> {
    service.items(path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// `spec.clusterIPs`.
pub fn ips(service: &Value) -> Vec<String> {
    words(service, &IPS)
}

fn is_dual(policy: &str) -> bool {
    matches!(policy, "PreferDualStack" | "RequireDualStack")
}

/// Headless without a selector: whoever writes its endpoints knows what they are, so the cluster has no say.
fn is_free(service: &Value) -> bool {
    let selector = service.at(&["spec", "selector"]).and_then(Value::as_object);
    address(service) == "None" && selector.is_none_or(serde_json::Map::is_empty)
}

/// `clusterIPs` as `clusterIP` says, where only that was given or only that was changed.
pub fn follow_address(new: &mut Value, old: Option<&Value>) {
    let one = address(new).to_owned();
    let list = ips(new);
    match old {
        None if list.is_empty() && !one.is_empty() => new.put(&IPS, vec![one]),
        Some(old) if one != address(old) && list == ips(old) => {
            new.put(&IPS, if one.is_empty() { Vec::new() } else { vec![one] });
        }
        Some(old) if one == address(old) && list != ips(old) && list.is_empty() => {
            new.put(&["spec", "clusterIP"], "");
        }
        _ => {}
    }
}

/// The second address and family go with a policy that turns to one stack, unless the client named them itself.
pub fn trim(new: &mut Value, old: &Value) {
    if new.text(&POLICY) != "SingleStack" || !is_dual(old.text(&POLICY)) {
        return;
    }
    for path in [IPS, FAMILIES] {
        let list = words(new, &path);
        if list.len() == 2 && list == words(old, &path) {
            new.put(&path, vec![list[0].clone()]);
        }
    }
}

/// Objections that need no knowledge of the cluster.
pub fn judge(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    if kind(new) == "ExternalName" {
        let detail = "may not be set for ExternalName services";
        let set = |path: &[&str; 2]| new.at(path).is_some_and(|v| !v.is_null() && v.as_str() != Some(""));
        let forbidden = [POLICY, FAMILIES].into_iter().filter(set);
        return forbidden.map(|path| Cause::forbidden(path.join("."), detail)).collect();
    }
    let mut causes = unlike(new);
    if let (true, Some(old)) = (causes.is_empty(), old) {
        causes = released(new, old);
    }
    if address(new) == "None" && kind(new) != "ClusterIP" {
        let detail = format!("may not be set to 'None' for {} services", kind(new));
        causes.push(Cause::invalid("spec.clusterIPs[0]", &json!("None"), &detail));
    }
    causes
}

/// Lists that disagree with each other or with themselves.
fn unlike(new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (one, ips, families) = (address(new), ips(new), words(new, &FAMILIES));
    match ips.first() {
        Some(_) if one.is_empty() => {
            causes.push(Cause::invalid(
                "spec.clusterIPs",
                &json!(ips),
                "must be empty when `clusterIP` is not specified",
            ));
        }
        Some(first) if first != one => {
            causes.push(Cause::invalid("spec.clusterIPs", &json!(ips), "first value must match `clusterIP`"));
        }
        _ => {}
    }
    for (i, family) in families.iter().enumerate() {
        let at = format!("spec.ipFamilies[{i}]");
        if Family::of_word(family).is_none() {
            causes.push(Cause::not_supported(at, &json!(family), &["IPv4", "IPv6"]));
        } else if families[..i].contains(family) {
            causes.push(Cause::duplicate(at, &json!(family)));
        }
    }
    let of_ips: Vec<Option<Family>> = ips.iter().map(|ip| Family::of(ip)).collect();
    for (i, ip) in ips.iter().enumerate().filter(|(_, ip)| *ip != "None") {
        if of_ips[i].is_none() {
            let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            causes.push(Cause::invalid(format!("spec.clusterIPs[{i}]"), &json!(ip), detail));
        }
    }
    if ips.len() == 2 && of_ips[0] == of_ips[1] {
        let detail = "may specify no more than one IP for each IP family";
        causes.push(Cause::invalid("spec.clusterIPs", &json!(ips), detail));
    }
    for (i, (ip, family)) in ips.iter().zip(&families).enumerate() {
        if Family::of_word(family).is_some() && of_ips[i].is_some_and(|f| f.as_str() != family) {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{i}]`");
            causes.push(Cause::invalid(format!("spec.clusterIPs[{i}]"), &json!(ip), &detail));
        }
    }
    causes
}

/// A second address or family is only given up by name.
fn released(new: &Value, old: &Value) -> Vec<Cause> {
    let policy = new.text(&POLICY);
    if !is_dual(policy) {
        return Vec::new();
    }
    [(IPS, "cluster IP"), (FAMILIES, "IP family")]
        .into_iter()
        .filter(|(path, _)| old.items(path).len() == 2 && new.items(path).len() == 1)
        .map(|(_, what)| {
            let detail = format!("must be 'SingleStack' to release the secondary {what}");
            Cause::invalid(POLICY.join("."), &json!(policy), &detail)
        })
        .collect()
}

/// The first address stays.
pub fn changed(new: &Value, old: Option<&Value>) -> Option<Cause> {
    let is_moved = |old: &&Value| !address(old).is_empty() && address(old) != address(new);
    old.filter(|old| kind(old) != "ExternalName" && kind(new) != "ExternalName").filter(is_moved)?;
    Some(Cause::invalid("spec.clusterIPs[0]", &json!(ips(new)), "may not change once set"))
}

/// Fills in policy and families as the cluster has them, or says what it has not.
pub fn settle(new: &mut Value, cluster: &[Family]) -> Result<(), Vec<Cause>> {
    if kind(new) == "ExternalName" {
        return Ok(());
    }
    let is_free = is_free(new);
    let policy = match new.text(&POLICY) {
        "" if is_free => "RequireDualStack",
        "" => "SingleStack",
        given => given,
    }
    .to_owned();
    let mut causes = many(new, &policy, cluster, is_free);
    if causes.is_empty() && !is_free {
        causes = beyond(new, &policy, cluster);
    }
    if !causes.is_empty() {
        return Err(causes);
    }
    let mut families: Vec<Family> = words(new, &FAMILIES).iter().filter_map(|w| Family::of_word(w)).collect();
    families.extend(ips(new).iter().skip(families.len()).filter_map(|ip| Family::of(ip)));
    if families.is_empty() {
        families.extend(cluster.first());
    }
    if let (true, [one]) = (is_dual(&policy), families.as_slice())
        && (is_free || cluster.contains(&one.other()))
    {
        families.push(one.other());
    }
    new.put(&POLICY, policy);
    new.put(&FAMILIES, families.iter().map(|f| f.as_str()).collect::<Vec<_>>());
    Ok(())
}

/// More than the policy allows, and addresses of a family that the cluster has not.
fn many(new: &Value, policy: &str, cluster: &[Family], is_free: bool) -> Vec<Cause> {
    let (ips, families) = (ips(new), words(new, &FAMILIES));
    let too_many = |count: usize, what: &str| {
        let detail =
            format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
        (count > 1 && !is_dual(policy)).then(|| Cause::invalid(POLICY.join("."), &json!(policy), &detail))
    };
    let mut causes: Vec<Cause> = too_many(ips.len(), "cluster IPs").into_iter().collect();
    for (i, ip) in ips.iter().enumerate().skip(families.len()).filter(|_| !is_free) {
        if let Some(family) = Family::of(ip).filter(|f| !cluster.contains(f)) {
            let detail = format!("{} is not configured on this cluster", family.as_str());
            causes.push(Cause::invalid(format!("spec.clusterIPs[{i}]"), &json!(ips), &detail));
        }
    }
    causes.extend(too_many(families.len(), "IP families"));
    causes
}

/// What the cluster is not configured for.
fn beyond(new: &Value, policy: &str, cluster: &[Family]) -> Vec<Cause> {
    let mut causes = Vec::new();
    if policy == "RequireDualStack" && cluster.len() < 2 {
        let detail = "this cluster is not configured for dual-stack services";
        causes.push(Cause::invalid(POLICY.join("."), &json!(policy), detail));
    }
    for (i, word) in words(new, &FAMILIES).iter().enumerate() {
        if Family::of_word(word).is_some_and(|f| !cluster.contains(&f)) {
            let detail = "not configured on this cluster";
            causes.push(Cause::invalid(format!("spec.ipFamilies[{i}]"), &json!(word), detail));
        }
    }
    causes
}

/// The families that a Service is to have addresses of, in order.
pub fn wanted(service: &Value) -> Vec<Family> {
    words(service, &FAMILIES).iter().filter_map(|w| Family::of_word(w)).collect()
}
