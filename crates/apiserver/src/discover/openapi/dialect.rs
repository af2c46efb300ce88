//! What OpenAPI 2 and 3 write differently.

use serde_json::{Map, Value, json};

/// Version of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAPI 2, `/openapi/v2`.
    V2,
    /// OpenAPI 3, `/openapi/v3`.
    V3,
}

/// What answers can be had in; protobuf answers are of a later stage.
const PRODUCED: [&str; 2] = ["application/json", "application/yaml"];
const STREAMED: [&str; 3] = ["application/json", "application/json;stream=watch", "application/yaml"];

impl Dialect {
    /// `#/components/schemas/` or `#/definitions/`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::V2 => "#/definitions/",
            Self::V3 => "#/components/schemas/",
        }
    }

    /// A reference to a named schema.
    pub fn reference(self, name: &str) -> Value {
        json!({"$ref": format!("{}{name}", self.prefix())})
    }

    /// A parameter that is no body.
    pub fn parameter(self, place: &str, name: &str, ty: &str) -> Value {
        let mut out = json!({"in": place, "name": name});
        if place == "path" {
            out["required"] = true.into();
        }
        match self {
            Self::V2 => {
                out["type"] = ty.into();
                out["uniqueItems"] = true.into();
            }
            Self::V3 => out["schema"] = json!({"type": ty, "uniqueItems": true}),
        }
        out
    }

    /// Gives an operation its body.
    pub fn body(self, operation: &mut Map<String, Value>, media: &[&str], schema: Value, required: bool) {
        match self {
            Self::V2 => {
                operation.insert("consumes".into(), json!(media));
                let mut body = json!({"in": "body", "name": "body", "schema": schema});
                if required {
                    body["required"] = true.into();
                }
                if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
                    parameters.insert(0, body);
                } else {
                    operation.insert("parameters".into(), json!([body]));
                }
            }
            Self::V3 => {
                let content: Map<String, Value> =
                    media.iter().map(|m| ((*m).to_owned(), json!({"schema": schema}))).collect();
                let mut body = json!({"content": content});
                if required {
                    body["required"] = true.into();
                }
                operation.insert("requestBody".into(), body);
            }
        }
    }

    /// Gives an operation its answers: one schema for all codes, and 401.
    pub fn answers(self, operation: &mut Map<String, Value>, codes: &[u16], schema: &Value, streamed: bool) {
        let media: &[&str] = if streamed { &STREAMED } else { &PRODUCED };
        let mut responses = Map::new();
        for code in codes {
            let word = match code {
                200 => "OK",
                201 => "Created",
                _ => "Accepted",
            };
            let mut response = json!({"description": word});
            match self {
                Self::V2 => response["schema"] = schema.clone(),
                Self::V3 => {
                    let content = media.iter().map(|m| ((*m).to_owned(), json!({"schema": schema})));
                    response["content"] = content.collect::<Map<_, _>>().into();
                }
            }
            responses.insert(code.to_string(), response);
        }
        responses.insert("401".into(), json!({"description": "Unauthorized"}));
        operation.insert("responses".into(), responses.into());
        if self == Self::V2 {
            operation.entry("consumes").or_insert_with(|| json!(["*/*"]));
            operation.insert("produces".into(), json!(media));
            operation.insert("schemes".into(), json!(["https"]));
        }
    }
}
