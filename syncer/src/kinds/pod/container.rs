//! Containers (4.2).

use serde_json::{Map, Value, json};

use super::{
    down::require,
    downward,
    env::{API_MAP, LINKS_MAP},
    table::{CONTAINER, Row, row},
    volumes::Volumes,
};
use crate::{
    facts::Facts,
    kind::Kind,
    object::{Fields, TenantObj, filled, items, text},
    refusal::Refusal,
    settings::ImageRule,
};

/// Where a container stands.
pub(super) struct Site<'a> {
    pub(super) tenant: &'a TenantObj,
    pub(super) facts: &'a Facts,
    pub(super) path: &'a str,
    pub(super) volumes: &'a Volumes,
}

/// A container of the host pod.
pub(super) fn down(container: &Value, site: &Site<'_>) -> Result<Value, Refusal> {
    let facts = site.facts;
    let mut out = Map::new();
    for (field, value) in container.as_object().into_iter().flatten() {
        let path = format!("{}.{field}", site.path);
        match row(CONTAINER, field) {
            Some(Row::Copied | Row::NotSent) => {
                out.insert(field.clone(), value.clone());
            }
            Some(Row::Required) if filled(value) => {
                require(facts, "Container", field, &path)?;
                out.insert(field.clone(), value.clone());
            }
            Some(Row::Handled | Row::Required) => {}
            Some(Row::Unsupported) | None if filled(value) => return Err(Refusal::unsupported(path)),
            Some(Row::Unsupported) | None => {}
        }
    }
    let image = text(container, "image");
    if !image.is_empty() {
        let image = map_image(image, &facts.settings.to_host.pods.images);
        out.insert("image".to_owned(), Value::from(image));
    }
    ports(container, site, &mut out)?;
    if let Some(lifecycle) = container.get("lifecycle").filter(|v| filled(v)) {
        if lifecycle.get("stopSignal").is_some_and(filled) {
            require(facts, "Lifecycle", "stopSignal", &format!("{}.lifecycle.stopSignal", site.path))?;
        }
        out.insert("lifecycle".to_owned(), lifecycle.clone());
    }
    mounts(container, site, &mut out)?;
    let env = environment(container, site)?;
    if !env.is_empty() {
        out.insert("env".to_owned(), Value::Array(env));
    }
    out.insert("envFrom".to_owned(), Value::Array(env_from(container, site)));
    Ok(Value::Object(out))
}

/// The reference with its longest matching prefix replaced.
pub(super) fn map_image(image: &str, rules: &[ImageRule]) -> String {
    let best = rules
        .iter()
        .filter(|rule| !rule.from.is_empty() && image.starts_with(rule.from.as_str()))
        .max_by_key(|rule| rule.from.len());
    match best {
        Some(rule) => format!("{}{}", rule.to, &image[rule.from.len()..]),
        None => image.to_owned(),
    }
}

fn ports(container: &Value, site: &Site<'_>, out: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(list) = container.get("ports").filter(|v| filled(v)) else { return Ok(()) };
    for (n, port) in list.as_array().into_iter().flatten().enumerate() {
        let host_port = port.get("hostPort").and_then(Value::as_i64).unwrap_or_default();
        let allowed =
            site.facts.policy.host_ports.iter().any(|range| (range.min..=range.max).contains(&host_port));
        if host_port != 0 && !allowed {
            return Err(Refusal::policy(format_args!("{}.ports[{n}].hostPort", site.path), "hostPorts"));
        }
    }
    out.insert("ports".to_owned(), list.clone());
    Ok(())
}

fn mounts(container: &Value, site: &Site<'_>, out: &mut Map<String, Value>) -> Result<(), Refusal> {
    let list = items(container, "/volumeMounts");
    if list.is_empty() {
        return Ok(());
    }
    let mut done = Vec::with_capacity(list.len());
    for (n, mount) in list.iter().enumerate() {
        let mut mount = mount.as_object().cloned().unwrap_or_default();
        let path = format!("{}.volumeMounts[{n}]", site.path);
        if mount.get("recursiveReadOnly").is_some_and(filled) {
            require(site.facts, "VolumeMount", "recursiveReadOnly", &format!("{path}.recursiveReadOnly"))?;
        }
        let volume = mount.get("name").and_then(Value::as_str).unwrap_or_default();
        if site.volumes.read_only.iter().any(|name| name == volume) {
            if mount.get("mountPropagation").and_then(Value::as_str) == Some("Bidirectional") {
                let field = format!("{path}.mountPropagation");
                return Err(Refusal::policy(field, "hostPaths: the prefix is read-only"));
            }
            mount.insert("readOnly".to_owned(), Value::Bool(true));
        }
        done.push(Value::Object(mount));
    }
    out.insert("volumeMounts".to_owned(), Value::Array(done));
    Ok(())
}

/// `env` in the tenant's order, duplicates kept, names translated.
fn environment(container: &Value, site: &Site<'_>) -> Result<Vec<Value>, Refusal> {
    let mut done = Vec::new();
    for (n, item) in items(container, "/env").iter().enumerate() {
        let mut item = item.clone();
        let path = format!("{}.env[{n}]", site.path);
        if let Some(from) = item.get_mut("valueFrom").and_then(Value::as_object_mut) {
            for (field, source) in from.iter_mut() {
                match field.as_str() {
                    "configMapKeyRef" => rename(source, Kind::ConfigMap, site),
                    "secretKeyRef" => rename(source, Kind::Secret, site),
                    "fieldRef" => downward::field_ref(source, site.tenant, site.facts),
                    "fileKeyRef" => {
                        let path = format!("{path}.valueFrom.fileKeyRef");
                        require(site.facts, "EnvVarSource", "fileKeyRef", &path)?;
                    }
                    "resourceFieldRef" => {}
                    other => return Err(Refusal::unsupported(format_args!("{path}.valueFrom.{other}"))),
                }
            }
        }
        done.push(item);
    }
    Ok(done)
}

/// Skerry's map first, then the tenant's sources: below both `envFrom` and `env` of the user (PO16).
fn env_from(container: &Value, site: &Site<'_>) -> Vec<Value> {
    let links = site.tenant.0.pointer("/spec/enableServiceLinks").and_then(Value::as_bool) != Some(false);
    let map = if links { LINKS_MAP } else { API_MAP };
    let mut done = vec![json!({"configMapRef": {"name": map, "optional": true}})];
    for item in items(container, "/envFrom") {
        let mut item = item.clone();
        if let Some(source) = item.get_mut("configMapRef") {
            rename(source, Kind::ConfigMap, site);
        }
        if let Some(source) = item.get_mut("secretRef") {
            rename(source, Kind::Secret, site);
        }
        done.push(item);
    }
    done
}

fn rename(source: &mut Value, kind: Kind, site: &Site<'_>) {
    let name = site.facts.host_name(kind, site.tenant.namespace(), text(source, "name"));
    if let Some(source) = source.as_object_mut()
        && source.get("name").is_some_and(filled)
    {
        source.insert("name".to_owned(), Value::from(name.as_str()));
    }
}
