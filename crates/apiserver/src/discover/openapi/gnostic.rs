//! The OpenAPI 2 document as gnostic's protobuf. Parts of a document concatenate.

use serde_json::{Map, Value};

use crate::codec::proto::wire::{put_bytes, put_int, put_message};

type Out = Vec<u8>;

/// A document, or a part of one, with these members.
pub fn document(value: &Value) -> Vec<u8> {
    let mut out = Out::new();
    text(&mut out, 1, &value["swagger"]);
    if value["info"].is_object() {
        put_message(&mut out, 2, |out| {
            text(out, 1, &value["info"]["title"]);
            text(out, 2, &value["info"]["version"]);
        });
    }
    put_message(&mut out, 8, |out| {
        for (path, item) in members(&value["paths"]) {
            named(out, 2, path, |out| path_item(out, item));
        }
    });
    put_message(&mut out, 9, |out| {
        for (name, definition) in members(&value["definitions"]) {
            named(out, 1, name, |out| schema(out, definition));
        }
    });
    for requirement in items(&value["security"]) {
        put_message(&mut out, 12, |out| {
            for (name, _) in members(requirement) {
                named(out, 1, name, |_| {});
            }
        });
    }
    if value["securityDefinitions"].is_object() {
        put_message(&mut out, 13, |out| {
            for (name, key) in members(&value["securityDefinitions"]) {
                named(out, 1, name, |out| {
                    put_message(out, 2, |out| {
                        text(out, 1, &key["type"]);
                        text(out, 2, &key["name"]);
                        text(out, 3, &key["in"]);
                    });
                });
            }
        });
    }
    out
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(out: &mut Out, number: u32, value: &Value) {
    if let Some(text) = value.as_str() {
        put_bytes(out, number, text.as_bytes());
    }
}

fn texts(out: &mut Out, number: u32, value: &Value) {
    items(value).for_each(|item| text(out, number, item));
}

fn flag(out: &mut Out, number: u32, value: &Value) {
    if value == true {
        put_int(out, number, 1);
    }
}

fn integer(out: &mut Out, number: u32, value: &Value) {
    if let Some(value) = value.as_i64() {
        put_int(out, number, value);
    }
}

fn double(out: &mut Out, number: u32, value: &Value) {
    if let Some(value) = value.as_f64() {
        crate::codec::proto::wire::put_tag(out, number, crate::codec::proto::wire::FIXED64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// A message with a name and a value.
fn named(out: &mut Out, number: u32, name: &str, value: impl FnOnce(&mut Out)) {
    put_message(out, number, |out| {
        put_bytes(out, 1, name.as_bytes());
        put_message(out, 2, value);
    });
}

/// gnostic's `Any`: the value as YAML, which JSON is.
fn any(out: &mut Out, number: u32, value: &Value) {
    put_message(out, number, |out| put_bytes(out, 2, value.to_string().as_bytes()));
}

fn extensions(out: &mut Out, number: u32, value: &Value) {
    for (name, value) in members(value).filter(|(name, _)| name.starts_with("x-")) {
        put_message(out, number, |out| {
            put_bytes(out, 1, name.as_bytes());
            any(out, 2, value);
        });
    }
}

fn path_item(out: &mut Out, value: &Value) {
    for (number, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        if value[method].is_object() {
            put_message(out, number, |out| operation(out, &value[method]));
        }
    }
    items(&value["parameters"]).for_each(|p| parameter(out, 9, p));
    extensions(out, 10, value);
}

fn operation(out: &mut Out, value: &Value) {
    texts(out, 1, &value["tags"]);
    text(out, 3, &value["description"]);
    text(out, 5, &value["operationId"]);
    texts(out, 6, &value["produces"]);
    texts(out, 7, &value["consumes"]);
    items(&value["parameters"]).for_each(|p| parameter(out, 8, p));
    put_message(out, 9, |out| {
        for (code, response) in members(&value["responses"]) {
            named(out, 1, code, |out| {
                put_message(out, 1, |out| {
                    text(out, 1, &response["description"]);
                    if response["schema"].is_object() {
                        put_message(out, 2, |out| {
                            put_message(out, 1, |out| schema(out, &response["schema"]))
                        });
                    }
                });
            });
        }
    });
    texts(out, 10, &value["schemes"]);
    extensions(out, 13, value);
}

fn parameter(out: &mut Out, number: u32, value: &Value) {
    let body = value["in"] == "body";
    put_message(out, number, |out| {
        put_message(out, 1, |out| {
            if body {
                put_message(out, 1, |out| {
                    text(out, 2, &value["name"]);
                    text(out, 3, &value["in"]);
                    flag(out, 4, &value["required"]);
                    put_message(out, 5, |out| schema(out, &value["schema"]));
                });
                return;
            }
            // Query (3) and path (4) parameters differ in the numbers after the name.
            let (kind, ty, unique) = if value["in"] == "path" { (4, 5, 19) } else { (3, 6, 20) };
            put_message(out, 2, |out| {
                put_message(out, kind, |out| {
                    flag(out, 1, &value["required"]);
                    text(out, 2, &value["in"]);
                    text(out, 4, &value["name"]);
                    text(out, ty, &value["type"]);
                    flag(out, unique, &value["uniqueItems"]);
                });
            });
        });
    });
}

fn schema(out: &mut Out, value: &Value) {
    let Some(known) = value.as_object() else { return };
    scalars(out, value, known);
    if let Some(default) = known.get("default") {
        any(out, 5, default);
    }
    texts(out, 19, &value["required"]);
    items(&value["enum"]).for_each(|item| any(out, 20, item));
    match known.get("additionalProperties") {
        Some(Value::Bool(allowed)) => put_message(out, 21, |out| put_int(out, 2, i64::from(*allowed))),
        Some(of) => put_message(out, 21, |out| put_message(out, 1, |out| schema(out, of))),
        None => {}
    }
    if let Some(ty) = known.get("type") {
        put_message(out, 22, |out| text(out, 1, ty));
    }
    if let Some(item) = known.get("items") {
        put_message(out, 23, |out| put_message(out, 1, |out| schema(out, item)));
    }
    items(&value["allOf"]).for_each(|part| put_message(out, 24, |out| schema(out, part)));
    if known.contains_key("properties") {
        put_message(out, 25, |out| {
            for (name, property) in members(&value["properties"]) {
                named(out, 1, name, |out| schema(out, property));
            }
        });
    }
    extensions(out, 31, value);
}

fn scalars(out: &mut Out, value: &Value, known: &Map<String, Value>) {
    for (number, name) in [(1, "$ref"), (2, "format"), (3, "title"), (4, "description"), (13, "pattern")] {
        text(out, number, known.get(name).unwrap_or(&Value::Null));
    }
    for (number, name) in [(6, "multipleOf"), (7, "maximum"), (9, "minimum")] {
        double(out, number, &value[name]);
    }
    for (number, name) in [(8, "exclusiveMaximum"), (10, "exclusiveMinimum"), (16, "uniqueItems")] {
        flag(out, number, &value[name]);
    }
    for (number, name) in [
        (11, "maxLength"),
        (12, "minLength"),
        (14, "maxItems"),
        (15, "minItems"),
        (17, "maxProperties"),
        (18, "minProperties"),
    ] {
        integer(out, number, &value[name]);
    }
}
