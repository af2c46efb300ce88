//! Definitions compiled for serving, shared by content between tenants (Y4).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use base64::Engine as _;
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::arena;
use super::definition::{Definition, Names, Scale, Version};
use super::node::Node;
use crate::model::gvk::{Gvk, ResourceId};
use crate::model::resource::{CellSource, Column, Fidelity, NameRule, Resource, Selectable, Subresource};
use crate::model::schema::{Schema, TypeId};

/// A definition compiled.
#[derive(Debug)]
pub struct CompiledCrd {
    /// Group of its kinds.
    pub group: Box<str>,
    /// Names it is served under.
    pub names: Names,
    /// Its objects live in namespaces.
    pub namespaced: bool,
    /// All versions, served or not, in the order of the definition.
    pub versions: Vec<Arc<CustomVersion>>,
    /// The storage version's place in `versions`.
    pub storage: usize,
}

/// One version of a CustomResourceDefinition, compiled.
#[derive(Debug)]
pub struct CustomVersion {
    /// Group, version and kind of its objects.
    pub gvk: Gvk,
    /// Kind of its lists.
    pub list_kind: Box<str>,
    /// Plural name.
    pub plural: Box<str>,
    /// Its objects live in namespaces.
    pub namespaced: bool,
    /// Requests are answered.
    pub served: bool,
    /// Objects are stored so.
    pub storage: bool,
    /// `/status` exists.
    pub has_status: bool,
    /// `/scale`, with its paths.
    pub scale: Option<Scale>,
    /// It holds CEL rules, which are not enforced (M3).
    pub has_rules: bool,
    /// Warning that each request of a deprecated version is answered with.
    pub deprecation: Option<Box<str>>,
    /// Dotted paths of its selectable fields.
    pub selectable: Vec<Box<str>>,
    /// Unknown fields of the whole object stay (a stored definition of old only).
    pub preserve_unknown: bool,
    /// Schema; without one everything is kept and valid.
    pub node: Option<Node>,
    /// Types of its objects, for whoever walks them.
    pub schema: Arc<Schema>,
    /// Type of the whole object in `schema`.
    pub root: TypeId,
    /// What is stored is what is answered: one version, and no defaults that a reader might have to fill in.
    pub reads_as_stored: bool,
    columns: Vec<Column>,
    home: Weak<CompiledCrd>,
}

static SHARED: LazyLock<Mutex<HashMap<[u8; 32], Weak<CompiledCrd>>>> = LazyLock::new(Mutex::default);

/// Compiles a definition that has passed its rules, or finds the one compiled from the same spec and names.
pub fn compile(crd: &Value) -> Arc<CompiledCrd> {
    // Members are in byte order: equal specs have equal texts.
    let text = format!("{}{}", crd["spec"], crd["status"]["acceptedNames"]);
    let key: [u8; 32] = Sha256::digest(text).into();
    if let Some(found) = SHARED.lock().get(&key).and_then(Weak::upgrade) {
        return found;
    }
    let mut def = Definition::parse(crd);
    if !def.accepted.kind.is_empty() {
        // A name that clashes is not served, even if the definition has come to ask for it.
        def.names = def.accepted.clone();
    }
    let compiled = Arc::new_cyclic(|home| CompiledCrd::new(&def, home));
    let mut shared = SHARED.lock();
    if let Some(found) = shared.get(&key).and_then(Weak::upgrade) {
        return found;
    }
    shared.retain(|_, held| held.strong_count() > 0);
    shared.insert(key, Arc::downgrade(&compiled));
    compiled
}

/// Number of definitions compiled and in use, for metrics.
pub fn shared_count() -> usize {
    SHARED.lock().values().filter(|held| held.strong_count() > 0).count()
}

impl CompiledCrd {
    fn new(def: &Definition, home: &Weak<Self>) -> Self {
        let versions = def.versions.iter().map(|v| Arc::new(CustomVersion::new(def, v, home))).collect();
        Self {
            group: def.group.as_str().into(),
            names: def.names.clone(),
            namespaced: def.scope == "Namespaced",
            versions,
            storage: def.versions.iter().position(|v| v.storage).unwrap_or_default(),
        }
    }

    /// The version of that name.
    pub fn version(&self, name: &str) -> Option<&Arc<CustomVersion>> {
        self.versions.iter().find(|v| &*v.gvk.version == name)
    }

    /// Rows of discovery: one per served version.
    pub fn resources(&self) -> Vec<Resource> {
        self.versions.iter().filter(|v| v.served).map(|v| self.resource(v)).collect()
    }

