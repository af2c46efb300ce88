//! `metav1.Status`: every refusal of the server, with upstream's reasons and sentences.

use serde_json::{Map, Value, json};

use super::gvk::Gvk;

/// One cause inside `Status.details.causes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable type, as `FieldValueInvalid`.
    pub reason: &'static str,
    /// What is wrong, without the field.
    pub message: String,
    /// Path of the field, as `spec.containers[0].image`.
    pub field: String,
}

impl Cause {
    /// A cause from its parts.
    pub fn new(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), field: field.into() }
    }

    /// `Required value` with an optional detail.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message =
            if detail.is_empty() { "Required value".into() } else { format!("Required value: {detail}") };
        Self::new("FieldValueRequired", field, message)
    }

    /// `Invalid value: <value>: <detail>`; the value is shown as JSON.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new("FieldValueInvalid", field, format!("Invalid value: {}: {detail}", shown(value)))
    }

    /// `Unsupported value: <value>: supported values: …`.
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        let message = format!("Unsupported value: {}: supported values: {}", shown(value), list.join(", "));
        Self::new("FieldValueNotSupported", field, message)
    }

    /// `Duplicate value: <value>`.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new("FieldValueDuplicate", field, format!("Duplicate value: {}", shown(value)))
    }

    /// `Forbidden: <detail>`.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {detail}"))
    }

    /// `Too many: <actual>: must have at most <max> items`.
    pub fn too_many(field: impl Into<String>, actual: usize, max: usize) -> Self {
        Self::new("FieldValueTooMany", field, format!("Too many: {actual}: must have at most {max} items"))
    }

    fn sentence(&self) -> String {
        if self.field.is_empty() { self.message.clone() } else { format!("{}: {}", self.field, self.message) }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(s) => format!("{s:?}"),
        other => other.to_string(),
    }
}

/// A refusal (or a success message), as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiStatus {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason; empty on success.
    pub reason: &'static str,
    /// Sentence for people.
    pub message: String,
    /// What the refusal is about.
    pub details: Details,
    /// `metadata.continue` of an expired page, with which the client may go on (L2).
    pub continue_token: String,
}

/// `Status.details`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// Group of the resource.
    pub group: String,
    /// Plural of the resource, or the kind for `Invalid`.
    pub kind: String,
    /// UID of the object.
    pub uid: String,
    /// All causes, not the first.
    pub causes: Vec<Cause>,
    /// Seconds after which the client may try again.
    pub retry_after: Option<u32>,
}

/// `pods`, or `deployments.apps`.
fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// What a refusal is about: group, plural and name.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// API group.
    pub group: &'a str,
    /// Plural resource name.
    pub plural: &'a str,
    /// Object name, empty for a collection.
    pub name: &'a str,
}

impl Subject<'_> {
    fn details(&self) -> Details {
        Details {
            name: self.name.into(),
            group: self.group.into(),
            kind: self.plural.into(),
            ..Details::default()
        }
    }

    fn sentence(&self) -> String {
        let resource = qualified(self.group, self.plural);
        if self.name.is_empty() { resource } else { format!("{resource} {:?}", self.name) }
    }
}

