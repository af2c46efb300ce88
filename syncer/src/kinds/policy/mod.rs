//! NetworkPolicies (KI6): a tenant restricts its own traffic, and never gains what the platform denies (tenancy I7).
//!
//! Selectors are bound to the tenant, addresses cut down to what the platform's own policies leave open, and a rule of
//! which nothing is left goes whole: an empty list of peers would mean everybody.

mod clip;
mod select;
#[cfg(test)]
mod tests;

pub use select::{Direction, Policies, PolicyFact};

use serde_json::{Map, Value, json};
use skerry_kit::isolation::TenantRules;
use skerry_kit::network::{Host, dns_rules, door_rule};

use super::{Change, Note, Translator, apply_change};
use crate::{
    facts::Facts,
    kind::Kind,
    mapping::{namespace_selector, pod_selector},
    object::{HostObj, TenantObj, entry, filled, items, shell},
    refusal::Refusal,
};

/// The translator of NetworkPolicies.
pub struct PolicyTranslator;

/// Reason of the event about addresses and peers that the platform does not leave open (I7).
const CLIPPED: &str = "PolicyClipped";

/// The fields that are translated, by definition of the API; any other is refused.
const FIELDS: [(&str, &[&str]); 6] = [
    ("NetworkPolicySpec", &["egress", "ingress", "podSelector", "policyTypes"]),
    ("NetworkPolicyIngressRule", &["from", "ports"]),
    ("NetworkPolicyEgressRule", &["ports", "to"]),
    ("NetworkPolicyPeer", &["ipBlock", "namespaceSelector", "podSelector"]),
    ("NetworkPolicyPort", &["endPort", "port", "protocol"]),
    ("IPBlock", &["cidr", "except"]),
];

impl Translator for PolicyTranslator {
    fn kind(&self) -> Kind {
        Kind::NetworkPolicy
    }

    fn down(&self, tenant: &TenantObj, facts: &Facts) -> Result<HostObj, Refusal> {
        let mut out = shell(Kind::NetworkPolicy);
        out.insert(
            "metadata".to_owned(),
            Value::Object(super::metadata(Kind::NetworkPolicy, tenant, facts)?),
        );
        let (spec, _) = spec(tenant, facts)?;
        out.insert("spec".to_owned(), spec);
        Ok(HostObj(Value::Object(out)))
    }

    fn notes(&self, tenant: &TenantObj, facts: &Facts) -> Vec<Note> {
        let Ok((_, clipped)) = spec(tenant, facts) else { return Vec::new() };
        if clipped.is_empty() {
            return Vec::new();
        }
        let message = format!("limited to what this cluster may reach: {}", clipped.join(", "));
        vec![Note { reason: CLIPPED, message }]
    }

    fn change(&self, desired: &HostObj, live: &HostObj) -> Option<Change> {
        // Its lists are one field each to managers, so what is no longer set inside them shows by comparison alone.
        let same = normal(&desired.0["spec"]) == normal(&live.0["spec"]);
        if same { apply_change(desired, live) } else { Some(Change::Apply) }
    }
}

/// The host's spec, and the paths that were cut down.
fn spec(tenant: &TenantObj, facts: &Facts) -> Result<(Value, Vec<String>), Refusal> {
    let empty = json!({});
    let own = tenant.0.get("spec").unwrap_or(&empty);
    known("NetworkPolicySpec", own, "spec")?;
    let (mut out, mut clipped) = (Map::new(), Vec::new());
    let selector = own.get("podSelector").map(|s| pod_selector(s, &facts.rules));
    out.insert("podSelector".to_owned(), selector.unwrap_or_else(|| json!({})));
    let directions = select::directions(own);
    let types: Vec<&str> = directions.iter().map(|d| d.as_str()).collect();
    out.insert("policyTypes".to_owned(), json!(types));
    for direction in directions {
        let bounds = facts.bounds.as_ref().map(|network| match direction {
            Direction::Ingress => network.ingress(),
            Direction::Egress => network.egress(),
        });
        let mut rules = Vec::new();
        for (n, rule) in items(own, &format!("/{}", direction.member())).iter().enumerate() {
            let path = format!("spec.{}[{n}]", direction.member());
            let cut = Cut { facts, direction, bounds: bounds.as_ref() };
            rules.extend(cut.rule(rule, &path, &mut clipped)?);
        }
        if direction == Direction::Egress {
            rules.extend(dns_rules(facts.dns_endpoint.as_ref(), Host::Else));
        }
        if !rules.is_empty() {
            out.insert(direction.member().to_owned(), Value::Array(rules));
        }
    }
    Ok((Value::Object(out), clipped))
}

/// What the rules of one direction are cut down to.
struct Cut<'a> {
    facts: &'a Facts,
    direction: Direction,
    bounds: Option<&'a TenantRules>,
}

