//! Properties of members: those of the ClusterProfile, and the computed ones (M2), which win over a profile's own
//! so that nobody can forge a capacity or a price.

use crate::capacity::tree;
use crate::intern::Fleet;
use crate::types::resources::amount_text;
use crate::types::{Expression, Operator};
use crate::value::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// The value of one property of one member.
pub(crate) fn property<'f>(fleet: &Fleet<'f>, member: usize, key: &str) -> Option<Cow<'f, str>> {
    computed(fleet, member, key)
        .map(Cow::Owned)
        .or_else(|| fleet.members[member].properties.get(key).map(|v| Cow::Borrowed(v.as_str())))
}

fn computed(fleet: &Fleet<'_>, member: usize, key: &str) -> Option<String> {
    let m = fleet.members[member];
    if let Some(resource) = key.strip_prefix("available-") {
        return tree::available(fleet, member, resource).map(|amount| amount_text(resource, amount));
    }
    if let Some(resource) = key.strip_prefix("allocatable-") {
        let amount = tree::allocatable(fleet, member)?.0.get(resource)?;
        return Some(amount_text(resource, *amount));
    }
    if let Some(kind) = key.strip_prefix("instance-type/") {
        return m.instance_types.get(kind).map(u32::to_string);
    }
    match key {
        "nodes-ready" => Some(m.ready_nodes.to_string()),
        "kubernetes-version" => (!m.version.is_empty()).then(|| m.version.clone()),
        "price-cpu-hour" => m.price.as_ref().map(|p| p.cpu_hour.clone()),
        "price-gib-hour" => m.price.as_ref().map(|p| p.gib_hour.clone()),
        _ => None,
    }
}

/// Whether a property value satisfies an expression. A missing value satisfies NotIn, Ne and DoesNotExist only.
pub(crate) fn satisfies(value: Option<&str>, expression: &Expression) -> bool {
    use Operator::{DoesNotExist, Eq, Exists, Ge, Gt, In, Le, Lt, Ne, NotIn};
    let Some(value) = value else { return matches!(expression.operator, NotIn | Ne | DoesNotExist) };
    let value = Value::new(value);
    let mut orders = expression.values.iter().map(|v| value.compare(&Value::new(v)));
    let mut equal = || orders.any(|o| o == Some(Ordering::Equal));
    match expression.operator {
        Exists => true,
        DoesNotExist => false,
        In | Eq => equal(),
        NotIn | Ne => !equal(),
        Gt => orders.all(|o| o == Some(Ordering::Greater)),
        Ge => orders.all(|o| matches!(o, Some(Ordering::Greater | Ordering::Equal))),
        Lt => orders.all(|o| o == Some(Ordering::Less)),
        Le => orders.all(|o| matches!(o, Some(Ordering::Less | Ordering::Equal))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Placement 3: every operator over quantity, version, text and a missing value.
    #[test]
    fn placement_3_operator_table() {
        use Operator::{DoesNotExist, Eq, Exists, Ge, Gt, In, Le, Lt, Ne, NotIn};
        let operators = [In, NotIn, Exists, DoesNotExist, Eq, Ne, Gt, Ge, Lt, Le];
        // Per row: the member's value, the term's value, and for each operator above whether it matches.
        let rows: [(Option<&str>, &str, [u8; 10]); 12] = [
            (Some("8"), "8000m", [1, 0, 1, 0, 1, 0, 0, 1, 0, 1]),
            (Some("9"), "8", [0, 1, 1, 0, 0, 1, 1, 1, 0, 0]),
            (Some("500m"), "1", [0, 1, 1, 0, 0, 1, 0, 0, 1, 1]),
            (Some("16Gi"), "17179869184", [1, 0, 1, 0, 1, 0, 0, 1, 0, 1]),
            (Some("v1.31.2"), "v1.31.2", [1, 0, 1, 0, 1, 0, 0, 1, 0, 1]),
            (Some("v1.31.10"), "v1.31.9", [0, 1, 1, 0, 0, 1, 1, 1, 0, 0]),
            (Some("v1.30.0"), "1.31", [0, 1, 1, 0, 0, 1, 0, 0, 1, 1]),
            (Some("gold"), "gold", [1, 0, 1, 0, 1, 0, 0, 1, 0, 1]),
            (Some("gold"), "bronze", [0, 1, 1, 0, 0, 1, 1, 1, 0, 0]),
            (Some("bronze"), "gold", [0, 1, 1, 0, 0, 1, 0, 0, 1, 1]),
            (Some("gold"), "8", [0, 1, 1, 0, 0, 1, 0, 0, 0, 0]),
            (None, "8", [0, 1, 0, 1, 0, 1, 0, 0, 0, 0]),
        ];
        for (have, want, expected) in rows {
            for (operator, expected) in operators.iter().zip(expected) {
                let expression =
                    Expression { key: "p".into(), operator: *operator, values: vec![want.to_owned()] };
                assert_eq!(satisfies(have, &expression), expected == 1, "{have:?} {operator:?} {want}");
            }
        }
    }

    #[test]
    fn sets_match_any_of_their_values() {
        let of = |operator| Expression { key: "p".into(), operator, values: vec!["a".into(), "4".into()] };
        assert!(satisfies(Some("4000m"), &of(Operator::In)));
        assert!(!satisfies(Some("4000m"), &of(Operator::NotIn)));
        assert!(satisfies(Some("b"), &of(Operator::NotIn)));
    }
}
