//! ConfigMaps and Secrets: sent while a carried object refers to them (KI2).

use serde_json::{Map, Value};

use super::{Change, Translator, apply_change};
use crate::{
    facts::Facts,
    kind::Kind,
    mapping::Mapping,
    object::{Fields, HostObj, TenantObj, entry, filled, shell, text},
    refusal::Refusal,
};

/// The translator of ConfigMaps.
pub static CONFIG_MAPS: DataTranslator = DataTranslator { kind: Kind::ConfigMap };
/// The translator of Secrets.
pub static SECRETS: DataTranslator = DataTranslator { kind: Kind::Secret };

/// Both kinds are one translation.
pub struct DataTranslator {
    kind: Kind,
}

/// Secrets of this type are filled by a controller of the cluster they lie in.
const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";

impl Translator for DataTranslator {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn down(&self, tenant: &TenantObj, facts: &Facts) -> Result<HostObj, Refusal> {
        let mut out = shell(self.kind);
        let meta = super::metadata(self.kind, tenant, facts)?;
        out.insert("metadata".to_owned(), Value::Object(meta));
        for field in ["data", "binaryData", "immutable", "type"] {
            if let Some(value) = tenant.0.get(field).filter(|v| filled(v)) {
                out.insert(field.to_owned(), value.clone());
            }
        }
        if self.kind == Kind::Secret {
            let kind = match text(&tenant.0, "type") {
                "" | TOKEN_TYPE => "Opaque",
                other => other,
            };
            out.insert("type".to_owned(), Value::from(kind));
        }
        Ok(HostObj(Value::Object(out)))
    }

    fn change(&self, desired: &HostObj, live: &HostObj) -> Option<Change> {
        let change = apply_change(desired, live)?;
        let fixed = live.0.get("immutable").and_then(Value::as_bool) == Some(true);
        let content = ["data", "binaryData", "immutable"];
        let differs = |field: &str| {
            desired.0.get(field).filter(|v| filled(v)) != live.0.get(field).filter(|v| filled(v))
        };
        let retyped = self.kind == Kind::Secret && text(&desired.0, "type") != text(&live.0, "type");
        Some(if retyped || (fixed && content.into_iter().any(differs)) { Change::Replace } else { change })
    }
}

/// A ConfigMap or Secret of Skerry's own in a workload namespace (env maps, tokens, trust bundles).
pub(crate) fn own(
    kind: Kind,
    facts: &Facts,
    namespace: &str,
    name: &str,
    data: Map<String, Value>,
) -> HostObj {
    let mut out = shell(kind);
    out.insert("metadata".to_owned(), Value::Object(own_metadata(&facts.mapping, namespace, name)));
    entry(&mut out, "data").extend(data);
    HostObj(Value::Object(out))
}

/// Metadata of an object of Skerry's own.
pub(crate) fn own_metadata(mapping: &Mapping, namespace: &str, name: &str) -> Map<String, Value> {
    let mut meta = Map::new();
    meta.insert("name".to_owned(), Value::from(name));
    meta.insert("namespace".to_owned(), Value::from(namespace));
    mapping.mark(&mut meta);
    meta
}

/// Whether an object of ours is one that Skerry made for itself: it has no origin.
pub(crate) fn is_own(host: &HostObj) -> bool {
    host.annotation(skerry_api::labels::ORIGIN_UID).is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::tests_support::facts;

    /// SY-88, its pure part.
    #[test]
    fn translate_sy88_data() {
        let facts = facts();
        let secret = TenantObj(json!({"metadata": {"name": "tok", "namespace": "web", "uid": "s1"},
            "type": TOKEN_TYPE, "data": {"token": "eA=="}}));
        let host = SECRETS.down(&secret, &facts).expect("carried");
        assert_eq!(host.0["type"], "Opaque");
        assert_eq!(host.0["data"]["token"], "eA==");
        assert_eq!(host.name(), "tok");
        assert_eq!(SECRETS.change(&host, &host), None);
        let mut live = host.clone();
        live.0["data"]["token"] = json!("other");
        assert_eq!(SECRETS.change(&host, &live), Some(Change::Apply));
        live.0["immutable"] = json!(true);
        assert_eq!(SECRETS.change(&host, &live), Some(Change::Replace));
        live.0 = host.0.clone();
        live.0["type"] = json!("kubernetes.io/tls");
        assert_eq!(SECRETS.change(&host, &live), Some(Change::Replace));
        let root = TenantObj(
            json!({"metadata": {"name": "kube-root-ca.crt", "namespace": "web", "uid": "c1"}, "data": {"ca.crt": "x"}}),
        );
        let host = CONFIG_MAPS.down(&root, &facts).expect("carried");
        assert!(host.name().starts_with("kube-root-ca-crt-"), "{}", host.name());
    }
}
