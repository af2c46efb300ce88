//! Claims and the volumes behind them (KI3, KI4).

use serde_json::{Map, Value, json};

use super::{Change, Translator, apply_change};
use crate::{
    facts::Facts,
    kind::Kind,
    object::{Fields, HostObj, TenantObj, entry, filled, shell, text},
    refusal::{Reason, Refusal},
};

/// The translator of claims.
pub struct ClaimTranslator;

/// `PersistentVolumeClaimSpec`: every field has a row.
const FIELDS: &[&str] = &[
    "accessModes",
    "dataSource",
    "dataSourceRef",
    "resources",
    "selector",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
    "volumeName",
];

impl Translator for ClaimTranslator {
    fn kind(&self) -> Kind {
        Kind::PersistentVolumeClaim
    }

    fn down(&self, tenant: &TenantObj, facts: &Facts) -> Result<HostObj, Refusal> {
        let mut out = shell(Kind::PersistentVolumeClaim);
        let meta = super::metadata(Kind::PersistentVolumeClaim, tenant, facts)?;
        out.insert("metadata".to_owned(), Value::Object(meta));
        let mut spec = Map::new();
        for (field, value) in tenant.0.get("spec").and_then(Value::as_object).into_iter().flatten() {
            if !filled(value) {
                continue;
            }
            let value = match field.as_str() {
                "accessModes" | "resources" | "volumeMode" | "volumeAttributesClassName" => value.clone(),
                "storageClassName" => {
                    let class = value.as_str().unwrap_or_default();
                    if !class.is_empty() && !facts.host.storage_classes.contains_key(class) {
                        let message =
                            format!("spec.storageClassName: {class} is not shared with this cluster");
                        return Err(Refusal::new(Reason::ClassNotShared, message));
                    }
                    value.clone()
                }
                // The host binds; what it bound comes up and is not sent again.
                "volumeName" => continue,
                "selector" => crate::mapping::pod_selector(value, &facts.rules),
                "dataSource" | "dataSourceRef" => source(field, value, tenant, facts)?,
                other => return Err(Refusal::unsupported(format_args!("spec.{other}"))),
            };
            spec.insert(field.clone(), value);
        }
        out.insert("spec".to_owned(), Value::Object(spec));
        Ok(HostObj(Value::Object(out)))
    }

    fn up(&self, tenant: &TenantObj, host: &HostObj, facts: &Facts) -> Option<Value> {
        let mut out = Map::new();
        let status = host.0.get("status")?;
        for field in [
            "phase",
            "capacity",
            "accessModes",
            "allocatedResources",
            "allocatedResourceStatuses",
            "currentVolumeAttributesClassName",
        ] {
            if let Some(value) = status.get(field).filter(|v| filled(v)) {
                out.insert(field.to_owned(), value.clone());
            }
        }
        let conditions: Vec<Value> = crate::object::items(&host.0, "/status/conditions")
            .iter()
            .map(|condition| {
                let mut condition = condition.clone();
                if let Some(Value::String(message)) = condition.get_mut("message") {
                    *message = super::pod::scrub(message, tenant, host, facts);
                }
                condition
            })
            .collect();
        if !conditions.is_empty() {
            out.insert("conditions".to_owned(), Value::Array(conditions));
        }
        Some(Value::Object(out))
    }

    fn change(&self, desired: &HostObj, live: &HostObj) -> Option<Change> {
        // Later only requests and the attributes class may change; the rest is the API's own rule.
        let mut wanted = desired.clone();
        if let (Some(spec), Some(have)) =
            (wanted.0.get_mut("spec").and_then(Value::as_object_mut), live.0.get("spec"))
        {
            for field in FIELDS {
                if !["resources", "volumeAttributesClassName"].contains(field) && have.get(field).is_some() {
                    spec.insert((*field).to_owned(), have[*field].clone());
                }
            }
        }
        apply_change(&wanted, live)
    }
}

fn source(field: &str, value: &Value, tenant: &TenantObj, facts: &Facts) -> Result<Value, Refusal> {
    if value.get("namespace").is_some_and(filled) && text(value, "namespace") != tenant.namespace() {
        return Err(Refusal::unsupported(format_args!("spec.{field}.namespace")));
    }
    if text(value, "kind") != "PersistentVolumeClaim" {
        return Err(Refusal::unsupported(format_args!("spec.{field}.kind: {}", text(value, "kind"))));
    }
    let name = facts.host_name(Kind::PersistentVolumeClaim, tenant.namespace(), text(value, "name"));
    Ok(json!({"kind": "PersistentVolumeClaim", "name": name.as_str()}))
}

