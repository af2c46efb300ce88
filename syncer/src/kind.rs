//! The kinds that the syncer knows, and their paths on the wire.

/// A kind that is carried, imported or read for facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Namespaces: never carried as objects, they become host namespaces (NM1).
    Namespace,
    /// Pods (section 4).
    Pod,
    /// Services (5.1).
    Service,
    /// ConfigMaps, sent while referenced (KI2).
    ConfigMap,
    /// Secrets, sent while referenced (KI2).
    Secret,
    /// ServiceAccounts: read for tokens (PO20).
    ServiceAccount,
    /// Claims (KI3).
    PersistentVolumeClaim,
    /// Volumes, shown upward (KI4).
    PersistentVolume,
    /// Storage classes, shown upward (KI14).
    StorageClass,
    /// Slices of Services without selector (KI1).
    EndpointSlice,
    /// Events, carried upward (KI16).
    Event,
    /// Nodes, shown upward (5.4).
    Node,
    /// Policies of a tenant (KI6).
    NetworkPolicy,
}

impl Kind {
    /// Kinds watched in tenants.
    pub const TENANT: [Kind; 12] = [
        Kind::Namespace,
        Kind::ServiceAccount,
        Kind::Node,
        Kind::StorageClass,
        Kind::PersistentVolume,
        Kind::ConfigMap,
        Kind::Secret,
        Kind::PersistentVolumeClaim,
        Kind::Service,
        Kind::EndpointSlice,
        Kind::NetworkPolicy,
        Kind::Pod,
    ];

    /// Kinds that a tenant's DNS answers from.
    pub const RESOLVED: [Kind; 4] = [Kind::Namespace, Kind::Service, Kind::EndpointSlice, Kind::Pod];

    /// Kinds that go down, each with a `Translator`.
    pub const CARRIED: [Kind; 7] = [
        Kind::ConfigMap,
        Kind::Secret,
        Kind::PersistentVolumeClaim,
        Kind::Service,
        Kind::EndpointSlice,
        Kind::NetworkPolicy,
        Kind::Pod,
    ];

    /// The `kind` member of objects.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Namespace => "Namespace",
            Kind::Pod => "Pod",
            Kind::Service => "Service",
            Kind::ConfigMap => "ConfigMap",
            Kind::Secret => "Secret",
            Kind::ServiceAccount => "ServiceAccount",
            Kind::PersistentVolumeClaim => "PersistentVolumeClaim",
            Kind::PersistentVolume => "PersistentVolume",
            Kind::StorageClass => "StorageClass",
            Kind::EndpointSlice => "EndpointSlice",
            Kind::Event => "Event",
            Kind::Node => "Node",
            Kind::NetworkPolicy => "NetworkPolicy",
        }
    }

    /// The kind of a `kind` member.
    pub fn of(name: &str) -> Option<Kind> {
        const ALL: [Kind; 13] = [
            Kind::Namespace,
            Kind::Pod,
            Kind::Service,
            Kind::ConfigMap,
            Kind::Secret,
            Kind::ServiceAccount,
            Kind::PersistentVolumeClaim,
            Kind::PersistentVolume,
            Kind::StorageClass,
            Kind::EndpointSlice,
            Kind::Event,
            Kind::Node,
            Kind::NetworkPolicy,
        ];
        ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// `Kind.group`, or the kind alone in the core group: a part of hashed names (NM1).
    pub const fn kind_group(self) -> &'static str {
        match self {
            Kind::StorageClass => "StorageClass.storage.k8s.io",
            Kind::EndpointSlice => "EndpointSlice.discovery.k8s.io",
            Kind::NetworkPolicy => "NetworkPolicy.networking.k8s.io",
            other => other.name(),
        }
    }

    /// The `apiVersion` member of objects.
    pub const fn api_version(self) -> &'static str {
        match self {
            Kind::StorageClass => "storage.k8s.io/v1",
            Kind::EndpointSlice => "discovery.k8s.io/v1",
            Kind::NetworkPolicy => "networking.k8s.io/v1",
            _ => "v1",
        }
    }

    /// The plural in paths.
    pub const fn plural(self) -> &'static str {
        match self {
            Kind::Namespace => "namespaces",
            Kind::Pod => "pods",
            Kind::Service => "services",
            Kind::ConfigMap => "configmaps",
            Kind::Secret => "secrets",
            Kind::ServiceAccount => "serviceaccounts",
            Kind::PersistentVolumeClaim => "persistentvolumeclaims",
            Kind::PersistentVolume => "persistentvolumes",
            Kind::StorageClass => "storageclasses",
            Kind::EndpointSlice => "endpointslices",
            Kind::Event => "events",
            Kind::Node => "nodes",
            Kind::NetworkPolicy => "networkpolicies",
        }
    }

    /// The singular, as kubectl takes it.
    pub fn singular(self) -> String {
        self.name().to_lowercase()
    }

    /// The short name, as kubectl takes it; empty where there is none.
    pub const fn short(self) -> &'static str {
        match self {
            Kind::Namespace => "ns",
            Kind::Pod => "po",
            Kind::Service => "svc",
            Kind::ConfigMap => "cm",
            Kind::ServiceAccount => "sa",
            Kind::PersistentVolumeClaim => "pvc",
            Kind::PersistentVolume => "pv",
            Kind::StorageClass => "sc",
            Kind::Event => "ev",
            Kind::Node => "no",
            Kind::NetworkPolicy => "netpol",
            Kind::Secret | Kind::EndpointSlice => "",
        }
    }

    /// The carried kind of this name: plural, singular or short, with or without its group.
    pub fn carried(name: &str) -> Option<Kind> {
        let name = name.to_lowercase();
        let (name, group) = name.split_once('.').map_or((&*name, None), |(name, group)| (name, Some(group)));
        Kind::CARRIED.into_iter().find(|kind| {
            let known = [kind.plural(), &*kind.singular(), kind.short()];
            !name.is_empty()
                && known.contains(&name)
                && group.is_none_or(|group| {
                    kind.kind_group().split_once('.').is_some_and(|(_, own)| own == group)
                })
        })
    }

    /// Whether objects lie in namespaces.
    pub const fn namespaced(self) -> bool {
        !matches!(self, Kind::Namespace | Kind::PersistentVolume | Kind::StorageClass | Kind::Node)
    }

    /// Whether a server may do without it.
    pub const fn optional(self) -> bool {
        !matches!(self.api_version().as_bytes(), b"v1")
    }

    /// Whether the host is watched for it; Secrets and ConfigMaps are read per namespace instead (EN4).
    pub const fn host_watched(self) -> bool {
        !matches!(self, Kind::ConfigMap | Kind::Secret | Kind::ServiceAccount)
    }

    /// `/api/v1` or `/apis/<group>/<version>`.
    pub fn prefix(self) -> String {
        match self.api_version() {
            "v1" => "/api/v1".to_owned(),
            group => format!("/apis/{group}"),
        }
    }

    /// Path of a collection: all namespaces when `namespace` is empty.
    pub fn collection(self, namespace: &str) -> String {
        if namespace.is_empty() || !self.namespaced() {
            format!("{}/{}", self.prefix(), self.plural())
        } else {
            format!("{}/namespaces/{namespace}/{}", self.prefix(), self.plural())
        }
    }

    /// Path of one object.
    pub fn path(self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(namespace))
    }
}
