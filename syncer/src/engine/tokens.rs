//! Tokens of pods (PO20–PO22): asked of the tenant, bound to its pod, kept in a Secret that the host pod owns.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    cache::Side,
    carry::{Next, Pass, StepError},
    model::{Key, account_of},
};
use crate::{
    kind::Kind,
    kinds::{data, pod::token_sources},
    mapping::Mapping,
    object::{Fields, HostObj, TenantObj, entry},
};

/// When the tokens in a Secret are due, in seconds of our own clock since the epoch.
const DUE: &str = "skerry.dev/renew-after";
/// Seconds that the shortest of them lives.
const LIFE: &str = "skerry.dev/token-life";
/// UID of the ServiceAccount that they are of.
const ACCOUNT: &str = "skerry.dev/account-uid";
/// Life of a token that an API server grants at least.
const SHORTEST: i64 = 600;
/// Type of token Secrets.
const TYPE: &str = "skerry.dev/token";

/// For a pod with nothing else to do: when to look at its tokens again. `None`: they are due, or not known yet.
pub(super) fn waiting(pass: &Pass, key: &Key) -> Option<Option<Duration>> {
    let entry = pass.entry(key)?;
    match entry.tokens_due {
        Some(at) => {
            let left = at.saturating_duration_since(Instant::now());
            (!left.is_zero()).then_some(Some(left))
        }
        None => Some(None),
    }
}

/// Whether a host pod was made in this very pass.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Made {
    /// Just now: it has no Secret.
    Now,
    /// Before: its Secret may say when it is due.
    Before,
}

