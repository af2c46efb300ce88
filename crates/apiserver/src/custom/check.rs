//! Rules of a CustomResourceDefinition: of one alone, and of a change.

use serde_json::{Value, json};

use super::definition::{APPROVED, ColumnDef, Common, Definition, Names, Scale, Version};
use super::document::{self, Options};
use super::node::Node;
use super::path::{Path, json as as_json, quote};
use super::{conditions, defaults, fields, names, prune, structural};
use crate::model::status::Cause;

/// Schema nodes a definition may have (Q10).
pub const MAX_NODES: usize = 20_000;
/// Selectable fields a version may have.
const MAX_SELECTABLE: usize = 8;

const COLUMN_TYPES: &str = "boolean,date,integer,number,string";
const COLUMN_FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";
const IMMUTABLE: &str = "field is immutable";

/// Everything wrong with a new definition, or with a change of an old one.
pub fn check(new: &Definition, old: Option<&Definition>) -> Vec<Cause> {
    let rules = Rules::of(new, old);
    let mut check = Check { def: new, old, rules, common: new.common(), found: Vec::new() };
    check.name();
    check.spec();
    check.change();
    check.names_at("status.acceptedNames", &new.accepted);
    check.stored();
    check.approval();
    check.preserve();
    check.limits();
    check.found
}

/// What an update does not ask for, because the stored definition does not have it either.
#[derive(Debug, Clone, Copy)]
struct Rules {
    schema: bool,
    structural: bool,
    pruned: bool,
    document: Options,
}

impl Rules {
    fn of(new: &Definition, old: Option<&Definition>) -> Self {
        let Some(old) = old else {
            let document = Options { types: true, atomic_sets: true, map_keys: true };
            return Self { schema: true, structural: true, pruned: true, document };
        };
        let structural = old
            .schemas()
            .all(|s| structural::unsupported(s).is_none() && structural::check(&Path::ROOT, s).is_empty());
        // Pruning asks for structural schemas, as do defaults and extensions.
        let needed = !new.preserve_unknown
            || new.any_node(&mut |n| {
                n.default.is_some()
                    || n.embedded
                    || n.preserve.is_some()
                    || n.int_or_string
                    || !n.rules.is_empty()
            });
        Self {
            schema: old.versions.iter().all(|v| v.schema.is_some()),
            structural: structural || needed,
            pruned: !structural || old.schemas().all(has_pruned_defaults),
            document: Options {
                types: !old.any_node(&mut document::has_bad_type),
                atomic_sets: !old.any_node(&mut document::has_loose_set),
                map_keys: !old.any_node(&mut document::has_loose_keys),
            },
        }
    }
}

fn has_pruned_defaults(schema: &Node) -> bool {
    !schema.any(&mut |node| {
        node.default.as_ref().is_some_and(|default| {
            let mut copy = default.clone();
            prune::unknown(&mut copy, node, node.embedded);
            copy != *default
        })
    })
}

struct Check<'d> {
    def: &'d Definition,
    old: Option<&'d Definition>,
    rules: Rules,
    common: Common,
    found: Vec<Cause>,
}

