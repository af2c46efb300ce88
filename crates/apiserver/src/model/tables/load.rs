//! From table lines to the type arena and the rows of discovery.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::overlay::{self, KindFacts};
use super::parse::{self, FieldLine, ResourceLine, TableFile, TypeLine};
use super::{Builtin, TableError};
use crate::model::catalog::{Catalog, Group};
use crate::model::gvk::{Gvk, ResourceId};
use crate::model::resource::{Column, Resource, Subresource};
use crate::model::schema::{Field, ListTy, MapTy, Patch, Schema, Topology, Ty, TypeDef, TypeId, Zero};

pub(super) fn load(texts: &[(&'static str, &'static str)]) -> Result<Builtin, TableError> {
    let files = parse::files(texts)?;
    let schema = Arc::new(schema(&files)?);
    let roots = roots(&files, &schema);
    let kinds = overlay::kinds()?;
    let columns = overlay::columns()?;
    let mut rows = Vec::new();
    for file in files.iter().filter(|f| !f.resources.is_empty()) {
        let builder = RowBuilder { file, schema: &schema, roots: &roots, kinds: &kinds, columns: &columns };
        rows.extend(builder.rows()?);
    }
    let groups = files.iter().find(|f| f.name == "groups.tbl").map(|f| groups(f, &rows)).unwrap_or_default();
    let order = |row: &Arc<Resource>| {
        let group = groups.iter().position(|g| g.name == row.gvk.group);
        let version = group.and_then(|g| groups[g].versions.iter().position(|v| *v == row.gvk.version));
        (group, version)
    };
    rows.sort_by_key(order);
    let kinds = roots.iter().filter_map(|(kind, id)| {
        let (api_version, kind) = kind.rsplit_once('.')?;
        Some((Gvk::from_api_version(api_version, kind), *id))
    });
    let kinds = kinds.collect();
    Ok(Builtin { kinds, schema, catalog: Arc::new(Catalog::new(rows, groups)) })
}

/// Groups that still have a resource once the absent kinds are gone.
fn groups(file: &TableFile, rows: &[Arc<Resource>]) -> Vec<Group> {
    let served = |group: &str, version: &str| {
        rows.iter().any(|r| &*r.gvk.group == group && &*r.gvk.version == version)
    };
    let mut out = Vec::new();
    for (name, versions) in &file.groups {
        let versions: Vec<_> =
            versions.iter().filter(|v| served(name, v)).map(|v| Box::<str>::from(*v)).collect();
        if !versions.is_empty() {
            out.push(Group { name: (*name).into(), versions });
        }
    }
    out
}

/// Types by the kinds they are the body of.
fn roots(files: &[TableFile], schema: &Schema) -> HashMap<&'static str, TypeId> {
    let types = files.iter().flat_map(|f| &f.types);
    types
        .flat_map(|t| t.kinds.iter().filter_map(|k| Some((*k, schema.by_name(t.name)?))).collect::<Vec<_>>())
        .collect()
}

fn schema(files: &[TableFile]) -> Result<Schema, TableError> {
    let mut schema = Schema::default();
    let all: Vec<(&str, &TypeLine)> =
        files.iter().flat_map(|f| f.types.iter().map(move |t| (f.name, t))).collect();
    for (_, line) in &all {
        schema.add(TypeDef {
            name: line.name.into(),
            proto: line.proto.map(Into::into),
            atomic: line.map == Some("atomic"),
            ..TypeDef::default()
        });
    }
    for (file, line) in &all {
        let id = schema.by_name(line.name).ok_or_else(|| TableError::new(file, line.name, "lost type"))?;
        let mut fields = Vec::with_capacity(line.fields.len());
        for field_line in &line.fields {
            let why = |why| TableError::new(file, &format!("{}.{}", line.name, field_line.name), why);
            fields.push(field(&mut schema, field_line).map_err(why)?);
        }
        fields.sort_by(|a: &Field, b| a.name.cmp(&b.name));
        schema.get_mut(id).fields = fields;
    }
    fill_granular(&mut schema);
    fill_keys(&mut schema);
    fill_overlay(&mut schema)?;
    Ok(schema)
}

/// Name of the non-atomic twin of an atomic struct.
fn granular(name: &str) -> String {
    format!("{name}+granular")
}

