//! The shape of kinds: one arena of types, filled from the schema tables for built-in kinds and from
//! a CustomResourceDefinition's structural schema for custom ones. Everything that walks an object
//! (decoding, defaulting, patches, server-side apply, protobuf, OpenAPI) walks it along these types.

use std::collections::HashMap;

use serde_json::Value;

/// Index of a [`TypeDef`] in its [`Schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

/// An arena of types. Built-in kinds share one per minor; each CRD version has its own.
#[derive(Debug, Default)]
pub struct Schema {
    types: Vec<TypeDef>,
    by_name: HashMap<Box<str>, TypeId>,
}

impl Schema {
    /// Adds a type. A second type of the same non-empty name replaces the first in look-ups.
    pub fn add(&mut self, def: TypeDef) -> TypeId {
        let id = TypeId(self.types.len() as u32);
        if !def.name.is_empty() {
            self.by_name.insert(def.name.clone(), id);
        }
        self.types.push(def);
        id
    }

    /// The type behind `id`. Ids come from this arena only.
    pub fn get(&self, id: TypeId) -> &TypeDef {
        &self.types[id.0 as usize]
    }

    /// Mutable access while the arena is being built.
    pub fn get_mut(&mut self, id: TypeId) -> &mut TypeDef {
        &mut self.types[id.0 as usize]
    }

    /// Looks a type up by its table name, as `core/v1.PodSpec`.
    pub fn by_name(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// All types with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &TypeDef)> {
        self.types.iter().enumerate().map(|(i, t)| (TypeId(i as u32), t))
    }
}

/// A struct-like type: named fields with their rules.
#[derive(Clone, Debug, Default)]
pub struct TypeDef {
    /// Table name (`core/v1.PodSpec`); empty for nodes of a CRD's schema.
    pub name: Box<str>,
    /// Protobuf message name (`k8s.io.api.core.v1.PodSpec`), where the type has one.
    pub proto: Option<Box<str>>,
    /// Fields sorted by JSON name.
    pub fields: Vec<Field>,
    /// Unknown members are kept (`x-kubernetes-preserve-unknown-fields`).
    pub preserve_unknown: bool,
    /// `x-kubernetes-map-type: atomic`: server-side apply treats the whole struct as one value.
    pub atomic: bool,
    /// `additionalProperties` of a CRD node that also names properties.
    pub additional: Option<Box<Ty>>,
}

impl TypeDef {
    /// The field of that JSON name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.binary_search_by(|f| (*f.name).cmp(name)).ok().map(|i| &self.fields[i])
    }
}

/// One field of a [`TypeDef`].
#[derive(Clone, Debug)]
pub struct Field {
    /// JSON name.
    pub name: Box<str>,
    /// Protobuf field number; 0 where there is none.
    pub number: u32,
    /// Type of the value.
    pub ty: Ty,
    /// Absent is an error.
    pub required: bool,
    /// `null` is a value of its own (CRDs only).
    pub nullable: bool,
    /// Filled in when absent.
    pub default: Option<Value>,
    /// A change after creation is refused.
    pub immutable: bool,
    /// What the zero value (`""`, `0`, `false`, no items) stands for.
    pub zero: Zero,
    /// Strategic merge patch behaviour of this field.
    pub patch: Patch,
}

/// What a zero value of a field means when an object is stored. Upstream stores Go structs: most
/// fields lose an explicit zero value, some always show one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zero {
    /// A value like any other (pointers upstream, every field of a CRD).
    #[default]
    Kept,
    /// The same as absent.
    Dropped,
    /// Filled in when absent: `{}`, `""`, `0`, `false`, or `null` for lists, maps and times.
    Shown,
}

/// `x-kubernetes-patch-strategy` and `-merge-key`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Strategy contains `merge`.
    pub merge: bool,
    /// Strategy contains `retainKeys`.
    pub retain_keys: bool,
    /// Key by which list items are merged.
    pub merge_key: Option<Box<str>>,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Ty {
    /// Any JSON value, kept as it is (`x-kubernetes-preserve-unknown-fields` without properties, JSON).
    Any,
    /// `true` or `false`.
    Bool,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// IEEE double.
    Float,
    /// Text.
    Str,
    /// Base64 text in JSON, bytes in protobuf.
    Bytes,
    /// `resource.Quantity`.
    Quantity,
    /// `intstr.IntOrString`.
    IntOrString,
    /// RFC 3339 seconds.
    Time,
    /// RFC 3339 microseconds.
    MicroTime,
    /// Go duration text (`metav1.Duration`).
    Duration,
    /// `runtime.RawExtension`: an embedded object of any kind.
    Raw,
    /// `metav1.FieldsV1`.
    FieldsV1,
    /// A struct of this arena.
    Struct(TypeId),
    /// Free-form keys, one value type.
    Map(Box<MapTy>),
    /// A list.
    List(Box<ListTy>),
}

/// A map type.
#[derive(Clone, Debug, PartialEq)]
pub struct MapTy {
    /// Type of each value.
    pub value: Ty,
    /// `x-kubernetes-map-type: atomic`.
    pub atomic: bool,
}

/// A list type.
#[derive(Clone, Debug, PartialEq)]
pub struct ListTy {
    /// Type of each item.
    pub item: Ty,
    /// `x-kubernetes-list-type` with its keys.
    pub topology: Topology,
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Topology {
    /// The list is one value.
    Atomic,
    /// Items are unique scalars.
    Set,
    /// Items are structs, unique by these keys, each with the default an absent key stands for.
    Map(Vec<(Box<str>, Option<Value>)>),
}
