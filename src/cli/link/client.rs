//! The API server's end.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::Kubeconfig;
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::Value;
use skerry_kit::kubeconfig::{KubeconfigError, config};
use skerry_syncer::{Allocation, HostStream, PodStream, ReserveError, StreamError, StreamHead};

use super::{AUDIT_ID, FAILED, ROOT, TARGET};
use crate::cli::adapters::hosts::Hosts;

/// A call for addresses: the host's own limit of five seconds, and the way there.
const CALL: Duration = Duration::from_secs(7);
/// Most bytes of an answer that is read whole.
const ANSWER: usize = 256 * 1024;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The file cannot be read.
    #[error("the kubeconfig of the link cannot be read")]
    File(#[source] kube::config::KubeconfigError),
    /// It is not one that can be used.
    #[error(transparent)]
    Config(#[from] KubeconfigError),
    /// No client can be made of it.
    #[error("the kubeconfig of the link cannot be used")]
    Client(#[source] kube::Error),
}

/// A syncer elsewhere.
#[derive(Clone)]
pub struct Link(Client);

impl Link {
    /// A link by a kubeconfig: where the syncer listens, its authority, and our certificate. Nothing is dialled yet.
    pub async fn of(file: &Path) -> Result<Self, LinkError> {
        let file = Kubeconfig::read_from(file).map_err(LinkError::File)?;
        Self::with(config(file).await?)
    }

    /// The same by a configuration.
    pub fn with(mut config: Config) -> Result<Self, LinkError> {
        // A shell may be silent for hours; the API server ends it when it has been for too long.
        config.read_timeout = None;
        config.write_timeout = None;
        config.connect_timeout = Some(Duration::from_secs(5));
        Client::try_from(config).map(Self).map_err(LinkError::Client)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        tenant: &str,
        verb: &str,
        body: Vec<u8>,
    ) -> Result<T, ReserveError> {
        let request = Request::post(format!("{ROOT}{tenant}/services/{verb}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body));
        let answer = async {
            let response = self.0.send(request.ok()?).await.map_err(|error| said(verb, &error)).ok()?;
            let whole = Limited::new(response.into_body(), ANSWER).collect().await.ok()?.to_bytes();
            serde_json::from_slice::<Result<T, ReserveError>>(&whole).ok()
        };
        match tokio::time::timeout(CALL, answer).await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(_) => Err(ReserveError::Unavailable),
        }
    }
}

fn said(verb: &str, error: &kube::Error) {
    tracing::warn!(verb, %error, "the syncer does not answer");
}

#[async_trait]
impl Hosts for Link {
    async fn reserve(&self, tenant: &str, service: &Value) -> Result<Allocation, ReserveError> {
        self.ask(tenant, "reserve", service.to_string().into_bytes()).await
    }

    async fn update(&self, tenant: &str, service: &Value) -> Result<Allocation, ReserveError> {
        self.ask(tenant, "update", service.to_string().into_bytes()).await
    }

    async fn release(&self, tenant: &str, uid: &str) -> Result<(), ReserveError> {
        self.ask(tenant, "release", Value::from(uid).to_string().into_bytes()).await
    }

    async fn open(&self, tenant: &str, to: &PodStream, head: StreamHead) -> Result<HostStream, StreamError> {
        let path = format!("{ROOT}{tenant}/streams?{}", head.query);
        let request = Request::builder().method(head.method).uri(path).body(Body::from(head.body.to_vec()));
        let mut request = request.map_err(|error| {
            tracing::debug!(%error, "a stream's query is no URI");
            StreamError::Refused { code: 400, message: "the query cannot be passed on".to_owned() }
        })?;
        *request.headers_mut() = head.headers;
        let target = serde_json::to_vec(&(to, &head.server)).unwrap_or_default();
        for (name, value) in [(AUDIT_ID, head.audit_id.as_bytes()), (TARGET, &target)] {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request.headers_mut().insert(name, value);
            }
        }
        let mut answer = self.0.send(request).await.map_err(|error| {
            said(&to.subresource, &error);
            StreamError::Unreachable
        })?;
        match answer.status() {
            StatusCode::SWITCHING_PROTOCOLS => {
                let io = hyper::upgrade::on(&mut answer).await.map_err(|_| StreamError::Unreachable)?;
                Ok(HostStream::Switched { head: answer.map(drop), io: TokioIo::new(io) })
            }
            _ if answer.headers().contains_key(FAILED) => Err(failure(answer).await),
            status if status.is_success() => Ok(HostStream::Answer(answer)),
            status => {
                tracing::warn!(
                    code = status.as_u16(),
                    "the syncer's link answers in a way that is not its own"
                );
                Err(StreamError::Unreachable)
            }
        }
    }
}

async fn failure(answer: Response<Body>) -> StreamError {
    let whole = Limited::new(answer.into_body(), ANSWER).collect().await;
    let read = whole.ok().and_then(|whole| serde_json::from_slice(&whole.to_bytes()).ok());
    read.unwrap_or(StreamError::Unreachable)
}
