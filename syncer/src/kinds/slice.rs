//! EndpointSlices of Services without selector (KI1): a tenant may name only addresses it has a right to.

use serde_json::{Value, json};

use super::{Change, Translator, apply_change};
use crate::{
    facts::Facts,
    kind::Kind,
    object::{Fields, HostObj, TenantObj, entry, filled, items, shell, text},
    refusal::{Reason, Refusal},
};

/// The translator of EndpointSlices.
pub struct SliceTranslator;

/// Label with the Service that a slice belongs to.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Label with the controller that writes a slice.
pub(crate) const SLICE_MANAGER: &str = "endpointslice.kubernetes.io/managed-by";
/// Controllers whose slices the host's own controllers make again.
const CONTROLLERS: [&str; 3] =
    ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io", "mcs.skerry.dev"];

impl Translator for SliceTranslator {
    fn kind(&self) -> Kind {
        Kind::EndpointSlice
    }

    fn wanted(&self, tenant: &TenantObj, _facts: &Facts) -> bool {
        let api = tenant.namespace() == "default" && tenant.label(SERVICE_NAME) == Some("kubernetes");
        let manager = tenant.label(SLICE_MANAGER).unwrap_or_default();
        !api && tenant.label(SERVICE_NAME).is_some() && !CONTROLLERS.contains(&manager)
    }

    fn down(&self, tenant: &TenantObj, facts: &Facts) -> Result<HostObj, Refusal> {
        let mut out = shell(Kind::EndpointSlice);
        let mut meta = super::metadata(Kind::EndpointSlice, tenant, facts)?;
        let service = tenant.label(SERVICE_NAME).unwrap_or_default();
        let service = facts.host_name(Kind::Service, tenant.namespace(), service);
        let labels = entry(&mut meta, "labels");
        labels.insert(SERVICE_NAME.to_owned(), Value::from(service.as_str()));
        labels.insert(SLICE_MANAGER.to_owned(), Value::from("syncer.skerry.dev"));
        out.insert("metadata".to_owned(), Value::Object(meta));
        for field in ["addressType", "ports"] {
            if let Some(value) = tenant.0.get(field).filter(|v| filled(v)) {
                out.insert(field.to_owned(), value.clone());
            }
        }
        let mut endpoints = Vec::new();
        for (n, endpoint) in items(&tenant.0, "/endpoints").iter().enumerate() {
            let names = tenant.text("/addressType") == "FQDN";
            for address in items(endpoint, "/addresses").iter().filter_map(Value::as_str).filter(|_| !names) {
                judge(n, address, facts)?;
            }
            let mut endpoint = endpoint.clone();
            if let Some(target) = endpoint.get("targetRef").filter(|v| filled(v)) {
                let target = json!({"kind": text(target, "kind"), "name": text(target, "name"),
                    "namespace": facts.host_namespace(tenant.namespace()).map(|ns| ns.to_string())});
                endpoint["targetRef"] = target;
            }
            endpoints.push(endpoint);
        }
        out.insert("endpoints".to_owned(), Value::Array(endpoints));
        Ok(HostObj(Value::Object(out)))
    }

    fn change(&self, desired: &HostObj, live: &HostObj) -> Option<Change> {
        apply_change(desired, live)
    }
}

fn judge(n: usize, address: &str, facts: &Facts) -> Result<(), Refusal> {
    let isolation = &facts.isolation;
    let denied = !crate::net::is_plain(address)
        || crate::net::local(address)
        || facts.host.node_addresses.contains(address)
        || facts.foreign_addresses.contains(address)
        || (isolation.isolated
            && isolation.denied.iter().any(|cidr| crate::net::contains(cidr, address))
            && !isolation.allowed.iter().any(|cidr| crate::net::contains(cidr, address))
            && !facts.own_addresses.contains(address));
    if denied {
        let message = format!("endpoints[{n}].addresses: {address} is not this cluster's");
        return Err(Refusal::new(Reason::PolicyDenied, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::tests_support::facts;

    fn slice(address: &str) -> TenantObj {
        TenantObj(
            json!({"metadata": {"name": "s", "namespace": "web", "uid": "e1", "labels": {SERVICE_NAME: "db"}},
            "addressType": "IPv4", "ports": [{"port": 1}], "endpoints": [{"addresses": [address]}]}),
        )
    }

    /// SY-83, its pure part.
    #[test]
    fn translate_sy83_addresses() {
        let mut facts = facts();
        facts.own_addresses = std::sync::Arc::new(["10.2.0.7".to_owned()].into());
        for (address, fine) in [
            ("93.184.216.34", true),
            ("10.2.0.7", true),
            ("10.2.0.8", false),
            ("169.254.169.254", false),
            ("127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("010.2.0.8", false),
            ("192.0.2.10", false),
        ] {
            assert_eq!(SliceTranslator.down(&slice(address), &facts).is_ok(), fine, "{address}");
        }
        let mut made = slice("93.184.216.34");
        made.0["metadata"]["labels"][SLICE_MANAGER] = json!("endpointslice-controller.k8s.io");
        assert!(!SliceTranslator.wanted(&made, &facts));
    }
}
