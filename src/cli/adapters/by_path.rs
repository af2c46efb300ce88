//! Clients of tenants by path of the shared API server, over one pool of connections: it is one server and one identity,
//! and a pool for each tenant would cost each its own handshakes and buffers.

use http::{Request, Uri, uri::PathAndQuery};
use kube::client::Body;
use kube::{Client, Config};

use crate::control_plane::embedded::SystemClients;

/// Clients by path of the shared API server.
pub struct ByPath {
    server: Client,
}

impl ByPath {
    /// Of a configuration whose URL is the server's own.
    pub fn new(config: Config) -> Result<Self, kube::Error> {
        Ok(Self { server: Client::try_from(config)? })
    }
}

impl SystemClients for ByPath {
    fn tenant(&self, id: &str) -> Option<Client> {
        let (server, start) = (self.server.clone(), format!("/clusters/{id}"));
        // What is no path is refused once, here, and not with each request.
        start.parse::<PathAndQuery>().ok()?;
        let service = tower::service_fn(move |mut request: Request<Body>| {
            let (server, uri) = (server.clone(), below(&start, request.uri()));
            async move {
                *request.uri_mut() = uri.map_err(kube::Error::HttpError)?;
                server.send(request).await
            }
        });
        Some(Client::new(service, "default"))
    }
}

/// The same path and query below another path.
fn below(start: &str, uri: &Uri) -> Result<Uri, http::Error> {
    let rest = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    Uri::builder().path_and_query(format!("{start}{rest}")).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_path_of_the_server() {
        let at = |uri: &str| below("/clusters/t1", &uri.parse().unwrap()).unwrap().to_string();
        assert_eq!(at("/api/v1/pods?watch=true&limit=5"), "/clusters/t1/api/v1/pods?watch=true&limit=5");
        assert_eq!(at("/version"), "/clusters/t1/version");
    }
}
