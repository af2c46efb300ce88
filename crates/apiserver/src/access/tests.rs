//! AS-16, AS-47: the index equals a naive walk, the escalation check equals brute force.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::decide::{decide, denied};
use super::index::{Compiled, Index, Kind, Layer, ObjectKey, key};
use super::review::{About, access_review, rules_review};
use super::rule::{Rule, uncovered};
use super::*;
use crate::identity::Identity;

fn compile(objects: &[(Kind, Value)]) -> Vec<(ObjectKey, Compiled)> {
    let text = |o: &Value, k: &str| o["metadata"][k].as_str().unwrap_or_default().to_owned();
    objects
        .iter()
        .map(|(kind, o)| (key(*kind, &text(o, "namespace"), &text(o, "name")), Compiled::of(*kind, o)))
        .collect()
}

fn layer(objects: &[(Kind, Value)]) -> Layer {
    let compiled = compile(objects);
    Layer::new(compiled.iter().map(|(k, c)| (k, c)))
}

/// An index over bootstrap policy and these objects.
fn index(own: &[(Kind, Value)], deleted: &[ObjectKey]) -> Index {
    let own_layer = layer(own);
    let base = Layer::base();
    let changed = |k: &&ObjectKey| own_layer.keys().contains(*k) || deleted.contains(k);
    let hidden: HashSet<ObjectKey> = base.keys().iter().filter(changed).cloned().collect();
    Index::new(Layer::base(), own_layer, hidden)
}

fn pods<'a>(verb: &'a str, namespace: &'a str) -> Attributes<'a> {
    Attributes { verb, version: "v1", resource: "pods", namespace, ..Attributes::default() }
}

fn may(index: &Index, who: &Identity, a: &Attributes<'_>) -> bool {
    decide(index, who, a).allowed
}

/// Z1: bootstrap policy, masters, system identities, and what the tenant deletes or replaces.
#[test]
fn bootstrap_policy_holds_until_the_tenant_changes_it() {
    let jane = Identity::user("jane", []);
    let owner = Identity::user("hub:credential:owner", ["hub:role:admins".to_owned()]);
    let master = Identity::user("root", [MASTERS.to_owned()]);
    let plain = index(&[], &[]);
    assert!(may(&plain, &owner, &pods("delete", "a")) && may(&plain, &master, &pods("delete", "a")));
    assert!(!may(&plain, &jane, &pods("list", "a")));
    assert!(may(&plain, &jane, &Attributes::path("get", "/apis/apps")), "discovery");
    assert!(may(&plain, &Identity::anonymous(), &Attributes::path("get", "/version")));
    assert!(!may(&plain, &Identity::anonymous(), &Attributes::path("get", "/apis")));
    let controller = Identity::controller("deployment-controller");
    let sets = Attributes {
        verb: "create",
        group: "apps",
        resource: "replicasets",
        namespace: "x",
        ..Attributes::default()
    };
    assert!(may(&plain, &controller, &sets) && !may(&plain, &controller, &pods("create", "x")));

    let gone = [key(Kind::ClusterRoleBinding, "", "hub:role:admins")];
    let removed = index(&[], &gone);
    assert!(!may(&removed, &owner, &pods("list", "a")), "a removed binding means it");
    assert!(may(&removed, &Identity::system("syncer"), &pods("list", "a")), "no RBAC denies the system");
    let emptied =
        index(&[(Kind::ClusterRole, json!({ "metadata": { "name": "cluster-admin" }, "rules": [] }))], &[]);
    assert!(!may(&emptied, &owner, &pods("list", "a")));
    let roleless = index(&[], &[key(Kind::ClusterRole, "", "cluster-admin")]);
    let decision = decide(&roleless, &owner, &pods("list", "a"));
    assert_eq!(decision.reason, r#"RBAC: clusterrole.rbac.authorization.k8s.io "cluster-admin" not found"#);
}

#[test]
fn a_denial_is_upstreams_sentence() {
    let jane = Identity::user("jane", []);
    let sentence = |a: Attributes<'_>| denied(&jane, &a, "").0;
    assert_eq!(
        sentence(pods("list", "y")),
        r#"User "jane" cannot list resource "pods" in API group "" in the namespace "y""#
    );
    let scale = Attributes {
        verb: "patch",
        group: "apps",
        resource: "deployments",
        subresource: "scale",
        ..Attributes::default()
    };
    assert_eq!(
        sentence(scale),
        r#"User "jane" cannot patch resource "deployments/scale" in API group "apps" at the cluster scope"#
    );
    assert_eq!(sentence(Attributes::path("get", "/metrics")), r#"User "jane" cannot get path "/metrics""#);
}

fn role(name: &str, rules: Value) -> (Kind, Value) {
    (Kind::Role, json!({ "kind": "Role", "metadata": { "namespace": "a", "name": name }, "rules": rules }))
}

fn binding(name: &str, role: &str, subject: Value) -> (Kind, Value) {
    let role_ref = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role });
    let object = json!({
        "kind": "RoleBinding", "metadata": { "namespace": "a", "name": name }, "roleRef": role_ref, "subjects": [subject],
    });
    (Kind::RoleBinding, object)
}

