//! A real kubectl, of some minor, with some kubeconfig.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::wait::text;

/// A program and who it is.
pub struct Kubectl {
    program: PathBuf,
    config: PathBuf,
}

/// Where the tools are: `SKERRY_UPSTREAM_BIN`, or the user's cache.
pub fn tools() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache")));
    set("SKERRY_UPSTREAM_BIN").or_else(|| Some(cache()?.join("skerry/bin")))
}

/// A tool of the upstream tier.
pub fn tool(name: &str) -> PathBuf {
    let folder = tools().expect("a home, or SKERRY_UPSTREAM_BIN");
    let path = folder.join(name);
    assert!(path.is_file(), "{name} is missing in {}: run `cargo xtask upstream build`", folder.display());
    path
}

impl Kubectl {
    /// Of a tool's name and a kubeconfig.
    pub fn new(program: &str, config: PathBuf) -> Self {
        Self { program: tool(program), config }
    }

    /// Its kubeconfig.
    pub fn config(&self) -> &Path {
        &self.config
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let home = self.config.parent().expect("a folder");
        command.arg("--request-timeout=60s").args(args).env("KUBECONFIG", &self.config).env("HOME", home);
        command
    }

    /// Runs.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().expect("kubectl")
    }

    /// Runs; it must succeed; answers its output.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "kubectl {args:?}: {}{}", text(&out.stdout), text(&out.stderr));
        text(&out.stdout)
    }

    /// The same with input.
    #[track_caller]
    pub fn feed(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(input.as_bytes()).expect("write");
        drop(pipe);
        child.wait_with_output().expect("wait")
    }

    /// `apply -f -`, with further flags.
    #[track_caller]
    pub fn apply(&self, manifest: &str, flags: &[&str]) -> String {
        let mut args = vec!["apply", "-f", "-"];
        args.extend(flags);
        let out = self.feed(&args, manifest);
        assert!(out.status.success(), "kubectl {args:?}: {}", text(&out.stderr));
        text(&out.stdout)
    }

    /// The output as a tree.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.extend(["-o", "json"]);
        serde_json::from_str(&self.ok(&all)).expect("JSON")
    }

    /// Waits until a Deployment is rolled out.
    #[track_caller]
    pub fn rolled_out(&self, deployment: &str) {
        let out = self.ok(&["rollout", "status", deployment, "--timeout=120s"]);
        assert!(out.contains("successfully rolled out"), "{out}");
    }
}
