//! The ledger of a tenant's quota on its host (PO45): reserved before a create, released on refusal, rebuilt from lists.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use skerry_api::quantity;

use crate::{
    kind::Kind,
    object::{Fields, HostObj, items},
    refusal::{Reason, Refusal},
};

/// One of a thing that is counted, in billionths.
const ONE: i128 = 1_000_000_000;

/// What an object counts for, in billionths.
pub(crate) fn figures(kind: Kind, host: &HostObj) -> Box<[(Arc<str>, i128)]> {
    let mut out: BTreeMap<Arc<str>, i128> = BTreeMap::new();
    match kind {
        Kind::Pod => pod(host, &mut out),
        Kind::PersistentVolumeClaim => {
            out.insert("persistentvolumeclaims".into(), ONE);
            if let Some(size) =
                host.value().pointer("/spec/resources/requests/storage").and_then(quantity::of)
            {
                out.insert("requests.storage".into(), size);
            }
        }
        Kind::Service => {
            out.insert("services".into(), ONE);
            out.insert("count/services".into(), ONE);
            match host.text("/spec/type") {
                "NodePort" => drop(out.insert("services.nodeports".into(), ONE)),
                "LoadBalancer" => drop(out.insert("services.loadbalancers".into(), ONE)),
                _ => {}
            }
        }
        Kind::ConfigMap => drop(out.insert("count/configmaps".into(), ONE)),
        Kind::Secret => drop(out.insert("count/secrets".into(), ONE)),
        _ => {}
    }
    out.into_iter().collect()
}

fn pod(host: &HostObj, out: &mut BTreeMap<Arc<str>, i128>) {
    if matches!(host.text("/status/phase"), "Succeeded" | "Failed") {
        return;
    }
    out.insert("pods".into(), ONE);
    out.insert("count/pods".into(), ONE);
    for side in ["requests", "limits"] {
        for resource in ["cpu", "memory", "ephemeral-storage"] {
            let one = |container: &Value| {
                container.pointer(&format!("/resources/{side}/{resource}")).and_then(quantity::of)
            };
            let sum: i128 = items(&host.0, "/spec/containers").iter().filter_map(one).sum();
            let init: i128 =
                items(&host.0, "/spec/initContainers").iter().filter_map(one).max().unwrap_or_default();
            if sum.max(init) > 0 {
                out.insert(format!("{side}.{resource}").into(), sum.max(init));
                if side == "requests" {
                    out.insert(resource.into(), sum.max(init));
                }
            }
        }
    }
}

/// Adds figures to what is used, or takes them off.
pub(crate) fn add(used: &mut BTreeMap<Arc<str>, i128>, figures: &[(Arc<str>, i128)], sign: i128) {
    for (name, figure) in figures {
        *used.entry(name.clone()).or_default() += sign * figure;
    }
}

/// Takes figures into use, or says what is exceeded.
pub(crate) fn reserve(
    used: &mut BTreeMap<Arc<str>, i128>,
    quota: &BTreeMap<String, String>,
    figures: &[(Arc<str>, i128)],
) -> Result<(), Refusal> {
    for (name, figure) in figures {
        let Some(limit) = quota.get(&**name) else { continue };
        let Some(hard) = quantity::parse(limit) else { continue };
        let now = used.get(name).copied().unwrap_or_default();
        if now + figure > hard {
            let message = format!(
                "exceeded quota: skerry, requested: {name}={}, used: {name}={}, limited: {name}={limit}",
                quantity::format(*figure),
                quantity::format(now)
            );
            return Err(Refusal::new(Reason::QuotaExceeded, message));
        }
    }
    add(used, figures, 1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// SY-65, its pure part: exactly ten of fifty, the next after a release.
    #[test]
    fn plan_sy65_the_ledger_does_not_overshoot() {
        let quota: BTreeMap<String, String> =
            [("pods".to_owned(), "10".to_owned()), ("requests.cpu".to_owned(), "2".to_owned())].into();
        let pod = HostObj(json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "100m"}}}]}}));
        let figures = figures(Kind::Pod, &pod);
        let mut used = BTreeMap::new();
        let fine = (0..50).filter(|_| reserve(&mut used, &quota, &figures).is_ok()).count();
        assert_eq!(fine, 10);
        let refusal = reserve(&mut used, &quota, &figures).expect_err("full");
        assert!(
            refusal.message.contains("pods=1") && refusal.message.contains("limited: pods=10"),
            "{refusal}"
        );
        add(&mut used, &figures, -1);
        assert!(reserve(&mut used, &quota, &figures).is_ok());
        let large = HostObj(json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1500m"}}}]}}));
        add(&mut used, &figures, -1);
        assert!(
            reserve(&mut used, &quota, &super::figures(Kind::Pod, &large)).is_err(),
            "0.9 and 1.5 exceed 2"
        );
        // What Skerry puts before a pod counts as any init container does.
        let small = json!({"spec": {"initContainers": [{"resources": {"requests": {"cpu": "5m"}}}], "containers": [{}]}});
        let five_thousandths = super::figures(Kind::Pod, &HostObj(small));
        assert!(
            five_thousandths.iter().any(|(name, figure)| **name == *"requests.cpu" && *figure == ONE / 200)
        );
        let ended = HostObj(json!({"status": {"phase": "Succeeded"}}));
        assert!(super::figures(Kind::Pod, &ended).is_empty());
    }
}
