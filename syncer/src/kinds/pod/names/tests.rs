//! Who gets the exact name, what the container and its mounts look like, and that nothing of them comes up (PO30, SY-48).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    facts::{DnsMode, Facts},
    kinds::{
        Translator as _,
        pod::{Level, PodTranslator, violations},
        tests_support::facts,
    },
    mapping::Mapping,
    object::{HostObj, TenantObj, items},
    refusal::{Reason, Refusal},
    settings::{Fqdn, HostPolicy, Injected, Settings},
};

const UID: &str = "0a4b9a3e-0000-4000-8000-0000000000b1";

fn set(fqdn: Fqdn) -> Facts {
    let mut settings = Settings::default();
    settings.to_host.pods.fqdn = fqdn;
    let policy = HostPolicy { host_namespaces: vec!["network".into()], ..HostPolicy::default() };
    Facts { settings: Arc::new(settings), policy: Arc::new(policy), ..facts() }
}

fn pod(name: &str, annotations: Value, spec: Value) -> TenantObj {
    let mut all = json!({"subdomain": "peers", "containers": [{"name": "c", "image": "x"}]});
    all.as_object_mut().expect("a map").extend(spec.as_object().expect("a map").clone());
    TenantObj(json!({"apiVersion": "v1", "kind": "Pod", "spec": all,
        "metadata": {"name": name, "namespace": "web", "uid": UID, "annotations": annotations}}))
}

fn down(tenant: &TenantObj, facts: &Facts) -> Result<Value, Refusal> {
    PodTranslator.down(tenant, facts).map(|host| host.0["spec"].clone())
}

