//! A virtual cluster becomes a member (inventory section 2): profile, report, identity inside it, one condition.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::Api;
use serde_json::{Map, Value, json};
use skerry_api::cluster_profile::{CONTROL_PLANE_HEALTHY, JOINED, healthy, joined};
use skerry_api::condition::{Statement, find, holds};
use skerry_api::virtual_cluster::reasons::{CONTROL_PLANE_READY, REGISTERED, managers, registered as reason};
use skerry_api::{ClusterProfile, ClusterReport, labels};
use skerry_kit::{apply, error};

use super::profile::{Facts, is_current};
use super::{names, properties};
use crate::context::Context;
use crate::control_plane::Published;
use crate::provision::ValidatedTenant;
use crate::subject::Subject;

/// What the pass left to do.
#[derive(Debug, Default)]
pub struct Registered {
    /// A later look that is needed, at the latest.
    pub again: Option<Duration>,
}

/// Registers, or keeps what is registered true. A profile appears when the control plane first answers (P4).
pub async fn reconcile(
    context: &Context,
    subject: &mut Subject,
    tenant: &ValidatedTenant,
    published: Option<&Published>,
) -> Result<Registered, kube::Error> {
    let known = subject.typed.inventory.as_ref().and_then(|i| i.cluster_profile.clone());
    let up = holds(subject.conditions(), CONTROL_PLANE_READY);
    if known.is_none() && !up {
        let wait =
            Statement::unknown(REGISTERED, reason::PENDING, "waits for the control plane's first answer");
        return say(context, subject, &wait, known.as_deref()).await;
    }
    let Some(published) = published else { return Ok(Registered::default()) };
    let settings = &context.settings.inventory;
    let asked = tenant.effective["inventory"]["clusterSet"].as_str().unwrap_or_default();
    let Some(set) = settings.set_of(&tenant.namespace, asked) else {
        let text = format!(
            "spec.inventory.clusterSet: {asked:?} does not list namespace {:?}; ask the platform, or leave it open",
            tenant.namespace
        );
        let no = Statement::no(REGISTERED, reason::CLUSTER_SET_NOT_ALLOWED, text);
        return say(context, subject, &no, known.as_deref()).await;
    };
    let api: Api<ClusterProfile> = Api::namespaced(context.hub.clone(), &settings.namespace);
    ensure_namespace(context, &settings.namespace).await?;
    let (name, stored) = match find_profile(context, &api, tenant, known.as_deref()).await {
        Ok(found) => found,
        Err(failed) => return refused(context, subject, failed, known.as_deref()).await,
    };
    if let Some(foreign) = stored.as_ref().filter(|p| p.spec.cluster_manager.name != settings.manager) {
        let text = format!(
            "clusterprofile {}/{name} is managed by {:?}",
            settings.namespace, foreign.spec.cluster_manager.name
        );
        let no = Statement::no(REGISTERED, reason::PROFILE_CONFLICT, text);
        say(context, subject, &no, known.as_deref()).await?;
        return Ok(Registered { again: Some(Duration::from_secs(60)) });
    }
    let mut facts = facts(context, tenant, published, &name, &set);
    let inside = match published.located.client.clone().filter(|_| published.up) {
        Some(client) => Some((properties::read(&client).await, client)),
        None => None,
    };
    let shown = inside.as_ref().and_then(|(all, _)| all.as_ref().ok());
    let copied = shown.map(|all| properties::own(all, Some(&settings.trusted_properties)));
    match &copied {
        Some(copied) => facts.own.clone_from(&copied.values),
        None => facts.keep_own(stored.as_ref()),
    }
    let statements = statements(subject);
    let mut again = match write_profile(context, &api, &facts, stored.as_ref(), &statements).await {
        Ok(again) => again,
        Err(failed) => return refused(context, subject, failed, known.as_deref()).await,
    };
    if let Err(failed) =
        super::collect::virtual_report(context, subject, tenant, &facts, published, copied.as_ref()).await
    {
        return refused(context, subject, failed, known.as_deref()).await;
    }
    if let Some((all, client)) = inside {
        let paired = match all {
            Ok(all) => properties::mend_pair(&client, &all, &tenant.id, Some(&set)).await,
            Err(failed) => Err(failed),
        };
        if let Err(failed) = paired {
            tracing::warn!(tenant = %tenant.id, error = %error::sentence(&failed), "identity inside the member is not written");
            again = Some(Duration::from_secs(30));
        }
    }
    let yes = Statement::yes(
        REGISTERED,
        reason::PUBLISHED,
        format!("clusterprofile {}/{name}", settings.namespace),
    );
    say(context, subject, &yes, Some(&name)).await?;
    Ok(Registered { again })
}

