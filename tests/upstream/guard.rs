//! What a real host's API server grants Skerry's accounts, and what it refuses them whatever they are granted (tenancy
//! I9, I10; TN-48).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use skerry_api::rights;

use crate::Outcome;
use crate::control_plane::ControlPlane;
use crate::kubectl::Kubectl;
use crate::world::{World, eventually, text};

const LIMIT: Duration = Duration::from_secs(60);

/// kubectl as one of the accounts, with a token of its own.
fn account(world: &World, real: &ControlPlane, name: &str) -> Kubectl {
    let token = real.kubectl().ok(&["create", "token", name, "-n", "skerry-system"]);
    let path = world.path(&format!("{name}.kubeconfig"));
    std::fs::write(&path, real.kubeconfig_of(token.trim())).expect("write");
    Kubectl::new("kubectl", path)
}

/// Rules, each right of them on its own.
fn rights_of<'a>(rules: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let list = |rule: &Value, key: &str| {
        let all = rule[key].as_array().into_iter().flatten();
        let all: Vec<String> = all.filter_map(|v| v.as_str().map(str::to_owned)).collect();
        if all.is_empty() { vec!["*".to_owned()] } else { all }
    };
    for rule in rules {
        for group in list(rule, "apiGroups")
            .iter()
            .filter(|g| !g.ends_with("authorization.k8s.io") || g.starts_with("rbac"))
        {
            for resource in list(rule, "resources") {
                for name in list(rule, "resourceNames") {
                    out.extend(
                        list(rule, "verbs").iter().map(|verb| format!("{verb} {group}/{resource}/{name}")),
                    );
                }
            }
        }
    }
    out
}

/// The review of an account's rights in a namespace, but for what everybody may ask about themselves.
fn reviewed(who: &Kubectl, namespace: &str) -> BTreeSet<String> {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace}});
    let out = who.feed(&["create", "--validate=false", "-f", "-", "-o", "json"], &review.to_string());
    assert!(out.status.success(), "{}", text(&out.stderr));
    let answer: Value = serde_json::from_slice(&out.stdout).expect("a review");
    let rules = answer["status"]["resourceRules"].as_array().expect("rules").clone();
    rights_of(rules.iter().filter(|r| r["apiGroups"] != json!(["authentication.k8s.io"])))
}

#[track_caller]
fn refused(who: &Kubectl, args: &[&str]) {
    let out = who.run(args);
    let said = text(&out.stderr);
    assert!(!out.status.success() && said.contains("skerry-guard"), "{args:?}: {said}");
}