/// The arguments of the container that writes the file; nothing where there is none.
fn written(spec: &Value) -> Vec<&str> {
    let ours = Mapping::hosts_file(UID);
    let first = items(spec, "/initContainers").first().filter(|c| c["name"] == ours.as_str());
    first.map(|c| items(c, "/args").iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

#[test]
fn translate_sy48_who_is_exact() {
    let word = |word: &str| json!({"skerry.dev/fqdn": word});
    let (none, empty) = (json!({}), json!({}));
    for (set_to, annotation, more, exact) in [
        (Fqdn::Auto, &none, &empty, false),
        (Fqdn::Alias, &none, &empty, false),
        (Fqdn::Exact, &none, &empty, true),
        (Fqdn::Auto, &word("Exact"), &empty, true),
        (Fqdn::Alias, &word("Exact"), &empty, true),
        (Fqdn::Exact, &word("Alias"), &empty, false),
        (Fqdn::Exact, &word("else"), &empty, true),
        (Fqdn::Exact, &none, &json!({"subdomain": ""}), false),
        (Fqdn::Exact, &none, &json!({"subdomain": null}), false),
        (Fqdn::Exact, &none, &json!({"hostNetwork": true}), false),
        (Fqdn::Exact, &none, &json!({"os": {"name": "windows"}}), false),
    ] {
        let tenant = pod("p", annotation.clone(), more.clone());
        let spec = down(&tenant, &set(set_to)).expect("carried");
        let told = format!("{set_to:?} {annotation} {more}");
        assert_eq!(!written(&spec).is_empty(), exact, "{told}");
        assert_eq!(spec.get("hostAliases").is_some(), !exact, "{told}");
        let kept = tenant.0["spec"].get("subdomain").cloned().filter(|_| !exact);
        assert_eq!(spec.get("subdomain").cloned(), kept, "{told}");
        // Without the image nothing changes for the others, and these are refused.
        let without = down(&tenant, &Facts { image: None, ..set(set_to) });
        match without {
            Ok(same) => assert!(!exact && same == spec, "{told}"),
            Err(refusal) => {
                assert!(exact && refusal.reason == Reason::HostFeatureMissing, "{told}: {refusal}");
                assert!(refusal.message.contains("spec.subdomain") && refusal.message.contains("--image"));
            }
        }
    }
}

#[test]
fn translate_sy48_what_is_written() {
    let facts = set(Fqdn::Exact);
    let args = |name: &str, spec: Value| {
        let spec = down(&pod(name, json!({}), spec), &facts).expect("carried");
        written(&spec).join(" ")
    };
    let door = "--alias=10.0.0.9=kubernetes,kubernetes.default,kubernetes.default.svc,kubernetes.default.svc.cluster.local";
    assert_eq!(
        args("web-0", json!({})),
        format!(
            "hosts-file --to=/run/skerry/hosts --hostname=web-0 --fqdn=web-0.peers.web.svc.cluster.local {door}"
        )
    );
    let own = json!({"hostname": "h", "hostAliases": [{"ip": "fd00::1", "hostnames": ["a", "b"]}, {"ip": "1.1.1.1",
        "hostnames": ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]}]});
    assert_eq!(
        args("web-0", own),
        "hosts-file --to=/run/skerry/hosts --hostname=h --fqdn=h.peers.web.svc.cluster.local --alias=fd00::1=a,b \
         --alias=1.1.1.1=kubernetes,kubernetes.default,kubernetes.default.svc,kubernetes.default.svc.cluster.local"
    );
    let long = format!("{}-{}", "a".repeat(62), "b".repeat(20));
    assert!(
        args(&long, json!({})).contains(&format!("--hostname={} ", "a".repeat(62))),
        "cut as kubelets do"
    );
}

/// A pod whose host name is another keeps its own as host name: the file and the kernel agree.
#[test]
fn translate_sy48_hostnames_of_mapped_pods() {
    let hostname = |name: &str, more: Value| {
        down(&pod(name, json!({}), more), &set(Fqdn::Exact)).expect("carried").get("hostname").cloned()
    };
    assert_eq!(hostname("web-0", json!({})), None);
    assert_eq!(hostname("skerry-web-0", json!({})), Some(json!("skerry-web-0")));
    assert_eq!(hostname("skerry-web-0", json!({"hostname": "h"})), Some(json!("h")));
}

/// On the network of its node a pod has the node's name, and a host refuses another.
#[test]
fn translate_sy48_whole_names() {
    let name = |more: Value| {
        let spec = down(&pod("p", json!({}), more), &set(Fqdn::Auto)).expect("carried");
        spec.get("hostnameOverride").cloned()
    };
    assert_eq!(name(json!({"setHostnameAsFQDN": true})), Some(json!("p.peers.web.svc.cluster.local")));
    for more in [
        json!({}),
        json!({"setHostnameAsFQDN": false}),
        json!({"setHostnameAsFQDN": true, "subdomain": ""}),
        json!({"setHostnameAsFQDN": true, "hostNetwork": true}),
    ] {
        assert_eq!(name(more.clone()), None, "{more}");
    }
}

/// The short name of such a pod is searched for, but where the file has it.
#[test]
fn translate_sy48_short_names() {
    let searches = |fqdn: Fqdn, more: Value| {
        let mut facts = set(fqdn);
        Arc::make_mut(&mut facts.network).dns = DnsMode::Tenant(vec!["10.0.0.10".to_owned()]);
        let spec = down(&pod("a.b", json!({}), more), &facts).expect("carried");
        items(&spec, "/dnsConfig/searches")
            .iter()
            .filter_map(Value::as_str)
            .skip(3)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let whole = json!({"setHostnameAsFQDN": true, "dnsConfig": {"searches": ["corp.example"]}});
    assert_eq!(searches(Fqdn::Alias, whole.clone()), "peers.web.svc.cluster.local corp.example");
    assert_eq!(searches(Fqdn::Exact, whole), "corp.example");
    assert_eq!(searches(Fqdn::Alias, json!({})), "");
}

#[test]
fn translate_sy48_mounts() {
    let facts = set(Fqdn::Exact);
    let own = json!([{"name": "v", "mountPath": "/etc/hosts/"}]);
    let spec = json!({"initContainers": [{"name": "i", "image": "x"}, {"name": "j", "image": "x", "volumeMounts": own}],
        "containers": [{"name": "c", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/etc"}]}],
        "volumes": [{"name": "v", "emptyDir": {}}]});
    let spec = down(&pod("p", json!({}), spec), &facts).expect("carried");
    let ours = Mapping::hosts_file(UID);
    let mount = json!({"name": ours.as_str(), "mountPath": "/etc/hosts", "subPath": "hosts"});
    let mounts = |list: &str, n: usize| items(&spec[list][n], "/volumeMounts").to_vec();
    assert_eq!(mounts("initContainers", 0), [json!({"name": ours.as_str(), "mountPath": "/run/skerry"})]);
    assert_eq!(mounts("initContainers", 1), std::slice::from_ref(&mount));
    assert_eq!(mounts("initContainers", 2), own.as_array().expect("a list").clone());
    assert_eq!(mounts("containers", 0), [json!({"name": "v", "mountPath": "/etc"}), mount]);
    let volumes = items(&spec, "/volumes");
    assert_eq!(
        volumes[1],
        json!({"name": ours.as_str(), "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}})
    );
}

/// The container of our own is no reason to refuse a hardened pod.
#[test]
fn translate_sy48_passes_restricted() {
    let hardened = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"}});
    let spec = json!({"containers": [{"name": "c", "image": "x", "securityContext": hardened}]});
    let facts = Facts { pod_security: Level::Restricted, ..set(Fqdn::Exact) };
    let spec = down(&pod("p", json!({}), spec), &facts).expect("carried");
    assert!(!written(&spec).is_empty());
    // Judged alone, so that nothing of the pod stands in for it.
    let alone = HostObj(json!({"spec": {"containers": [spec["initContainers"][0]]}}));
    assert_eq!(violations(&alone, Level::Restricted), Vec::<String>::new());
    let resources = &spec["initContainers"][0]["resources"];
    assert_eq!(resources["requests"], resources["limits"], "a Guaranteed pod stays one");
}

/// A new image of Skerry, or another setting, is for pods that come later (AP2); the tenant's own images follow (PO32).
#[test]
fn translate_sy48_what_runs_stays() {
    let tenant = pod("p", json!({}), json!({"initContainers": [{"name": "i", "image": "x:1"}]}));
    let live = PodTranslator.down(&tenant, &set(Fqdn::Exact)).expect("carried");
    let newer = Facts { image: Some("registry.example/skerry:2".into()), ..set(Fqdn::Exact) };
    let desired = PodTranslator.down(&tenant, &newer).expect("carried");
    assert_eq!(PodTranslator.change(&desired, &live), None);
    let alias = PodTranslator.down(&tenant, &set(Fqdn::Alias)).expect("carried");
    assert_eq!(PodTranslator.change(&alias, &live), None);
    assert_eq!(PodTranslator.change(&live, &alias), None);
    let mut moved = desired.clone();
    moved.0["spec"]["initContainers"][1]["image"] = json!("x:2");
    assert!(PodTranslator.change(&moved, &live).is_some());
}

/// Neither status, nor what kubelets say of it, with `injected` one way or the other.
#[test]
fn translate_sy48_nothing_comes_up() {
    let tenant = pod("p", json!({}), json!({"initContainers": [{"name": "i", "image": "x"}]}));
    let ours = Mapping::hosts_file(UID).to_string();
    for (injected, shown) in [(Injected::Hide, false), (Injected::Show, true)] {
        let mut facts = set(Fqdn::Exact);
        Arc::make_mut(&mut facts.settings).to_host.pods.injected = injected;
        let mut host = PodTranslator.down(&tenant, &facts).expect("carried");
        let mesh = if shown { " mesh" } else { "" };
        host.0["status"] = json!({"phase": "Pending",
            "initContainerStatuses": [{"name": ours}, {"name": "mesh"}, {"name": "i", "image": "x"}],
            "containerStatuses": [{"name": "c", "image": "x", "volumeMounts": [{"name": ours, "mountPath": "/etc/hosts"}]}],
            "conditions": [
                {"type": "Initialized", "status": "False", "message": format!("containers with incomplete status: [{ours} i mesh]")},
                {"type": "Ready", "status": "False", "message": format!("containers with unknown status: [{ours}], containers with unready status: [c]")},
                {"type": "ContainersReady", "status": "False", "message": format!("containers with unready status: [{ours}]")},
                {"type": "PodScheduled", "status": "False", "message": "0/3 nodes, 2 of them: [full]"}]});
        let up = PodTranslator.up(&tenant, &host, &facts).expect("status");
        let mut names = vec![json!("i")];
        if shown {
            names.insert(0, json!("mesh"));
        }
        let found: Vec<Value> =
            items(&up, "/initContainerStatuses").iter().map(|s| s["name"].clone()).collect();
        assert_eq!(found, names);
        let message =
            |n: usize| up["conditions"][n].get("message").and_then(Value::as_str).map(str::to_owned);
        assert_eq!(message(0), Some(format!("containers with incomplete status: [i{mesh}]")));
        assert_eq!(message(1).as_deref(), Some("containers with unready status: [c]"));
        assert_eq!(message(2), None);
        assert_eq!(message(3).as_deref(), Some("0/3 nodes, 2 of them: [full]"));
        assert!(!up.to_string().contains("skerry-hosts-"), "{up}");
    }
}
