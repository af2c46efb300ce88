//! What is kept of Services, slices, pods and namespaces, and how a zone takes them in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::names;
use super::zone::{Key, Zone};
use crate::kind::Kind;
use crate::object::{Fields, TenantObj, items, text};

/// A Service as DNS sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Cluster addresses; none where it is headless.
    pub addresses: Vec<IpAddr>,
    /// Its endpoints answer for it.
    pub headless: bool,
    /// `publishNotReadyAddresses`.
    pub not_ready_too: bool,
    /// `externalName`.
    pub alias: Option<String>,
    /// Named ports.
    pub ports: Vec<Port>,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name; may be empty.
    pub name: String,
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
    /// Number.
    pub port: u16,
}

/// An EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Service it is of.
    pub service: String,
    /// Ports of all its endpoints.
    pub ports: Vec<Port>,
    /// Endpoints, one per address.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address.
    pub address: IpAddr,
    /// `hostname`, where the pod has one.
    pub hostname: Option<String>,
    /// Ready, as `conditions.ready` says or does not deny.
    pub ready: bool,
}

/// A pod that has not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its own addresses.
    pub own: Vec<IpAddr>,
    /// Those of its node.
    pub node: Vec<IpAddr>,
    /// Host name and subdomain, where it has one.
    pub called: Option<(String, String)>,
}

impl Pod {
    fn of(object: &TenantObj) -> Self {
        let list = |path| ips(items(&object.0, path), "ip");
        let called = |subdomain: &str| {
            let hostname = Some(object.text("/spec/hostname")).filter(|name| !name.is_empty());
            (hostname.unwrap_or_else(|| object.name()).to_owned(), subdomain.to_owned())
        };
        let subdomain = Some(object.text("/spec/subdomain")).filter(|name| !name.is_empty());
        Self { own: list("/status/podIPs"), node: list("/status/hostIPs"), called: subdomain.map(called) }
    }

    /// Addresses that its queries may come from.
    fn sources(&self) -> impl Iterator<Item = &IpAddr> {
        self.own.iter().chain(&self.node)
    }
}

impl Endpoint {
    /// First label of its name below its Service.
    pub fn label(&self) -> String {
        self.hostname.clone().unwrap_or_else(|| names::dashed(self.address))
    }
}

fn ports(list: &[Value]) -> Vec<Port> {
    let port = |p: &Value| {
        let protocol = p.get("protocol").and_then(Value::as_str).unwrap_or("TCP").to_lowercase();
        let number = p.get("port").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok())?;
        Some(Port { name: text(p, "name").to_owned(), protocol, port: number })
    };
    list.iter().filter_map(port).collect()
}

fn ips(list: &[Value], member: &str) -> Vec<IpAddr> {
    let text =
        |v: &Value| if member.is_empty() { v.as_str() } else { v.get(member)?.as_str() }.map(str::to_owned);
    list.iter().filter_map(|v| text(v)?.parse().ok()).collect()
}

impl Service {
    fn of(object: &TenantObj) -> Self {
        let kind = object.text("/spec/type");
        let alias = (kind == "ExternalName")
            .then(|| object.text("/spec/externalName").trim_end_matches('.').to_lowercase());
        Self {
            addresses: ips(items(&object.0, "/spec/clusterIPs"), ""),
            headless: object.text("/spec/clusterIP") == "None",
            not_ready_too: object.0.pointer("/spec/publishNotReadyAddresses") == Some(&Value::Bool(true)),
            alias: alias.filter(|a| !a.is_empty()),
            ports: ports(items(&object.0, "/spec/ports")),
        }
    }
}

impl Slice {
    fn of(object: &TenantObj) -> Self {
        let service = object.label("kubernetes.io/service-name").unwrap_or_default().to_owned();
        let endpoint = |e: &Value| {
            let ready = e.pointer("/conditions/ready") != Some(&Value::Bool(false));
            let hostname = e.get("hostname").and_then(Value::as_str).map(str::to_lowercase);
            let all = ips(items(e, "/addresses"), "").into_iter();
            all.map(|address| Endpoint { address, hostname: hostname.clone(), ready }).collect::<Vec<_>>()
        };
        Self {
            service,
            ports: ports(items(&object.0, "/ports")),
            endpoints: items(&object.0, "/endpoints").iter().flat_map(endpoint).collect(),
        }
    }
}

