//! What to do when a pod is there on one side, the other, both or neither (PO40): a pure table.

/// The tenant's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantPod {
    /// A complete list and a fresh GET do not have it; the grace period last seen.
    Gone {
        /// `deletionGracePeriodSeconds` when it was last seen deleting.
        last_grace: Option<i64>,
    },
    /// There, and not being deleted.
    Live {
        /// Node it is bound to and was reported on.
        bound: Option<String>,
        /// Succeeded or Failed.
        terminal: bool,
    },
    /// Being deleted with this grace.
    Deleting {
        /// `deletionGracePeriodSeconds`.
        grace: i64,
    },
}

/// The host's pod of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPod {
    /// A complete list and a GET do not have it.
    Gone,
    /// Without our proof.
    Foreign,
    /// Ours, of the same tenant object by name but another UID.
    Older {
        /// A deletion is under way.
        deleting: bool,
    },
    /// Ours, of this very tenant pod.
    Ours {
        /// Node it is bound to.
        node: Option<String>,
        /// Grace of a deletion under way.
        deleting: Option<i64>,
        /// Terminal phase, and all containers terminated.
        ended: bool,
    },
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// Nothing.
    Nothing,
    /// Make the host pod.
    Create,
    /// Compare fields, bind, bring the status up.
    Carry,
    /// The host ends it: the status comes up, the host is not fought.
    StatusOnly,
    /// The host pod is lost: reported, then replaced by its controller (PO41).
    Lost,
    /// The host pod runs on another node than the tenant's: deleted, then reported (PO41).
    Mismatch,
    /// Delete the host pod, with this grace or its own.
    DeleteHost {
        /// `gracePeriodSeconds`; `None`: the pod's own.
        grace: Option<i64>,
    },
    /// End the tenant's deletion: DELETE with grace 0 and its UID.
    FinishTenant,
    /// The name is taken by an object that is not ours.
    NameTaken,
    /// Wait for a deletion under way.
    Wait,
}

/// The table of PO40 with the rows of EN11 that pods share.
pub fn life(tenant: &TenantPod, host: &HostPod) -> Life {
    match (tenant, host) {
        (TenantPod::Gone { .. }, HostPod::Gone | HostPod::Foreign) => Life::Nothing,
        (TenantPod::Gone { last_grace }, HostPod::Ours { deleting, .. }) => {
            let force = *last_grace == Some(0);
            match deleting {
                None => Life::DeleteHost { grace: force.then_some(0) },
                Some(left) if force && *left > 0 => Life::DeleteHost { grace: Some(0) },
                Some(_) => Life::Wait,
            }
        }
        (TenantPod::Gone { .. }, HostPod::Older { deleting }) => older(*deleting),

        (TenantPod::Live { terminal: true, .. }, HostPod::Gone) => Life::Nothing,
        (TenantPod::Live { bound: None, .. }, HostPod::Gone) => Life::Create,
        (TenantPod::Live { bound: Some(_), .. }, HostPod::Gone) => Life::Lost,
        (TenantPod::Live { .. }, HostPod::Foreign) => Life::NameTaken,
        (TenantPod::Live { .. }, HostPod::Older { deleting }) => older(*deleting),
        (TenantPod::Live { bound, .. }, HostPod::Ours { node, deleting, .. }) => {
            match (bound, node, deleting) {
                (None, None, Some(_)) => Life::Wait,
                (Some(n1), Some(n2), None) if n1 != n2 => Life::Mismatch,
                (_, _, Some(_)) => Life::StatusOnly,
                (_, _, None) => Life::Carry,
            }
        }

        (TenantPod::Deleting { .. }, HostPod::Gone | HostPod::Foreign) => Life::FinishTenant,
        (TenantPod::Deleting { .. }, HostPod::Older { deleting }) => older(*deleting),
        (TenantPod::Deleting { .. }, HostPod::Ours { ended: true, .. }) => Life::FinishTenant,
        (TenantPod::Deleting { grace }, HostPod::Ours { deleting, .. }) => match deleting {
            Some(left) if left <= grace => Life::StatusOnly,
            _ => Life::DeleteHost { grace: Some(*grace) },
        },
    }
}

fn older(deleting: bool) -> Life {
    if deleting { Life::Wait } else { Life::DeleteHost { grace: None } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(node: Option<&str>, deleting: Option<i64>, ended: bool) -> HostPod {
        HostPod::Ours { node: node.map(str::to_owned), deleting, ended }
    }

    fn live(bound: Option<&str>, terminal: bool) -> TenantPod {
        TenantPod::Live { bound: bound.map(str::to_owned), terminal }
    }

    /// SY-61, its core: each row of PO40.
    #[test]
    fn translate_sy61_every_row() {
        let deleting = |grace| TenantPod::Deleting { grace };
        let gone = |last_grace| TenantPod::Gone { last_grace };
        let rows = [
            (live(None, false), HostPod::Gone, Life::Create),
            (live(None, false), ours(None, Some(0), false), Life::Wait),
            (live(None, false), ours(None, None, false), Life::Carry),
            (live(None, false), ours(Some("n1"), None, false), Life::Carry),
            (live(Some("n1"), false), ours(Some("n1"), Some(30), false), Life::StatusOnly),
            (live(Some("n1"), false), HostPod::Gone, Life::Lost),
            (live(Some("n1"), true), HostPod::Gone, Life::Nothing),
            (live(None, true), HostPod::Gone, Life::Nothing),
            (live(Some("n1"), false), ours(Some("n2"), None, false), Life::Mismatch),
            (live(None, false), HostPod::Foreign, Life::NameTaken),
            (live(None, false), HostPod::Older { deleting: false }, Life::DeleteHost { grace: None }),
            (live(None, false), HostPod::Older { deleting: true }, Life::Wait),
            (deleting(30), ours(Some("n1"), None, false), Life::DeleteHost { grace: Some(30) }),
            (deleting(30), ours(Some("n1"), Some(30), false), Life::StatusOnly),
            (deleting(5), ours(Some("n1"), Some(30), false), Life::DeleteHost { grace: Some(5) }),
            (deleting(0), ours(Some("n1"), Some(5), false), Life::DeleteHost { grace: Some(0) }),
            (deleting(30), HostPod::Gone, Life::FinishTenant),
            (deleting(30), HostPod::Foreign, Life::FinishTenant),
            (deleting(30), ours(Some("n1"), Some(30), true), Life::FinishTenant),
            (gone(Some(0)), ours(Some("n1"), None, false), Life::DeleteHost { grace: Some(0) }),
            (gone(Some(30)), ours(Some("n1"), None, false), Life::DeleteHost { grace: None }),
            (gone(None), ours(Some("n1"), Some(30), false), Life::Wait),
            (gone(Some(0)), ours(Some("n1"), Some(30), false), Life::DeleteHost { grace: Some(0) }),
            (gone(None), HostPod::Foreign, Life::Nothing),
            (gone(None), HostPod::Gone, Life::Nothing),
        ];
        for (tenant, host, want) in rows {
            assert_eq!(life(&tenant, &host), want, "{tenant:?} / {host:?}");
        }
    }

    /// A foreign pod is never written or deleted, whatever the tenant's is.
    #[test]
    fn translate_foreign_pods_are_left_alone() {
        for tenant in [
            live(None, false),
            live(Some("n"), true),
            TenantPod::Deleting { grace: 0 },
            TenantPod::Gone { last_grace: Some(0) },
        ] {
            let action = life(&tenant, &HostPod::Foreign);
            assert!(matches!(action, Life::Nothing | Life::NameTaken | Life::FinishTenant), "{action:?}");
        }
    }
}
