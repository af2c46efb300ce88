//! A run of the suite from inside the node's network, where the addresses of pods are reached.

use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail};
use skerry_testkit::upstream::node::Cluster;

use super::super::e2e;
use super::Side;
use super::report::{Outcome, Results};

/// What is run where nothing else is asked for: pods and what belongs to them, each group by the start of its name, before
/// which the runner puts the suite's.
const GROUPS: [&str; 4] = [
    r"Kubernetes e2e suite \[sig-storage\] (ConfigMap|Secrets|Projected|Downward API|EmptyDir)",
    r"Kubernetes e2e suite \[sig-node\] (Pods|ConfigMap|Secrets|Downward API)",
    r"Kubernetes e2e suite \[sig-apps\] (Deployment|StatefulSet|Job)",
    r"Kubernetes e2e suite \[sig-network\] (Services|DNS)",
];
/// What is left out: specs that want the cluster for themselves, take very long, or need another set-up than a plain
/// cluster of one Linux node.
const LEFT_OUT: &str = concat!(
    r"\[Serial\]|\[Disruptive\]|\[Slow\]|\[Flaky\]|\[Feature:|\[FeatureGate:|\[Alpha\]|\[Beta\]|\[Deprecated\]",
    r"|\[sig-windows\]|LoadBalancer|\[Driver:"
);

/// How to run it.
pub struct Suite {
    /// The tools.
    pub bin: PathBuf,
    /// Reports and logs.
    pub folder: PathBuf,
    /// Which specs.
    pub focus: Option<String>,
    /// And which not, beside those that are always left out.
    pub skip: Option<String>,
    /// Time for each run of the runner.
    pub timeout: String,
    /// How many at a time.
    pub procs: u8,
    /// Ends it before its time.
    pub stop: Arc<Stop>,
}

/// Ends the runner, so that what was started for it is taken away in order.
#[derive(Default)]
pub struct Stop(AtomicU32);

impl Stop {
    /// The runner that is there; 0 for none.
    fn running(&self, pid: u32) {
        self.0.store(pid, Ordering::Release);
    }

    /// Ends it with what it has started, which is one group of processes; false where none is there.
    pub fn now(&self) -> bool {
        let pid = self.0.load(Ordering::Acquire);
        pid != 0 && Command::new("kill").args(["-KILL", "--", &format!("-{pid}")]).status().is_ok()
    }
}

impl Suite {
    /// Where the outcomes of a side are kept.
    pub fn results(&self, side: Side) -> PathBuf {
        self.folder.join(format!("{}.json", side.name()))
    }

    /// Runs it as the administrator of a cluster.
    pub fn run(&self, cluster: &Cluster, side: Side, kubeconfig: &Path) -> anyhow::Result<()> {
        let groups = self.focus.as_deref().map_or(GROUPS.to_vec(), |focus| vec![focus]);
        for group in groups {
            self.group(cluster, side, kubeconfig, group)?;
        }
        Ok(())
    }

    fn group(&self, cluster: &Cluster, side: Side, kubeconfig: &Path, focus: &str) -> anyhow::Result<()> {
        let name = side.name();
        let report = format!("{name}.report.json");
        let _ = std::fs::remove_file(self.folder.join(&report));
        let skip = self.skip.iter().fold(LEFT_OUT.to_owned(), |all, more| format!("{all}|{more}"));
        let mut runner = cluster.command(self.bin.join(e2e::RUNNER));
        runner
            .env("HOME", &self.folder)
            .env("KUBECONFIG", kubeconfig)
            .args([
                &format!("--procs={}", self.procs),
                "--no-color",
                "--silence-skips",
                &format!("--timeout={}", self.timeout),
                "-v",
            ])
            .args([&format!("--focus={focus}"), &format!("--skip={skip}")])
            .args([&format!("--json-report={report}"), &format!("--output-dir={}", self.folder.display())])
            .arg(self.bin.join(e2e::SUITE))
            .args(["--", "--provider=skeleton", "--num-nodes=-1", "--allowed-not-ready-nodes=-1"])
            .args(["--minStartupPods=-1", "--dump-logs-on-failure=false"])
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--kubectl-path={}", self.bin.join("kubectl").display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        println!("{name}: running, {} at a time; log {name}.log", self.procs);
        let mut child = runner.spawn().context("start the runner")?;
        let output = child.stdout.take().context("the runner's output")?;
        self.stop.running(child.id());
        let followed = self.follow(name, BufReader::new(output));
        self.stop.running(0);
        followed?;
        let status = child.wait().context("wait for the runner")?;
        let Ok(body) = std::fs::read(self.folder.join(&report)) else {
            bail!("no report of side {name}: {status}; see {}", self.folder.display());
        };
        let mut results = Results::read(&self.results(side))?;
        results.merge(&serde_json::from_slice(&body).context("the runner's report")?);
        results.write(&self.results(side))?;
        let passed = results.all().filter(|(_, outcome)| **outcome == Outcome::Passed).count();
        println!("{name}: {passed} of {} passed", results.all().count());
        Ok(())
    }

    /// Keeps what the runner says, and shows one line for each spec that ends.
    fn follow(&self, name: &str, output: impl std::io::BufRead) -> anyhow::Result<()> {
        let path = self.folder.join(format!("{name}.log"));
        let mut log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        let (mut head, mut count) = (None, 0);
        for line in output.split(b'\n') {
            let line = line.context("read the runner's output")?;
            log.write_all(&line)?;
            log.write_all(b"\n")?;
            let line = String::from_utf8_lossy(&line);
            if let Some(head) = head.take() {
                count += 1;
                println!("{name} {count:>3}  {head}  {line}");
            }
            head = ended(&line).map(str::to_owned);
        }
        Ok(())
    }
}

/// The first line of what is said of a spec that has ended: `• [1.2 seconds]`, `• [FAILED] [1.2 seconds]`.
fn ended(line: &str) -> Option<&str> {
    line.strip_prefix("• ").filter(|rest| rest.starts_with('[') && rest.ends_with("seconds]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suite_groups_are_those_of_pods() {
        let (groups, left) =
            (regex::Regex::new(&GROUPS.join("|")).unwrap(), regex::Regex::new(LEFT_OUT).unwrap());
        let whole = |name: &str| format!("Kubernetes e2e suite {name}");
        for name in
            ["[sig-node] Pods should run", "[sig-storage] Projected secret x", "[sig-apps] Job should"]
        {
            assert!(groups.is_match(&whole(name)) && !left.is_match(name), "{name}");
        }
        for name in ["[sig-network] Ingress API should", "[sig-api-machinery] Servers [sig-node] Pods"] {
            assert!(!groups.is_match(&whole(name)), "{name}");
        }
        assert!(left.is_match("[sig-storage] EmptyDir volumes [Slow] pod should"));
    }

    #[test]
    fn suite_progress_is_a_line_for_each_spec() {
        assert_eq!(ended("• [FAILED] [3.1 seconds]"), Some("[FAILED] [3.1 seconds]"));
        assert_eq!(ended("•S"), None);
        assert_eq!(ended("STEP: a step"), None);
    }
}
