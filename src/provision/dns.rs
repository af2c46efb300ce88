//! What a spec says about DNS, against its class (syncer DN3, AP1).

use std::net::IpAddr;

use serde_json::Value;
use skerry_api::VirtualClusterClass;

use super::refusal::Refusal;

/// Refuses what would silently not be answered: host Services that the class does not import, resolvers that are no
/// addresses, records without content or with two kinds of it.
pub fn check(effective: &Value, class: &VirtualClusterClass, name: &str) -> Result<(), Refusal> {
    let dns = &effective["network"]["dns"];
    let list = |field: &str| dns[field].as_array().map(Vec::as_slice).unwrap_or_default();
    let bad = |path: String, why: &str| Err(Refusal::invalid(format!("spec.network.dns.{path}: {why}")));
    let imports =
        class.spec.host_policy.as_ref().and_then(|policy| policy.imports.as_deref()).unwrap_or_default();
    for (n, service) in list("hostServices").iter().enumerate() {
        let text = service.as_str().unwrap_or_default();
        let parts: Vec<&str> = text.split('.').collect();
        let [service, namespace] = parts[..] else {
            return bad(format!("hostServices[{n}]"), &format!("{text:?} is not service.namespace"));
        };
        let wanted = [format!("services:{namespace}/{service}"), format!("services:{namespace}/*")];
        if !imports.iter().any(|import| wanted.contains(import)) {
            let why = format!("{text:?} is not in class {name:?} hostPolicy.imports");
            return bad(format!("hostServices[{n}]"), &why);
        }
    }
    for (n, server) in list("upstream").iter().enumerate() {
        if !is_address(server) {
            return bad(format!("upstream[{n}]"), &format!("{server} is not an IP address"));
        }
    }
    for (n, record) in list("records").iter().enumerate() {
        if record["name"].as_str().unwrap_or_default().is_empty() {
            return bad(format!("records[{n}].name"), "empty");
        }
        let addresses = record["addresses"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_alias = !record["cname"].as_str().unwrap_or_default().is_empty();
        if addresses.is_empty() != is_alias {
            return bad(format!("records[{n}]"), "either addresses or cname");
        }
        if let Some(i) = addresses.iter().position(|address| !is_address(address)) {
            let why = format!("{} is not an IP address", addresses[i]);
            return bad(format!("records[{n}].addresses[{i}]"), &why);
        }
    }
    Ok(())
}

fn is_address(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok())
}
