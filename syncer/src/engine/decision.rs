//! What was last decided about an object, and by which rule (OB2): one byte in its entry.

use serde::Serialize;

use crate::{
    kinds::pod::{HostPod, Life, TenantPod},
    refusal::Reason,
};

/// A decision. The order means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Decision {
    /// Not looked at since the process began.
    #[default]
    None,
    /// In the tenant, absent on the host.
    Create,
    /// On both sides, and nothing to write.
    InOrder,
    /// On both sides, and something was written.
    Mended,
    /// A field that cannot change differs.
    Replace,
    /// The host holds the copy of an earlier object of that name.
    Older,
    /// Being deleted in the tenant.
    Deleting,
    /// A deletion on the host is under way.
    Ending,
    /// Gone from the tenant.
    Gone,
    /// Not in the tenant, and nothing of ours on the host.
    Nothing,
    /// Not seen in the tenant, and not sure.
    Unsure,
    /// Many went at once.
    Held,
    /// A Service that the host holds before the tenant does.
    Reserved,
    /// In a template namespace.
    Template,
    /// Kept away by annotation.
    KeptAway,
    /// Its kind is switched off.
    SwitchedOff,
    /// Nothing that is carried refers to it.
    Unreferenced,
    /// Of a sort that never goes down.
    NotForHosts,
    /// The host rewrites what is set.
    Overridden,
    /// It is refused; the entry holds why.
    Refused,
    /// A pod that is neither bound nor on the host.
    PodCreate,
    /// A pod with scheduling gates.
    PodGated,
    /// The host ends a live pod.
    PodEnding,
    /// A bound pod is lost on the host.
    PodLost,
    /// A pod that has ended is not on the host.
    PodOver,
    /// A pod that is being deleted.
    PodDeleting,
    /// A pod that is being deleted has ended on the host.
    PodFinish,
    /// A pod is gone from the tenant.
    PodGone,
    /// The host runs an earlier pod of that name.
    PodOlder,
    /// The pod runs on another node than the tenant's.
    PodMismatch,
}

impl Decision {
    /// The rule of the design; empty where none was applied yet.
    pub const fn rule(self) -> &'static str {
        match self {
            Decision::None => "",
            Decision::Create
            | Decision::InOrder
            | Decision::Mended
            | Decision::Older
            | Decision::Deleting
            | Decision::Ending
            | Decision::Gone
            | Decision::Nothing => "EN11",
            Decision::Replace => "EN9",
            Decision::Unsure => "EN7",
            Decision::Held => "EN12",
            Decision::Reserved => "SV1",
            Decision::Template => "EN30",
            Decision::KeptAway => "AP3",
            Decision::SwitchedOff => "AP2",
            Decision::Unreferenced => "KI2",
            Decision::NotForHosts => "5.2",
            Decision::Overridden => "EN16",
            Decision::Refused => "AP4",
            Decision::PodGated => "PO15",
            Decision::PodLost | Decision::PodMismatch => "PO41",
            Decision::PodCreate
            | Decision::PodEnding
            | Decision::PodOver
            | Decision::PodDeleting
            | Decision::PodFinish
            | Decision::PodGone
            | Decision::PodOlder => "PO40",
        }
    }

    /// For people: what was found on both sides, and what is done.
    pub const fn says(self) -> &'static str {
        match self {
            Decision::None => "not looked at since the syncer started",
            Decision::Create => "in the tenant, absent on the host: made there",
            Decision::InOrder => "on both sides, and they agree: nothing is written",
            Decision::Mended => "on both sides, and they differed: written",
            Decision::Replace => "a field that cannot change differs: deleted on the host, then made again",
            Decision::Older => "the host holds the copy of an earlier object of this name: deleted first",
            Decision::Deleting => "being deleted in the tenant: deleted on the host",
            Decision::Ending => "a deletion on the host is under way: waited for",
            Decision::Gone => "gone from the tenant: deleted on the host",
            Decision::Nothing => "not in the tenant, and nothing of this cluster on the host: ignored",
            Decision::Unsure => {
                "not seen in the tenant, and not sure: asked for again before anything is deleted"
            }
            Decision::Held => "many went at once and unseen: no deletion before it is confirmed",
            Decision::Reserved => "reserved on the host: the tenant's Service is awaited",
            Decision::Template => "in a template namespace: not carried",
            Decision::KeptAway => "kept away by the annotation skerry.dev/sync: \"false\"",
            Decision::SwitchedOff => "its kind is switched off in spec.sync.toHost: not carried",
            Decision::Unreferenced => "nothing that is carried refers to it: not carried",
            Decision::NotForHosts => "objects like this one are never carried",
            Decision::Overridden => {
                "the host keeps its own value of a field: left alone until either side changes"
            }
            Decision::Refused => "refused",
            Decision::PodCreate => "live and not bound in the tenant, absent on the host: made there",
            Decision::PodGated => "scheduling gates hold it: not sent before they are gone",
            Decision::PodEnding => {
                "live in the tenant, ending on the host: status only, the host is not fought"
            }
            Decision::PodLost => "bound in the tenant, lost on the host: reported as Failed",
            Decision::PodOver => "ended in the tenant, gone from the host: never made again",
            Decision::PodDeleting => "being deleted in the tenant: deleted on the host with its grace period",
            Decision::PodFinish => "being deleted in the tenant, ended on the host: the deletion is finished",
            Decision::PodGone => "gone from the tenant, live on the host: deleted there",
            Decision::PodOlder => "the host runs an earlier pod of this name: deleted first",
            Decision::PodMismatch => {
                "bound to one node, running on another: deleted on the host, reported as Failed"
            }
        }
    }

    /// The row of PO40 that a pod's action comes from; `None`: what follows says it.
    pub(super) fn of_pod(tenant: &TenantPod, host: &HostPod, action: &Life) -> Option<Decision> {
        let older = matches!(host, HostPod::Older { .. });
        Some(match (action, tenant) {
            (Life::Nothing, TenantPod::Live { .. }) => Decision::PodOver,
            (Life::Nothing, _) => Decision::Nothing,
            (Life::Create, _) => Decision::PodCreate,
            (Life::StatusOnly, TenantPod::Deleting { .. }) => Decision::PodDeleting,
            (Life::StatusOnly, _) => Decision::PodEnding,
            (Life::Lost, _) => Decision::PodLost,
            (Life::Mismatch, _) => Decision::PodMismatch,
            (Life::DeleteHost { .. }, _) if older => Decision::PodOlder,
            (Life::DeleteHost { .. }, TenantPod::Gone { .. }) => Decision::PodGone,
            (Life::DeleteHost { .. }, _) => Decision::PodDeleting,
            (Life::FinishTenant, _) => Decision::PodFinish,
            (Life::Wait, _) => Decision::Ending,
            (Life::Carry | Life::NameTaken, _) => return None,
        })
    }
}

