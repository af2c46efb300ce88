//! Options of requests: what of the query and of the options body matters to the registry.

use serde_json::Value;

use super::info::Query;
use crate::model::object::Object;
use crate::model::selector::{FieldSelector, LabelSelector};
use crate::model::status::{ApiStatus, Cause};

/// How unknown and duplicate members of a body are treated (V2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Dropped in silence.
    Ignore,
    /// Dropped with a warning.
    #[default]
    Warn,
    /// Refused.
    Strict,
}

/// Options of create, update and patch.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Nothing is stored.
    pub dry_run: bool,
    /// Unknown members.
    pub validation: FieldValidation,
    /// Manager named by the request; empty for none.
    pub field_manager: String,
    /// Takes fields of other managers (apply only).
    pub force: bool,
}

fn invalid_option(kind: &str, field: &str, value: &str, supported: &[&str]) -> ApiStatus {
    let gvk = crate::model::gvk::Gvk::new("meta.k8s.io", "v1", kind);
    ApiStatus::invalid(&gvk, "", vec![Cause::not_supported(field, &Value::from(value), supported)])
}

fn dry_run<'a>(values: impl Iterator<Item = &'a str>, kind: &str) -> Result<bool, ApiStatus> {
    let mut dry = false;
    for value in values {
        match value {
            "All" => dry = true,
            "" => {}
            other => return Err(invalid_option(kind, "dryRun", other, &["All"])),
        }
    }
    Ok(dry)
}

impl WriteOptions {
    /// Reads the query; `kind` names the options type in refusals.
    pub fn parse(query: &Query, kind: &str) -> Result<Self, ApiStatus> {
        let validation = match query.get("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                return Err(invalid_option(kind, "fieldValidation", other, &["Ignore", "Strict", "Warn"]));
            }
        };
        let field_manager = query.get("fieldManager").to_owned();
        if field_manager.chars().count() > 128 {
            let gvk = crate::model::gvk::Gvk::new("meta.k8s.io", "v1", kind);
            let cause = Cause::new(
                "FieldValueInvalid",
                "fieldManager",
                format!("Invalid value: {field_manager:?}: may not be more than 128 bytes"),
            );
            return Err(ApiStatus::invalid(&gvk, "", vec![cause]));
        }
        Ok(Self {
            dry_run: dry_run(query.all("dryRun"), kind)?,
            validation,
            field_manager,
            force: query.flag("force"),
        })
    }
}

/// Who else goes when an owner goes (X1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// The owner goes at once, dependents follow.
    Background,
    /// Dependents go first.
    Foreground,
    /// Dependents stay.
    Orphan,
}

/// DeleteOptions, from body or query.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Nothing is stored.
    pub dry_run: bool,
    /// Asked-for grace.
    pub grace: Option<i64>,
    /// `preconditions.uid`.
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`.
    pub resource_version: Option<String>,
    /// Asked-for propagation.
    pub propagation: Option<Propagation>,
}

impl DeleteOptions {
    /// Reads the body if there is one, else the query.
    pub fn parse(query: &Query, body: Option<&Value>) -> Result<Self, ApiStatus> {
        let mut out = Self::default();
        let (policy, orphan) = match body {
            Some(body) => {
                out.dry_run =
                    dry_run(body.items(&["dryRun"]).iter().filter_map(Value::as_str), "DeleteOptions")?;
                out.grace = body.at(&["gracePeriodSeconds"]).and_then(Value::as_i64);
                let text =
                    |key: &str| body.at(&["preconditions", key]).and_then(Value::as_str).map(str::to_owned);
                out.uid = text("uid");
                out.resource_version = text("resourceVersion");
                (
                    body.text(&["propagationPolicy"]).to_owned(),
                    body.at(&["orphanDependents"]).and_then(Value::as_bool),
                )
            }
            None => {
                out.grace = query.number("gracePeriodSeconds")?;
                let orphan = query.has("orphanDependents").then(|| query.flag("orphanDependents"));
                (query.get("propagationPolicy").to_owned(), orphan)
            }
        };
        out.dry_run |= dry_run(query.all("dryRun"), "DeleteOptions")?;
        out.propagation = propagation(&policy, orphan)?;
        Ok(out)
    }
}

fn propagation(policy: &str, orphan: Option<bool>) -> Result<Option<Propagation>, ApiStatus> {
    let gvk = crate::model::gvk::Gvk::new("meta.k8s.io", "v1", "DeleteOptions");
    if !policy.is_empty() && orphan.is_some() {
        let detail = "orphanDependents and deletionPropagation cannot be both set";
        return Err(ApiStatus::invalid(
            &gvk,
            "",
            vec![Cause::invalid("propagationPolicy", &policy.into(), detail)],
        ));
    }
    match (policy, orphan) {
        ("", None) => Ok(None),
        ("Background", _) | ("", Some(false)) => Ok(Some(Propagation::Background)),
        ("Foreground", _) => Ok(Some(Propagation::Foreground)),
        ("Orphan", _) | ("", Some(true)) => Ok(Some(Propagation::Orphan)),
        (other, _) => {
            let supported = ["Background", "Foreground", "Orphan"];
            let cause = Cause::not_supported("propagationPolicy", &other.into(), &supported);
            Err(ApiStatus::invalid(&gvk, "", vec![cause]))
        }
    }
}

/// `resourceVersionMatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Absent.
    Unset,
    /// At least as new.
    NotOlderThan,
    /// That very version.
    Exact,
}

