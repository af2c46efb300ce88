//! What a provider makes of a spec: version, store, capabilities (tenancy P3, P7). No client.

use skerry_api::class::Offer;
use skerry_api::virtual_cluster::reasons::provisioned as reason;
use skerry_api::virtual_cluster::{ProviderType, VirtualClusterSpec};
use skerry_kit::Capability;

use crate::provision::Refusal;

/// What the installation's providers have.
#[derive(Clone, Debug)]
pub struct ProviderFacts {
    /// Version that the embedded server serves.
    pub embedded_version: String,
    /// Stores of the embedded server.
    pub stores: Vec<String>,
}

impl Default for ProviderFacts {
    fn default() -> Self {
        Self { embedded_version: "v1.36.3".to_owned(), stores: vec!["default".to_owned()] }
    }
}

/// What is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderPlan {
    /// Provider.
    pub kind: ProviderType,
    /// Version; empty for one that is only found out by asking.
    pub version: String,
    /// Store; empty for providers without.
    pub store: String,
    /// What it can do.
    pub capabilities: Vec<Capability>,
}

/// Plans, or refuses with `VersionUnsupported` or `StoreNotOffered`.
pub fn plan_provider(
    spec: &VirtualClusterSpec,
    offers: Option<&[Offer]>,
    facts: &ProviderFacts,
) -> Result<ProviderPlan, Refusal> {
    let control_plane = spec.control_plane.as_ref();
    let kind = control_plane.and_then(|c| c.kind).unwrap_or(ProviderType::Embedded);
    let offer = match offers {
        Some(offers) if !offers.is_empty() => {
            Some(offers.iter().find(|o| o.kind == kind).ok_or_else(|| {
                let list = offers.iter().map(|o| o.kind.as_str()).collect::<Vec<_>>().join(", ");
                Refusal::invalid(format!("spec.controlPlane.type: the class offers {list}, not {kind}"))
            })?)
        }
        _ => None,
    };
    match kind {
        ProviderType::Embedded => {
            let wanted = control_plane.and_then(|c| c.version.as_deref()).unwrap_or_default();
            let store = control_plane.and_then(|c| c.embedded.as_ref()?.store.as_deref()).unwrap_or_default();
            Ok(ProviderPlan {
                kind,
                version: embedded_version(wanted, offer, facts)?,
                store: embedded_store(store, offer, facts)?,
                capabilities: vec![
                    Capability::InProcess,
                    Capability::WildcardWatch,
                    Capability::ReadOnly,
                    Capability::TemplateNamespaces,
                ],
            })
        }
        ProviderType::External => {
            Ok(ProviderPlan { kind, version: String::new(), store: String::new(), capabilities: Vec::new() })
        }
    }
}

fn minor(version: &str) -> &str {
    let plain = version.trim_start_matches('v');
    match plain.match_indices('.').nth(1) {
        Some((second, _)) => &plain[..second],
        None => plain,
    }
}

fn embedded_version(wanted: &str, offer: Option<&Offer>, facts: &ProviderFacts) -> Result<String, Refusal> {
    let served = minor(&facts.embedded_version);
    let offered =
        offer.is_none_or(|o| o.versions.is_empty() || o.versions.iter().any(|v| minor(v) == served));
    let matches =
        wanted.is_empty() || wanted == facts.embedded_version || wanted.trim_start_matches('v') == served;
    if offered && matches {
        return Ok(facts.embedded_version.clone());
    }
    let text =
        format!("spec.controlPlane.version: {wanted:?} is not offered; offered: {}", facts.embedded_version);
    Err(Refusal::new(reason::VERSION_UNSUPPORTED, text))
}

fn embedded_store(wanted: &str, offer: Option<&Offer>, facts: &ProviderFacts) -> Result<String, Refusal> {
    let offered: Vec<&str> = match offer {
        Some(offer) if !offer.stores.is_empty() => {
            offer.stores.iter().map(String::as_str).filter(|s| facts.stores.iter().any(|f| f == s)).collect()
        }
        _ => facts.stores.iter().map(String::as_str).collect(),
    };
    let found = if wanted.is_empty() { offered.first() } else { offered.iter().find(|s| **s == wanted) };
    found.map(|s| (*s).to_owned()).ok_or_else(|| {
        let text = format!(
            "spec.controlPlane.embedded.store: {wanted:?} is not offered; offered: {}",
            offered.join(", ")
        );
        Refusal::new(reason::STORE_NOT_OFFERED, text)
    })
}
