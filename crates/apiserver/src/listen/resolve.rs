//! Which tenant a request is for (G1-G4).

use http::{HeaderMap, Uri};

use super::serving::kubernetes_name;
use crate::identity::chain::Chain;
use crate::identity::{authn, jwt, x509};
use crate::model::status::{ApiStatus, Subject};
use crate::tenant::TenantId;

/// What a connection has proven, and where it comes from.
#[derive(Debug, Default)]
pub struct Conn {
    /// Address of the other end.
    pub peer: Option<std::net::SocketAddr>,
    /// Server name of the handshake, lower case.
    pub sni: Option<String>,
    /// What the client showed of itself.
    pub chain: Chain,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To a tenant; the path inside it.
    Tenant(TenantId, String),
    /// To the hub, if this process holds it.
    Hub(String),
    /// To the process itself: `/skerry/…`, `/shards…`.
    Process,
}

/// What resolution asks about the installation.
pub struct Names<'a> {
    /// Tenants answer under `<id>.<base_domain>`; empty for none.
    pub base_domain: &'a str,
    /// The tenant that a host name belongs to.
    pub of_host: &'a (dyn Fn(&str) -> Option<TenantId> + Sync),
}

/// 404 of an id that is none, or of no tenant.
pub fn unknown(id: &str) -> ApiStatus {
    ApiStatus::not_found(Subject { group: "skerry.dev", plural: "virtualclusters", name: id })
}

/// What a host name says.
#[derive(PartialEq, Eq)]
enum Said {
    Nothing,
    Tenant(TenantId),
    Kubernetes,
}

fn said(names: &Names<'_>, host: Option<&str>) -> Result<Said, ApiStatus> {
    let Some(host) = host else { return Ok(Said::Nothing) };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if kubernetes_name(&host).is_some() {
        return Ok(Said::Kubernetes);
    }
    if let Some(id) = (names.of_host)(&host) {
        return Ok(Said::Tenant(id));
    }
    let label = (!names.base_domain.is_empty())
        .then(|| host.strip_suffix(names.base_domain)?.strip_suffix('.'))
        .flatten();
    match label {
        None => Ok(Said::Nothing),
        Some(label) => label.parse().map(Said::Tenant).map_err(|_| unknown(label)),
    }
}

/// Splits `/clusters/<id>/rest`. The tenant part is taken as it stands: nothing in it is decoded or normalised (G4).
fn of_path(path: &str) -> Result<Option<(TenantId, String)>, ApiStatus> {
    let Some(rest) = path.strip_prefix("/clusters/") else {
        // What decodes or normalises to the prefix is not it.
        let looks_like = |part: &str| part.eq_ignore_ascii_case("clusters") || part.contains('%');
        let first = path.split('/').find(|part| !part.is_empty() && *part != "." && *part != "..");
        let is_odd = first.is_some_and(looks_like) || path.starts_with("//") || path.starts_with("/.");
        return if is_odd { Err(ApiStatus::no_such_resource()) } else { Ok(None) };
    };
    let (id, inside) = rest.split_once('/').map_or((rest, ""), |(id, inside)| (id, inside));
    let tenant = id.parse().map_err(|_| unknown(id))?;
    if inside.starts_with('/') || inside.split('/').any(|part| part == "." || part == "..") {
        return Err(ApiStatus::no_such_resource());
    }
    Ok(Some((tenant, format!("/{inside}"))))
}

/// The host of `:authority` or `Host`, without its port.
pub fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let whole = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(http::header::HOST)?.to_str().ok()?,
    };
    let host = whole.rsplit_once('@').map_or(whole, |(_, host)| host);
    if host.starts_with('[') {
        return host.split(']').next();
    }
    Some(host.split(':').next().unwrap_or(host))
}

/// The tenant that a credential itself names: `iss` of the token, issuer of the certificate. It only routes; the
/// credential must then verify with that tenant's keys.
fn hint(conn: &Conn, headers: &HeaderMap) -> Option<TenantId> {
    let of_token = || {
        let token = authn::bearer(headers)?.ok()?;
        jwt::unverified_issuer(token)?.rsplit('/').next()?.parse().ok()
    };
    of_token().or_else(|| x509::issuer_hint(conn.chain.leaf()?))
}

/// Resolves a request.
pub fn resolve(conn: &Conn, uri: &Uri, headers: &HeaderMap, names: &Names<'_>) -> Result<Route, ApiStatus> {
    let path = uri.path();
    let is_own = |own: &str| path == own || path.strip_prefix(own).is_some_and(|rest| rest.starts_with('/'));
    if is_own("/skerry") || is_own("/shards") {
        return Ok(Route::Process);
    }
    let by_path = of_path(path)?;
    let by_sni = said(names, conn.sni.as_deref())?;
    let by_authority = said(names, authority(uri, headers))?;

    let mut named = by_path.as_ref().map(|(id, _)| *id);
    for said in [&by_sni, &by_authority] {
        if let Said::Tenant(id) = said {
            if named.is_some_and(|other| other != *id) {
                let message = "path, server name and authority name different virtual clusters";
                return Err(ApiStatus::plain(421, "MisdirectedRequest", message));
            }
            named = Some(*id);
        }
    }
    if let Some((id, inside)) = by_path {
        return Ok(Route::Tenant(id, inside));
    }
    let inside = path.to_owned();
    if let Some(id) = named {
        return Ok(Route::Tenant(id, inside));
    }
    let asked_kubernetes =
        by_sni == Said::Kubernetes || (conn.sni.is_none() && by_authority == Said::Kubernetes);
    if asked_kubernetes || conn.sni.is_none() {
        match hint(conn, headers) {
            Some(id) => return Ok(Route::Tenant(id, inside)),
            None if asked_kubernetes => return Err(ApiStatus::unauthorized()),
            None => {}
        }
    }
    Ok(Route::Hub(inside))
}

/// Whether the tenant was only hinted at, so that an unknown one is a 401 (G2) or the hub's affair.
pub fn is_hinted(conn: &Conn, uri: &Uri, headers: &HeaderMap, names: &Names<'_>) -> bool {
    let names_one = |host| matches!(said(names, host), Ok(Said::Tenant(_)));
    !uri.path().starts_with("/clusters/")
        && !names_one(conn.sni.as_deref())
        && !names_one(authority(uri, headers))
}

#[cfg(test)]
mod tests;