impl Check<'_> {
    fn name(&mut self) {
        let want = format!("{}.{}", self.def.names.plural, self.def.group);
        if self.old.is_none() && !self.def.name.is_empty() && self.def.name != want {
            let at = Path::new("metadata.name");
            self.found.push(at.invalid_text(&self.def.name, "must be spec.names.plural+\".\"+spec.group"));
        }
    }

    fn spec(&mut self) {
        self.group_and_scope();
        let spec = Path::new("spec");
        let versions = spec.child("versions");
        for (i, version) in self.def.versions.iter().enumerate() {
            let at = versions.index(i);
            let missing = version.schema.is_none();
            if self.rules.schema && missing {
                let schema = at.child("schema");
                self.found.push(schema.child("openAPIV3Schema").required(""));
            } else if missing && version.served && !self.def.preserve_unknown {
                let schema = at.child("schema");
                let detail = "because otherwise all fields are pruned";
                self.found.push(schema.child("openAPIV3Schema").required(detail));
            }
        }
        if self.def.preserve_unknown && self.def.any_node(&mut |n| n.default.is_some()) {
            let at = spec.child("preserveUnknownFields");
            self.found.push(at.invalid(&true.into(), "must be false in order to use defaults in the schema"));
        }
        for (i, version) in self.def.versions.iter().enumerate() {
            let rules = names::dns_1035_label(&version.name);
            let at = versions.index(i);
            if !rules.is_empty() {
                self.found.push(at.child("name").invalid_text(&version.name, &rules.join(",")));
            }
            self.version(&at, version);
        }
        self.version_set(&versions);
        self.spec_names();
        self.common_parts(&spec);
        self.conversion();
    }

    fn group_and_scope(&mut self) {
        let at = Path::new("spec.group");
        let group = &*self.def.group;
        let rules = names::dns_1123_subdomain(group);
        if group.is_empty() {
            self.found.push(at.required(""));
        } else if !rules.is_empty() {
            self.found.push(at.invalid_text(group, &rules.join(",")));
        } else if !group.contains('.') {
            self.found.push(at.invalid_text(group, "should be a domain with at least one dot"));
        }
        let at = Path::new("spec.scope");
        match &*self.def.scope {
            "" => self.found.push(at.required("")),
            "Cluster" | "Namespaced" => {}
            other => self.found.push(at.not_supported(&other.into(), &["Cluster", "Namespaced"])),
        }
    }

    /// What a version has for itself. Parts that all versions share are looked at once, below `spec`.
    fn version(&mut self, at: &Path<'_>, version: &Version) {
        for error in deprecation_errors(version) {
            let warning = version.deprecation_warning.as_deref().map_or(Value::Null, Value::from);
            self.found.push(at.child("deprecationWarning").invalid(&warning, &error));
        }
        if !self.common.schema {
            if let Some(schema) = &version.schema {
                self.schema(&at.child("schema"), schema, version.has_status());
            }
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

    fn common_parts(&mut self, spec: &Path<'_>) {
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
        if !schema.ty.is_empty() && &*schema.ty != "object" {
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

    fn version_set(&mut self, path: &Path<'_>) {
        let versions = &self.def.versions;
        let mut wrong = |detail: &str| {
            let message = format!("Invalid value: {}: {detail}", internal_versions(versions, self.common));
            self.found.push(Cause::new("FieldValueInvalid", path.to_string(), message));
        };
        if versions.iter().enumerate().any(|(i, v)| versions[..i].iter().any(|w| w.name == v.name)) {
            wrong("must contain unique version names");
        }
        if versions.iter().filter(|v| v.storage).count() != 1 {
            wrong("must have exactly one version marked as storage version");
        }
        // The first name is also kept in a field of its own.
        if let Some(first) = versions.first().filter(|v| !v.name.is_empty()) {
            let rules = names::dns_1035_label(&first.name);
            if !rules.is_empty() {
                self.found.push(Path::new("spec.version").invalid_text(&first.name, &rules.join(",")));
            }
        }
    }

    fn spec_names(&mut self) {
        let names = &self.def.names;
        let spec = Path::new("spec.names");
        for (name, text) in [
            ("plural", &names.plural),
            ("singular", &names.singular),
            ("kind", &names.kind),
            ("listKind", &names.list_kind),
        ] {
            if text.is_empty() {
                self.found.push(spec.child(name).required(""));
            }
        }
        self.names_at("spec.names", names);
    }

    fn names_at(&mut self, path: &str, names: &Names) {
        let at = Path::new(path);
        let mixed = "may have mixed case, but should otherwise match: ";
        for (name, text, lower) in [
            ("plural", &names.plural, false),
            ("singular", &names.singular, false),
            ("kind", &names.kind, true),
            ("listKind", &names.list_kind, true),
        ] {
            let rules = names::dns_1035_label(&if lower { text.to_lowercase() } else { text.clone() });
            if !text.is_empty() && !rules.is_empty() {
                let detail = format!("{}{}", if lower { mixed } else { "" }, rules.join(","));
                self.found.push(at.child(name).invalid_text(text, &detail));
            }
        }
        if !names.kind.is_empty() && names.kind == names.list_kind {
            let detail = "kind and listKind may not be the same";
            self.found.push(at.child("listKind").invalid_text(&names.list_kind, detail));
        }
        for (name, list) in [("shortNames", &names.short), ("categories", &names.categories)] {
            let at = at.child(name);
            for (i, text) in list.iter().enumerate() {
                let rules = names::dns_1035_label(text);
                if !rules.is_empty() {
                    self.found.push(at.index(i).invalid_text(text, &rules.join(",")));
                }
            }
        }
    }

    fn conversion(&mut self) {
        let Some(conversion) = &self.def.conversion else { return };
        let at = Path::new("spec.conversion");
        let strategy = at.child("strategy");
        match &*conversion.strategy {
            "" => self.found.push(strategy.required("")),
            "None" => {}
            "Webhook" => {
                // Webhooks come with S2 (Y1); until then a definition that needs one is refused.
                let detail = "conversion webhooks are not supported";
                self.found.push(strategy.invalid_text("Webhook", detail));
            }
            other => self.found.push(strategy.not_supported(&other.into(), &["None", "Webhook"])),
        }
        let Some(webhook) = conversion.webhook.as_ref().filter(|_| conversion.strategy != "Webhook") else {
            return;
        };
        let detail = "should not be set when strategy is not set to Webhook";
        if webhook.get("clientConfig").is_some_and(Value::is_object) {
            self.found.push(at.child("webhookClientConfig").forbidden(detail));
        }
        if webhook.get("conversionReviewVersions").and_then(Value::as_array).is_some_and(|v| !v.is_empty()) {
            self.found.push(at.child("conversionReviewVersions").forbidden(detail));
        }
    }

    fn change(&mut self) {
        let Some(old) = self.old else { return };
        let new = self.def;
        let mut fixed = vec![
            ("spec.group", &new.group, &old.group),
            ("spec.names.plural", &new.names.plural, &old.names.plural),
        ];
        if old.established {
            fixed.push(("spec.scope", &new.scope, &old.scope));
            fixed.push(("spec.names.kind", &new.names.kind, &old.names.kind));
        }
        for (path, new, old) in fixed {
            if new != old {
                self.found.push(Path::new(path).invalid_text(new, IMMUTABLE));
            }
        }
    }

    fn stored(&mut self) {
        let at = Path::new("status.storedVersions");
        let stored = &self.def.stored;
        if stored.is_empty() {
            self.found.push(at.invalid(&Value::Null, "must have at least one stored version"));
            return;
        }
        for version in self.def.versions.iter().filter(|v| v.storage && !stored.contains(&v.name)) {
            let detail = format!("must have the storage version {}", version.name);
            self.found.push(at.invalid(&stored.clone().into(), &detail));
        }
        for (i, name) in stored.iter().enumerate().filter(|(_, name)| self.def.version(name).is_none()) {
            let detail = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            self.found.push(at.index(i).invalid_text(name, &detail));
        }
    }

    fn approval(&mut self) {
        if !conditions::is_protected(&self.def.group) {
            return;
        }
        let (state, reason) = conditions::approval(self.def.approval.as_deref());
        if self.old.is_some_and(|old| conditions::approval(old.approval.as_deref()).0 == state) {
            return;
        }
        let annotations = Path::new("metadata.annotations");
        let at = annotations.key(APPROVED);
        match state {
            conditions::Approval::Missing => self.found.push(at.required(&reason)),
            conditions::Approval::Invalid => {
                self.found.push(at.invalid_text(self.def.approval.as_deref().unwrap_or_default(), &reason));
            }
            conditions::Approval::Approved | conditions::Approval::Bypassed => {}
        }
    }

    fn preserve(&mut self) {
        if self.def.preserve_unknown && !self.old.is_some_and(|old| old.preserve_unknown) {
            self.found.push(Path::new("spec.preserveUnknownFields").invalid(
                &true.into(),
                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
            ));
        }
    }

    fn limits(&mut self) {
        let mut nodes = 0;
        for (i, version) in self.def.versions.iter().enumerate() {
            nodes += version.schema.as_ref().map_or(0, Node::count);
            if nodes > MAX_NODES {
                let versions = Path::new("spec.versions");
                let detail = format!("more than {MAX_NODES} schema nodes");
                self.found.push(versions.index(i).child("schema").forbidden(&detail));
                return;
            }
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

/// The versions as upstream shows them in a message: in the names of its own structs, shared parts left out.
fn internal_versions(versions: &[Version], common: Common) -> String {
    if versions.is_empty() {
        return "[]".into();
    }
    let one = |v: &Version| {
        let part = |shared: bool, there: bool| if shared || !there { "null" } else { "{}" };
        format!(
            "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":{},\"Schema\":{},\"Subresources\":{},\"AdditionalPrinterColumns\":{},\"SelectableFields\":{}}}",
            quote(&v.name),
            v.served,
            v.storage,
            v.deprecated,
            as_json(&v.deprecation_warning.as_deref().map_or(Value::Null, Value::from)),
            part(common.schema, v.schema.is_some()),
            part(common.subresources, v.subresources.is_some()),
            part(common.columns, !v.columns.is_empty()),
            part(common.selectable, !v.selectable.is_empty()),
        )
    };
    format!("[{}]", versions.iter().map(one).collect::<Vec<_>>().join(","))
}