impl ApiStatus {
    /// Any refusal without details.
    pub fn plain(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Details::default(),
            continue_token: String::new(),
        }
    }

    /// 404 for an object.
    pub fn not_found(s: Subject<'_>) -> Self {
        let message = format!("{} {:?} not found", qualified(s.group, s.plural), s.name);
        Self { code: 404, reason: "NotFound", message, details: s.details(), continue_token: String::new() }
    }

    /// 404 for a path or resource that is not served.
    pub fn no_such_resource() -> Self {
        Self::plain(404, "NotFound", "the server could not find the requested resource")
    }

    /// 409, the name is taken.
    pub fn already_exists(s: Subject<'_>) -> Self {
        let message = format!("{} {:?} already exists", qualified(s.group, s.plural), s.name);
        Self {
            code: 409,
            reason: "AlreadyExists",
            message,
            details: s.details(),
            continue_token: String::new(),
        }
    }

    /// 409, an expectation does not hold.
    pub fn conflict(s: Subject<'_>, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {}: {why}", s.sentence());
        Self { code: 409, reason: "Conflict", message, details: s.details(), continue_token: String::new() }
    }

    /// 409 with upstream's optimistic-lock sentence.
    pub fn modified(s: Subject<'_>) -> Self {
        Self::conflict(
            s,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 403 for an object or collection.
    pub fn forbidden(s: Subject<'_>, why: &str) -> Self {
        let message = format!("{} is forbidden: {why}", s.sentence());
        Self { code: 403, reason: "Forbidden", message, details: s.details(), continue_token: String::new() }
    }

    /// 422 with all causes.
    pub fn invalid(gvk: &Gvk, name: &str, causes: Vec<Cause>) -> Self {
        let sentences: Vec<String> = causes.iter().map(Cause::sentence).collect();
        let why = match sentences.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} {name:?} is invalid: {why}", qualified(&gvk.group, &gvk.kind));
        let details = Details {
            name: name.into(),
            group: gvk.group.to_string(),
            kind: gvk.kind.to_string(),
            causes,
            ..Details::default()
        };
        Self { code: 422, reason: "Invalid", message, details, continue_token: String::new() }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::plain(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::plain(401, "Unauthorized", "Unauthorized")
    }

    /// 405 for a verb on a resource.
    pub fn method_not_allowed(s: Subject<'_>, verb: &str) -> Self {
        let message =
            format!("{verb} is not supported on resources of kind {:?}", qualified(s.group, s.plural));
        Self {
            code: 405,
            reason: "MethodNotAllowed",
            message,
            details: s.details(),
            continue_token: String::new(),
        }
    }

    /// 405 without a resource.
    pub fn method_not_allowed_here() -> Self {
        Self::plain(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// 406 naming what can be had.
    pub fn not_acceptable(accepted: &str) -> Self {
        Self::plain(406, "NotAcceptable", format!("only the following media types are accepted: {accepted}"))
    }

    /// 410 of a watch or an exact list.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::plain(410, "Expired", message)
    }

    /// 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::plain(413, "RequestEntityTooLarge", message)
    }

    /// 415 naming what can be sent.
    pub fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::plain(415, "UnsupportedMediaType", message)
    }

    /// 429.
    pub fn too_many_requests(message: impl Into<String>, retry_after: u32) -> Self {
        Self::plain(429, "TooManyRequests", message).retry_after(retry_after)
    }

    /// 500. The message is for the caller: it never carries internals.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let mut status = Self::plain(500, "InternalError", format!("Internal error occurred: {message}"));
        status.details.causes.push(Cause { reason: "", message: message.to_string(), field: String::new() });
        status
    }

    /// 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::plain(503, "ServiceUnavailable", message)
    }

    /// 504.
    pub fn timeout(message: impl Into<String>, retry_after: u32) -> Self {
        Self::plain(504, "Timeout", message).retry_after(retry_after)
    }

    /// 504 for a resourceVersion of the future.
    pub fn rv_too_large(asked: u64, current: u64) -> Self {
        let mut status = Self::timeout(format!("Too large resource version: {asked}, current: {current}"), 1);
        status.details.causes.push(Cause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".into(),
            field: String::new(),
        });
        status
    }

    /// The same with a cause added.
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.details.causes.push(cause);
        self
    }

    /// The same with `Retry-After`.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.retry_after = Some(seconds);
        self
    }

    /// The wire form.
    pub fn to_value(&self) -> Value {
        let mut out = json!({
            "apiVersion": "v1", "kind": "Status", "metadata": {}, "code": self.code,
            "status": if self.code < 300 { "Success" } else { "Failure" },
        });
        if !self.message.is_empty() {
            out["message"] = self.message.as_str().into();
        }
        if !self.reason.is_empty() {
            out["reason"] = self.reason.into();
        }
        if !self.continue_token.is_empty() {
            out["metadata"]["continue"] = self.continue_token.as_str().into();
        }
        let details = self.details.to_value();
        if !details.is_empty() {
            out["details"] = Value::Object(details);
        }
        out
    }
}

impl Details {
    fn to_value(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let texts = [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)];
        for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            out.insert(key.into(), text.as_str().into());
        }
        if !self.causes.is_empty() {
            out.insert("causes".into(), self.causes.iter().map(cause_value).collect());
        }
        if let Some(seconds) = self.retry_after {
            out.insert("retryAfterSeconds".into(), seconds.into());
        }
        out
    }
}

fn cause_value(cause: &Cause) -> Value {
    let mut out = Map::new();
    let parts = [("reason", cause.reason), ("message", &cause.message), ("field", &cause.field)];
    for (key, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
        out.insert(key.into(), text.into());
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: Subject<'static> = Subject { group: "apps", plural: "deployments", name: "web" };

    #[test]
    fn sentences_are_upstreams() {
        let cases = [
            (ApiStatus::not_found(WEB), r#"deployments.apps "web" not found"#),
            (ApiStatus::already_exists(WEB), r#"deployments.apps "web" already exists"#),
            (ApiStatus::forbidden(WEB, "no"), r#"deployments.apps "web" is forbidden: no"#),
        ];
        for (status, want) in cases {
            assert_eq!(status.message, want);
        }
        let gvk = Gvk::new("apps", "v1", "Deployment");
        let one = ApiStatus::invalid(&gvk, "web", vec![Cause::required("spec.selector", "")]);
        assert_eq!(one.message, r#"Deployment.apps "web" is invalid: spec.selector: Required value"#);
        assert_eq!(one.to_value()["details"]["causes"][0]["field"], "spec.selector");
    }
}
