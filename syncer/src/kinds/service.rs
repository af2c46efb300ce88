//! Services (5.1): the host's addresses are the tenant's where both agreed on them.

use serde_json::{Map, Value};

use super::{Change, Translator, apply_change};
use crate::{
    facts::Facts,
    kind::Kind,
    object::{Fields, HostObj, TenantObj, filled, items, shell, text},
    refusal::{Reason, Refusal},
};

/// The translator of Services.
pub struct ServiceTranslator;

/// What becomes of each field of `ServiceSpec` (SV2); every one has a row.
const FIELDS: &[(&str, Row)] = &[
    ("allocateLoadBalancerNodePorts", Row::Copied),
    ("clusterIP", Row::Handled),
    ("clusterIPs", Row::Handled),
    ("externalIPs", Row::Handled),
    ("externalName", Row::Handled),
    ("externalTrafficPolicy", Row::Copied),
    ("healthCheckNodePort", Row::Handled),
    ("internalTrafficPolicy", Row::Copied),
    ("ipFamilies", Row::Copied),
    ("ipFamilyPolicy", Row::Copied),
    ("loadBalancerClass", Row::Handled),
    ("loadBalancerIP", Row::Handled),
    ("loadBalancerSourceRanges", Row::Copied),
    ("ports", Row::Handled),
    ("publishNotReadyAddresses", Row::Copied),
    ("selector", Row::Handled),
    ("sessionAffinity", Row::Copied),
    ("sessionAffinityConfig", Row::Copied),
    ("trafficDistribution", Row::Copied),
    ("type", Row::Copied),
];

#[derive(Clone, Copy, PartialEq)]
enum Row {
    Copied,
    Handled,
}

impl Translator for ServiceTranslator {
    fn kind(&self) -> Kind {
        Kind::Service
    }

    fn wanted(&self, tenant: &TenantObj, _facts: &Facts) -> bool {
        let api = tenant.namespace() == "default" && tenant.name() == "kubernetes";
        tenant.text("/spec/type") != "ExternalName" && !api
    }

    fn down(&self, tenant: &TenantObj, facts: &Facts) -> Result<HostObj, Refusal> {
        let mut out = shell(Kind::Service);
        let meta = super::metadata(Kind::Service, tenant, facts)?;
        out.insert("metadata".to_owned(), Value::Object(meta));
        let empty = Map::new();
        let spec = tenant.0.get("spec").and_then(Value::as_object).unwrap_or(&empty);
        out.insert("spec".to_owned(), Value::Object(host_spec(tenant, spec, facts)?));
        Ok(HostObj(Value::Object(out)))
    }

    fn up(&self, _tenant: &TenantObj, host: &HostObj, _facts: &Facts) -> Option<Value> {
        let mut out = Map::new();
        let status = host.0.get("status")?;
        for field in ["loadBalancer", "conditions"] {
            if let Some(value) = status.get(field).filter(|v| filled(v)) {
                out.insert(field.to_owned(), value.clone());
            }
        }
        Some(Value::Object(out))
    }

    fn change(&self, desired: &HostObj, live: &HostObj) -> Option<Change> {
        let moved = |field: &str| {
            let want = text(&desired.0["spec"], field);
            !want.is_empty() && want != text(&live.0["spec"], field)
        };
        if moved("clusterIP") && !text(&live.0["spec"], "clusterIP").is_empty() {
            return Some(Change::Replace);
        }
        apply_change(desired, live)
    }
}

fn host_spec(
    tenant: &TenantObj,
    spec: &Map<String, Value>,
    facts: &Facts,
) -> Result<Map<String, Value>, Refusal> {
    let mut out = Map::new();
    for (field, value) in spec {
        match FIELDS.iter().find(|(name, _)| name == field).map(|(_, row)| *row) {
            Some(Row::Copied) if filled(value) => {
                out.insert(field.clone(), value.clone());
            }
            None if filled(value) => return Err(Refusal::unsupported(format_args!("spec.{field}"))),
            _ => {}
        }
    }
    policies(spec, facts, &mut out)?;
    let cluster_ip = tenant.text("/spec/clusterIP");
    if cluster_ip == "None" || (facts.services_agreed && !cluster_ip.is_empty()) {
        for field in ["clusterIP", "clusterIPs"] {
            if let Some(value) = spec.get(field).filter(|v| filled(v)) {
                out.insert(field.to_owned(), value.clone());
            }
        }
    }
    if facts.services_agreed
        && let Some(port) = spec.get("healthCheckNodePort").filter(|v| v.as_i64().is_some_and(|n| n > 0))
    {
        out.insert("healthCheckNodePort".to_owned(), port.clone());
    }
    if let Some(selector) = spec.get("selector").and_then(Value::as_object).filter(|s| !s.is_empty()) {
        let map: Map<_, _> = selector.iter().map(|(k, v)| (facts.rules.label_key(k), v.clone())).collect();
        out.insert("selector".to_owned(), Value::Object(map));
    }
    let ports: Vec<Value> = items(&tenant.0, "/spec/ports").iter().map(|p| port(p, facts)).collect();
    if !ports.is_empty() {
        out.insert("ports".to_owned(), Value::Array(ports));
    }
    Ok(out)
}

