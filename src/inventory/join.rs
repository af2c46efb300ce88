//! A real cluster becomes a member by push (inventory section 3): checked, probed, given rights, stored with a minted
//! token; never the kubeconfig that was handed in. Repeating it continues where it stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, ListParams};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};
use skerry_api::cluster_profile::{JOINED, joined};
use skerry_api::condition::Statement;
use skerry_api::rights::{ACCOUNT, HOST_ACCOUNT, Rights};
use skerry_api::virtual_cluster::reasons::managers;
use skerry_api::{ClusterProfile, ClusterReport, labels};
use skerry_kit::kubeconfig::{Entry, KubeconfigError, User};
use skerry_kit::{apply, error};

use super::front_door;
use super::health::statement;
use super::names::{is_member_name, real_name};
use super::profile::Facts;
use super::rights::{grant, guard, mint};
use super::{InventorySettings, properties};

/// Type of the stored credential.
pub(super) const SECRET_TYPE: &str = "skerry.dev/push-credential";
/// Key of the credential by which a member is seen and delivered to.
pub(super) const MEMBER_KEY: &str = "kubeconfig";
/// Key of the one by which a host carries tenants.
pub const HOST_KEY: &str = "host";
/// Annotation with the time of issue.
pub(super) const ISSUED: &str = "skerry.dev/issued";

/// A join.
#[derive(Clone, Debug, Default)]
pub struct Join {
    /// Name of the member.
    pub name: String,
    /// Rights.
    pub rights: Rights,
    /// Set.
    pub cluster_set: Option<String>,
    /// Labels of the profile.
    pub labels: BTreeMap<String, String>,
    /// Carries tenants.
    pub host: bool,
    /// Its nodes are simulated.
    pub simulated: bool,
    /// Where pods of a host dial the API that tenants share.
    pub front_door: Option<SocketAddr>,
    /// ServiceAccount and rights are there already, from the chart.
    pub granted: bool,
}

/// What [`push`] joins: the member's configuration, and for one that keeps its identity to the system a client that
/// may write it.
pub struct Candidate {
    /// Checked configuration.
    pub config: Config,
    /// Writes the identity inside the member; absent: the configuration does.
    pub system: Option<Client>,
}

/// Why a join failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The kubeconfig is not taken.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// The name is not one.
    #[error("NAME: {0:?} is not a DNS label of at most 25 characters")]
    Name(String),
    /// The cluster does not answer, or refuses.
    #[error("{step}: {message}")]
    Member {
        /// Step.
        step: &'static str,
        /// What it said.
        message: String,
    },
    /// Another member has this id.
    #[error("MemberIdTaken: this cluster is already member {0}")]
    IdTaken(String),
    /// The member of this name has another id.
    #[error(
        "MemberIdMismatch: member {name} has id {known}, this cluster has {found}; choose another name, or let the old one leave"
    )]
    IdMismatch {
        /// Member.
        name: String,
        /// Its id.
        known: String,
        /// The id found.
        found: String,
    },
    /// The member of this name is on its way out.
    #[error("Draining: member {0} is leaving; let it go first, `skerry fleet leave {0}`")]
    Draining(String),
    /// A member of this name is managed by somebody else.
    #[error("clusterprofile {0} is managed by {1:?}")]
    Foreign(String, String),
    /// The hub failed.
    #[error("hub: {}", error::sentence(.0))]
    Hub(#[from] kube::Error),
}

impl JoinError {
    /// Refused as it stands; otherwise it failed and may be tried again.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Member { .. } | Self::Hub(_))
    }
}

fn at(step: &'static str) -> impl Fn(kube::Error) -> JoinError {
    move |failed| JoinError::Member { step, message: error::sentence(&failed) }
}

