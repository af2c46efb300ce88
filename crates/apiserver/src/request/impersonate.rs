//! Acting as somebody else (stage 6): each part of the other identity needs verb `impersonate`.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::access::{self, Attributes};
use crate::identity::{AUTHENTICATED, Identity, is_reserved};
use crate::model::status::{ApiStatus, Subject};
use crate::tenant::Tenant;

fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect()
}

fn allowed(
    tenant: &Tenant,
    who: &Identity,
    resource: &str,
    name: &str,
    extra: &str,
) -> Result<(), ApiStatus> {
    let (namespace, name_only) = match (resource, name.split_once(':')) {
        ("serviceaccounts", Some((namespace, rest))) => (namespace, rest),
        _ => ("", name),
    };
    let group = if matches!(resource, "userextras" | "uids") { "authentication.k8s.io" } else { "" };
    let attributes = Attributes {
        verb: "impersonate",
        group,
        version: if group.is_empty() { "" } else { "v1" },
        resource,
        subresource: extra,
        namespace,
        name: name_only,
        path: None,
    };
    if is_reserved(name) && !who.is_system() {
        let subject = Subject { group, plural: resource, name };
        return Err(ApiStatus::forbidden(subject, "names beginning skerry: or hub: are reserved"));
    }
    access::authorize(tenant, who, &attributes).map_err(|denied| {
        ApiStatus::forbidden(Subject { group, plural: resource, name: name_only }, &denied.0)
    })
}

/// The identity a request acts under.
pub fn effective(tenant: &Tenant, who: Identity, headers: &HeaderMap) -> Result<Identity, ApiStatus> {
    let user = all(headers, "impersonate-user").first().copied().unwrap_or_default();
    let groups = all(headers, "impersonate-group");
    let uid = all(headers, "impersonate-uid").first().copied().unwrap_or_default();
    let extra: Vec<(String, &str)> = headers
        .iter()
        .filter_map(|(name, value)| {
            let key = name.as_str().strip_prefix("impersonate-extra-")?;
            Some((percent_decode_str(key).decode_utf8_lossy().into_owned(), value.to_str().ok()?))
        })
        .collect();
    if user.is_empty() {
        if groups.is_empty() && uid.is_empty() && extra.is_empty() {
            return Ok(who);
        }
        let why = "requested impersonation without impersonating a user";
        return Err(ApiStatus::internal(why));
    }
    let account = user.strip_prefix("system:serviceaccount:");
    match account {
        Some(account) => allowed(tenant, &who, "serviceaccounts", account, "")?,
        None => allowed(tenant, &who, "users", user, "")?,
    }
    for group in &groups {
        allowed(tenant, &who, "groups", group, "")?;
    }
    if !uid.is_empty() {
        allowed(tenant, &who, "uids", uid, "")?;
    }
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in extra {
        allowed(tenant, &who, "userextras", value, &key)?;
        map.entry(key).or_default().push(value.to_owned());
    }
    let mut groups: Vec<String> = groups.into_iter().map(str::to_owned).collect();
    if let (Some((namespace, _)), true) = (account.and_then(|a| a.split_once(':')), groups.is_empty()) {
        groups = vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
    }
    if !groups.iter().any(|g| g == AUTHENTICATED) {
        groups.push(AUTHENTICATED.into());
    }
    Ok(Identity { user: user.to_owned(), uid: uid.to_owned(), groups, extra: map })
}
