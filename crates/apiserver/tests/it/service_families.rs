//! Address families of Services (T6): every case recorded from kube-apiserver 1.36.3 with two ranges and with one.

use http::Method;
use serde_json::{Map, Value, json};
use skerry_apiserver::bus::Local;
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::tenant::TenantId;

use crate::support::World;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";

/// Addresses that the cases ask for; any other is shown as its family.
const ASKED: [&str; 5] = ["10.0.7.7", "fd00:10::77", "10.0.7.8", "10.0.7.9", "10.0.9.9"];

fn family(ip: &str) -> &str {
    match ip {
        "None" => "None",
        ip if ip.contains(':') => "IPv6",
        _ => "IPv4",
    }
}

/// What the record keeps of an answer.
fn shown(service: &Value) -> Value {
    let spec = &service["spec"];
    let mut out = Map::new();
    for field in ["ipFamilies", "ipFamilyPolicy", "type"] {
        out.extend(spec.get(field).map(|v| (field.to_owned(), v.clone())));
    }
    if let Some(ips) = spec["clusterIPs"].as_array() {
        let families: Vec<&str> = ips.iter().map(|ip| family(ip.as_str().expect("text"))).collect();
        out.insert("clusterIPs".into(), json!(families));
    }
    if let Some(ip) = spec["clusterIP"].as_str() {
        out.insert("clusterIP".into(), family(ip).into());
    }
    Value::Object(out)
}

fn refusal(message: &str) -> String {
    let found = regex::Regex::new(r"10\.0\.\d+\.\d+|fd00:10::[0-9a-f:]+").expect("an expression");
    let text = message.split("is invalid: ").last().unwrap_or_default();
    let shown = |ip: &regex::Captures<'_>| {
        let ip = ip[0].to_owned();
        if ASKED.contains(&ip.as_str()) { ip } else { family(&ip).to_owned() }
    };
    found.replace_all(text, shown).into_owned()
}

async fn play(api: &Local, steps: &[Value]) -> Result<(), String> {
    for step in steps {
        let answer = match step.get("spec") {
            Some(spec) => {
                let mut body =
                    json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}});
                let given = spec.as_object().expect("a spec").clone();
                body["spec"].as_object_mut().expect("a spec").extend(given);
                api.create(SERVICES, &body).await
            }
            None => {
                let body = json!({"spec": step["patch"]});
                let path = format!("{SERVICES}/s");
                api.send(Method::PATCH, &path, "application/merge-patch+json", Some(&body)).await
            }
        };
        let found = match &answer {
            Ok(service) => json!({"answer": shown(service)}),
            Err(status) => json!({"refused": refusal(&status.message)}),
        };
        let wanted = match step.get("answer") {
            Some(answer) => json!({"answer": answer}),
            None => json!({"refused": step["refused"]}),
        };
        if found != wanted {
            return Err(format!("{}\n  is     {found}\n  wanted {wanted}", json!(steps)));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_families_as_recorded() {
    let recorded: Value =
        serde_json::from_str(include_str!("../golden/service_families.json")).expect("the record");
    let world = World::new().await;
    let mut failures = Vec::new();
    let mut count = 0;
    for (name, set) in recorded.as_object().expect("sets") {
        let id = TenantId::of_uid(name);
        let mut spec = TenantSpec::new(id, name, Role::Tenant, &ServerConfig::default().tenant_defaults);
        spec.service_cidrs = set["serviceCIDRs"]
            .as_array()
            .expect("ranges")
            .iter()
            .map(|r| r.as_str().expect("text").into())
            .collect();
        let tenant = world.server.tenants().create(spec).await.expect("tenant");
        let api = Local::new(world.server.clone(), tenant, Identity::system("test"), "test");
        let before = api.send(Method::GET, ADDRESSES, "application/json", None).await.expect("list");
        for steps in set["cases"].as_array().expect("cases") {
            count += 1;
            let steps = steps.as_array().expect("steps");
            failures.extend(play(&api, steps).await.err().map(|why| format!("{name}: {why}")));
            let path = format!("{SERVICES}/s");
            let _gone = api.send(Method::DELETE, &path, "application/json", None).await;
        }
        let after = api.send(Method::GET, ADDRESSES, "application/json", None).await.expect("list");
        assert_eq!(after["items"], before["items"], "an address of a Service that went is still held");
    }
    assert!(failures.is_empty(), "{} of {count} differ:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(count, 718);
}
