//! What a tenant's DNS knows, and what it answers (DN2): records of Services, slices and pods as they are now. Pure: no
//! packet, no socket, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::facts::{Endpoint, Pod, Service, Slice};
use super::names;
use crate::mapping::HostName;

/// Longest chain of aliases that is followed.
const LINKS: usize = 8;
/// Version of the schema of names, as `dns-version` tells it.
const VERSION: &str = "1.1.0";

/// Namespace and name.
pub(super) type Key = (String, String);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Ports.
    Srv,
    /// Names of an address.
    Ptr,
    /// The name that this one stands for.
    Cname,
    /// Texts.
    Txt,
    /// The zone's own record.
    Soa,
    /// Its servers.
    Ns,
    /// Anything else: the name may be there, but has none of it.
    Other,
}

/// Content of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(String),
    /// SRV: port and target.
    Port(u16, String),
    /// PTR.
    Name(String),
    /// TXT.
    Text(String),
    /// SOA of the tenant's zone.
    Authority,
    /// NS.
    Server(String),
}

/// A record: owner and content.
pub type Record = (String, Data);

/// What is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The name is there; records of the kind asked for, or none.
    Records(Vec<Record>),
    /// The zone is ours and has no such name.
    NoName,
    /// Not to be answered: another cluster's zone.
    Refused,
    /// Not ours: another server knows `name`; `before` are aliases that led to it.
    Elsewhere {
        /// Aliases so far.
        before: Vec<Record>,
        /// The name to ask for.
        name: String,
        /// Who knows it.
        of: Whose,
    },
}

/// Whose a name is that is not the tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The host's: its own resolver alone knows its Services, whichever servers the tenant names for the rest.
    Host,
    /// Anybody's.
    Others,
}

/// Settings of a tenant's DNS, `spec.network.dns` and what follows from its host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The tenant's cluster domain.
    pub domain: String,
    /// The host's.
    pub host_domain: String,
    /// `podRecords: Verified`.
    pub pod_records: bool,
    /// Seconds that an answer may be kept.
    pub ttl: u32,
    /// `hostServices`, as `svc.ns`.
    pub host_services: BTreeSet<String>,
    /// `records`.
    pub records: BTreeMap<String, Vec<Data>>,
    /// `upstream`; none: the resolver of the process.
    pub upstream: Vec<IpAddr>,
}

/// One tenant's names.
#[derive(Debug, Default)]
pub struct Zone {
    /// Settings in force.
    pub settings: Settings,
    /// Namespaces by the name of their host namespace (PO30's alias zone).
    pub(super) aliases: HashMap<String, String>,
    pub(super) namespaces: BTreeSet<String>,
    pub(super) services: BTreeMap<Key, Service>,
    /// Addresses that the host gave Services, where they are not the tenant's own (SV1).
    pub(super) mirrored: BTreeMap<Key, Vec<IpAddr>>,
    pub(super) slices: BTreeMap<Key, Slice>,
    /// Slices of a Service.
    pub(super) of_service: BTreeMap<Key, BTreeSet<String>>,
    pub(super) pods: BTreeMap<Key, Pod>,
    /// Names of pods that have a subdomain, by namespace and that.
    pub(super) called: BTreeMap<Key, BTreeSet<String>>,
    /// How many pods of a namespace have an address.
    pub(super) of_pods: HashMap<(String, IpAddr), usize>,
    /// Addresses that queries of the tenant come from: its pods', and those of their nodes.
    pub(super) sources: HashMap<IpAddr, usize>,
    /// Services by their cluster address.
    pub(super) of_address: HashMap<IpAddr, Key>,
}

impl Zone {
    /// A zone without names.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Answers for a name without its last dot, in lower case.
    pub fn lookup(&self, name: &str, kind: Kind) -> Found {
        let mut before = Vec::new();
        let mut name = name.to_owned();
        for _ in 0..LINKS {
            match self.step(&name, kind) {
                Found::Records(found) => match found.as_slice() {
                    [(_, Data::Alias(target))] if !matches!(kind, Kind::Cname) => {
                        let target = target.clone();
                        if before.iter().any(|(owner, _)| *owner == name) {
                            return Found::Records(before);
                        }
                        before.extend(found);
                        name = target;
                    }
                    _ => return Found::Records([before, found].concat()),
                },
                Found::Elsewhere { name, of, .. } => return Found::Elsewhere { before, name, of },
                // An alias is an answer even where its target is none.
                Found::NoName | Found::Refused if !before.is_empty() => return Found::Records(before),
                other => return other,
            }
        }
        Found::Records(before)
    }

    /// Whether queries from an address are the tenant's.
    pub fn is_source(&self, address: IpAddr) -> bool {
        self.sources.contains_key(&address)
    }

    /// The host namespace stands for a namespace of the tenant.
    pub fn alias(&mut self, host: &HostName, namespace: &str) {
        self.aliases.insert(host.to_string(), namespace.to_owned());
    }

