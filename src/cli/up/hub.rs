//! The hub of `skerry up`: a tenant of role Hub, its kubeconfig, its classes.

use std::path::Path;
use std::time::Duration;

use kube::Client;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use skerry_api::VirtualClusterClass;
use skerry_api::ids::tenant_id;
use skerry_api::virtual_cluster::reasons::managers;
use skerry_kit::kubeconfig::{Entry, User};
use skerry_kit::{apply, error};

use super::data::DataDir;
use crate::cli::connect::{read_file, write_file};
use crate::cli::exit::Failure;
use crate::cli::hub::kubeconfig_path;
use crate::control_plane::admin::{Admin, CredentialAsk};
use crate::control_plane::embedded::{ADMINS, OWNER};

/// Name of context, cluster and user.
pub const CONTEXT: &str = "skerry";
/// Life of the kubeconfig; each start makes a new one.
const LIFE: Duration = Duration::from_secs(90 * 86_400);

/// Makes the hub, or finds it; answers its id.
pub async fn ensure(admin: &Admin, data: &DataDir) -> Result<String, Failure> {
    let uid = format!("{}-hub", data.installation()?);
    let id = tenant_id(&uid);
    put(admin, &id, &json!({"id": id, "uid": uid, "role": "Hub", "limits": limits()})).await?;
    Ok(id)
}

/// Limits of the hub and of simulated hosts: the highest there are.
pub fn limits() -> Value {
    json!({"objects": 500_000, "bytes": "2560Mi", "namespaces": 10_000, "watches": 50_000, "watchesPerIdentity": 10_000,
        "inFlightReading": 1000, "inFlightMutating": 500})
}

/// A tenant that is opened from disk is busy for a moment.
pub async fn put(admin: &Admin, id: &str, record: &Value) -> Result<(), Failure> {
    for _ in 0..100 {
        match admin.put(id, record).await {
            Ok(_) => return Ok(()),
            Err(failed) if error::code(&failed) == Some(503) => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Err(failed) => return Err(Failure::Failed(format!("tenant {id}: {}", error::sentence(&failed)))),
        }
    }
    Err(Failure::Failed(format!("tenant {id} does not open in time")))
}

/// A kubeconfig with all rights in a tenant.
pub async fn kubeconfig(admin: &Admin, id: &str, url: &str, ca: &str) -> Result<Value, Failure> {
    let ask = CredentialAsk { user: OWNER, groups: &[ADMINS], ttl: LIFE, token: false };
    let answer = admin.credential(id, &ask).await.map_err(Failure::during("the hub's credential"))?;
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    let server = format!("{url}/clusters/{id}");
    let entry = Entry {
        name: CONTEXT,
        server: &server,
        server_name: "",
        ca,
        user: User::Certificate { certificate: text("certificate"), key: text("key") },
        namespace: None,
    };
    Ok(entry.file())
}

/// Writes it into the data directory, and its context into the user's file.
pub fn publish(kubeconfig: &Value, data: &DataDir, merge: bool) -> Result<(), Failure> {
    write_file(&data.kubeconfig(), kubeconfig)?;
    if !merge {
        return Ok(());
    }
    let path = kubeconfig_path(None);
    let mut file = read_file(&path)?;
    for list in ["clusters", "users", "contexts"] {
        let entry = kubeconfig[list][0].clone();
        if !file[list].is_array() {
            file[list] = json!([]);
        }
        if let Some(items) = file[list].as_array_mut() {
            items.retain(|item| item["name"] != CONTEXT);
            items.push(entry);
        }
    }
    file["current-context"] = CONTEXT.into();
    write_file(&path, &file)
}

/// The shipped class, or those of a file; what is there already stays as it is.
pub async fn classes(hub: &Client, file: Option<&Path>) -> Result<(), Failure> {
    let api: Api<VirtualClusterClass> = Api::all(hub.clone());
    let wanted: Vec<Value> = match file {
        None => vec![standard()],
        Some(path) => {
            let body = std::fs::read_to_string(path)
                .map_err(|e| Failure::Usage(format!("--classes {}: {e}", path.display())))?;
            serde_yaml_ng::Deserializer::from_str(&body)
                .map(serde::Deserialize::deserialize)
                .collect::<Result<Vec<Value>, _>>()
                .map_err(|e| Failure::Usage(format!("--classes {}: {e}", path.display())))?
        }
    };
    let known = api.list_metadata(&ListParams::default()).await.map_err(Failure::during("classes"))?;
    for class in wanted.into_iter().filter(|c| !c.is_null()) {
        let name = class["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if file.is_none() && known.items.iter().any(|c| c.metadata.name.as_deref() == Some(name.as_str())) {
            continue;
        }
        let typed: VirtualClusterClass =
            serde_json::from_value(class).map_err(|e| Failure::Usage(format!("class {name:?}: {e}")))?;
        apply::apply(&api, managers::CLI, &typed).await.map_err(Failure::during(&format!("class {name}")))?;
    }
    Ok(())
}

/// The class that ships with the program (tenancy section 2).
pub fn standard() -> Value {
    let size = |name: &str, cpu: u32, memory: &str, pods: u32, limits: Value| json!({"name": name, "quota": {"requests.cpu": cpu.to_string(), "requests.memory": memory, "pods": pods.to_string()}, "limits": limits});
    let limits = |objects: u32, bytes: &str, namespaces: u32, watches: u32| json!({"objects": objects, "bytes": bytes, "namespaces": namespaces, "watches": watches});
    json!({
        "apiVersion": "skerry.dev/v1alpha1",
        "kind": "VirtualClusterClass",
        "metadata": {"name": "standard"},
        "spec": {
            "description": "Virtual clusters on shared hosts, for every namespace.",
            "default": true,
            "namespaceSelector": {},
            "defaultSize": "small",
            "sizes": [
                size("tiny", 2, "4Gi", 20, limits(2000, "32Mi", 20, 200)),
                size("small", 8, "16Gi", 100, limits(20_000, "128Mi", 100, 1000)),
                size("medium", 32, "128Gi", 500, limits(50_000, "512Mi", 300, 3000)),
                size("large", 128, "512Gi", 2000, limits(200_000, "2Gi", 1000, 10_000)),
            ],
            "overridable": ["size", "controlPlane.version", "hosts.selector", "network.clusterDomain", "expose.hostnames",
                "access", "sync", "inventory", "pause", "deletion"],
            "ceilings": {"credentialTTL": "2160h", "controlPlaneReplicas": 1, "hosts": 1},
            "perNamespace": {"virtualClusters": 5},
            "providers": [{"type": "Embedded", "isolation": ["Shared"], "versions": ["1.36"], "stores": ["default"]}],
            "hosts": {"selector": {}, "strategy": "LeastAllocated"},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_class_is_a_class() {
        let class: VirtualClusterClass = serde_json::from_value(standard()).unwrap();
        assert!(skerry_api::rules::check("VirtualClusterClass", &standard(), None).is_empty());
        assert_eq!(class.spec.sizes.unwrap().len(), 4);
    }
}
