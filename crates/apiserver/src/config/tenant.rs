//! `TenantSpec` (G10): what the manager says about one virtual cluster.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::reader::Reader;
use super::{Limits, TenantDefaults};
use crate::model::status::Cause;
use crate::tenant::TenantId;

/// What a tenant is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A virtual cluster.
    #[default]
    Tenant,
    /// The hub: Skerry's kinds and the standard CRDs are built in.
    Hub,
    /// A simulated host.
    Host,
}

impl Role {
    const WORDS: [(&'static str, Self); 3] =
        [("Tenant", Self::Tenant), ("Hub", Self::Hub), ("Host", Self::Host)];

    /// The name in a spec.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, role)| *role == self).map_or("", |(word, _)| word)
    }
}

/// Who runs the controllers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Controllers {
    /// This process.
    #[default]
    Embedded,
}

/// What becomes of a Service whose host does not answer (T7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnHostUnavailable {
    /// The create fails.
    #[default]
    Fail,
    /// It is stored without addresses, which the syncer sets once.
    Defer,
}

/// Addresses of the Service `default/kubernetes` (T8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubernetesService {
    /// Where pods reach the API: the host's front door.
    pub addresses: Vec<IpAddr>,
    /// And its port; 0 for the listener's.
    pub port: u16,
}

/// A destination of outgoing calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Egress {
    /// Private networks of RFC 1918 and RFC 4193.
    Private,
    /// Loopback.
    Loopback,
    /// Link-local.
    LinkLocal,
    /// RFC 6598.
    CarrierNat,
    /// A network.
    Cidr(IpAddr, u8),
    /// A host name.
    Host(String),
}

impl Egress {
    /// An item of `egress.deny`: one of four names or a CIDR.
    pub fn parse_deny(text: &str) -> Option<Self> {
        match text {
            "private" => Some(Self::Private),
            "loopback" => Some(Self::Loopback),
            "linkLocal" => Some(Self::LinkLocal),
            "carrierNAT" => Some(Self::CarrierNat),
            cidr => parse_cidr(cidr).map(|(ip, len)| Self::Cidr(ip, len)),
        }
    }

    /// An item of `egressAllow`: a CIDR or a host name.
    pub fn parse_allow(text: &str) -> Option<Self> {
        match parse_cidr(text) {
            Some((ip, len)) => Some(Self::Cidr(ip, len)),
            None => super::server::is_domain(text).then(|| Self::Host(text.to_owned())),
        }
    }
}

fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, len) = text.split_once('/')?;
    let (ip, len) = (ip.parse::<IpAddr>().ok()?, len.parse::<u8>().ok()?);
    (len <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, len))
}

/// The first address of a network after the network's own: the `kubernetes` Service's.
pub(crate) fn first_of(cidr: &str) -> Option<IpAddr> {
    let (ip, len) = parse_cidr(cidr)?;
    Some(match ip {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            IpAddr::V4(((u32::from(v4) & mask) + 1).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
            IpAddr::V6(((u128::from(v6) & mask) + 1).into())
        }
    })
}

/// What the manager says about one virtual cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantSpec {
    /// Its id.
    pub id: TenantId,
    /// UID of the VirtualCluster.
    pub uid: String,
    /// What it is for.
    pub role: Role,
    /// Kubernetes minor.
    pub minor: String,
    /// Host names of its own.
    pub host_names: Vec<String>,
    /// Service networks.
    pub service_cidrs: Vec<String>,
    /// `default/kubernetes`.
    pub kubernetes_service: KubernetesService,
    /// DNS domain.
    pub cluster_domain: String,
    /// Share of the seats.
    pub weight: u8,
    /// Limits.
    pub limits: Limits,
    /// Destinations allowed besides what `egress.deny` leaves.
    pub egress_allow: Vec<Egress>,
    /// The same as given, to be stored and shown.
    egress_allow_text: Vec<String>,
    /// Idle time before hibernation.
    pub hibernate_after: Duration,
    /// Credentials issued before are refused.
    pub min_issued_at: Option<Timestamp>,
    /// T7.
    pub on_host_unavailable: OnHostUnavailable,
    /// Who runs the controllers.
    pub controllers: Controllers,
}

/// A spec that does not fit the stored one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecChange {
    /// The id belongs to another VirtualCluster.
    #[error("the id belongs to another uid")]
    OtherUid,
    /// Immutable fields differ.
    #[error("immutable fields differ")]
    Immutable(Vec<Cause>),
}

pub(super) fn hibernate_after(from: &mut Reader<'_>, default: Duration) -> Duration {
    from.duration("hibernateAfter", default, Duration::ZERO..=Duration::from_secs(30 * 86_400))
}

impl TenantSpec {
    /// A spec with nothing but its identity.
    pub fn new(id: TenantId, uid: impl Into<String>, role: Role, defaults: &TenantDefaults) -> Self {
        Self {
            id,
            uid: uid.into(),
            role,
            minor: "1.36".into(),
            host_names: Vec::new(),
            service_cidrs: vec!["10.96.0.0/12".into()],
            kubernetes_service: KubernetesService::default(),
            cluster_domain: "cluster.local".into(),
            weight: 10,
            limits: defaults.limits,
            egress_allow: Vec::new(),
            egress_allow_text: Vec::new(),
            hibernate_after: defaults.hibernate_after,
            min_issued_at: None,
            on_host_unavailable: OnHostUnavailable::Fail,
            controllers: Controllers::Embedded,
        }
    }

