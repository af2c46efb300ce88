//! Mutating plugins of the spine: ServiceAccount, Priority, DefaultTolerationSeconds, TaintNodesByCondition.

use serde_json::{Value, json};

use crate::kinds::node::taint_not_ready;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::model::status::ApiStatus;
use crate::registry::Call;
use crate::store::{Key, NsName};

const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_SECONDS: i64 = 3607;
const LETTERS: usize = 5;

/// Adds to a new object what the plugins add.
pub fn create(call: &Call<'_>, object: &mut Value) -> Result<(), ApiStatus> {
    match &*call.resource.id {
        "/pods" => {
            service_account(call, object)?;
            priority(call, object)?;
            tolerations(object);
        }
        "/nodes" if !call.who.is_system() => taint_not_ready(object),
        _ => {}
    }
    Ok(())
}

fn get(call: &Call<'_>, resource: ResourceId, namespace: &str, name: &str) -> Option<Value> {
    let key = Key { resource, name: NsName::new(namespace, name) };
    call.tenant.store.snapshot().get(&key).map(|record| record.tree())
}

fn service_account(call: &Call<'_>, pod: &mut Value) -> Result<(), ApiStatus> {
    if pod.at(&["metadata", "annotations", "kubernetes.io/config.mirror"]).is_some() {
        return Ok(());
    }
    let name = match pod.text(&["spec", "serviceAccountName"]) {
        "" => "default".to_owned(),
        given => given.to_owned(),
    };
    pod.put(&["spec", "serviceAccountName"], name.as_str());
    pod.put(&["spec", "serviceAccount"], name.as_str());
    let namespace = call.target.namespace.as_str();
    let Some(account) = get(call, ResourceId::new("", "serviceaccounts"), namespace, &name) else {
        let why =
            format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
        return Err(ApiStatus::forbidden(call.subject(pod.base_or_name()), &why));
    };
    let asks = |o: &Value| o.get("automountServiceAccountToken").and_then(Value::as_bool);
    let mount = pod.at(&["spec"]).and_then(asks).or_else(|| asks(&account)).unwrap_or(true);
    if mount {
        mount_token(pod);
    }
    if pod.items(&["spec", "imagePullSecrets"]).is_empty() && !account.items(&["imagePullSecrets"]).is_empty()
    {
        pod.put(&["spec", "imagePullSecrets"], account.items(&["imagePullSecrets"]).to_vec());
    }
    Ok(())
}

fn mount_token(pod: &mut Value) {
    let has = |c: &Value| c.items(&["volumeMounts"]).iter().any(|m| m.text(&["mountPath"]) == TOKEN_MOUNT);
    let lacking =
        ["containers", "initContainers"].iter().any(|f| pod.items(&["spec", f]).iter().any(|c| !has(c)));
    if !lacking {
        return;
    }
    let suffix = crate::model::names::generated("");
    let volume = format!("kube-api-access-{}", &suffix[..LETTERS]);
    let mut volumes = pod.items(&["spec", "volumes"]).to_vec();
    volumes.push(json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}}));
    pod.put(&["spec", "volumes"], volumes);
    for field in ["containers", "initContainers"] {
        let list = pod.pointer_mut(&format!("/spec/{field}")).and_then(Value::as_array_mut);
        for container in list.into_iter().flatten().filter(|c| !has(c)) {
            let mut mounts = container.items(&["volumeMounts"]).to_vec();
            mounts.push(json!({"name": volume, "readOnly": true, "mountPath": TOKEN_MOUNT}));
            container.put(&["volumeMounts"], mounts);
        }
    }
}

fn priority(call: &Call<'_>, pod: &mut Value) -> Result<(), ApiStatus> {
    let classes = ResourceId::new("scheduling.k8s.io", "priorityclasses");
    let name = pod.text(&["spec", "priorityClassName"]).to_owned();
    let class = if name.is_empty() {
        let snapshot = call.tenant.store.snapshot();
        let default = snapshot
            .list(&classes, None, None)
            .map(|(_, record)| record.tree())
            .find(|class| class.at(&["globalDefault"]) == Some(&Value::Bool(true)));
        if let Some(class) = &default {
            pod.put(&["spec", "priorityClassName"], class.meta("name"));
        }
        default
    } else {
        let found = get(call, classes, "", &name);
        if found.is_none() {
            let why = format!("no PriorityClass with name {name} was found");
            return Err(ApiStatus::forbidden(call.subject(pod.base_or_name()), &why));
        }
        found
    };
    let value = class.as_ref().and_then(|c| c.get("value")?.as_i64()).unwrap_or(0);
    let policy = class.as_ref().map_or("PreemptLowerPriority", |c| match c.text(&["preemptionPolicy"]) {
        "" => "PreemptLowerPriority",
        other => other,
    });
    pod.put(&["spec", "priority"], value);
    pod.put(&["spec", "preemptionPolicy"], policy);
    Ok(())
}

fn tolerations(pod: &mut Value) {
    let mut all = pod.items(&["spec", "tolerations"]).to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = all.iter().any(|t| {
            (t.text(&["key"]) == key || t.text(&["key"]).is_empty())
                && matches!(t.text(&["effect"]), "NoExecute" | "")
        });
        if !covered {
            all.push(
                json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}),
            );
        }
    }
    pod.put(&["spec", "tolerations"], all);
}
