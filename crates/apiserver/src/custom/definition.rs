//! A CustomResourceDefinition (apiextensions v1) as typed parts.

use serde_json::{Map, Value};

use super::node::Node;

/// Annotation that the API review of upstream's own groups asks for.
pub const APPROVED: &str = "api-approved.kubernetes.io";
/// Finalizer that holds a definition until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The parts of a definition that rules look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Definition {
    /// `metadata.name`.
    pub name: String,
    /// The approval annotation.
    pub approval: Option<String>,
    /// `spec.group`.
    pub group: String,
    /// `spec.names`.
    pub names: Names,
    /// `spec.scope`.
    pub scope: String,
    /// `spec.preserveUnknownFields`.
    pub preserve_unknown: bool,
    /// `spec.versions`.
    pub versions: Vec<Version>,
    /// `spec.conversion`.
    pub conversion: Option<Conversion>,
    /// `status.acceptedNames`.
    pub accepted: Names,
    /// `status.storedVersions`.
    pub stored: Vec<String>,
    /// Condition `Established` is true.
    pub established: bool,
}

/// `spec.names`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// `plural`.
    pub plural: String,
    /// `singular`.
    pub singular: String,
    /// `kind`.
    pub kind: String,
    /// `listKind`.
    pub list_kind: String,
    /// `shortNames`.
    pub short: Vec<String>,
    /// `categories`.
    pub categories: Vec<String>,
}

/// One of `spec.versions`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Version {
    /// `name`.
    pub name: String,
    /// `served`.
    pub served: bool,
    /// `storage`.
    pub storage: bool,
    /// `deprecated`.
    pub deprecated: bool,
    /// `deprecationWarning`.
    pub deprecation_warning: Option<String>,
    /// `schema.openAPIV3Schema`.
    pub schema: Option<Node>,
    /// `subresources`.
    pub subresources: Option<Subresources>,
    /// `additionalPrinterColumns`.
    pub columns: Vec<ColumnDef>,
    /// `selectableFields[].jsonPath`.
    pub selectable: Vec<String>,
}

/// `subresources`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subresources {
    /// `status` is there.
    pub status: bool,
    /// `scale`.
    pub scale: Option<Scale>,
}

/// `subresources.scale`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scale {
    /// `specReplicasPath`.
    pub spec_replicas: String,
    /// `statusReplicasPath`.
    pub status_replicas: String,
    /// `labelSelectorPath`.
    pub selector: Option<String>,
}

/// One of `additionalPrinterColumns`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnDef {
    /// `name`.
    pub name: String,
    /// `type`.
    pub ty: String,
    /// `format`.
    pub format: String,
    /// `description`.
    pub description: String,
    /// `priority`.
    pub priority: i32,
    /// `jsonPath`.
    pub path: String,
}

/// `spec.conversion`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversion {
    /// `strategy`.
    pub strategy: String,
    /// `webhook`, as it is.
    pub webhook: Option<Map<String, Value>>,
}

/// Which parts all versions have in common. Upstream reports findings in such parts once, below `spec`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Common {
    /// The schema.
    pub schema: bool,
    /// The subresources.
    pub subresources: bool,
    /// The columns.
    pub columns: bool,
    /// The selectable fields.
    pub selectable: bool,
}

impl Definition {
    /// Reads a definition. What has the wrong JSON type counts as absent.
    pub fn parse(crd: &Value) -> Self {
        let spec = &crd["spec"];
        let status = &crd["status"];
        Self {
            name: string(&crd["metadata"]["name"]),
            approval: crd["metadata"]["annotations"][APPROVED].as_str().map(str::to_owned),
            group: string(&spec["group"]),
            names: Names::parse(&spec["names"]),
            scope: string(&spec["scope"]),
            preserve_unknown: spec["preserveUnknownFields"].as_bool().unwrap_or_default(),
            versions: list(&spec["versions"]).iter().map(Version::parse).collect(),
            conversion: spec["conversion"].as_object().map(|_| Conversion {
                strategy: string(&spec["conversion"]["strategy"]),
                webhook: spec["conversion"]["webhook"].as_object().cloned(),
            }),
            accepted: Names::parse(&status["acceptedNames"]),
            stored: strings(&status["storedVersions"]),
            established: condition(crd, "Established") == Some("True"),
        }
    }

