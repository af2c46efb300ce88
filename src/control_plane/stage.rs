//! The stage: publishes the credential, probes with it, writes ControlPlaneReady and what belongs to it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use skerry_api::condition::Statement;
use skerry_api::rules::parse_duration;
use skerry_api::virtual_cluster::ProviderType;
use skerry_api::virtual_cluster::reasons::{CONTROL_PLANE_READY, control_plane as reason, managers};
use skerry_kit::{apply, error};

use super::probe::Verdict;
use super::secret::{self, Held};
use super::{Located, Provider, ProviderError, TenantRef};
use crate::context::Context;
use crate::provision::ValidatedTenant;
use crate::subject::Subject;

/// Between full probes of a tenant of a shared server.
const SHARED_PERIOD: Duration = Duration::from_secs(600);
/// Between probes of all others, and after a failure.
const PERIOD: Duration = Duration::from_secs(10);

/// What the stage leaves for those after it.
#[derive(Clone, Debug)]
pub struct Published {
    /// Where the control plane answers.
    pub located: Located,
    /// Whether the probe succeeded at the current epoch.
    pub up: bool,
    /// When to look again.
    pub again: Duration,
}

/// Publishes, probes, writes status. `located` is what the provider answered.
pub async fn reconcile(
    context: &Context,
    subject: &mut Subject,
    tenant: &ValidatedTenant,
    provider: &dyn Provider,
    located: Result<Located, ProviderError>,
) -> Result<Option<Published>, ProviderError> {
    let now = Timestamp::now();
    let reference = TenantRef::from(tenant);
    let made = match located {
        Ok(located) => match publish(context, &reference, tenant, provider, &located, now).await {
            Ok(secret) => Ok((located, secret)),
            Err(failed) => Err(failed),
        },
        Err(failed) => Err(failed),
    };
    let (mut located, (stored, held)) = match made {
        Ok(made) => made,
        Err(ProviderError::NotReady { reason, message }) => {
            let no = Statement::no(CONTROL_PLANE_READY, reason, message);
            write(context, subject, &no, keep(subject), now).await?;
            return Ok(None);
        }
        Err(failed) => return Err(failed),
    };
    let text = secret::text(&stored);
    let digest = hex(&Sha256::digest(text.as_bytes()));
    let shared = tenant.plan.kind == ProviderType::Embedded;
    let period = if shared { SHARED_PERIOD } else { PERIOD };
    let verdict = context.prober.probe(&tenant.id, &text, &digest, period).await;
    located.endpoint.epoch = epoch(subject, &located);
    located.endpoint.capabilities.clone_from(&tenant.plan.capabilities);
    let was_up = skerry_api::condition::holds(subject.conditions(), CONTROL_PLANE_READY);
    let (statement, up) = judge(verdict, was_up, &mut located, subject);
    let mut fields = fields(tenant, &located, &held, up, subject);
    if !up && located.endpoint.version.is_empty() {
        fields["controlPlane"]["version"] = subject.status["controlPlane"]["version"].clone();
        drop_null(&mut fields["controlPlane"]);
    }
    write(context, subject, &statement, fields, now).await?;
    let again = if up { period.min(secret::due_in(&held, now)) } else { PERIOD };
    Ok(Some(Published { located, up, again }))
}

fn judge(verdict: Verdict, was_up: bool, located: &mut Located, subject: &Subject) -> (Statement, bool) {
    match verdict {
        Verdict::Up { version } => {
            located.endpoint.version.clone_from(&version);
            (
                Statement::yes(
                    CONTROL_PLANE_READY,
                    reason::ANSWERING,
                    format!("{version} answers at {}", located.endpoint.url),
                ),
                true,
            )
        }
        Verdict::Wavering => {
            let before = skerry_api::condition::find(subject.conditions(), CONTROL_PLANE_READY);
            let message = before.map_or_else(|| "first probe is under way".to_owned(), |c| c.message.clone());
            if was_up {
                (Statement::yes(CONTROL_PLANE_READY, reason::ANSWERING, message), true)
            } else {
                (Statement::no(CONTROL_PLANE_READY, reason::STARTING, message), false)
            }
        }
        Verdict::Down { rejected, message } => {
            let why = match (rejected, was_up) {
                (true, _) => reason::CREDENTIAL_REJECTED,
                (false, true) => reason::PROBE_FAILED,
                (false, false) => {
                    match skerry_api::condition::find(subject.conditions(), CONTROL_PLANE_READY) {
                        Some(c) if c.reason == reason::PROBE_FAILED => reason::PROBE_FAILED,
                        _ => reason::STARTING,
                    }
                }
            };
            let text =
                format!("GET {}/readyz with the published kubeconfig: {message}", located.endpoint.url);
            (Statement::no(CONTROL_PLANE_READY, why, text), false)
        }
    }
}

/// Status fields as they are: a provider that cannot answer changes none of them.
fn keep(subject: &Subject) -> Map<String, Value> {
    ["controlPlane", "endpoint", "credentials"]
        .into_iter()
        .filter_map(|key| subject.status.get(key).map(|v| (key.to_owned(), v.clone())))
        .collect()
}