/// TN-48, with every right in the cluster in the accounts' hands; and `skerry doctor` on a host without its guard.
pub fn holds(world: &mut World) -> Outcome {
    let real = ControlPlane::with_nodes(1);
    let host = real.kubectl();
    let file = real.kubeconfig();
    let join = ["fleet", "join", "mole", "--host", "--member-kubeconfig", file.to_str().expect("a path")];
    world.ok(&join);
    let tenant = world.cluster_with("kubectl", "walled", &["--host", "skerry.mole"]);
    tenant.ok(&["create", "deployment", "plain", "--image=nginx"]);
    tenant.rolled_out("deployment/plain");
    let space = eventually("the namespace on the host", LIMIT, || {
        let all = host.ok(&["get", "namespaces", "-l", "skerry.dev/tenant", "-o", "name"]);
        all.lines()
            .find(|n| n.contains("-default-"))
            .and_then(|n| n.strip_prefix("namespace/"))
            .map(str::to_owned)
    });
    let (syncer, member) =
        (account(world, &real, rights::HOST_ACCOUNT), account(world, &real, rights::ACCOUNT));

    // Granted is what the rights say, no more and no less.
    let (everywhere, inside) = (rights::host(), rights::tenant_sync());
    assert_eq!(reviewed(&syncer, &space), rights_of(everywhere.iter().chain(&inside)));
    assert_eq!(reviewed(&syncer, "default"), rights_of(&everywhere));
    let system = rights::host_system();
    assert_eq!(reviewed(&syncer, "skerry-system"), rights_of(everywhere.iter().chain(&system)));

    // From here on the roles refuse nothing.
    host.ok(&["create", "namespace", "old"]);
    host.ok(&["create", "namespace", "lent"]);
    let both =
        [rights::HOST_ACCOUNT, rights::ACCOUNT].map(|name| format!("--serviceaccount=skerry-system:{name}"));
    host.ok(&["create", "clusterrolebinding", "too-much", "--clusterrole=cluster-admin", &both[0], &both[1]]);
    eventually("every right", LIMIT, || {
        syncer.run(&["auth", "can-i", "*", "*"]).status.success().then_some(())
    });
    refused(&syncer, &["create", "configmap", "x", "-n", "kube-system"]);
    refused(&syncer, &["create", "configmap", "x", "-n", "lent"]);
    refused(
        &syncer,
        &["create", "rolebinding", "x", "-n", "lent", "--clusterrole=skerry-tenant-sync", "--user=x"],
    );
    refused(&syncer, &["delete", "configmap", "kube-root-ca.crt", "-n", "lent"]);
    refused(&syncer, &["label", "namespace", "old", "skerry.dev/tenant=walled"]);
    refused(&syncer, &["label", "namespace", "old", "a=b"]);
    refused(&syncer, &["delete", "namespace", "old"]);
    refused(&syncer, &["create", "namespace", "x"]);
    refused(&syncer, &["create", "namespace", "sk-x"]);
    refused(&syncer, &["label", "--overwrite", "namespace", &space, "skerry.dev/tenant=another"]);
    refused(&syncer, &["label", "namespace", &space, "skerry.dev/tenant-"]);
    refused(&syncer, &["create", "clusterrole", "x", "--verb=get", "--resource=pods"]);
    refused(&syncer, &["label", "node", "kwok-0", "a=b"]);
    refused(&syncer, &["patch", "node", "kwok-0", "-p", r#"{"spec": {"unschedulable": true}}"#]);
    refused(&syncer, &["taint", "node", "kwok-0", "a=b:NoSchedule"]);
    refused(&syncer, &["delete", "node", "kwok-0"]);
    refused(&member, &["create", "configmap", "x", "-n", "kube-system"]);
    refused(&member, &["create", "configmap", "x", "-n", &space]);
    refused(&member, &["label", "namespace", "old", "skerry.dev/tenant=walled"]);
    refused(&member, &["delete", "namespace", &space]);

    // What they are for passes.
    syncer.ok(&["create", "configmap", "x", "-n", &space]);
    syncer.ok(&["delete", "configmap", "x", "-n", &space]);
    syncer.ok(&["label", "namespace", &space, "a=b"]);
    syncer.ok(&["label", "node", "kwok-0", "skerry.dev/pool=t"]);
    syncer.ok(&["taint", "node", "kwok-0", "skerry.dev/pool=t:NoSchedule"]);
    syncer.ok(&["annotate", "node", "kwok-0", "skerry.dev/pool-claim=t"]);
    member.ok(&["create", "configmap", "x", "-n", "old"]);
    member.ok(&["create", "namespace", "delivered"]);
    host.ok(&["delete", "clusterrolebinding", "too-much"]);
    host.ok(&["taint", "node", "kwok-0", "skerry.dev/pool-"]);

    let found = || text(&world.skerry(&["doctor"]).stdout);
    assert!(!found().contains("GuardMissing"), "{}", found());
    host.ok(&["delete", "validatingadmissionpolicybinding", "skerry-guard"]);
    let said = found();
    assert!(said.contains("GuardMissing") && said.contains("skerry fleet join mole --host"), "{said}");
    world.ok(&join);
    assert!(!found().contains("GuardMissing"), "{}", found());

    world.ok(&["delete", "walled", "-n", "walled", "--yes", "-q"]);
    world.ok(&["fleet", "leave", "mole", "--timeout", "60s"]);
    eventually("no guard is left", LIMIT, || {
        let left =
            host.ok(&["get", "validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name"]);
        (!left.contains("skerry")).then_some(())
    });
    Outcome::Passed
}
