//! Specs that cannot be taken as they are (section 9).

use serde_json::{Value, json};
use skerry::placement::Planner;
use skerry::placement::raw;

use crate::fleet::*;

/// Placement 93: bad specs are refused by the server or the manager, with the path; what was accepted stays in force,
/// also for a manager that was started anew.
#[tokio::test(flavor = "multi_thread")]
async fn placement_93_bad_specs_change_nothing() {
    let mut f = Fleet::new(1).await;
    f.config("a", json!({"k": "1"})).await;
    let good = all_maps(json!({}));
    f.place(good.clone()).await;
    f.settle().await;
    let select = |s: Value| json!({"workload": {"select": [s]}});
    let with = |key: &str, value: Value| {
        let mut spec = all_maps(json!({}));
        spec[key] = value;
        spec
    };
    let bad = [
        (json!({"workload": {}}), "spec.workload"),
        (select(json!({"group": "", "kind": "Node"})), "spec.workload.select[0]"),
        (select(json!({"group": "", "kind": "Event"})), "spec.workload.select[0]"),
        (select(json!({"group": "skerry.dev", "kind": "Placement"})), "spec.workload.select[0]"),
        (select(json!({"group": "none.example", "kind": "None"})), "spec.workload.select[0]"),
        (
            select(json!({"group": "", "kind": "ConfigMap", "name": "a", "labelSelector": {}})),
            "spec.workload.select[0]",
        ),
        (select(json!({"group": "", "kind": "Namespace"})), "spec.workload.select[0]"),
        (
            json!({"workload": {"source": {"namespace": "kube-system"}, "select": [{"group": "", "kind": "ConfigMap"}]}}),
            "spec.workload.source.namespace",
        ),
        (
            json!({"workload": {"source": {"namespace": "other"}, "select": [{"group": "", "kind": "ConfigMap"}]}}),
            "spec.workload.source.namespace",
        ),
        (
            json!({"workload": {"source": {"virtualCluster": "x/y"}, "select": [{"group": "", "kind": "ConfigMap"}]}}),
            "spec.workload.source.virtualCluster",
        ),
        (
            json!({"workload": {"manifests": [{"kind": "ConfigMap", "apiVersion": "v1"}]}}),
            "spec.workload.manifests[0]",
        ),
        (with("select", json!({"count": 1001})), "spec.select.count"),
        (with("select", json!({"count": "101%"})), "spec.select.count"),
        (with("select", json!({"count": "many"})), "spec.select.count"),
        (with("select", json!({"count": -1})), "spec.select.count"),
        (with("select", json!({"mode": "Count"})), "spec.select"),
        (with("select", json!({"mode": "Fixed"})), "spec.select"),
        (with("select", json!({"mode": "Some"})), "spec.select.mode"),
        (with("select", json!({"count": 1, "names": ["m0"]})), "spec.select"),
        (with("spread", json!([{"topology": "a"}, {"topology": "a"}])), "spec.spread"),
        (with("replicas", json!({"mode": "Halved"})), "spec.replicas.mode"),
        (with("objective", json!({"prefer": "Luck"})), "spec.objective.prefer"),
        (with("delivery", json!({"takeOver": "Maybe"})), "spec.delivery.takeOver"),
        (with("delivery", json!({"whenDrifted": "Cry"})), "spec.delivery.whenDrifted"),
        (with("members", json!({"whenUnmatched": "Wait"})), "spec.members.whenUnmatched"),
        (with("rollout", json!({"trigger": "Now"})), "spec.rollout.trigger"),
    ];
    let path = format!("{HOME}/placements/shop");
    let copy = f.on(0, "a").await.expect("delivered");
    let mut wrong = Vec::new();
    for (spec, at) in &bad {
        let mut object = f.placement().await;
        object["spec"] = spec.clone();
        let said = match raw::replace(&f.hub, &path, &object).await {
            Err(kube::Error::Api(refusal)) => refusal.message.clone(),
            Err(other) => panic!("{other}"),
            Ok(_) => {
                f.planner = Planner::default();
                f.settle().await;
                let (accepted, _, message) = f.condition("Accepted").await;
                let now = f.on(0, "a").await.map(|o| version(&o));
                if accepted != "False" || now != Some(version(&copy)) {
                    wrong.push(format!("{spec}: Accepted={accepted}, copy {now:?}"));
                }
                message
            }
        };
        if !said.contains(at) {
            wrong.push(format!("{spec}: {said:?} does not name {at}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut object = f.placement().await;
    object["spec"] = good;
    raw::replace(&f.hub, &path, &object).await.expect("replaced");
    f.settle().await;
    assert_eq!(f.condition("Accepted").await.0, "True");
    f.end().await;
}
