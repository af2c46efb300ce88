//! Built-in values of a VirtualCluster: the first layer of the merge (tenancy section 1).

use serde_json::{Value, json};

/// What holds where nobody says anything.
pub fn values() -> Value {
    json!({
        "controlPlane": {"type": "Embedded", "version": "", "embedded": {"isolation": "Shared", "store": "", "replicas": 1}},
        "hosts": {"count": 1, "namespaceMapping": "PerNamespace"},
        "network": {
            "clusterDomain": "cluster.local", "serviceCIDRs": [],
            "dns": {"mode": "Shared", "upstream": [], "hostServices": [], "records": [], "podRecords": "Verified", "ttlSeconds": 5}
        },
        "expose": {"type": "FrontDoor", "hostnames": []},
        "access": {"credentialTTL": "168h"},
        "sync": sync(),
        "inventory": {"clusterSet": "", "labels": {}, "properties": {}},
        "quota": {},
        "limitRange": [],
        "limits": {
            "objects": 50000, "bytes": "256Mi", "namespaces": 1000, "crds": 300, "watches": 5000,
            "inFlightReading": 100, "inFlightMutating": 50
        },
        "podSecurity": {"enforce": "baseline", "warn": "restricted", "audit": "restricted"},
        "networkPolicy": {"mode": "Isolated", "publicEgress": true, "allowedCIDRs": [], "deniedCIDRs": skerry_api::virtual_cluster::DENIED_CIDRS},
        "pause": {"mode": "None"},
        "deletion": {"protect": false, "deadline": "10m", "volumes": "Delete"}
    })
}

/// `sync` (syncer section 1).
fn sync() -> Value {
    let on = json!({"enabled": true});
    let data = json!({"enabled": true, "scope": "Referenced", "selector": {}});
    json!({
        "enabled": true,
        "weight": 10,
        "toHost": {
            "pods": {
                "enabled": true, "fqdn": "Auto", "tokenMaxTTL": "24h", "injected": "Hide", "images": [], "pullSecrets": [],
                "tolerations": [], "nodeSelector": {}, "runtimeClassName": "", "priorityClassName": ""
            },
            "services": on, "endpointSlices": on, "persistentVolumeClaims": on, "networkPolicies": on,
            "configMaps": data, "secrets": data
        },
        "fromHost": {
            "events": {"enabled": true, "perSecond": 20},
            "nodes": {
                "mode": "Synthetic", "labels": ["kubernetes.io/", "topology.kubernetes.io/", "node.kubernetes.io/instance-type"],
                "images": false, "addresses": "Hostname"
            },
            "storageClasses": {"enabled": true, "selector": {}}
        }
    })
}
