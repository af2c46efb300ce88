//! Containers of a host pod that its tenant knows nothing of: those that host admission added, and Skerry's own (PO30, PO36).

use crate::{
    facts::Facts,
    mapping::Mapping,
    object::{Fields, TenantObj, items, text},
    settings::Injected,
};

/// What kubelets say before they list containers.
const UNREADY: [&str; 3] =
    ["containers with unknown status", "containers with incomplete status", "containers with unready status"];

/// Whether the tenant is told of a container: its own always, what the host added where that is wanted, ours never.
pub(super) fn is_shown(name: &str, tenant: &TenantObj, facts: &Facts) -> bool {
    let lists = ["/spec/initContainers", "/spec/containers", "/spec/ephemeralContainers"];
    let own = lists.iter().flat_map(|list| items(&tenant.0, list)).any(|c| text(c, "name") == name);
    let show = facts.settings.to_host.pods.injected == Injected::Show;
    own || (show && name != Mapping::hosts_file(tenant.uid()).as_str())
}

/// What kubelets say of containers that are not ready, without those that are not shown; `None` when nothing is left of it.
/// Other messages stay as they are.
pub(super) fn without(message: &str, tenant: &TenantObj, facts: &Facts) -> Option<String> {
    let shown = |part: &str| {
        let list = part.split_once(": [").and_then(|(what, rest)| Some((what, rest.strip_suffix(']')?)));
        let Some((what, names)) = list.filter(|(what, _)| UNREADY.contains(what)) else {
            return Some(part.to_owned());
        };
        let names: Vec<&str> = names.split(' ').filter(|name| is_shown(name, tenant, facts)).collect();
        (!names.is_empty()).then(|| format!("{what}: [{}]", names.join(" ")))
    };
    let parts: Vec<String> = message.split(", ").filter_map(shown).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