/// AS-47: access and rules reviews.
#[test]
fn reviews_tell_what_and_why() {
    let rules =
        json!([{ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["web"] }]);
    let index = index(&[role("r", rules), binding("b", "r", json!({ "kind": "User", "name": "jane" }))], &[]);
    let jane = Identity::user("jane", []);
    let ask = |name: &str| {
        let spec = json!({ "resourceAttributes": { "verb": "get", "resource": "pods", "namespace": "a", "name": name } });
        access_review(&index, &jane, About::Caller, "", json!({ "spec": spec })).unwrap()["status"].clone()
    };
    assert_eq!(
        ask("web"),
        json!({ "allowed": true, "reason": r#"RBAC: allowed by RoleBinding "b/a" of Role "r" to User "jane""# })
    );
    assert_eq!(ask("db"), json!({ "allowed": false }));
    let refuse =
        |about, spec: Value| access_review(&index, &jane, about, "a", json!({ "spec": spec })).unwrap_err();
    assert_eq!(refuse(About::Caller, json!({})).details.causes[0].field, "spec.resourceAttributes");
    assert_eq!(
        refuse(About::Anybody, json!({ "nonResourceAttributes": {} })).details.causes[0].field,
        "spec.user"
    );
    let elsewhere = json!({ "user": "x", "resourceAttributes": { "namespace": "b" } });
    assert_eq!(refuse(About::AnybodyIn, elsewhere).code, 422);
    let claimed = json!({ "user": "x", "groups": ["skerry:system"], "resourceAttributes": { "verb": "get", "resource": "pods" } });
    let claimed = access_review(&index, &jane, About::Anybody, "", json!({ "spec": claimed })).unwrap();
    assert_eq!(claimed["status"]["allowed"], false);
    let listed = rules_review(&index, &jane, json!({ "spec": { "namespace": "a" } })).unwrap();
    let of_pods = listed["status"]["resourceRules"]
        .as_array()
        .unwrap()
        .iter()
        .any(|r| r["resourceNames"] == json!(["web"]));
    assert!(of_pods && listed["status"]["nonResourceRules"].as_array().is_some_and(|r| !r.is_empty()));
}

/// Z1: nobody grants what they lack, unless allowed to bind or escalate.
#[test]
fn nobody_grants_more_than_they_hold() {
    let of = |resource: &str, verbs: Value| json!([{ "verbs": verbs, "apiGroups": [""], "resources": [resource] }]);
    let mut held = of("pods", json!(["get", "list"]));
    held.as_array_mut().unwrap().push(
        json!({ "verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "resourceNames": ["free"] }),
    );
    let own = [
        role("held", held),
        role("more", of("secrets", json!(["get"]))),
        role("free", of("secrets", json!(["*"]))),
        binding("b", "held", json!({ "kind": "ServiceAccount", "name": "robot" })),
    ];
    let index = index(&own, &[]);
    let robot = Identity::service_account("a", "robot", "");
    let check = |object: &Value| escalation::check(&index, &robot, object, None);
    assert_eq!(check(&role("new", of("pods", json!(["get"]))).1), Ok(()));
    let refused = check(&role("new", of("secrets", json!(["get", "list"]))).1).unwrap_err();
    assert!(
        refused.message.ends_with(r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}"#),
        "{}",
        refused.message
    );
    let to = json!({ "kind": "User", "name": "friend" });
    assert_eq!(check(&binding("n", "held", to.clone()).1), Ok(()), "all of it is held");
    assert_eq!(check(&binding("n", "more", to.clone()).1).unwrap_err().code, 403);
    assert_eq!(check(&binding("n", "free", to.clone()).1), Ok(()));
    assert_eq!(check(&binding("n", "none", to).1).unwrap_err().code, 404);
    let owned = role("more", of("secrets", json!(["get"]))).1;
    let mut released = owned.clone();
    released["metadata"]["finalizers"] = json!(["x"]);
    assert_eq!(escalation::check(&index, &robot, &released, Some(&owned)), Ok(()), "collection is no grant");
    let all = json!({ "kind": "ClusterRole", "metadata": { "name": "agg" }, "rules": [],
        "aggregationRule": { "clusterRoleSelectors": [{ "matchLabels": { "a": "b" } }] } });
    assert_eq!(check(&all).unwrap_err().code, 403);
    let owner = Identity::user("o", ["hub:role:admins".to_owned()]);
    assert_eq!(escalation::check(&index, &owner, &all, None), Ok(()));
}

const VERBS: [&str; 3] = ["get", "list", "*"];
const GROUPS: [&str; 3] = ["", "apps", "*"];
const RESOURCES: [&str; 6] = ["pods", "pods/log", "sets", "*/scale", "sets/scale", "*"];
const NAMES: [&str; 2] = ["x", "y"];
const URLS: [&str; 4] = ["/a", "/a/*", "/b", "*"];
const SPACES: [&str; 3] = ["", "n1", "n2"];
const SUBJECTS: [(&str, &str); 5] =
    [("User", "u1"), ("User", "u2"), ("Group", "g1"), ("Group", "g2"), ("ServiceAccount", "s")];

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(of, 0..=of.len().min(2))
}

fn any_rule() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (some(&VERBS), some(&GROUPS), some(&RESOURCES), some(&NAMES)).prop_map(|(v, g, r, n)| {
            json!({ "verbs": v, "apiGroups": g, "resources": r, "resourceNames": n })
        }),
        1 => (some(&VERBS), some(&URLS)).prop_map(|(v, u)| json!({ "verbs": v, "nonResourceURLs": u })),
    ]
}

fn any_object() -> impl Strategy<Value = (Kind, Value)> {
    let space = prop::sample::select(&SPACES[..]);
    let name = prop::sample::select(&["r1", "r2", "r3"][..]);
    let subject = prop::sample::select(&SUBJECTS[..]).prop_flat_map(|(kind, name)| {
        prop::sample::select(&SPACES[..])
            .prop_map(move |ns| json!({ "kind": kind, "name": name, "namespace": ns }))
    });
    let role_of = |ns: &str| if ns.is_empty() { Kind::ClusterRole } else { Kind::Role };
    prop_oneof![
        (space.clone(), name.clone(), prop::collection::vec(any_rule(), 0..3)).prop_map(move |(ns, name, rules)| {
            (role_of(ns), json!({ "metadata": { "name": name, "namespace": ns }, "rules": rules }))
        }),
        (space, name.clone(), name, any::<bool>(), prop::collection::vec(subject, 0..3)).prop_map(
            |(ns, name, role, cluster, subjects)| {
                let is_cluster = ns.is_empty();
                let kind = if is_cluster { Kind::ClusterRoleBinding } else { Kind::RoleBinding };
                let to = if cluster || is_cluster { "ClusterRole" } else { "Role" };
                let role_ref = json!({ "kind": to, "name": role });
                (kind, json!({ "metadata": { "name": name, "namespace": ns }, "roleRef": role_ref, "subjects": subjects }))
            }
        ),
    ]
}

/// The last of equal keys counts, as in a store.
fn unique(objects: Vec<(Kind, Value)>) -> Vec<(Kind, Value)> {
    let mut out: Vec<(Kind, Value)> = Vec::new();
    for (kind, object) in objects {
        out.retain(|(k, o)| (*k, &o["metadata"]) != (kind, &object["metadata"]));
        out.push((kind, object));
    }
    out
}

/// Written apart from the index: objects are walked as they are.
fn naive(objects: &[(Kind, Value)], who: &Identity, a: &Attributes<'_>) -> bool {
    let rules: Vec<&Value> = naive_rules(objects, who, a.namespace);
    let holds = |rule: &Value, key: &str, want: &str| {
        rule[key].as_array().is_some_and(|l| l.iter().any(|w| w == want || w == "*"))
    };
    rules.into_iter().any(|rule| {
        if !holds(rule, "verbs", a.verb) {
            return false;
        }
        if let Some(path) = a.path {
            return rule["nonResourceURLs"].as_array().into_iter().flatten().filter_map(Value::as_str).any(
                |url| url == path || url.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix)),
            );
        }
        let resource = if a.subresource.is_empty() {
            a.resource.to_owned()
        } else {
            format!("{}/{}", a.resource, a.subresource)
        };
        let any_of = format!("*/{}", a.subresource);
        let by_resource = holds(rule, "resources", &resource)
            || (!a.subresource.is_empty() && holds(rule, "resources", &any_of));
        let names = rule["resourceNames"].as_array().filter(|n| !n.is_empty());
        holds(rule, "apiGroups", a.group)
            && by_resource
            && names.is_none_or(|n| n.iter().any(|n| n == a.name))
    })
}

