//! The base image: objects that every tenant of a minor and role begins with, stored once per process (K11).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::key::{Key, NsName};
use super::record::{Index, Record, canonical};
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

/// RV of every object of the base image and of a list that was never written to.
pub const BASE_RV: u64 = 1;

/// Stands around a slot's name. From the private use area: no template carries it otherwise.
const MARK: char = '\u{E000}';

/// Text to put into a template where a tenant's own value belongs: `slot("ca")`.
pub fn slot(name: &str) -> String {
    format!("{MARK}{name}{MARK}")
}

const UID: &str = "uid";
const CREATED: &str = "created";

struct Template {
    name: NsName,
    /// Canonical JSON with the slots cut out.
    body: Vec<u8>,
    /// Offset in `body` and name of each slot.
    slots: Vec<(usize, Box<str>)>,
    splice: u32,
    index: Index,
}

/// Bootstrap objects of one minor and role. `metadata.uid` and `metadata.creationTimestamp` are slots of every
/// object, others are made by [`slot`].
#[derive(Default)]
pub struct BaseImage {
    resources: BTreeMap<ResourceId, Vec<Template>>,
}

impl BaseImage {
    /// From objects with their keys; the last of equal keys counts.
    pub fn new(objects: impl IntoIterator<Item = (Key, Value, Index)>) -> Self {
        let mut sorted = BTreeMap::new();
        for (key, tree, index) in objects {
            sorted.insert(key, (tree, index));
        }
        let mut resources = BTreeMap::<ResourceId, Vec<Template>>::new();
        for (key, (tree, index)) in sorted {
            resources.entry(key.resource).or_default().push(template(key.name, tree, index));
        }
        Self { resources }
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.resources.values().map(Vec::len).sum()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

fn template(name: NsName, mut tree: Value, index: Index) -> Template {
    if let Some(metadata) = tree.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("uid".to_owned(), slot(UID).into());
        metadata.insert("creationTimestamp".to_owned(), slot(CREATED).into());
    }
    let (marked, marked_splice) = canonical(&tree);
    let text = String::from_utf8(marked).unwrap_or_default();
    let (mut body, mut slots, mut splice, mut seen) = (Vec::new(), Vec::new(), 0, 0);
    for (n, part) in text.split(MARK).enumerate() {
        // Parts alternate: text, name of a slot, text, …
        if n % 2 == 1 {
            slots.push((body.len(), Box::from(part)));
        } else {
            let at = (marked_splice as usize).saturating_sub(seen);
            if (marked_splice as usize) >= seen && at <= part.len() {
                splice = body.len() + at;
            }
            body.extend_from_slice(part.as_bytes());
        }
        seen += part.len() + MARK.len_utf8();
    }
    Template { name, body, slots, splice: u32::try_from(splice).unwrap_or(u32::MAX), index }
}

/// A base image and what fills its slots for one tenant.
#[derive(Clone, Default)]
pub struct Layer {
    /// The shared objects.
    pub base: Arc<BaseImage>,
    /// `metadata.creationTimestamp` of the tenant, RFC 3339.
    pub created: String,
    /// Values of named slots.
    pub values: BTreeMap<String, String>,
}

/// A [`Layer`] bound to its tenant.
pub(super) struct Layered {
    tenant: TenantId,
    base: Arc<BaseImage>,
    /// Values as they stand inside JSON strings.
    escaped: BTreeMap<String, Vec<u8>>,
}

impl Layered {
    pub fn new(tenant: TenantId, layer: Layer) -> Self {
        let Layer { base, created, mut values } = layer;
        values.insert(CREATED.to_owned(), created);
        let escaped = values.into_iter().map(|(name, value)| (name, escape(&value))).collect();
        Self { tenant, base, escaped }
    }

    fn rows(&self, resource: &ResourceId) -> &[Template] {
        self.base.resources.get(resource).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn resources(&self) -> impl Iterator<Item = &ResourceId> {
        self.base.resources.keys()
    }

    pub fn count(&self, resource: &ResourceId) -> usize {
        self.rows(resource).len()
    }

    pub fn contains(&self, resource: &ResourceId, name: &NsName) -> bool {
        self.find(resource, name).is_some()
    }

    fn find(&self, resource: &ResourceId, name: &NsName) -> Option<&Template> {
        let rows = self.rows(resource);
        rows.binary_search_by(|row| row.name.cmp(name)).ok().map(|at| &rows[at])
    }

    pub fn get(&self, resource: &ResourceId, name: &NsName) -> Option<Record> {
        self.find(resource, name).map(|template| self.fill(resource, template))
    }

    /// Objects at `from` and after, by their place in the image.
    pub fn place_of(&self, resource: &ResourceId, from: &NsName, inclusive: bool) -> usize {
        self.rows(resource)
            .partition_point(|row| if inclusive { row.name < *from } else { row.name <= *from })
    }

    pub fn name_at(&self, resource: &ResourceId, place: usize) -> Option<&NsName> {
        self.rows(resource).get(place).map(|row| &row.name)
    }

    pub fn record_at(&self, resource: &ResourceId, place: usize) -> Option<Record> {
        self.rows(resource).get(place).map(|template| self.fill(resource, template))
    }

    fn fill(&self, resource: &ResourceId, template: &Template) -> Record {
        let uid = base_uid(self.tenant, resource, &template.name);
        let mut body = Vec::with_capacity(template.body.len() + 64);
        let (mut done, mut splice) = (0, template.splice);
        for (at, name) in &template.slots {
            let value = match &**name {
                UID => uid.as_bytes(),
                other => self.escaped.get(other).map(Vec::as_slice).unwrap_or_default(),
            };
            body.extend_from_slice(&template.body[done..*at]);
            body.extend_from_slice(value);
            done = *at;
            if *at < template.splice as usize {
                splice = splice.saturating_add(u32::try_from(value.len()).unwrap_or_default());
            }
        }
        body.extend_from_slice(&template.body[done..]);
        let index = Index { uid: uid.into(), ..template.index.clone() };
        Record::from_parts(BASE_RV, body, splice, index)
    }
}

/// UUIDv8 of SHA-256(tenant ‖ key): the same at every read, another in every tenant.
fn base_uid(tenant: TenantId, resource: &ResourceId, name: &NsName) -> String {
    let digest = Sha256::new()
        .chain_update(tenant.as_bytes())
        .chain_update(resource.as_bytes())
        .chain_update([0])
        .chain_update(name.as_str().as_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Uuid::new_v8(bytes).to_string()
}

/// A text as it stands between the quotes of a JSON string.
fn escape(text: &str) -> Vec<u8> {
    let quoted = serde_json::to_vec(text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_vec()
}
