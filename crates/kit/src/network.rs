//! What a tenant's pods may reach and be reached from in mode `Isolated` (tenancy I6): the policies of every host
//! namespace, and the same rules as values, so that policies of tenants are cut down to them (I7).

use serde_json::{Value, json};
use skerry_api::labels;

/// Pods that a tenant policy selects for incoming traffic carry it, so that the allow rules leave them alone (I6).
pub const POLICY_INGRESS: &str = "skerry.dev/policy-ingress";
/// The same for outgoing traffic.
pub const POLICY_EGRESS: &str = "skerry.dev/policy-egress";

/// `networkPolicy` in mode `Isolated`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkIsolation {
    /// Whether pods may reach the internet.
    pub public_egress: bool,
    /// Addresses that may be reached and may come in.
    pub allowed: Vec<String>,
    /// Addresses that public egress does not include.
    pub denied: Vec<String>,
    /// Addresses of the host's front door.
    pub front_door: Vec<String>,
    /// Port of the front door; 0: any.
    pub front_door_port: u16,
    /// What lies behind it: a network that enforces after a Service's address is resolved sees only these.
    pub front_door_endpoints: Vec<(String, u16)>,
    /// Address and port of the tenant's DNS behind its Service, where Skerry serves it.
    pub dns: Option<(String, u16)>,
}

/// The rules of one direction that a tenant's own policies are cut down to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantRules {
    /// Addresses that are reached on every port.
    pub cidrs: Vec<String>,
    /// Denied addresses, where all others are reached.
    pub internet: Option<Vec<String>>,
    /// Addresses that are reached on one TCP port; 0: on every one.
    pub doors: Vec<(String, u16)>,
}

impl NetworkIsolation {
    /// What may come in from outside the tenant.
    pub fn ingress(&self) -> TenantRules {
        let mut cidrs = self.allowed.clone();
        let behind = self.front_door_endpoints.iter().map(|(address, _)| address);
        cidrs.extend(self.front_door.iter().chain(behind).map(|address| host_cidr(address)));
        cidrs.dedup();
        TenantRules { cidrs, ..TenantRules::default() }
    }

    /// What may be reached outside the tenant, but for its DNS.
    pub fn egress(&self) -> TenantRules {
        let front = self.front_door.iter().map(|address| (address.clone(), self.front_door_port));
        TenantRules {
            cidrs: self.allowed.clone(),
            internet: self.public_egress.then(|| self.denied.clone()),
            doors: front.chain(self.front_door_endpoints.iter().cloned()).collect(),
        }
    }

    /// Default deny, and what is allowed to pods that no policy of the tenant selects, by name.
    pub(crate) fn policies(&self, tenant: &str) -> [(&'static str, Value); 3] {
        let without = |key: &str| json!({"matchExpressions": [{"key": key, "operator": "DoesNotExist"}]});
        let (ingress, egress) = (self.ingress(), self.egress());
        let mut to = vec![json!({"to": peers_of(tenant, &egress)})];
        to.extend(dns_rules(self.dns.as_ref(), Host::Too));
        to.extend(egress.doors.iter().map(|(address, port)| door_rule(address, *port)));
        [
            ("skerry-deny", json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})),
            (
                "skerry-ingress",
                json!({"podSelector": without(POLICY_INGRESS), "policyTypes": ["Ingress"],
                    "ingress": [{"from": peers_of(tenant, &ingress)}]}),
            ),
            (
                "skerry-egress",
                json!({"podSelector": without(POLICY_EGRESS), "policyTypes": ["Egress"], "egress": to}),
            ),
        ]
    }
}

/// The tenant's own pods and what the rules add, as peers.
fn peers_of(tenant: &str, rules: &TenantRules) -> Vec<Value> {
    let mut out = vec![json!({"namespaceSelector": {"matchLabels": {labels::TENANT: tenant}}})];
    out.extend(rules.peers());
    out
}

impl TenantRules {
    /// Peers outside the tenant that are open on every port.
    pub fn peers(&self) -> Vec<Value> {
        let mut out: Vec<Value> = self.cidrs.iter().map(|cidr| json!({"ipBlock": {"cidr": cidr}})).collect();
        for (all, six) in [("0.0.0.0/0", false), ("::/0", true)] {
            if let Some(denied) = &self.internet {
                let of: Vec<&String> = denied.iter().filter(|cidr| cidr.contains(':') == six).collect();
                out.push(json!({"ipBlock": {"cidr": all, "except": of}}));
            }
        }
        out
    }
}

/// Whether rules name the host's DNS beside the tenant's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Its DNS is reached as well.
    Too,
    /// Only where the tenant has none of its own.
    Else,
}

/// Egress rules by which pods reach the DNS of their tenant, behind its Service, and the host's.
pub fn dns_rules(own: Option<&(String, u16)>, host: Host) -> Vec<Value> {
    let mut out = Vec::new();
    if host == Host::Too || own.is_none() {
        let system =
            |name: &str| json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
        out.push(json!({"to": [system("kube-system"), system(labels::SYSTEM_NAMESPACE)], "ports": both(53)}));
    }
    if let Some((address, port)) = own {
        out.push(json!({"to": [{"ipBlock": {"cidr": host_cidr(address)}}], "ports": both(*port)}));
    }
    out
}

fn both(port: u16) -> Value {
    json!([{"protocol": "UDP", "port": port}, {"protocol": "TCP", "port": port}])
}

/// The rule by which pods reach one address of the front door.
pub fn door_rule(address: &str, port: u16) -> Value {
    let mut rule = json!({"to": [{"ipBlock": {"cidr": host_cidr(address)}}]});
    if port != 0 {
        rule["ports"] = json!([{"protocol": "TCP", "port": port}]);
    }
    rule
}

/// The CIDR of one address.
pub fn host_cidr(address: &str) -> String {
    if address.contains(':') { format!("{address}/128") } else { format!("{address}/32") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I6: a network that enforces behind Services finds the front door open as well, on its own port and no other.
    #[test]
    fn the_front_door_is_open_behind_its_service() {
        let network = NetworkIsolation {
            front_door: vec!["10.96.0.9".into()],
            front_door_port: 443,
            front_door_endpoints: vec![("192.0.2.9".into(), 8443)],
            ..NetworkIsolation::default()
        };
        let [_, (_, ingress), (_, egress)] = network.policies("t");
        let rules = egress["egress"].as_array().unwrap();
        let to = |address: &str, port: u16| rules.contains(&door_rule(address, port));
        assert!(to("10.96.0.9", 443) && to("192.0.2.9", 8443) && !to("192.0.2.9", 443), "{egress}");
        assert!(ingress.to_string().contains("192.0.2.9/32"), "calls into pods come from there: {ingress}");
        assert!(!egress.to_string().contains("0.0.0.0/0"));
    }
}
