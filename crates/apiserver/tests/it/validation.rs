//! AS-36, V2: unknown and duplicate members by Strict, Warn and Ignore, in every form of body, for built-in and custom
//! kinds.

use http::Method;
use serde_json::json;

use crate::support::{Reply, World};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Where objects of a test are, and how they begin.
struct Kind {
    path: &'static str,
    head: &'static str,
    is_custom: bool,
}

const KINDS: [Kind; 2] = [
    Kind {
        path: "/api/v1/namespaces/default/replicationcontrollers",
        head: r#""apiVersion":"v1","kind":"ReplicationController""#,
        is_custom: false,
    },
    Kind {
        path: "/apis/example.com/v1/namespaces/default/shoes",
        head: r#""apiVersion":"example.com/v1","kind":"Shoe""#,
        is_custom: true,
    },
];

const UNKNOWN: &str = r#"unknown field "spec.colour""#;
const DUPLICATE: &str = r#"duplicate field "spec.replicas""#;

async fn world() -> World {
    let w = World::new().await;
    let spec = json!({ "type": "object", "properties": { "replicas": { "type": "integer" } } });
    let schema = json!({ "openAPIV3Schema": { "type": "object", "properties": { "spec": spec } } });
    let crd = json!({ "metadata": { "name": "shoes.example.com" }, "spec": { "group": "example.com",
        "scope": "Namespaced", "names": { "plural": "shoes", "kind": "Shoe" },
        "versions": [{ "name": "v1", "served": true, "storage": true, "schema": schema }] } });
    w.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd).await.unwrap();
    for kind in &KINDS {
        let body = format!(r#"{{{},"metadata":{{"name":"m"}},"spec":{{"replicas":1}}}}"#, kind.head);
        assert_eq!(w.raw(Method::POST, kind.path, JSON, body).await.code, 201);
    }
    w
}

/// What the reply said of the fields, in warnings or in its refusal.
fn said(reply: &Reply) -> Vec<String> {
    let unescape = |text: &String| text.replace("\\\"", "\"");
    let mut said: Vec<String> = reply.warnings.iter().map(unescape).collect();
    said.extend(reply.body["message"].as_str().map(str::to_owned));
    said
}

/// Sends a body with findings by each way of judging them: `strict` is the code of the refusal.
async fn judged(w: &World, method: Method, path: &str, media: &str, body: &str, strict: u16, found: &[&str]) {
    let about = format!("{method} {path} {media} {body}");
    let all = found.join(", ");
    for (way, code) in [("Strict", strict), ("Warn", 0), ("", 0), ("Ignore", 0)] {
        let query = if way.is_empty() { String::new() } else { format!("&fieldValidation={way}") };
        let path = format!("{path}?dryRun=All&fieldManager=m{query}");
        let reply = w.raw(method.clone(), &path, media, body.to_owned()).await;
        let said = said(&reply);
        match way {
            "Strict" => {
                assert_eq!(reply.code, code, "{about}: {}", reply.body);
                assert!(said[0].contains(&format!("strict decoding error: {all}")), "{about}: {said:?}");
                assert_eq!(reply.warnings.len(), 0);
            }
            "Ignore" => {
                assert!(reply.code < 300, "{about}: {}", reply.body);
                assert_eq!(said.len(), 0, "{about}: {said:?}");
            }
            _ => {
                assert!(reply.code < 300, "{about}: {}", reply.body);
                let wanted: Vec<String> = found.iter().map(|text| format!("299 - \"{text}\"")).collect();
                assert_eq!(said, wanted, "{about}");
            }
        }
        assert_eq!(reply.body["spec"]["colour"], serde_json::Value::Null, "{about}");
    }
}

