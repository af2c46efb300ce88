//! Data of Secrets is not shown: of each value there is a mark, by which those of one answer can be told apart.

use std::hash::{BuildHasher as _, RandomState};

use serde_json::Value;

use crate::kind::Kind;

/// Members of a Secret that say nothing of its data.
const PLAIN: [&str; 5] = ["apiVersion", "kind", "metadata", "type", "immutable"];
/// Annotations that are Skerry's own; any other may repeat the data, as `kubectl apply` has it.
const OURS: &str = "skerry.dev/";

/// Marks of one answer: their key is random, so that a mark says nothing of a value to who guesses it.
#[derive(Default)]
pub struct Marks(RandomState);

impl Marks {
    /// Hides what is in an object of this kind.
    pub fn hide(&self, kind: Kind, object: &mut Value) {
        let Some(map) = object.as_object_mut().filter(|_| kind == Kind::Secret) else { return };
        for (_, value) in map.iter_mut().filter(|(member, _)| !PLAIN.contains(&member.as_str())) {
            self.leaves(value);
        }
        let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        for (_, value) in annotations.into_iter().flatten().filter(|(key, _)| !key.starts_with(OURS)) {
            self.leaves(value);
        }
    }

    fn leaves(&self, value: &mut Value) {
        match value {
            Value::Object(map) => map.values_mut().for_each(|inner| self.leaves(inner)),
            Value::Array(list) => list.iter_mut().for_each(|inner| self.leaves(inner)),
            leaf => {
                let mark = self.0.hash_one(leaf.to_string());
                *leaf = Value::from(format!("<hidden {mark:016x}>"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// OB2: keys are shown, values are not, wherever they stand; equal ones of one answer have equal marks.
    #[test]
    fn plan_ob2_data_of_secrets_is_hidden() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
            "metadata": {"name": "pw", "labels": {"a": "b"}, "annotations": {"skerry.dev/origin-name": "pw",
                "kubectl.kubernetes.io/last-applied-configuration": "{\"stringData\":{\"k\":\"topsecret\"}}"}},
            "data": {"k": "topsecret", "l": "topsecret", "m": "other"}, "stringData": {"k": "topsecret"},
            "skerry.dev/unreadable": "invalid value: topsecret"});
        let (marks, mut hidden) = (Marks::default(), secret.clone());
        marks.hide(Kind::Secret, &mut hidden);
        assert!(!hidden.to_string().contains("topsecret"), "{hidden}");
        assert_eq!(hidden["data"]["k"], hidden["data"]["l"]);
        assert_ne!(hidden["data"]["k"], hidden["data"]["m"]);
        assert_eq!(hidden["metadata"]["annotations"]["skerry.dev/origin-name"], "pw");
        assert_eq!((&hidden["type"], &hidden["metadata"]["labels"]["a"]), (&json!("Opaque"), &json!("b")));
        let mut again = secret.clone();
        Marks::default().hide(Kind::Secret, &mut again);
        assert_ne!(hidden["data"]["k"], again["data"]["k"], "a mark cannot be looked up");
        let mut map = secret.clone();
        marks.hide(Kind::ConfigMap, &mut map);
        assert_eq!(map, secret);
    }
}
