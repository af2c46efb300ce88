//! Selectors: label and property terms, sorts, tolerations. The same shapes as the Placement's own fields.

use super::TaintEffect;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One term; its parts are joined by AND, terms by OR.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Term {
    /// On labels.
    pub label_selector: Option<LabelSelector>,
    /// On properties.
    pub property_selector: Option<PropertySelector>,
    /// A CEL expression. This version does not evaluate it: a term that has one never matches and is counted.
    pub cel: String,
    /// ClusterProfiles, `name` or `namespace/name`.
    pub names: Vec<String>,
}

/// Labels that must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Exact pairs.
    pub match_labels: BTreeMap<String, String>,
    /// Expressions; In, NotIn, Exists and DoesNotExist compare as text.
    pub match_expressions: Vec<Expression>,
}

/// Properties that must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PropertySelector {
    /// Values that must be equal (as quantity, else version, else text).
    pub match_properties: BTreeMap<String, String>,
    /// Expressions with ordered operators too.
    pub match_expressions: Vec<Expression>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expression {
    /// Label or property.
    pub key: String,
    /// How to compare.
    pub operator: Operator,
    /// With what.
    #[serde(default)]
    pub values: Vec<String>,
}

/// Operators of an expression. A missing value satisfies NotIn, Ne and DoesNotExist and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// Ranks members by a property.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sort {
    /// Property, of the profile or computed.
    pub property: String,
    /// Which end is better.
    #[serde(default)]
    pub order: Order,
}

/// Direction of a sort: Ascending prefers small values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// A toleration, with the meaning core/v1 gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// Taint key; empty with Exists tolerates every key.
    pub key: String,
    /// Equal (default) or Exists.
    pub operator: TolerationOperator,
    /// Compared with Equal.
    pub value: String,
    /// None tolerates every effect.
    pub effect: Option<TaintEffect>,
    /// For NoExecute; none = for ever.
    pub toleration_seconds: Option<i64>,
}

/// How a toleration compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum TolerationOperator {
    #[default]
    Equal,
    Exists,
}
