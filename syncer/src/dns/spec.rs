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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// DN3: host Services as far as the class's imports go, records of both forms, and what cannot be read is left out.
    #[test]
    fn dns_dn3_settings() {
        let spec = json!({"hostServices": ["registry.infra", "Any.shared", "vault.infra", "infra", "a.b.shared"],
            "upstream": ["192.0.2.53", "fd00::53", "resolver.example"], "ttlSeconds": 30, "podRecords": "Disabled",
            "records": [{"name": "Db.Corp.Example.", "addresses": ["192.0.2.7", "fd00::7", "x"]},
                {"name": "www.corp.example", "cname": "Web.Shop.svc.cluster.local."}, {"addresses": ["192.0.2.8"]}]});
        let imports =
            ["services:infra/registry", "services:shared/*", "configmaps:infra/vault", "infra/vault"];
        let policy = HostPolicy { imports: imports.map(str::to_owned).to_vec(), ..HostPolicy::default() };
        let read = |policy: &HostPolicy| DnsSpec::read(Some(&spec), policy).settings("Corp.Local");
        let settings = read(&policy);
        let open: Vec<&str> = settings.host_services.iter().map(String::as_str).collect();
        assert_eq!(open, ["any.shared", "registry.infra"]);
        assert!(
            read(&HostPolicy::default()).host_services.is_empty(),
            "without the class's word nothing is open"
        );
        let address = |text: &str| Data::Address(text.parse().expect("an address"));
        assert_eq!(settings.records["db.corp.example"], [address("192.0.2.7"), address("fd00::7")]);
        assert_eq!(
            settings.records["www.corp.example"],
            [Data::Alias("web.shop.svc.cluster.local".to_owned())]
        );
        assert_eq!((settings.records.len(), settings.upstream.len(), settings.ttl), (2, 2, 30));
        assert_eq!((&*settings.domain, settings.pod_records), ("corp.local", false));
        let plain = DnsSpec::read(None, &policy).settings("cluster.local");
        assert_eq!((plain.ttl, plain.pod_records, plain.records.len()), (5, true, 0));
    }
}
