//! A CustomResourceDefinition that is deleted takes its objects with it first. Names it held go to whoever waits for
//! them.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::{Controller, Ctx, Failed, Next, View};
use super::namespace::delete_all;
use crate::custom::{self, CLEANUP, Terminating};
use crate::identity::Identity;
use crate::kinds::crd::ID;
use crate::model::clock;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::store::{Change, ChangeKind, NsName, Record};

/// Carries out the cleanup that a deleted definition waits for.
pub struct Definitions;

const PAUSE: Duration = Duration::from_millis(500);

impl Controller for Definitions {
    fn name(&self) -> &'static str {
        "crd-finalizer"
    }

    fn identity(&self) -> Identity {
        Identity::system("apiserver")
    }

    fn watches(&self) -> &[&'static str] {
        &[ID]
    }

    fn keys(&self, view: &View, _resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let held = |record: &Record| record.tree()["status"]["acceptedNames"].take();
        let freed = match change.kind {
            ChangeKind::Added => false,
            ChangeKind::Modified => change.prev.as_ref().is_some_and(|prev| held(prev) != held(&change.new)),
            ChangeKind::Deleted => true,
        };
        if freed { view.names(ID) } else { vec![change.key.name.clone()] }
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names(ID)
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let Some(mut crd) = ctx.view.get(ID, "", key.name()) else { return Ok(Next::Done) };
            if !crd.is_deleting() && custom::condition(&crd, "NamesAccepted") == Some("False") {
                return take_names(&ctx, crd).await;
            }
            if !crd.is_deleting() || !crd.finalizers().contains(&CLEANUP) {
                return Ok(Next::Done);
            }
            let id = ResourceId::new(crd.text(&["spec", "group"]), crd.text(&["spec", "names", "plural"]));
            let left = match ctx.view.tenant().catalog().storage(&id) {
                Some(row) => delete_all(&ctx, &row, None).await?,
                None => 0,
            };
            if left > 0 {
                return Ok(Next::After(PAUSE));
            }
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}", key.name());
            custom::write_terminating(&mut crd, &custom::terminating(Terminating::Completed), &clock::now());
            let status = json!({"status": crd["status"]});
            ctx.api.patch(&format!("{path}/status"), crate::bus::Patch::Merge, &status).await?;
            let finalizers: Vec<&str> = crd.finalizers().into_iter().filter(|f| *f != CLEANUP).collect();
            let patch = json!({"metadata": {"finalizers": finalizers}});
            ctx.api.patch(&path, crate::bus::Patch::Merge, &patch).await?;
            Ok(Next::Done)
        })
    }
}

/// Looks again whether the names a definition waits for are free.
async fn take_names(ctx: &Ctx, mut crd: Value) -> Result<Next, Failed> {
    let name = crd.meta("name").to_owned();
    let others = ctx.view.list(ID, "");
    let naming = custom::naming(&crd, others.iter().filter(|other| other.meta("name") != name));
    let before = crd["status"].clone();
    custom::write_status(&mut crd, &naming, &clock::now());
    if crd["status"] != before {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}/status");
        let status = json!({"status": crd["status"]});
        ctx.api.patch(&path, crate::bus::Patch::Merge, &status).await?;
    }
    Ok(Next::Done)
}
