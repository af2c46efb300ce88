//! How a value is taken apart along its type: what is one leaf, what has members, what has items, and by
//! which step an item is named. Everything else of server-side apply walks objects through this file.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::element;
use crate::model::schema::{Field, ListTy, Schema, Topology, Ty, TypeDef, TypeId, Zero};

/// A type while walking.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'s> {
    /// A declared type.
    Ty(&'s Ty),
    /// A struct of the arena (the root).
    Struct(&'s TypeDef),
    /// No type: maps are walked, lists are leaves.
    Deduced,
    /// A member that a struct does not declare.
    Undeclared,
}

/// How a value of that type is treated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape<'s> {
    /// One value: scalars, atomic lists, atomic maps.
    Leaf,
    /// Members, each on its own.
    Struct(&'s TypeDef),
    /// Free keys, each on its own.
    Map(At<'s>),
    /// Items, each on its own.
    List(&'s ListTy),
}

impl Shape<'_> {
    fn rank(self) -> u8 {
        match self {
            Shape::Leaf => 0,
            Shape::Struct(_) | Shape::Map(_) => 1,
            Shape::List(_) => 2,
        }
    }

    /// Both are walked in the same way.
    pub(super) fn alike(self, other: Shape<'_>) -> bool {
        self.rank() == other.rank()
    }
}

/// Where types come from.
#[derive(Clone, Copy)]
pub(super) struct Types<'s> {
    pub(super) schema: &'s Schema,
    /// The kind is not defined by a CRD.
    pub(super) builtin: bool,
}

impl<'s> Types<'s> {
    /// The types of a kind and where its objects begin.
    pub(super) fn of(schema: &'s Schema, root: TypeId) -> (Types<'s>, At<'s>) {
        let def = schema.get(root);
        (Types { schema, builtin: !def.name.is_empty() }, At::Struct(def))
    }

    /// The shape of a present value. A value that does not fit its type is a leaf.
    pub(super) fn shape(self, at: At<'s>, value: &Value) -> Shape<'s> {
        let declared = self.declared(at);
        match (declared, value) {
            (Some(shape @ (Shape::Struct(_) | Shape::Map(_))), Value::Object(_) | Value::Null) => shape,
            (Some(shape @ Shape::List(_)), Value::Array(_) | Value::Null) => shape,
            (Some(_), _) => Shape::Leaf,
            (None, Value::Object(_) | Value::Null) => Shape::Map(At::Deduced),
            (None, _) => Shape::Leaf,
        }
    }

    /// The shape a type asks for, `None` when only the value decides.
    pub(super) fn declared(self, at: At<'s>) -> Option<Shape<'s>> {
        let ty = match at {
            At::Ty(ty) => ty,
            At::Struct(def) => return Some(self.of_struct(def)),
            At::Deduced | At::Undeclared => return None,
        };
        match ty {
            // A built-in kind takes what it knows nothing of as one value, a CRD member by member.
            Ty::Any | Ty::Raw | Ty::FieldsV1 if self.builtin => Some(Shape::Leaf),
            Ty::Any | Ty::Raw | Ty::FieldsV1 => None,
            Ty::Struct(id) => Some(self.of_struct(self.schema.get(*id))),
            Ty::Map(map) if map.atomic => Some(Shape::Leaf),
            Ty::Map(map) => Some(Shape::Map(At::Ty(&map.value))),
            Ty::List(list) if list.topology == Topology::Atomic => Some(Shape::Leaf),
            Ty::List(list) => Some(Shape::List(list)),
            _ => Some(Shape::Leaf),
        }
    }

    /// How members are looked up, be the value atomic or not.
    pub(super) fn members_shape(self, at: At<'s>) -> Shape<'s> {
        match at {
            At::Struct(def) => self.members_of(def),
            At::Ty(Ty::Struct(id)) => self.members_of(self.schema.get(*id)),
            At::Ty(Ty::Map(map)) => Shape::Map(At::Ty(&map.value)),
            _ => Shape::Map(At::Deduced),
        }
    }

    fn of_struct(self, def: &'s TypeDef) -> Shape<'s> {
        if def.atomic { Shape::Leaf } else { self.members_of(def) }
    }

    fn members_of(self, def: &'s TypeDef) -> Shape<'s> {
        if def.fields.is_empty() {
            // Without declared members there is nothing but free keys.
            match &def.additional {
                Some(ty) => Shape::Map(At::Ty(ty)),
                None => Shape::Map(At::Deduced),
            }
        } else {
            Shape::Struct(def)
        }
    }

    /// The type of a member and whether the struct declares it by name.
    pub(super) fn member(self, shape: Shape<'s>, name: &str) -> (At<'s>, Option<&'s Field>) {
        match shape {
            Shape::Struct(def) => match def.field(name) {
                Some(field) => (At::Ty(&field.ty), Some(field)),
                None => match &def.additional {
                    Some(ty) => (At::Ty(ty), None),
                    None if def.preserve_unknown => (At::Deduced, None),
                    None => (At::Undeclared, None),
                },
            },
            Shape::Map(value) => (value, None),
            Shape::List(_) | Shape::Leaf => (At::Deduced, None),
        }
    }

    /// The step that names an item of a list, or why it has none.
    pub(super) fn step(self, list: &'s ListTy, item: &Value) -> Result<String, String> {
        match &list.topology {
            Topology::Set => match item {
                Value::Object(_) => {
                    Err("associative list without keys has an element that's a map type".to_owned())
                }
                Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
                Value::Null => {
                    Err("associative list without keys has an element that's an explicit null".to_owned())
                }
                scalar => Ok(element::value(scalar)),
            },
            Topology::Map(keys) => {
                let members = match item {
                    Value::Object(members) => members,
                    Value::Null => {
                        return Err("associative list with keys may not have a null element".to_owned());
                    }
                    _ => return Err("associative list with keys may not have non-map elements".to_owned()),
                };
                self.keyed_step(list, keys, members)
            }
            Topology::Atomic => Err("invalid indexing of non-associative list".to_owned()),
        }
    }

    fn keyed_step(
        self,
        list: &'s ListTy,
        keys: &[(Box<str>, Option<Value>)],
        members: &Map<String, Value>,
    ) -> Result<String, String> {
        let mut found: Vec<(&str, &Value)> = Vec::with_capacity(keys.len());
        for (name, default) in keys {
            let value = members.get(&**name).or(default.as_ref());
            if let Some(value) = value.or_else(|| self.shown_key(list, name)) {
                found.push((name, value));
            }
        }
        if found.is_empty() {
            let names: Vec<String> = keys.iter().map(|(name, _)| format!("{name:?}")).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                names.join(" ")
            ));
        }
        found.sort_unstable_by_key(|(name, _)| *name);
        Ok(element::keys(found.into_iter()))
    }

    /// A key that always shows a value has that for a default.
    fn shown_key(self, list: &'s ListTy, name: &str) -> Option<&'static Value> {
        match &list.item {
            Ty::Struct(id) => shown(self.schema.get(*id).field(name)),
            _ => None,
        }
    }
}

/// Equality of values; numbers are compared by value, so that `1` equals `1.0`.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.is_f64() != b.is_f64() && a.as_f64() == b.as_f64())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((ak, av), (bk, bv))| ak == bk && same(av, bv))
        }
        (a, b) => a == b,
    }
}

/// What an absent member counts as where its struct is there: some fields of built-in kinds always show a
/// value, because their type upstream has no way to be absent.
pub(super) fn shown(field: Option<&Field>) -> Option<&'static Value> {
    static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
    static NUMBER: LazyLock<Value> = LazyLock::new(|| Value::from(0));
    static QUANTITY: LazyLock<Value> = LazyLock::new(|| Value::from("0"));
    static DURATION: LazyLock<Value> = LazyLock::new(|| Value::from("0s"));
    static TEXT: Value = Value::String(String::new());
    static NO: Value = Value::Bool(false);
    static NULL: Value = Value::Null;
    let field = field.filter(|f| f.zero == Zero::Shown)?;
    Some(match &field.ty {
        Ty::Struct(_) => &EMPTY,
        Ty::Int32 | Ty::Int64 | Ty::Float | Ty::IntOrString => &NUMBER,
        Ty::Quantity => &QUANTITY,
        Ty::Duration => &DURATION,
        Ty::Str => &TEXT,
        Ty::Bool => &NO,
        _ => &NULL,
    })
}
