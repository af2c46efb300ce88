//! Objects of any kind over one client: lists, patches and deletes by path, where the kind is only known at run time.

use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

/// Text at a path of member names, empty when absent.
pub fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    path.iter().try_fold(value, |v, key| v.get(key)).and_then(Value::as_str).unwrap_or_default()
}

/// Items at a path of member names, none when absent.
pub fn items<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    path.iter()
        .try_fold(value, |v, key| v.get(key))
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// A kind as a server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Plural.
    pub plural: String,
    /// Objects live in namespaces.
    pub namespaced: bool,
}

impl Served {
    /// Path of a collection or object; empty parts are left out.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        let mut path = format!("{root}/{}", self.api_version);
        if self.namespaced && !namespace.is_empty() {
            path.push_str(&format!("/namespaces/{namespace}"));
        }
        path.push_str(&format!("/{}", self.plural));
        if !name.is_empty() {
            path.push_str(&format!("/{name}"));
        }
        path
    }
}

async fn send(
    client: &Client,
    method: Method,
    path: &str,
    media: &str,
    body: Option<&Value>,
) -> Result<Value, kube::Error> {
    let bytes = match body {
        Some(value) => serde_json::to_vec(value).map_err(kube::Error::SerdeError)?,
        None => Vec::new(),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, media)
        .body(bytes)
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

/// Objects of a collection; each with `apiVersion` and `kind`.
pub async fn list(client: &Client, path: &str) -> Result<Vec<Value>, kube::Error> {
    let list = send(client, Method::GET, path, "application/json", None).await?;
    let kind = text(&list, &["kind"]).strip_suffix("List").unwrap_or_default().to_owned();
    let version = text(&list, &["apiVersion"]).to_owned();
    let mut objects = items(&list, &["items"]).to_vec();
    for object in objects.iter_mut().filter(|o| o.get("kind").is_none()) {
        object["kind"] = kind.as_str().into();
        object["apiVersion"] = version.as_str().into();
    }
    Ok(objects)
}

/// The same, where the kind may not be served at all.
pub async fn list_if_served(client: &Client, path: &str) -> Result<Vec<Value>, kube::Error> {
    match list(client, path).await {
        Err(error) if skerry_kit::error::is_not_found(&error) => Ok(Vec::new()),
        other => other,
    }
}

/// One object, if it is there.
pub async fn get(client: &Client, path: &str) -> Result<Option<Value>, kube::Error> {
    skerry_kit::error::optional(send(client, Method::GET, path, "application/json", None).await)
}

/// POST.
pub async fn create(client: &Client, path: &str, object: &Value) -> Result<Value, kube::Error> {
    send(client, Method::POST, path, "application/json", Some(object)).await
}

/// PUT.
pub async fn replace(client: &Client, path: &str, object: &Value) -> Result<Value, kube::Error> {
    send(client, Method::PUT, path, "application/json", Some(object)).await
}

/// Merge patch.
pub async fn merge(client: &Client, path: &str, patch: &Value) -> Result<Value, kube::Error> {
    send(client, Method::PATCH, path, "application/merge-patch+json", Some(patch)).await
}

/// Server-side apply; `force` takes fields of others.
pub async fn apply(
    client: &Client,
    path: &str,
    manager: &str,
    force: bool,
    object: &Value,
) -> Result<Value, kube::Error> {
    let path = format!("{path}?fieldManager={manager}&force={force}");
    send(client, Method::PATCH, &path, "application/apply-patch+yaml", Some(object)).await
}

/// What server-side apply by force would leave; nothing is written.
pub async fn would_apply(
    client: &Client,
    path: &str,
    manager: &str,
    object: &Value,
) -> Result<Value, kube::Error> {
    let path = format!("{path}?fieldManager={manager}&force=true&dryRun=All");
    send(client, Method::PATCH, &path, "application/apply-patch+yaml", Some(object)).await
}

/// Takes fields out of an object that still has `version`, in the order given.
pub async fn remove_fields(
    client: &Client,
    path: &str,
    manager: &str,
    version: &str,
    pointers: &[String],
) -> Result<Value, kube::Error> {
    let mut patch = vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": version})];
    patch.extend(pointers.iter().map(|at| json!({"op": "remove", "path": at})));
    let path = format!("{path}?fieldManager={manager}");
    send(client, Method::PATCH, &path, "application/json-patch+json", Some(&patch.into())).await
}

/// DELETE of that very object; one that is gone or another one by now is fine.
pub async fn delete(client: &Client, path: &str, uid: &str) -> Result<(), kube::Error> {
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
                         "preconditions": {"uid": uid}});
    match send(client, Method::DELETE, path, "application/json", Some(&options)).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        other => other.map(drop),
    }
}

/// Finds how a kind of a group is served: the preferred version's row.
pub async fn served(client: &Client, group: &str, kind: &str) -> Result<Option<Served>, kube::Error> {
    let versions = match group {
        "" => vec!["v1".to_owned()],
        group => match get(client, &format!("/apis/{group}")).await? {
            Some(found) => {
                items(&found, &["versions"]).iter().map(|v| text(v, &["groupVersion"]).to_owned()).collect()
            }
            None => Vec::new(),
        },
    };
    for version in versions {
        let root = if version.contains('/') { "/apis" } else { "/api" };
        let Some(rows) = get(client, &format!("{root}/{version}")).await? else { continue };
        let row = items(&rows, &["resources"])
            .iter()
            .find(|r| text(r, &["kind"]) == kind && !text(r, &["name"]).contains('/'));
        if let Some(row) = row {
            return Ok(Some(Served {
                api_version: version,
                kind: kind.to_owned(),
                plural: text(row, &["name"]).to_owned(),
                namespaced: row.get("namespaced") == Some(&Value::Bool(true)),
            }));
        }
    }
    Ok(None)
}

/// Every kind that can be listed and deleted, one version each.
pub async fn everything(client: &Client) -> Result<Vec<Served>, kube::Error> {
    let mut versions = vec!["v1".to_owned()];
    let groups = get(client, "/apis").await?.unwrap_or_default();
    versions.extend(
        items(&groups, &["groups"]).iter().map(|g| text(g, &["preferredVersion", "groupVersion"]).to_owned()),
    );
    let mut out = Vec::new();
    for version in versions {
        let root = if version.contains('/') { "/apis" } else { "/api" };
        // A group whose server is away is left out: its objects cannot be named either.
        let Ok(Some(rows)) = get(client, &format!("{root}/{version}")).await else { continue };
        for row in items(&rows, &["resources"]) {
            let can = |verb: &str| items(row, &["verbs"]).iter().any(|v| v.as_str() == Some(verb));
            if can("list") && can("delete") && !text(row, &["name"]).contains('/') {
                out.push(Served {
                    api_version: version.clone(),
                    kind: text(row, &["kind"]).to_owned(),
                    plural: text(row, &["name"]).to_owned(),
                    namespaced: row.get("namespaced") == Some(&Value::Bool(true)),
                });
            }
        }
    }
    Ok(out)
}
