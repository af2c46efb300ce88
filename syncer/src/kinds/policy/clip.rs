//! Blocks of addresses, cut down to what the platform leaves open (tenancy I7).

use serde_json::{Value, json};
use skerry_kit::isolation::TenantRules;

use crate::{
    net::{contains, is_plain_cidr, within},
    object::{items, text},
    refusal::{Reason, Refusal},
};

/// An `ipBlock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    cidr: String,
    except: Vec<String>,
}

impl Block {
    /// Of a tenant's. What a host's network might read as other addresses than we do is refused.
    pub(super) fn of(block: &Value, path: &str) -> Result<Self, Refusal> {
        let except: Vec<String> =
            items(block, "/except").iter().map(|e| e.as_str().unwrap_or_default().to_owned()).collect();
        let cidr = text(block, "cidr").to_owned();
        match std::iter::once(&cidr).chain(&except).find(|cidr| !is_plain_cidr(cidr)) {
            Some(odd) => Err(Refusal::new(Reason::PolicyDenied, format!("{path}: {odd:?} is no plain CIDR"))),
            None => Ok(Self { cidr, except }),
        }
    }

    pub(super) fn peer(&self) -> Value {
        if self.except.is_empty() {
            json!({"ipBlock": {"cidr": self.cidr}})
        } else {
            json!({"ipBlock": {"cidr": self.cidr, "except": self.except}})
        }
    }

    /// Whether an address is in the block.
    pub(super) fn holds(&self, address: &str) -> bool {
        contains(&self.cidr, address) && !self.except.iter().any(|hole| contains(hole, address))
    }

    /// The parts that lie within the rules; none when all of it is denied.
    pub(super) fn within(&self, rules: &TenantRules) -> Vec<Block> {
        let mut out = Vec::new();
        out.extend(rules.internet.as_ref().and_then(|denied| self.less(denied)));
        for cidr in &rules.cidrs {
            let part = if within(&self.cidr, cidr) {
                Some(self.clone())
            } else if within(cidr, &self.cidr) {
                Block { cidr: cidr.clone(), except: Vec::new() }.less(&self.except)
            } else {
                None
            };
            out.extend(part.filter(|part| !out.contains(part)));
        }
        out
    }

    /// The block without these; `None` when one of them covers it.
    fn less(&self, holes: &[String]) -> Option<Block> {
        if holes.iter().any(|hole| within(&self.cidr, hole)) {
            return None;
        }
        let mut out = self.clone();
        for hole in holes.iter().filter(|hole| within(hole, &self.cidr)) {
            if !out.except.contains(hole) {
                out.except.push(hole.clone());
            }
        }
        Some(out)
    }
}

/// Whether a rule with these ports lets a TCP port through; no ports: all of them.
pub(super) fn names_port(ports: &[Value], wanted: u16) -> bool {
    ports.is_empty()
        || ports.iter().any(|port| {
            let tcp = matches!(text(port, "protocol"), "" | "TCP");
            let number = |member: &str| port.get(member).and_then(Value::as_u64);
            let through = match (port.get("port").filter(|p| !p.is_null()), number("port"), number("endPort"))
            {
                (None, ..) => true,
                (_, Some(first), last) => (first..=last.unwrap_or(first)).contains(&u64::from(wanted)),
                // A name is one of a pod's ports, and there is no pod behind an address.
                (_, None, _) => false,
            };
            tcp && through
        })
}
