//! One row of discovery: a resource of a group version, built-in or custom, with all that the one
//! request path needs to know about it.

use std::sync::Arc;

use serde_json::Value;

use super::gvk::{Gvk, ResourceId};
use super::schema::{Schema, TypeId};
use crate::custom::CustomVersion;

/// A (group, version, plural) as it is served.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Group, version and kind of its objects.
    pub gvk: Gvk,
    /// Plural name, as in paths.
    pub plural: Box<str>,
    /// Singular name.
    pub singular: Box<str>,
    /// Objects live in namespaces.
    pub namespaced: bool,
    /// Short names for people.
    pub short_names: Vec<Box<str>>,
    /// Categories, as `all`.
    pub categories: Vec<Box<str>>,
    /// Verbs, sorted, as discovery lists them.
    pub verbs: Vec<Box<str>>,
    /// Subresources, sorted by name.
    pub subresources: Vec<Subresource>,
    /// Where objects are stored; versions of one kind share it.
    pub id: ResourceId,
    /// The version objects are stored in.
    pub storage: Gvk,
    /// Hash of the storage version in discovery, empty where it has none.
    pub storage_hash: Box<str>,
    /// Arena of `root`.
    pub schema: Arc<Schema>,
    /// Type of `gvk`.
    pub root: TypeId,
    /// Printer columns, `Name` included, in order.
    pub columns: Vec<Column>,
    /// Field selectors beyond `metadata.name` and `metadata.namespace`.
    pub selectable: Vec<Selectable>,
    /// It has a `/status` that alone writes `status_paths`.
    pub has_status: bool,
    /// `metadata.generation` is kept.
    pub generation: bool,
    /// Paths that only `/status` writes.
    pub status_paths: Vec<Box<str>>,
    /// An update without resourceVersion is accepted (U2).
    pub unconditional_update: bool,
    /// A PUT to a missing name creates (U3).
    pub create_on_update: bool,
    /// What names look like.
    pub name_rule: NameRule,
    /// How far the kind agrees with upstream (M1).
    pub fidelity: Fidelity,
    /// The compiled version of a CustomResourceDefinition; `None` for built-in kinds.
    pub custom: Option<Arc<CustomVersion>>,
}

impl Resource {
    /// Whether discovery lists this verb.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| &**v == verb)
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| &*s.name == name)
    }

    /// Kind of its lists.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.gvk.kind)
    }

    /// Objects are kept, not only answered as the review kinds are.
    pub fn is_stored(&self) -> bool {
        self.has_verb("get")
    }
}

/// A subresource of a [`Resource`].
#[derive(Clone, Debug)]
pub struct Subresource {
    /// Name, as `scale`.
    pub name: Box<str>,
    /// Kind of its body.
    pub gvk: Gvk,
    /// Verbs, sorted.
    pub verbs: Vec<Box<str>>,
}

/// A printer column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: Box<str>,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub ty: Box<str>,
    /// OpenAPI format; `name` marks the primary column.
    pub format: Box<str>,
    /// 0 is always shown, higher ones with `-o wide`.
    pub priority: i32,
    /// Text for people.
    pub description: Box<str>,
    /// Where the cell comes from.
    pub source: CellSource,
}

/// Where a cell comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellSource {
    /// A JSONPath without braces, as `.spec.replicas`.
    Path(Box<str>),
    /// A named function of `codec::table`.
    Hook(Box<str>),
}

/// A field selector of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selectable {
    /// The label a client writes, as `spec.nodeName`.
    pub label: Box<str>,
    /// Dotted path of the value in the stored object; after `|` the next one where that is empty.
    pub path: Box<str>,
    /// What an absent value compares as.
    pub default: Box<str>,
}

impl Selectable {
    /// The text that an object in the storage version is compared by.
    pub fn value(&self, object: &Value) -> Box<str> {
        let texts = self.path.split('|').filter_map(|path| text_at(object, path));
        texts.into_iter().find(|text| !text.is_empty()).map_or_else(|| self.default.clone(), Box::from)
    }
}

fn text_at(object: &Value, path: &str) -> Option<String> {
    let value = path.split('.').try_fold(object, |at, part| at.get(part))?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What names of a kind look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 subdomain.
    #[default]
    DnsSubdomain,
    /// RFC 1123 label.
    DnsLabel,
    /// RFC 1035 label.
    Dns1035,
    /// Anything that is one path segment.
    PathSegment,
    /// A canonical IP address.
    IpAddress,
}

/// How far a kind agrees with upstream (M1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fidelity {
    /// Same verdicts, same stored object.
    Strict,
    /// Same stored object; may accept more.
    Schema,
    /// Computed defaults may be missing.
    #[default]
    None,
}

impl Fidelity {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Schema => "schema",
            Self::None => "none",
        }
    }
}
