//! Names, proof and metadata, by the cases of section 14.

use std::collections::HashSet;

use serde_json::{Value, json};
use skerry_api::labels;

use super::*;
use crate::{
    kind::Kind,
    object::{HostObj, TenantObj},
};

const ID: &str = "tk3v2q5x2m7a";
const UID: &str = "8f0a1a52-0000-4000-8000-000000000001";

fn mapping() -> Mapping {
    Mapping::new(ID, UID)
}

/// A small generator of our own, so that a million names need no shrinking.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn text(&mut self, max: u64) -> String {
        const SET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-";
        let len = self.next() % max + 1;
        let mut out: String =
            (0..len).map(|_| char::from(SET[(self.next() % SET.len() as u64) as usize])).collect();
        out.insert(0, 'n');
        while out.ends_with('-') {
            out.pop();
        }
        out.truncate(63);
        out.trim_end_matches('-').to_owned()
    }
}

fn label_like(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// SY-30: host names that we build are short, valid and distinct; `RUN_SLOW_TESTS=1` takes a million of them.
#[test]
fn translate_sy30_names_are_short_valid_and_distinct() {
    let mut dice = Dice(0x5eed);
    let mut seen: HashSet<u64> = HashSet::with_capacity(2_000_000);
    let mut fingerprint = |text: &str| {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        seen.insert(hasher.finish())
    };
    let rounds = if std::env::var_os("RUN_SLOW_TESTS").is_some() { 1_000_000 } else { 50_000_u64 };
    for n in 0..rounds {
        let tenant = Mapping::new(&skerry_api::ids::tenant_id(&format!("uid-{}", n % 97)), "vc-uid");
        let (namespace, name) = (dice.text(63), dice.text(70));
        let namespace_uid = format!("ns-{n}");
        let host = tenant.namespace(&namespace, &namespace_uid);
        assert!(label_like(host.as_str()), "{host}");
        assert!(fingerprint(host.as_str()), "{host} twice");
        let reserved = tenant.name(Kind::ConfigMap, &namespace, &namespace_uid, &format!("skerry-{name}"));
        assert!(label_like(reserved.as_str()), "{reserved}");
        assert!(fingerprint(reserved.as_str()), "{reserved} twice");
        let cluster = tenant.cluster_name("PriorityClass.scheduling.k8s.io", &format!("{name}{n}"));
        assert!(label_like(cluster.as_str()), "{cluster}");
    }
}

/// SY-31: long, dotted and reserved names.
#[test]
fn translate_sy31_odd_names() {
    let map = mapping();
    let long = "a".repeat(253);
    assert_eq!(map.name(Kind::Pod, "web", "u1", &long).as_str(), long, "own names stay");
    assert_eq!(map.name(Kind::Secret, "web", "u1", "a.b.c").as_str(), "a.b.c");
    assert_eq!(map.name(Kind::Service, "web", "u1", "1st").as_str(), "1st");
    for (kind, namespace, name) in [
        (Kind::ConfigMap, "web", "kube-root-ca.crt"),
        (Kind::Pod, "web", "skerry-x"),
        (Kind::Service, "default", "kubernetes"),
        (Kind::ServiceAccount, "web", "default"),
    ] {
        let host = map.name(kind, namespace, "u1", name);
        assert_ne!(host.as_str(), name);
        assert!(label_like(host.as_str()), "{host}");
        let tenant = TenantObj(json!({"metadata": {"name": name, "namespace": namespace, "uid": "o1"}}));
        let host = host_object(&map, kind, &tenant, namespace, "u1");
        let origin = NamespaceOrigin { name: namespace.to_owned(), uid: "u1".to_owned() };
        let Claim::Ours(back) = map.prove(kind, &host, &origin) else { panic!("{kind:?} not proven") };
        assert_eq!((back.name.as_str(), back.uid.as_str()), (name, "o1"));
    }
    assert_eq!(map.name(Kind::Service, "web", "u1", "kubernetes").as_str(), "kubernetes");
    let longest = map.namespace(&"n".repeat(63), "u1");
    assert_eq!(longest.as_str().len(), 63);
}

fn host_object(
    map: &Mapping,
    kind: Kind,
    tenant: &TenantObj,
    namespace: &str,
    namespace_uid: &str,
) -> HostObj {
    let mut meta = serde_json::Map::new();
    let name = tenant.0["metadata"]["name"].as_str().unwrap_or_default();
    meta.insert("name".to_owned(), json!(map.name(kind, namespace, namespace_uid, name).as_str()));
    meta.insert("namespace".to_owned(), json!(map.namespace(namespace, namespace_uid).as_str()));
    map.stamp(&mut meta, kind, tenant);
    HostObj(json!({"metadata": meta}))
}

/// NM5: anything less than the full proof is foreign.
#[test]
fn translate_proof_needs_every_part() {
    let map = mapping();
    let tenant = TenantObj(json!({"metadata": {"name": "a", "namespace": "web", "uid": "o1"}}));
    let good = host_object(&map, Kind::Pod, &tenant, "web", "u1");
    let origin = NamespaceOrigin { name: "web".to_owned(), uid: "u1".to_owned() };
    assert!(matches!(map.prove(Kind::Pod, &good, &origin), Claim::Ours(_)));
    let edits: [(&str, Value); 6] = [
        ("/metadata/labels/skerry.dev~1tenant", json!("tother")),
        ("/metadata/annotations/skerry.dev~1uid", json!("other")),
        ("/metadata/annotations/skerry.dev~1origin-name", json!("b")),
        ("/metadata/annotations/skerry.dev~1origin-namespace", json!("other")),
        ("/metadata/annotations/skerry.dev~1origin-kind", json!("Service")),
        ("/metadata/name", json!("b")),
    ];
    for (path, value) in edits {
        let mut bad = good.clone();
        *bad.0.pointer_mut(path).expect(path) = value;
        assert_eq!(map.prove(Kind::Pod, &bad, &origin), Claim::Foreign, "{path}");
    }
    assert_eq!(map.prove(Kind::Service, &good, &origin), Claim::Foreign);
    let older = NamespaceOrigin { name: "web".to_owned(), uid: "u0".to_owned() };
    assert_eq!(map.prove(Kind::Pod, &good, &older), Claim::Foreign);
}

/// SY-33: two tenant objects may be built to have one host name; each proves its own origin only.
#[test]
fn translate_sy33_constructed_collision_is_seen() {
    let map = mapping();
    let crafted = map.name(Kind::ConfigMap, "web", "u1", "kube-root-ca.crt");
    let own = map.name(Kind::ConfigMap, "web", "u1", crafted.as_str());
    assert_eq!(own, crafted, "a tenant can craft it");
    let first = TenantObj(json!({"metadata": {"name": "kube-root-ca.crt", "namespace": "web", "uid": "o1"}}));
    let host = host_object(&map, Kind::ConfigMap, &first, "web", "u1");
    let origin = NamespaceOrigin { name: "web".to_owned(), uid: "u1".to_owned() };
    let Claim::Ours(found) = map.prove(Kind::ConfigMap, &host, &origin) else { panic!("not proven") };
    assert_eq!(found.name, "kube-root-ca.crt", "the holder is known, so the other is refused");
}

/// SY-35: a denied label is one hashed key, in objects and selectors alike; `allow` lifts it.
#[test]
fn translate_sy35_denied_labels() {
    let rules = MetadataRules::default();
    let key = "sidecar.istio.io/inject";
    let meta = json!({"labels": {key: "true", "app": "a", "skerry.dev/tenant": "forged", labels::BINDING: "b"},
        "annotations": {"k8s.v1.cni.cncf.io/networks": "x", "note": "y", "skerry.dev/uid": "forged"}});
    let out = rules.translate(Some(&meta));
    let hashed = rules.label_key(key);
    assert!(hashed.starts_with("skerry.dev/l-"));
    assert_eq!(Value::Object(out.labels), json!({hashed.as_str(): "true", "app": "a", labels::BINDING: "b"}));
    assert_eq!(Value::Object(out.annotations), json!({"note": "y"}));
    assert_eq!(out.dropped, ["k8s.v1.cni.cncf.io/networks"]);
    let selector =
        json!({"matchLabels": {key: "true"}, "matchExpressions": [{"key": key, "operator": "Exists"}]});
    assert_eq!(
        pod_selector(&selector, &rules),
        json!({"matchLabels": {hashed.as_str(): "true"}, "matchExpressions": [{"key": hashed.as_str(), "operator": "Exists"}]})
    );
    let open = MetadataRules { allow: vec!["*istio.io/".to_owned()], deny: Vec::new() };
    assert_eq!(open.label_key(key), key);
    let strict = MetadataRules { deny: vec!["app".to_owned()], allow: Vec::new() };
    assert!(strict.label_key("app").starts_with("skerry.dev/l-"));
    let greedy = MetadataRules { allow: vec!["skerry.dev/".to_owned()], deny: Vec::new() };
    assert!(!greedy.carries_annotation("skerry.dev/uid"), "our keys are never a tenant's");
}

/// NM11: a namespace selector always names the tenant, also when it is empty.
#[test]
fn translate_namespace_selectors_stay_inside() {
    let empty = namespace_selector(&json!({}), ID);
    assert_eq!(empty, json!({"matchLabels": {labels::TENANT: ID}}));
    let some = namespace_selector(
        &json!({"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "env", "operator": "In", "values": ["x"]}]}),
        ID,
    );
    let team = namespace_labels("n", Some(&json!({"team": "a"})));
    let key = team.keys().find(|k| team[*k] == json!("a")).expect("team label");
    assert_eq!(some["matchLabels"][key.as_str()], json!("a"));
    assert_eq!(some["matchLabels"][labels::TENANT], json!(ID));
    assert!(some["matchExpressions"][0]["key"].as_str().unwrap_or_default().starts_with("skerry.dev/n-"));
}
