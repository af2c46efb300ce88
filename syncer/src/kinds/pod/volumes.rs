//! Volumes and the tokens in them (4.3).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    TokenSource,
    container::map_image,
    down::require,
    downward,
    table::{Row, VOLUME, row},
};
use crate::{
    facts::Facts,
    kind::Kind,
    kinds::Ref,
    mapping::Mapping,
    object::{Fields, TenantObj, filled, items, text},
    refusal::{Reason, Refusal},
};

/// Volumes of the host pod.
pub(super) struct Volumes {
    /// The list.
    pub(super) list: Vec<Value>,
    /// Names of volumes whose every mount is read-only.
    pub(super) read_only: Vec<String>,
}

/// Translates all volumes.
pub(super) fn down(tenant: &TenantObj, facts: &Facts) -> Result<Volumes, Refusal> {
    let mut out = Volumes { list: Vec::new(), read_only: Vec::new() };
    for (n, volume) in items(&tenant.0, "/spec/volumes").iter().enumerate() {
        let mut done = Map::new();
        for (field, source) in volume.as_object().into_iter().flatten() {
            if field == "name" {
                done.insert(field.clone(), source.clone());
                continue;
            }
            if source.is_null() {
                continue;
            }
            let site = Site {
                tenant,
                facts,
                path: &format!("spec.volumes[{n}].{field}"),
                name: text(volume, "name"),
            };
            let (field, source) = one(field, source, &site, &mut out.read_only)?;
            done.insert(field, source);
        }
        out.list.push(Value::Object(done));
    }
    Ok(out)
}

struct Site<'a> {
    tenant: &'a TenantObj,
    facts: &'a Facts,
    path: &'a str,
    name: &'a str,
}

impl Site<'_> {
    fn host_name(&self, kind: Kind, name: &str) -> Value {
        Value::from(self.facts.host_name(kind, self.tenant.namespace(), name).as_str())
    }

    /// Translates the name at `pointer` inside `source`, where there is one.
    fn rename(&self, source: &mut Value, pointer: &str, kind: Kind) {
        if let Some(slot) = source.pointer_mut(pointer).filter(|slot| filled(slot)) {
            let name = self.host_name(kind, slot.as_str().unwrap_or_default());
            *slot = name;
        }
    }
}

fn one(
    field: &str,
    source: &Value,
    site: &Site<'_>,
    read_only: &mut Vec<String>,
) -> Result<(String, Value), Refusal> {
    match row(VOLUME, field) {
        Some(Row::Copied | Row::Handled) => {}
        _ => return Err(Refusal::new(Reason::UnsupportedVolume, format!("{} cannot be carried", site.path))),
    }
    if !site.facts.policy.volumes.iter().any(|allowed| allowed == field) {
        return Err(Refusal::policy(site.path, "volumes"));
    }
    let mut source = source.clone();
    match field {
        "configMap" => site.rename(&mut source, "/name", Kind::ConfigMap),
        "secret" => site.rename(&mut source, "/secretName", Kind::Secret),
        "downwardAPI" => downward::volume_items(&mut source, site.tenant, site.facts),
        "persistentVolumeClaim" => site.rename(&mut source, "/claimName", Kind::PersistentVolumeClaim),
        "projected" => projected(&mut source, site)?,
        "ephemeral" => ephemeral(&source, site)?,
        "image" => {
            require(site.facts, "Volume", "image", site.path)?;
            let reference = map_image(text(&source, "reference"), &site.facts.settings.to_host.pods.images);
            if let Some(map) = source.as_object_mut() {
                map.insert("reference".to_owned(), Value::from(reference));
            }
        }
        "csi" => {
            let driver = text(&source, "driver");
            if !site.facts.policy.csi_drivers.iter().any(|allowed| allowed == driver) {
                return Err(Refusal::policy(format_args!("{}.driver", site.path), "csiDrivers"));
            }
            site.rename(&mut source, "/nodePublishSecretRef/name", Kind::Secret);
        }
        "hostPath" => {
            let path = host_path(&source, site, read_only)?;
            source["path"] = Value::from(path);
        }
        "azureFile" => site.rename(&mut source, "/secretName", Kind::Secret),
        "glusterfs" => site.rename(&mut source, "/endpoints", Kind::Service),
        "cephfs" | "flexVolume" | "iscsi" | "rbd" | "scaleIO" | "storageos" => {
            site.rename(&mut source, "/secretRef/name", Kind::Secret);
        }
        _ => {}
    }
    Ok((field.to_owned(), source))
}

fn ephemeral(source: &Value, site: &Site<'_>) -> Result<(), Refusal> {
    let class = source.pointer("/volumeClaimTemplate/spec/storageClassName").and_then(Value::as_str);
    match class {
        Some(class) if !class.is_empty() && !site.facts.host.storage_classes.contains_key(class) => {
            let message = format!(
                "{}.volumeClaimTemplate.spec.storageClassName: {class} is not shared with this cluster",
                site.path
            );
            Err(Refusal::new(Reason::ClassNotShared, message))
        }
        _ => Ok(()),
    }
}

