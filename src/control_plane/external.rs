//! Provider External (tenancy P26): an existing cluster, adopted by a kubeconfig and left as it was.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, Config};
use serde_json::json;
use sha2::{Digest, Sha256};
use skerry_api::labels;
use skerry_api::virtual_cluster::reasons::control_plane as reason;
use skerry_kit::kubeconfig::{Allow, User, read};
use skerry_kit::{ControlPlaneEndpoint, EndpointCredential, NetworkFacts, apply, error};

use super::{Located, Minted, Part, Provider, ProviderError, TenantRef};
use crate::provision::ValidatedTenant;

/// ServiceAccount whose tokens the published kubeconfig carries.
const OWNER: &str = "owner";
/// Its binding to cluster-admin.
const BINDING: &str = "skerry-owner";
/// Field manager in the adopted cluster.
const MANAGER: &str = "skerry-control-plane";
/// Keys that are tried when none is named (P20 and its peers).
const KEYS: [&str; 3] = ["value", "kubeconfig", "config"];

/// The provider.
pub struct External {
    hub: Client,
}

impl External {
    /// Reads Secrets of this hub.
    pub fn new(hub: Client) -> Self {
        Self { hub }
    }

    async fn read(
        &self,
        tenant: &TenantRef,
        name: &str,
        key: &str,
    ) -> Result<(Config, String), ProviderError> {
        let api: Api<Secret> = Api::namespaced(self.hub.clone(), &tenant.namespace);
        let missing =
            |what: String| ProviderError::NotReady { reason: reason::KUBECONFIG_MISSING, message: what };
        let secret = api
            .get_opt(name)
            .await?
            .ok_or_else(|| missing(format!("Secret {}/{name} does not exist", tenant.namespace)))?;
        let data = secret.data.unwrap_or_default();
        let keys: Vec<&str> = if key.is_empty() { KEYS.to_vec() } else { vec![key] };
        let bytes = keys.iter().find_map(|k| data.get(*k)).ok_or_else(|| {
            missing(format!("Secret {}/{name} has none of the keys {}", tenant.namespace, keys.join(", ")))
        })?;
        let invalid =
            |message: String| ProviderError::NotReady { reason: reason::KUBECONFIG_INVALID, message };
        let text =
            String::from_utf8(bytes.0.clone()).map_err(|_| invalid("kubeconfig: not text".to_owned()))?;
        let file = read(&text, None, Allow::default()).map_err(|e| invalid(e.to_string()))?;
        let config = skerry_kit::kubeconfig::config(file).await.map_err(|e| invalid(e.to_string()))?;
        Ok((config, hex(&Sha256::digest(text.as_bytes()))))
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// The CA bundle of a client configuration as PEM.
fn ca_of(config: &Config) -> String {
    config
        .root_cert
        .iter()
        .flatten()
        .map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der.clone())))
        .collect()
}

fn unreachable(failed: kube::Error) -> ProviderError {
    match error::code(&failed) {
        Some(401 | 403) => ProviderError::NotReady {
            reason: reason::CREDENTIAL_REJECTED,
            message: format!("the cluster refuses the credential: {}", error::sentence(&failed)),
        },
        Some(_) => ProviderError::Api(failed),
        None => ProviderError::NotReady {
            reason: reason::PROBE_FAILED,
            message: format!("the cluster does not answer: {}", error::sentence(&failed)),
        },
    }
}

#[async_trait]
impl Provider for External {
    fn build(&self, tenant: &ValidatedTenant) -> Part {
        let external = &tenant.effective["controlPlane"]["external"]["kubeconfigSecretRef"];
        let text = |key: &str| external[key].as_str().unwrap_or_default().to_owned();
        Part::External { secret: text("name"), key: text("key") }
    }

    async fn apply(&self, tenant: &TenantRef, part: &Part) -> Result<Located, ProviderError> {
        self.locate(tenant, part).await
    }