    fn resource(&self, version: &Arc<CustomVersion>) -> Resource {
        let texts = |list: &[String]| list.iter().map(|t| t.as_str().into()).collect();
        let storage = self.versions.get(self.storage).map_or(&version.gvk, |v| &v.gvk).clone();
        Resource {
            gvk: version.gvk.clone(),
            plural: self.names.plural.as_str().into(),
            singular: self.names.singular.as_str().into(),
            namespaced: self.namespaced,
            short_names: texts(&self.names.short),
            categories: texts(&self.names.categories),
            verbs: verbs(&[
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ]),
            subresources: version.subresources(),
            id: ResourceId::new(&self.group, &self.names.plural),
            storage_hash: storage_hash(&storage),
            storage,
            schema: Arc::clone(&version.schema),
            root: version.root,
            columns: version.columns.clone(),
            selectable: version
                .selectable
                .iter()
                .map(|path| Selectable { label: path.clone(), path: path.clone(), default: "".into() })
                .collect(),
            has_status: version.has_status,
            generation: true,
            status_paths: if version.has_status { vec!["status".into()] } else { Vec::new() },
            unconditional_update: false,
            create_on_update: false,
            name_rule: NameRule::DnsSubdomain,
            fidelity: if version.has_rules { Fidelity::Schema } else { Fidelity::Strict },
            custom: Some(Arc::clone(version)),
        }
    }
}

impl CustomVersion {
    fn new(def: &Definition, version: &Version, home: &Weak<CompiledCrd>) -> Self {
        let gvk = Gvk::new(&def.group, &version.name, &def.names.kind);
        let (schema, root) = arena::build(version.schema.as_ref());
        let deprecation = version.deprecated.then(|| match &version.deprecation_warning {
            Some(own) => own.as_str().into(),
            None => format!("{} {} is deprecated", gvk.api_version(), gvk.kind).into(),
        });
        Self {
            list_kind: def.names.list_kind.as_str().into(),
            plural: def.names.plural.as_str().into(),
            namespaced: def.scope == "Namespaced",
            served: version.served,
            storage: version.storage,
            has_status: version.has_status(),
            scale: version.scale().cloned(),
            has_rules: version.schema.as_ref().is_some_and(|s| s.any(&mut |n| !n.rules.is_empty())),
            deprecation,
            selectable: version.selectable.iter().map(|p| p.trim_start_matches('.').into()).collect(),
            preserve_unknown: def.preserve_unknown,
            node: version.schema.clone(),
            schema: Arc::new(schema),
            root,
            reads_as_stored: def.versions.len() == 1
                && !version.schema.as_ref().is_some_and(|s| s.any(&mut |n| n.default.is_some())),
            columns: columns(version),
            home: home.clone(),
            gvk,
        }
    }

    /// The version of the same definition that objects are stored in, if it is another.
    pub(super) fn storage_version(&self) -> Option<Arc<CustomVersion>> {
        let home = self.home.upgrade().filter(|_| !self.storage)?;
        home.versions.get(home.storage).cloned()
    }

    /// The version of the same definition with that `apiVersion`, if it is another.
    pub(super) fn sibling(&self, api_version: &str) -> Option<Arc<CustomVersion>> {
        let version = api_version.rsplit('/').next().filter(|v| *v != &*self.gvk.version)?;
        self.home.upgrade()?.version(version).cloned()
    }

    fn subresources(&self) -> Vec<Subresource> {
        let one = |name: &str, gvk: Gvk| Subresource {
            name: name.into(),
            gvk,
            verbs: verbs(&["get", "patch", "update"]),
        };
        let scale = self.scale.as_ref().map(|_| one("scale", Gvk::new("autoscaling", "v1", "Scale")));
        scale.into_iter().chain(self.has_status.then(|| one("status", self.gvk.clone()))).collect()
    }
}

fn verbs(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|n| (*n).into()).collect()
}

/// The name, then the version's own columns, or the age.
fn columns(version: &Version) -> Vec<Column> {
    let column = |name: &str, ty: &str, format: &str, path: &str| Column {
        name: name.into(),
        ty: ty.into(),
        format: format.into(),
        priority: 0,
        description: "".into(),
        source: CellSource::Path(path.into()),
    };
    let mut all = vec![column("Name", "string", "name", ".metadata.name")];
    if version.columns.is_empty() {
        all.push(column("Age", "date", "", ".metadata.creationTimestamp"));
    }
    all.extend(version.columns.iter().map(|c| Column {
        priority: c.priority,
        description: c.description.as_str().into(),
        ..column(&c.name, &c.ty, &c.format, &c.path)
    }));
    all
}

/// Discovery's hash of a storage version.
fn storage_hash(gvk: &Gvk) -> Box<str> {
    let hash = Sha256::digest(gvk.to_string());
    base64::engine::general_purpose::STANDARD.encode(&hash[..8]).into()
}
