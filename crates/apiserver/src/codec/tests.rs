//! Readers and the typed check, by case.

use serde_json::json;

use super::*;
use crate::model::catalog::Catalog;
use crate::model::tables::builtin;

fn small() -> Limits {
    Limits { depth: 5, values: 50 }
}

/// AS-11: duplicates by path, the last one holds.
#[test]
fn duplicates_are_found_by_path() {
    let text = br#"{"a":1,"spec":{"x":[{"z":1,"z":2}]},"a":3}"#;
    let (value, findings) = read_json(text, Limits::default()).unwrap();
    assert_eq!(value, json!({"a": 3, "spec": {"x": [{"z": 2}]}}));
    let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(texts, [r#"duplicate field "spec.x[0].z""#, r#"duplicate field "a""#]);
    let yaml = b"a: 1\nspec:\n  x:\n  - z: 1\n    z: 2\na: 3\n";
    assert_eq!(read_yaml(yaml, Limits::default()).unwrap(), (value, findings));
}

/// AS-11: nesting and number of values.
#[test]
fn depth_and_number_are_bounded() {
    let deep = format!("{}{}", "[".repeat(6), "]".repeat(6));
    assert_eq!(read_json(deep.as_bytes(), small()).unwrap_err(), ReadError::TooDeep(5));
    assert_eq!(read_yaml(deep.as_bytes(), small()).unwrap_err(), ReadError::TooDeep(5));
    let many = format!("[{}1]", "1,".repeat(60));
    assert_eq!(read_json(many.as_bytes(), small()).unwrap_err(), ReadError::TooMany(50));
    assert_eq!(read_yaml(many.as_bytes(), small()).unwrap_err(), ReadError::TooMany(50));
    let deepest = format!("{}{}", "[".repeat(513), "]".repeat(513));
    let error = read_json(deepest.as_bytes(), Limits::default()).unwrap_err();
    assert_eq!((error.to_status().code, error.to_string()), (400, "nested deeper than 512".into()));
    assert_eq!(ReadError::TooMany(500_000).to_status().code, 413);
    assert_eq!(ReadError::TooMany(500_000).to_string(), "more than 500000 values");
}

/// AS-11: an alias bomb is counted before it is built.
#[test]
fn alias_bombs_end_at_the_limit() {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..9 {
        let item = format!("*a{},", i - 1).repeat(10);
        text.push_str(&format!("a{i}: &a{i} [{}]\n", item.trim_end_matches(',')));
    }
    assert_eq!(read_yaml(text.as_bytes(), Limits::default()).unwrap_err(), ReadError::TooMany(500_000));
    let small = b"base: &b {x: 1, z: 2}\nuse: {<<: *b, z: 3}\nalso: *b\n";
    let (value, _) = read_yaml(small, Limits::default()).unwrap();
    assert_eq!(value["use"], json!({"x": 1, "z": 3}));
    assert_eq!(value["also"], json!({"x": 1, "z": 2}));
}

/// AS-11: int64 and float64 stay apart.
#[test]
fn numbers_keep_their_type() {
    let text = br#"[9223372036854775807,-9223372036854775808,9223372036854775808,1.0,1e2,-0]"#;
    let (value, _) = read_json(text, Limits::default()).unwrap();
    let numbers = value.as_array().unwrap();
    assert!(numbers[0].is_i64() && numbers[1].is_i64() && numbers[5].is_i64());
    assert!(numbers[2].is_f64() && numbers[3].is_f64() && numbers[4].is_f64());
    assert!(read_json(b"1e999", Limits::default()).is_err());
}

/// AS-11: what is no JSON is refused in Go's words.
#[test]
fn refusals_speak_as_upstream() {
    let cases = [
        ("", "unexpected end of JSON input"),
        ("{\"a\"", "unexpected end of JSON input"),
        ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("tru3", "invalid character '3' in literal true (expecting 'e')"),
        ("{} x", "invalid character 'x' after top-level value"),
        ("\"\n\"", r"invalid character '\n' in string literal"),
        ("01", "invalid character '1' after top-level value"),
    ];
    for (text, want) in cases {
        assert_eq!(read_json(text.as_bytes(), Limits::default()).unwrap_err().to_string(), want, "{text}");
    }
    let (value, _) = read_json(br#""\u00e9\ud83d\ude00\ud800x""#, Limits::default()).unwrap();
    assert_eq!(value, json!("é😀\u{fffd}x"));
}

#[test]
fn yaml_words_resolve_as_upstream() {
    let text = b"a: yes\nb: 'yes'\nc: 0777\nd: 1_000\ne: 1.5\nf: ~\ng: 2001-01-01\nh: 1.0\n1: x\non: y\ni: 0x1F\nj: |\n  t\n";
    let (value, _) = read_yaml(text, Limits::default()).unwrap();
    let want = json!({"a": true, "b": "yes", "c": 511, "d": 1000, "e": 1.5, "f": null, "g": "2001-01-01",
        "h": 1, "1": "x", "true": true, "i": 31, "j": "t\n"});
    assert_eq!(value, want);
    assert!(read_yaml(b"a: !!str 1", Limits::default()).is_err());
    assert!(read_yaml(b"a: 1\n---\nb: 2\n", Limits::default()).is_err());
    assert!(read_yaml(b"---\na: 1\n", Limits::default()).is_ok());
}

fn check(group: &str, version: &str, plural: &str, value: &mut Value) -> Result<Vec<String>, String> {
    let row = Catalog::builtin().lookup(group, version, plural).unwrap();
    let found = check_known(&row.schema, row.root, value).map_err(|e| e.message)?;
    Ok(found.iter().map(ToString::to_string).collect())
}

use serde_json::Value;

#[test]
fn unknown_members_are_found_and_removed() {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {}},
        "spec": {"containers": [{"name": "x", "foo": 1, "env": [], "resources": {"limits": {"cpu": "0.5"}}}],
            "hostNetwork": false, "bar": {}, "nodeName": null}});
    let found = check("", "v1", "pods", &mut pod).unwrap();
    assert_eq!(found, [r#"unknown field "spec.bar""#, r#"unknown field "spec.containers[0].foo""#]);
    let want = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "x", "resources": {"limits": {"cpu": "500m"}}}]}});
    assert_eq!(pod, want);
}

#[test]
fn mismatches_speak_as_upstream() {
    let cases = [
        (
            json!({"spec": {"replicas": "3"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"template": {"spec": {"containers": [{"env": [{"value": 1}]}]}}}}),
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            json!({"spec": {"template": {"spec": {"containers": {}}}}}),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (json!([]), "json: cannot unmarshal array into Go value of type v1.Deployment"),
    ];
    for (mut value, want) in cases {
        assert_eq!(check("apps", "v1", "deployments", &mut value).unwrap_err(), want);
    }
    let mut lease = json!({"spec": {"renewTime": "2026-01-01T00:00:00.000000+02:00"}});
    check("coordination.k8s.io", "v1", "leases", &mut lease).unwrap();
    assert_eq!(lease["spec"]["renewTime"], "2025-12-31T22:00:00.000000Z");
    let mut short = json!({"spec": {"renewTime": "2026-01-01T00:00:00.5Z"}});
    let want = r#"parsing time "2026-01-01T00:00:00.5Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse ".5Z" as ".000000""#;
    assert_eq!(check("coordination.k8s.io", "v1", "leases", &mut short).unwrap_err(), want);
    let mut secret = json!({"data": {"a": "%"}});
    assert!(check("", "v1", "secrets", &mut secret).unwrap_err().starts_with("illegal base64"));
    assert!(builtin().schema.by_name("core/v1.PodSpec").is_some());
}
