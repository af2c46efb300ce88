//! Downward API: the tenant's own values, by way of annotations on the host pod (PO17).

use std::fmt::Write;

use serde_json::{Map, Value};
use skerry_api::labels;

use crate::{
    facts::Facts,
    object::{Fields, TenantObj, items, text},
};

/// Annotation with the tenant's labels in the kubelet's text form.
const LABELS_TEXT: &str = "skerry.dev/labels-text";
/// Annotation with the tenant's annotations in the kubelet's text form.
const ANNOTATIONS_TEXT: &str = "skerry.dev/annotations-text";

/// Rewrites one `fieldRef`.
pub(super) fn field_ref(source: &mut Value, tenant: &TenantObj, facts: &Facts) {
    let path = text(source, "fieldPath").to_owned();
    let to = |key: &str| format!("metadata.annotations['{key}']");
    let new = match path.as_str() {
        "metadata.name" => {
            let host = facts.host_name(crate::kind::Kind::Pod, tenant.namespace(), tenant.name());
            if host.as_str() == tenant.name() { path } else { to(labels::ORIGIN_NAME) }
        }
        "metadata.namespace" => to(labels::ORIGIN_NAMESPACE),
        "metadata.uid" => to(labels::ORIGIN_UID),
        "spec.serviceAccountName" => to(labels::SERVICE_ACCOUNT),
        "metadata.labels" => to(LABELS_TEXT),
        "metadata.annotations" => to(ANNOTATIONS_TEXT),
        other => match (subscript(other, "metadata.labels"), subscript(other, "metadata.annotations")) {
            (Some(key), _) => format!("metadata.labels['{}']", facts.rules.label_key(key)),
            (_, Some(key)) if !facts.rules.carries_annotation(key) => {
                // Nothing of that key is on the host pod, least of all ours.
                to(&format!("skerry.dev/a-{}", crate::mapping::h(&[key])))
            }
            _ => path,
        },
    };
    if let Some(source) = source.as_object_mut() {
        source.insert("fieldPath".to_owned(), Value::from(new));
    }
}

fn subscript<'a>(path: &'a str, field: &str) -> Option<&'a str> {
    path.strip_prefix(field)?.strip_prefix("['")?.strip_suffix("']")
}

/// Rewrites the `items` of a downwardAPI volume or projection.
pub(super) fn volume_items(volume: &mut Value, tenant: &TenantObj, facts: &Facts) {
    let list = volume.get_mut("items").and_then(Value::as_array_mut);
    for item in list.into_iter().flatten() {
        if let Some(source) = item.get_mut("fieldRef") {
            field_ref(source, tenant, facts);
        }
    }
}

/// Sets the text annotations that the pod's volumes ask for.
pub(super) fn texts(tenant: &TenantObj, annotations: &mut Map<String, Value>) {
    let wanted = |field: &str| {
        items(&tenant.0, "/spec/volumes").iter().any(|volume| {
            let direct = items(volume, "/downwardAPI/items").iter();
            let projected = items(volume, "/projected/sources")
                .iter()
                .flat_map(|source| items(source, "/downwardAPI/items"));
            direct
                .chain(projected)
                .any(|item| item.pointer("/fieldRef/fieldPath").and_then(Value::as_str) == Some(field))
        })
    };
    for (field, pointer, key) in [
        ("metadata.labels", "/metadata/labels", LABELS_TEXT),
        ("metadata.annotations", "/metadata/annotations", ANNOTATIONS_TEXT),
    ] {
        if wanted(field) {
            annotations.insert(key.to_owned(), Value::from(map_text(tenant.0.pointer(pointer))));
        }
    }
}

/// One line for each member, sorted, the value quoted.
fn map_text(map: Option<&Value>) -> String {
    let mut out = String::new();
    for (key, value) in map.and_then(Value::as_object).into_iter().flatten() {
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = write!(out, "{key}={}", quoted(value.as_str().unwrap_or_default()));
    }
    out
}

/// A text in double quotes with the escapes that the kubelet writes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_control() && u32::from(c) < 0x80 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// SY-46, its pure part: the kubelet's text of a map.
    #[test]
    fn translate_sy46_text_form() {
        let map = json!({"b": "say \"hi\"\n", "a": "1"});
        assert_eq!(map_text(Some(&map)), "a=\"1\"\nb=\"say \\\"hi\\\"\\n\"");
        assert_eq!(map_text(None), "");
    }
}
