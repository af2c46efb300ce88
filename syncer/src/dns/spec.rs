//! `spec.network.dns` of a tenant, and the settings of its zone that follow from it.

use serde_json::Value;

use super::zone::{Data, Settings};
use crate::{object::items, settings::HostPolicy};

/// Zone of a host that does not tell its own.
const HOST_DOMAIN: &str = "cluster.local";

/// `spec.network.dns` as far as it is served here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DnsSpec {
    /// `mode`.
    pub mode: String,
    spec: Value,
    allowed: Vec<String>,
}

impl DnsSpec {
    /// Reads `spec.network.dns`; host Services are open as far as the class's `imports` say.
    pub(crate) fn read(spec: Option<&Value>, policy: &HostPolicy) -> Self {
        let spec = spec.cloned().unwrap_or_default();
        let mode = spec.get("mode").and_then(Value::as_str).unwrap_or("Shared").to_owned();
        let allowed = policy.imports.iter().filter_map(|i| i.strip_prefix("services:")).map(str::to_owned);
        Self { mode, allowed: allowed.collect(), spec }
    }

    fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        items(&self.spec, &format!("/{key}")).iter().filter_map(Value::as_str)
    }

    /// What the zone is set to.
    pub(crate) fn settings(&self, domain: &str) -> Settings {
        let is_open = |name: &&str| {
            let Some((service, namespace)) = name.split_once('.') else { return false };
            self.allowed
                .iter()
                .any(|a| *a == format!("{namespace}/{service}") || *a == format!("{namespace}/*"))
        };
        let record = |r: &Value| {
            let name = r.get("name")?.as_str()?.trim_end_matches('.').to_lowercase();
            let alias =
                r.get("cname").and_then(Value::as_str).map(|c| c.trim_end_matches('.').to_lowercase());
            let data = match alias.filter(|a| !a.is_empty()) {
                Some(alias) => vec![Data::Alias(alias)],
                None => {
                    let all = items(r, "/addresses").iter().filter_map(|a| a.as_str()?.parse().ok());
                    all.map(Data::Address).collect()
                }
            };
            Some((name, data))
        };
        Settings {
            domain: domain.to_lowercase(),
            host_domain: HOST_DOMAIN.to_owned(),
            pod_records: self.spec.get("podRecords").and_then(Value::as_str) != Some("Disabled"),
            ttl: self
                .spec
                .get("ttlSeconds")
                .and_then(Value::as_u64)
                .and_then(|t| u32::try_from(t).ok())
                .unwrap_or(5),
            host_services: self.texts("hostServices").filter(is_open).map(str::to_lowercase).collect(),
            records: items(&self.spec, "/records").iter().filter_map(record).collect(),
            upstream: self.texts("upstream").filter_map(|ip| ip.parse().ok()).collect(),
        }
    }
}
