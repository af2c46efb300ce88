//! `/metrics`, `/livez`, `/readyz` of a process that serves nothing else.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use skerry_telemetry::{Metrics, Shutdown};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::exit::Failure;

/// Serves until the end; no address, no server.
pub async fn serve(
    address: Option<SocketAddr>,
    metrics: Metrics,
    shutdown: Shutdown,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let Some(address) = address else { return Ok(None) };
    let listener =
        TcpListener::bind(address).await.map_err(|e| Failure::Failed(format!("--metrics {address}: {e}")))?;
    Ok(Some(tokio::spawn(accept(listener, metrics, shutdown))))
}

async fn accept(listener: TcpListener, metrics: Metrics, shutdown: Shutdown) {
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
        let metrics = metrics.clone();
        let ending = shutdown.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, metrics.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                () = ending.wait() => {}
            }
        });
    }
}

async fn answer(request: Request<Incoming>, metrics: Metrics) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match request.uri().path() {
        "/metrics" => metrics
            .encode()
            .map_or((StatusCode::INTERNAL_SERVER_ERROR, String::new()), |t| (StatusCode::OK, t)),
        "/livez" | "/readyz" | "/healthz" => (StatusCode::OK, "ok".to_owned()),
        _ => (StatusCode::NOT_FOUND, "not found".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    Ok(response)
}
