//! A client per member: in process for embedded ones, by the push Secret for real ones.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use serde_json::Value;
use skerry_kit::kubeconfig::{Allow, config, read};

use crate::placement::raw::{self, text};
use crate::placement::{Site, World};

/// A member that can be written to.
#[derive(Clone)]
pub struct Member {
    /// Its client.
    pub client: Client,
    /// Namespace that owns it, for virtual ones.
    pub owner: String,
    /// Its id.
    pub id: String,
    /// What the client was made from; another one is another way to the member.
    pub version: String,
}

/// Clients kept by member and version of what they were made from.
#[derive(Default)]
pub struct Clients(BTreeMap<String, (String, Client)>);

impl Clients {
    /// The member of a binding, or why it cannot be reached.
    pub async fn of(&mut self, site: &Site<'_>, world: &World, binding: &Value) -> Result<Member, String> {
        let member = &binding["spec"]["member"];
        let (id, name) = (text(member, &["id"]), text(member, &["name"]));
        let profile = world.profiles.iter().find(|p| text(p, &["metadata", "name"]) == name);
        let label = |key: &str| profile.map_or("", |p| text(p, &["metadata", "labels", key])).to_owned();
        let owner = label(skerry_api::labels::OWNER_NAMESPACE);
        if label(skerry_api::labels::MEMBER_KIND) == "virtual" {
            let client = (site.members)(id);
            return client
                .map(|client| Member { client, owner, id: id.to_owned(), version: String::new() })
                .ok_or_else(|| format!("virtual member {name} cannot be reached yet"));
        }
        let report = world.reports.get(name).ok_or_else(|| format!("{name} has no ClusterReport"))?;
        let (version, client) = self.real(site, world, name, report).await?;
        Ok(Member { client, owner, id: id.to_owned(), version })
    }

    async fn real(
        &mut self,
        site: &Site<'_>,
        world: &World,
        name: &str,
        report: &Value,
    ) -> Result<(String, Client), String> {
        let push = &report["spec"]["push"];
        let secret = text(push, &["secretRef", "name"]);
        let path = format!("/api/v1/namespaces/{}/secrets/{secret}", world.inventory);
        let found = raw::get(&site.hub, &path).await.map_err(|e| skerry_kit::error::sentence(&e))?;
        let found = found.ok_or_else(|| format!("Secret {secret} is not there"))?;
        let version = text(&found, &["metadata", "resourceVersion"]).to_owned();
        if let Some((known, client)) = self.0.get(name)
            && *known == version
        {
            return Ok((version, client.clone()));
        }
        let key = match text(push, &["secretRef", "key"]) {
            "" => "kubeconfig",
            key => key,
        };
        let bytes = STANDARD
            .decode(text(&found, &["data", key]))
            .map_err(|_| format!("Secret {secret}: key {key}"))?;
        let context_name = Some(text(push, &["context"])).filter(|c| !c.is_empty());
        let file = read(&String::from_utf8_lossy(&bytes), context_name, Allow::default())
            .map_err(|e| e.to_string())?;
        let settings = config(file).await.map_err(|e| e.to_string())?;
        let client = Client::try_from(settings).map_err(|e| skerry_kit::error::sentence(&e))?;
        self.0.insert(name.to_owned(), (version.clone(), client.clone()));
        Ok((version, client))
    }
}