/// ListOptions.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// Labels.
    pub labels: LabelSelector,
    /// Fields.
    pub fields: FieldSelector,
    /// Page size; 0 for no limit.
    pub limit: usize,
    /// Continue token; empty for the first page.
    pub continue_token: String,
    /// `resourceVersion`: `None` when absent or empty.
    pub rv: Option<u64>,
    /// `resourceVersionMatch`.
    pub rv_match: Match,
    /// `timeoutSeconds`.
    pub timeout: Option<u64>,
    /// Bookmarks are welcome.
    pub bookmarks: bool,
    /// `sendInitialEvents`, if given.
    pub initial_events: Option<bool>,
}

/// The label and the field selector of a query.
pub fn selectors(query: &Query) -> Result<(LabelSelector, FieldSelector), ApiStatus> {
    let refused = |e: crate::model::selector::SelectorError| ApiStatus::bad_request(e.to_string());
    let labels = LabelSelector::parse(query.get("labelSelector")).map_err(refused)?;
    let fields = FieldSelector::parse(query.get("fieldSelector")).map_err(refused)?;
    Ok((labels, fields))
}

impl ListOptions {
    /// Reads the query and checks the combinations that upstream checks. `watch`: the verb is watch.
    pub fn parse(query: &Query, watch: bool) -> Result<Self, ApiStatus> {
        let (labels, fields) = selectors(query)?;
        let out = Self {
            labels,
            fields,
            limit: usize::try_from(query.number::<i64>("limit")?.unwrap_or(0)).unwrap_or(0),
            continue_token: query.get("continue").to_owned(),
            rv: rv_of(query.get("resourceVersion"))?,
            rv_match: match query.get("resourceVersionMatch") {
                "" => Match::Unset,
                "NotOlderThan" => Match::NotOlderThan,
                "Exact" => Match::Exact,
                other => {
                    let supported = ["Exact", "NotOlderThan"];
                    return Err(list_invalid(Cause::not_supported(
                        "resourceVersionMatch",
                        &other.into(),
                        &supported,
                    )));
                }
            },
            timeout: query.number("timeoutSeconds")?,
            bookmarks: query.flag("allowWatchBookmarks"),
            initial_events: query.has("sendInitialEvents").then(|| query.flag("sendInitialEvents")),
        };
        out.check(watch)?;
        Ok(out)
    }

    fn check(&self, watch: bool) -> Result<(), ApiStatus> {
        let forbid = |field: &str, why: &str| Err(list_invalid(Cause::forbidden(field, why)));
        if watch {
            return match (self.initial_events, self.rv_match) {
                (Some(_), Match::Unset) => forbid(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ),
                (Some(_), Match::Exact) => Err(list_invalid(Cause::not_supported(
                    "resourceVersionMatch",
                    &"Exact".into(),
                    &["NotOlderThan"],
                ))),
                (None, Match::NotOlderThan | Match::Exact) => forbid(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ),
                (Some(true), _) if !self.bookmarks => forbid(
                    "allowWatchBookmarks",
                    "sendInitialEvents is forbidden for watch unless allowWatchBookmarks is provided",
                ),
                _ => Ok(()),
            };
        }
        if self.initial_events.is_some() {
            return forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        if self.rv_match == Match::Unset {
            return Ok(());
        }
        if !self.continue_token.is_empty() {
            return forbid(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            );
        }
        match (self.rv, self.rv_match) {
            (None, _) => forbid(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (Some(0), Match::Exact) => forbid(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
            _ => Ok(()),
        }
    }
}

fn list_invalid(cause: Cause) -> ApiStatus {
    let gvk = crate::model::gvk::Gvk::new("meta.k8s.io", "v1", "ListOptions");
    ApiStatus::invalid(&gvk, "", vec![cause])
}

fn rv_of(text: &str) -> Result<Option<u64>, ApiStatus> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        ApiStatus::bad_request(format!(
            "Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_options_refuse_what_upstream_refuses() {
        // AS-30: combinations of resourceVersion, match and initial events.
        let parse = |q: &str, watch| ListOptions::parse(&Query::parse(q), watch).map_err(|s| s.code);
        for (query, watch, code) in [
            ("resourceVersion=x", false, 400),
            ("resourceVersionMatch=Exact", false, 422),
            ("resourceVersion=0&resourceVersionMatch=Exact", false, 422),
            ("resourceVersion=5&resourceVersionMatch=Other", false, 422),
            ("resourceVersion=5&resourceVersionMatch=Exact&continue=a", false, 422),
            ("sendInitialEvents=true", false, 422),
            ("sendInitialEvents=true", true, 422),
            ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", true, 422),
            ("resourceVersionMatch=NotOlderThan", true, 422),
        ] {
            assert_eq!(parse(query, watch).map(|_| ()), Err(code), "{query}");
        }
        let ok = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        assert!(parse(ok, true).is_ok() && parse("limit=5&resourceVersion=7", false).is_ok());
    }

    #[test]
    fn delete_options_come_from_body_or_query() {
        let body = serde_json::json!({"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}, "propagationPolicy": "Orphan"});
        let from_body = DeleteOptions::parse(&Query::default(), Some(&body)).unwrap();
        assert_eq!((from_body.grace, from_body.uid.as_deref()), (Some(0), Some("u")));
        assert_eq!(from_body.propagation, Some(Propagation::Orphan));
        let both = Query::parse("propagationPolicy=Orphan&orphanDependents=true");
        assert_eq!(DeleteOptions::parse(&both, None).unwrap_err().code, 422);
    }
}
