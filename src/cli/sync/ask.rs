//! Where the syncer is asked: by the hub's own path where it serves one, else by a port-forward to the syncer's pod. Both
//! are the asker's own rights on the hub.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::core::Status;
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use skerry_api::labels;
use skerry_syncer::look::ObjectName;

use crate::cli::exit::Failure;

/// Labels of the syncer's pods in the chart.
const PODS: &str = "app.kubernetes.io/name=skerry,app.kubernetes.io/component=syncer";
/// Name of the port of `--debug-address` in them.
const PORT: &str = "debug";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The state of a tenant.
    Status,
    /// One object on both sides.
    Diff,
    /// The last decision about one object.
    Why,
    /// A patrol now.
    Patrol,
}

/// A question.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Id of the tenant.
    pub id: &'a str,
    /// What.
    pub what: What,
    /// About which object.
    pub object: Option<&'a ObjectName>,
}

impl Ask<'_> {
    fn request<B>(&self, body: B) -> Result<Request<B>, Failure> {
        let (method, what) = match self.what {
            What::Status => (Method::GET, "status"),
            What::Diff => (Method::GET, "diff"),
            What::Why => (Method::GET, "why"),
            What::Patrol => (Method::POST, "patrol"),
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("what", what);
        if let Some(object) = self.object {
            query.append_pair("object", &object.to_string());
        }
        let uri = format!("/debug/tenants/{}/sync?{}", self.id, query.finish());
        Request::builder().method(method).uri(uri).body(body).map_err(|e| Failure::Failed(e.to_string()))
    }
}

/// Asks.
pub async fn ask(hub: &Client, ask: &Ask<'_>) -> Result<Value, Failure> {
    let refused = match hub.request::<Value>(ask.request(Vec::new())?).await {
        Ok(answer) => return Ok(answer),
        Err(kube::Error::Api(status)) if !is_own(&status) => status,
        Err(failed) => return Err(failed.into()),
    };
    match of_pods(hub, ask).await? {
        Some(answer) => Ok(answer),
        // A hub that has such a path says why this asker may not use it.
        None if refused.code == 403 => Err(kube::Error::Api(refused).into()),
        None => Err(Failure::Failed(format!(
            "no syncer answers: the hub serves no /debug/tenants, and no pod of {} with labels {PODS} runs one; \
             is `--debug-address` set there?",
            labels::SYSTEM_NAMESPACE
        ))),
    }
}

/// Whether a refusal is the syncer's own word, and not that of an API server that has no such path or lets this asker
/// not use it.
fn is_own(status: &Status) -> bool {
    let is_about = status.details.as_ref().is_some_and(|details| !details.kind.is_empty());
    is_about || !matches!(status.code, 403 | 404)
}

/// Asks the syncer's pods, until one serves the tenant.
async fn of_pods(client: &Client, ask: &Ask<'_>) -> Result<Option<Value>, Failure> {
    let api: Api<Pod> = Api::namespaced(client.clone(), labels::SYSTEM_NAMESPACE);
    let pods = match api.list(&ListParams::default().labels(PODS)).await {
        Ok(pods) => pods.items,
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => return Ok(None),
        Err(failed) => return Err(failed.into()),
    };
    let mut last = Ok(None);
    for pod in pods {
        let Some(port) = port(&pod) else { continue };
        match of_pod(&api, &pod.name_any(), port, ask).await {
            Ok(answer) => return Ok(Some(answer)),
            Err(failed) => last = Err(failed),
        }
    }
    last
}

/// The port of a pod that runs, where it serves one.
fn port(pod: &Pod) -> Option<u16> {
    let runs = pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.filter_map(|container| container.ports.as_ref()).flatten();
    let named = ports.find(|port| port.name.as_deref() == Some(PORT)).filter(|_| runs)?;
    u16::try_from(named.container_port).ok()
}

async fn of_pod(api: &Api<Pod>, pod: &str, port: u16, ask: &Ask<'_>) -> Result<Value, Failure> {
    let failed = |why: String| Failure::Failed(format!("pod {pod} of {}: {why}", labels::SYSTEM_NAMESPACE));
    let mut forward = api.portforward(pod, &[port]).await.map_err(Failure::during("the syncer's pod"))?;
    let stream = forward.take_stream(port).ok_or_else(|| failed("no stream to its port".to_owned()))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(e.to_string()))?;
    let connection = tokio::spawn(connection);
    let mut request = ask.request(Empty::<Bytes>::new())?;
    request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("localhost"));
    let answer = async {
        let response = sender.send_request(request).await?;
        let is_done = response.status().is_success();
        Ok::<_, hyper::Error>((is_done, response.into_body().collect().await?.to_bytes()))
    };
    let answer = answer.await;
    connection.abort();
    let (is_done, body) = answer.map_err(|e| failed(e.to_string()))?;
    if is_done {
        return serde_json::from_slice(&body).map_err(|e| failed(e.to_string()));
    }
    let status: Status = serde_json::from_slice(&body).map_err(|e| failed(e.to_string()))?;
    Err(kube::Error::Api(status.boxed()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(value: Value) -> Status {
        serde_json::from_value(value).unwrap()
    }

    /// OB2: a path that is not served, or not allowed, leads to the syncer's pod; the syncer's own no is the answer.
    #[test]
    fn ob2_a_path_that_is_not_served_is_told_from_an_object_that_is_not_there() {
        let unserved = json!({"code": 404, "reason": "NotFound", "message": "the server could not find it"});
        let absent = json!({"code": 404, "reason": "NotFound", "details": {"kind": "pods", "name": "web"}});
        let denied = json!({"code": 403, "reason": "Forbidden", "details": {}});
        let busy = json!({"code": 503, "reason": "ServiceUnavailable"});
        assert!(!is_own(&status(unserved)) && !is_own(&status(denied)));
        assert!(is_own(&status(absent)) && is_own(&status(busy)));
    }

    /// OB2: the port is found by its name, in pods that run.
    #[test]
    fn ob2_the_port_is_found_by_its_name() {
        let pod = |phase: &str, name: &str| -> Pod {
            let ports =
                json!([{"name": "ops", "containerPort": 8081}, {"name": name, "containerPort": 8445}]);
            serde_json::from_value(
                json!({"metadata": {"name": "skerry-syncer-0"}, "status": {"phase": phase},
                "spec": {"containers": [{"name": "syncer", "ports": ports}]}}),
            )
            .unwrap()
        };
        assert_eq!(port(&pod("Running", "debug")), Some(8445));
        assert_eq!(port(&pod("Pending", "debug")), None);
        assert_eq!(port(&pod("Running", "other")), None);
    }

    /// OB2: the question as it goes over the wire.
    #[test]
    fn ob2_questions_name_their_object() {
        let object: ObjectName = "po/team a/web".parse().unwrap();
        let ask = Ask { id: "tabc", what: What::Why, object: Some(&object) };
        let request = ask.request(()).unwrap();
        assert_eq!(request.uri(), "/debug/tenants/tabc/sync?what=why&object=pod%2Fteam+a%2Fweb");
        let patrol = Ask { id: "tabc", what: What::Patrol, object: None };
        assert_eq!(patrol.request(()).unwrap().method(), Method::POST);
    }
}