fn host_path(source: &Value, site: &Site<'_>, read_only: &mut Vec<String>) -> Result<String, Refusal> {
    let path = clean(text(source, "path"));
    let rule = site
        .facts
        .policy
        .host_paths
        .iter()
        .filter(|rule| under(&path, &clean(&rule.prefix)))
        .max_by_key(|rule| rule.prefix.len());
    match rule {
        None => Err(Refusal::policy(format_args!("{}.path", site.path), "hostPaths")),
        Some(rule) => {
            if rule.read_only {
                read_only.push(site.name.to_owned());
            }
            Ok(path)
        }
    }
}

/// A path without `.`, `..` and doubled separators.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn under(path: &str, prefix: &str) -> bool {
    prefix == "/" || path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

fn projected(volume: &mut Value, site: &Site<'_>) -> Result<(), Refusal> {
    let Some(sources) = volume.get_mut("sources").and_then(Value::as_array_mut) else { return Ok(()) };
    for (n, source) in sources.iter_mut().enumerate() {
        let Some(map) = source.as_object_mut() else { continue };
        if map.contains_key("clusterTrustBundle") || map.contains_key("podCertificate") {
            let field =
                if map.contains_key("podCertificate") { "podCertificate" } else { "clusterTrustBundle" };
            let message = format!("{}.sources[{n}].{field} cannot be carried", site.path);
            return Err(Refusal::new(Reason::UnsupportedVolume, message));
        }
        if let Some(token) = map.remove("serviceAccountToken") {
            let secret = Mapping::token_secret(site.tenant.uid());
            let projection = json!({
                "name": secret.as_str(),
                "items": [{"key": token_key(site.name, n), "path": text(&token, "path")}],
            });
            map.insert("secret".to_owned(), projection);
            continue;
        }
        if let Some(inner) = map.get_mut("configMap") {
            site.rename(inner, "/name", Kind::ConfigMap);
        }
        if let Some(inner) = map.get_mut("secret") {
            site.rename(inner, "/name", Kind::Secret);
        }
        if let Some(inner) = map.get_mut("downwardAPI") {
            downward::volume_items(inner, site.tenant, site.facts);
        }
    }
    Ok(())
}

fn token_key(volume: &str, source: usize) -> String {
    format!("{volume}.{source}")
}

/// Token sources of a pod.
pub(super) fn token_sources(tenant: &TenantObj, max_seconds: i64) -> Vec<TokenSource> {
    let mut out = Vec::new();
    for volume in items(&tenant.0, "/spec/volumes") {
        for (n, source) in items(volume, "/projected/sources").iter().enumerate() {
            let Some(token) = source.get("serviceAccountToken") else { continue };
            let asked = token.get("expirationSeconds").and_then(Value::as_i64).unwrap_or(3600);
            out.push(TokenSource {
                key: token_key(text(volume, "name"), n),
                audience: text(token, "audience").to_owned(),
                seconds: asked.min(max_seconds).max(600),
            });
        }
    }
    out
}

/// ConfigMaps, Secrets and claims that a pod refers to.
pub(super) fn refs(tenant: &TenantObj) -> Vec<Ref> {
    let mut out = BTreeSet::new();
    let mut add = |kind: Kind, name: Option<&Value>| {
        if let Some(name) = name.and_then(Value::as_str).filter(|name| !name.is_empty()) {
            out.insert(Ref { kind, name: name.to_owned() });
        }
    };
    for pull in items(&tenant.0, "/spec/imagePullSecrets") {
        add(Kind::Secret, pull.get("name"));
    }
    for volume in items(&tenant.0, "/spec/volumes") {
        add(Kind::ConfigMap, volume.pointer("/configMap/name"));
        add(Kind::Secret, volume.pointer("/secret/secretName"));
        add(Kind::Secret, volume.pointer("/csi/nodePublishSecretRef/name"));
        add(Kind::Secret, volume.pointer("/azureFile/secretName"));
        for field in ["cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"] {
            add(Kind::Secret, volume.pointer(&format!("/{field}/secretRef/name")));
        }
        add(Kind::PersistentVolumeClaim, volume.pointer("/persistentVolumeClaim/claimName"));
        for source in items(volume, "/projected/sources") {
            add(Kind::ConfigMap, source.pointer("/configMap/name"));
            add(Kind::Secret, source.pointer("/secret/name"));
        }
    }
    for member in ["/spec/initContainers", "/spec/containers", "/spec/ephemeralContainers"] {
        for container in items(&tenant.0, member) {
            for source in items(container, "/envFrom") {
                add(Kind::ConfigMap, source.pointer("/configMapRef/name"));
                add(Kind::Secret, source.pointer("/secretRef/name"));
            }
            for variable in items(container, "/env") {
                add(Kind::ConfigMap, variable.pointer("/valueFrom/configMapKeyRef/name"));
                add(Kind::Secret, variable.pointer("/valueFrom/secretKeyRef/name"));
            }
        }
    }
    out.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translate_sy53_paths_are_cleaned_before_they_are_judged() {
        assert_eq!(clean("/a/../b"), "/b");
        assert_eq!(clean("//var/./log//x/../.."), "/var");
        assert_eq!(clean("/../../etc"), "/etc");
        assert!(under("/var/log/x", "/var/log") && under("/var/log", "/var/log"));
        assert!(!under("/var/logs", "/var/log"));
    }
}