    async fn locate(&self, tenant: &TenantRef, part: &Part) -> Result<Located, ProviderError> {
        let Part::External { secret, key } = part else {
            return Err(ProviderError::Refused("not a kubeconfig".to_owned()));
        };
        let (config, digest) = self.read(tenant, secret, key).await?;
        let (url, ca_bundle) = (config.cluster_url.to_string(), ca_of(&config));
        let server_name = config.tls_server_name.clone().unwrap_or_default();
        let client = Client::try_from(config)?;
        let version = client.apiserver_version().await.map_err(unreachable)?.git_version;
        Ok(Located {
            endpoint: ControlPlaneEndpoint {
                url: url.trim_end_matches('/').to_owned(),
                internal_url: String::new(),
                server_name,
                ca_bundle,
                version,
                network: NetworkFacts::default(),
                credential: EndpointCredential::SecretRef {
                    namespace: tenant.namespace.clone(),
                    name: secret.clone(),
                    key: key.clone(),
                },
                capabilities: Vec::new(),
                epoch: 0,
            },
            source: digest,
            client: Some(client),
        })
    }

    async fn mint(&self, _: &TenantRef, located: &Located, ttl: Duration) -> Result<Minted, ProviderError> {
        let client = located.client.clone().ok_or_else(|| ProviderError::Refused("no client".to_owned()))?;
        ensure_owner(&client).await.map_err(unreachable)?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client, labels::SYSTEM_NAMESPACE);
        let life = ttl.min(Duration::from_secs(86_400)).as_secs();
        let ask = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: i64::try_from(life).ok(),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer =
            accounts.create_token_request(OWNER, &PostParams::default(), &ask).await.map_err(unreachable)?;
        let status = answer.status.unwrap_or_default();
        match (status.token, status.expiration_timestamp) {
            (Some(token), Some(expires)) => Ok(Minted { user: User::Token(token), expires: expires.0 }),
            _ => Err(ProviderError::Refused("no token in the answer".to_owned())),
        }
    }

    /// The cluster stays; ServiceAccount and binding go (P24). A cluster that is gone itself holds nothing.
    async fn teardown(&self, tenant: &TenantRef) -> Result<u64, ProviderError> {
        let api: Api<Secret> = Api::namespaced(self.hub.clone(), &tenant.namespace);
        let published = super::secret::name(&tenant.name);
        let Some(secret) = api.get_opt(&published).await? else { return Ok(0) };
        let text = secret.data.unwrap_or_default().remove("kubeconfig").map(|b| b.0).unwrap_or_default();
        let Ok(file) = read(&String::from_utf8_lossy(&text), None, Allow::default()) else { return Ok(0) };
        let Ok(config) = skerry_kit::kubeconfig::config(file).await else { return Ok(0) };
        let client = Client::try_from(config)?;
        let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
        let accounts: Api<ServiceAccount> = Api::namespaced(client, labels::SYSTEM_NAMESPACE);
        let gone = DeleteParams::default();
        for result in
            [accounts.delete(OWNER, &gone).await.map(drop), bindings.delete(BINDING, &gone).await.map(drop)]
        {
            match result {
                Err(failed)
                    if !error::is_not_found(&failed) && error::code(&failed).is_some_and(|c| c >= 500) =>
                {
                    return Err(failed.into());
                }
                _ => {}
            }
        }
        Ok(0)
    }
}

/// Namespace, ServiceAccount and binding of the owner in an adopted cluster.
async fn ensure_owner(client: &Client) -> Result<(), kube::Error> {
    let spaces: Api<Namespace> = Api::all(client.clone());
    if spaces.get_opt(labels::SYSTEM_NAMESPACE).await?.is_none() {
        apply::apply(&spaces, MANAGER, &typed(json!({"metadata": {"name": labels::SYSTEM_NAMESPACE}}))?)
            .await?;
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), labels::SYSTEM_NAMESPACE);
    if accounts.get_opt(OWNER).await?.is_none() {
        let account = json!({"metadata": {"name": OWNER, "namespace": labels::SYSTEM_NAMESPACE}});
        apply::apply(&accounts, MANAGER, &typed(account)?).await?;
    }
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    if bindings.get_opt(BINDING).await?.is_none() {
        let binding = json!({
            "metadata": {"name": BINDING},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": OWNER, "namespace": labels::SYSTEM_NAMESPACE}]
        });
        apply::apply(&bindings, MANAGER, &typed(binding)?).await?;
    }
    Ok(())
}

fn typed<K: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<K, kube::Error> {
    serde_json::from_value(value).map_err(kube::Error::SerdeError)
}
