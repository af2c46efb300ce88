//! A real member leaves: `status.leave` of its Report asks for it, and this goes on from the step that is on record
//! (inventory section 12, L1–L3). Pull members' Works, exported services and consumers' objects have steps of their own
//! once there are any.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use skerry_api::cluster_report::{ClusterReport, Leave, LeaveStep};
use skerry_api::rights::MEMBER_ROLE;
use skerry_api::{ClusterProfile, Time, labels};
use skerry_kit::error;

use super::{abandoned, bindings_of, cordon, gone, record, remove_entry, remove_report, users};
use crate::inventory::InventorySettings;
use crate::inventory::join::SECRET_TYPE;

/// Limit of one request to a member.
const LIMIT: Duration = Duration::from_secs(5);

/// Steps that have something to do today, in their order.
const STEPS: [LeaveStep; 5] =
    [LeaveStep::Cordon, LeaveStep::Evict, LeaveStep::Access, LeaveStep::Profile, LeaveStep::Report];

/// How far a pass came.
#[derive(Debug, PartialEq, Eq)]
pub enum Pass {
    /// Nothing of the member is left.
    Gone,
    /// Something is waited for, past the deadline or not.
    Waits {
        /// Past the deadline.
        is_stuck: bool,
    },
}

/// What a pass needs.
pub struct Leaving<'a> {
    /// Client of the hub.
    pub hub: &'a Client,
    /// Of the installation.
    pub settings: &'a InventorySettings,
    /// The member, or why it cannot be reached.
    pub member: Result<Client, String>,
}