/// The profile's name, kept once chosen (P2), and what is stored under it.
async fn find_profile(
    context: &Context,
    api: &Api<ClusterProfile>,
    tenant: &ValidatedTenant,
    known: Option<&str>,
) -> Result<(String, Option<ClusterProfile>), kube::Error> {
    let settings = &context.settings.inventory;
    let ours = |p: &ClusterProfile| {
        let id = p.metadata.labels.as_ref().and_then(|l| l.get(labels::INVENTORY_MEMBER_ID));
        p.spec.cluster_manager.name != settings.manager || id.is_none_or(|id| *id == tenant.id)
    };
    let first = match known {
        Some(name) => name.to_owned(),
        None => names::virtual_name(&settings.manager, &tenant.namespace, &tenant.name, false),
    };
    let stored = api.get_opt(&first).await?;
    if known.is_some() || stored.as_ref().is_none_or(ours) {
        return Ok((first, stored));
    }
    let longer = names::virtual_name(&settings.manager, &tenant.namespace, &tenant.name, true);
    let stored = api.get_opt(&longer).await?;
    Ok((longer, stored))
}

/// What the profile of a virtual cluster says.
fn facts(context: &Context, tenant: &ValidatedTenant, published: &Published, name: &str, set: &str) -> Facts {
    let text = |v: &Value| -> BTreeMap<String, String> {
        v.as_object()
            .into_iter()
            .flatten()
            .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
            .collect()
    };
    let mut own = text(&tenant.effective["inventory"]["labels"]);
    own.insert(labels::OWNER_NAMESPACE.to_owned(), tenant.namespace.clone());
    own.insert(labels::CLASS.to_owned(), tenant.class.name.clone().unwrap_or_default());
    if let [host] = tenant.hosts.as_slice() {
        own.insert(labels::HOST.to_owned(), host.name.clone());
    }
    if context.is_simulated(&tenant.hosts) {
        own.insert(labels::SIMULATED.to_owned(), "true".to_owned());
    }
    let mut more = text(&tenant.effective["inventory"]["properties"]);
    for (resource, property) in [
        ("requests.cpu", "skerry.dev/quota-cpu"),
        ("requests.memory", "skerry.dev/quota-memory"),
        ("pods", "skerry.dev/quota-pods"),
    ] {
        let value = &tenant.effective["quota"][resource];
        if !value.is_null() {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            more.insert(property.to_owned(), shown);
        }
    }
    let endpoint = &published.located.endpoint;
    let server = with_port(&endpoint.url);
    Facts {
        name: name.to_owned(),
        namespace: context.settings.inventory.namespace.clone(),
        manager: context.settings.inventory.manager.clone(),
        id: tenant.id.clone(),
        display_name: format!("{}/{}", tenant.namespace, tenant.name),
        set: Some(set.to_owned()),
        member_kind: "virtual",
        labels: own,
        properties: more,
        own: BTreeMap::new(),
        version: endpoint.version.clone(),
        server,
        ca_bundle: endpoint.ca_bundle.clone(),
    }
}

/// A URL with its port written out, as consumers compare it.
fn with_port(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(parsed) if parsed.port().is_none() => {
            let host = parsed.host_str().unwrap_or_default();
            let path = parsed.path().trim_end_matches('/');
            format!("{}://{host}:{}{path}", parsed.scheme(), parsed.port_or_known_default().unwrap_or(443))
        }
        _ => url.to_owned(),
    }
}