fn naive_rules<'a>(objects: &'a [(Kind, Value)], who: &Identity, namespace: &str) -> Vec<&'a Value> {
    let bindings = objects.iter().filter(|(kind, o)| match kind {
        Kind::ClusterRoleBinding => true,
        Kind::RoleBinding => !namespace.is_empty() && o["metadata"]["namespace"] == namespace,
        _ => false,
    });
    let reaches = |o: &Value| {
        o["subjects"].as_array().into_iter().flatten().any(|s| {
            let name = s["name"].as_str().unwrap_or_default();
            match s["kind"].as_str() {
                Some("User") => name == who.user,
                Some("Group") => who.groups.iter().any(|g| g == name),
                _ => {
                    let of = [&s["namespace"], &o["metadata"]["namespace"]];
                    let ns = of.into_iter().filter_map(Value::as_str).find(|n| !n.is_empty());
                    ns.is_some_and(|ns| who.user == format!("system:serviceaccount:{ns}:{name}"))
                }
            }
        })
    };
    let roles = bindings.filter(|(_, o)| reaches(o)).filter_map(|(_, o)| {
        objects.iter().find(|(kind, r)| {
            let by_name = r["metadata"]["name"] == o["roleRef"]["name"];
            match kind {
                Kind::ClusterRole => by_name && o["roleRef"]["kind"] == "ClusterRole",
                Kind::Role => {
                    by_name
                        && o["roleRef"]["kind"] == "Role"
                        && r["metadata"]["namespace"] == o["metadata"]["namespace"]
                }
                _ => false,
            }
        })
    });
    roles.flat_map(|(_, role)| role["rules"].as_array().into_iter().flatten()).collect()
}

