//! What is asked of objects beside themselves: binding, scale, tokens, reviews, approval, streams of pods.

use http::Response;
use serde_json::{Value, json};

use super::{pod, review, scale, stream, token};
use crate::listen::Body;
use crate::model::object::Object;
use crate::model::resource::Resource;
use crate::model::status::{ApiStatus, Cause};
use crate::patch;
use crate::registry::{self, Call, Change, Outcome, PatchKind};
use crate::request::{Exchange, WriteOptions};
use crate::tunnel::{self, PassError, Proxied, Target, TunnelError, TunnelHead};

/// Whether objects of the resource are questions: answered, never stored.
pub fn is_virtual(resource: &Resource) -> bool {
    !resource.is_stored()
}

/// POST to a subresource, or of a question.
pub async fn create(call: &Call<'_>, body: Value, options: &WriteOptions) -> Result<Outcome, ApiStatus> {
    match (&*call.resource.id, call.subresource()) {
        ("/pods", "binding") => bind(call, &call.target.name.clone(), body, options).await,
        ("/bindings", "") => bind_by_body(call, body, options).await,
        ("/serviceaccounts", "token") => token::create(call, body).await,
        (_, "") => review::answer(call, body),
        (_, sub) => Err(ApiStatus::method_not_allowed(call.subject(&call.target.name), sub)),
    }
}

async fn bind_by_body(call: &Call<'_>, body: Value, options: &WriteOptions) -> Result<Outcome, ApiStatus> {
    let pods = call.catalog.lookup("", "v1", "pods").ok_or_else(ApiStatus::no_such_resource)?;
    let mut pod = call.clone();
    pod.resource = pods;
    let name = body.meta("name").to_owned();
    bind(&pod, &name, body, options).await
}

async fn bind(
    call: &Call<'_>,
    name: &str,
    body: Value,
    options: &WriteOptions,
) -> Result<Outcome, ApiStatus> {
    let mut call = call.clone();
    call.target.name = name.to_owned();
    call.target.subresource = "binding".into();
    if body.text(&["target", "name"]).is_empty() {
        let gvk = crate::model::gvk::Gvk::new("", "v1", "Binding");
        return Err(ApiStatus::invalid(&gvk, name, vec![Cause::required("target.name", "")]));
    }
    let wanted_uid = body.meta("uid").to_owned();
    let subject_name = name.to_owned();
    let step = |live: &Value| {
        if !wanted_uid.is_empty() && wanted_uid != live.meta("uid") {
            let why = format!(
                "Precondition failed: UID in precondition: {wanted_uid}, UID in object meta: {}",
                live.meta("uid")
            );
            return Err(ApiStatus::conflict(call.subject(&subject_name), &why));
        }
        pod::bind(live, &body).map_err(|why| {
            let subject =
                crate::model::status::Subject { group: "", plural: "pods/binding", name: &subject_name };
            ApiStatus::conflict(subject, &why)
        })
    };
    registry::modify(&call, Change::With(&step), options).await?;
    Ok(Outcome::created(
        json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

/// The object behind a scale call, through the registry's main path.
async fn write_scale(
    call: &Call<'_>,
    scale_body: &Value,
    options: &WriteOptions,
) -> Result<Outcome, ApiStatus> {
    let replicas = scale_body.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(0);
    if replicas < 0 {
        let gvk = crate::model::gvk::Gvk::new("autoscaling", "v1", "Scale");
        let cause = Cause::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
        return Err(ApiStatus::invalid(&gvk, &call.target.name, vec![cause]));
    }
    let wanted = scale_body.meta("resourceVersion").to_owned();
    let resource = call.resource.clone();
    let name = call.target.name.clone();
    let step = |live: &Value| {
        if !wanted.is_empty() && wanted != live.meta("resourceVersion") {
            return Err(ApiStatus::modified(call.subject(&name)));
        }
        Ok(scale::set(&resource, live, replicas))
    };
    let done = registry::modify(call, Change::With(&step), options).await?;
    Ok(Outcome::ok(scale::of(&call.resource, &done.object)))
}

/// PUT of a Scale.
pub async fn update_scale(
    call: &Call<'_>,
    body: &Value,
    options: &WriteOptions,
) -> Result<Outcome, ApiStatus> {
    write_scale(call, body, options).await
}

/// PATCH of a Scale.
pub async fn patch_scale(
    call: &Call<'_>,
    kind: PatchKind,
    body: &Value,
    options: &WriteOptions,
) -> Result<Outcome, ApiStatus> {
    let live = scale::of(&call.resource, &registry::view(&call.resource, &registry::get(call)?));
    let patched = match kind {
        PatchKind::Json => patch::json_patch(&live, body),
        PatchKind::Merge | PatchKind::Strategic => patch::merge_patch(&live, body),
    };
    let mut patched = patched.map_err(|e| registry::of_patch(call, &e))?;
    if body.at(&["metadata", "resourceVersion"]).is_none() {
        patched.unset_meta("resourceVersion");
    }
    write_scale(call, &patched, options).await
}

/// `log`, `exec`, `attach`, `portforward`, `proxy`: passed to the host of the pod (T1).
///
/// A pod that is asked by `proxy` may be named with a scheme and a port; the call names it without.
pub(crate) async fn tunnel(
    call: &Call<'_>,
    x: &Exchange<'_>,
    asked: Proxied,
) -> Result<Response<Body>, ApiStatus> {
    let sub = call.subresource().to_owned();
    let record = registry::get(call)?;
    let object = record.tree();
    let name = call.target.name.clone();
    let is_pod = &*call.resource.id == "/pods";
    if is_pod && object.text(&["spec", "nodeName"]).is_empty() {
        return Err(ApiStatus::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let plural = &call.resource.plural;
    let none = || ApiStatus::plain(501, "NotImplemented", format!("{plural}/{sub}: no host is attached"));
    let way = call.server.tunnel().ok_or_else(none)?;
    let to = Target::Pod {
        namespace: call.target.namespace.clone(),
        name: name.clone(),
        uid: object.meta("uid").to_owned(),
        subresource: call.target.subresource.clone(),
    };
    let head = TunnelHead {
        method: x.method.clone(),
        proxy: asked,
        query: stream::query(&object, &sub, &x.info.query)?,
        headers: x.headers.clone(),
        audit_id: x.audit_id.to_owned(),
    };
    let upgrade = x.upgrade.lock().take();
    call.turn.leave();
    tunnel::pass(call.server, call.tenant, &**way, to, head, upgrade).await.map_err(|failed| match failed {
        PassError::Tunnel(TunnelError::NoHost) => none(),
        PassError::Tunnel(TunnelError::Unreachable) => ApiStatus::unavailable("the host cannot be reached"),
        PassError::Tunnel(TunnelError::Gone) => call.not_found(),
        PassError::Tunnel(TunnelError::Unspeakable) => {
            ApiStatus::internal(format!("the host failed, audit id {}", x.audit_id))
        }
        PassError::Tunnel(TunnelError::Refused(status)) | PassError::Limit(status) => status,
        PassError::NoUpgrade => ApiStatus::bad_request("Upgrade request required"),
    })
}