impl Zone {
    /// Takes in an object of the tenant.
    pub fn seen(&mut self, kind: Kind, object: &TenantObj) {
        let key = (object.namespace().to_owned(), object.name().to_owned());
        match kind {
            Kind::Namespace => {
                self.namespaces.insert(key.1);
            }
            Kind::Service => {
                self.gone(kind, &key);
                let service = Service::of(object);
                self.of_address.extend(service.addresses.iter().map(|ip| (*ip, key.clone())));
                self.services.insert(key, service);
            }
            Kind::EndpointSlice => {
                self.gone(kind, &key);
                let slice = Slice::of(object);
                let of = (key.0.clone(), slice.service.clone());
                self.of_service.entry(of).or_default().insert(key.1.clone());
                self.slices.insert(key, slice);
            }
            Kind::Pod => {
                self.gone(kind, &key);
                if matches!(object.text("/status/phase"), "Succeeded" | "Failed") {
                    return;
                }
                let pod = Pod::of(object);
                for ip in &pod.own {
                    *self.of_pods.entry((key.0.clone(), *ip)).or_default() += 1;
                }
                for ip in pod.sources() {
                    *self.sources.entry(*ip).or_default() += 1;
                }
                if let Some((_, subdomain)) = &pod.called {
                    let of = (key.0.clone(), subdomain.clone());
                    self.called.entry(of).or_default().insert(key.1.clone());
                }
                self.pods.insert(key, pod);
            }
            _ => {}
        }
    }

    /// Takes in the addresses that the host gave a Service that keeps others in the tenant; none: it has none. Says whether
    /// they are others than before.
    pub fn mirror(&mut self, key: Key, addresses: Vec<IpAddr>) -> bool {
        let before = self.mirrored.remove(&key).unwrap_or_default();
        let changed = before != addresses;
        for ip in before {
            if self.of_address.get(&ip) == Some(&key) {
                self.of_address.remove(&ip);
            }
        }
        if !addresses.is_empty() {
            self.of_address.extend(addresses.iter().map(|ip| (*ip, key.clone())));
            self.mirrored.insert(key, addresses);
        }
        changed
    }

    /// Takes in that one is gone.
    pub fn gone(&mut self, kind: Kind, key: &Key) {
        match kind {
            Kind::Namespace => {
                self.namespaces.remove(&key.1);
            }
            Kind::Service => {
                for ip in self.services.remove(key).into_iter().flat_map(|s| s.addresses) {
                    if self.of_address.get(&ip) == Some(key) {
                        self.of_address.remove(&ip);
                    }
                }
            }
            Kind::EndpointSlice => {
                let Some(slice) = self.slices.remove(key) else { return };
                let of = (key.0.clone(), slice.service);
                drop_name(&mut self.of_service, &of, &key.1);
            }
            Kind::Pod => {
                let pod = self.pods.remove(key).unwrap_or_default();
                for ip in &pod.own {
                    drop_one(&mut self.of_pods, &(key.0.clone(), *ip));
                }
                pod.sources().for_each(|ip| drop_one(&mut self.sources, ip));
                if let Some((_, subdomain)) = pod.called {
                    drop_name(&mut self.called, &(key.0.clone(), subdomain), &key.1);
                }
            }
            _ => {}
        }
    }
}

fn drop_one<K: std::hash::Hash + Eq>(counts: &mut std::collections::HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn drop_name(names: &mut BTreeMap<Key, BTreeSet<String>>, of: &Key, name: &str) {
    if let Some(some) = names.get_mut(of) {
        some.remove(name);
        if some.is_empty() {
            names.remove(of);
        }
    }
}
