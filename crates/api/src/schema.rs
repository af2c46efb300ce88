//! Schemas of the core types that the kinds use, with descriptions of our own.

use schemars::{Schema, SchemaGenerator, json_schema};

const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$|^0$";

/// A quantity: a whole number or text as `500m`, `2Gi`.
pub fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
        "x-kubernetes-int-or-string": true,
        "maxLength": 64
    })
}

/// A map of resource names to quantities.
pub fn resources(generator: &mut SchemaGenerator) -> Schema {
    let value = quantity(generator);
    json_schema!({"type": "object", "additionalProperties": value, "maxProperties": 64})
}

/// A label selector, bounded.
pub fn selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": 32,
                "additionalProperties": {"type": "string", "maxLength": 63},
                "description": "Labels that must all be there with these values."
            },
            "matchExpressions": {
                "type": "array", "maxItems": 32,
                "description": "Requirements that must all hold.",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"type": "string", "minLength": 1, "maxLength": 316, "description": "Label key."},
                        "operator": {"type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"], "description": "How the label's value relates to `values`."},
                        "values": {"type": "array", "maxItems": 64, "items": {"type": "string", "maxLength": 63}, "description": "Values for In and NotIn."}
                    }
                }
            }
        }
    })
}

/// A list of tolerations, bounded.
pub fn tolerations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 100,
        "items": {
            "type": "object",
            "properties": {
                "key": {"type": "string", "maxLength": 316, "description": "Taint key; empty with operator Exists: every key."},
                "operator": {"type": "string", "enum": ["Exists", "Equal", "Lt", "Gt"], "description": "How `value` is compared; absent: Equal."},
                "value": {"type": "string", "maxLength": 63, "description": "Taint value."},
                "effect": {"type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"], "description": "Taint effect; absent: all."},
                "tolerationSeconds": {"type": "integer", "format": "int64", "description": "How long NoExecute is tolerated; absent: for ever."}
            }
        }
    })
}

/// Items of a LimitRange, up to 8.
pub fn limit_range(generator: &mut SchemaGenerator) -> Schema {
    let map = resources(generator);
    json_schema!({
        "type": "array", "maxItems": 8,
        "items": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": {"type": "string", "maxLength": 64, "description": "Container, Pod or PersistentVolumeClaim."},
                "default": map, "defaultRequest": map, "max": map, "min": map, "maxLimitRequestRatio": map
            }
        }
    })
}

/// Conditions, a map by type.
pub fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "description": "What is known about the object, one entry per type.",
        "items": {
            "type": "object",
            "description": "One statement about the object.",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "type": "string", "maxLength": 316, "description": "What the statement is about.",
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
                },
                "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds."},
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024, "description": "Why, as one word for programs.",
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
                },
                "message": {"type": "string", "maxLength": 32768, "description": "Why, for people."},
                "lastTransitionTime": {"type": "string", "format": "date-time", "description": "When the status last changed."},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0, "description": "Generation of the object that was looked at."}
            }
        }
    })
}

/// Conditions as a plain list, for the kinds that were published so.
pub fn plain_conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = conditions(generator);
    schema.remove("x-kubernetes-list-type");
    schema.remove("x-kubernetes-list-map-keys");
    schema
}

/// A whole number of no stated size.
pub fn integer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer"})
}

/// A time in RFC 3339.
pub fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// A duration as `90s`, `10m`, `1h30m`.
pub fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 32, "pattern": DURATION})
}

/// A whole number or a percentage.
pub fn count_or_percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": true,
        "maxLength": 8
    })
}

/// Anything that is an object; used where the content belongs to somebody else.
pub fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Whole Kubernetes objects.
pub fn embedded_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-embedded-resource": true}
    })
}

/// As [`embedded_objects`], at most 200.
pub fn manifests(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = embedded_objects(generator);
    schema.insert("maxItems".to_owned(), 200.into());
    schema
}

/// Labels or properties: text by key, up to 64.
pub fn text_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 64, "additionalProperties": {"type": "string", "maxLength": 1024}})
}

/// Labels: up to 32, values of at most 63 characters.
pub fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 32, "additionalProperties": {"type": "string", "maxLength": 63}})
}

/// Texts, at most 64 of them, each at most 253 characters.
pub fn names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 64, "items": {"type": "string", "maxLength": 253}})
}
