//! A real kube-apiserver as hub, with the parts of Skerry beside it (TN-9).

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use skerry_testkit::upstream::parts::{Parts, Settings};

use crate::Outcome;
use crate::control_plane::ControlPlane;
use crate::kubectl::Kubectl;
use crate::placement::{Fleet, carried};
use crate::standalone::WEB;
use crate::world::{World, eventually, text};

const LIMIT: Duration = Duration::from_secs(60);

/// An immutable field that was left open is pinned at birth: another value is refused by a condition that names it, and
/// the tenant runs on (tenancy V3, V4).
fn edit_what_may_not_change(hub: &Kubectl, name: &str, tenant: &Kubectl) {
    let patch = r#"{"spec": {"network": {"clusterDomain": "other.local"}}}"#;
    hub.ok(&["patch", "virtualcluster", name, "-n", "team-a", "--type=merge", "-p", patch]);
    let message = eventually("Provisioned=False", LIMIT, || {
        let object = hub.json(&["get", "virtualcluster", name, "-n", "team-a"]);
        let list = object["status"]["conditions"].as_array()?.clone();
        let found = list.into_iter().find(|c| c["type"] == "Provisioned" && c["reason"] == "SpecInvalid")?;
        found["message"].as_str().map(str::to_owned)
    });
    assert!(message.contains("network.clusterDomain"), "{message}");
    tenant.rolled_out("deployment/web");
    let set = |domain: Value| {
        let body = json!({"spec": {"network": {"clusterDomain": domain}}}).to_string();
        hub.run(&["patch", "virtualcluster", name, "-n", "team-a", "--type=merge", "-p", &body])
    };
    let third = set("third.local".into());
    assert!(text(&third.stderr).contains("clusterDomain is immutable"), "{}", text(&third.stderr));
    let back = set(Value::Null);
    assert!(back.status.success(), "the edit may be taken back: {}", text(&back.stderr));
    hub.ok(&[
        "wait",
        "--for=condition=Provisioned",
        &format!("virtualcluster/{name}"),
        "-n",
        "team-a",
        "--timeout=60s",
    ]);
}

/// Addresses that the host gave are the tenant's, from the first answer on (syncer SV1).
fn agreed(hub: &Kubectl, tenant: &Kubectl) {
    let address = "jsonpath={.spec.clusterIP}";
    let own = tenant.ok(&["create", "service", "clusterip", "agreed", "--tcp=80", "-o", address]);
    let all = hub.json(&["get", "services", "-A", "-l", "skerry.dev/tenant"]);
    let there = all["items"].as_array().into_iter().flatten().any(|s| s["spec"]["clusterIP"] == own.trim());
    assert!(there, "no host Service has {own}");
}

fn walk(installed: &Parts) {
    let hub = installed.real().kubectl();
    hub.ok(&["create", "namespace", "team-a"]);
    for (program, name) in [("kubectl", "dev"), ("kubectl-1.33", "old")] {
        let tenant = Kubectl::new(program, installed.tenant("team-a", name));
        tenant.apply(WEB, &[]);
        tenant.rolled_out("deployment/web");
        let pods = hub.json(&["get", "pods", "-A", "-l", "app=web", "--field-selector=status.phase=Running"]);
        assert!(!pods["items"].as_array().expect("a list").is_empty(), "pods run on the host");
        agreed(&hub, &tenant);
    }
    let dev = Kubectl::new("kubectl", installed.path("dev.kubeconfig"));
    hub.ok(&["annotate", "namespace", "team-a", "skerry.dev/clustersets=own"]);
    let fleet =
        Fleet { hub: &hub, namespace: "team-a", members: vec![("skerry.team-a.dev", &dev, "team-a")] };
    carried(&fleet);

    let old = Kubectl::new("kubectl-1.33", installed.path("old.kubeconfig"));
    edit_what_may_not_change(&hub, "old", &old);
    for name in ["dev", "old"] {
        hub.ok(&["delete", "virtualcluster", name, "-n", "team-a", "--timeout=90s"]);
    }
    let left = hub.ok(&["get", "namespaces", "-l", "skerry.dev/tenant", "-o", "name"]);
    assert_eq!(left.trim(), "", "host namespaces are left");
    let left = hub.ok(&["get", "secrets", "-n", "team-a", "-o", "name"]);
    assert_eq!(left.trim(), "", "secrets are left");
    for part in ["manager", "syncer"] {
        assert!(!installed.log(part).contains("is forbidden"), "the chart grants the {part} too little");
    }
    installed.helm(&["uninstall"]);
}

/// The main job on a hub that is a real kube-apiserver.
pub fn real(_world: &mut World) -> Outcome {
    let installed = Parts::start(Settings {
        program: crate::PROGRAM.into(),
        chart: Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/skerry"),
        real: ControlPlane::with_nodes(2),
    });
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk(&installed)));
    if let Err(failed) = ended {
        println!("{}", installed.logs());
        let dev = Kubectl::new("kubectl", installed.path("dev.kubeconfig"));
        for (who, what) in
            [(installed.real().kubectl(), "placements,clusterbindings"), (dev, "deployments,pods,events")]
        {
            println!(
                "{}",
                text(&who.run(&["get", what, "-A", "-o", "yaml", "--show-managed-fields=false"]).stdout)
            );
        }
        std::panic::resume_unwind(failed);
    }
    Outcome::Passed
}
