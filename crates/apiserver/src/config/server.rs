//! `skerry apiserver --config FILE`.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::reader::Reader;
use super::{ConfigError, Egress, Limits};

/// The whole configuration of a process.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Sockets.
    pub listen: ListenConfig,
    /// Certificates towards clients.
    pub serving: ServingConfig,
    /// Authority of system identities.
    pub system: SystemConfig,
    /// Where objects are kept.
    pub store: StoreConfig,
    /// Outgoing calls.
    pub egress: EgressConfig,
    /// Shares of the machine.
    pub resources: ResourcesConfig,
    /// What a tenant gets that says nothing.
    pub tenant_defaults: TenantDefaults,
}

/// Sockets.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// TLS socket of the API.
    pub address: SocketAddr,
    /// Plain socket of probes and metrics.
    pub ops_address: SocketAddr,
}

/// Certificates towards clients.
#[derive(Clone, Debug)]
pub struct ServingConfig {
    /// Tenants answer under `<id>.<baseDomain>`; empty for none.
    pub base_domain: String,
    /// Certificate chain for names other than the `kubernetes` ones.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// Its authority, published to clients.
    pub ca_file: Option<PathBuf>,
}

/// Authority of system identities.
#[derive(Clone, Debug)]
pub struct SystemConfig {
    /// PEM bundle; certificates below it are system identities.
    pub client_ca_file: Option<PathBuf>,
}

/// Kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Nothing outlives the process.
    Memory,
    /// One file on one volume.
    Redb,
}

/// Where objects are kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Kind of store.
    pub backend: Backend,
    /// The redb file.
    pub redb: RedbConfig,
    /// Group commit.
    pub commit: CommitConfig,
    /// What watches can go back to.
    pub history: HistoryConfig,
}

/// The redb file.
#[derive(Clone, Debug)]
pub struct RedbConfig {
    /// Directory of the shards.
    pub path: PathBuf,
    /// Number of shards, fixed at first start.
    pub shards: u16,
}

/// Group commit.
#[derive(Clone, Copy, Debug)]
pub struct CommitConfig {
    /// Writes per batch.
    pub max_writes: usize,
    /// Bytes per batch.
    pub max_bytes: usize,
    /// Writes of one tenant per batch.
    pub max_per_tenant: usize,
    /// How long a batch waits for company.
    pub linger: Duration,
}

/// What watches can go back to.
#[derive(Clone, Copy, Debug)]
pub struct HistoryConfig {
    /// Kept at least.
    pub min_age: Duration,
    /// Kept at most.
    pub max_age: Duration,
    /// Bytes of one tenant beyond which `min_age` does not hold.
    pub tenant_hard_bytes: usize,
    /// Bytes of one shard's log.
    pub shard_bytes: usize,
}

/// Outgoing calls (Q22).
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// Never dialled.
    pub deny: Vec<Egress>,
}

/// Shares of the machine.
#[derive(Clone, Copy, Debug)]
pub struct ResourcesConfig {
    /// Requests served at once; 0 means eight per core.
    pub seats: usize,
    /// Percent of the memory limit beyond which memory is given back.
    pub memory_high_water: u8,
}

/// What a tenant gets that says nothing.
#[derive(Clone, Copy, Debug)]
pub struct TenantDefaults {
    /// Idle time before hibernation; zero for never.
    pub hibernate_after: Duration,
    /// Limits.
    pub limits: Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        read(&Value::Null, &RefCell::default())
    }
}

impl ServerConfig {
    /// Reads the text of a configuration file.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        let tree: Value = serde_yaml_ng::from_str(text).map_err(ConfigError::Syntax)?;
        Self::from_value(&tree)
    }

    /// Reads a configuration tree.
    pub fn from_value(tree: &Value) -> Result<Self, ConfigError> {
        let causes = RefCell::default();
        let config = read(tree, &causes);
        match causes.into_inner() {
            none if none.is_empty() => Ok(config),
            causes => Err(ConfigError::Fields(causes)),
        }
    }
}

fn path(from: &mut Reader<'_>, name: &'static str) -> Option<PathBuf> {
    Some(from.text(name, "")).filter(|p| !p.is_empty()).map(PathBuf::from)
}

fn address(from: &mut Reader<'_>, name: &'static str, default: ([u8; 4], u16)) -> SocketAddr {
    from.parsed(name, default.into(), "must be an address and port as 0.0.0.0:6443", |t| t.parse().ok())
}

const MI: u64 = 1 << 20;