fn field(schema: &mut Schema, line: &FieldLine) -> Result<Field, &'static str> {
    let mut ty = ty(schema, line.ty, line)?;
    if line.map == Some("granular")
        && let Ty::Struct(id) = ty
        && schema.get(id).atomic
    {
        let name = granular(&schema.get(id).name);
        let twin = TypeDef { name: name.clone().into(), ..TypeDef::default() };
        ty = Ty::Struct(schema.by_name(&name).unwrap_or_else(|| schema.add(twin)));
    }
    let default: Option<Value> = match line.default {
        Some(text) => Some(serde_json::from_str(text).map_err(|_| "the default is not JSON")?),
        None => None,
    };
    Ok(Field {
        name: line.name.into(),
        number: line.number,
        ty,
        required: false,
        nullable: false,
        default: default.filter(|value| line.zero != Zero::Dropped || !is_zero(value)),
        immutable: false,
        zero: line.zero,
        patch: patch(line.patch),
    })
}

fn is_zero(value: &Value) -> bool {
    *value == "" || *value == 0 || *value == false
}

fn patch(word: Option<&str>) -> Patch {
    let Some(word) = word else { return Patch::default() };
    let (strategy, key) = word.split_once(':').map_or((word, None), |(s, k)| (s, Some(k)));
    Patch {
        merge: strategy.split(',').any(|s| s == "merge"),
        retain_keys: strategy.split(',').any(|s| s == "retainKeys"),
        merge_key: key.map(Into::into),
    }
}

fn ty(schema: &Schema, word: &str, line: &FieldLine) -> Result<Ty, &'static str> {
    if let Some(item) = word.strip_prefix("[]") {
        let inner = FieldLine::default();
        return Ok(Ty::List(Box::new(ListTy {
            item: ty(schema, item, &inner)?,
            topology: topology(line.list),
        })));
    }
    if let Some(value) = word.strip_prefix("map[]") {
        let inner = FieldLine::default();
        return Ok(Ty::Map(Box::new(MapTy {
            value: ty(schema, value, &inner)?,
            atomic: line.map == Some("atomic"),
        })));
    }
    Ok(match word {
        "any" => Ty::Any,
        "bool" => Ty::Bool,
        "int32" => Ty::Int32,
        "int64" => Ty::Int64,
        "double" => Ty::Float,
        "string" => Ty::Str,
        "bytes" => Ty::Bytes,
        "quantity" => Ty::Quantity,
        "intOrString" => Ty::IntOrString,
        "time" => Ty::Time,
        "microTime" => Ty::MicroTime,
        "duration" => Ty::Duration,
        "raw" => Ty::Raw,
        "fieldsV1" => Ty::FieldsV1,
        name => Ty::Struct(schema.by_name(name).ok_or("an unknown type")?),
    })
}

fn topology(word: Option<&str>) -> Topology {
    match word.map(|w| w.split_once(':').unwrap_or((w, ""))) {
        Some(("set", _)) => Topology::Set,
        Some(("map", keys)) => Topology::Map(keys.split(',').map(|k| (k.into(), None)).collect()),
        _ => Topology::Atomic,
    }
}

fn fill_granular(schema: &mut Schema) {
    let twins: Vec<(TypeId, TypeId)> = schema
        .iter()
        .filter_map(|(id, def)| Some((id, schema.by_name(def.name.strip_suffix("+granular")?)?)))
        .collect();
    for (twin, of) in twins {
        let of = schema.get(of).clone();
        let name = schema.get(twin).name.clone();
        *schema.get_mut(twin) = TypeDef { name, atomic: false, ..of };
    }
}

/// Gives each list-map key the published default of its field.
fn fill_keys(schema: &mut Schema) {
    let mut found = Vec::new();
    for (id, def) in schema.iter() {
        for (i, field) in def.fields.iter().enumerate() {
            let Ty::List(list) = &field.ty else { continue };
            let (Topology::Map(keys), Ty::Struct(item)) = (&list.topology, &list.item) else { continue };
            let item = schema.get(*item);
            let filled =
                keys.iter().map(|(key, _)| (key.clone(), item.field(key).and_then(|f| f.default.clone())));
            found.push((id, i, Topology::Map(filled.collect())));
        }
    }
    for (id, i, topology) in found {
        if let Ty::List(list) = &mut schema.get_mut(id).fields[i].ty {
            list.topology = topology;
        }
    }
}