/// Makes or renews the token Secret of a pod; gives the time until the next renewal.
pub(super) async fn ensure(pass: &Pass, key: &Key, tenant: &TenantObj, host: &HostObj, made: Made) -> Next {
    let sources = token_sources(tenant, &pass.facts);
    if sources.is_empty() || tenant.deleting() {
        return Ok(None);
    }
    if let Some(Some(left)) = waiting(pass, key) {
        return Ok(Some(left));
    }
    let name = Mapping::token_secret(tenant.uid());
    let path = Kind::Secret.path(host.namespace(), name.as_str());
    let account = account_of(tenant);
    let account_uid = uid_of(pass, tenant.namespace(), account);
    let known = pass.entry(key).and_then(|e| e.tokens_due).is_some();
    if !known && made == Made::Before {
        // A pod of an earlier life: its Secret says when it is due.
        let found = pass.host().find(&path).await.map_err(StepError::Host)?;
        let now = jiff::Timestamp::now().as_second();
        if let Some(left) = found.map(HostObj).and_then(|secret| left(&secret, &account_uid, now)) {
            due(pass, key, left);
            return Ok(Some(left));
        }
    }
    let mut values = Map::new();
    let mut shortest = i64::MAX;
    for source in &sources {
        let mut spec = json!({"expirationSeconds": source.seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": tenant.name(), "uid": tenant.uid()}});
        if !source.audience.is_empty() {
            spec["audiences"] = json!([source.audience]);
        }
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let path = format!("{}/token", Kind::ServiceAccount.path(tenant.namespace(), account));
        pass.cost.one();
        let answer = pass.wire.create(&path, &body).await.map_err(StepError::Tenant)?;
        let token = answer.pointer("/status/token").and_then(Value::as_str).unwrap_or_default();
        let life =
            answer.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(source.seconds);
        shortest = shortest.min(life);
        values.insert(source.key.clone(), Value::from(STANDARD.encode(token)));
    }
    let left = renewal(shortest);
    let mut secret = secret(pass, tenant, host, name.as_str(), values, left);
    secret["metadata"]["annotations"][ACCOUNT] = Value::from(account_uid);
    secret["metadata"]["annotations"][LIFE] = Value::from(shortest.to_string());
    match pass.write(Side::Host, "apply", Kind::Secret, pass.host().apply(&path, &secret)).await {
        Ok(_) => {}
        Err(error) => {
            pass.engine.counts.add("tokens_renewed_total", error.category());
            return Err(StepError::Host(error.without_message()));
        }
    }
    pass.engine.counts.add("tokens_renewed_total", "ok");
    due(pass, key, left);
    Ok(Some(left))
}

/// 80 % of the life or 24 h, up to 10 % sooner.
fn renewal(life: i64) -> Duration {
    let seconds = (life.max(1) as f64 * 0.8).min(86_400.0);
    Duration::from_secs_f64(seconds * rand::random_range(0.9..=1.0))
}

fn due(pass: &Pass, key: &Key, left: Duration) {
    if let Some(entry) = pass.tenant.model.lock().entries.get_mut(key) {
        entry.tokens_due = Some(Instant::now() + left);
    }
}

/// The UID of a ServiceAccount that the model has seen.
fn uid_of(pass: &Pass, namespace: &str, name: &str) -> String {
    let seen = pass.entry(&Key::new(Kind::ServiceAccount, namespace, name)).and_then(|e| e.tenant);
    seen.map(|s| s.uid.to_string()).unwrap_or_default()
}

/// How long the tokens in a Secret may wait; those of a ServiceAccount that was made anew since may not.
///
/// The time was written by another clock, if another machine served the tenant before. It may bring the renewal forward,
/// but not put it off: at most the fifth of a life that is kept in reserve is waited (FM7).
fn left(secret: &HostObj, account: &str, now: i64) -> Option<Duration> {
    if secret.annotation(ACCOUNT).is_some_and(|issued| issued != account) {
        return None;
    }
    let at: i64 = secret.annotation(DUE)?.parse().ok()?;
    let life: i64 = secret.annotation(LIFE).and_then(|life| life.parse().ok()).unwrap_or(SHORTEST);
    let left = at.saturating_sub(now).min(life / 5);
    u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_secs)
}

fn secret(
    pass: &Pass,
    tenant: &TenantObj,
    host: &HostObj,
    name: &str,
    values: Map<String, Value>,
    left: Duration,
) -> Value {
    let mut secret = data::own(Kind::Secret, &pass.facts, host.namespace(), name, values).0;
    let at = jiff::Timestamp::now().as_second() + left.as_secs() as i64;
    if let Some(map) = secret.as_object_mut() {
        map.insert("type".to_owned(), Value::from(TYPE));
        let meta = entry(map, "metadata");
        entry(meta, "annotations").insert(DUE.to_owned(), Value::from(at.to_string()));
        entry(meta, "annotations").insert("skerry.dev/pod".to_owned(), Value::from(tenant.name()));
        let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": host.name(), "uid": host.uid()});
        meta.insert("ownerReferences".to_owned(), json!([owner]));
    }
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FM7: a clock that was ahead, or is behind, puts no renewal off beyond the reserve; one that was behind brings it
    /// forward.
    #[test]
    fn plan_fm7_another_clock_puts_no_renewal_off() {
        let secret = |due: i64| {
            let notes = json!({DUE: due.to_string(), LIFE: "3600", ACCOUNT: "a"});
            HostObj(json!({"metadata": {"annotations": notes}}))
        };
        let now = 1_000_000;
        for ahead in [2880, 100_000, i64::MAX] {
            let due = i64::saturating_add(now, ahead);
            assert_eq!(left(&secret(due), "a", now), Some(Duration::from_secs(720)), "{ahead}");
        }
        assert_eq!(left(&secret(now + 60), "a", now), Some(Duration::from_secs(60)));
        for behind in [now, now - 1, 0, i64::MIN] {
            assert_eq!(left(&secret(behind), "a", now), None, "{behind}");
        }
        assert_eq!(left(&secret(now + 60), "b", now), None);
    }

    /// PO22: 80 % of the life, up to a tenth sooner, at most a day.
    #[test]
    fn plan_renewal_leaves_more_than_the_kubelets_period() {
        for _ in 0..100 {
            let ten = renewal(600).as_secs_f64();
            assert!((432.0..=480.0).contains(&ten), "{ten}");
            assert!(renewal(864_000).as_secs() <= 86_400);
        }
    }
}
