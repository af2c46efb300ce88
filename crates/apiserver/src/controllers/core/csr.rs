//! Signs approved requests for client certificates with the tenant's own authority.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::{Controller, Ctx, Failed, Next, View};
use crate::identity::credential::MAX_CERTIFICATE;
use crate::kinds::csr::request_of;
use crate::model::clock;
use crate::model::gvk::ResourceId;
use crate::store::{Change, NsName};

const REQUESTS: &str = "certificates.k8s.io/certificatesigningrequests";
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// Shortest life that may be asked for.
const SHORTEST: u64 = 600;

/// The signer `kubernetes.io/kube-apiserver-client`.
pub struct Signing;

fn has_condition(object: &Value, ty: &str) -> bool {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|c| c["type"] == ty && c["status"] == "True")
}

fn is_due(object: &Value) -> bool {
    object["spec"]["signerName"] == SIGNER
        && object["status"]["certificate"].is_null()
        && has_condition(object, "Approved")
        && !has_condition(object, "Denied")
        && !has_condition(object, "Failed")
}

/// The certificate, PEM in base64, or why there is none.
fn signed(view: &View, object: &Value) -> Result<String, String> {
    let usages: Vec<&str> =
        object["spec"]["usages"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let known = ["client auth", "digital signature", "key encipherment"];
    if !usages.contains(&"client auth") || usages.iter().any(|usage| !known.contains(usage)) {
        return Err(
            "usages must include client auth, and may include digital signature and key encipherment".into(),
        );
    }
    let asked = object["spec"]["expirationSeconds"].as_u64().unwrap_or(u64::MAX).max(SHORTEST);
    let life = Duration::from_secs(asked).min(MAX_CERTIFICATE);
    let request = request_of(object).map_err(|error| error.to_string())?;
    let leaf = request.sign(&view.tenant().keys().client, life).map_err(|error| error.to_string())?;
    Ok(BASE64.encode(leaf.to_pem()))
}

impl Controller for Signing {
    fn name(&self) -> &'static str {
        "certificate-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[REQUESTS]
    }

    fn keys(&self, _view: &View, _resource: &ResourceId, change: &Change) -> Vec<NsName> {
        vec![change.key.name.clone()]
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names(REQUESTS)
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let Some(mut object) = ctx.view.get(REQUESTS, "", key.name()).filter(is_due) else {
                return Ok(Next::Done);
            };
            match signed(&ctx.view, &object) {
                Ok(certificate) => object["status"]["certificate"] = certificate.into(),
                Err(why) => {
                    let now = clock::now();
                    let condition = json!({
                        "type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": why,
                        "lastUpdateTime": now, "lastTransitionTime": now,
                    });
                    if let Some(conditions) = object["status"]["conditions"].as_array_mut() {
                        conditions.push(condition);
                    }
                }
            }
            let path =
                format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{}/status", key.name());
            ctx.api.update(&path, &object).await?;
            Ok(Next::Done)
        })
    }
}
