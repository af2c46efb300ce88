//! Checks of numbers.

use serde_json::{Number, Value};

use super::node::Node;
use super::path::{Path, float_plain};
use super::validate::Walk;
use crate::model::status::Cause;

/// A number without a fraction, as far as doubles can tell.
pub fn is_whole(f: f64) -> bool {
    const SAFE: f64 = 9_007_199_254_740_991.0;
    if !f.is_finite() || f.abs() > SAFE {
        return false;
    }
    let whole = f.trunc();
    let apart = (f - whole).abs();
    f == whole || (f != 0.0 && whole != 0.0 && apart / (f.abs() + whole.abs()) < 1e-9)
}

/// Whether a value is that choice of an `enum`: numbers are compared in the choice's kind.
pub fn chosen(value: &Value, choice: &Value) -> bool {
    if choice.is_null() {
        return false;
    }
    match (value, choice) {
        (Value::Number(value), Value::Number(choice)) if value != choice => match choice.as_i64() {
            Some(choice) => value.as_f64().is_some_and(|v| v.trunc() == choice as f64) && !value.is_i64(),
            None => value.as_f64() == choice.as_f64(),
        },
        _ => value == choice,
    }
}

/// A number held against its schema's bounds: whole ones as 64-bit integers, others as doubles.
pub(super) fn check(walk: &Walk<'_>, path: &Path<'_>, node: &Node, number: &Number) -> Vec<Cause> {
    let mut found = Vec::new();
    let checks = node.checks();
    let value = number.as_f64().unwrap_or_default();
    let integer = number.as_i64();
    let range = Range::of(node);
    let shown =
        |whole: Option<(i64, i64)>| whole.map_or_else(|| float_plain(value), |(value, _)| value.to_string());
    found.extend(
        range.check(integer.map_or(value, |i| i as f64), integer, "Checked", path).map(|d| walk.loose(&d)),
    );

    if let Some(factor) = checks.multiple_of {
        let (factor, whole) = exact(&mut found, walk, &range, factor, "MultipleOf", path, integer);
        let fits = match whole {
            whole if whole.map_or(factor <= 0.0, |(_, factor)| factor <= 0) => {
                let text = bound(factor, whole);
                let detail =
                    format!("factor MultipleOf declared for {} must be positive: {text}", path.text());
                found.push(walk.sentence(path, &text, &detail));
                true
            }
            Some((value, factor)) => value % factor == 0,
            None => is_whole(if factor < 1.0 { 1.0 / factor * value } else { value / factor }),
        };
        if !fits {
            found.push(walk.invalid(
                path,
                &shown(whole),
                &format!("should be a multiple of {}", bound(factor, whole)),
            ));
        }
    }
    for (limit, exclusive, upper) in
        [(checks.maximum, checks.exclusive_maximum, true), (checks.minimum, checks.exclusive_minimum, false)]
    {
        let Some(limit) = limit else { continue };
        let name = if upper { "Maximum boundary" } else { "Minimum boundary" };
        let (limit, whole) = exact(&mut found, walk, &range, limit, name, path, integer);
        let order = match whole {
            Some((value, limit)) => value.cmp(&limit),
            None => value.partial_cmp(&limit).unwrap_or(std::cmp::Ordering::Equal),
        };
        let beyond = if upper { order.is_gt() } else { order.is_lt() };
        if beyond || (exclusive && order.is_eq()) {
            let relation = match (upper, exclusive) {
                (true, true) => "less than",
                (true, false) => "less than or equal to",
                (false, true) => "greater than",
                (false, false) => "greater than or equal to",
            };
            found.push(walk.invalid(
                path,
                &shown(whole),
                &format!("should be {relation} {}", bound(limit, whole)),
            ));
        }
    }
    found
}

/// The limit in the kind of the value: both as integers where the value is one and the schema's type can hold the
/// limit, else doubles.
fn exact(
    found: &mut Vec<Cause>,
    walk: &Walk<'_>,
    range: &Range,
    limit: f64,
    name: &str,
    path: &Path<'_>,
    integer: Option<i64>,
) -> (f64, Option<(i64, i64)>) {
    match range.check(limit, None, name, path) {
        Some(detail) => {
            found.push(walk.loose(&detail));
            (limit, None)
        }
        None => (limit, integer.map(|value| (value, truncated(limit)))),
    }
}

/// A limit as a 64-bit integer. One beyond them all becomes the smallest, as on upstream's processors.
fn truncated(limit: f64) -> i64 {
    let fits = limit >= i64::MIN as f64 && limit < i64::MAX as f64;
    if fits { limit as i64 } else { i64::MIN }
}

fn bound(limit: f64, whole: Option<(i64, i64)>) -> String {
    whole.map_or_else(|| float_plain(limit), |(_, limit)| limit.to_string())
}

/// The numbers a type and format can hold.
struct Range {
    ty: &'static str,
    format: &'static str,
}

impl Range {
    fn of(node: &Node) -> Self {
        if node.int_or_string {
            return Self { ty: "", format: "" };
        }
        match (&*node.ty, &*node.checks().format) {
            ("integer", "int32") => Self { ty: "integer", format: "int32" },
            ("integer", "int64") => Self { ty: "integer", format: "int64" },
            ("integer", _) => Self { ty: "integer", format: "" },
            ("number", "float") => Self { ty: "number", format: "float" },
            ("number", "double") => Self { ty: "number", format: "double" },
            ("number", _) => Self { ty: "number", format: "" },
            _ => Self { ty: "", format: "" },
        }
    }

    fn check(&self, value: f64, integer: Option<i64>, name: &str, path: &Path<'_>) -> Option<String> {
        let fits = match (self.ty, self.format) {
            ("integer", "int32") => {
                let exact = integer.map_or(value, |i| i as f64);
                exact.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&exact)
            }
            ("integer", _) => {
                integer.is_some()
                    || (value.fract() == 0.0 && value >= i64::MIN as f64 && value < i64::MAX as f64)
            }
            ("number", "float") => value.abs() <= f64::from(f32::MAX),
            _ => true,
        };
        if fits {
            return None;
        }
        let kind = if self.format.is_empty() {
            format!("{} (default format)", self.ty)
        } else {
            format!("{} with format {}", self.ty, self.format)
        };
        Some(format!("{name} value must be of type {kind} in {}", path.text()))
    }
}
