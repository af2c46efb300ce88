//! Validation of values against a schema, with ratcheting: on update an unchanged value passes.

use std::cell::Cell;

use serde_json::Value;

use super::formats;
use super::node::{Additional, Checks, Node};
use super::numbers;
use super::path::{Path, quote, shown};
use super::ratchet::{OldItems, same};
use crate::model::status::Cause;

/// Steps one call may take: checks of a value against a node, longer texts and lists of choices counting more. What
/// a body and a schema can have at most would otherwise multiply to minutes.
const MAX_STEPS: usize = 5_000_000;

/// Validates `value`; `prefix` is where it is in the object. With `old` unchanged values pass.
pub fn validate(prefix: &str, schema: &Node, value: &Value, old: Option<&Value>) -> Vec<Cause> {
    Walk::new(prefix, true).run(schema, value, old)
}

/// Validates a default, as loosely as upstream does.
pub fn validate_default(prefix: &str, schema: &Node, value: &Value) -> Vec<Cause> {
    Walk::new(prefix, false).run(schema, value, None)
}

/// What came of one value.
#[derive(Default)]
pub(super) struct Outcome {
    causes: Vec<Cause>,
    /// How much fitted: of several alternatives that fail, the findings of the best are shown.
    matched: usize,
}

impl Outcome {
    /// Takes over what another look at the same value found, and nothing twice.
    fn merge(&mut self, other: Outcome) {
        self.matched += other.matched;
        let own = self.causes.len();
        for cause in other.causes {
            if !self.causes[..own].contains(&cause) {
                self.causes.push(cause);
            }
        }
    }

    /// Takes a finding, once.
    fn add(&mut self, cause: Cause) {
        if !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
    }

    /// Takes over what was found in a part of the value, which nothing else has looked at.
    fn absorb(&mut self, part: Outcome) {
        self.matched += part.matched;
        self.causes.extend(part.causes);
    }
}

pub(super) struct Walk<'p> {
    prefix: &'p str,
    /// As objects are judged; defaults are judged more loosely by upstream: int-or-string takes anything there, and
    /// formats that mean nothing for a type still count as given.
    objects: bool,
    steps: Cell<usize>,
    max_steps: usize,
}

impl<'p> Walk<'p> {
    fn new(prefix: &'p str, objects: bool) -> Self {
        Self { prefix, objects, steps: Cell::new(0), max_steps: MAX_STEPS }
    }

    fn run(self, schema: &Node, value: &Value, old: Option<&Value>) -> Vec<Cause> {
        let mut causes = self.check(&Path::ROOT, schema, value, old).causes;
        if self.steps.get() > self.max_steps {
            causes.push(self.loose(&format!("validation takes more than {} steps", self.max_steps)));
        }
        causes
    }

    fn check(&self, path: &Path<'_>, node: &Node, value: &Value, old: Option<&Value>) -> Outcome {
        let mut steps = 1 + node.checks().choices.len() + node.required.len();
        if let (Value::String(text), Some(_)) = (value, &node.checks().pattern) {
            steps += text.len() / 16;
        }
        self.steps.set(self.steps.get() + steps);
        if self.steps.get() > self.max_steps {
            return Outcome::default();
        }
        let outcome = self.value(path, node, value, old);
        if !outcome.causes.is_empty() && old.is_some_and(|old| same(node, value, old)) {
            return Outcome::default();
        }
        outcome
    }

