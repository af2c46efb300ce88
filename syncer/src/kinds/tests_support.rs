//! Facts of a made-up tenant, and the API's schema, for the tests of translators.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    facts::{Facts, HostFacts, IsolationFacts, NamespaceFact, Network},
    kinds::pod::Level,
    mapping::Mapping,
    settings::{HostPolicy, Settings},
};

/// Facts of tenant `tk3v2q5x2m7a` with a namespace `web`.
pub(crate) fn facts() -> Facts {
    let policy = HostPolicy::default();
    let namespace = |uid: &str| NamespaceFact {
        uid: uid.into(),
        labels: Arc::new(json!({"team": "a"})),
        host_uid: Some("6a1f7c1e-0000-4000-8000-0000000000f0".into()),
        template: false,
        deleting: false,
    };
    let namespaces: BTreeMap<Arc<str>, NamespaceFact> = [
        ("web".into(), namespace("6a1f7c1e-0000-4000-8000-0000000000a1")),
        ("db".into(), namespace("6a1f7c1e-0000-4000-8000-0000000000a2")),
        ("default".into(), namespace("6a1f7c1e-0000-4000-8000-0000000000a3")),
    ]
    .into();
    Facts {
        epoch: 1,
        mapping: Mapping::new("tk3v2q5x2m7a", "8f0a1a52-0000-4000-8000-000000000001"),
        settings: Arc::new(Settings::default()),
        rules: policy.metadata_rules(),
        policy: Arc::new(policy),
        pod_security: Level::Privileged,
        network: Arc::new(Network {
            cluster_domain: "cluster.local".to_owned(),
            front_door: vec!["10.0.0.9".to_owned()],
            port: 6443,
            ..Network::default()
        }),
        namespaces: Arc::new(namespaces),
        host: Arc::new(HostFacts {
            minor: 36,
            storage_classes: [("fast".to_owned(), json!({}))].into(),
            node_addresses: ["192.0.2.10".to_owned()].into(),
            ..HostFacts::default()
        }),
        image: Some("registry.example/skerry:1".into()),
        visible_nodes: Arc::new(["n1".to_owned()].into()),
        cordoned: Arc::default(),
        services_agreed: false,
        isolation: Arc::new(IsolationFacts {
            isolated: true,
            denied: vec!["10.0.0.0/8".to_owned(), "169.254.0.0/16".to_owned()],
            allowed: Vec::new(),
        }),
        bounds: None,
        dns_endpoint: None,
        policies: Arc::default(),
        own_addresses: Arc::default(),
        foreign_addresses: Arc::default(),
    }
}

/// Members of a definition in the published schema of the API.
pub(crate) fn schema_fields(definition: &str) -> Vec<String> {
    let pod = schemars::schema_for!(k8s_openapi::api::core::v1::Pod).to_value();
    let service = schemars::schema_for!(k8s_openapi::api::core::v1::Service).to_value();
    let claim = schemars::schema_for!(k8s_openapi::api::core::v1::PersistentVolumeClaim).to_value();
    let policy = schemars::schema_for!(k8s_openapi::api::networking::v1::NetworkPolicy).to_value();
    let ending = format!(".v1.{definition}");
    let found = [pod, service, claim, policy].into_iter().find_map(|schema| {
        let defs = schema.get("$defs").or_else(|| schema.get("definitions"))?.as_object()?.clone();
        defs.iter()
            .find(|(name, _)| name.ends_with(&ending))?
            .1
            .get("properties")?
            .as_object()
            .map(|map| map.keys().cloned().collect::<Vec<_>>())
    });
    found.unwrap_or_default()
}

/// Fails on a field of the API without a row, in this minor or in an older one that a tenant's server may be of (PO10).
/// Those of the older ones are as `core/v1` and `networking/v1` of `k8s.io/api` 0.32.13, 0.33.13, 0.34.13 and 0.35.10 has them.
pub(crate) fn check_fields(definition: &str, known: &[&str]) {
    let older: BTreeMap<String, BTreeMap<String, Vec<String>>> =
        serde_json::from_str(include_str!("../../golden/fields.json")).expect("fields by minor");
    assert_eq!(older.len(), 4);
    let of_older =
        older.into_iter().map(|(minor, mut all)| (minor, all.remove(definition).unwrap_or_default()));
    for (minor, fields) in of_older.chain([("1.36".to_owned(), schema_fields(definition))]) {
        assert!(!fields.is_empty(), "no schema for {definition} of {minor}");
        let without: Vec<&String> = fields.iter().filter(|f| !known.contains(&f.as_str())).collect();
        assert!(without.is_empty(), "{definition} of {minor}: fields without a row: {without:?}");
    }
}

/// Whether any text of a tree satisfies a test.
pub(crate) fn any_text(value: &Value, test: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Array(list) => list.iter().any(|v| any_text(v, test)),
        Value::Object(map) => map.iter().any(|(k, v)| test(k) || any_text(v, test)),
        _ => false,
    }
}
