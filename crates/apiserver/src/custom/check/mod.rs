//! Rules of a CustomResourceDefinition: of one alone, and of a change.

mod parts;

use serde_json::Value;

use super::definition::{APPROVED, Common, Definition, Names, Version};
use super::document::{self, Options};
use super::node::Node;
use super::path::{Path, json as as_json, quote};
use super::{conditions, names, prune, structural};
use crate::model::status::Cause;

/// Schema nodes a definition may have (Q10).
pub const MAX_NODES: usize = 20_000;
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
