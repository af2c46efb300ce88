//! What an applied configuration must satisfy before it is merged: known members, fitting values, items that
//! can be named, no item twice. Texts are upstream's.

use std::collections::HashSet;

use serde_json::Value;

use super::element::{Element, Parsed};
use super::typed::{At, Shape, Types};
use crate::model::go_text;
use crate::model::schema::{ListTy, Ty};

/// Kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Two items of a list are named the same.
    Duplicate,
    /// A member is not declared.
    Undeclared,
    /// A value does not fit its type, or an item cannot be named.
    Mismatch,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Where, as `.spec.containers[name="a"]`.
    pub path: String,
    /// Upstream's text, without the path.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// One line for one finding, a list for more.
pub(super) fn summary(faults: &[Fault]) -> String {
    match faults {
        [only] => only.to_string(),
        many => {
            let lines: Vec<String> = many.iter().map(|fault| format!("  {fault}")).collect();
            format!("errors:\n{}", lines.join("\n"))
        }
    }
}

impl<'s> Types<'s> {
    /// Checks a configuration.
    pub(super) fn check(self, at: At<'s>, value: &Value) -> Vec<Fault> {
        let mut check = Check { types: self, path: String::new(), faults: Vec::new() };
        check.value(at, value);
        check.faults
    }
}

struct Check<'s> {
    types: Types<'s>,
    path: String,
    faults: Vec<Fault>,
}

impl<'s> Check<'s> {
    fn fault(&mut self, kind: FaultKind, message: String) {
        self.faults.push(Fault { kind, path: self.path.clone(), message });
    }

    fn below(&mut self, step: &Element, run: impl FnOnce(&mut Check<'s>)) {
        let len = self.path.len();
        step.print(&mut self.path);
        run(self);
        self.path.truncate(len);
    }

    fn value(&mut self, at: At<'s>, value: &Value) {
        if value.is_null() {
            return;
        }
        match (at, self.types.declared(at)) {
            (At::Ty(Ty::Any | Ty::Raw | Ty::FieldsV1), _) => {}
            (_, Some(Shape::Struct(_) | Shape::Map(_))) => self.members(at, value),
            (_, Some(Shape::List(list))) => self.items(list, value),
            (At::Ty(Ty::List(list)), _) => self.items(list, value),
            (At::Ty(Ty::Map(_)), _) => self.members(at, value),
            (At::Struct(_), _) => self.members(at, value),
            (At::Ty(Ty::Struct(_)), _) => self.members(at, value),
            (At::Ty(ty), Some(_)) => self.scalar(ty, value),
            (_, _) => {}
        }
    }

    fn members(&mut self, at: At<'s>, value: &Value) {
        let Value::Object(members) = value else {
            return self.fault(FaultKind::Mismatch, format!("expected map, got {}", got(value)));
        };
        let shape = self.types.members_shape(at);
        for (name, value) in members {
            let (below, _) = self.types.member(shape, name);
            self.below(&Element::Field(name.clone()), |check| match below {
                At::Undeclared => {
                    check.fault(FaultKind::Undeclared, "field not declared in schema".to_owned())
                }
                below => check.value(below, value),
            });
        }
    }

    fn items(&mut self, list: &'s ListTy, value: &Value) {
        let Value::Array(items) = value else {
            return self.fault(FaultKind::Mismatch, format!("expected list, got {}", got(value)));
        };
        let atomic = list.topology == crate::model::schema::Topology::Atomic;
        let mut seen = HashSet::new();
        for (i, item) in items.iter().enumerate() {
            let step = if atomic {
                Element::Index(i as i64)
            } else {
                let step = match self.types.step(list, item) {
                    Ok(step) => step,
                    Err(why) => return self.fault(FaultKind::Mismatch, format!("element {i}: {why}")),
                };
                let Parsed::Element(element) = Element::parse(&step) else { continue };
                if !seen.insert(step) {
                    let mut text = String::new();
                    element.print(&mut text);
                    self.fault(FaultKind::Duplicate, format!("duplicate entries for key {text}"));
                }
                element
            };
            self.below(&step, |check| check.value(At::Ty(&list.item), item));
        }
    }

    fn scalar(&mut self, ty: &Ty, value: &Value) {
        let scalar = !value.is_object() && !value.is_array();
        let fits = match ty {
            Ty::Bool => value.is_boolean(),
            Ty::Int32 | Ty::Int64 | Ty::Float => value.is_number(),
            Ty::Str | Ty::Bytes | Ty::Duration => value.is_string(),
            // A CRD leaves the kind of the value to its validation.
            Ty::IntOrString => scalar || !self.types.builtin,
            _ => scalar,
        };
        if fits {
            return;
        }
        let message = match ty {
            Ty::Bool => format!("expected boolean, got {}", got(value)),
            Ty::Int32 | Ty::Int64 | Ty::Float => {
                format!("expected numeric (int or float), got {}", go_text::type_name(value))
            }
            Ty::Str | Ty::Bytes | Ty::Duration => format!("expected string, got {}", go_syntax(value)),
            _ => format!("expected any scalar, got {}", got(value)),
        };
        self.fault(FaultKind::Mismatch, message);
    }
}

/// A value in a message, as upstream prints its wrapper.
fn got(value: &Value) -> String {
    format!("&{{{}}}", go_text::value(value))
}

fn go_syntax(value: &Value) -> String {
    fn literal(value: &Value) -> String {
        match value {
            Value::Null => "interface {}(nil)".to_owned(),
            Value::String(s) => format!("{s:?}"),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(literal).collect();
                format!("[]interface {{}}{{{}}}", items.join(", "))
            }
            Value::Object(members) => {
                let members: Vec<String> =
                    members.iter().map(|(k, v)| format!("{k:?}:{}", literal(v))).collect();
                format!("map[string]interface {{}}{{{}}}", members.join(", "))
            }
            scalar => scalar.to_string(),
        }
    }
    format!("&value.valueUnstructured{{Value:{}}}", literal(value))
}
