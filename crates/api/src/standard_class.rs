//! The class that ships with the program (tenancy section 2).

use serde_json::{Value, json};

/// Class `standard`: virtual clusters on shared hosts, in four sizes, for every namespace.
pub fn standard() -> Value {
    // A quota on requests refuses pods without any; a namespace's LimitRange gives them some.
    let requests = json!([{"type": "Container", "defaultRequest": {"cpu": "50m", "memory": "64Mi"}}]);
    let size = |name: &str, cpu: u32, memory: &str, pods: u32, limits: Value| {
        let quota =
            json!({"requests.cpu": cpu.to_string(), "requests.memory": memory, "pods": pods.to_string()});
        json!({"name": name, "quota": quota, "limitRange": requests, "limits": limits})
    };
    let limits = |objects: u32, bytes: &str, namespaces: u32, watches: u32| json!({"objects": objects, "bytes": bytes, "namespaces": namespaces, "watches": watches});
    json!({
        "apiVersion": "skerry.dev/v1alpha1",
        "kind": "VirtualClusterClass",
        "metadata": {"name": "standard"},
        "spec": {
            "description": "Virtual clusters on shared hosts, for every namespace.",
            "default": true,
            "namespaceSelector": {},
            "defaultSize": "small",
            "sizes": [
                size("tiny", 2, "4Gi", 20, limits(2000, "32Mi", 20, 200)),
                size("small", 8, "16Gi", 100, limits(20_000, "128Mi", 100, 1000)),
                size("medium", 32, "128Gi", 500, limits(50_000, "512Mi", 300, 3000)),
                size("large", 128, "512Gi", 2000, limits(200_000, "2Gi", 1000, 10_000)),
            ],
            "overridable": ["size", "controlPlane.version", "hosts.selector", "network.clusterDomain", "expose.hostnames",
                "access", "sync", "inventory", "pause", "deletion"],
            "ceilings": {"credentialTTL": "2160h", "controlPlaneReplicas": 1, "hosts": 1},
            "perNamespace": {"virtualClusters": 5},
            "providers": [{"type": "Embedded", "isolation": ["Shared"], "versions": ["1.36"], "stores": ["default"]}],
            "hosts": {"selector": {}, "strategy": "LeastAllocated"},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtualClusterClass;

    #[test]
    fn the_shipped_class_is_a_class() {
        let class: VirtualClusterClass = serde_json::from_value(standard()).unwrap();
        assert!(crate::rules::check("VirtualClusterClass", &standard(), None).is_empty());
        assert_eq!(class.spec.sizes.unwrap().len(), 4);
    }
}
