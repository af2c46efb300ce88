//! Bootstrap RBAC: read from its table into the objects of the base image (K11).

use serde_json::{Map, Value, json};

use super::rule::{Rule, aggregate};

const TABLE: &str = include_str!("../../schemas/overlay/rbac.tbl");
const API_VERSION: &str = "rbac.authorization.k8s.io/v1";
const GROUP: &str = "rbac.authorization.k8s.io";

/// Roles that credentials of the manager map to (tenancy A1): group, ClusterRole.
const HUB_ROLES: [(&str, &str); 3] =
    [("hub:role:admins", "cluster-admin"), ("hub:role:editors", "edit"), ("hub:role:viewers", "view")];

/// A line of the table that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("rbac table, line {0}")]
pub struct TableError(usize);

/// All bootstrap objects: ClusterRoles with aggregated rules filled in, Roles, ClusterRoleBindings, RoleBindings.
pub fn objects() -> Result<Vec<Value>, TableError> {
    let mut out = parse(TABLE)?;
    for (group, role) in HUB_ROLES {
        let mut binding = object("ClusterRoleBinding", None, group, true);
        binding["roleRef"] = role_ref("ClusterRole", role);
        binding["subjects"] = json!([subject(&format!("group:{group}"))]);
        out.push(binding);
    }
    // An aggregated role may aggregate others: as many passes as the chain is long.
    loop {
        let filled: Vec<(usize, Vec<Value>)> = out
            .iter()
            .enumerate()
            .filter_map(|(i, role)| {
                aggregate(role, out.iter().filter(|o| o["kind"] == "ClusterRole")).map(|r| (i, r))
            })
            .filter(|(i, rules)| out[*i]["rules"] != Value::from(rules.clone()))
            .collect();
        if filled.is_empty() {
            return Ok(out);
        }
        for (i, rules) in filled {
            out[i]["rules"] = rules.into();
        }
    }
}

fn object(kind: &str, namespace: Option<&str>, name: &str, is_binding_of_ours: bool) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".into(), name.into());
    if let Some(namespace) = namespace {
        metadata.insert("namespace".into(), namespace.into());
    }
    if !is_binding_of_ours {
        metadata
            .insert("annotations".into(), json!({ "rbac.authorization.kubernetes.io/autoupdate": "true" }));
        metadata.insert("labels".into(), json!({ "kubernetes.io/bootstrapping": "rbac-defaults" }));
    }
    json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": metadata })
}

fn role_ref(kind: &str, name: &str) -> Value {
    json!({ "apiGroup": GROUP, "kind": kind, "name": name })
}

fn subject(text: &str) -> Value {
    match text.split_once(':') {
        Some(("sa", account)) => {
            let (namespace, name) = account.split_once('/').unwrap_or(("", account));
            json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace })
        }
        Some(("group", name)) => json!({ "apiGroup": GROUP, "kind": "Group", "name": name }),
        Some((_, name)) => json!({ "apiGroup": GROUP, "kind": "User", "name": name }),
        None => Value::Null,
    }
}

fn parse(table: &str) -> Result<Vec<Value>, TableError> {
    let mut out: Vec<Value> = Vec::new();
    for (number, line) in table.lines().enumerate() {
        let error = || TableError(number + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(' ') {
            let rule = rule(&words).ok_or_else(error)?;
            let rules = out.last_mut().and_then(|role| role["rules"].as_array_mut()).ok_or_else(error)?;
            rules.push(rule.to_value());
        } else {
            out.push(head(&words).ok_or_else(error)?);
        }
    }
    Ok(out)
}

fn head(words: &[&str]) -> Option<Value> {
    let subjects = |from: &[&str]| -> Value { from.iter().map(|s| subject(s)).collect() };
    let mut out;
    match words {
        ["clusterrole", name, rest @ ..] => {
            out = object("ClusterRole", None, name, false);
            out["rules"] = json!([]);
            for word in rest {
                let (what, pair) = word.split_once('=')?;
                let (key, value) = pair.split_once('=')?;
                match what {
                    "label" => out["metadata"]["labels"][key] = value.into(),
                    "aggregate" => {
                        out["aggregationRule"] =
                            json!({ "clusterRoleSelectors": [{ "matchLabels": { key: value } }] });
                    }
                    _ => return None,
                }
            }
        }
        ["role", namespace, name] => {
            out = object("Role", Some(namespace), name, false);
            out["rules"] = json!([]);
        }
        ["clusterbinding", name, role, rest @ ..] => {
            out = object("ClusterRoleBinding", None, name, false);
            out["roleRef"] = role_ref("ClusterRole", role);
            if !rest.is_empty() {
                out["subjects"] = subjects(rest);
            }
        }
        ["binding", namespace, name, kind, role, rest @ ..] => {
            out = object("RoleBinding", Some(namespace), name, false);
            out["roleRef"] = role_ref(if *kind == "role" { "Role" } else { "ClusterRole" }, role);
            out["subjects"] = subjects(rest);
        }
        _ => return None,
    }
    Some(out)
}

fn rule(words: &[&str]) -> Option<Rule> {
    fn list(text: &str) -> Vec<&str> {
        text.split(',').collect()
    }
    match words {
        [verbs, "path", urls] => Some(Rule::urls(&list(verbs), &list(urls))),
        [verbs, groups, resources, rest @ ..] if rest.len() <= 1 => {
            let groups: Vec<&str> =
                list(groups).into_iter().map(|g| if g == "core" { "" } else { g }).collect();
            let names = rest.first().map(|n| list(n)).unwrap_or_default();
            Some(Rule::resources(&list(verbs), &groups, &list(resources), &names))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_and_aggregated_roles_are_filled() {
        let all = objects().unwrap();
        let count = |kind: &str| all.iter().filter(|o| o["kind"] == kind).count();
        assert_eq!((count("ClusterRole"), count("Role"), count("RoleBinding")), (69, 7, 7));
        let role = |name: &str| {
            all.iter().find(|o| o["kind"] == "ClusterRole" && o["metadata"]["name"] == name).unwrap()
        };
        let rules = |name: &str| role(name)["rules"].as_array().unwrap().len();
        assert_eq!(rules("view"), rules("system:aggregate-to-view"));
        assert_eq!(rules("edit"), rules("system:aggregate-to-edit") + rules("view"));
        assert!(rules("admin") > rules("edit"));
        assert_eq!(role("cluster-admin")["rules"][0]["apiGroups"], json!(["*"]));
        let owner = all.iter().find(|o| o["metadata"]["name"] == "hub:role:admins").unwrap();
        assert_eq!(owner["roleRef"]["name"], "cluster-admin");
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in ["what is this", "  get core pods", "clusterrole x\n  get", "clusterrole x colour=red"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
