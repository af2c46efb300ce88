//! Tables as people read them.

use serde_json::json;

use super::*;
use crate::model::catalog::Catalog;
use crate::model::tables;

fn cells(group: &str, version: &str, plural: &str, object: &Value) -> Value {
    let row = Catalog::builtin().lookup(group, version, plural).unwrap();
    let table = of_object(&row, object, "v1", "None");
    assert_eq!(
        table["columnDefinitions"].as_array().unwrap().len(),
        table["rows"][0]["cells"].as_array().unwrap().len()
    );
    table["rows"][0]["cells"].clone()
}

#[test]
fn durations_read_as_upstreams() {
    let cases = [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (179 * 60, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 120, "3h2m"),
        (8 * 3600, "8h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"),
    ];
    for (seconds, want) in cases {
        assert_eq!(human_duration(seconds), want, "{seconds}");
    }
}

/// AS-28: pods as kubectl shows them.
#[test]
fn pods() {
    let running = json!({"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}});
    let crashed = json!({"name": "b", "ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
    let base = |phase: &str, statuses: Value| {
        json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "a"}, {"name": "b"}]},
            "status": {"phase": phase, "podIPs": [{"ip": "10.0.0.1"}], "containerStatuses": statuses}})
    };
    let got = cells("", "v1", "pods", &base("Running", json!([running, crashed])));
    assert_eq!(
        got,
        json!(["p", "1/2", "CrashLoopBackOff", "3", "<unknown>", "10.0.0.1", "n", "<none>", "<none>"])
    );
    let done = json!({"name": "a", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    assert_eq!(cells("", "v1", "pods", &base("Succeeded", json!([done])))[2], "Completed");
    let mut gone = base("Running", json!([running]));
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(cells("", "v1", "pods", &gone)[2], "Terminating");
    let mut init = base("Pending", json!([]));
    init["spec"]["initContainers"] = json!([{"name": "i"}]);
    init["status"]["initContainerStatuses"] = json!([{"name": "i", "state": {"running": {}}}]);
    assert_eq!(cells("", "v1", "pods", &init)[2], "Init:0/1");
}

/// AS-28: the other kinds people look at.
#[test]
fn other_kinds() {
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}},
        "template": {"spec": {"containers": [{"name": "x", "image": "i:1"}, {"name": "y", "image": "j"}]}}},
        "status": {"readyReplicas": 1, "updatedReplicas": 2}});
    let want = json!(["d", "1/3", 2, 0, "<unknown>", "x,y", "i:1,j", "a=b"]);
    assert_eq!(cells("apps", "v1", "deployments", &deployment), want);
    let service = json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "clusterIPs": ["10.0.0.1"],
        "selector": {"app": "x"}, "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}});
    let want = json!(["s", "NodePort", "10.0.0.1", "<none>", "80:30080/TCP,53/UDP", "<unknown>", "app=x"]);
    assert_eq!(cells("", "v1", "services", &service), want);
    let node = json!({"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": ""}},
        "spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": "v1.36.3", "kernelVersion": "6.1", "architecture": "amd64"}}});
    let want = json!([
        "n",
        "Ready,SchedulingDisabled",
        "worker",
        "<unknown>",
        "v1.36.3",
        "<none>",
        "<none>",
        "<unknown>",
        "6.1 (amd64)",
        "<unknown>"
    ]);
    assert_eq!(cells("", "v1", "nodes", &node), want);
    let job = json!({"metadata": {"name": "j"}, "spec": {"completions": 2}, "status": {"succeeded": 2,
        "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:30Z",
        "conditions": [{"type": "Complete", "status": "True"}]}});
    assert_eq!(cells("batch", "v1", "jobs", &job)[1], "Complete");
    assert_eq!(
        (&cells("batch", "v1", "jobs", &job)[2], &cells("batch", "v1", "jobs", &job)[3]),
        (&json!("2/2"), &json!("30s"))
    );
    let secret = json!({"metadata": {"name": "s"}, "type": "Opaque", "data": {"a": "", "b": ""}});
    assert_eq!(cells("", "v1", "secrets", &secret), json!(["s", "Opaque", 2, "<unknown>"]));
    let config = json!({"metadata": {"name": "c"}, "data": {"a": ""}, "binaryData": {"b": ""}});
    assert_eq!(cells("", "v1", "configmaps", &config)[1], 2);
    let event = json!({"metadata": {"name": "e"}, "type": "Normal", "reason": "R", "message": " m ",
        "involvedObject": {"kind": "Pod", "name": "p"}});
    let want = json!(["<unknown>", "Normal", "R", "pod/p", "", "", "m", "<unknown>", 1, "e"]);
    assert_eq!(cells("", "v1", "events", &event), want);
    let slice = json!({"metadata": {"name": "x"}, "addressType": "IPv4", "ports": [{"port": 80}],
        "endpoints": [{"addresses": ["1"]}, {"addresses": ["2"]}, {"addresses": ["3"]}, {"addresses": ["4"]}]});
    assert_eq!(cells("discovery.k8s.io", "v1", "endpointslices", &slice)[3], "1,2,3 + 1 more...");
}

/// Every hook the columns name exists, for an empty object of every kind.
#[test]
fn every_kind_has_its_cells() {
    for row in tables::builtin().catalog.all() {
        let table = of_object(row, &json!({"metadata": {"name": "x"}}), "v1", "Metadata");
        for (column, cell) in row.columns.iter().zip(table["rows"][0]["cells"].as_array().unwrap()) {
            assert!(!cell.is_null(), "{} {}", row.gvk, column.name);
            if let CellSource::Hook(hook) = &column.source {
                let known = cells::hook(hook, &json!({}), Timestamp::UNIX_EPOCH) != json!("")
                    || cells::KNOWN_EMPTY.contains(&&**hook);
                assert!(known, "{} {hook}", row.gvk);
            }
        }
    }
}

#[test]
fn json_paths() {
    let value =
        json!({"a": {"b.c": [{"type": "X", "status": "1"}, {"type": "Ready", "status": "2"}]}, "n": 5});
    let cases = [
        (".a.b\\.c[1].status", json!("2")),
        (".a['b.c'][0].type", json!("X")),
        ("{.a.b\\.c[?(@.type==\"Ready\")].status}", json!("2")),
        (".a.b\\.c[?(@.type!='X')].status", json!("2")),
        (".a.b\\.c[*].status", json!("1")),
        ("$.n", json!(5)),
    ];
    for (path, want) in cases {
        assert_eq!(JsonPath::parse(path).unwrap().first(&value), Some(&want), "{path}");
    }
    assert_eq!(JsonPath::parse(".x.y").unwrap().first(&value), None);
}
