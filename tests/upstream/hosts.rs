//! A real cluster as host: tenants' pods run on it under the rights of tenancy I9, and it repairs and forgets as it should.

use std::time::Duration;

use serde_json::Value;

use crate::Outcome;
use crate::control_plane::ControlPlane;
use crate::kubectl::Kubectl;
use crate::standalone::WEB;
use crate::world::{World, eventually};

const LIMIT: Duration = Duration::from_secs(60);

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    items.filter_map(|o| Some(o["metadata"]["name"].as_str()?.to_owned())).collect()
}

/// The one namespace of a tenant on its host.
fn namespace(host: &Kubectl, tenant: &str) -> String {
    eventually("the namespace on the host", LIMIT, || {
        names(&host.json(&["get", "namespaces", "-l", &format!("skerry.dev/tenant={tenant}")])).pop()
    })
}

const POLICY: &str = r#"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{podSelector: {}}, {namespaceSelector: {matchLabels: {team: a}}, podSelector: {}}]
    ports: [{port: http}, {port: 8000, endPort: 9000}]
  - {}
  egress:
  - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [198.51.100.0/24]}}, {ipBlock: {cidr: 10.0.0.0/8}}]
"#;

/// A tenant's policy as a real host takes it, and the labels of its pods (KI6, I7).
fn restricts(host: &Kubectl, tenant: &Kubectl, space: &str) {
    let marked = |count: usize| {
        let labels = "skerry.dev/policy-ingress=true,skerry.dev/policy-egress=true";
        eventually("labels on pods", LIMIT, || {
            let pods = names(&host.json(&["get", "pods", "-n", space, "-l", labels]));
            (pods.len() == count && pods.iter().all(|p| p.starts_with("web-"))).then_some(())
        });
    };
    tenant.apply(POLICY, &[]);
    marked(2);
    let spec = host.json(&["get", "networkpolicy", "web", "-n", space])["spec"].clone();
    let (internet, peers) = (&spec["egress"][0]["to"][0]["ipBlock"], &spec["egress"][0]["to"]);
    let except = internet["except"].as_array().expect("exceptions");
    assert!(
        except.contains(&"198.51.100.0/24".into()) && except.contains(&"10.0.0.0/8".into()),
        "{internet}"
    );
    assert_eq!(peers.as_array().map(Vec::len), Some(1), "{peers}");
    tenant.ok(&["delete", "networkpolicy", "web"]);
    marked(0);
}

/// Pods, Services and their repair; nothing is left after the tenant (SY-5, SY-6, PO41, TN-38).
pub fn carries(world: &mut World) -> Outcome {
    let real = ControlPlane::with_nodes(2);
    let host = real.kubectl();
    let file = real.kubeconfig();
    world.ok(&["fleet", "join", "pier", "--host", "--member-kubeconfig", file.to_str().expect("a path")]);
    let hub = world.hub();
    let tenant = world.cluster_with("kubectl", "moored", &["--host", "skerry.pier"]);
    let id = hub.ok(&["get", "virtualcluster", "moored", "-n", "moored", "-o", "jsonpath={.status.id}"]);

    tenant.ok(&["create", "deployment", "plain", "--image=nginx"]);
    tenant.apply(WEB, &[]);
    tenant.rolled_out("deployment/plain");
    tenant.ok(&["expose", "deployment/web", "--port=80"]);
    tenant.rolled_out("deployment/web");
    let nodes = names(&tenant.json(&["get", "nodes"]));
    assert!(!nodes.is_empty() && nodes.iter().all(|n| n.starts_with("kwok-")), "{nodes:?}");

    let space = namespace(&host, &id);
    let in_space = |what: &str| host.json(&["get", what, "-n", &space]);
    let bound = &in_space("rolebindings")["items"][0]["roleRef"]["name"];
    assert_eq!(bound, "skerry-tenant-sync");
    assert_eq!(names(&in_space("networkpolicies")).len(), 3);
    let narrow = |args: &[&str]| {
        let mut all = vec!["auth", "can-i", "--as=system:serviceaccount:skerry-system:skerry-host"];
        all.extend(args);
        host.run(&all).status.success()
    };
    assert!(!narrow(&["create", "serviceaccounts/skerry", "--subresource=token", "-n", "skerry-system"]));
    assert!(!narrow(&["delete", "pods", "-n", "default"]) && !narrow(&["get", "secrets", "-n", "default"]));
    assert!(narrow(&["delete", "pods", "-n", &space]) && !narrow(&["create", "clusterrolebindings"]));

    restricts(&host, &tenant, &space);

    // A Service that is lost comes again with its address (SV4); the tenant's own stays.
    let address = |k: &Kubectl, args: &[&str]| k.json(args)["spec"]["clusterIP"].clone();
    let before = address(&tenant, &["get", "service", "web"]);
    host.ok(&["delete", "service", "web", "-n", &space]);
    eventually("the Service again", LIMIT, || {
        host.run(&["get", "service", "web", "-n", &space]).status.success().then_some(())
    });
    assert_eq!(address(&host, &["get", "service", "web", "-n", &space]), before);
    assert_eq!(address(&tenant, &["get", "service", "web"]), before);
    let conflicts = tenant.json(&["get", "events", "--field-selector=reason=HostConflict"]);
    assert_eq!(names(&conflicts), Vec::<String>::new(), "an address in release is no conflict");

    // A pod that is lost is replaced by its controller (PO41).
    let pods = names(&in_space("pods"));
    let lost = pods.into_iter().find(|p| p.starts_with("web-")).expect("a pod");
    host.ok(&["delete", "pod", &lost, "-n", &space, "--grace-period=0", "--force"]);
    eventually("two pods, none of them the lost one", LIMIT, || {
        let all = names(&tenant.json(&["get", "pods", "-l", "app=web"]));
        (all.len() == 2 && !all.contains(&lost)).then_some(())
    });
    tenant.rolled_out("deployment/web");

    // Strangers in the namespaces of hosts are not touched, and named (SY-34).
    host.ok(&["create", "namespace", "sk-stranger"]);
    host.ok(&["label", "namespace", "sk-stranger", &format!("skerry.dev/tenant={id}")]);
    host.ok(&["create", "configmap", "theirs", "-n", "sk-stranger"]);

    world.ok(&["delete", "moored", "-n", "moored", "--yes", "-q"]);
    eventually("nothing left on the host", LIMIT, || {
        let left = names(&host.json(&["get", "namespaces", "-l", &format!("skerry.dev/tenant={id}")]));
        (left == ["sk-stranger"]).then_some(())
    });
    host.ok(&["get", "configmap", "theirs", "-n", "sk-stranger"]);
    world.ok(&["fleet", "leave", "pier", "--timeout", "60s"]);
    eventually("no rights left on the host", LIMIT, || {
        let roles = host.ok(&["get", "clusterroles,clusterrolebindings", "-o", "name"]);
        (!roles.contains("skerry")).then_some(())
    });
    Outcome::Passed
}
