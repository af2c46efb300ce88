//! Rules of aggregated ClusterRoles.

use futures::future::BoxFuture;
use serde_json::Value;

use super::super::{Controller, Ctx, Failed, Next, View};
use crate::access::rule::aggregate;
use crate::model::gvk::ResourceId;
use crate::store::{Change, NsName};

const ROLES: &str = "rbac.authorization.k8s.io/clusterroles";

/// Fills `rules` of ClusterRoles with an `aggregationRule`.
pub struct Aggregation;

impl Controller for Aggregation {
    fn name(&self) -> &'static str {
        "clusterrole-aggregation-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[ROLES]
    }

    fn keys(&self, view: &View, _resource: &ResourceId, _change: &Change) -> Vec<NsName> {
        self.all(view)
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        let roles = view.records(ROLES, None).into_iter();
        roles
            .filter(|(_, record)| record.tree().get("aggregationRule").is_some())
            .map(|(name, _)| name)
            .collect()
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let Some(role) = ctx.view.get(ROLES, "", key.name()) else { return Ok(Next::Done) };
            let all: Vec<Value> = ctx.view.records(ROLES, None).into_iter().map(|(_, r)| r.tree()).collect();
            let Some(rules) = aggregate(&role, &all) else { return Ok(Next::Done) };
            let live = role.get("rules").cloned().unwrap_or(Value::Null);
            if live == Value::from(rules.clone()) || (live.is_null() && rules.is_empty()) {
                return Ok(Next::Done);
            }
            let mut wanted = role;
            wanted["rules"] = rules.into();
            let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{}", key.name());
            ctx.api.update(&path, &wanted).await?;
            Ok(Next::Done)
        })
    }
}
