//! Taking delivered objects off a member, the last wave first, each wave gone before the one before it goes (A7, A9).

use serde_json::{Value, json};
use skerry_api::labels;

use super::clients::Member;
use super::push::{group_of, named};
use super::work;
use crate::placement::raw::{self, Served, items, text};

/// Objects with the binding's mark, of every kind the member serves, the last wave first.
async fn delivered(member: &Member, binding: &Value) -> Result<Vec<(Served, Value)>, kube::Error> {
    let mark = work::applied_by(binding);
    let mut out = Vec::new();
    for served in raw::everything(&member.client).await? {
        let path =
            format!("{}?labelSelector={}%3Dtrue", served.path("", ""), labels::PLACED.replace('/', "%2F"));
        let objects = match raw::list_if_served(&member.client, &path).await {
            // What may not be listed was not delivered either.
            Err(error) if skerry_kit::error::code(&error) == Some(403) => continue,
            other => other?,
        };
        for object in objects {
            let is_namespace = text(&object, &["kind"]) == "Namespace";
            if !is_namespace && text(&object, &["metadata", "annotations", labels::APPLIED_BY]) == mark {
                out.push((served.clone(), object));
            }
        }
    }
    out.sort_by_key(|(_, object)| std::cmp::Reverse(work::wave(object)));
    Ok(out)
}

fn path_of(served: &Served, object: &Value) -> String {
    served.path(text(object, &["metadata", "namespace"]), text(object, &["metadata", "name"]))
}

/// Takes our marks off an object: from now on it is the member's own.
async fn let_be(member: &Member, served: &Served, object: &Value) -> Result<(), kube::Error> {
    let none =
        json!({"metadata": {"labels": {labels::PLACED: null}, "annotations": {labels::APPLIED_BY: null}}});
    raw::merge(&member.client, &path_of(served, object), &none).await.map(drop)
}

/// Deletes what the newest revision no longer has, or leaves it there without our marks. Names an object that is not
/// gone yet; the waves before it wait for that.
pub async fn prune(
    member: &Member,
    binding: &Value,
    wanted: &[Value],
    keep: bool,
) -> Result<Option<String>, kube::Error> {
    let same = |a: &Value, b: &Value| {
        group_of(a) == group_of(b)
            && text(a, &["kind"]) == text(b, &["kind"])
            && text(a, &["metadata", "name"]) == text(b, &["metadata", "name"])
    };
    let mut rest = delivered(member, binding).await?;
    rest.retain(|(_, object)| !wanted.iter().any(|w| same(w, object)));
    if keep {
        for (served, object) in &rest {
            let_be(member, served, object).await?;
        }
        return Ok(None);
    }
    take_off(member, &rest).await
}

/// Deletes objects wave by wave; names one that is not gone yet.
async fn take_off(member: &Member, objects: &[(Served, Value)]) -> Result<Option<String>, kube::Error> {
    for wave in objects.chunk_by(|a, b| work::wave(&a.1) == work::wave(&b.1)) {
        for (served, object) in wave {
            if object["metadata"]["deletionTimestamp"].is_null() {
                let uid = text(object, &["metadata", "uid"]);
                raw::delete(&member.client, &path_of(served, object), uid).await?;
            }
        }
        for (served, object) in wave {
            let left = raw::get(&member.client, &path_of(served, object)).await?;
            if left.is_some_and(|l| l["metadata"]["uid"] == object["metadata"]["uid"]) {
                return Ok(Some(named(object)));
            }
        }
    }
    Ok(None)
}

/// Takes everything of a binding off its member, or leaves it there without our marks.
pub async fn take_away(member: &Member, binding: &Value, keep: bool) -> Result<(), String> {
    if keep { orphan(member, binding).await } else { remove(member, binding).await }
}

async fn orphan(member: &Member, binding: &Value) -> Result<(), String> {
    let sentence = |e: kube::Error| skerry_kit::error::sentence(&e);
    for (served, object) in delivered(member, binding).await.map_err(sentence)? {
        let_be(member, &served, &object).await.map_err(sentence)?;
    }
    Ok(())
}

/// An error names what is still there.
async fn remove(member: &Member, binding: &Value) -> Result<(), String> {
    let sentence = |e: kube::Error| skerry_kit::error::sentence(&e);
    let objects = delivered(member, binding).await.map_err(sentence)?;
    if let Some(left) = take_off(member, &objects).await.map_err(sentence)? {
        return Err(left);
    }
    remove_namespaces(member, binding).await.map_err(sentence)
}

/// Namespaces that the binding made go when nothing foreign is in them.
async fn remove_namespaces(member: &Member, binding: &Value) -> Result<(), kube::Error> {
    let mark = work::applied_by(binding);
    for namespace in raw::list(&member.client, "/api/v1/namespaces").await? {
        let is_ours = text(&namespace, &["metadata", "annotations", labels::APPLIED_BY]) == mark;
        if !is_ours || !namespace["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let name = text(&namespace, &["metadata", "name"]);
        if !has_foreign(member, name).await? {
            let path = format!("/api/v1/namespaces/{name}");
            raw::delete(&member.client, &path, text(&namespace, &["metadata", "uid"])).await?;
        }
    }
    Ok(())
}

async fn has_foreign(member: &Member, namespace: &str) -> Result<bool, kube::Error> {
    for served in raw::everything(&member.client).await?.iter().filter(|s| s.namespaced) {
        if served.kind == "Event" {
            continue;
        }
        let objects = match raw::list_if_served(&member.client, &served.path(namespace, "")).await {
            // What may not be seen may be foreign: the namespace stays.
            Err(error) if skerry_kit::error::code(&error) == Some(403) => return Ok(true),
            other => other?,
        };
        let foreign = objects.iter().any(|o| {
            let own = matches!(
                (served.kind.as_str(), text(o, &["metadata", "name"])),
                ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt")
            );
            !own && items(o, &["metadata", "ownerReferences"]).is_empty()
                && o["metadata"]["deletionTimestamp"].is_null()
        });
        if foreign {
            return Ok(true);
        }
    }
    Ok(false)
}
