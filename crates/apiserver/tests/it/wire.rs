//! A server behind a real socket, and a client whose server name, certificate and paths are chosen freely.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use skerry_apiserver::config::ServerConfig;
use skerry_apiserver::identity::pki::{Authority, Subject};
use skerry_apiserver::listen::{Builder, Server};
use skerry_apiserver::tenant::TenantId;
use tokio::net::{TcpListener, TcpSocket};

/// A client certificate with its key, PEM.
#[derive(Clone)]
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

pub struct Wire {
    pub server: Arc<Server>,
    pub address: SocketAddr,
    pub system: Certificate,
}

/// How a connection is made.
#[derive(Clone, Default)]
pub struct As {
    pub sni: Option<String>,
    pub certificate: Option<Certificate>,
    pub token: Option<String>,
    /// The address it comes from, which failed authentications are counted by.
    pub from: Option<IpAddr>,
}

pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    pub token: Option<String>,
}

pub struct Answer {
    pub code: u16,
    pub body: Value,
}

pub fn memory() -> ServerConfig {
    ServerConfig::from_yaml("{store: {backend: memory}, serving: {baseDomain: k.example.com}}").unwrap()
}

pub fn on_disk(folder: &Path) -> ServerConfig {
    let tree =
        json!({ "store": { "redb": { "path": folder } }, "serving": { "baseDomain": "k.example.com" } });
    ServerConfig::from_value(&tree).unwrap()
}

impl Wire {
    pub async fn new() -> Self {
        Self::with(memory(), Builder::without_controllers).await
    }

    pub async fn with(config: ServerConfig, more: impl FnOnce(Builder) -> Builder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let authority = Authority::generate("system").unwrap();
        let subject = Subject { user: "skerry:manager".into(), ..Subject::default() };
        let (leaf, key) = authority.client(&subject, Duration::from_secs(3600)).unwrap();
        let builder =
            Server::builder().config(config).advertise(address).system_authority(authority.to_pem());
        let server = more(builder).build().await.unwrap();
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(listener).await });
        Self { server, address, system: Certificate { chain: leaf.to_pem(), key: key.to_pem() } }
    }

    pub fn system(&self) -> As {
        As { certificate: Some(self.system.clone()), ..As::default() }
    }

    pub async fn connect(&self, how: As) -> Connection {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.server.serving_authority().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match &how.certificate {
            None => config.with_no_client_auth(),
            Some(certificate) => {
                let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes())
                    .map(Result::unwrap)
                    .collect();
                let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let host = how.sni.unwrap_or_else(|| self.address.ip().to_string());
        let name = ServerName::try_from(host.clone()).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(from) = how.from {
            socket.bind(SocketAddr::new(from, 0)).unwrap();
        }
        let stream = socket.connect(self.address).await.unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Connection { sender, host, token: how.token }
    }

    /// One request of a system identity.
    pub async fn admin(&self, method: Method, path: &str, body: Value) -> Answer {
        self.connect(self.system()).await.send(method, path, Some(body)).await
    }

    /// A new tenant by the admin API.
    pub async fn tenant(&self, uid: &str) -> TenantId {
        let id = TenantId::of_uid(uid);
        let made = self.admin(Method::PUT, &format!("/skerry/v1/tenants/{id}"), json!({ "uid": uid })).await;
        assert_eq!(made.code, 201, "{}", made.body);
        id
    }

    async fn credential(&self, id: TenantId, kind: &str) -> Value {
        let asked = json!({ "user": "hub:credential:owner", "groups": ["hub:role:admins"], "kind": kind });
        let path = format!("/skerry/v1/tenants/{id}/credentials");
        let made = self.admin(Method::POST, &path, asked).await;
        assert_eq!(made.code, 201, "{}", made.body);
        made.body
    }

    pub async fn owner(&self, id: TenantId) -> As {
        let made = self.credential(id, "certificate").await;
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let certificate = Certificate { chain: text("certificate"), key: text("key") };
        As { certificate: Some(certificate), ..As::default() }
    }

    pub async fn owner_token(&self, id: TenantId) -> String {
        self.credential(id, "token").await["token"].as_str().unwrap().to_owned()
    }
}

impl Connection {
    pub async fn open(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> http::Response<Incoming> {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let bytes = body.map(|b| b.to_string()).unwrap_or_default();
        let request = request.header("content-type", "application/json").body(Full::from(bytes)).unwrap();
        self.sender.ready().await.unwrap();
        self.sender.send_request(request).await.unwrap()
    }

    pub async fn raw(&mut self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        self.sender.ready().await.unwrap();
        self.sender.send_request(request).await.unwrap()
    }

    pub async fn send(&mut self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let response = self.open(method, path, body).await;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { code, body }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }
}
