//! Types from the OpenAPI v3 documents, joined with protobuf numbers and Go's zero-value rules.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::golang::GoField;
use super::sources::Sources;

/// A schema and the document it was found in.
pub struct Found {
    pub value: Value,
    pub document: String,
}

pub fn document_path(group: &str, version: &str) -> String {
    let name = match group {
        "" => format!("api__{version}_openapi.json"),
        _ => format!("apis__{group}__{version}_openapi.json"),
    };
    format!("kubernetes/api/openapi-spec/v3/{name}")
}

pub fn collect(document: &Value, path: &str, into: &mut BTreeMap<String, Found>) {
    let Some(schemas) = document["components"]["schemas"].as_object() else { return };
    for (name, schema) in schemas {
        into.entry(name.clone())
            .or_insert_with(|| Found { value: schema.clone(), document: path.to_owned() });
    }
}

/// Types that have a form of their own: OpenAPI name to table word.
const SPECIAL: &[(&str, &str)] = &[
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", "quantity"),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "intOrString"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", "time"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", "microTime"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Duration", "duration"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", "fieldsV1"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Patch", "any"),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", "raw"),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", "any"),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray", "any"),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool", "any"),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray", "any"),
];

/// Module path of a type's package, and the type's own name.
fn locate(name: &str) -> Result<(String, &str)> {
    let rest = name.strip_prefix("io.k8s.").with_context(|| format!("{name}: not of Kubernetes"))?;
    let mut parts: Vec<&str> = rest.split('.').collect();
    let ty = parts.pop().context("an empty name")?;
    Ok((parts.join("/"), ty))
}

/// `core/v1.PodSpec` of an OpenAPI name.
fn table_name(name: &str) -> Result<String> {
    let (dir, ty) = locate(name)?;
    let mut parts = dir.rsplit('/');
    let (version, group) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    Ok(format!("{group}/{version}.{ty}"))
}

/// A `type` block.
pub struct TypeRow {
    pub name: String,
    attributes: Vec<String>,
    fields: Vec<FieldRow>,
    pub sources: Vec<String>,
}

struct FieldRow {
    name: String,
    number: String,
    ty: String,
    attributes: Vec<String>,
}

impl TypeRow {
    /// The row of a schema; `None` for special forms.
    pub fn build(name: &str, schema: &Value, sources: &mut Sources) -> Result<Option<Self>> {
        if SPECIAL.iter().any(|(special, _)| *special == name) {
            return Ok(None);
        }
        let (dir, ty) = locate(name)?;
        let go = flatten(sources, &dir, ty, &[])?;
        let mut row =
            Self { name: table_name(name)?, attributes: Vec::new(), fields: vec![], sources: vec![] };
        row.sources.extend(sources.go(&dir)?.sources.iter().cloned());
        let (messages, label) = sources.proto(&dir)?;
        if messages.contains_key(ty) {
            row.sources.push(label);
            row.attributes.push(format!("proto=k8s.io.{}.{ty}", dir.replace('/', ".").replace('-', "_")));
        }
        row.attributes.extend(type_attributes(schema));
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let known = go.iter().find(|f| f.field.json == *field);
            let known = known.with_context(|| format!("{name}.{field}: no Go field"))?;
            known.verify(sources, &dir, ty).with_context(|| format!("{name}.{field}"))?;
            let is_required = required.iter().any(|r| r == field);
            row.fields.push(FieldRow::build(field, property, known, is_required)?);
        }
        Ok(Some(row))
    }

    /// Name of the table file it belongs to.
    pub fn file(&self) -> String {
        let package = self.name.rsplit_once('.').map_or(self.name.as_str(), |(package, _)| package);
        package.replace('/', "_")
    }
}