fn fill_overlay(schema: &mut Schema) -> Result<(), TableError> {
    let mut at = |file: &str, ty: &str, name: &str, set: &mut dyn FnMut(&mut Field)| {
        let id = schema.by_name(ty).ok_or_else(|| TableError::new(file, ty, "no such type"))?;
        let field = schema.get_mut(id).fields.iter_mut().find(|f| &*f.name == name);
        set(field.ok_or_else(|| TableError::new(file, &format!("{ty} {name}"), "no such field"))?);
        Ok(())
    };
    for (ty, name, value) in overlay::defaults()? {
        at("defaults.tbl", ty, name, &mut |field| field.default = Some(value.clone()))?;
    }
    for (ty, name) in overlay::required()? {
        at("required.tbl", ty, name, &mut |field| field.required = true)?;
    }
    for (ty, name) in overlay::immutable()? {
        at("immutable.tbl", ty, name, &mut |field| field.immutable = true)?;
    }
    Ok(())
}

struct RowBuilder<'a> {
    file: &'a TableFile,
    schema: &'a Arc<Schema>,
    roots: &'a HashMap<&'static str, TypeId>,
    kinds: &'a HashMap<&'static str, KindFacts>,
    columns: &'a HashMap<&'static str, Vec<Column>>,
}

impl RowBuilder<'_> {
    fn rows(&self) -> Result<Vec<Arc<Resource>>, TableError> {
        let mut out = Vec::new();
        for line in self.file.resources.iter().filter(|l| !l.name.contains('/')) {
            if let Some(row) = self.row(line)? {
                out.push(Arc::new(row));
            }
        }
        Ok(out)
    }

    fn row(&self, line: &ResourceLine) -> Result<Option<Resource>, TableError> {
        let (group, version) = (self.file.group, self.file.version);
        let gvk = self.gvk(line.kind);
        let key = format!("{}/{}", if group.is_empty() { "core" } else { group }, line.kind);
        let bad = |why| TableError::new(self.file.name, line.name, why);
        let facts = self.kinds.get(&*key).ok_or_else(|| bad("no line in kinds.tbl"))?;
        if facts.absent {
            return Ok(None);
        }
        let kind = format!("{}.{}", gvk.api_version(), gvk.kind);
        let root = *self.roots.get(&*kind).ok_or_else(|| bad("no type of its kind"))?;
        let subresources = self.subresources(line.name, facts);
        let storage = match facts.home {
            Some(_) => Gvk::new("", "v1", line.kind),
            None => Gvk::new(group, facts.storage_version.unwrap_or(version), line.kind),
        };
        Ok(Some(Resource {
            plural: line.name.into(),
            singular: line.singular.into(),
            namespaced: line.namespaced,
            short_names: boxed(&line.short),
            categories: boxed(&line.categories),
            verbs: boxed(&line.verbs),
            id: facts.home.map_or_else(|| ResourceId::new(group, line.name), ResourceId::from),
            storage,
            storage_hash: line.hash.into(),
            schema: self.schema.clone(),
            root,
            columns: self.columns.get(&*key).cloned().unwrap_or_else(overlay::plain_columns),
            selectable: facts.selectable.clone(),
            has_status: subresources.iter().any(|s| &*s.name == "status"),
            generation: facts.generation,
            status_paths: facts.status_paths.clone(),
            unconditional_update: !facts.conditional,
            create_on_update: facts.create_on_update,
            name_rule: facts.name_rule,
            fidelity: facts.fidelity,
            custom: None,
            subresources,
            gvk,
        }))
    }

    /// `Deployment` of this group version, or `autoscaling/v1.Scale`.
    fn gvk(&self, kind: &str) -> Gvk {
        match kind.rsplit_once('.') {
            Some((api_version, kind)) => Gvk::from_api_version(api_version, kind),
            None => Gvk::new(self.file.group, self.file.version, kind),
        }
    }

    fn subresources(&self, plural: &str, facts: &KindFacts) -> Vec<Subresource> {
        let lines = self.file.resources.iter().filter_map(|line| {
            let (parent, name) = line.name.split_once('/')?;
            (parent == plural && !facts.lacks.contains(&name)).then(|| Subresource {
                name: name.into(),
                gvk: self.gvk(line.kind),
                verbs: boxed(&line.verbs),
            })
        });
        lines.collect()
    }
}

fn boxed(words: &[&str]) -> Vec<Box<str>> {
    words.iter().map(|w| Box::<str>::from(*w)).collect()
}
