//! What a cycle looks at: Placements, bindings, members, grants; read once, judged afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use skerry_api::labels;
use skerry_placement::{Held, InCause, MemberId, OutCause, RequestId, Resources, Share, State};

use super::accepted;
use super::live::{Kind, Live};
use super::raw::{self, items, text};
use crate::placement::Site;

const GROUP: &str = "/apis/skerry.dev/v1alpha1";

/// A Placement or ClusterPlacement as it stands.
#[derive(Clone, Debug)]
pub struct Placed {
    /// `Placement` or `ClusterPlacement`.
    pub kind: &'static str,
    /// Namespace; empty for a ClusterPlacement.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// The whole object.
    pub object: Arc<Value>,
}

impl Placed {
    fn of(kind: &'static str, object: Arc<Value>) -> Self {
        let meta = |field: &str| text(&object, &["metadata", field]).to_owned();
        Self { kind, namespace: meta("namespace"), name: meta("name"), uid: meta("uid"), object }
    }

    /// Path of the object.
    pub fn path(&self) -> String {
        match self.kind {
            "Placement" => format!("{GROUP}/namespaces/{}/placements/{}", self.namespace, self.name),
            _ => format!("{GROUP}/clusterplacements/{}", self.name),
        }
    }

    /// Namespace of its bindings and decisions.
    pub fn home<'a>(&'a self, inventory: &'a str) -> &'a str {
        if self.namespace.is_empty() { inventory } else { &self.namespace }
    }

    /// `metadata.generation`.
    pub fn generation(&self) -> i64 {
        self.object["metadata"]["generation"].as_i64().unwrap_or(0)
    }

    /// The same Placement with another spec, unless it has that one already.
    pub fn with_spec(&self, spec: Option<&Value>) -> Option<Self> {
        let spec = spec.filter(|spec| *spec != self.spec())?;
        let mut other = self.clone();
        Arc::make_mut(&mut other.object)["spec"] = spec.clone();
        Some(other)
    }

    /// `spec`.
    pub fn spec(&self) -> &Value {
        &self.object["spec"]
    }
}

/// Everything a cycle judges.
#[derive(Debug, Default)]
pub struct World {
    /// Placements of both kinds that are not being deleted.
    pub placements: Vec<Placed>,
    /// ClusterBindings.
    pub bindings: Vec<Arc<Value>>,
    /// ClusterProfiles of the inventory namespace.
    pub profiles: Vec<Arc<Value>>,
    /// ClusterReports by name.
    pub reports: BTreeMap<String, Arc<Value>>,
    /// Cluster sets granted to a namespace (inventory CS5).
    pub grants: BTreeMap<String, Vec<String>>,
    /// Namespace of the inventory.
    pub inventory: String,
    /// The last accepted spec by UID of the Placement.
    pub accepted: BTreeMap<String, Value>,
}

impl World {
    /// Reads the hub: as watches show it, else by lists.
    pub async fn read(site: &Site<'_>) -> Result<Self, kube::Error> {
        match site.live.filter(|live| live.is_ready()) {
            Some(live) => Ok(Self::shown(site, live)),
            None => Self::listed(site).await,
        }
    }

    fn shown(site: &Site<'_>, live: &Live) -> Self {
        let secrets = live.all(Kind::AcceptedSpec);
        let accepted = secrets.iter().filter_map(|secret| accepted::decode(secret)).collect();
        Self::of(site, accepted, |kind| live.all(kind))
    }

    async fn listed(site: &Site<'_>) -> Result<Self, kube::Error> {
        let inventory = &site.settings.namespace;
        let mut lists: BTreeMap<Kind, Vec<Arc<Value>>> = BTreeMap::new();
        for (kind, path) in [
            (Kind::Placement, format!("{GROUP}/placements")),
            (Kind::ClusterPlacement, format!("{GROUP}/clusterplacements")),
            (Kind::ClusterBinding, format!("{GROUP}/clusterbindings")),
            (Kind::ClusterReport, format!("{GROUP}/namespaces/{inventory}/clusterreports")),
            (
                Kind::ClusterProfile,
                format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{inventory}/clusterprofiles"),
            ),
            (Kind::Namespace, "/api/v1/namespaces".to_owned()),
        ] {
            let found = raw::list_if_served(&site.hub, &path).await?;
            lists.insert(kind, found.into_iter().map(Arc::new).collect());
        }
        let accepted = accepted::read(site).await?;
        Ok(Self::of(site, accepted, |kind| lists.get(&kind).cloned().unwrap_or_default()))
    }

