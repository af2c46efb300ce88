//! K11: what a fresh tenant shows.

use serde_json::json;

use super::*;
use crate::config::ServerConfig;
use crate::identity::TenantKeys;
use crate::store::{BASE_RV, Db, NewTenant, StoreConfig};
use crate::tenant::{Tenant, TenantId};

async fn tenant(images: &BaseImages, uid: &str, role: Role) -> (Db, Tenant) {
    let id = TenantId::of_uid(uid);
    let mut spec = TenantSpec::new(id, uid, role, &ServerConfig::default().tenant_defaults);
    spec.kubernetes_service.addresses = vec!["10.1.2.3".parse().unwrap()];
    let keys = TenantKeys::generate(id, format!("https://h/clusters/{id}"), vec![]).unwrap();
    let db = Db::memory(StoreConfig::default()).unwrap();
    let new = NewTenant { id, head: Vec::new(), in_wildcard: true, shard: None };
    let layer = images.layer(&spec, &keys, "2026-01-01T00:00:00Z");
    let store = db.create_tenant(new, layer, crate::store::Limits::default()).await.unwrap();
    (db, Tenant::new(spec, keys, "2026-01-01T00:00:00Z".into(), store))
}

fn images() -> BaseImages {
    BaseImages::new("CA PEM".into(), 6443, BTreeMap::new()).unwrap()
}

/// K11: the objects, with the tenant's own values in their slots.
#[tokio::test]
async fn a_fresh_tenant_shows_the_base_image() {
    use crate::identity::service_account::Lookup;
    let images = images();
    let (_a_db, a) = tenant(&images, "a", Role::Tenant).await;
    let (_b_db, b) = tenant(&images, "b", Role::Tenant).await;
    let snapshot = a.store.snapshot();
    let count = |id: &str| snapshot.count(&id.into());
    assert_eq!((count("/namespaces"), count("/serviceaccounts"), count("/configmaps")), (4, 4, 5));
    assert_eq!(count("flowcontrol.apiserver.k8s.io/flowschemas"), 11);
    assert_eq!(count("scheduling.k8s.io/priorityclasses"), 2);
    assert_eq!((snapshot.rv(), a.store.usage().objects), (BASE_RV, 0), "nothing of it is stored");

    let get =
        |t: &Tenant, resource: &str, ns: &str, name: &str| t.objects().object(resource, ns, name).unwrap();
    let service = get(&a, "/services", "default", "kubernetes");
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
    assert_eq!(service["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
    assert_ne!(service["metadata"]["uid"], get(&b, "/services", "default", "kubernetes")["metadata"]["uid"]);
    let slice = get(&a, "discovery.k8s.io/endpointslices", "default", "kubernetes");
    assert_eq!(slice["endpoints"][0]["addresses"], json!(["10.1.2.3"]));
    assert_eq!(get(&a, "/configmaps", "default", "kube-root-ca.crt")["data"]["ca.crt"], "CA PEM");
    let client_ca = |t: &Tenant| get(t, "/configmaps", "kube-system", "extension-apiserver-authentication");
    assert_eq!(client_ca(&a)["data"]["client-ca-file"], a.keys().client.to_pem());
    assert_ne!(client_ca(&a)["data"], client_ca(&b)["data"]);
    let crd = get(&a, "apiextensions.k8s.io/customresourcedefinitions", "", "clusterproperties.about.k8s.io");
    assert_eq!(crate::custom::condition(&crd, "Established"), Some("True"));
}

/// Z1: RBAC of the base image decides through the tenant's index without any object of the tenant's own.
#[tokio::test]
async fn the_base_image_is_the_base_layer_of_access() {
    use crate::access::{Attributes, authorize};
    use crate::identity::Identity;
    let (_db, tenant) = tenant(&images(), "a", Role::Tenant).await;
    let pods =
        Attributes { verb: "list", version: "v1", resource: "pods", namespace: "x", ..Attributes::default() };
    let owner = Identity::user("hub:credential:owner", ["hub:role:admins".to_owned()]);
    assert_eq!(authorize(&tenant, &owner, &pods), Ok(()));
    let denied = authorize(&tenant, &Identity::user("jane", []), &pods).unwrap_err();
    assert_eq!(denied.0, r#"User "jane" cannot list resource "pods" in API group "" in the namespace "x""#);
    let key = Key::new("rbac.authorization.k8s.io/clusterrolebindings".into(), "", "hub:role:admins");
    let write = crate::store::Write::delete(key, BASE_RV);
    tenant.store.commit(crate::store::Intent::one(write)).await.unwrap();
    assert!(authorize(&tenant, &owner, &pods).is_err(), "a removed binding means it");
}

#[test]
fn objects_of_a_role_must_be_kinds_we_know_and_definitions_sound() {
    let with = |object: Value| BaseImages::new(String::new(), 1, BTreeMap::from([(Role::Hub, vec![object])]));
    assert!(
        with(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "extra" } })).is_ok()
    );
    assert!(matches!(with(json!({ "apiVersion": "x/v1", "kind": "Y" })), Err(BaseError::Kind(_))));
    let broken = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "x" }, "spec": {},
    });
    assert!(matches!(with(broken), Err(BaseError::Definition { .. })));
    for definition in skerry_api::crds::all() {
        with(definition).unwrap();
    }
}