fn port(port: &Value, facts: &Facts) -> Value {
    let mut port = port.clone();
    if !facts.services_agreed
        && let Some(map) = port.as_object_mut()
    {
        // The tenant's own allocator chose it; the host chooses another.
        map.remove("nodePort");
    }
    port
}

/// Addresses and classes that only a class may allow (SE9).
fn policies(spec: &Map<String, Value>, facts: &Facts, out: &mut Map<String, Value>) -> Result<(), Refusal> {
    let policy = &facts.policy;
    for address in spec.get("externalIPs").and_then(Value::as_array).into_iter().flatten() {
        let address = address.as_str().unwrap_or_default();
        if !policy.external_ips.iter().any(|cidr| crate::net::contains(cidr, address)) {
            return Err(Refusal::policy(format_args!("spec.externalIPs: {address}"), "externalIPs"));
        }
    }
    if let Some(list) = spec.get("externalIPs").filter(|v| filled(v)) {
        out.insert("externalIPs".to_owned(), list.clone());
    }
    let class = spec.get("loadBalancerClass").and_then(Value::as_str).unwrap_or_default();
    let listed = policy.load_balancer_classes.iter().any(|c| c == class);
    if !class.is_empty() {
        if !listed {
            return Err(Refusal::policy(
                format_args!("spec.loadBalancerClass: {class}"),
                "loadBalancerClasses",
            ));
        }
        out.insert("loadBalancerClass".to_owned(), Value::from(class));
    }
    let address = spec.get("loadBalancerIP").and_then(Value::as_str).unwrap_or_default();
    if !address.is_empty() {
        if !listed {
            let message = "spec.loadBalancerIP needs a loadBalancerClass that the class lists".to_owned();
            return Err(Refusal::new(Reason::PolicyDenied, message));
        }
        out.insert("loadBalancerIP".to_owned(), Value::from(address));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::tests_support::facts;

    fn service(spec: Value) -> TenantObj {
        TenantObj(json!({"metadata": {"name": "a", "namespace": "web", "uid": "s1"}, "spec": spec}))
    }

    #[test]
    fn translate_service_addresses_follow_the_agreement() {
        let mut facts = facts();
        let tenant = service(json!({"type": "NodePort", "clusterIP": "10.1.1.1", "clusterIPs": ["10.1.1.1"],
            "selector": {"istio.io/rev": "x", "app": "a"}, "ports": [{"port": 80, "nodePort": 30080}]}));
        facts.services_agreed = true;
        let host = ServiceTranslator.down(&tenant, &facts).expect("carried");
        assert_eq!(host.0["spec"]["clusterIP"], "10.1.1.1");
        assert_eq!(host.0["spec"]["ports"][0]["nodePort"], 30080);
        assert!(
            host.0["spec"]["selector"]
                .as_object()
                .is_some_and(|s| s.keys().any(|k| k.starts_with("skerry.dev/l-")))
        );
        facts.services_agreed = false;
        let host = ServiceTranslator.down(&tenant, &facts).expect("carried");
        assert!(
            host.0["spec"].get("clusterIP").is_none() && host.0["spec"]["ports"][0].get("nodePort").is_none()
        );
        let headless = service(json!({"clusterIP": "None", "ports": [{"port": 1}]}));
        assert_eq!(
            ServiceTranslator.down(&headless, &facts).expect("carried").0["spec"]["clusterIP"],
            "None"
        );
    }

    /// SE9: external addresses and foreign load balancer classes need the class's word.
    #[test]
    fn translate_se9_addresses_are_refused() {
        let facts = facts();
        for spec in [
            json!({"externalIPs": ["10.0.0.1"]}),
            json!({"loadBalancerClass": "x/y"}),
            json!({"loadBalancerIP": "1.2.3.4"}),
        ] {
            let refusal = ServiceTranslator.down(&service(spec), &facts).expect_err("refused");
            assert_eq!(refusal.reason, Reason::PolicyDenied);
        }
        assert!(
            !ServiceTranslator.wanted(&service(json!({"type": "ExternalName", "externalName": "x"})), &facts)
        );
    }

    /// SY-1: every field of the API has a row.
    #[test]
    fn translate_sy1_service_fields() {
        let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        crate::kinds::tests_support::check_fields("ServiceSpec", &known);
    }
}
