//! Services, slices, policies and selectors that aim at others: SE9, SE10.

use serde_json::{Value, json};

use crate::rig::Rig;
use crate::world::prefix;

fn slice(name: &str, service: &str, family: &str, address: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}}, "addressType": family,
        "ports": [{"port": 80}], "endpoints": [{"addresses": [address]}]})
}

/// SE9: no Service or slice leads to a node, to the metadata address, to a neighbour, or out by an address of its own.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se9_services_aim_at_nobody() {
    let rig = Rig::new("aim").await;
    let bare = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    rig.post("services", bare("bare", json!({"ports": [{"port": 80}]}))).await;
    rig.w.host.until("Service", &rig.w.host_path("services", "bare").await, |_| true).await;
    let web = format!("/api/v1/namespaces/{}/services/web", rig.b_space().await);
    let of_neighbour = rig.w.host.get(&web).await.unwrap()["spec"]["clusterIP"].as_str().unwrap().to_owned();
    let addresses = [
        ("metadata", "IPv4", "169.254.169.254"),
        ("loopback", "IPv4", "127.0.0.1"),
        ("mapped", "IPv6", "::ffff:169.254.169.254"),
        ("node", "IPv4", "192.0.2.77"),
        ("pod-of-b", "IPv4", "10.2.0.7"),
        ("service-of-b", "IPv4", of_neighbour.as_str()),
        ("front-door", "IPv4", "10.9.9.9"),
    ];
    let mut sent = 0;
    for (name, family, address) in addresses {
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", rig.w.namespace);
        // Some of them the tenant's own API server refuses; one of its own making would not.
        let object = slice(name, "bare", family, address);
        if rig.w.tenant.call("POST", &path, "application/json", Some(object)).await.is_ok() {
            sent += 1;
            assert_eq!(rig.refused("EndpointSlice", name).await.0, "PolicyDenied", "{name}");
        }
    }
    assert!(sent >= 4, "{sent}");
    let slices = rig.of_attacker("/apis/discovery.k8s.io/v1", "endpointslices").await;
    let named: Vec<&Value> = slices.iter().filter(|s| s["metadata"]["name"] != "dns").collect();
    assert!(named.is_empty(), "{named:?}");

    for (name, spec) in [
        ("external", json!({"externalIPs": ["192.0.2.77"], "ports": [{"port": 80}]})),
        (
            "class",
            json!({"type": "LoadBalancer", "loadBalancerClass": "theirs.example/lb", "ports": [{"port": 80}]}),
        ),
    ] {
        rig.post("services", bare(name, spec)).await;
        assert_eq!(rig.refused("Service", name).await.0, "PolicyDenied", "{name}");
    }
    let name = format!("web.{}.svc.cluster.local", rig.b_space().await);
    rig.post("services", bare("alias", json!({"type": "ExternalName", "externalName": name}))).await;
    let rule = json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]});
    let spec = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule, {}]});
    rig.post("networkpolicies", bare("open", spec)).await;
    let space = rig.w.host_namespace().await;
    let policies = format!("/apis/networking.k8s.io/v1/namespaces/{space}/networkpolicies");
    let open = rig.w.host.until("policy", &format!("{policies}/open"), |_| true).await;
    for rule in open["spec"]["egress"].as_array().unwrap() {
        let to = rule["to"].as_array().expect("no rule is open to all");
        assert!(!to.is_empty(), "{rule}");
        for block in to.iter().filter_map(|t| t.get("ipBlock")) {
            let cidr = block["cidr"].as_str().unwrap();
            assert!(cidr != "0.0.0.0/0" || !block["except"].as_array().unwrap().is_empty(), "{block}");
        }
    }
    for name in ["external", "class", "alias"] {
        assert!(rig.w.host.get(&rig.w.host_path("services", name).await).await.is_none(), "{name}");
    }
    rig.end().await;
}

/// Every label selector below a value, with the member it stands in.
fn selectors<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if key.ends_with("amespaceSelector") {
                    found.push((key, inner));
                }
                selectors(inner, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| selectors(inner, found)),
        _ => {}
    }
}

/// SE10: whatever a selector says of namespaces, on the host it says "of this tenant" besides.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se10_selectors_reach_nobody_else() {
    let rig = Rig::new("reach").await;
    let space = rig.b_space().await;
    let by_name = json!({"matchLabels": {"kubernetes.io/metadata.name": space}});
    let by_label = json!({"matchLabels": {"skerry.dev/tenant": &*rig.b.entry.id}});
    let none = json!({"matchExpressions": [{"key": "skerry.dev/tenant", "operator": "DoesNotExist"}]});
    let wide = [json!({}), by_name, by_label, none];
    let term = |more: Value| {
        let mut term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {}});
        term.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        term
    };
    let mut terms: Vec<Value> = wide.iter().map(|s| term(json!({"namespaceSelector": s}))).collect();
    terms.push(term(json!({"namespaces": [space, rig.b.namespace, "kube-system"]})));
    terms.push(term(json!({"namespaces": [rig.b.namespace], "namespaceSelector": {}})));
    let weighted: Vec<Value> = terms.iter().map(|t| json!({"weight": 1, "podAffinityTerm": t})).collect();
    let mut pod = rig.w.pod_in(&rig.w.namespace, "web");
    let (required, preferred) =
        ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution");
    pod["spec"]["affinity"] =
        json!({"podAntiAffinity": {required: terms}, "podAffinity": {preferred: weighted}});
    pod["spec"]["topologySpreadConstraints"] = json!([{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}]);
    rig.post("pods", pod).await;
    let peers: Vec<Value> = wide.iter().map(|s| json!({"namespaceSelector": s})).collect();
    let rules = json!({"podSelector": {}, "ingress": [{"from": peers}], "egress": [{"to": peers}]});
    rig.post("networkpolicies", json!({"metadata": {"name": "wide"}, "spec": rules})).await;

    let pod = rig.w.host.until("pod", &rig.w.host_path("pods", "web").await, |_| true).await;
    let own_space = rig.w.host_namespace().await;
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{own_space}/networkpolicies/wide");
    let policy = rig.w.host.until("policy", &path, |_| true).await;
    let mut found = Vec::new();
    selectors(&pod["spec"]["affinity"], &mut found);
    selectors(&policy["spec"], &mut found);
    assert!(found.len() >= 3 * wide.len(), "{found:?}");
    for (member, selector) in found {
        assert_eq!(selector["matchLabels"]["skerry.dev/tenant"], *rig.w.entry.id, "{member}: {selector}");
    }
    let own = prefix(&rig.w.entry);
    for kind in [
        &pod["spec"]["affinity"]["podAntiAffinity"][required],
        &pod["spec"]["affinity"]["podAffinity"][preferred],
    ] {
        for term in kind.as_array().unwrap() {
            let term = term.get("podAffinityTerm").unwrap_or(term);
            for name in term["namespaces"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                assert!(name == "sk-none" || name.starts_with(&own), "{term}");
            }
            let is_scoped = ["namespaces", "namespaceSelector"]
                .iter()
                .any(|f| term.get(*f).is_some_and(|v| !v.is_null()));
            assert!(is_scoped, "{term}");
        }
    }
    rig.end().await;
}
