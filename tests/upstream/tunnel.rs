//! `kubectl logs`, `exec`, `attach`, `cp` and `port-forward` of a tenant: on a simulated host, which says that nothing runs
//! there, and into a pod that really runs (AS-68, SY-100).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::kubectl::tool;
use crate::world::{World, eventually, text};

const LIMIT: Duration = Duration::from_secs(60);
const NOTHING_RUNS: &str = "this pod is simulated: nothing runs in it";
/// By which kubectl is told to use SPDY; without it, it uses WebSockets where it knows them.
const SPDY: [(&str, &str); 2] =
    [("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false"), ("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false")];

/// The minor of the server.
pub fn simulated_newest(world: &mut World) -> Outcome {
    simulated(world, "kubectl", "quiet");
    Outcome::Passed
}

/// Three minors behind.
pub fn simulated_older(world: &mut World) -> Outcome {
    simulated(world, "kubectl-1.33", "quiet-old");
    Outcome::Passed
}

fn simulated(world: &World, program: &str, name: &str) {
    let kubectl = world.cluster(program, name);
    kubectl.ok(&["run", "quiet", "--image=nginx"]);
    kubectl.ok(&["wait", "pod/quiet", "--for=condition=Ready", "--timeout=60s"]);
    for args in [&["logs", "quiet"][..], &["logs", "-f", "quiet"], &["logs", "quiet", "--all-containers"]] {
        assert_eq!(kubectl.ok(args).trim_end(), NOTHING_RUNS, "{args:?}");
    }
    let refused = |args: &[&str]| {
        let out = kubectl.run(args);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {}", text(&out.stdout));
        text(&out.stderr)
    };
    for args in [
        &["exec", "quiet", "--", "true"][..],
        &["attach", "quiet"],
        &["port-forward", "quiet", ":80"],
        &["cp", "quiet:/etc/hosts", "/dev/null"],
    ] {
        let said = refused(args);
        assert!(said.contains(NOTHING_RUNS), "{args:?}: {said}");
    }
    assert!(refused(&["logs", "quiet", "-c", "mesh"]).contains("container mesh is not valid for pod quiet"));
    assert!(refused(&["logs", "nobody"]).contains("pods \"nobody\" not found"));
    kubectl.ok(&["delete", "pod", "quiet"]);
}

/// A pod for [`of_a_running_pod`]: the image has busybox's sh, tar and httpd.
pub fn pod(name: &str, image: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: {image}
    command: [sh, -c, "mkdir -p /www; echo served > /www/index.html; httpd -p 8080 -h /www; i=0; while :; do echo tick $i; i=$((i+1)); sleep 1; done"]
"#
    )
}

/// Every stream of a pod made by [`pod`], under both protocols.
pub fn of_a_running_pod(program: &str, config: &Path, namespace: &str, pod: &str) {
    let ways: [&[(&str, &str)]; 2] = [&[], &SPDY];
    for environment in ways {
        let pod = Running { program, config, namespace, pod, environment };
        pod.logs();
        pod.logs_as_they_come();
        pod.exec();
        pod.exec_on_a_terminal();
        pod.attach();
        pod.copies();
        pod.port_forward();
    }
}

struct Running<'a> {
    program: &'a str,
    config: &'a Path,
    namespace: &'a str,
    pod: &'a str,
    environment: &'a [(&'a str, &'a str)],
}

/// A kubectl that runs until it is dropped.
struct Going(Child);

impl Going {
    fn lines(&mut self) -> std::io::Lines<BufReader<ChildStdout>> {
        BufReader::new(self.0.stdout.take().expect("a pipe")).lines()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(tool(self.program));
        let home = self.config.parent().expect("a folder");
        command.args(["-n", self.namespace]).args(args).env("KUBECONFIG", self.config).env("HOME", home);
        command.envs(self.environment.iter().copied()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("kubectl")
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}{}", text(&out.stdout), text(&out.stderr));
        text(&out.stdout)
    }

