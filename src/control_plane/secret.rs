//! The published credential: Secret `<name>-kubeconfig` (tenancy section 5, A1, A2).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::json;
use skerry_api::labels;
use skerry_kit::kubeconfig::{Entry, User};

use super::{Located, Minted, TenantRef};

/// Type of the Secret, by which Cluster API's tools find it.
pub const TYPE: &str = "cluster.x-k8s.io/secret";
/// Label with the name of the cluster.
pub const CLUSTER_NAME: &str = "cluster.x-k8s.io/cluster-name";
/// When the credential in it was issued.
const ISSUED: &str = "skerry.dev/issued";

/// Name of the Secret (V2).
pub fn name(tenant: &str) -> String {
    format!("{tenant}-kubeconfig")
}

/// Name of context, cluster and user in it.
pub fn context(namespace: &str, name: &str) -> String {
    format!("skerry_{namespace}_{name}")
}

/// What a stored Secret holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// The credential.
    pub credential: Minted,
    /// When it was issued.
    pub issued: Timestamp,
}

/// Whether a Secret of our name is ours.
pub fn is_ours(secret: &Secret, tenant: &TenantRef) -> bool {
    secret.annotations().get(labels::UID).is_some_and(|uid| *uid == tenant.uid)
}

/// Reads the credential of a stored Secret; none if it was edited into something else.
pub fn held(secret: &Secret) -> Option<Held> {
    let data = secret.data.as_ref()?;
    let text =
        |key: &str| data.get(key).and_then(|b| String::from_utf8(b.0.clone()).ok()).filter(|t| !t.is_empty());
    let user = match (text("client.crt"), text("client.key"), text("token")) {
        (Some(certificate), Some(key), _) => User::Certificate { certificate, key },
        (_, _, Some(token)) => User::Token(token),
        _ => return None,
    };
    let expires = text("expires")?.parse().ok()?;
    let issued = secret.annotations().get(ISSUED)?.parse().ok()?;
    Some(Held { credential: Minted { user, expires }, issued })
}

/// Whether a credential has passed half of its life (A2).
pub fn is_due(held: &Held, now: Timestamp) -> bool {
    let life = held.credential.expires.duration_since(held.issued);
    now.duration_since(held.issued) >= life / 2
}

/// When it will have.
pub fn due_in(held: &Held, now: Timestamp) -> Duration {
    let half = held.credential.expires.duration_since(held.issued) / 2;
    let left = half - now.duration_since(held.issued);
    Duration::try_from(left).unwrap_or_default()
}

