//! What a request head asks for: verb, resource, namespace, name, options.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::model::status::ApiStatus;

/// A parsed request head. Paths are those inside the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// Path without the tenant's prefix.
    pub path: String,
    /// API verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for paths that
    /// are no resource the HTTP method in lower case.
    pub verb: &'static str,
    /// The resource, unless the path is none.
    pub resource: Option<ResourcePath>,
    /// Query parameters.
    pub query: Query,
}

/// The resource part of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourcePath {
    /// API group, empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural.
    pub plural: String,
    /// Subresource with what follows it (`proxy/path`), empty for none.
    pub subresource: String,
    /// Namespace, empty for none.
    pub namespace: String,
    /// Name, empty for the collection.
    pub name: String,
}

/// Query parameters, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses the part after `?`.
    pub fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// First value of a parameter, empty when absent.
    pub fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v)
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// All parameters, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Whether the parameter is there.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| k == key)
    }

    /// Go's reading of a boolean parameter: `true`, `1` and an empty value mean yes.
    pub fn flag(&self, key: &str) -> bool {
        self.has(key) && !matches!(self.get(key), "false" | "0" | "False" | "FALSE" | "f" | "F")
    }

    /// A whole number, or a 400 that names the parameter.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, ApiStatus> {
        match self.get(key) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                ApiStatus::bad_request(format!("invalid value {text:?} of query parameter {key}"))
            }),
        }
    }
}

fn segments(path: &str) -> Result<Vec<String>, ApiStatus> {
    path.split('/')
        .filter(|s| !s.is_empty())
        .map(|s| percent_decode_str(s).decode_utf8().map(std::borrow::Cow::into_owned))
        .collect::<Result<_, _>>()
        .map_err(|_| ApiStatus::bad_request("path is not UTF-8"))
}

/// Subresources of a Namespace itself; anything else below `namespaces/<ns>/` is a resource in it.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

fn resource_path(parts: &[String]) -> Option<(ResourcePath, bool)> {
    let (group, version, rest) = match parts {
        [api, version, rest @ ..] if api == "api" => (String::new(), version.clone(), rest),
        [apis, group, version, rest @ ..] if apis == "apis" => (group.clone(), version.clone(), rest),
        _ => return None,
    };
    let (watch, rest) = match rest {
        [w, rest @ ..] if w == "watch" => (true, rest),
        rest => (false, rest),
    };
    let mut out = ResourcePath { group, version, ..ResourcePath::default() };
    let rest = match rest {
        [ns, name, plural, tail @ ..]
            if ns == "namespaces" && !NAMESPACE_SUBRESOURCES.contains(&plural.as_str()) =>
        {
            out.namespace = name.clone();
            out.plural = plural.clone();
            tail
        }
        [plural, tail @ ..] => {
            out.plural = plural.clone();
            tail
        }
        [] => return None,
    };
    if let [name, sub @ ..] = rest {
        out.name = name.clone();
        out.subresource = sub.join("/");
    }
    if out.plural == "namespaces" && out.group.is_empty() && !out.name.is_empty() {
        out.namespace = out.name.clone();
    }
    Some((out, watch))
}

fn verb_of(method: &Method, target: &ResourcePath, watch: bool) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if target.name.is_empty() => "deletecollection",
        Method::DELETE => "delete",
        _ if watch => "watch",
        _ if target.name.is_empty() => "list",
        _ => "get",
    }
}

fn method_verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "options",
    }
}

impl RequestInfo {
    /// Reads a head. `path` is the one inside the tenant.
    pub fn parse(method: &Method, path: &str, query: &str) -> Result<Self, ApiStatus> {
        let query = Query::parse(query);
        let parts = segments(path)?;
        let Some((mut target, legacy_watch)) = resource_path(&parts) else {
            return Ok(Self { path: path.to_owned(), verb: method_verb(method), resource: None, query });
        };
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        // A single object is watched by its legacy path only; elsewhere the parameter says nothing.
        let watch = is_read && (legacy_watch || (query.flag("watch") && target.name.is_empty()));
        let verb = verb_of(method, &target, watch);
        if matches!(verb, "list" | "watch" | "deletecollection")
            && target.name.is_empty()
            && let Some(name) = exact_name(query.get("fieldSelector"))
        {
            target.name = name;
        }
        Ok(Self { path: path.to_owned(), verb, resource: Some(target), query })
    }
}

/// `metadata.name=x` in a field selector narrows what must be allowed to that name.
fn exact_name(selector: &str) -> Option<String> {
    let parsed = crate::model::selector::FieldSelector::parse(selector).ok()?;
    parsed.exact("metadata.name").filter(|n| crate::model::names::is_path_segment(n)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, uri: &str, want: (&str, &str, &str, &str, &str)) {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let info = RequestInfo::parse(&method, path, query).unwrap();
        let r = info.resource.unwrap();
        assert_eq!((info.verb, &*r.plural, &*r.namespace, &*r.name, &*r.subresource), want, "{uri}");
    }

    #[test]
    fn heads_name_verb_and_target() {
        check(Method::GET, "/api/v1/pods", ("list", "pods", "", "", ""));
        check(Method::GET, "/api/v1/pods?watch=true", ("watch", "pods", "", "", ""));
        check(Method::GET, "/api/v1/watch/namespaces/a/pods", ("watch", "pods", "a", "", ""));
        check(Method::POST, "/apis/apps/v1/namespaces/a/deployments", ("create", "deployments", "a", "", ""));
        check(Method::GET, "/api/v1/namespaces/a/pods/p/log", ("get", "pods", "a", "p", "log"));
        check(Method::GET, "/api/v1/namespaces/a", ("get", "namespaces", "a", "a", ""));
        check(Method::PUT, "/api/v1/namespaces/a/finalize", ("update", "namespaces", "a", "a", "finalize"));
        check(
            Method::GET,
            "/api/v1/namespaces/a/services/s/proxy/x/y",
            ("get", "services", "a", "s", "proxy/x/y"),
        );
        check(
            Method::GET,
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
            ("get", "clusterroles", "", "system:node", ""),
        );
        check(Method::GET, "/api/v1/nodes?fieldSelector=metadata.name%3Dn1", ("list", "nodes", "", "n1", ""));
        check(Method::DELETE, "/api/v1/namespaces/a/pods", ("deletecollection", "pods", "a", "", ""));
        let version = RequestInfo::parse(&Method::GET, "/version", "").unwrap();
        assert!(version.resource.is_none() && version.verb == "get");
    }
}