    fn start(&self, args: &[&str]) -> Going {
        Going(self.command(args).stdout(Stdio::piped()).spawn().expect("kubectl"))
    }

    fn logs(&self) {
        assert!(self.ok(&["logs", self.pod]).starts_with("tick 0\n"));
        assert_eq!(self.ok(&["logs", self.pod, "--tail=1"]).lines().count(), 1);
        let other = self.run(&["logs", self.pod, "-c", "mesh"]);
        assert!(text(&other.stderr).contains("is not valid for pod"), "{}", text(&other.stderr));
    }

    fn logs_as_they_come(&self) {
        let mut going = self.start(&["logs", "-f", "--tail=1", self.pod]);
        let lines: Vec<String> = going.lines().take(4).map_while(Result::ok).collect();
        assert!(lines.len() == 4 && lines.iter().all(|l| l.starts_with("tick ")), "{lines:?}");
    }

    fn exec(&self) {
        let mut command =
            self.command(&["exec", "-i", self.pod, "--", "sh", "-c", "cat; echo low >&2; exit 3"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl");
        let sent: String = (0..20_000).map(|i| format!("{i}\n")).collect();
        let mut input = child.stdin.take().expect("a pipe");
        let given = sent.clone();
        let writer = std::thread::spawn(move || input.write_all(given.as_bytes()));
        let out = child.wait_with_output().expect("wait");
        writer.join().expect("no panic").expect("all is taken");
        assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
        assert!(text(&out.stdout) == sent, "{} of {} bytes", out.stdout.len(), sent.len());
        assert!(text(&out.stderr).starts_with("low\n"), "{}", text(&out.stderr));
    }

    /// With a terminal of util-linux's `script`, where there is one. The size follows a moment after the start.
    fn exec_on_a_terminal(&self) {
        if Command::new("script").arg("--version").output().is_err() {
            println!("skipped: exec on a terminal: `script` is missing");
            return;
        }
        let program = tool(self.program);
        let line = format!(
            "stty rows 33 cols 77; {} -n {} exec -it {} -- sh -c 'until stty size | grep 77; do sleep 1; done; exit 4'",
            program.display(),
            self.namespace,
            self.pod
        );
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("KUBECONFIG", self.config).env("SHELL", "/bin/sh");
        let out =
            command.envs(self.environment.iter().copied()).stdin(Stdio::null()).output().expect("script");
        assert!(text(&out.stdout).contains("33 77"), "{}", text(&out.stdout));
        assert_eq!(out.status.code(), Some(4), "{}", text(&out.stdout));
    }

    fn attach(&self) {
        let mut going = self.start(&["attach", self.pod]);
        let line = going.lines().map_while(Result::ok).find(|l| l.starts_with("tick "));
        assert!(line.is_some(), "nothing came");
    }

    fn copies(&self) {
        let folder = tempfile::tempdir().expect("a folder");
        let (there, back) = (folder.path().join("there"), folder.path().join("back"));
        let bytes: Vec<u8> =
            (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(&there, &bytes).expect("write");
        let path = |p: &PathBuf| p.to_str().expect("an ordinary path").to_owned();
        let inside = format!("{}:/tmp/copied", self.pod);
        self.ok(&["cp", &path(&there), &inside]);
        self.ok(&["cp", &inside, &path(&back)]);
        assert!(std::fs::read(&back).expect("the copy") == bytes, "the copy of the copy differs");
    }

    fn port_forward(&self) {
        let mut going = self.start(&["port-forward", self.pod, ":8080"]);
        // Kept open: it says there what it does.
        let mut lines = going.lines().map_while(Result::ok);
        let line = lines.find(|l| l.contains("127.0.0.1:")).expect("an address");
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");
        // More than one connection over one port-forward.
        for _ in 0..3 {
            let answer = eventually("an answer", LIMIT, || {
                let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).ok()?;
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).ok()?;
                Some(answer)
            });
            assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.ends_with("served\n"), "{answer}");
        }
    }
}
