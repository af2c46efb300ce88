//! The namespaces of a node: PID, mount and network, held by one process, and a pair of interfaces between them and
//! the machine.
//!
//! `ip netns exec` would mount another sysfs and so hide the control groups; `nsenter` does not.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::error::{NodeError, run, write};
use super::groups::{self, Groups};

/// What the first process does: private places for what the parts write at fixed paths, kernel settings that a
/// kubelet insists on as files of the node's own, and then reaping what is orphaned, for ever.
const INIT: &str = r#"
set -e
for place in /run /var/log /var/lib/cni; do
  mkdir -p "$place"
  mount -t tmpfs tmpfs "$place"
done
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  own="/run/$(echo "$setting" | tr / .)"
  cat "/proc/sys/$setting" > "$own"
  mount --bind "$own" "/proc/sys/$setting"
done
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo open
exec >/dev/null
while :; do sleep 3600 & wait; done
"#;
/// Nodes that one machine may have at once.
const NODES: u8 = 250;

/// The namespaces.
pub struct Namespaces {
    number: u8,
    outer: Child,
    init: u32,
    groups: Groups,
}

impl Namespaces {
    /// Makes them; the two ends of the pair have addresses.
    pub fn open(folder: &Path) -> Result<Self, NodeError> {
        let script = folder.join("init.sh");
        write(&script, INIT)?;
        let log = folder.join("init.log");
        write(&log, "")?;
        let open = |source| NodeError::File { path: log.clone(), source };
        let to = std::fs::File::options().append(true).open(&log).map_err(open)?;
        let again = to.try_clone().map_err(open)?;
        // The chain of death signals ends the node even where this program is killed.
        let outer = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork"])
            .args(["--kill-child", "--mount-proc", "--propagation", "private", "sh"])
            .arg(&script)
            .stdin(Stdio::null())
            .stdout(to)
            .stderr(again)
            .process_group(0)
            .spawn()
            .map_err(|e| NodeError::Command {
                command: "setpriv unshare".to_owned(),
                message: e.to_string(),
            })?;
        let mut this = Self { number: 0, outer, init: 0, groups: Groups::default() };
        this.init = this.first(&log)?;
        this.number = this.connect()?;
        this.groups = groups::make(&format!("skerry-node-{}", this.number))?;
        Ok(this)
    }

    /// The first process inside, once it has prepared the place.
    fn first(&mut self, log: &Path) -> Result<u32, NodeError> {
        let started = Instant::now();
        let children = format!("/proc/{0}/task/{0}/children", self.outer.id());
        while started.elapsed() < Duration::from_secs(10) {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let found = std::fs::read_to_string(&children).unwrap_or_default();
            if let (true, Ok(init)) = (said.contains("open\n"), found.trim().parse()) {
                return Ok(init);
            }
            if let Ok(Some(status)) = self.outer.try_wait() {
                return Err(NodeError::Command {
                    command: "unshare".to_owned(),
                    message: format!("{status} {said}"),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(NodeError::Late { what: "namespaces", log: std::fs::read_to_string(log).unwrap_or_default() })
    }

    /// Lays the pair of interfaces under the first free number.
    fn connect(&self) -> Result<u8, NodeError> {
        let init = self.init.to_string();
        for number in 0..NODES {
            let outside = interface(number);
            let add = ["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &init];
            match run(Command::new("ip").args(add)) {
                Err(NodeError::Command { message, .. }) if message.contains("File exists") => continue,
                Err(failed) => return Err(failed),
                Ok(_) => {}
            }
            let [machine, node] = addresses(number);
            run(Command::new("ip").args(["address", "add", &format!("{machine}/30"), "dev", &outside]))?;
            run(Command::new("ip").args(["link", "set", &outside, "up"]))?;
            run(self.command("ip").args(["address", "add", &format!("{node}/30"), "dev", "eth0"]))?;
            run(self.command("ip").args(["link", "set", "eth0", "up"]))?;
            run(self.command("ip").args(["route", "add", "default", "via", &machine.to_string()]))?;
            // kube-apiserver dials pods itself for what it proxies.
            run(Command::new("ip").args(["route", "add", &network(number), "via", &node.to_string()]))?;
            return Ok(number);
        }
        Err(NodeError::Lacks(vec![format!("a free interface: {NODES} nodes are there")]))
    }

    /// A program inside.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.init.to_string(), "--net", "--mount", "--pid", "--"])
            .arg(program.as_ref())
            .stdin(Stdio::null())
            .process_group(0);
        command
    }

    /// The machine, as seen from inside.
    pub fn machine_address(&self) -> Ipv4Addr {
        addresses(self.number)[0]
    }

    /// The node, as seen from the machine.
    pub fn node_address(&self) -> Ipv4Addr {
        addresses(self.number)[1]
    }

    /// The network of its pods.
    pub fn pods(&self) -> String {
        network(self.number)
    }

    /// The control group of its pods.
    pub fn group(&self) -> &str {
        self.groups.name()
    }

    /// Ends every process inside, and takes away what they leave.
    pub fn close(&mut self) {
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        let inside = format!("/proc/{}", self.init);
        let started = Instant::now();
        while self.init != 0 && Path::new(&inside).exists() && started.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.init != 0 {
            let _ = run(Command::new("ip").args(["link", "delete", &interface(self.number)]));
        }
        self.init = 0;
        self.groups.remove();
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.close();
    }
}

fn interface(number: u8) -> String {
    format!("skerry-node-{number}")
}

/// Of the pods.
fn network(number: u8) -> String {
    format!("10.244.{number}.0/24")
}

/// Of the machine and of the node.
fn addresses(number: u8) -> [Ipv4Addr; 2] {
    [Ipv4Addr::new(10, 251, number, 1), Ipv4Addr::new(10, 251, number, 2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_fit_an_interface() {
        assert!(interface(NODES).len() <= 15, "the kernel's limit");
    }
}
