//! The shared server's own `/readyz`, which stands for its tenants between their full probes (tenancy P2).

use std::time::Duration;

use skerry_kit::backoff::jittered;
use skerry_kit::error;
use skerry_telemetry::Shutdown;
use tokio::sync::mpsc;

use super::embedded::Embedded;
use super::probe::Prober;

/// Between looks.
const PERIOD: Duration = Duration::from_secs(10);
/// Limit of one look.
const LIMIT: Duration = Duration::from_secs(3);

/// Looks until the end. While the server fails, and when it is back, all tenants are probed in full, with the published
/// kubeconfig, which alone decides; `wake` starts their passes. A full channel loses nothing: one wake is as good as two.
pub async fn run(embedded: &Embedded, prober: &Prober, wake: mpsc::Sender<()>, shutdown: &Shutdown) {
    let mut was_ready = true;
    loop {
        tokio::select! {
            () = tokio::time::sleep(jittered(PERIOD)) => {}
            () = shutdown.wait() => return,
        }
        let ready = match tokio::time::timeout(LIMIT, embedded.is_ready()).await {
            Ok(Ok(())) => true,
            Ok(Err(failed)) => {
                tracing::warn!(error = %error::sentence(&failed), "the shared API server is not ready");
                false
            }
            Err(_) => {
                tracing::warn!("the shared API server does not answer in time");
                false
            }
        };
        if !ready || !was_ready {
            prober.hurry();
            let _ = wake.try_send(());
        }
        was_ready = ready;
    }
}