impl Cut<'_> {
    /// The host's rules for one of the tenant's.
    fn rule(&self, rule: &Value, path: &str, clipped: &mut Vec<String>) -> Result<Vec<Value>, Refusal> {
        known(self.direction.definition(), rule, path)?;
        let ports = items(rule, "/ports");
        for (n, port) in ports.iter().enumerate() {
            known("NetworkPolicyPort", port, &format!("{path}.ports[{n}]"))?;
        }
        let peers = items(rule, &format!("/{}", self.direction.peers()));
        let (mut found, mut door) = (Vec::new(), false);
        match self.bounds {
            None if peers.is_empty() => return Ok(vec![self.made(&[], ports)]),
            Some(bounds) if peers.is_empty() => {
                found.push(
                    json!({"namespaceSelector": namespace_selector(&json!({}), self.facts.mapping.id())}),
                );
                found.extend(bounds.peers());
                door = bounds.doors.iter().any(|(_, port)| clip::names_port(ports, *port));
                clipped.push(path.to_owned());
            }
            _ => {}
        }
        for (n, peer) in peers.iter().enumerate() {
            let path = format!("{path}.{}[{n}]", self.direction.peers());
            door |= self.peer(peer, ports, &path, &mut found, clipped)?;
        }
        let mut out = Vec::new();
        if !found.is_empty() {
            out.push(self.made(&found, ports));
        }
        if door {
            // Its address and what lies behind it are one place, whichever of them a network sees.
            let doors = self.bounds.map(|bounds| &bounds.doors[..]).unwrap_or_default();
            out.extend(doors.iter().map(|(address, port)| door_rule(address, *port)));
        }
        Ok(out)
    }

    /// Adds what is left of a peer; true when it names the front door.
    fn peer(
        &self,
        peer: &Value,
        ports: &[Value],
        path: &str,
        found: &mut Vec<Value>,
        clipped: &mut Vec<String>,
    ) -> Result<bool, Refusal> {
        known("NetworkPolicyPeer", peer, path)?;
        let mut out = Map::new();
        if let Some(selector) = peer.get("podSelector").filter(|s| s.is_object()) {
            out.insert("podSelector".to_owned(), pod_selector(selector, &self.facts.rules));
        }
        if let Some(selector) = peer.get("namespaceSelector").filter(|s| s.is_object()) {
            let selector = namespace_selector(selector, self.facts.mapping.id());
            out.insert("namespaceSelector".to_owned(), selector);
        }
        if !out.is_empty() {
            found.push(Value::Object(out));
        }
        let Some(block) = peer.get("ipBlock").filter(|b| b.is_object()) else { return Ok(false) };
        known("IPBlock", block, &format!("{path}.ipBlock"))?;
        let block = clip::Block::of(block, &format!("{path}.ipBlock"))?;
        let Some(bounds) = self.bounds else {
            found.push(block.peer());
            return Ok(false);
        };
        let pieces = block.within(bounds);
        let named = |(address, port): &(String, u16)| block.holds(address) && clip::names_port(ports, *port);
        let door = bounds.doors.iter().any(named);
        if pieces != [block.clone()] && !door {
            clipped.push(format!("{path}.ipBlock"));
        }
        found.extend(pieces.iter().map(clip::Block::peer));
        Ok(door)
    }

    fn made(&self, peers: &[Value], ports: &[Value]) -> Value {
        let mut rule = Map::new();
        for (member, list) in [(self.direction.peers(), peers), ("ports", ports)] {
            if !list.is_empty() {
                rule.insert(member.to_owned(), json!(list));
            }
        }
        Value::Object(rule)
    }
}

/// Refuses a member that has no row.
fn known(definition: &str, value: &Value, path: &str) -> Result<(), Refusal> {
    let fields = FIELDS.iter().find(|(name, _)| *name == definition).map_or(&[][..], |(_, fields)| fields);
    let other =
        value.as_object().into_iter().flatten().find(|(k, v)| !fields.contains(&k.as_str()) && filled(v));
    match other {
        Some((member, _)) => Err(Refusal::unsupported(format_args!("{path}.{member}"))),
        None => Ok(()),
    }
}

/// A spec with the defaults that hosts fill in, and without what means the same as nothing.
fn normal(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for direction in [Direction::Ingress, Direction::Egress] {
        let Some(map) = spec.as_object_mut() else { break };
        if map.get(direction.member()).is_some_and(|rules| !filled(rules)) {
            map.remove(direction.member());
        }
        let Some(rules) = map.get_mut(direction.member()).and_then(Value::as_array_mut) else { continue };
        for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
            rule.retain(|_, list| filled(list));
            for port in rule.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(port) = port.as_object_mut() {
                    port.entry("protocol").or_insert_with(|| "TCP".into());
                }
            }
            for peer in rule.get_mut(direction.peers()).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(peer) = peer.as_object_mut().filter(|p| p.contains_key("ipBlock")) {
                    entry(peer, "ipBlock").retain(|_, v| filled(v));
                }
            }
        }
    }
    spec
}
