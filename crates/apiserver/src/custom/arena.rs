//! A compiled version as types of the shared arena, for everything that walks objects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::meta;
use super::node::{Additional, Node};
use crate::model::schema::{Field, ListTy, MapTy, Schema, Topology, Ty, TypeDef, TypeId};

/// Builds the arena of one version. Without a schema everything is kept.
pub fn build(root: Option<&Node>) -> (Schema, TypeId) {
    let mut schema = Schema::default();
    let metadata = meta::arena_type(&mut schema);
    let mut builder = Builder { schema, metadata };
    let empty = Node { preserve: Some(true), ..Node::default() };
    let id = builder.object(root.unwrap_or(&empty), true);
    (builder.schema, id)
}

struct Builder {
    schema: Schema,
    metadata: TypeId,
}

impl Builder {
    fn object(&mut self, node: &Node, resource: bool) -> TypeId {
        let mut fields: BTreeMap<Box<str>, Field> = BTreeMap::new();
        for (name, property) in &node.properties {
            let ty = self.ty(property);
            let field = Field {
                required: node.required.contains(name),
                nullable: property.nullable,
                default: property.default.clone(),
                ..meta::field(name, ty)
            };
            fields.insert(name.clone(), field);
        }
        if resource {
            fields.insert("apiVersion".into(), meta::field("apiVersion", Ty::Str));
            fields.insert("kind".into(), meta::field("kind", Ty::Str));
            fields.insert("metadata".into(), meta::field("metadata", Ty::Struct(self.metadata)));
        }
        let additional = match &node.additional {
            Some(Additional::Schema(inner)) => Some(Box::new(self.ty(inner))),
            Some(Additional::Any(true)) => Some(Box::new(Ty::Any)),
            _ => None,
        };
        self.schema.add(TypeDef {
            fields: fields.into_values().collect(),
            preserve_unknown: node.preserves(),
            atomic: node.map_type() == Some("atomic"),
            additional,
            ..TypeDef::default()
        })
    }

    fn ty(&mut self, node: &Node) -> Ty {
        if node.int_or_string {
            return Ty::IntOrString;
        }
        if node.embedded {
            return Ty::Struct(self.object(node, true));
        }
        match &*node.ty {
            "boolean" => Ty::Bool,
            "integer" => Ty::Int64,
            "number" => Ty::Float,
            "string" => Ty::Str,
            "array" => self.list(node),
            "object" => self.map_or_object(node),
            _ if node.properties.is_empty() => Ty::Any,
            _ => Ty::Struct(self.object(node, false)),
        }
    }

    fn map_or_object(&mut self, node: &Node) -> Ty {
        let atomic = node.map_type() == Some("atomic");
        if node.properties.is_empty() {
            match &node.additional {
                Some(Additional::Schema(inner)) if !node.preserves() => {
                    let value = self.ty(inner);
                    return Ty::Map(Box::new(MapTy { value, atomic }));
                }
                Some(Additional::Any(true)) => {
                    return Ty::Map(Box::new(MapTy { value: Ty::Any, atomic }));
                }
                None if node.preserves() && !atomic => return Ty::Any,
                _ => {}
            }
        }
        Ty::Struct(self.object(node, false))
    }

    fn list(&mut self, node: &Node) -> Ty {
        let Some(inner) = &node.items else { return Ty::Any };
        let topology = match node.list_type() {
            Some("set") => Topology::Set,
            Some("map") => {
                let default = |key: &str| -> Option<Value> { inner.property(key)?.default.clone() };
                Topology::Map(node.list_keys().iter().map(|k| (k.clone(), default(k))).collect())
            }
            _ => Topology::Atomic,
        };
        Ty::List(Box::new(ListTy { item: self.ty(inner), topology }))
    }
}
