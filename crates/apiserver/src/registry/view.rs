//! Between stored records and the version a client asked for; what is indexed of an object.

use serde_json::Value;

use crate::custom;
use crate::kinds;
use crate::model::gvk::Gvk;
use crate::model::object::Object;
use crate::model::resource::Resource;
use crate::store::{Index, Record};

/// The object in the row's version.
pub fn view(resource: &Resource, record: &Record) -> Value {
    let mut tree = record.tree();
    if let Some(custom) = &resource.custom {
        // What was stored has passed this once; should it no longer be readable, it is shown as it is.
        if custom::from_storage(custom, &mut tree).is_err() {
            tree = record.tree();
        }
    }
    to_version(resource, tree, &resource.gvk)
}

/// Whether the stored bytes already are in the row's version.
pub fn is_stored_version(resource: &Resource) -> bool {
    resource.gvk == resource.storage && resource.custom.as_ref().is_none_or(|custom| custom.reads_as_stored)
}

/// Brings an object into another served version of its kind.
pub fn to_version(resource: &Resource, mut object: Value, to: &Gvk) -> Value {
    if object.text(&["apiVersion"]) == to.api_version() {
        return object;
    }
    match &resource.custom {
        None => object = kinds::convert(object, to),
        // Metadata has been judged, and nothing else can stand in the way.
        Some(custom) => drop(custom::to_storage(custom, &mut object)),
    }
    object.put(&["apiVersion"], to.api_version());
    object.put(&["kind"], &*to.kind);
    object
}

/// What the store keeps beside the body. `resource` is the row of the storage version, and `object` is in it.
pub fn index_of(resource: &Resource, object: &Value) -> Index {
    let labels = object
        .at(&["metadata", "labels"])
        .and_then(Value::as_object)
        .map(|m| m.iter().filter_map(|(k, v)| Some((k.as_str().into(), v.as_str()?.into()))).collect())
        .unwrap_or_default();
    let owners = object.items(&["metadata", "ownerReferences"]);
    let fields = resource.selectable.iter().map(|s| (s.path.clone(), s.value(object))).collect();
    Index {
        labels,
        owners: owners.iter().map(|o| o.text(&["uid"]).into()).collect(),
        fields,
        uid: object.meta("uid").into(),
        deleting: object.is_deleting(),
    }
}