    fn step(&self, name: &str, kind: Kind) -> Found {
        if let Some(fixed) = self.settings.records.get(name) {
            let wanted = |d: &&Data| fits(d, kind) || matches!(d, Data::Alias(_));
            return Found::Records(
                fixed.iter().filter(wanted).map(|d| (name.to_owned(), d.clone())).collect(),
            );
        }
        if let Some(address) = names::reversed(name) {
            return self.reverse(name, address, kind);
        }
        let settings = &self.settings;
        if let Some(labels) = names::below(name, &settings.domain) {
            let found = self.own(name, &labels, kind);
            if found != Found::NoName || settings.domain != settings.host_domain {
                return found;
            }
            return self.of_host(name, &labels).unwrap_or(Found::NoName);
        }
        match names::below(name, &settings.host_domain) {
            Some(labels) => match labels.as_slice() {
                [.., "svc"] if self.names_alias(&labels) => self.own(name, &labels, kind),
                _ => self.of_host(name, &labels).unwrap_or(Found::Refused),
            },
            None => others(name),
        }
    }

    fn names_alias(&self, labels: &[&str]) -> bool {
        labels.len() >= 2 && self.aliases.contains_key(labels[labels.len() - 2])
    }

    /// A Service of the host that the tenant may see.
    fn of_host(&self, name: &str, labels: &[&str]) -> Option<Found> {
        let [.., service, namespace, "svc"] = labels else { return None };
        let is_open = self.settings.host_services.contains(&format!("{service}.{namespace}"));
        is_open.then(|| Found::Elsewhere { before: Vec::new(), name: name.to_owned(), of: Whose::Host })
    }

    fn own(&self, name: &str, labels: &[&str], kind: Kind) -> Found {
        let one = |data: Data| {
            Found::Records(if fits(&data, kind) { vec![(name.to_owned(), data)] } else { Vec::new() })
        };
        let there = |is_there: bool| if is_there { Found::Records(Vec::new()) } else { Found::NoName };
        match labels {
            [] => one(if kind == Kind::Ns {
                Data::Server(format!("ns.dns.{}", self.settings.domain))
            } else {
                Data::Authority
            }),
            ["dns-version"] => one(Data::Text(VERSION.to_owned())),
            ["svc" | "pod"] => there(true),
            [namespace, "svc"] => there(self.namespace(namespace).is_some()),
            [namespace, "pod"] => there(self.namespaces.contains(*namespace)),
            [address, namespace, "pod"] => self.of_pod(name, address, namespace, kind),
            [rest @ .., service, namespace, "svc"] => match self.namespace(namespace) {
                Some(namespace) => match (self.of_service(name, rest, service, namespace, kind), rest) {
                    (Found::NoName, [hostname]) => self.of_itself(name, hostname, service, namespace, kind),
                    (found, _) => found,
                },
                None => Found::NoName,
            },
            _ => Found::NoName,
        }
    }

