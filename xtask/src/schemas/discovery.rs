//! Rows of discovery from the published discovery documents.

use anyhow::{Context, Result};
use serde_json::Value;

use super::sources::Sources;

const DIR: &str = "kubernetes/api/discovery";

/// A group with the versions that are on by default, the preferred one first.
pub struct Group {
    pub name: String,
    pub versions: Vec<String>,
}

impl Group {
    /// Directory of its Go types.
    pub fn dir(&self) -> &str {
        if self.name.is_empty() { "core" } else { self.name.split('.').next().unwrap_or(&self.name) }
    }
}

/// Alpha and beta versions are off by default.
fn on_by_default(version: &str) -> bool {
    !version.contains("alpha") && !version.contains("beta")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn groups(sources: &mut Sources) -> Result<Vec<Group>> {
    let mut out = vec![Group { name: String::new(), versions: vec!["v1".into()] }];
    for group in list(&sources.json(&format!("{DIR}/apis.json"))?["groups"]) {
        let versions = list(&group["versions"]).iter().map(|v| text(v, "version").to_owned());
        let versions: Vec<_> = versions.filter(|v| on_by_default(v)).collect();
        if !versions.is_empty() {
            out.push(Group { name: text(group, "name").to_owned(), versions });
        }
    }
    Ok(out)
}

pub fn groups_text(sources: &mut Sources, groups: &[Group]) -> Result<String> {
    let label = sources.label(&format!("{DIR}/apis.json"))?;
    let mut out = super::header(&[label].into());
    for group in groups {
        let name = if group.name.is_empty() { "core" } else { &group.name };
        out.push_str(&format!("group {name} {}\n", group.versions.join(" ")));
    }
    Ok(out)
}

/// Label of the document and the `resource` and `sub` lines of a group version.
pub fn resources(sources: &mut Sources, group: &Group, version: &str) -> Result<(String, String)> {
    let path = match group.name.as_str() {
        "" => format!("{DIR}/api__{version}.json"),
        name => format!("{DIR}/apis__{name}__{version}.json"),
    };
    let document = sources.json(&path)?;
    let group_name = if group.name.is_empty() { "core" } else { &group.name };
    let mut out = format!("group {group_name} {version}\n");
    for row in list(&document["resources"]) {
        let name = row["name"].as_str().with_context(|| format!("{path}: a resource without name"))?;
        out.push_str(&line(name, row));
    }
    Ok((sources.label(&path)?, out))
}

fn line(name: &str, row: &Value) -> String {
    let mut out = String::from(if name.contains('/') { "sub " } else { "resource " });
    out.push_str(name);
    let kind = match (text(row, "group"), text(row, "version")) {
        (_, "") => text(row, "kind").to_owned(),
        ("", version) => format!("{version}.{}", text(row, "kind")),
        (group, version) => format!("{group}/{version}.{}", text(row, "kind")),
    };
    out.push_str(&format!(" kind={kind}"));
    if row["namespaced"] == true {
        out.push_str(" namespaced");
    }
    let singular = text(row, "singularName");
    let hash = text(row, "storageVersionHash");
    let words = |key: &str| list(&row[key]).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
    let (verbs, short, categories) = (words("verbs"), words("shortNames"), words("categories"));
    let attributes = [
        ("singular", singular),
        ("verbs", &verbs),
        ("short", &short),
        ("categories", &categories),
        ("hash", hash),
    ];
    for (key, value) in attributes.into_iter().filter(|(_, value)| !value.is_empty()) {
        out.push_str(&format!(" {key}={value}"));
    }
    out.push('\n');
    out
}