    fn of(site: &Site<'_>, accepted: BTreeMap<String, Value>, all: impl Fn(Kind) -> Vec<Arc<Value>>) -> Self {
        let mut world = Self { inventory: site.settings.namespace.clone(), accepted, ..Self::default() };
        for (kind, name) in [(Kind::Placement, "Placement"), (Kind::ClusterPlacement, "ClusterPlacement")] {
            let living = all(kind).into_iter().filter(|o| o["metadata"]["deletionTimestamp"].is_null());
            world.placements.extend(living.map(|o| Placed::of(name, o)));
        }
        world.bindings = all(Kind::ClusterBinding);
        world.profiles = all(Kind::ClusterProfile);
        for report in all(Kind::ClusterReport) {
            world.reports.insert(text(&report, &["metadata", "name"]).to_owned(), report);
        }
        for namespace in all(Kind::Namespace) {
            let granted = text(&namespace, &["metadata", "annotations", labels::CLUSTERSETS]);
            let sets: Vec<String> =
                granted.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
            if !sets.is_empty() {
                world.grants.insert(text(&namespace, &["metadata", "name"]).to_owned(), sets);
            }
        }
        world
    }

    /// Bindings of a Placement.
    pub fn bindings_of<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Value> + 'a {
        self.bindings.iter().map(|b| &**b).filter(move |b| text(b, &["spec", "placement", "uid"]) == uid)
    }

    /// Whether what a draining binding delivered stays on its member: by `delivery.whenMemberLeaves` if it is the member
    /// that goes, else by `delivery.whenRemoved`; of a Placement that is there or gone.
    pub fn keeps_delivered(&self, binding: &Value) -> bool {
        let uid = text(binding, &["spec", "placement", "uid"]);
        let living = self.placements.iter().find(|p| p.uid == uid).map(Placed::spec);
        let spec = self.accepted.get(uid).or(living);
        let says = |field: &str| spec.map_or("", |s| text(s, &["delivery", field]));
        match text(binding, &["spec", "cause"]) {
            "MemberLeft" => says("whenMemberLeaves") != "Delete",
            _ => says("whenRemoved") == "Orphan",
        }
    }

    /// The bindings as the engine holds them.
    pub fn held(&self) -> Vec<Held> {
        self.bindings
            .iter()
            .filter(|b| b["metadata"]["deletionTimestamp"].is_null())
            .map(|b| held(b))
            .collect()
    }
}

fn held(binding: &Value) -> Held {
    let spec = &binding["spec"];
    let phase = text(binding, &["status", "phase"]);
    let promise: Vec<(&str, &str)> = spec["promise"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)))
        .collect();
    let draining = text(spec, &["state"]) == "Draining";
    Held {
        request: RequestId::from(text(spec, &["placement", "uid"])),
        member: MemberId::from(text(spec, &["member", "id"])),
        state: if draining { State::Draining } else { State::Bound },
        cause: match text(spec, &["cause"]) {
            "Moved" => InCause::Moved,
            "Filled" => InCause::Filled,
            _ => InCause::Selected,
        },
        out: draining.then(|| out_cause(text(spec, &["cause"]))),
        group: text(spec, &["group"]).to_owned(),
        shares: items(spec, &["shares"])
            .iter()
            .map(|s| Share {
                target: text(s, &["target"]).to_owned(),
                replicas: s["replicas"].as_u64().and_then(|r| u32::try_from(r).ok()).unwrap_or(0),
            })
            .collect(),
        promise: Resources::of(promise).unwrap_or_default(),
        delivered: !phase.is_empty() && phase != "Decided",
        available: phase == "Available",
        hidden_since: None,
        eviction: None,
    }
}

fn out_cause(text: &str) -> OutCause {
    match text {
        "ScaleIn" => OutCause::ScaleIn,
        "NotMatched" => OutCause::NotMatched,
        "Drained" => OutCause::Drained,
        "MemberLeft" => OutCause::MemberLeft,
        "PlacementDeleted" => OutCause::PlacementDeleted,
        _ => OutCause::SpecChanged,
    }
}
