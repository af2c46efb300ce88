//! Pods through the syncer beside the same pods sent straight to its host, in one run: syncer PF1–PF8, PF10, PF11.
//! The host is a kube-apiserver with etcd, scheduler and nodes of kwok, on the same cores as everything else. Figures
//! only; nothing is asserted about them. `cargo xtask bench syncer` runs it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot be made ends the program")]

mod burst;
mod drift;
mod page;
mod stage;

use std::time::{Duration, Instant};

use burst::Burst;
use clap::Parser;
use stage::Stage;

/// What is run.
#[derive(Parser)]
struct Args {
    /// Tenants, and as many namespaces on the host.
    #[arg(long, default_value_t = 100)]
    tenants: usize,
    /// Nodes of the host.
    #[arg(long, default_value_t = 100)]
    nodes: usize,
    /// Pods in all, one burst for each; the last is the one that the other figures are of.
    #[arg(long, value_delimiter = ',', default_value = "1250,2500,5000,10000")]
    pods: Vec<usize>,
    /// Pods that mount no token.
    #[arg(long)]
    no_token: bool,
    /// cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    if std::env::var_os("SKERRY_UPSTREAM").is_none_or(|v| v != "1") {
        println!("skipped: syncer: SKERRY_UPSTREAM is not set");
        return;
    }
    let args = Args::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let started = Instant::now();
    let mut stage = Stage::start(args.nodes, args.tenants);
    println!(
        "{} nodes, {} tenants: ready after {:.1} s",
        args.nodes,
        args.tenants,
        started.elapsed().as_secs_f64()
    );
    println!("{:<66} {:>12} {:>12} {:>12}", "figure", "skerry", "bare", "ratio");
    let token = !args.no_token;
    let first = burst::run(&stage.tenants, "first-", 1, token);
    one("first pod of each tenant, namespaces made for it: seconds", first.running);
    for pods in &args.pods {
        let each = pods.div_ceil(args.tenants);
        let last = args.pods.last() == Some(pods);
        let bare = bare(&stage, each, token);
        let ours = ours(&stage, each, token, last);
        let what = format!("{} pods", each * args.tenants);
        two(&format!("{what}: seconds to all accepted"), ours.created, bare.created);
        two(&format!("{what}: seconds to all Running (PF1)"), ours.running, bare.running);
        two(&format!("{what}: creation to Running, p50 s"), ours.quantile(0.5), bare.quantile(0.5));
        two(&format!("{what}: creation to Running, p99 s (PF3)"), ours.quantile(0.99), bare.quantile(0.99));
        if !last {
            burst::clear(&stage.tenants);
        }
    }
    at_rest(&stage);
    restart(&mut stage);
}

fn two(figure: &str, skerry: f64, bare: f64) {
    println!("{figure:<66} {skerry:>12.2} {bare:>12.2} {:>12.2}", skerry / bare);
}

fn one(figure: &str, skerry: f64) {
    println!("{figure:<66} {skerry:>12.2} {:>12} {:>12}", "-", "-");
}

/// The same pods on the host alone, and away again.
fn bare(stage: &Stage, each: usize, token: bool) -> Burst {
    let before = stage.host.processes().cpu();
    let burst = burst::run(&stage.bare, "b-", each, token);
    let pods = burst.each.len() as f64;
    let cpu = (stage.host.processes().cpu() - before) * 1000.0 / pods;
    println!("{:<66} {:>12} {cpu:>12.2} {:>12}", format!("{pods} pods: the host's CPU ms each"), "", "-");
    burst::clear(&stage.bare);
    burst
}

/// Through the tenants; for the last burst, with what it cost.
fn ours(stage: &Stage, each: usize, token: bool, figures: bool) -> Burst {
    let page = stage.at_rest();
    let (syncer, skerry) = (stage.syncer(), stage.skerry());
    let (memory, cpu, all, host) =
        (syncer.memory(), syncer.cpu(), skerry.cpu(), stage.host.processes().cpu());
    let burst = burst::run(&stage.tenants, &format!("p{each}-"), each, token);
    let (cpu, all) = (syncer.cpu() - cpu, skerry.cpu() - all);
    let host = stage.host.processes().cpu() - host;
    let after = stage.at_rest();
    if !figures {
        return burst;
    }
    let pods = burst.each.len() as f64;
    let ms = |seconds: f64| seconds * 1000.0 / pods;
    one("CPU ms of the syncer, each pod to Running (PF7)", ms(cpu));
    one("CPU ms of syncer, API server and manager, each pod", ms(all));
    one("CPU ms of the host, each pod", ms(host));
    one("resident KiB of the syncer, each pod (PF6)", (syncer.memory() - memory) * 1024.0 / pods);
    one("resident MiB of the syncer", syncer.memory());
    let since = |name: &str| after.sum(name, &[]) - page.sum(name, &[]);
    let waited = since("skerry_syncer_queue_wait_seconds_sum");
    one(
        "percent of the pods' time that keys waited in queues (PF2)",
        waited * 100.0 / burst.each.iter().sum::<f64>(),
    );
    for (write, count) in after.writes_since(&page) {
        one(&format!("writes each pod: {write} (PF4, PF5)"), count / pods);
    }
    burst
}

/// What the syncer does when there is nothing to do, and how fast it repairs.
fn at_rest(stage: &Stage) {
    const IDLE: Duration = Duration::from_secs(120);
    one("a changed label of a pod, worst of ten: seconds to repair (PF10)", drift::watched(stage));
    one("changed data of a ConfigMap, worst of two: seconds to repair (PF10)", drift::patrolled(stage));
    stage.at_rest();
    let before = stage.syncer().cpu();
    std::thread::sleep(IDLE);
    let minute = (stage.syncer().cpu() - before) / IDLE.as_secs_f64() * 60.0;
    one("CPU seconds of the idle syncer in a minute, its patrol included (PF11)", minute);
}

/// A syncer that is killed and comes again.
fn restart(stage: &mut Stage) {
    stage.parts.restart("syncer");
    let (started, wanted) = (Instant::now(), stage.tenants.len() as f64);
    while stage.page().sum("skerry_syncer_tenants", &["state=\"open\""]) < wanted {
        assert!(started.elapsed() < Duration::from_secs(300), "not all tenants open again");
        std::thread::sleep(Duration::from_millis(20));
    }
    one("restart until all tenants are open: seconds (PF8)", started.elapsed().as_secs_f64());
    let page = stage.at_rest();
    let writes = page.writes_since(&page::Page::default());
    one("writes after it, nothing having drifted (PF8)", writes.values().fold(0.0, |sum, count| sum + count));
    for (write, count) in writes {
        one(&format!("  {write}"), count);
    }
}