/// Joined and ControlPlaneHealthy of a virtual member (V5, V6, V9).
fn statements(subject: &Subject) -> [Statement; 2] {
    let joined = Statement::yes(JOINED, joined::JOINED, "registered");
    let healthy = match find(subject.conditions(), CONTROL_PLANE_READY) {
        Some(c) if c.status == "True" => {
            Statement::yes(CONTROL_PLANE_HEALTHY, healthy::HEALTHY, "readyz answered")
        }
        Some(c) if c.status == "False" => {
            Statement::no(CONTROL_PLANE_HEALTHY, healthy::API_SERVER_UNHEALTHY, "readyz does not answer")
        }
        _ => Statement::unknown(CONTROL_PLANE_HEALTHY, healthy::NO_OBSERVATION, "never observed"),
    };
    [joined, healthy]
}

/// Writes what differs, at the rate that readers bear (P6, P7, P12). Answers when to come back.
pub async fn write_profile(
    context: &Context,
    api: &Api<ClusterProfile>,
    facts: &Facts,
    stored: Option<&ClusterProfile>,
    statements: &[Statement],
) -> Result<Option<Duration>, kube::Error> {
    let now = Timestamp::now();
    let body_current = stored.is_some_and(|p| is_current(p, facts));
    let status = facts.status(stored, statements, now);
    let stored_status = stored.and_then(|p| p.status.as_ref()).map(|s| json!(s)).unwrap_or_default();
    let status_current = same_status(&stored_status, &status);
    if body_current && status_current {
        return Ok(None);
    }
    if stored.is_some()
        && let Err(wait) = context.inventory.token(&facts.id, true)
    {
        return Ok(Some(wait));
    }
    if stored.is_none() {
        let _ = context.inventory.token(&facts.id, false);
    }
    if !body_current {
        let object: ClusterProfile =
            serde_json::from_value(facts.object()).map_err(kube::Error::SerdeError)?;
        apply::apply(api, managers::INVENTORY, &object).await?;
        context.metrics.profile_writes.inc();
    }
    if !status_current {
        apply::apply_status(api, managers::INVENTORY, &facts.name, status).await?;
        context.metrics.profile_writes.inc();
    }
    Ok(None)
}

/// Compares the fields that we write.
fn same_status(stored: &Value, wanted: &Value) -> bool {
    let conditions = apply::covers(&json!({"c": stored["conditions"]}), &json!({"c": wanted["conditions"]}));
    conditions
        && stored["properties"] == wanted["properties"]
        && stored["accessProviders"] == wanted["accessProviders"]
        && stored["version"] == wanted["version"]
}

async fn ensure_namespace(context: &Context, name: &str) -> Result<(), kube::Error> {
    let api: Api<Namespace> = Api::all(context.hub.clone());
    if api.get_metadata_opt(name).await?.is_some() {
        return Ok(());
    }
    let body: Namespace =
        serde_json::from_value(json!({"metadata": {"name": name}})).map_err(kube::Error::SerdeError)?;
    apply::apply(&api, managers::INVENTORY, &body).await.map(drop)
}

async fn refused(
    context: &Context,
    subject: &mut Subject,
    failed: kube::Error,
    known: Option<&str>,
) -> Result<Registered, kube::Error> {
    let (why, text) = match error::code(&failed) {
        Some(404) => (
            reason::KIND_MISSING,
            format!("the hub serves no ClusterProfile or ClusterReport: {}", error::sentence(&failed)),
        ),
        Some(403) => (reason::INVENTORY_FORBIDDEN, error::sentence(&failed)),
        _ => return Err(failed),
    };
    say(context, subject, &Statement::no(REGISTERED, why, text), known).await?;
    Ok(Registered { again: Some(Duration::from_secs(60)) })
}

async fn say(
    context: &Context,
    subject: &mut Subject,
    statement: &Statement,
    profile: Option<&str>,
) -> Result<Registered, kube::Error> {
    let mut fields = Map::new();
    if let Some(name) = profile {
        let entry = json!({"clusterProfile": name, "namespace": context.settings.inventory.namespace});
        fields.insert("inventory".to_owned(), entry);
    }
    subject
        .write(&context.hub, managers::INVENTORY, Some(statement), fields, &Time(Timestamp::now()))
        .await?;
    Ok(Registered::default())
}

/// The Report of a member.
pub fn reports(context: &Context) -> Api<ClusterReport> {
    Api::namespaced(context.hub.clone(), &context.settings.inventory.namespace)
}