/// The read-only volume that a tenant sees for a bound claim: no handle, no Secret.
pub fn volume(host: &HostObj, tenant_claim: &TenantObj) -> Value {
    let mut spec = Map::new();
    for field in [
        "capacity",
        "accessModes",
        "volumeMode",
        "storageClassName",
        "persistentVolumeReclaimPolicy",
        "mountOptions",
    ] {
        if let Some(value) = host.0.pointer(&format!("/spec/{field}")).filter(|v| filled(v)) {
            spec.insert(field.to_owned(), value.clone());
        }
    }
    let driver = match host.text("/spec/csi/driver") {
        "" => "host.skerry.dev",
        driver => driver,
    };
    spec.insert("csi".to_owned(), json!({"driver": driver, "volumeHandle": host.name()}));
    spec.insert(
        "claimRef".to_owned(),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": tenant_claim.namespace(),
            "name": tenant_claim.name(), "uid": tenant_claim.uid()}),
    );
    let mut out = shell(Kind::PersistentVolume);
    let meta = entry(&mut out, "metadata");
    meta.insert("name".to_owned(), Value::from(host.name()));
    meta.insert("annotations".to_owned(), json!({ IMPORTED: "true" }));
    out.insert("spec".to_owned(), Value::Object(spec));
    Value::Object(out)
}

/// A storage class as a tenant sees it.
pub fn storage_class(host: &HostObj) -> Value {
    let mut out = shell(Kind::StorageClass);
    for field in [
        "provisioner",
        "reclaimPolicy",
        "volumeBindingMode",
        "allowVolumeExpansion",
        "mountOptions",
        "allowedTopologies",
    ] {
        if let Some(value) = host.0.get(field).filter(|v| filled(v)) {
            out.insert(field.to_owned(), value.clone());
        }
    }
    let meta = entry(&mut out, "metadata");
    meta.insert("name".to_owned(), Value::from(host.name()));
    let annotations = entry(meta, "annotations");
    annotations.insert(IMPORTED.to_owned(), Value::from("true"));
    if host.annotation(DEFAULT_CLASS) == Some("true") {
        annotations.insert(DEFAULT_CLASS.to_owned(), Value::from("true"));
    }
    Value::Object(out)
}

/// On objects in a tenant that the syncer made from the host's: tenant edits are reverted.
pub const IMPORTED: &str = "skerry.dev/imported";
/// The default storage class.
pub const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::tests_support::facts;

    fn claim(spec: Value) -> TenantObj {
        TenantObj(json!({"metadata": {"name": "data", "namespace": "web", "uid": "c1"}, "spec": spec}))
    }

    /// SY-87, its pure part.
    #[test]
    fn translate_sy87_claims() {
        let facts = facts();
        let host = ClaimTranslator
            .down(
                &claim(
                    json!({"storageClassName": "fast", "accessModes": ["ReadWriteOnce"], "volumeName": "pv-1",
                "resources": {"requests": {"storage": "1Gi"}}}),
                ),
                &facts,
            )
            .expect("carried");
        assert!(host.0["spec"].get("volumeName").is_none());
        let hidden =
            ClaimTranslator.down(&claim(json!({"storageClassName": "secret"})), &facts).expect_err("hidden");
        assert_eq!(hidden.reason, Reason::ClassNotShared);
        let mut live = host.clone();
        live.0["spec"]["volumeName"] = json!("pv-1");
        live.0["spec"]["resources"]["requests"]["storage"] = json!("1024Mi");
        assert_eq!(ClaimTranslator.change(&host, &live), None);
        let pv = HostObj(json!({"metadata": {"name": "pv-1"}, "spec": {"capacity": {"storage": "1Gi"},
            "csi": {"driver": "d", "volumeHandle": "vol-123", "nodeStageSecretRef": {"name": "s"}}}}));
        let shown = volume(&pv, &claim(json!({}))).to_string();
        assert!(
            !shown.contains("vol-123")
                && !shown.contains("nodeStageSecretRef")
                && shown.contains("\"driver\":\"d\"")
        );
    }

    /// SY-1: every field of the API has a row.
    #[test]
    fn translate_sy1_claim_fields() {
        crate::kinds::tests_support::check_fields("PersistentVolumeClaimSpec", FIELDS);
    }
}
