//! The decision of EN11, a pure function of what is on both sides. Pods have a table of their own (PO40).

/// The tenant's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantSide {
    /// There, and it goes down.
    Present,
    /// There, and it does not go down: switched off, unreferenced, a template, kept away by annotation.
    Unwanted,
    /// Being deleted.
    Deleting,
    /// Not there, and a fresh GET said so after a complete list.
    Absent,
    /// Not seen, and not sure.
    Unknown,
}

/// The host's object of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostSide {
    /// Not there.
    Absent,
    /// Proven ours, of this tenant object.
    Ours {
        /// A deletion is under way.
        deleting: bool,
    },
    /// Proven ours, of a tenant object of the same name with another UID.
    Older {
        /// A deletion is under way.
        deleting: bool,
    },
    /// Proven this tenant's, of another tenant object (NM7).
    Collision,
    /// Without proof.
    Foreign,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Refs first, then create.
    Create,
    /// Owned fields down, status up, each at most one write.
    Compare,
    /// Delete the host object, with its UID.
    DeleteHost,
    /// Ask the tenant by a fresh GET.
    Confirm,
    /// `HostNameTaken`.
    NameTaken,
    /// `NameCollision`.
    NameCollision,
    /// A deletion is under way.
    Wait,
}

/// The rows of EN11.
pub fn decide(tenant: TenantSide, host: HostSide) -> Action {
    match (tenant, host) {
        (TenantSide::Present, HostSide::Absent) => Action::Create,
        (TenantSide::Present, HostSide::Ours { deleting: false }) => Action::Compare,
        (TenantSide::Present, HostSide::Older { deleting: false }) => Action::DeleteHost,
        (TenantSide::Present, HostSide::Collision) => Action::NameCollision,
        (TenantSide::Present, HostSide::Foreign) => Action::NameTaken,

        (
            TenantSide::Unwanted | TenantSide::Deleting | TenantSide::Absent,
            HostSide::Ours { deleting: false } | HostSide::Older { deleting: false },
        ) => Action::DeleteHost,
        (TenantSide::Unknown, HostSide::Ours { .. } | HostSide::Older { .. }) => Action::Confirm,

        (_, HostSide::Ours { deleting: true } | HostSide::Older { deleting: true }) => Action::Wait,
        (_, HostSide::Absent | HostSide::Foreign | HostSide::Collision) => Action::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: [TenantSide; 5] = [
        TenantSide::Present,
        TenantSide::Unwanted,
        TenantSide::Deleting,
        TenantSide::Absent,
        TenantSide::Unknown,
    ];
    const HOST: [HostSide; 7] = [
        HostSide::Absent,
        HostSide::Ours { deleting: false },
        HostSide::Ours { deleting: true },
        HostSide::Older { deleting: false },
        HostSide::Older { deleting: true },
        HostSide::Collision,
        HostSide::Foreign,
    ];

    /// The rules again, by questions instead of rows.
    fn oracle(tenant: TenantSide, host: HostSide) -> Action {
        let proven = matches!(host, HostSide::Ours { .. } | HostSide::Older { .. });
        let ending = matches!(host, HostSide::Ours { deleting: true } | HostSide::Older { deleting: true });
        let wanted = tenant == TenantSide::Present;
        if !proven {
            return match (wanted, host) {
                (true, HostSide::Absent) => Action::Create,
                (true, HostSide::Collision) => Action::NameCollision,
                (true, _) => Action::NameTaken,
                (false, _) => Action::Nothing,
            };
        }
        if tenant == TenantSide::Unknown {
            return Action::Confirm;
        }
        if ending {
            return Action::Wait;
        }
        if wanted && matches!(host, HostSide::Ours { .. }) { Action::Compare } else { Action::DeleteHost }
    }

    /// SY-3: every row, and 10,000 random pairs, equal an oracle written apart; foreign is never written.
    #[test]
    fn plan_sy3_decision_equals_the_oracle() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |n: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % n as u64) as usize
        };
        let all = TENANT.iter().flat_map(|t| HOST.iter().map(move |h| (*t, *h)));
        let random: Vec<_> = (0..10_000).map(|_| (TENANT[next(5)], HOST[next(7)])).collect();
        for (tenant, host) in all.chain(random) {
            let action = decide(tenant, host);
            assert_eq!(action, oracle(tenant, host), "{tenant:?} / {host:?}");
            if matches!(host, HostSide::Foreign | HostSide::Collision) {
                assert!(!matches!(action, Action::Create | Action::Compare | Action::DeleteHost));
            }
        }
    }
}