/// Joins; answers the name of the member's profile.
pub async fn push(
    hub: &Client,
    settings: &InventorySettings,
    join: &Join,
    candidate: Candidate,
) -> Result<String, JoinError> {
    let Candidate { config, system } = candidate;
    if !is_member_name(&join.name) {
        return Err(JoinError::Name(join.name.clone()));
    }
    let address = Address::of(&config);
    let member = Client::try_from(config.clone()).map_err(at("client"))?;
    let version = probe(&member).await?;
    let id = member_id(&member).await?;
    let profile = real_name(&settings.manager, &join.name);
    refuse_duplicates(hub, settings, &profile, &id).await?;
    if !join.granted {
        let owner = grant(&member, join.rights, join.host).await.map_err(at("rights"))?;
        if join.host && !join.simulated {
            front_door::ensure(&member, join.front_door, Some(&owner)).await.map_err(at("front door"))?;
            guard(&member, &owner).await.map_err(at("guard"))?;
        }
    }
    let doors =
        if join.host { front_door::find(&member).await.map_err(at("front door"))? } else { Vec::new() };
    let token = mint(&member, ACCOUNT).await.map_err(at("token"))?;
    let mut tokens = vec![(MEMBER_KEY, token.clone())];
    if join.host {
        tokens.push((HOST_KEY, mint(&member, HOST_ACCOUNT).await.map_err(at("token"))?));
    }
    ensure_namespace(hub, &settings.namespace).await?;
    store_credential(hub, settings, join, &address, &tokens).await?;
    store_member(hub, settings, join, &profile, &id, &version, &address, &doors).await?;
    if join.rights != Rights::Observe {
        let writer = match system {
            Some(system) => system,
            // The caller's own rights may not reach so far; those of the account do.
            None if join.granted => Client::try_from(with_token(config, token)).map_err(at("client"))?,
            None => member,
        };
        match properties::ensure_pair(&writer, &id, join.cluster_set.as_deref()).await {
            Err(failed) if error::is_not_found(&failed) => install_properties(&writer, &id, join).await?,
            Err(failed) => return Err(at("properties")(failed)),
            Ok(_) => {}
        }
    }
    Ok(profile)
}

/// The same server with another credential.
fn with_token(mut config: Config, token: String) -> Config {
    config.auth_info = kube::config::AuthInfo { token: Some(token.into()), ..Default::default() };
    config
}

/// Where a member answers.
struct Address {
    server: String,
    server_name: String,
    ca: String,
}

impl Address {
    fn of(config: &Config) -> Self {
        let ca = config.root_cert.iter().flatten();
        Self {
            server: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
            server_name: config.tls_server_name.clone().unwrap_or_default(),
            ca: ca.map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der.clone()))).collect(),
        }
    }
}

async fn probe(member: &Client) -> Result<String, JoinError> {
    let ready = http::Request::get("/readyz").body(Vec::new());
    let ready = ready.map_err(|e| JoinError::Member { step: "probe", message: e.to_string() })?;
    member.request_text(ready).await.map_err(at("GET /readyz"))?;
    Ok(member.apiserver_version().await.map_err(at("GET /version"))?.git_version)
}

/// The identity that the cluster has, or that of its kube-system namespace (P3).
async fn member_id(member: &Client) -> Result<String, JoinError> {
    if let Some(id) = properties::existing_id(member).await.map_err(at("identity"))? {
        return Ok(id);
    }
    let api: Api<Namespace> = Api::all(member.clone());
    let system = api.get("kube-system").await.map_err(at("identity"))?;
    Ok(system.uid().unwrap_or_default())
}

async fn refuse_duplicates(
    hub: &Client,
    settings: &InventorySettings,
    profile: &str,
    id: &str,
) -> Result<(), JoinError> {
    let api: Api<ClusterProfile> = Api::namespaced(hub.clone(), &settings.namespace);
    if let Some(stored) = api.get_opt(profile).await? {
        if stored.spec.cluster_manager.name != settings.manager {
            return Err(JoinError::Foreign(profile.to_owned(), stored.spec.cluster_manager.name));
        }
        let known = stored.labels().get(labels::INVENTORY_MEMBER_ID).cloned().unwrap_or_default();
        if known != id {
            return Err(JoinError::IdMismatch { name: profile.to_owned(), known, found: id.to_owned() });
        }
    }
    let reports: Api<ClusterReport> = Api::namespaced(hub.clone(), &settings.namespace);
    let report = error::optional(reports.get(profile).await)?;
    if report.is_some_and(|r| r.leave().is_some()) {
        return Err(JoinError::Draining(profile.to_owned()));
    }
    let same = ListParams::default().labels(&format!("{}={id}", labels::INVENTORY_MEMBER_ID));
    let others = api.list(&same).await?;
    match others.iter().find(|o| o.name_any() != profile) {
        Some(other) => Err(JoinError::IdTaken(other.name_any())),
        None => Ok(()),
    }
}

pub(super) async fn ensure_namespace(client: &Client, name: &str) -> Result<(), kube::Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    if api.get_metadata_opt(name).await?.is_none() {
        apply::apply(&api, managers::INVENTORY, &typed(json!({"metadata": {"name": name}}))?).await?;
    }
    Ok(())
}

/// Name of the stored credential.
pub fn secret_name(member: &str) -> String {
    format!("skerry-push-{member}")
}

