//! One `PolicyRule`: what it allows, what it covers, how it reads.

use serde_json::{Map, Value, json};

use super::Attributes;

type Words = Box<[Box<str>]>;

/// A rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// Verbs.
    pub verbs: Words,
    /// API groups.
    pub groups: Words,
    /// Resources, with subresources as `pods/log` or `*/scale`.
    pub resources: Words,
    /// Names; none for all.
    pub names: Words,
    /// Paths; then the rule is about no resource.
    pub urls: Words,
}

fn words<'a>(items: impl IntoIterator<Item = &'a str>) -> Words {
    items.into_iter().map(Box::from).collect()
}

fn has(set: &[Box<str>], word: &str) -> bool {
    set.iter().any(|w| &**w == word)
}

fn has_or_all(set: &[Box<str>], word: &str) -> bool {
    set.iter().any(|w| &**w == "*" || &**w == word)
}

fn url_covers(owner: &str, url: &str) -> bool {
    owner == url || (owner.ends_with('*') && url.starts_with(owner.trim_end_matches('*')))
}

impl Rule {
    /// A rule about resources.
    pub fn resources(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> Self {
        Self {
            verbs: words(verbs.iter().copied()),
            groups: words(groups.iter().copied()),
            resources: words(resources.iter().copied()),
            names: words(names.iter().copied()),
            urls: Words::default(),
        }
    }

    /// A rule about paths.
    pub fn urls(verbs: &[&str], urls: &[&str]) -> Self {
        Self { verbs: words(verbs.iter().copied()), urls: words(urls.iter().copied()), ..Self::default() }
    }

    /// Reads a `PolicyRule`.
    pub fn from_value(value: &Value) -> Self {
        let list = |key: &str| words(value[key].as_array().into_iter().flatten().filter_map(Value::as_str));
        Self {
            verbs: list("verbs"),
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            urls: list("nonResourceURLs"),
        }
    }

    /// Reads the `rules` of a role.
    pub fn list_of(role: &Value) -> Box<[Self]> {
        role["rules"].as_array().into_iter().flatten().map(Self::from_value).collect()
    }

    /// As a `PolicyRule`.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        let Self { verbs, groups, resources, names, urls } = self;
        let rows = [
            ("apiGroups", groups),
            ("resources", resources),
            ("resourceNames", names),
            ("nonResourceURLs", urls),
        ];
        for (key, list) in rows.into_iter().filter(|(_, list)| !list.is_empty()) {
            out.insert(key.into(), json!(list));
        }
        out.insert("verbs".into(), json!(verbs));
        out.into()
    }

    /// Whether the rule allows a request.
    pub fn allows(&self, a: &Attributes<'_>) -> bool {
        if !has_or_all(&self.verbs, a.verb) {
            return false;
        }
        match a.path {
            Some(path) => self.urls.iter().any(|url| &**url == "*" || url_covers(url, path)),
            None => {
                has_or_all(&self.groups, a.group)
                    && self.resources.iter().any(|r| resource_matches(r, a.resource, a.subresource))
                    && (self.names.is_empty() || has(&self.names, a.name))
            }
        }
    }

    /// Whether it covers a rule of one verb, group, resource and name at most.
    fn covers(&self, atom: &Self) -> bool {
        let all = |set: &[Box<str>], of: &[Box<str>]| has(set, "*") || of.iter().all(|w| has(set, w));
        let resource = |path: &str| {
            has(&self.resources, "*")
                || has(&self.resources, path)
                || path.split_once('/').is_some_and(|(_, sub)| has(&self.resources, &format!("*/{sub}")))
        };
        all(&self.verbs, &atom.verbs)
            && all(&self.groups, &atom.groups)
            && atom.resources.iter().all(|path| resource(path))
            && (self.names.is_empty()
                || (!atom.names.is_empty() && atom.names.iter().all(|n| has(&self.names, n))))
            && atom.urls.iter().all(|url| self.urls.iter().any(|own| url_covers(own, url)))
    }

