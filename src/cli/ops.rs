//! Plain HTTP of a process beside what it does: `/metrics`, `/livez`, `/readyz`, and, on loopback, `/debug/tenants/…`.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use skerry_apiserver::model::status::ApiStatus;
use skerry_apiserver::request::Query;
use skerry_syncer::SyncerHandle;
use skerry_telemetry::{Metrics, Shutdown};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::adapters::looks;
use super::exit::Failure;

/// Serves until the end; no address, no server.
pub async fn serve(
    address: Option<SocketAddr>,
    metrics: Metrics,
    shutdown: Shutdown,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let answers = move |request| std::future::ready(answer(&request, &metrics));
    listen("--metrics", address, shutdown, answers).await
}

/// Serves what the syncer knows of tenants, on loopback alone: whoever reaches it is answered.
pub async fn serve_debug(
    address: Option<SocketAddr>,
    syncer: SyncerHandle,
    shutdown: Shutdown,
) -> Result<Option<JoinHandle<()>>, Failure> {
    if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
        let why = "it asks nobody who they are, so it is served on loopback alone";
        return Err(Failure::Usage(format!("--debug-address {address}: {why}")));
    }
    let answers = move |request| {
        let syncer = syncer.clone();
        async move { debug(&syncer, &request).await }
    };
    listen("--debug-address", address, shutdown, answers).await
}

async fn listen<F>(
    flag: &str,
    address: Option<SocketAddr>,
    shutdown: Shutdown,
    answers: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> Result<Option<JoinHandle<()>>, Failure>
where
    F: Future<Output = (StatusCode, String)> + Send + 'static,
{
    let Some(address) = address else { return Ok(None) };
    let listener =
        TcpListener::bind(address).await.map_err(|e| Failure::Failed(format!("{flag} {address}: {e}")))?;
    Ok(Some(tokio::spawn(accept(listener, shutdown, answers))))
}

async fn accept<F>(
    listener: TcpListener,
    shutdown: Shutdown,
    answers: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = (StatusCode, String)> + Send + 'static,
{
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(failed) => {
                    tracing::debug!(error = %failed, "a connection was not accepted");
                    continue;
                }
            },
            () = shutdown.wait() => return,
        };
        let answers = answers.clone();
        let ending = shutdown.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answers(request);
                async move { Ok::<_, Infallible>(response(answer.await)) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                () = ending.wait() => {}
            }
        });
    }
}

fn response((status, body): (StatusCode, String)) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

async fn debug(syncer: &SyncerHandle, request: &Request<Incoming>) -> (StatusCode, String) {
    let path = request.uri().path().strip_prefix("/debug/tenants/");
    let answer = match path.and_then(|path| path.strip_suffix("/sync")) {
        Some(tenant) => {
            let query = Query::parse(request.uri().query().unwrap_or_default());
            looks::answer(syncer, tenant, request.method(), &query).await
        }
        None => Err(ApiStatus::no_such_resource()),
    };
    match answer {
        Ok(found) => (StatusCode::OK, found.to_string()),
        Err(refused) => {
            let code = StatusCode::from_u16(refused.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (code, refused.to_value().to_string())
        }
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> (StatusCode, String) {
    match request.uri().path() {
        "/metrics" => metrics
            .encode()
            .map_or((StatusCode::INTERNAL_SERVER_ERROR, String::new()), |t| (StatusCode::OK, t)),
        "/livez" | "/readyz" | "/healthz" => (StatusCode::OK, "ok".to_owned()),
        _ => (StatusCode::NOT_FOUND, "not found".to_owned()),
    }
}
