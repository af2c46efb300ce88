//! The task that sees real members off: woken when one is to leave, at work while one does.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use skerry_api::cluster_report::ClusterReport;
use skerry_kit::error;
use skerry_telemetry::Shutdown;

use super::real::{Leaving, Pass};
use crate::context::Context;
use crate::inventory::real::{Clients, client_of, real};

/// Between looks at members that leave.
const AGAIN: Duration = Duration::from_millis(500);
/// News of the hub that come together are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);
/// Members that are worked on at once.
const AT_ONCE: usize = 16;

/// Sees members off until the end. `reports` gives the Reports of the inventory as the hub shows them, `changes` tells
/// when they may have changed.
pub async fn run(
    context: &Context,
    reports: impl Fn() -> Option<Vec<Arc<Value>>>,
    mut changes: tokio::sync::watch::Receiver<u64>,
    shutdown: &Shutdown,
) {
    let mut clients = Clients::default();
    loop {
        let mut leaving = Vec::new();
        let all = reports().unwrap_or_default();
        for report in all.iter().filter(|r| !r["status"]["leave"].is_null()).filter_map(|r| real(r)) {
            let member = client_of(context, &mut clients, &report).await;
            leaving.push((report, member));
        }
        let is_idle = leaving.is_empty();
        let stuck = futures::stream::iter(leaving)
            .map(|(report, member)| see_off(context, report, member))
            .buffer_unordered(AT_ONCE)
            .filter(|is_stuck| std::future::ready(*is_stuck))
            .count()
            .await;
        context.metrics.leave_stuck.set(i64::try_from(stuck).unwrap_or(i64::MAX));
        tokio::select! {
            changed = changes.changed(), if is_idle => match changed {
                Ok(()) => tokio::time::sleep(TOGETHER).await,
                Err(_) => return,
            },
            () = tokio::time::sleep(AGAIN), if !is_idle => {}
            () = shutdown.wait() => return,
        }
    }
}

/// One pass over one member; says whether it is stuck.
async fn see_off(context: &Context, report: ClusterReport, member: Result<Client, String>) -> bool {
    let name = report.name_any();
    let leaving = Leaving { hub: &context.hub, settings: &context.settings.inventory, member };
    match leaving.pass(&report).await {
        Ok(Pass::Gone) => context.inventory.forget_profile(&name),
        Ok(Pass::Waits { is_stuck }) => return is_stuck,
        Err(failed) => {
            tracing::warn!(member = %name, error = %error::sentence(&failed), "a member's leave goes on later");
        }
    }
    false
}
