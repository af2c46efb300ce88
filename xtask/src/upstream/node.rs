//! `cargo xtask upstream node`: a cluster with one node that executes containers, for use by hand.

use anyhow::Context as _;
use skerry_testkit::upstream::node::{BUSYBOX, Cluster, KUBECTL};
use tokio::signal::unix::{SignalKind, signal};

use super::bin;

/// Runs until a signal, then leaves the machine as it was.
pub fn run() -> anyhow::Result<()> {
    let kubectl = bin()?.join("kubectl");
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = signals.enter();
    // Asked for before anything is started: what comes meanwhile is seen afterwards.
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let cluster = Cluster::start()?;
    let config = cluster.kubeconfig();
    let (config, address) = (config.display(), cluster.machine_address());
    println!("kubeconfig   {config}");
    println!("logs         {}", cluster.folder().display());
    println!("images       {BUSYBOX}  {KUBECTL}");
    println!(
        "try          {} --kubeconfig {config} run shell --image={BUSYBOX} -- sleep 1d",
        kubectl.display()
    );
    println!("as a host    skerry up --listen {address}:8443 --host real={config}");
    println!("Ctrl-C stops it and removes everything.");
    signals.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    drop(cluster);
    println!("stopped");
    Ok(())
}
