//! Label and annotation keys, well-known names and finalizers, each written once.

/// Tenant id on every host object (tenancy I4, syncer NM4).
pub const TENANT: &str = "skerry.dev/tenant";
/// Slot of the tenant, 0..63, for watch selectors (syncer EN25).
pub const SLOT: &str = "skerry.dev/slot";
/// `syncer` on host objects that the syncer made (syncer NM4).
pub const MANAGED_BY: &str = "skerry.dev/managed-by";
/// Hub namespace of the VirtualCluster, on host namespaces and ClusterProfiles.
pub const OWNER_NAMESPACE: &str = "skerry.dev/owner-namespace";
/// Class of the VirtualCluster, on host namespaces and ClusterProfiles.
pub const CLASS: &str = "skerry.dev/class";
/// UID of the VirtualCluster, an annotation: the proof of origin (syncer NM5).
pub const UID: &str = "skerry.dev/uid";
/// Kind of the tenant object, an annotation.
pub const ORIGIN_KIND: &str = "skerry.dev/origin-kind";
/// Namespace of the tenant object, an annotation.
pub const ORIGIN_NAMESPACE: &str = "skerry.dev/origin-namespace";
/// Name of the tenant object, an annotation.
pub const ORIGIN_NAME: &str = "skerry.dev/origin-name";
/// UID of the tenant object, an annotation.
pub const ORIGIN_UID: &str = "skerry.dev/origin-uid";
/// Generation of the tenant object that was carried, an annotation.
pub const ORIGIN_GENERATION: &str = "skerry.dev/origin-generation";
/// ServiceAccount name of the tenant's pod, an annotation on the host pod.
pub const SERVICE_ACCOUNT: &str = "skerry.dev/service-account";
/// Mark of a host Service reserved before its tenant Service is stored (apiserver T5), an annotation.
pub const PENDING: &str = "skerry.dev/pending";
/// Desired state only: nothing but Placements act on such a namespace (apiserver C9).
pub const TEMPLATE: &str = "skerry.dev/template";
/// Anything simulated carries it (architecture, invariant 11).
pub const SIMULATED: &str = "skerry.dev/simulated";
/// `host` on members that carry tenants.
pub const ROLE: &str = "skerry.dev/role";
/// Stable per placement and member, on pod templates (placement A1).
pub const BINDING: &str = "skerry.dev/binding";
/// `virtual` or `real`, on ClusterProfiles.
pub const MEMBER_KIND: &str = "skerry.dev/member-kind";
/// Name of the host's ClusterProfile, on profiles of virtual clusters.
pub const HOST: &str = "skerry.dev/host";
/// On the ClusterReport of a host: where its pods find the API server that tenants share, as `IP:PORT`, comma-separated.
pub const FRONT_DOOR: &str = "skerry.dev/front-door";
/// On delivered objects: drift is watched by this selector (placement T5).
pub const PLACED: &str = "skerry.dev/placed";
/// `<hub id>/<binding uid>` on delivered objects, an annotation (inventory W6).
pub const APPLIED_BY: &str = "skerry.dev/applied-by";
/// Wave override on source objects, an annotation (placement A7).
pub const WAVE: &str = "skerry.dev/wave";
/// Re-decide from nothing, an annotation on Placements (placement M6).
pub const REPLAN: &str = "skerry.dev/replan";
/// Cluster sets whose members a namespace's Placements see, an annotation on hub namespaces (inventory CS5).
pub const CLUSTERSETS: &str = "skerry.dev/clustersets";
/// UID of the Placement, on ClusterBindings.
pub const PLACEMENT_UID: &str = "skerry.dev/placement-uid";
/// Member id, on ClusterBindings.
pub const MEMBER_ID: &str = "skerry.dev/member-id";

/// Manager of a ClusterProfile (KEP-4322).
pub const CLUSTER_MANAGER: &str = "x-k8s.io/cluster-manager";
/// Member id on ClusterProfiles (KEP-4322).
pub const INVENTORY_MEMBER_ID: &str = "multicluster.x-k8s.io/inventory-member-id";
/// Set label on ClusterProfiles.
pub const CLUSTERSET: &str = "multicluster.x-k8s.io/clusterset";

/// Finalizer of VirtualClusters.
pub const FINALIZER_TEARDOWN: &str = "skerry.dev/teardown";
/// Finalizer of ClusterBindings.
pub const FINALIZER_DELIVERED: &str = "skerry.dev/delivered";

/// Namespace of Skerry's own objects on hosts and in members.
pub const SYSTEM_NAMESPACE: &str = "skerry-system";
/// Default namespace of ClusterProfiles and ClusterReports.
pub const INVENTORY_NAMESPACE: &str = "skerry-inventory";
