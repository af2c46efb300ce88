//! The wire between the executor and its members: a record of every request, and a switch that makes writes fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;

/// The wire to one cluster.
#[derive(Clone, Default)]
pub struct Wire {
    record: Arc<Mutex<Vec<(Method, String)>>>,
    broken: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
    /// Writes that still go through; none: all do.
    writes: Arc<Mutex<Option<usize>>>,
}

impl Wire {
    /// A client that goes over this wire.
    pub fn over(&self, client: Client) -> Client {
        let wire = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (wire, client) = (wire.clone(), client.clone());
            async move {
                let (method, uri) = (request.method().clone(), request.uri().to_string());
                wire.record.lock().push((method.clone(), uri));
                while wire.silent.load(Ordering::SeqCst) {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                if wire.is_cut(&method) {
                    return Ok(refusal());
                }
                if method == Method::PATCH && wire.broken.load(Ordering::SeqCst) {
                    return Ok(refusal());
                }
                client.send(request).await
            }
        });
        Client::new(service, "default")
    }

    /// From now on writes answer 503, or go through again.
    pub fn breaks(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// After so many writes nothing goes through any more, as if the client's process had ended there.
    pub fn ends_after(&self, writes: usize) {
        *self.writes.lock() = Some(writes);
    }

    fn is_cut(&self, method: &Method) -> bool {
        let mut writes = self.writes.lock();
        match &mut *writes {
            Some(0) => true,
            Some(left) if *method != Method::GET => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }

    /// From now on nothing is answered, or everything again.
    pub fn falls_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Requests of a method since the last call of [`Wire::forget`], without their options.
    pub fn sent(&self, method: &Method) -> Vec<String> {
        let record = self.record.lock();
        let mine = record.iter().filter(|(m, _)| m == method);
        mine.map(|(_, uri)| uri.split('?').next().unwrap_or_default().to_owned()).collect()
    }

    /// Everything that is not a watch.
    pub fn polls(&self) -> Vec<String> {
        let record = self.record.lock();
        let polls = record.iter().filter(|(_, uri)| !uri.contains("watch="));
        polls.map(|(method, uri)| format!("{method} {uri}")).collect()
    }

    /// Begins a new record.
    pub fn forget(&self) {
        self.record.lock().clear();
    }
}

fn refusal() -> Response<Body> {
    let body = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 503,
                                  "reason": "ServiceUnavailable", "message": "the wire is broken"});
    let mut response = Response::new(Body::from(body.to_string().into_bytes()));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