async fn write(
    context: &Context,
    subject: &mut Subject,
    statement: &Statement,
    fields: Map<String, Value>,
    now: Timestamp,
) -> Result<(), kube::Error> {
    subject.write(&context.hub, managers::CONTROL_PLANE, Some(statement), fields, &Time(now)).await.map(drop)
}

/// Makes the Secret true: kept while it is good, re-made when it is due or was edited, rewritten when addresses change.
async fn publish(
    context: &Context,
    reference: &TenantRef,
    tenant: &ValidatedTenant,
    provider: &dyn Provider,
    located: &Located,
    now: Timestamp,
) -> Result<(Secret, Held), ProviderError> {
    let api: Api<Secret> = Api::namespaced(context.hub.clone(), &tenant.namespace);
    let name = secret::name(&tenant.name);
    let stored = api.get_opt(&name).await?;
    if let Some(foreign) = stored.as_ref().filter(|s| !secret::is_ours(s, reference)) {
        let kind = foreign.type_.as_deref().unwrap_or("Opaque");
        return Err(ProviderError::NameConflict(format!(
            "Secret {}/{name} of type {kind} belongs to somebody else; rename or delete it",
            tenant.namespace
        )));
    }
    let known = stored.as_ref().and_then(secret::held).filter(|h| !secret::is_due(h, now));
    let held = match known {
        Some(held) if stored.as_ref().is_some_and(is_consistent) => held,
        _ => {
            let ttl = tenant.effective["access"]["credentialTTL"].as_str().and_then(parse_duration);
            let ttl =
                Duration::from_nanos(ttl.and_then(|n| u64::try_from(n).ok()).unwrap_or(604_800_000_000_000));
            let credential = provider.mint(reference, located, ttl).await?;
            Held { credential, issued: now }
        }
    };
    let wanted = secret::wanted(reference, located, &held);
    if let Some(stored) = stored.filter(|s| secret::matches(s, &wanted)) {
        return Ok((stored, held));
    }
    let applied = match apply::apply(&api, managers::PROVISION, &wanted).await {
        Err(failed) if error::is_invalid(&failed) => {
            // The type of a Secret cannot be changed in place.
            api.delete(&name, &kube::api::DeleteParams::default()).await?;
            apply::apply(&api, managers::PROVISION, &wanted).await?
        }
        other => other?,
    };
    Ok((applied, held))
}

/// An edited Secret is not trusted with its credential: all three copies must agree with the parts.
fn is_consistent(stored: &Secret) -> bool {
    let Some(data) = &stored.data else { return false };
    data.get("value") == data.get("kubeconfig") && data.get("value") == data.get("config")
}

/// Rises when holders of a client must rebuild it.
fn epoch(subject: &Subject, located: &Located) -> i64 {
    let before = subject.status["controlPlane"]["epoch"].as_i64().unwrap_or(0);
    let same_url = subject.status["endpoint"]["url"].as_str() == Some(located.endpoint.url.as_str());
    let sum = fingerprint(located);
    let same_trust = subject.status["credentials"]["caSHA256"].as_str() == Some(sum.as_str());
    if before > 0 && same_url && same_trust { before } else { before + 1 }
}

/// Digest of the CA bundle and of the source that the provider read.
fn fingerprint(located: &Located) -> String {
    let mut hash = Sha256::new();
    hash.update(located.endpoint.ca_bundle.as_bytes());
    hash.update(located.source.as_bytes());
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn fields(
    tenant: &ValidatedTenant,
    located: &Located,
    held: &Held,
    up: bool,
    subject: &Subject,
) -> Map<String, Value> {
    let endpoint = &located.endpoint;
    let before = subject.status["credentials"]["generation"].as_i64().unwrap_or(0);
    let expires = held.credential.expires.to_string();
    let same = subject.status["credentials"]["expires"].as_str() == Some(expires.as_str());
    let mut control_plane = json!({
        "version": endpoint.version,
        "readyReplicas": i32::from(up),
        "epoch": endpoint.epoch,
        "capabilities": endpoint.capabilities.iter().map(|c| c.as_str()).collect::<Vec<_>>(),
    });
    if !tenant.plan.store.is_empty() {
        control_plane["store"] = tenant.plan.store.as_str().into();
        control_plane["shard"] = 0.into();
    }
    let mut credentials = json!({
        "kubeconfigSecret": secret::name(&tenant.name),
        "generation": if same { before } else { before + 1 },
        "expires": expires,
        "caSHA256": fingerprint(located),
    });
    if let Some(end) = ca_end(&endpoint.ca_bundle) {
        credentials["caExpires"] = end.into();
    }
    let endpoint = json!({"url": endpoint.url, "serverName": endpoint.server_name, "internalURL": endpoint.internal_url});
    [("controlPlane", control_plane), ("endpoint", endpoint), ("credentials", credentials)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn drop_null(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, v| !v.is_null());
    }
}

/// End of the first certificate of a PEM bundle, RFC 3339.
fn ca_end(bundle: &str) -> Option<String> {
    let block = pem::parse(bundle).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(block.contents()).ok()?;
    Some(Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?.to_string())
}