    /// The smallest rules it consists of.
    fn atoms(&self) -> Vec<Self> {
        let mut out = Vec::new();
        let any_name = [Box::from("")];
        let names: &[Box<str>] = if self.names.is_empty() { &any_name } else { &self.names };
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    for name in names {
                        let names: &[&str] = if self.names.is_empty() { &[] } else { &[name] };
                        out.push(Self::resources(&[verb], &[group], &[resource], names));
                    }
                }
            }
        }
        for url in &self.urls {
            for verb in &self.verbs {
                out.push(Self::urls(&[verb], &[url]));
            }
        }
        out
    }

    /// As upstream writes a rule into a refusal: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`.
    pub fn compact(&self) -> String {
        let Self { verbs, groups, resources, names, urls } = self;
        let rows = [
            ("APIGroups", groups),
            ("Resources", resources),
            ("NonResourceURLs", urls),
            ("ResourceNames", names),
            ("Verbs", verbs),
        ];
        let parts: Vec<String> = rows
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(name, list)| {
                let quoted: Vec<String> = list.iter().map(|w| format!("{w:?}")).collect();
                format!("{name}:[{}]", quoted.join(" "))
            })
            .collect();
        format!("{{{}}}", parts.join(", "))
    }
}

fn resource_matches(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == "*" {
        return true;
    }
    match rule.split_once('/') {
        None => subresource.is_empty() && rule == resource,
        Some((of, sub)) => !subresource.is_empty() && sub == subresource && (of == "*" || of == resource),
    }
}

/// What of `wanted` is not covered by `held`, in its smallest parts.
pub fn uncovered<'a>(held: &[&Rule], wanted: impl IntoIterator<Item = &'a Rule>) -> Vec<Rule> {
    let atoms = wanted.into_iter().flat_map(Rule::atoms);
    atoms.filter(|atom| !held.iter().any(|rule| rule.covers(atom))).collect()
}

/// Joins parts that differ by their verb only, for people.
pub fn joined(atoms: Vec<Rule>) -> Vec<Rule> {
    let mut out: Vec<Rule> = Vec::new();
    for atom in atoms {
        let same = |r: &&mut Rule| {
            atom.urls.is_empty()
                && r.urls.is_empty()
                && r.groups == atom.groups
                && r.resources == atom.resources
                && r.names == atom.names
        };
        match out.iter_mut().find(same) {
            Some(rule) => rule.verbs = rule.verbs.iter().chain(&*atom.verbs).cloned().collect(),
            None => out.push(atom),
        }
    }
    out
}

/// Whether a structured label selector holds of labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let by_value = selector["matchLabels"].as_object().into_iter().flatten().all(|(k, v)| labels[k] == *v);
    let by_expression = |e: &Value| {
        let label = &labels[e["key"].as_str().unwrap_or_default()];
        let is_in = || e["values"].as_array().into_iter().flatten().any(|v| v == label);
        match e["operator"].as_str() {
            Some("In") => is_in(),
            Some("NotIn") => !is_in(),
            Some("Exists") => !label.is_null(),
            Some("DoesNotExist") => label.is_null(),
            _ => false,
        }
    };
    by_value && selector["matchExpressions"].as_array().into_iter().flatten().all(by_expression)
}

/// The rules an aggregated ClusterRole has: those of the roles its selectors name, in order of their names, each once.
/// `None` where the role aggregates nothing.
pub fn aggregate<'a>(role: &Value, all: impl IntoIterator<Item = &'a Value>) -> Option<Vec<Value>> {
    let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array().filter(|s| !s.is_empty())?;
    let own = &role["metadata"]["name"];
    let mut chosen: Vec<&Value> = all
        .into_iter()
        .filter(|r| r["metadata"]["name"] != *own)
        .filter(|r| selectors.iter().any(|s| selects(s, &r["metadata"]["labels"])))
        .collect();
    chosen.sort_by_key(|r| r["metadata"]["name"].as_str());
    let mut rules: Vec<Value> = Vec::new();
    for rule in chosen.into_iter().flat_map(|r| r["rules"].as_array().into_iter().flatten()) {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    Some(rules)
}
