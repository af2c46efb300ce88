//! Rules of what versions hold: schema, subresources, columns, selectable fields.

use serde_json::{Value, json};

use super::super::definition::{ColumnDef, Scale, Version};
use super::super::node::Node;
use super::super::path::Path;
use super::super::{defaults, document, fields, structural};
use super::Check;

/// Selectable fields a version may have.
const MAX_SELECTABLE: usize = 8;
const COLUMN_TYPES: &str = "boolean,date,integer,number,string";
const COLUMN_FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";

impl Check<'_> {
    /// What a version has for itself. Parts that all versions share are looked at once, below `spec`.
    pub(super) fn version(&mut self, at: &Path<'_>, version: &Version) {
        for error in deprecation_errors(version) {
            let warning = version.deprecation_warning.as_deref().map_or(Value::Null, Value::from);
            self.found.push(at.child("deprecationWarning").invalid(&warning, &error));
        }
        if let Some(schema) = version.schema.as_ref().filter(|_| !self.common.schema) {
            self.schema(&at.child("schema"), schema, version.has_status());
        }
        if !self.common.subresources {
            self.scale(&at.child("subresources"), version.scale());
        }
        if !self.common.columns {
            self.columns(&at.child("additionalPrinterColumns"), &version.columns);
        }
        if !self.common.selectable && !version.selectable.is_empty() {
            let fields = at.child("selectableFields");
            match version.schema.as_ref().filter(|_| !self.common.schema) {
                Some(schema) => self.selectable(&fields, version, schema),
                None => self.found.push(fields.invalid_text(
                    "",
                    "may only be set when `version.schema.openAPIV3Schema` is not included",
                )),
            }
        }
    }

    pub(super) fn common_parts(&mut self, spec: &Path<'_>) {
        let Some(first) = self.def.versions.first() else { return };
        if let Some(schema) = first.schema.as_ref().filter(|_| self.common.schema) {
            let status = self.def.versions.iter().any(Version::has_status);
            self.schema(&spec.child("validation"), schema, status);
        }
        if self.common.subresources {
            self.scale(&spec.child("subresources"), first.scale());
        }
        if self.common.columns {
            self.columns(&spec.child("additionalPrinterColumns"), &first.columns);
        }
        if self.common.selectable && !first.selectable.is_empty() {
            let fields = spec.child("selectableFields");
            match first.schema.as_ref().filter(|_| self.common.schema) {
                Some(schema) => self.selectable(&fields, first, schema),
                None => {
                    let detail = "may only be set when validations.schema is included";
                    self.found.push(fields.invalid_text("", detail));
                }
            }
        }
    }

    fn schema(&mut self, path: &Path<'_>, schema: &Node, status: bool) {
        let at = path.child("openAPIV3Schema");
        let before = self.found.len();
        if status {
            self.root_with_status(&at, schema);
        }
        if schema.nullable {
            self.found.push(at.child("nullable").forbidden("nullable cannot be true at the root"));
        }
        let mut whole = None;
        if self.rules.structural {
            whole = structural::unsupported(schema);
            if whole.is_none() {
                let mut wrong = structural::check(&at, schema);
                if wrong.is_empty() {
                    wrong = defaults::check(&at, schema, self.rules.pruned);
                }
                self.found.extend(wrong);
            }
        }
        self.found.extend(document::check(&at, schema, self.rules.document));
        if let Some(why) = whole.filter(|_| self.found.len() == before) {
            self.found.push(at.invalid_text("", &why));
        }
    }

    /// With a `/status` the root may only say what does not cut across it.
    fn root_with_status(&mut self, at: &Path<'_>, schema: &Node) {
        // Upstream stops at the first field that is not allowed, in the order of its own struct.
        let early = schema.unsupported.iter().any(|k| matches!(*k, "id" | "$schema" | "$ref"));
        if !early && !schema.ty.is_empty() && &*schema.ty != "object" {
            let detail = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
            self.found.push(at.child("type").invalid_text(&schema.ty, detail));
            return;
        }
        let checks = schema.checks();
        let judged = !checks.choices.is_empty()
            || checks.max_properties.is_some()
            || checks.min_properties.is_some()
            || !checks.all_of.is_empty()
            || !checks.any_of.is_empty()
            || !checks.one_of.is_empty()
            || checks.not.is_some();
        let typed = schema.nullable
            || schema.default.is_some()
            || schema.additional.is_some()
            || schema.embedded
            || schema.int_or_string
            || schema.topology.is_some()
            || !schema.unsupported.is_empty();
        if judged || typed {
            let detail = "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the status subresource is enabled";
            self.found.push(at.invalid(&json!({"type": &*schema.ty}), detail));
        }
    }

    fn scale(&mut self, path: &Path<'_>, scale: Option<&Scale>) {
        let Some(scale) = scale else { return };
        let paths = [
            (
                "scale.specReplicasPath",
                Some(&scale.spec_replicas),
                "should be a json path under .spec",
                &[".spec."][..],
            ),
            (
                "scale.statusReplicasPath",
                Some(&scale.status_replicas),
                "should be a json path under .status",
                &[".status."],
            ),
            (
                "scale.labelSelectorPath",
                scale.selector.as_ref().filter(|s| !s.is_empty()),
                "should be a json path under either .spec or .status",
                &[".spec.", ".status."],
            ),
        ];
        for (name, value, detail, heads) in paths {
            let at = path.child(name);
            let Some(value) = value else { continue };
            if value.is_empty() {
                self.found.push(at.required(""));
            } else if !value.starts_with('.') {
                self.found.push(at.invalid_text(value, "must be a simple json path starting with ."));
            } else if !heads.iter().any(|head| value.starts_with(head)) {
                self.found.push(at.invalid_text(value, detail));
            }
        }
    }

    fn columns(&mut self, path: &Path<'_>, columns: &[ColumnDef]) {
        for (i, column) in columns.iter().enumerate() {
            let at = path.index(i);
            if column.name.is_empty() {
                self.found.push(at.child("name").required(""));
            }
            let one_of = |list: &str| format!("must be one of {list}");
            if column.ty.is_empty() {
                self.found.push(at.child("type").required(&one_of(COLUMN_TYPES)));
            } else if !COLUMN_TYPES.split(',').any(|t| t == column.ty) {
                self.found.push(at.child("type").invalid_text(&column.ty, &one_of(COLUMN_TYPES)));
            }
            if !column.format.is_empty() && !COLUMN_FORMATS.split(',').any(|f| f == column.format) {
                self.found.push(at.child("format").invalid_text(&column.format, &one_of(COLUMN_FORMATS)));
            }
            let json_path = at.child("JSONPath");
            if column.path.is_empty() {
                self.found.push(json_path.required(""));
            } else if !column.path.starts_with('.') {
                let detail = "must be a simple json path starting with .";
                self.found.push(json_path.invalid_text(&column.path, detail));
            }
        }
    }

    fn selectable(&mut self, path: &Path<'_>, version: &Version, schema: &Node) {
        let mut seen: Vec<Vec<String>> = Vec::new();
        for (i, field) in version.selectable.iter().enumerate() {
            let item = path.index(i);
            let at = item.child("jsonPath");
            if field.is_empty() {
                self.found.push(at.required(""));
                continue;
            }
            match fields::find(field, schema, false) {
                Err(why) => self.found.push(at.invalid_text(field, &format!("is an invalid path: {why}"))),
                Ok((steps, node)) => {
                    if steps.first().is_some_and(|s| s == "metadata") {
                        self.found.push(at.invalid_text(field, "must not point to fields in metadata"));
                    }
                    if !matches!(&*node.ty, "string" | "boolean" | "integer") {
                        self.found.push(at.invalid_text(
                            field,
                            "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
                        ));
                    }
                    if seen.contains(&steps) {
                        self.found.push(at.duplicate(&field.as_str().into()));
                    } else {
                        seen.push(steps);
                    }
                }
            }
        }
        let kept = self
            .old
            .and_then(|old| old.version(&version.name))
            .is_some_and(|old| old.selectable.len() > MAX_SELECTABLE && old.selectable == version.selectable);
        if seen.len() > MAX_SELECTABLE && !kept {
            self.found.push(path.too_many(seen.len(), MAX_SELECTABLE as i64));
        }
    }
}

fn deprecation_errors(version: &Version) -> Vec<String> {
    let Some(warning) = &version.deprecation_warning else { return Vec::new() };
    if !version.deprecated {
        return vec!["can only be set for deprecated versions".into()];
    }
    let mut found = Vec::new();
    if warning.len() > 256 {
        found.push("must be <= 256 characters long".into());
    }
    if warning.is_empty() {
        found.push("must not be an empty string".into());
    }
    let printable = |c: char| c == ' ' || !(c.is_control() || c.is_whitespace());
    if let Some((i, _)) = warning.char_indices().find(|(_, c)| !printable(*c)) {
        found.push(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {i}"
        ));
    }
    found
}
