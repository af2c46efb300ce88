//! Conditions of a VirtualCluster and their reasons (tenancy L6), with the field manager that writes each.

/// Condition of the provision stage.
pub const PROVISIONED: &str = "Provisioned";
/// Condition of the control_plane stage.
pub const CONTROL_PLANE_READY: &str = "ControlPlaneReady";
/// Condition of the syncer.
pub const SYNCED: &str = "Synced";
/// Condition of the inventory stage.
pub const REGISTERED: &str = "Registered";
/// The summary.
pub const READY: &str = "Ready";

/// Field managers, one per condition.
pub mod managers {
    /// Writes Provisioned, and everything the provision stage applies.
    pub const PROVISION: &str = "skerry-provision";
    /// Writes ControlPlaneReady, endpoint and credentials.
    pub const CONTROL_PLANE: &str = "skerry-control-plane";
    /// Writes Synced.
    pub const SYNCER: &str = "skerry-syncer";
    /// Writes Registered, ClusterProfiles and the policy half of Reports of virtual members.
    pub const INVENTORY: &str = "skerry-inventory";
    /// Writes capacity figures of Reports.
    pub const COLLECT: &str = "skerry-collect";
    /// Writes Ready and the phase.
    pub const STATUS: &str = "skerry-status";
    /// What people write through the command line.
    pub const CLI: &str = "skerry-cli";
}

/// Reasons of Provisioned.
pub mod provisioned {
    #![allow(missing_docs, reason = "the words are listed in tenancy L6 and mean what they say")]
    pub const PROVISIONED: &str = "Provisioned";
    pub const CLASS_UNBOUND: &str = "ClassUnbound";
    pub const SPEC_INVALID: &str = "SpecInvalid";
    pub const CLASS_NOT_FOUND: &str = "ClassNotFound";
    pub const CLASS_AMBIGUOUS: &str = "ClassAmbiguous";
    pub const CLASS_NOT_ALLOWED: &str = "ClassNotAllowed";
    pub const NOT_OVERRIDABLE: &str = "NotOverridable";
    pub const CEILING_EXCEEDED: &str = "CeilingExceeded";
    pub const NAMESPACE_LIMIT_REACHED: &str = "NamespaceLimitReached";
    pub const VERSION_UNSUPPORTED: &str = "VersionUnsupported";
    pub const STORE_NOT_OFFERED: &str = "StoreNotOffered";
    pub const HOST_NOT_FOUND: &str = "HostNotFound";
    pub const HOST_UNREACHABLE: &str = "HostUnreachable";
    pub const HOST_FORBIDDEN: &str = "HostForbidden";
    pub const HOSTNAME_TAKEN: &str = "HostnameTaken";
    pub const NAME_CONFLICT: &str = "NameConflict";
    pub const APPLY_FAILED: &str = "ApplyFailed";
    pub const DELETING: &str = "Deleting";
}

/// Reasons of ControlPlaneReady.
pub mod control_plane {
    #![allow(missing_docs, reason = "the words are listed in tenancy L6 and mean what they say")]
    pub const ANSWERING: &str = "Answering";
    pub const STARTING: &str = "Starting";
    pub const PROBE_FAILED: &str = "ProbeFailed";
    pub const CERTIFICATE_INVALID: &str = "CertificateInvalid";
    pub const STORE_UNAVAILABLE: &str = "StoreUnavailable";
    pub const STORE_FULL: &str = "StoreFull";
    pub const KUBECONFIG_MISSING: &str = "KubeconfigMissing";
    pub const KUBECONFIG_INVALID: &str = "KubeconfigInvalid";
    pub const CREDENTIAL_REJECTED: &str = "CredentialRejected";
    pub const PAUSED: &str = "Paused";
}

/// Reasons of Synced.
pub mod synced {
    #![allow(missing_docs, reason = "the words are listed in tenancy L6 and mean what they say")]
    pub const CAUGHT_UP: &str = "CaughtUp";
    pub const BACKLOGGED: &str = "Backlogged";
    pub const DISABLED: &str = "Disabled";
    pub const STARTING: &str = "Starting";
    pub const HOST_UNREACHABLE: &str = "HostUnreachable";
    pub const HOST_UNSUPPORTED: &str = "HostUnsupported";
    pub const TENANT_UNREACHABLE: &str = "TenantUnreachable";
    pub const TENANT_REPLACED: &str = "TenantReplaced";
    pub const MASS_DELETE_HELD: &str = "MassDeleteHeld";
    pub const PAUSED: &str = "Paused";
    pub const DRAINING: &str = "Draining";
    pub const DRAINED: &str = "Drained";
}

/// Reasons of Registered (inventory P15).
pub mod registered {
    #![allow(missing_docs, reason = "the words are listed in tenancy L6 and mean what they say")]
    pub const PUBLISHED: &str = "Published";
    pub const PROFILE_CONFLICT: &str = "ProfileConflict";
    pub const INVENTORY_FORBIDDEN: &str = "InventoryForbidden";
    pub const KIND_MISSING: &str = "KindMissing";
    pub const CLUSTER_SET_NOT_ALLOWED: &str = "ClusterSetNotAllowed";
    pub const DRAINING: &str = "Draining";
    pub const REMOVED: &str = "Removed";
    pub const PENDING: &str = "Pending";
}

/// Reasons of Ready: the first that holds.
pub mod ready {
    #![allow(missing_docs, reason = "the words are listed in tenancy L6 and mean what they say")]
    pub const READY: &str = "Ready";
    pub const DELETING: &str = "Deleting";
    pub const PAUSED: &str = "Paused";
    pub const NOT_PROVISIONED: &str = "NotProvisioned";
    pub const CONTROL_PLANE_NOT_READY: &str = "ControlPlaneNotReady";
    pub const NOT_SYNCED: &str = "NotSynced";
    pub const NOT_REGISTERED: &str = "NotRegistered";
}
