//! `skerry credential`: an exec plugin of client-go (inventory X8). Nothing but the credential goes to stdout; a failure
//! leaves it empty.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::{Value, json};

use super::exit::Failure;
use super::hub::{Hub, HubArgs};
use super::output::write;
use crate::control_plane::secret;

/// Where the credential comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// The published Secret of a virtual cluster, with the caller's own rights on the hub.
    Cluster,
    /// A consumer's Secret `skerry-<member id>` in its own namespace.
    Secret,
}

/// Flags.
#[derive(Debug, Args)]
pub struct CredentialArgs {
    /// Where the credential comes from.
    #[arg(long, value_enum)]
    from: From,
}

/// What client-go tells a plugin.
const INFO: &str = "KUBERNETES_EXEC_INFO";
const VERSION: &str = "client.authentication.k8s.io/v1";

/// The cluster's configuration for this plugin.
fn config() -> Result<Value, Failure> {
    let text = std::env::var(INFO).map_err(|_| {
        Failure::Usage(format!(
            "{INFO} is not set: this command is run by kubectl and its like, with provideClusterInfo"
        ))
    })?;
    read_info(&text)
}

fn read_info(text: &str) -> Result<Value, Failure> {
    let info: Value = serde_json::from_str(text).map_err(|e| Failure::Usage(format!("{INFO}: {e}")))?;
    if info["apiVersion"] != VERSION {
        return Err(Failure::Usage(format!("{INFO}: apiVersion {} is not {VERSION}", info["apiVersion"])));
    }
    let cluster = &info["spec"]["cluster"];
    if cluster["server"].as_str().is_none_or(str::is_empty) {
        return Err(Failure::Usage(format!("{INFO}: no cluster; set provideClusterInfo: true")));
    }
    Ok(cluster["config"].clone())
}

/// Runs.
pub async fn run(args_hub: &HubArgs, args: CredentialArgs) -> Result<(), Failure> {
    let config = config()?;
    let mut flags = args_hub.clone();
    if let Some(path) = config["kubeconfig"].as_str() {
        flags.kubeconfig = Some(PathBuf::from(path));
    }
    if flags.context.is_none() {
        flags.context = config["context"].as_str().map(str::to_owned);
    }
    let answer = match args.from {
        From::Cluster => {
            let key = config["virtualCluster"].as_str().unwrap_or_default();
            let (namespace, name) = key.split_once('/').ok_or_else(|| {
                Failure::Usage(format!("{INFO}: config.virtualCluster {key:?} is not namespace/name"))
            })?;
            flags.namespace = Some(namespace.to_owned());
            let hub = flags.connect().await?;
            of_secret(&published(&hub, name).await?)?
        }
        From::Secret => {
            let name = ["clusterName", "name"].iter().find_map(|k| config[*k].as_str()).map(str::to_owned);
            let name = name.or_else(|| config["memberID"].as_str().map(|id| format!("skerry-{id}")));
            let name = name.ok_or_else(|| Failure::Usage(format!("{INFO}: config names no member")))?;
            let hub = flags.connect().await?;
            let api: Api<Secret> = Api::namespaced(hub.client.clone(), &hub.namespace);
            of_secret(&api.get(&name).await?)?
        }
    };
    write(&format!("{answer}\n"))
}

/// The published Secret of a virtual cluster.
pub async fn published(hub: &Hub, name: &str) -> Result<Secret, Failure> {
    let api: Api<Secret> = Api::namespaced(hub.client.clone(), &hub.namespace);
    let wanted = secret::name(name);
    api.get_opt(&wanted).await?.ok_or_else(|| {
        Failure::NotFound(format!(
            "Secret {}/{wanted} is not published yet; `skerry describe {name}` shows why",
            hub.namespace
        ))
    })
}

/// An ExecCredential with its end, so that clients renew before it and not after a 401.
fn of_secret(stored: &Secret) -> Result<Value, Failure> {
    let data = stored.data.as_ref();
    let text = |key: &str| {
        let bytes = data.and_then(|d| d.get(key)).map(|b| b.0.clone()).unwrap_or_default();
        String::from_utf8(bytes).ok().filter(|t| !t.is_empty())
    };
    let mut status = match (text("client.crt"), text("client.key"), text("token")) {
        (Some(certificate), Some(key), _) => {
            json!({"clientCertificateData": certificate, "clientKeyData": key})
        }
        (_, _, Some(token)) => json!({"token": token}),
        _ => return Err(Failure::Failed("the Secret holds no credential".to_owned())),
    };
    if let Some(expires) = text("expires") {
        status["expirationTimestamp"] = expires.into();
    }
    Ok(json!({"apiVersion": VERSION, "kind": "ExecCredential", "status": status}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    /// I12: each bad form of the protocol is refused, the good one is read.
    #[test]
    fn i12_the_protocol_is_read_strictly() {
        let good = json!({"apiVersion": VERSION, "kind": "ExecCredential", "spec": {"cluster": {"server": "https://x", "config": {"virtualCluster": "a/b"}}}});
        assert_eq!(read_info(&good.to_string()).unwrap()["virtualCluster"], "a/b");
        let mut older = good.clone();
        older["apiVersion"] = "client.authentication.k8s.io/v1beta1".into();
        let mut serverless = good.clone();
        serverless["spec"]["cluster"] = json!({});
        for bad in [older.to_string(), serverless.to_string(), String::new(), "{".to_owned()] {
            assert!(matches!(read_info(&bad), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn i12_a_credential_comes_with_its_end() {
        let data = [
            ("client.crt", "crt"),
            ("client.key", "key"),
            ("token", ""),
            ("expires", "2026-11-28T00:00:00Z"),
        ];
        let data = data.into_iter().map(|(k, v)| (k.to_owned(), ByteString(v.as_bytes().to_vec()))).collect();
        let answer = of_secret(&Secret { data: Some(data), ..Secret::default() }).unwrap();
        assert_eq!(answer["status"]["expirationTimestamp"], "2026-11-28T00:00:00Z");
        assert_eq!(answer["status"]["clientKeyData"], "key");
        assert!(of_secret(&Secret::default()).is_err());
    }
}
