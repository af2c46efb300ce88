//! The hub of `skerry up`: a tenant of role Hub, its kubeconfig.

use std::time::Duration;

use serde_json::{Value, json};
use skerry_api::ids::tenant_id;
use skerry_kit::error;
use skerry_kit::kubeconfig::{Entry, User};

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
        "inFlightReading": 1000, "inFlightMutating": 500, "tunnels": 2000})
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