    fn value(&self, path: &Path<'_>, node: &Node, value: &Value, old: Option<&Value>) -> Outcome {
        let mut out = Outcome::default();
        let mismatch = self.type_of(path, node, value);
        let typed = usize::from(mismatch.is_none());
        let has_type = !node.ty.is_empty() || node.int_or_string || !self.format(node).is_empty();
        out.causes.extend(mismatch);
        let checks = node.checks();
        if value.is_null() {
            out.matched = typed;
            self.choices(path, checks, value, &mut out);
            return out;
        }
        out.matched = if has_type { typed + 1 } else { 0 };
        let junctors = self.junctors(path, checks, value);
        out.merge(junctors);
        match value {
            Value::String(text) => {
                self.text(path, node, text).into_iter().for_each(|cause| out.add(cause));
                out.matched += 1 + usize::from(!self.format(node).is_empty());
            }
            Value::Number(number) => {
                numbers::check(self, path, node, number).into_iter().for_each(|cause| out.add(cause));
                out.matched += 2;
            }
            Value::Array(items) => {
                let items = self.items(path, node, items, old);
                out.merge(items);
                out.matched += 2;
            }
            _ => {}
        }
        self.choices(path, checks, value, &mut out);
        if let Value::Object(members) = value {
            let members = self.members(path, node, members, old);
            out.merge(members);
            out.matched += 1;
        }
        // The junctors and the choices each count as a check that applies, and the value as one.
        out.matched += 3;
        out
    }