    /// What the versions have in common.
    pub fn common(&self) -> Common {
        let Some(first) = self.versions.first() else { return Common::default() };
        let all = |same: &dyn Fn(&Version) -> bool| self.versions.iter().all(same);
        Common {
            schema: all(&|v| v.schema == first.schema),
            subresources: all(&|v| v.subresources == first.subresources),
            columns: all(&|v| v.columns == first.columns),
            selectable: all(&|v| v.selectable == first.selectable),
        }
    }

    /// The version of that name.
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.name == name)
    }

    /// The storage version.
    pub fn storage(&self) -> Option<&Version> {
        self.versions.iter().find(|v| v.storage)
    }

    /// All schemas.
    pub fn schemas(&self) -> impl Iterator<Item = &Node> {
        self.versions.iter().filter_map(|v| v.schema.as_ref())
    }

    /// Whether a schema node fits.
    pub fn any_node(&self, test: &mut dyn FnMut(&Node) -> bool) -> bool {
        self.schemas().any(|schema| schema.any(test))
    }

    /// Whether a schema holds CEL rules (M3).
    pub fn has_rules(&self) -> bool {
        self.any_node(&mut |node| !node.rules.is_empty())
    }
}

impl Names {
    fn parse(names: &Value) -> Self {
        Self {
            plural: string(&names["plural"]),
            singular: string(&names["singular"]),
            kind: string(&names["kind"]),
            list_kind: string(&names["listKind"]),
            short: strings(&names["shortNames"]),
            categories: strings(&names["categories"]),
        }
    }

    /// As it stands in a document.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        let texts = [
            ("plural", &self.plural),
            ("singular", &self.singular),
            ("kind", &self.kind),
            ("listKind", &self.list_kind),
        ];
        for (name, text) in texts {
            // Plural and kind are always there, the others only if not empty.
            if !text.is_empty() || matches!(name, "plural" | "kind") {
                out.insert(name.into(), text.as_str().into());
            }
        }
        for (name, list) in [("shortNames", &self.short), ("categories", &self.categories)] {
            if !list.is_empty() {
                out.insert(name.into(), list.clone().into());
            }
        }
        Value::Object(out)
    }
}

impl Version {
    fn parse(version: &Value) -> Self {
        let columns = list(&version["additionalPrinterColumns"]).iter().map(ColumnDef::parse).collect();
        let selectable = list(&version["selectableFields"]).iter().map(|f| string(&f["jsonPath"])).collect();
        Self {
            name: string(&version["name"]),
            served: version["served"].as_bool().unwrap_or_default(),
            storage: version["storage"].as_bool().unwrap_or_default(),
            deprecated: version["deprecated"].as_bool().unwrap_or_default(),
            deprecation_warning: version["deprecationWarning"].as_str().map(str::to_owned),
            schema: Some(&version["schema"]["openAPIV3Schema"]).filter(|s| s.is_object()).map(Node::parse),
            subresources: version["subresources"].as_object().map(Subresources::parse),
            columns,
            selectable,
        }
    }

    /// Its `/status` exists.
    pub fn has_status(&self) -> bool {
        self.subresources.as_ref().is_some_and(|s| s.status)
    }

    /// Its `/scale`.
    pub fn scale(&self) -> Option<&Scale> {
        self.subresources.as_ref().and_then(|s| s.scale.as_ref())
    }
}

impl Subresources {
    fn parse(map: &Map<String, Value>) -> Self {
        let scale = map.get("scale").filter(|s| s.is_object()).map(|scale| Scale {
            spec_replicas: string(&scale["specReplicasPath"]),
            status_replicas: string(&scale["statusReplicasPath"]),
            selector: scale["labelSelectorPath"].as_str().map(str::to_owned),
        });
        Self { status: map.get("status").is_some_and(Value::is_object), scale }
    }
}

impl ColumnDef {
    fn parse(column: &Value) -> Self {
        Self {
            name: string(&column["name"]),
            ty: string(&column["type"]),
            format: string(&column["format"]),
            description: string(&column["description"]),
            priority: column["priority"].as_i64().and_then(|p| p.try_into().ok()).unwrap_or_default(),
            path: string(&column["jsonPath"]),
        }
    }
}

/// `status` of a condition of a definition.
pub fn condition<'v>(crd: &'v Value, ty: &str) -> Option<&'v str> {
    list(&crd["status"]["conditions"]).iter().find(|c| c["type"] == ty)?["status"].as_str()
}

pub(super) fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn strings(value: &Value) -> Vec<String> {
    list(value).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