    /// Reads the body of `PUT /skerry/v1/tenants/<id>`. `id` may be left out of it, not differ.
    pub fn from_value(id: TenantId, tree: &Value, defaults: &TenantDefaults) -> Result<Self, Vec<Cause>> {
        let causes = RefCell::default();
        let mut from = Reader::new(tree, &causes);
        from.parsed("id", id, &format!("must be {id}, as the path says"), |t| {
            t.parse().ok().filter(|t| *t == id)
        });
        let uid = from.parsed("uid", String::new(), "must be 1 to 128 characters", |t| {
            (1..=128).contains(&t.len()).then(|| t.to_owned())
        });
        let role = from.word("role", Role::Tenant, &Role::WORDS);
        let mut out = Self::new(id, uid, role, defaults);
        out.read_network(&mut from);
        out.weight = from.number("weight", 10, 1..=100) as u8;
        out.limits = Limits::read(from.child("limits"), &defaults.limits);
        out.egress_allow_text = from.list("egressAllow", Vec::new(), 64, "a CIDR or a host name", |t| {
            Egress::parse_allow(t).map(|_| t.to_owned())
        });
        out.egress_allow = out.egress_allow_text.iter().filter_map(|t| Egress::parse_allow(t)).collect();
        out.hibernate_after = hibernate_after(&mut from, defaults.hibernate_after);
        out.min_issued_at =
            from.parsed("minIssuedAt", None, "must be an RFC 3339 time", |t| t.parse().ok().map(Some));
        out.on_host_unavailable = from.word(
            "onHostUnavailable",
            OnHostUnavailable::Fail,
            &[("Fail", OnHostUnavailable::Fail), ("Defer", OnHostUnavailable::Defer)],
        );
        out.controllers =
            from.word("controllers", Controllers::Embedded, &[("Embedded", Controllers::Embedded)]);
        if !from.has("uid") {
            causes.borrow_mut().push(Cause::required("uid", "the UID of the VirtualCluster"));
        }
        from.finish();
        match causes.into_inner() {
            none if none.is_empty() => Ok(out),
            causes => Err(causes),
        }
    }

    fn read_network(&mut self, from: &mut Reader<'_>) {
        self.minor =
            from.parsed("minor", self.minor.clone(), "must be 1.36", |t| (t == "1.36").then(|| t.into()));
        self.host_names = from.list("hostNames", Vec::new(), 8, "a lower-case DNS name", |t| {
            super::server::is_domain(t).then(|| t.to_owned())
        });
        self.service_cidrs = from.list("serviceCIDRs", self.service_cidrs.clone(), 2, "a CIDR", |t| {
            parse_cidr(t).map(|_| t.to_owned())
        });
        self.cluster_domain = from.parsed(
            "clusterDomain",
            self.cluster_domain.clone(),
            "must be a DNS name of two labels or more",
            |t| super::server::is_domain(t).then(|| t.to_owned()),
        );
        let mut service = from.child("kubernetesService");
        self.kubernetes_service = KubernetesService {
            addresses: service.list("addresses", Vec::new(), 16, "an IP address", |t| t.parse().ok()),
            port: service.number("port", 0, 0..=65_535) as u16,
        };
        service.finish();
    }

    /// The spec as it is stored and shown; reading it back gives an equal one.
    pub fn to_value(&self) -> Value {
        let mut out = json!({
            "id": self.id, "uid": self.uid, "role": self.role.as_str(), "minor": self.minor,
            "serviceCIDRs": self.service_cidrs, "clusterDomain": self.cluster_domain, "weight": self.weight,
            "limits": self.limits.to_value(), "hibernateAfter": format!("{}s", self.hibernate_after.as_secs()),
            "onHostUnavailable": match self.on_host_unavailable {
                OnHostUnavailable::Fail => "Fail",
                OnHostUnavailable::Defer => "Defer",
            },
            "controllers": match self.controllers { Controllers::Embedded => "Embedded" },
        });
        if !self.host_names.is_empty() {
            out["hostNames"] = json!(self.host_names);
        }
        if self.kubernetes_service != KubernetesService::default() {
            let KubernetesService { addresses, port } = &self.kubernetes_service;
            out["kubernetesService"] = json!({ "addresses": addresses, "port": port });
        }
        if !self.egress_allow_text.is_empty() {
            out["egressAllow"] = json!(self.egress_allow_text);
        }
        if let Some(at) = self.min_issued_at {
            out["minIssuedAt"] = at.to_string().into();
        }
        out
    }

    /// Whether `new` may take this spec's place.
    pub fn check_change(&self, new: &Self) -> Result<(), SpecChange> {
        if self.uid != new.uid {
            return Err(SpecChange::OtherUid);
        }
        let rows = [
            ("role", json!(new.role.as_str()), self.role == new.role),
            ("minor", json!(new.minor), self.minor <= new.minor),
            ("serviceCIDRs", json!(new.service_cidrs), self.service_cidrs == new.service_cidrs),
            ("clusterDomain", json!(new.cluster_domain), self.cluster_domain == new.cluster_domain),
        ];
        let causes: Vec<Cause> = rows
            .into_iter()
            .filter(|(_, _, same)| !same)
            .map(|(field, value, _)| Cause::invalid(field, &value, "field is immutable"))
            .collect();
        if causes.is_empty() { Ok(()) } else { Err(SpecChange::Immutable(causes)) }
    }

    /// The address of `default/kubernetes`: the first of the first service network.
    pub fn kubernetes_ip(&self) -> Option<IpAddr> {
        self.service_cidrs.first().and_then(|cidr| first_of(cidr))
    }
}
