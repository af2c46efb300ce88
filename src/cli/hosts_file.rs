//! `skerry hosts-file`: writes a pod's hosts file as its kubelet would, with the tenant's name of the pod (syncer PO30).
//! Run by a container that the syncer puts before a pod's own; nobody types it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::exit::Failure;

/// What the file begins with on every node; programs look for the first line.
const HEAD: &str = "# Kubernetes-managed hosts file.\n\
                    127.0.0.1\tlocalhost\n\
                    ::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::0\tip6-localnet\n\
                    fe00::0\tip6-mcastprefix\n\
                    fe00::1\tip6-allnodes\n\
                    fe00::2\tip6-allrouters\n";

/// Flags.
#[derive(Debug, Args)]
pub struct HostsFileArgs {
    /// Where it is written.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Addresses of the pod, of both families.
    #[arg(long, value_name = "IP", env = "SKERRY_POD_IPS", value_delimiter = ',', required = true)]
    addresses: Vec<IpAddr>,
    /// Its host name.
    #[arg(long, value_name = "NAME")]
    hostname: String,
    /// Its full name.
    #[arg(long, value_name = "NAME")]
    fqdn: String,
    /// An entry of its hostAliases; repeatable.
    #[arg(long, value_name = "IP=NAME,…", value_parser = alias)]
    alias: Vec<Alias>,
}

/// Names of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alias {
    address: String,
    names: Vec<String>,
}

fn alias(text: &str) -> Result<Alias, String> {
    let (address, names) = text.split_once('=').ok_or("no IP=NAME,…")?;
    // As it was written: kubelets do not shorten addresses either.
    address.parse::<IpAddr>().map_err(|failed| failed.to_string())?;
    let names = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(Alias { address: address.to_owned(), names })
}

/// Writes the file.
pub fn run(args: &HostsFileArgs) -> Result<(), Failure> {
    let failed = |failed: std::io::Error| Failure::Failed(format!("{}: {failed}", args.to.display()));
    std::fs::write(&args.to, content(args)).map_err(failed)?;
    readable(&args.to).map_err(failed)
}

/// Whoever a container runs as reads it.
fn readable(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

fn content(args: &HostsFileArgs) -> String {
    let mut out = HEAD.to_owned();
    for address in &args.addresses {
        let _ = writeln!(out, "{address}\t{}\t{}", args.fqdn, args.hostname);
    }
    if !args.alias.is_empty() {
        out.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in &args.alias {
        let _ = writeln!(out, "{}\t{}", alias.address, alias.names.join("\t"));
    }
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: HostsFileArgs,
    }

    fn line(more: &[&str]) -> Result<HostsFileArgs, String> {
        let fixed = ["x", "--to=/nowhere", "--hostname=web-0", "--fqdn=web-0.peers.web.svc.cluster.local"];
        Line::try_parse_from(fixed.iter().chain(more)).map(|l| l.args).map_err(|e| e.to_string())
    }

    /// SY-48: line by line what a kubelet writes, for both families.
    #[test]
    fn hosts_file_is_a_kubelets() {
        let plain = content(&line(&["--addresses=10.1.2.3"]).expect("arguments"));
        assert_eq!(
            plain,
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n\
             10.1.2.3\tweb-0.peers.web.svc.cluster.local\tweb-0\n"
        );
        let both = content(
            &line(&["--addresses=10.1.2.3,fd00::7", "--alias=fd00:0::1=a,b.example", "--alias=1.1.1.1=c"])
                .expect("arguments"),
        );
        assert!(
            both.ends_with(
                "10.1.2.3\tweb-0.peers.web.svc.cluster.local\tweb-0\n\
                 fd00::7\tweb-0.peers.web.svc.cluster.local\tweb-0\n\
                 \n# Entries added by HostAliases.\nfd00:0::1\ta\tb.example\n1.1.1.1\tc\n"
            ),
            "{both}"
        );
    }

    #[test]
    fn hosts_file_needs_addresses() {
        for bad in [
            &[][..],
            &["--addresses="],
            &["--addresses=10.1.2.3,x"],
            &["--addresses=10.1.2.3", "--alias=x=a"],
        ] {
            assert!(line(bad).is_err(), "{bad:?}");
        }
    }

    /// The file is written, and anybody may read it.
    #[test]
    fn hosts_file_is_readable() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let mut args = line(&["--addresses=10.1.2.3"]).expect("arguments");
        args.to = folder.path().join("hosts");
        run(&args).expect("written");
        assert_eq!(std::fs::read_to_string(&args.to).expect("read"), content(&args));
        let mode = std::fs::metadata(&args.to).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        args.to = folder.path().join("missing/hosts");
        assert!(run(&args).is_err());
    }
}
