//! AS-58: each field wrong once, one unknown, is named with what it takes.

use serde_json::{Value, json};

use super::*;
use crate::tenant::TenantId;

fn defaults() -> TenantDefaults {
    ServerConfig::default().tenant_defaults
}

fn at(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |inner, key| json!({ key: inner }))
}

/// AS-58: the configuration file.
#[test]
fn each_wrong_config_field_is_named() {
    let wrong = [
        ("listen.address", json!("here")),
        ("listen.opsAddress", json!(7)),
        ("serving.baseDomain", json!("Upper.Case")),
        ("serving.certFile", json!(1)),
        ("serving.keyFile", json!([])),
        ("serving.caFile", json!({})),
        ("system.clientCAFile", json!(true)),
        ("store.backend", json!("floppy")),
        ("store.redb.path", json!(0)),
        ("store.redb.shards", json!(65)),
        ("store.commit.maxWrites", json!(0)),
        ("store.commit.maxBytes", json!("8Xi")),
        ("store.commit.maxPerTenant", json!(-1)),
        ("store.commit.linger", json!("11ms")),
        ("store.history.minAge", json!("6m")),
        ("store.history.maxAge", json!("soon")),
        ("store.history.tenantHardBytes", json!("1Ki")),
        ("store.history.shardBytes", json!(1)),
        ("egress.deny", json!("private")),
        ("resources.seats", json!("many")),
        ("resources.memoryHighWater", json!("120%")),
        ("tenantDefaults.hibernateAfter", json!(10)),
        ("tenantDefaults.limits.objects", json!(0)),
        ("tenantDefaults.limits.nothing", json!(1)),
        ("listen.port", json!(1)),
        ("listens", json!({})),
        ("store", json!("redb")),
    ];
    for (path, value) in wrong {
        let error = ServerConfig::from_value(&at(path, value)).unwrap_err();
        let ConfigError::Fields(causes) = &error else { panic!("{error}") };
        assert_eq!(causes.iter().map(|c| c.field.as_str()).collect::<Vec<_>>(), [path], "{error}");
    }
    let indexed = ServerConfig::from_yaml("egress: {deny: [private, nowhere]}").unwrap_err();
    assert!(indexed.to_string().starts_with("egress.deny[1]: "), "{indexed}");
    let one_of_two = ServerConfig::from_yaml("serving: {certFile: a.pem}").unwrap_err();
    assert!(one_of_two.to_string().starts_with("serving.keyFile: "), "{one_of_two}");
    assert!(matches!(ServerConfig::from_yaml("a: ["), Err(ConfigError::Syntax(_))));
}

/// The documented example is the default.
#[test]
fn the_documented_file_reads() {
    let text = r#"
listen: {address: "0.0.0.0:6443", opsAddress: "127.0.0.1:8081"}
serving: {baseDomain: "", certFile: "", keyFile: "", caFile: ""}
system: {clientCAFile: ""}
store:
  backend: redb
  redb: {path: data/store, shards: 1}
  commit: {maxWrites: 512, maxBytes: 8Mi, maxPerTenant: 64, linger: 0s}
  history: {minAge: 90s, maxAge: 5m, tenantHardBytes: 32Mi, shardBytes: 256Mi}
egress: {deny: [private, loopback, linkLocal, carrierNAT]}
resources: {seats: 0, memoryHighWater: "80%"}
tenantDefaults: {hibernateAfter: 10m, limits: {}}
"#;
    let read = ServerConfig::from_yaml(text).unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", ServerConfig::default()));
}

/// AS-58: the spec of a tenant.
#[test]
fn each_wrong_spec_field_is_named() {
    let id = TenantId::of_uid("u");
    let other = TenantId::of_uid("v");
    let wrong = [
        ("id", json!(other)),
        ("uid", json!("")),
        ("role", json!("King")),
        ("minor", json!("1.9")),
        ("serviceCIDRs", json!("10.0.0.0/8")),
        ("hostNames", json!(vec!["a.b"; 9])),
        ("kubernetesService.port", json!(70_000)),
        ("clusterDomain", json!("local")),
        ("weight", json!(0)),
        ("limits.objects", json!(500_001)),
        ("limits.objectBytes", json!("4Mi")),
        ("limits.tokenTTL", json!("25h")),
        ("egressAllow", json!(3)),
        ("hibernateAfter", json!("-1s")),
        ("minIssuedAt", json!("yesterday")),
        ("onHostUnavailable", json!("Hope")),
        ("controllers", json!("External")),
        ("oidc", json!([])),
    ];
    for (path, value) in wrong {
        let mut tree = at(path, value);
        if path != "uid" {
            tree["uid"] = json!("u");
        }
        let causes = TenantSpec::from_value(id, &tree, &defaults()).unwrap_err();
        assert_eq!(causes.iter().map(|c| c.field.as_str()).collect::<Vec<_>>(), [path]);
    }
    let none = TenantSpec::from_value(id, &json!({}), &defaults()).unwrap_err();
    assert_eq!((none[0].field.as_str(), none[0].reason), ("uid", "FieldValueRequired"));
}

#[test]
fn a_spec_reads_back_equal_and_keeps_what_is_immutable() {
    let id = TenantId::of_uid("u");
    let tree = json!({
        "uid": "u", "role": "Host", "hostNames": ["api.example.com"], "weight": 20, "minIssuedAt": "2026-01-01T00:00:00Z",
        "limits": { "objects": 60_000, "tokenTTL": "1h" }, "egressAllow": ["10.0.0.0/8", "hooks.example.com"],
        "kubernetesService": { "addresses": ["10.1.2.3", "fd00::1"], "port": 443 }, "onHostUnavailable": "Defer",
    });
    let spec = TenantSpec::from_value(id, &tree, &defaults()).unwrap();
    assert_eq!(TenantSpec::from_value(id, &spec.to_value(), &defaults()).as_ref(), Ok(&spec));
    assert_eq!(spec.kubernetes_ip().unwrap().to_string(), "10.96.0.1");
    let mut other = spec.clone();
    other.weight = 1;
    assert_eq!(spec.check_change(&other), Ok(()));
    other.cluster_domain = "other.local".into();
    assert!(
        matches!(spec.check_change(&other), Err(SpecChange::Immutable(causes)) if causes[0].field == "clusterDomain")
    );
    other.uid = "w".into();
    assert_eq!(spec.check_change(&other), Err(SpecChange::OtherUid));
}