impl fmt::Display for TypeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "type {}", self.name)?;
        self.attributes.iter().try_for_each(|a| write!(f, " {a}"))?;
        writeln!(f)?;
        for field in &self.fields {
            write!(f, "{} {} {}", field.name, field.number, field.ty)?;
            field.attributes.iter().try_for_each(|a| write!(f, " {a}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

fn type_attributes(schema: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for gvk in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
        let part = |key: &str| gvk[key].as_str().unwrap_or_default().to_owned();
        // The kinds every group version repeats are listed by whoever writes a document.
        if ["DeleteOptions", "WatchEvent"].contains(&part("kind").as_str()) {
            continue;
        }
        let group = part("group");
        let prefix = if group.is_empty() { String::new() } else { format!("{group}/") };
        out.push(format!("kind={prefix}{}.{}", part("version"), part("kind")));
    }
    if let Some(map) = schema["x-kubernetes-map-type"].as_str() {
        out.push(format!("map={map}"));
    }
    if schema["x-kubernetes-unions"].is_array() {
        out.push(format!("unions={}", schema["x-kubernetes-unions"]));
    }
    out
}

/// A Go field with its path through inlined messages.
#[derive(Debug)]
struct Flat {
    field: GoField,
    numbers: Vec<u32>,
}

impl Flat {
    fn number(&self) -> String {
        if self.numbers.is_empty() {
            return "-".into();
        }
        self.numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
    }

    /// The numbers lead to a field in `generated.proto`.
    fn verify(&self, sources: &mut Sources, dir: &str, ty: &str) -> Result<()> {
        let mut message = ty.to_owned();
        for number in &self.numbers {
            let (messages, _) = sources.proto(dir)?;
            let found = messages.get(&message).and_then(|m| m.fields.get(number));
            let Some(found) = found else { bail!("{message} has no field {number} in generated.proto") };
            message = found.ty.rsplit('.').next().unwrap_or_default().to_owned();
        }
        Ok(())
    }
}

fn flatten(sources: &mut Sources, dir: &str, ty: &str, outer: &[u32]) -> Result<Vec<Flat>> {
    let package = sources.go(dir)?;
    let fields = package.structs.get(ty).with_context(|| format!("{dir}: no struct {ty}"))?.clone();
    let imports = package.imports.clone();
    let mut out = Vec::new();
    for field in fields {
        let numbers = match field.number {
            Some(number) => outer.iter().copied().chain([number]).collect(),
            None => Vec::new(),
        };
        if !field.inline {
            out.push(Flat { field, numbers });
            continue;
        }
        let inner = field.ty.trim_start_matches('*');
        let (inner_dir, inner) = match inner.split_once('.') {
            None => (dir.to_owned(), inner),
            Some((alias, name)) => {
                let path = imports.get(alias).with_context(|| format!("{dir}: import {alias}"))?;
                (path.clone(), name)
            }
        };
        let same_message = field.number.is_none();
        out.extend(
            flatten(sources, &inner_dir, inner, if same_message { &[] } else { &numbers })?.into_iter().map(
                |mut flat| {
                    if same_message {
                        flat.numbers = Vec::new();
                    }
                    flat
                },
            ),
        );
    }
    Ok(out)
}

impl FieldRow {
    fn build(name: &str, property: &Value, flat: &Flat, required: bool) -> Result<Self> {
        let ty = type_word(property).with_context(|| format!("type of {name}"))?;
        let mut attributes = Vec::new();
        if required {
            attributes.push("required".to_owned());
        }
        let go = &flat.field;
        let structured = ty.contains('/')
            || ["quantity", "intOrString", "time", "microTime", "duration", "raw", "fieldsV1"]
                .contains(&ty.as_str());
        let structured = structured && !ty.starts_with('[') && !ty.starts_with("map[");
        let omitted = go.omit_zero || (go.omit_empty && !structured);
        if !go.is_pointer() {
            attributes.push(if omitted { "zero=dropped" } else { "zero=shown" }.to_owned());
        }
        attributes.extend(field_attributes(property));
        attributes.extend(default_attribute(&property["default"], &ty, go.is_pointer() || omitted));
        Ok(Self { name: name.to_owned(), number: flat.number(), ty, attributes })
    }
}

fn field_attributes(property: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let words = |value: &Value| -> String {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
    };
    if let Some(list) = property["x-kubernetes-list-type"].as_str() {
        let keys = words(&property["x-kubernetes-list-map-keys"]);
        out.push(if keys.is_empty() { format!("list={list}") } else { format!("list={list}:{keys}") });
    }
    if let Some(map) = property["x-kubernetes-map-type"].as_str() {
        out.push(format!("map={map}"));
    }
    if let Some(strategy) = property["x-kubernetes-patch-strategy"].as_str() {
        let key = property["x-kubernetes-patch-merge-key"].as_str();
        out.push(key.map_or(format!("patch={strategy}"), |key| format!("patch={strategy}:{key}")));
    }
    out
}

/// A default that does not follow from the type: zero values shown by a non-pointer do.
fn default_attribute(default: &Value, ty: &str, hidden: bool) -> Option<String> {
    let zero = *default == "" || *default == 0 || *default == false;
    let structure = ty.contains('/') || default.as_object().is_some_and(|o| o.is_empty());
    let follows = default.is_null() || structure || (zero && !hidden);
    (!follows).then(|| format!("default={default}"))
}

fn type_word(property: &Value) -> Result<String> {
    let reference = property["$ref"].as_str().or_else(|| property["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference {
        let name = reference.rsplit('/').next().unwrap_or_default();
        if let Some((_, word)) = SPECIAL.iter().find(|(special, _)| *special == name) {
            return Ok((*word).to_owned());
        }
        return table_name(name);
    }
    let word = match (property["type"].as_str(), property["format"].as_str()) {
        (Some("string"), None) => "string",
        (Some("string"), Some("byte")) => "bytes",
        (Some("boolean"), None) => "bool",
        (Some("integer"), Some("int32")) => "int32",
        (Some("integer"), Some("int64")) => "int64",
        (Some("number"), Some("double")) => "double",
        (Some("array"), None) => return Ok(format!("[]{}", type_word(&property["items"])?)),
        (Some("object"), None) if property["additionalProperties"].is_object() => {
            return Ok(format!("map[]{}", type_word(&property["additionalProperties"])?));
        }
        other => bail!("no table word for {other:?}"),
    };
    Ok(word.to_owned())
}
