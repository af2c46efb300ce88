//! Whether a write changed anything (U4).

use serde_json::Value;

/// Whether two states differ in nothing but times of `managedFields` (U4).
pub fn equal_ignoring_times(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return a == b };
    members_equal(a, b, |name, a, b| match (name, a, b) {
        ("metadata", Value::Object(a), Value::Object(b)) => {
            members_equal(a, b, |name, a, b| match (name, a, b) {
                ("managedFields", Value::Array(a), Value::Array(b)) => {
                    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| entries_equal(a, b))
                }
                _ => a == b,
            })
        }
        _ => a == b,
    })
}

fn entries_equal(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return a == b };
    let rest = |m: &&serde_json::Map<String, Value>| m.len() - usize::from(m.contains_key("time"));
    rest(&a) == rest(&b)
        && a.iter().filter(|(name, _)| *name != "time").all(|(name, value)| b.get(name) == Some(value))
}

fn members_equal(
    a: &serde_json::Map<String, Value>,
    b: &serde_json::Map<String, Value>,
    equal: impl Fn(&str, &Value, &Value) -> bool,
) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((an, a), (bn, b))| an == bn && equal(an, a, b))
}