impl Leaving<'_> {
    /// Goes on from the step on record until one has to wait. Each step may be begun again at any point of it.
    pub async fn pass(&self, report: &ClusterReport) -> Result<Pass, kube::Error> {
        let name = report.name_any();
        let leave = report.leave().cloned().unwrap_or_default();
        let first = leave.step.unwrap_or(LeaveStep::Cordon);
        let mut at = first;
        let reports: Api<ClusterReport> = Api::namespaced(self.hub.clone(), &self.settings.namespace);
        for step in STEPS.into_iter().filter(|s| *s >= first) {
            if step != at {
                record(&reports, &name, json!({"step": step, "blockedOn": null, "stuckOn": null})).await?;
                at = step;
            }
            let Some(what) = self.step(step, report, &leave).await? else { continue };
            let what: String = what.chars().take(400).collect();
            let is_stuck = self.is_overdue(&leave);
            let stuck = is_stuck.then(|| format!("{step}/{what}"));
            if leave.blocked_on.as_deref() != Some(&what) || leave.stuck_on != stuck {
                record(&reports, &name, json!({"step": step, "blockedOn": what, "stuckOn": stuck})).await?;
            }
            return Ok(Pass::Waits { is_stuck });
        }
        Ok(Pass::Gone)
    }

    fn is_overdue(&self, leave: &Leave) -> bool {
        let limit = SignedDuration::try_from(self.settings.leave_deadline).unwrap_or(SignedDuration::MAX);
        leave.since.as_ref().is_some_and(|since| Timestamp::now().duration_since(since.0) > limit)
    }

    /// Does a step; names what it has to wait for.
    async fn step(
        &self,
        step: LeaveStep,
        report: &ClusterReport,
        leave: &Leave,
    ) -> Result<Option<String>, kube::Error> {
        let (name, namespace) = (report.name_any(), &self.settings.namespace);
        match step {
            LeaveStep::Cordon => cordon(self.hub, namespace, &name).await.map(|()| None),
            LeaveStep::Evict => {
                let id = self.id_of(report).await?;
                if leave.forget == Some(true) {
                    self.forget_bindings(&name, &id, leave).await?;
                }
                users(self.hub, namespace, &name, &id).await
            }
            LeaveStep::Access => self.access(report, leave).await,
            LeaveStep::Profile => {
                let id = self.id_of(report).await?;
                remove_entry(self.hub, &self.settings.manager, namespace, &name, &id).await
            }
            LeaveStep::Report => remove_report(self.hub, namespace, &name).await,
            LeaveStep::Drain | LeaveStep::Services | LeaveStep::ConsumerObjects => Ok(None),
        }
    }

    /// The member's id: the profile's while there is one.
    async fn id_of(&self, report: &ClusterReport) -> Result<String, kube::Error> {
        let profiles: Api<ClusterProfile> = Api::namespaced(self.hub.clone(), &self.settings.namespace);
        let stored = error::optional(profiles.get_metadata(&report.name_any()).await)?;
        let label = stored.and_then(|p| p.labels().get(labels::INVENTORY_MEMBER_ID).cloned());
        let noted = report.status.as_ref().and_then(|s| s.member_id.clone());
        Ok(label.or(noted).unwrap_or_default())
    }

    /// Lets go of what was delivered to a member that does not answer: each binding is written down, then ended.
    async fn forget_bindings(&self, name: &str, id: &str, leave: &Leave) -> Result<(), kube::Error> {
        let left = bindings_of(self.hub, id).await?;
        let lines: Vec<String> = left
            .iter()
            .map(|b| {
                let (namespace, placement) = (b.namespace().unwrap_or_default(), &b.spec.placement);
                let revision = b.spec.revision.as_deref().unwrap_or("none");
                let of = format!("{} {}, revision {revision}", placement.kind, placement.name);
                format!("{name} clusterbinding {namespace}/{} of {of}", b.name_any())
            })
            .collect();
        self.abandon(leave, &lines).await?;
        for binding in &left {
            let api: Api<skerry_api::ClusterBinding> =
                Api::namespaced(self.hub.clone(), &binding.namespace().unwrap_or_default());
            let name = binding.name_any();
            gone(api.delete(&name, &super::exact(&binding.metadata)).await)?;
            let released = json!({"metadata": {"finalizers": null, "uid": binding.uid()}});
            gone(api.patch(&name, &PatchParams::default(), &Patch::Merge(&released)).await)?;
        }
        Ok(())
    }

    async fn abandon(&self, leave: &Leave, lines: &[String]) -> Result<(), kube::Error> {
        let since = leave.since.clone().unwrap_or(Time(Timestamp::UNIX_EPOCH));
        abandoned::add(self.hub, &self.settings.namespace, &since, lines).await
    }

    /// Takes our rights out of the member, then the credential away. Without the Secret this is done already.
    async fn access(&self, report: &ClusterReport, leave: &Leave) -> Result<Option<String>, kube::Error> {
        let Some(push) = &report.spec.push else { return Ok(None) };
        let secrets: Api<Secret> = Api::namespaced(self.hub.clone(), &self.settings.namespace);
        let stored = error::optional(secrets.get(&push.secret_ref.name).await)?;
        // Somebody's own Secret stays.
        let Some(stored) = stored.filter(|s| s.type_.as_deref() == Some(SECRET_TYPE)) else {
            return Ok(None);
        };
        if leave.forget == Some(true) {
            let rights = format!("clusterrolebinding {MEMBER_ROLE}, namespace {}", labels::SYSTEM_NAMESPACE);
            self.abandon(leave, &[format!("{} {rights}", report.name_any())]).await?;
        } else if let Err(why) = self.release().await {
            return Ok(Some(format!("clusterrolebinding {MEMBER_ROLE} in the member: {why}")));
        }
        gone(secrets.delete(&stored.name_any(), &super::exact(&stored.metadata)).await)?;
        Ok(None)
    }

    /// Role and account are owned by the binding and go with it; the token is dead with the account, so an answer that
    /// it no longer counts means that this was done before.
    async fn release(&self) -> Result<(), String> {
        let member = self.member.clone()?;
        let bindings: Api<ClusterRoleBinding> = Api::all(member);
        let gone = DeleteParams::background();
        match tokio::time::timeout(LIMIT, bindings.delete(MEMBER_ROLE, &gone)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(failed)) if error::is_not_found(&failed) || error::is_denied(&failed) => Ok(()),
            Ok(Err(failed)) => Err(error::sentence(&failed)),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }
}