/// The rule that a refusal comes from.
pub(super) const fn rule_of(reason: Reason) -> &'static str {
    match reason {
        Reason::HostNameTaken => "NM5",
        Reason::NameCollision => "NM7",
        Reason::PodSecurityViolation => "PO11",
        Reason::PolicyDenied | Reason::UnsupportedField | Reason::UnsupportedVolume => "AP4",
        Reason::QuotaExceeded => "PO45",
        Reason::HostQuotaExceeded => "FM12",
        Reason::HostAdmissionDenied => "FM6",
        Reason::HostFeatureMissing => "EN5",
        Reason::SyncDisabled => "AP3",
        Reason::SchedulerUnknown => "SC2",
        Reason::NodeNotVisible => "PO12",
        Reason::ClassNotShared => "KI14",
        Reason::HostOverride | Reason::HostConflict => "EN16",
        Reason::HostPodDeleted => "PO41",
        Reason::HostClaimLost => "KI3",
        Reason::HostRejected => "SC4",
        Reason::LeftOnHost => "AP2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::pod::life;

    /// OB2, PO40: each row of the table names itself.
    #[test]
    fn plan_ob2_rows_of_pods_name_themselves() {
        let ours = |node: Option<&str>, deleting| HostPod::Ours {
            node: node.map(str::to_owned),
            deleting,
            ended: false,
        };
        let live =
            |bound: Option<&str>, terminal| TenantPod::Live { bound: bound.map(str::to_owned), terminal };
        let (deleting, gone) = (TenantPod::Deleting { grace: 5 }, TenantPod::Gone { last_grace: None });
        let rows = [
            (live(None, false), HostPod::Gone, Decision::PodCreate),
            (live(Some("n"), false), ours(Some("n"), Some(30)), Decision::PodEnding),
            (live(Some("n"), false), HostPod::Gone, Decision::PodLost),
            (live(Some("n"), true), HostPod::Gone, Decision::PodOver),
            (deleting.clone(), ours(None, None), Decision::PodDeleting),
            (deleting.clone(), ours(None, Some(5)), Decision::PodDeleting),
            (deleting, HostPod::Gone, Decision::PodFinish),
            (gone.clone(), ours(None, None), Decision::PodGone),
            (gone.clone(), ours(None, Some(5)), Decision::Ending),
            (gone, HostPod::Foreign, Decision::Nothing),
            (live(None, false), HostPod::Older { deleting: false }, Decision::PodOlder),
            (live(Some("n"), false), ours(Some("m"), None), Decision::PodMismatch),
        ];
        for (tenant, host, want) in rows {
            let action = life(&tenant, &host);
            assert_eq!(Decision::of_pod(&tenant, &host, &action), Some(want), "{tenant:?} / {host:?}");
        }
        assert_eq!(size_of::<Decision>(), 1, "EN27");
    }
}
