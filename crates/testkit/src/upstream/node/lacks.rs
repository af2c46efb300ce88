//! What this machine lacks for a real node, by name.

use std::process::{Command, Stdio};

use super::super::programs;
use super::groups;

/// Programs, and the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 12] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("runc", "runc"),
    ("busybox", "busybox-static"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
];
/// Where Debian puts network plugins.
pub const PLUGINS: &str = "/usr/lib/cni";
/// Rights beyond those of every root, with their bits.
const CAPABILITIES: [(&str, u32); 2] = [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21)];

/// Nothing, where a node can be had.
pub fn lacks() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut out = rights(&status);
    out.extend(programs::missing(&PROGRAMS));
    for plugin in ["bridge", "host-local", "portmap", "loopback"] {
        if !std::path::Path::new(PLUGINS).join(plugin).is_file() {
            out.push(format!("{PLUGINS}/{plugin} (package containernetworking-plugins)"));
        }
    }
    // What a capability promises a sandbox around the machine may still forbid.
    if out.is_empty() && !namespaces() {
        out.push("the right to make namespaces".to_owned());
    }
    if out.is_empty() && !control_groups() {
        out.push("control groups that can be written".to_owned());
    }
    out
}

/// Of a process's status: whether it is root, with which capabilities.
fn rights(status: &str) -> Vec<String> {
    let field = |name: &str| {
        status.lines().find_map(|l| l.strip_prefix(name)).and_then(|l| l.split_whitespace().next())
    };
    let mut out = Vec::new();
    if field("Uid:") != Some("0") {
        out.push("root".to_owned());
    }
    let effective = field("CapEff:").and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0);
    let missing = CAPABILITIES.iter().filter(|(_, bit)| effective & (1 << bit) == 0);
    out.extend(missing.map(|(name, _)| (*name).to_owned()));
    out
}

fn namespaces() -> bool {
    let args = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "true"];
    let status = Command::new("unshare").args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|s| s.success())
}

fn control_groups() -> bool {
    let name = format!("skerry-trial-{}", std::process::id());
    match groups::make(&name) {
        Ok(mut made) => {
            made.remove();
            !made.name().is_empty()
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_needs_are_named() {
        assert_eq!(rights("Uid:\t0\t0\nCapEff:\t000001fffeffffff\n"), Vec::<String>::new());
        assert_eq!(rights("Uid:\t0\t0\nCapEff:\t00000000a80425fb\n"), ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
        assert_eq!(rights("Uid:\t1000\t1000\nCapEff:\t0\n"), ["root", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
    }
}