/// The Secret as it is to be.
pub fn wanted(tenant: &TenantRef, located: &Located, held: &Held) -> Secret {
    let endpoint = &located.endpoint;
    let context = context(&tenant.namespace, &tenant.name);
    let entry = Entry {
        name: &context,
        server: &endpoint.url,
        server_name: &endpoint.server_name,
        ca: &endpoint.ca_bundle,
        user: held.credential.user.clone(),
        namespace: None,
    };
    let file = serde_yaml_ng::to_string(&entry.file()).unwrap_or_default();
    let mut data: BTreeMap<String, ByteString> = ["value", "kubeconfig", "config"]
        .into_iter()
        .map(|key| (key.to_owned(), ByteString(file.clone().into_bytes())))
        .collect();
    let mut put = |key: &str, text: &str| data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
    put("server", &endpoint.url);
    put("ca.crt", &endpoint.ca_bundle);
    put("expires", &held.credential.expires.to_string());
    match &held.credential.user {
        User::Certificate { certificate, key } => {
            put("client.crt", certificate);
            put("client.key", key);
            put("token", "");
        }
        User::Token(token) => {
            put("client.crt", "");
            put("client.key", "");
            put("token", token);
        }
        User::Exec { .. } => {}
    }
    let meta = json!({
        "name": name(&tenant.name),
        "namespace": tenant.namespace,
        "labels": {CLUSTER_NAME: tenant.name, labels::TENANT: tenant.id},
        "annotations": {labels::UID: tenant.uid, ISSUED: held.issued.to_string()},
        "ownerReferences": [{
            "apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualCluster", "name": tenant.name, "uid": tenant.uid,
        }],
    });
    Secret {
        metadata: serde_json::from_value(meta).unwrap_or_default(),
        type_: Some(TYPE.to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

/// Whether the stored Secret is what it is to be.
pub fn matches(stored: &Secret, wanted: &Secret) -> bool {
    let labels_hold = wanted.labels().iter().all(|(k, v)| stored.labels().get(k) == Some(v));
    let notes_hold = wanted.annotations().iter().all(|(k, v)| stored.annotations().get(k) == Some(v));
    stored.type_ == wanted.type_ && stored.data == wanted.data && labels_hold && notes_hold
}

/// The kubeconfig text of a Secret.
pub fn text(secret: &Secret) -> String {
    let bytes =
        secret.data.as_ref().and_then(|d| d.get("kubeconfig")).map(|b| b.0.clone()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_kit::{ControlPlaneEndpoint, EndpointCredential, NetworkFacts};

    fn tenant() -> TenantRef {
        TenantRef {
            id: "tk3v2q5x2m7a".into(),
            uid: "u".into(),
            namespace: "team-a".into(),
            name: "dev".into(),
        }
    }

    fn located() -> Located {
        Located {
            endpoint: ControlPlaneEndpoint {
                url: "https://127.0.0.1:8443/clusters/tk3v2q5x2m7a".into(),
                internal_url: String::new(),
                server_name: String::new(),
                ca_bundle: "pem".into(),
                version: "v1.36.3".into(),
                network: NetworkFacts::default(),
                credential: EndpointCredential::InProcess,
                capabilities: Vec::new(),
                epoch: 1,
            },
            source: String::new(),
            client: None,
        }
    }

    fn held_for(hours: i64) -> Held {
        let issued: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let user = User::Certificate { certificate: "crt".into(), key: "key".into() };
        Held {
            credential: Minted { user, expires: issued + jiff::SignedDuration::from_hours(hours) },
            issued,
        }
    }

    /// TN-38: type, label, three equal keys, and what each of the three readers looks for.
    #[test]
    fn tn38_the_secret_is_read_by_three_kinds_of_readers() {
        let secret = wanted(&tenant(), &located(), &held_for(168));
        let data = secret.data.as_ref().unwrap();
        assert_eq!(secret.type_.as_deref(), Some("cluster.x-k8s.io/secret"));
        assert_eq!(secret.labels()["cluster.x-k8s.io/cluster-name"], "dev");
        assert_eq!(secret.name_any(), "dev-kubeconfig");
        assert!(data["value"] == data["kubeconfig"] && data["value"] == data["config"]);
        for key in ["server", "ca.crt", "client.crt", "client.key", "token", "expires"] {
            assert!(data.contains_key(key), "{key}");
        }
        let file: serde_json::Value = serde_yaml_ng::from_str(&text(&secret)).unwrap();
        assert_eq!(file["current-context"], "skerry_team-a_dev");
        assert_eq!(file["clusters"][0]["cluster"]["server"], "https://127.0.0.1:8443/clusters/tk3v2q5x2m7a");
    }

    /// TN-39: renewed at half of its life, so that any copy is good for at least the other half.
    #[test]
    fn tn39_renewal_is_due_at_half_of_the_life() {
        let held = held_for(10);
        let at = |hours| held.issued + jiff::SignedDuration::from_hours(hours);
        assert!(!is_due(&held, at(4)) && is_due(&held, at(5)));
        assert_eq!(due_in(&held, at(3)), Duration::from_secs(2 * 3600));
    }

    #[test]
    fn an_edited_secret_is_noticed() {
        let good = wanted(&tenant(), &located(), &held_for(10));
        assert!(matches(&good, &good) && held(&good).is_some());
        let mut edited = good.clone();
        edited.data.as_mut().unwrap().insert("value".into(), ByteString(b"x".to_vec()));
        assert!(!matches(&edited, &good));
        edited.data.as_mut().unwrap().remove("client.key");
        assert!(held(&edited).is_none());
    }
}
