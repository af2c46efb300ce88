//! Which objects go down at all, and the row of EN11 that applies to one.

use super::{
    carry::Pass,
    data,
    decide::{Action, HostSide, TenantSide, decide},
    decision::Decision,
    model::Key,
};
use crate::{
    kind::Kind,
    kinds::Translator,
    object::{Fields, TenantObj, selects},
    settings::Scope,
};

/// The tenant's side of the decision.
pub(super) fn tenant_side(
    pass: &Pass,
    key: &Key,
    tenant: Option<&TenantObj>,
    kind: &dyn Translator,
) -> TenantSide {
    let Some(tenant) = tenant else {
        return TenantSide::Unknown;
    };
    if tenant.deleting() {
        return TenantSide::Deleting;
    }
    if unwanted(pass, key, tenant).is_none() && kind.wanted(tenant, &pass.facts) {
        TenantSide::Present
    } else {
        TenantSide::Unwanted
    }
}

/// Why switches, templates, annotations or references keep the object from going down.
pub(super) fn unwanted(pass: &Pass, key: &Key, tenant: &TenantObj) -> Option<Decision> {
    if pass.facts.namespaces.get(&key.namespace).is_none_or(|fact| fact.template) {
        return Some(Decision::Template);
    }
    if tenant.annotation("skerry.dev/sync") == Some("false") {
        return Some(Decision::KeptAway);
    }
    let to_host = &pass.facts.settings.to_host;
    let off = |on: bool| (!on).then_some(Decision::SwitchedOff);
    match key.kind {
        Kind::Pod => off(to_host.pods.enabled),
        Kind::Service => off(to_host.services.enabled),
        Kind::EndpointSlice if data::selectorless(pass, key, tenant) => off(to_host.endpoint_slices.enabled),
        Kind::NetworkPolicy => off(to_host.network_policies.enabled),
        Kind::PersistentVolumeClaim => off(to_host.persistent_volume_claims.enabled),
        Kind::ConfigMap | Kind::Secret => {
            let rules = if key.kind == Kind::ConfigMap { &to_host.config_maps } else { &to_host.secrets };
            off(rules.enabled).or_else(|| {
                let sent = pass.tenant.model.lock().referenced(key)
                    || tenant.annotation("skerry.dev/sync") == Some("true")
                    || (rules.scope == Scope::All && selects(&rules.selector, |label| tenant.label(label)));
                (!sent).then_some(Decision::Unreferenced)
            })
        }
        _ => Some(Decision::NotForHosts),
    }
}

/// The row of EN11 that applies; `None`: what follows says it.
pub(super) fn row(
    pass: &Pass,
    key: &Key,
    (tenant, side): (Option<&TenantObj>, TenantSide),
    host: HostSide,
) -> Option<Decision> {
    let unwanted = || tenant.and_then(|tenant| unwanted(pass, key, tenant)).unwrap_or(Decision::NotForHosts);
    Some(match (decide(side, host), side) {
        (Action::Nothing | Action::DeleteHost, TenantSide::Unwanted) => unwanted(),
        (Action::Nothing, TenantSide::Deleting) => Decision::Deleting,
        (Action::Nothing, _) => Decision::Nothing,
        (Action::Create, _) => Decision::Create,
        (Action::DeleteHost, TenantSide::Deleting) => Decision::Deleting,
        (Action::DeleteHost, TenantSide::Present) => Decision::Older,
        (Action::DeleteHost, _) => Decision::Gone,
        (Action::Wait, _) => Decision::Ending,
        (Action::Confirm, _) => Decision::Unsure,
        (Action::Compare | Action::NameTaken | Action::NameCollision, _) => return None,
    })
}