#[tokio::test]
async fn as36_json_and_yaml_objects() {
    let w = world().await;
    for kind in &KINDS {
        for (spec, lines, found) in [
            (r#""replicas":2,"colour":"red""#, "  replicas: 2\n  colour: red\n", vec![UNKNOWN]),
            (r#""replicas":1,"replicas":2"#, "  replicas: 1\n  replicas: 2\n", vec![DUPLICATE]),
            (
                r#""replicas":1,"colour":"red","replicas":2"#,
                "  replicas: 1\n  colour: red\n  replicas: 2\n",
                vec![DUPLICATE, UNKNOWN],
            ),
        ] {
            let json =
                |name: &str| format!(r#"{{{},"metadata":{{"name":"{name}"}},"spec":{{{spec}}}}}"#, kind.head);
            let head = kind.head.replace("\":\"", ": ").replace(['"'], "").replace(",kind", "\nkind");
            let yaml = |name: &str| format!("{head}\nmetadata:\n  name: {name}\nspec:\n{lines}");
            judged(&w, Method::POST, kind.path, JSON, &json("new"), 400, &found).await;
            judged(&w, Method::POST, kind.path, YAML, &yaml("new"), 400, &found).await;
            let one = format!("{}/m", kind.path);
            let rv = w.get(&one).await.unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
            let put = json("m").replace(r#""name":"m""#, &format!(r#""name":"m","resourceVersion":"{rv}""#));
            judged(&w, Method::PUT, &one, JSON, &put, 400, &found).await;
            let put = yaml("m").replace("name: m", &format!("name: m\n  resourceVersion: \"{rv}\""));
            judged(&w, Method::PUT, &one, YAML, &put, 400, &found).await;
        }
    }
}

#[tokio::test]
async fn as36_patches() {
    let w = world().await;
    for kind in &KINDS {
        let one = format!("{}/m", kind.path);
        let merges = if kind.is_custom { &[MERGE][..] } else { &[MERGE, STRATEGIC][..] };
        for media in merges {
            for (spec, found) in [
                (r#""replicas":2,"colour":"red""#, vec![UNKNOWN]),
                (r#""replicas":1,"replicas":2"#, vec![DUPLICATE]),
                (r#""replicas":1,"colour":"red","replicas":2"#, vec![DUPLICATE, UNKNOWN]),
            ] {
                let body = format!(r#"{{"spec":{{{spec}}}}}"#);
                judged(&w, Method::PATCH, &one, media, &body, 422, &found).await;
            }
        }
        for (body, found) in [
            (r#"[{"op":"add","path":"/spec/colour","value":"red"}]"#, vec![UNKNOWN]),
            (
                r#"[{"op":"add","path":"/spec/x","path":"/spec/replicas","value":2}]"#,
                vec![r#"json patch duplicate field "[0].path""#],
            ),
            (
                r#"[{"op":"add","path":"/spec/replicas","value":2,"why":"so"}]"#,
                vec![r#"json patch unknown field "[0].why""#],
            ),
            (
                r#"[{"op":"add","path":"/spec/replicas","value":2,"why":"so"},{"op":"add","path":"/spec/colour","value":1}]"#,
                vec![r#"json patch unknown field "[0].why""#, UNKNOWN],
            ),
        ] {
            judged(&w, Method::PATCH, &one, JSON_PATCH, body, 422, &found).await;
        }
    }
}

/// An applied configuration may name a member twice; one that the kind does not know is refused whatever the request
/// says, since it could not be owned.
#[tokio::test]
async fn as36_applied_configurations() {
    let w = world().await;
    for kind in &KINDS {
        let one = format!("{}/m", kind.path);
        let body = |spec: &str| format!(r#"{{{},"metadata":{{"name":"m"}},"spec":{{{spec}}}}}"#, kind.head);
        for (way, code, warned) in [("Strict", 400, 0), ("Warn", 200, 1), ("Ignore", 200, 0)] {
            let path = format!("{one}?dryRun=All&fieldManager=m&force=true&fieldValidation={way}");
            let twice = w.raw(Method::PATCH, &path, APPLY, body(r#""replicas":1,"replicas":2"#)).await;
            assert_eq!((twice.code, twice.warnings.len()), (code, warned), "{way} {}", twice.body);
            if code == 400 {
                let message = twice.body["message"].as_str().unwrap();
                assert!(message.starts_with("error strict decoding YAML: "), "{message}");
            }
            let unknown = w.raw(Method::PATCH, &path, APPLY, body(r#""colour":"red""#)).await;
            let message = unknown.body["message"].as_str().unwrap_or_default();
            assert!(
                message.ends_with(".spec.colour: field not declared in schema"),
                "{way} {}",
                unknown.body
            );
        }
    }
}

#[tokio::test]
async fn as36_questions_and_wrong_words() {
    let w = world().await;
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let body = r#"{"spec":{"nonResourceAttributes":{"path":"/","verb":"get"},"colour":"red"}}"#;
    for (way, code, warned) in [("Strict", 400, 0), ("Warn", 201, 1), ("Ignore", 201, 0)] {
        let reply = w.raw(Method::POST, &format!("{path}?fieldValidation={way}"), JSON, body).await;
        assert_eq!((reply.code, reply.warnings.len()), (code, warned), "{way} {}", reply.body);
    }
    for (method, path, media) in [
        (Method::POST, KINDS[0].path.to_owned(), JSON),
        (Method::PUT, format!("{}/m", KINDS[0].path), JSON),
        (Method::PATCH, format!("{}/m", KINDS[0].path), MERGE),
    ] {
        let reply = w.raw(method.clone(), &format!("{path}?fieldValidation=Loose"), media, "{}").await;
        assert_eq!(reply.code, 422, "{method}");
        assert_eq!(reply.body["details"]["causes"][0]["field"], "fieldValidation");
    }
}