    /// A namespace of the tenant, by its own name or by its host namespace's.
    fn namespace<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.namespaces.contains(name) {
            return Some(name);
        }
        self.aliases.get(name).map(String::as_str).filter(|own| self.namespaces.contains(*own))
    }

    fn of_pod(&self, name: &str, address: &str, namespace: &str, kind: Kind) -> Found {
        let address = names::undashed(address).filter(|_| self.settings.pod_records);
        match address.filter(|ip| self.of_pods.contains_key(&(namespace.to_owned(), *ip))) {
            Some(ip) => Found::Records(addresses(name, &[ip], kind)),
            None => Found::NoName,
        }
    }

    /// A pod's own full name, whether its subdomain is a Service or not: on a bare cluster it stands in the pod's own hosts
    /// file, which here has the name with the host's namespace (PO30).
    fn of_itself(&self, name: &str, hostname: &str, subdomain: &str, namespace: &str, kind: Kind) -> Found {
        let all = self.called.get(&(namespace.to_owned(), subdomain.to_owned())).into_iter().flatten();
        let here = all.filter_map(|pod| self.pods.get(&(namespace.to_owned(), pod.clone())));
        let named = here.filter(|pod| pod.called.as_ref().is_some_and(|(own, _)| own == hostname));
        let own: Vec<IpAddr> = named.flat_map(|pod| pod.own.iter().copied()).collect();
        if own.is_empty() { Found::NoName } else { Found::Records(addresses(name, &own, kind)) }
    }

    fn of_service(&self, name: &str, rest: &[&str], service: &str, namespace: &str, kind: Kind) -> Found {
        let key = (namespace.to_owned(), service.to_owned());
        let Some(found) = self.services.get(&key) else { return Found::NoName };
        if let Some(target) = &found.alias {
            return match rest {
                [] => Found::Records(vec![(name.to_owned(), Data::Alias(target.clone()))]),
                _ => Found::NoName,
            };
        }
        match rest {
            [] if kind == Kind::Srv => Found::Records(self.ports(name, &key, found, |_, _| true)),
            [] if found.headless => {
                let ips: Vec<IpAddr> = self.endpoints(&key, found).map(|(_, e)| e.address).collect();
                Found::Records(addresses(name, &ips, kind))
            }
            [] => {
                let ips = self.mirrored.get(&key).unwrap_or(&found.addresses);
                Found::Records(addresses(name, ips, kind))
            }
            [port, protocol] if port.starts_with('_') && protocol.starts_with('_') => {
                let (port, protocol) = (&port[1..], &protocol[1..]);
                let all = self.ports(name, &key, found, |p, t| p == port && t == protocol);
                if all.is_empty() {
                    return Found::NoName;
                }
                Found::Records(if kind == Kind::Srv { all } else { Vec::new() })
            }
            [protocol] if protocol.starts_with('_') => Found::Records(Vec::new()),
            [host] if found.headless => {
                let named = self.endpoints(&key, found).filter(|(_, e)| e.label() == *host);
                let ips: Vec<IpAddr> = named.map(|(_, e)| e.address).collect();
                if ips.is_empty() { Found::NoName } else { Found::Records(addresses(name, &ips, kind)) }
            }
            _ => Found::NoName,
        }
    }

    /// Endpoints that answer: those that are ready, or all where the Service says so.
    fn endpoints<'a>(
        &'a self,
        key: &'a Key,
        service: &'a Service,
    ) -> impl Iterator<Item = (&'a Slice, &'a Endpoint)> {
        let slices = self.of_service.get(key).into_iter().flatten();
        let slices = slices.filter_map(|name| self.slices.get(&(key.0.clone(), name.clone())));
        slices
            .flat_map(|slice| slice.endpoints.iter().map(move |e| (slice, e)))
            .filter(|(_, e)| e.ready || service.not_ready_too)
    }

    fn ports(
        &self,
        name: &str,
        key: &Key,
        service: &Service,
        which: impl Fn(&str, &str) -> bool,
    ) -> Vec<Record> {
        let own = format!("{}.{}.svc.{}", key.1, key.0, self.settings.domain);
        let record = |port: u16, target: String| (name.to_owned(), Data::Port(port, target));
        if !service.headless {
            let ports = service.ports.iter().filter(|p| which(&p.name, &p.protocol));
            return ports.map(|p| record(p.port, own.clone())).collect();
        }
        let mut out: Vec<Record> = Vec::new();
        for (slice, endpoint) in self.endpoints(key, service) {
            for port in slice.ports.iter().filter(|p| which(&p.name, &p.protocol)) {
                let found = record(port.port, format!("{}.{own}", endpoint.label()));
                if !out.contains(&found) {
                    out.push(found);
                }
            }
        }
        out
    }

    /// Names of an address. Those of other clusters are nobody's business, so addresses of private ranges are asked of
    /// nobody else.
    fn reverse(&self, name: &str, address: IpAddr, kind: Kind) -> Found {
        let domain = &self.settings.domain;
        let mut names = Vec::new();
        if let Some((namespace, service)) = self.of_address.get(&address) {
            names.push(format!("{service}.{namespace}.svc.{domain}"));
        } else {
            for (key, service) in self.services.iter().filter(|(_, s)| s.headless) {
                let mine = self.endpoints(key, service).filter(|(_, e)| e.address == address);
                names.extend(mine.map(|(_, e)| format!("{}.{}.{}.svc.{domain}", e.label(), key.1, key.0)));
            }
        }
        match names.as_slice() {
            [] if names::is_private(address) => Found::NoName,
            [] => others(name),
            _ if kind == Kind::Ptr => {
                Found::Records(names.into_iter().map(|n| (name.to_owned(), Data::Name(n))).collect())
            }
            _ => Found::Records(Vec::new()),
        }
    }
}

fn others(name: &str) -> Found {
    Found::Elsewhere { before: Vec::new(), name: name.to_owned(), of: Whose::Others }
}

fn fits(data: &Data, kind: Kind) -> bool {
    match data {
        Data::Address(IpAddr::V4(_)) => kind == Kind::A,
        Data::Address(IpAddr::V6(_)) => kind == Kind::Aaaa,
        Data::Alias(_) => kind == Kind::Cname,
        Data::Port(..) => kind == Kind::Srv,
        Data::Name(_) => kind == Kind::Ptr,
        Data::Text(_) => kind == Kind::Txt,
        Data::Authority => kind == Kind::Soa,
        Data::Server(_) => kind == Kind::Ns,
    }
}

fn addresses(name: &str, ips: &[IpAddr], kind: Kind) -> Vec<Record> {
    let mut out: Vec<Record> = Vec::new();
    for data in ips.iter().map(|ip| Data::Address(*ip)).filter(|d| fits(d, kind)) {
        let record = (name.to_owned(), data);
        if !out.contains(&record) {
            out.push(record);
        }
    }
    out
}