    fn format<'n>(&self, node: &'n Node) -> &'n str {
        if self.objects { formats::effective(node) } else { &node.checks().format }
    }

    fn type_of(&self, path: &Path<'_>, node: &Node, value: &Value) -> Option<Cause> {
        let types: &[&str] = match (node.int_or_string, &*node.ty) {
            (true, _) if self.objects => &["integer", "string"],
            (_, "") => &[],
            (_, ty) => &[ty],
        };
        let format = self.format(node);
        if value.is_null() {
            let fits = types.is_empty() || node.nullable || types.contains(&"null");
            return (!fits).then(|| self.wrong_type(path, &types.join(","), "null"));
        }
        if types.is_empty() && format.is_empty() {
            return None;
        }
        let (ty, own_format) = match value {
            Value::Bool(_) => ("boolean", ""),
            Value::String(_) => ("string", ""),
            Value::Array(_) => ("array", ""),
            Value::Object(_) => ("object", ""),
            Value::Number(n) if n.is_i64() => ("integer", "int64"),
            _ => ("number", "float64"),
        };
        let whole = value.as_f64().is_some_and(numbers::is_whole);
        let fits = types.contains(&ty)
            || (ty == "number" && whole && types.contains(&"integer"))
            || (ty == "integer" && types.contains(&"number"));
        let textual = matches!(value, Value::String(_) | Value::Array(_));
        if !format.is_empty() && !textual && !fits && own_format != format {
            return Some(self.wrong_type(path, format, own_format));
        }
        let numeric = types.contains(&"number") || types.contains(&"integer");
        // A format without a number type speaks of texts; upstream lets lists pass too.
        if (!numeric && !format.is_empty() && textual) || fits {
            return None;
        }
        Some(self.wrong_type(path, &types.join(","), ty))
    }

    fn wrong_type(&self, path: &Path<'_>, want: &str, got: &str) -> Cause {
        let detail = format!("{} in body must be of type {want}: {}", path.text(), quote(got));
        self.at(path, |at| at.type_invalid(got, &detail))
    }

    /// Runs `make` on the full path of a value.
    fn at<T>(&self, path: &Path<'_>, make: impl FnOnce(&Path<'_>) -> T) -> T {
        let prefix = Path::new(self.prefix);
        if path.is_root() { make(&prefix) } else { make(&prefix.child(path.text().trim_start_matches('.'))) }
    }

    /// A finding whose sentence names the value itself.
    pub(super) fn invalid(&self, path: &Path<'_>, shown: &str, detail: &str) -> Cause {
        let message = format!("Invalid value: {shown}: {} in body {detail}", path.text());
        self.at(path, |at| Cause::new("FieldValueInvalid", at.to_string(), message))
    }

    /// A finding with a sentence of its own.
    pub(super) fn sentence(&self, path: &Path<'_>, shown: &str, detail: &str) -> Cause {
        let message = format!("Invalid value: {shown}: {detail}");
        self.at(path, |at| Cause::new("FieldValueInvalid", at.to_string(), message))
    }

    /// A finding that upstream reports about the object as a whole.
    pub(super) fn loose(&self, detail: &str) -> Cause {
        Path::new(self.prefix).invalid_text("", detail)
    }

    fn text(&self, path: &Path<'_>, node: &Node, text: &str) -> Vec<Cause> {
        let mut found = Vec::new();
        let checks = node.checks();
        let length = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(max) = checks.max_length.filter(|max| length() > *max) {
            found.push(self.at(path, |at| at.too_long(max)));
        } else if let Some(min) = checks.min_length.filter(|min| length() < *min) {
            found.push(self.invalid(path, &quote(text), &format!("should be at least {min} chars long")));
        } else if let Some(pattern) = checks.pattern.as_ref().filter(|p| !p.matches(text)) {
            found.push(self.invalid(path, &quote(text), &format!("should match '{}'", pattern.source())));
        }
        let format = self.format(node);
        if !format.is_empty() && !formats::matches(format, text) {
            let detail = format!("{} in body must be of type {format}: {}", path.text(), quote(text));
            found.push(self.at(path, |at| at.type_invalid(text, &detail)));
        }
        found
    }

    fn choices(&self, path: &Path<'_>, checks: &Checks, value: &Value, out: &mut Outcome) {
        if checks.choices.is_empty() || checks.choices.iter().any(|choice| numbers::chosen(value, choice)) {
            return;
        }
        let shown_choices: Vec<String> = checks
            .choices
            .iter()
            .map(|choice| choice.as_str().map_or_else(|| super::path::json(choice), str::to_owned))
            .collect();
        out.add(self.at(path, |at| at.not_supported(value, &shown_choices)));
    }

    fn items(&self, path: &Path<'_>, node: &Node, items: &[Value], old: Option<&Value>) -> Outcome {
        let mut out = Outcome::default();
        let checks = node.checks();
        if let Some(inner) = &node.items {
            let index = old.map(|old| OldItems::new(node, old));
            for (i, item) in items.iter().enumerate() {
                let old = index.as_ref().and_then(|index| index.of(item));
                out.absorb(self.check(&path.index(i), inner, item, old));
            }
        }
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(min) = checks.min_items.filter(|min| size < *min) {
            out.causes.push(self.invalid(
                path,
                &size.to_string(),
                &format!("should have at least {min} items"),
            ));
        }
        if let Some(max) = checks.max_items.filter(|max| size > *max) {
            out.causes.push(self.at(path, |at| at.too_many(items.len(), max)));
        }
        if checks.unique_items && items.iter().enumerate().any(|(i, item)| items[..i].contains(item)) {
            out.causes.push(self.invalid(path, "\"\"", "shouldn't contain duplicates"));
        }
        out
    }

    fn members(
        &self,
        path: &Path<'_>,
        node: &Node,
        members: &serde_json::Map<String, Value>,
        old: Option<&Value>,
    ) -> Outcome {
        let mut out = Outcome::default();
        let checks = node.checks();
        let size = i64::try_from(members.len()).unwrap_or(i64::MAX);
        if let Some(min) = checks.min_properties.filter(|min| size < *min) {
            let detail = format!("should have at least {min} properties");
            out.causes.push(self.invalid(path, &size.to_string(), &detail));
        }
        if let Some(max) = checks.max_properties.filter(|max| size > *max) {
            out.causes.push(self.at(path, |at| at.too_many(members.len(), max)));
        }
        for (key, member) in members {
            let property = node.property(key);
            let inner = match (&property, &node.additional) {
                (Some(property), _) => *property,
                (None, Some(Additional::Schema(inner))) => inner,
                (None, Some(Additional::Any(false))) => {
                    let message = format!(
                        "Invalid value: {}: {}.{key} in body is a forbidden property",
                        shown(&key.as_str().into()),
                        path.text()
                    );
                    out.causes
                        .push(self.at(path, |at| Cause::new("FieldValueInvalid", at.to_string(), message)));
                    continue;
                }
                _ => continue,
            };
            // Of a key that the root does not name upstream says `.key`.
            let unnamed = format!(".{key}");
            let step = if property.is_none() && path.is_root() { &unnamed } else { key };
            // What an object is cannot be seen to change: both versions are converted to one.
            let typed = path.is_root() && matches!(key.as_str(), "apiVersion" | "kind");
            let old = old.filter(|_| !typed).and_then(|old| old.get(key));
            out.absorb(self.check(&path.child(step), inner, member, old));
        }
        for name in node.required.iter().filter(|name| !members.contains_key(&***name)) {
            out.causes.push(self.at(&path.child(name), |at| at.required("")));
        }
        out
    }

    /// `allOf`, `anyOf`, `oneOf`, `not`. Nothing below them is ratcheted.
    fn junctors(&self, path: &Path<'_>, checks: &Checks, value: &Value) -> Outcome {
        let mut out = Outcome { matched: 1, ..Outcome::default() };
        let name = || quote(&path.text());
        let mut best: Option<Outcome> = None;
        let mut fits = false;
        for branch in &checks.any_of {
            let one = self.check(path, branch, value, None);
            fits = one.causes.is_empty();
            if fits || best.as_ref().is_none_or(|b| one.matched > b.matched) {
                best = Some(one);
            }
            if fits {
                break;
            }
        }
        if !checks.any_of.is_empty() && !fits {
            out.add(self.loose(&format!("{} must validate at least one schema (anyOf)", name())));
        }
        best.into_iter().for_each(|one| out.merge(one));

        if !checks.one_of.is_empty() {
            self.one_of(path, checks, value, &mut out);
        }
        let mut valid = 0;
        for branch in &checks.all_of {
            let one = self.check(path, branch, value, None);
            valid += usize::from(one.causes.is_empty());
            out.merge(one);
        }
        if valid != checks.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            out.add(self.loose(&format!("{} must validate all the schemas (allOf){none}", name())));
        }
        if checks.not.as_ref().is_some_and(|not| self.check(path, not, value, None).causes.is_empty()) {
            out.add(self.loose(&format!("{} must not validate the schema (not)", name())));
        }
        out
    }

    fn one_of(&self, path: &Path<'_>, checks: &Checks, value: &Value, out: &mut Outcome) {
        let (mut failed, mut fitting): (Option<Outcome>, Vec<Outcome>) = (None, Vec::new());
        for branch in &checks.one_of {
            let one = self.check(path, branch, value, None);
            if one.causes.is_empty() {
                fitting.push(one);
            } else if failed.as_ref().is_none_or(|best| one.matched > best.matched) {
                failed = Some(one);
            }
        }
        if fitting.len() == 1 {
            fitting.into_iter().for_each(|one| out.merge(one));
            return;
        }
        let what = match fitting.len() {
            0 => "Found none valid".to_owned(),
            n => format!("Found {n} valid alternatives"),
        };
        let name = quote(&path.text());
        out.add(self.loose(&format!("{name} must validate one and only one schema (oneOf). {what}")));
        if fitting.is_empty() {
            failed.into_iter().for_each(|one| out.merge(one));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Section 7: what a tenant may send cannot keep a thread busy for long.
    #[test]
    fn work_is_bounded() {
        let branches: Vec<Value> = (0..100).map(|i| json!({"minimum": i + 1000})).collect();
        let schema = Node::parse(&json!({"type": "array", "items": {"type": "integer", "anyOf": branches}}));
        let value: Value = (0..100).collect();
        let walk = |max_steps| Walk { max_steps, ..Walk::new("", true) };
        let found = walk(5_000).run(&schema, &value, None);
        assert!(found.last().is_some_and(|c| c.message.ends_with("validation takes more than 5000 steps")));
        let found = walk(MAX_STEPS).run(&schema, &value, None);
        assert!(found.iter().all(|c| !c.message.contains("steps")));
    }
}