fn identities() -> Vec<Identity> {
    let bare = |user: &str, groups: &[&str]| Identity {
        user: user.into(),
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        ..Identity::default()
    };
    vec![
        bare("u1", &[]),
        bare("u2", &["g1"]),
        bare("u3", &["g1", "g2"]),
        bare("system:serviceaccount:n1:s", &[]),
        bare("system:serviceaccount:n2:s", &["g2"]),
    ]
}

fn requests() -> Vec<Attributes<'static>> {
    let mut out = Vec::new();
    for verb in ["get", "list", "delete"] {
        for path in ["/a", "/a/b", "/b", "/c"] {
            out.push(Attributes::path(verb, path));
        }
        for group in ["", "apps"] {
            for (resource, subresource) in [("pods", ""), ("pods", "log"), ("sets", ""), ("sets", "scale")] {
                for (namespace, name) in [("", ""), ("n1", "x"), ("n2", "y"), ("n1", "")] {
                    out.push(Attributes {
                        verb,
                        group,
                        resource,
                        subresource,
                        namespace,
                        name,
                        ..Attributes::default()
                    });
                }
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// AS-16: the index equals a naive walk, however objects are split between base and own.
    #[test]
    fn the_index_equals_a_naive_walk(
        base in prop::collection::vec(any_object(), 0..12),
        own in prop::collection::vec(any_object(), 0..12),
        deleted in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let base = unique(base);
        let own = unique(own);
        let same = |a: &(Kind, Value), b: &(Kind, Value)| (a.0, &a.1["metadata"]) == (b.0, &b.1["metadata"]);
        let gone: Vec<&(Kind, Value)> = deleted.iter().filter(|_| !base.is_empty()).map(|i| &base[i.index(base.len())]).collect();
        let hidden: Vec<(Kind, Value)> =
            base.iter().filter(|b| own.iter().any(|o| same(o, b)) || gone.contains(b)).cloned().collect();
        let mut all: Vec<(Kind, Value)> = base.iter().filter(|b| !hidden.contains(b)).cloned().collect();
        all.extend(own.iter().cloned());
        let hidden = compile(&hidden).into_iter().map(|(k, _)| k).collect();
        let index = Index::new(Arc::new(layer(&base)), layer(&own), hidden);
        for who in identities() {
            for a in requests() {
                prop_assert_eq!(may(&index, &who, &a), naive(&all, &who, &a), "{} {:?} {:?}", who.user, a, all);
            }
        }
    }

    /// AS-16: what the escalation check lets pass allows nothing that was not allowed before.
    #[test]
    fn what_is_covered_allows_nothing_new(
        held in prop::collection::vec(any_rule(), 0..4),
        wanted in any_rule(),
    ) {
        let held: Vec<Rule> = held.iter().map(Rule::from_value).collect();
        let wanted = Rule::from_value(&wanted);
        let is_covered = uncovered(&held.iter().collect::<Vec<_>>(), [&wanted]).is_empty();
        let brute = requests().iter().filter(|a| wanted.allows(a)).all(|a| held.iter().any(|h| h.allows(a)));
        if is_covered {
            prop_assert!(brute);
        }
        prop_assert!(uncovered(&[&wanted], [&wanted]).is_empty());
    }
}