async fn store_credential(
    hub: &Client,
    settings: &InventorySettings,
    join: &Join,
    address: &Address,
    tokens: &[(&str, String)],
) -> Result<(), kube::Error> {
    let file = |token: &str| {
        let entry = Entry {
            name: &join.name,
            server: &address.server,
            server_name: &address.server_name,
            ca: &address.ca,
            user: User::Token(token.to_owned()),
            namespace: None,
        };
        serde_yaml_ng::to_string(&entry.file()).unwrap_or_default()
    };
    let files: BTreeMap<&str, String> = tokens.iter().map(|(key, token)| (*key, file(token))).collect();
    let secret = json!({
        "metadata": {
            "name": secret_name(&join.name), "namespace": settings.namespace,
            "annotations": {ISSUED: jiff::Timestamp::now().to_string()},
        },
        "type": SECRET_TYPE,
        "stringData": files,
    });
    let api: Api<Secret> = Api::namespaced(hub.clone(), &settings.namespace);
    apply::apply(&api, managers::INVENTORY, &typed(secret)?).await.map(drop)
}

#[allow(clippy::too_many_arguments, reason = "called once, with all that a join has found")]
async fn store_member(
    hub: &Client,
    settings: &InventorySettings,
    join: &Join,
    profile: &str,
    id: &str,
    version: &str,
    address: &Address,
    doors: &[SocketAddr],
) -> Result<(), kube::Error> {
    let reports: Api<ClusterReport> = Api::namespaced(hub.clone(), &settings.namespace);
    let mut spec = json!({
        "mode": "Push",
        "displayName": join.name,
        "push": {"secretRef": {"name": secret_name(&join.name), "key": MEMBER_KEY}},
    });
    if let Some(set) = &join.cluster_set {
        spec["clusterSet"] = set.as_str().into();
    }
    if !join.labels.is_empty() {
        spec["labels"] = json!(join.labels);
    }
    let mut report = json!({"metadata": {"name": profile, "namespace": settings.namespace}, "spec": spec});
    if !doors.is_empty() {
        report["metadata"]["annotations"] = json!({labels::FRONT_DOOR: front_door::written(doors)});
    }
    apply::apply(&reports, managers::CLI, &typed(report)?).await?;
    let status = json!({"memberID": id, "verdict": "Healthy", "kubernetesVersion": version, "profileManager": settings.manager});
    apply::apply_status(&reports, managers::INVENTORY, profile, status).await?;

    let mut own = join.labels.clone();
    if join.host {
        own.insert(labels::ROLE.to_owned(), "host".to_owned());
    }
    if join.simulated {
        own.insert(labels::SIMULATED.to_owned(), "true".to_owned());
    }
    let facts = Facts {
        name: profile.to_owned(),
        namespace: settings.namespace.clone(),
        manager: settings.manager.clone(),
        id: id.to_owned(),
        display_name: join.name.clone(),
        set: join.cluster_set.clone(),
        member_kind: "real",
        labels: own,
        properties: BTreeMap::new(),
        own: BTreeMap::new(),
        version: version.to_owned(),
        server: address.server.clone(),
        ca_bundle: address.ca.clone(),
    };
    let profiles: Api<ClusterProfile> = Api::namespaced(hub.clone(), &settings.namespace);
    let stored = profiles.get_opt(profile).await?;
    apply::apply(&profiles, managers::INVENTORY, &typed(facts.object())?).await?;
    let says = [
        Statement::yes(JOINED, joined::JOINED, "registered"),
        statement(skerry_api::cluster_report::Verdict::Healthy),
    ];
    let status = facts.status(stored.as_ref(), &says, jiff::Timestamp::now());
    apply::apply_status(&profiles, managers::INVENTORY, profile, status).await?;
    Ok(())
}

/// The kind is not served there: install it, then write the pair.
async fn install_properties(member: &Client, id: &str, join: &Join) -> Result<(), JoinError> {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let api: Api<CustomResourceDefinition> = Api::all(member.clone());
    let crd: CustomResourceDefinition = typed(skerry_api::crds::cluster_property())?;
    apply::apply(&api, managers::INVENTORY, &crd).await.map_err(at("properties"))?;
    for _ in 0..50 {
        match properties::ensure_pair(member, id, join.cluster_set.as_deref()).await {
            Err(failed) if error::is_not_found(&failed) => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await
            }
            Err(failed) => return Err(at("properties")(failed)),
            Ok(_) => return Ok(()),
        }
    }
    Err(JoinError::Member { step: "properties", message: "the new kind is not served in time".to_owned() })
}

pub(super) fn typed<K: serde::de::DeserializeOwned>(value: Value) -> Result<K, kube::Error> {
    serde_json::from_value(value).map_err(kube::Error::SerdeError)
}