fn read(tree: &Value, causes: &RefCell<Vec<crate::model::status::Cause>>) -> ServerConfig {
    let mut root = Reader::new(tree, causes);
    let mut listen = root.child("listen");
    let listen_config = ListenConfig {
        address: address(&mut listen, "address", ([0, 0, 0, 0], 6443)),
        ops_address: address(&mut listen, "opsAddress", ([127, 0, 0, 1], 8081)),
    };
    listen.finish();
    let serving = read_serving(root.child("serving"));
    let mut system = root.child("system");
    let system_config = SystemConfig { client_ca_file: path(&mut system, "clientCAFile") };
    system.finish();
    let store = read_store(root.child("store"));
    let mut egress = root.child("egress");
    let deny = egress.list(
        "deny",
        vec![Egress::Private, Egress::Loopback, Egress::LinkLocal, Egress::CarrierNat],
        64,
        "private, loopback, linkLocal, carrierNAT or a CIDR",
        Egress::parse_deny,
    );
    egress.finish();
    let mut resources = root.child("resources");
    let resources_config = ResourcesConfig {
        seats: resources.number("seats", 0, 0..=65_536) as usize,
        memory_high_water: resources.parsed(
            "memoryHighWater",
            80,
            "must be a share as 80%, 10% to 95%",
            |t| t.strip_suffix('%')?.parse().ok().filter(|n| (10..=95).contains(n)),
        ),
    };
    resources.finish();
    let mut defaults = root.child("tenantDefaults");
    let tenant_defaults = TenantDefaults {
        hibernate_after: super::tenant::hibernate_after(&mut defaults, Duration::from_secs(600)),
        limits: Limits::read(defaults.child("limits"), &Limits::default()),
    };
    defaults.finish();
    root.finish();
    ServerConfig {
        listen: listen_config,
        serving,
        system: system_config,
        store,
        egress: EgressConfig { deny },
        resources: resources_config,
        tenant_defaults,
    }
}

fn read_serving(mut from: Reader<'_>) -> ServingConfig {
    let base_domain = from.parsed(
        "baseDomain",
        String::new(),
        "must be a lower-case DNS name of two labels or more",
        |t| (t.is_empty() || is_domain(t)).then(|| t.to_owned()),
    );
    let out = ServingConfig {
        base_domain,
        cert_file: path(&mut from, "certFile"),
        key_file: path(&mut from, "keyFile"),
        ca_file: path(&mut from, "caFile"),
    };
    if out.cert_file.is_some() != out.key_file.is_some() {
        let missing = if out.cert_file.is_some() { "keyFile" } else { "certFile" };
        from.wrong(missing, &Value::from(""), "must be given: certFile and keyFile belong together");
    }
    from.finish();
    out
}

/// A lower-case DNS name of two labels or more.
pub(super) fn is_domain(text: &str) -> bool {
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

fn read_store(mut from: Reader<'_>) -> StoreConfig {
    let backend =
        from.word("backend", Backend::Redb, &[("memory", Backend::Memory), ("redb", Backend::Redb)]);
    let mut redb = from.child("redb");
    let redb_config = RedbConfig {
        path: path(&mut redb, "path").unwrap_or_else(|| PathBuf::from("data/store")),
        shards: redb.number("shards", 1, 1..=64) as u16,
    };
    redb.finish();
    let mut commit = from.child("commit");
    let commit_config = CommitConfig {
        max_writes: commit.number("maxWrites", 512, 1..=65_536) as usize,
        max_bytes: commit.bytes("maxBytes", 8 * MI, 4 * MI..=256 * MI) as usize,
        max_per_tenant: commit.number("maxPerTenant", 64, 1..=65_536) as usize,
        linger: commit.duration("linger", Duration::ZERO, Duration::ZERO..=Duration::from_millis(10)),
    };
    commit.finish();
    let mut history = from.child("history");
    let hour = Duration::from_secs(3600);
    let history_config = HistoryConfig {
        min_age: history.duration("minAge", Duration::from_secs(90), Duration::from_secs(1)..=hour),
        max_age: history.duration("maxAge", Duration::from_secs(300), Duration::from_secs(1)..=hour),
        tenant_hard_bytes: history.bytes("tenantHardBytes", 32 * MI, 4 * MI..=1024 * MI) as usize,
        shard_bytes: history.bytes("shardBytes", 256 * MI, 4 * MI..=65_536 * MI) as usize,
    };
    if history_config.min_age > history_config.max_age {
        history.wrong(
            "minAge",
            &Value::from(format!("{:?}", history_config.min_age)),
            "must not exceed maxAge",
        );
    }
    history.finish();
    from.finish();
    StoreConfig { backend, redb: redb_config, commit: commit_config, history: history_config }
}
