//! A port per tenant, by UDP and TCP: the tenant is known by the socket that a query comes to, not by a source that can
//! be forged (DN1, DN5).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::forward;
use super::message::{self, Asked, Incoming, Way};
use super::zone::{Found, Settings, Whose, Zone};

/// Ports that tenants have.
const PORTS: std::ops::RangeInclusive<u16> = 20_000..=59_999;
/// Ports that are tried before a tenant has none.
const TRIES: u16 = 256;
/// Queries a second of one tenant, and as many at once.
const RATE: u32 = 2_000;
/// Questions to other servers at once, per tenant.
const RECURSIONS: usize = 64;
/// Connections at once, per tenant.
const STREAMS: usize = 64;
/// A connection without a word ends.
const IDLE: Duration = Duration::from_secs(10);
/// How long a query waits for the tenant to have a pod of its source: a pod asks before its address is reported.
const KNOWN: Duration = Duration::from_secs(3);

/// Why a tenant has no port.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// All that were tried are taken.
    #[error("no free port between {first} and {last} at {address}", first = PORTS.start(), last = PORTS.end())]
    NoPort {
        /// Where it listens.
        address: IpAddr,
    },
}

struct Open {
    port: u16,
    stop: CancellationToken,
}

/// The servers of all tenants.
pub struct Servers {
    listen: IpAddr,
    /// Where pods find them.
    pub advertise: IpAddr,
    resolvers: Vec<SocketAddr>,
    open: Mutex<BTreeMap<String, Open>>,
    opening: tokio::sync::Mutex<()>,
    /// Queries over a tenant's rate.
    refused: Arc<AtomicU64>,
}

impl Servers {
    /// Servers at an address, `advertise` being where pods reach it.
    pub fn new(listen: IpAddr, advertise: IpAddr) -> Self {
        let resolvers = forward::own_resolvers();
        Self {
            listen,
            advertise,
            resolvers,
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            refused: Arc::default(),
        }
    }

    /// The port of a tenant; opened if it is not, at the one it had before if that is free.
    pub async fn open(
        &self,
        tenant: &str,
        zone: Arc<RwLock<Zone>>,
        before: Option<u16>,
    ) -> Result<u16, OpenError> {
        let _one = self.opening.lock().await;
        if let Some(known) = self.open.lock().get(tenant) {
            return Ok(known.port);
        }
        let first = before.filter(|p| PORTS.contains(p)).unwrap_or_else(|| preferred(tenant));
        let span = PORTS.end() - PORTS.start() + 1;
        for i in 0..TRIES {
            let port = PORTS.start() + (first - PORTS.start() + i) % span;
            let at = SocketAddr::new(self.listen, port);
            let (Ok(datagrams), Ok(streams)) = (UdpSocket::bind(at).await, TcpListener::bind(at).await)
            else {
                continue;
            };
            let stop = CancellationToken::new();
            let tenant_of = Arc::new(Tenant {
                zone,
                resolvers: self.resolvers.clone(),
                budget: Mutex::new((Instant::now(), RATE)),
                recursions: Semaphore::new(RECURSIONS),
                strangers: Semaphore::new(RECURSIONS),
                refused: self.refused.clone(),
            });
            tokio::spawn(by_datagrams(tenant_of.clone(), Arc::new(datagrams), stop.clone()));
            tokio::spawn(by_streams(tenant_of, streams, stop.clone()));
            self.open.lock().insert(tenant.to_owned(), Open { port, stop });
            return Ok(port);
        }
        Err(OpenError::NoPort { address: self.listen })
    }

    /// Queries that were refused because their tenant asked too many.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Ends a tenant's.
    pub fn close(&self, tenant: &str) {
        if let Some(open) = self.open.lock().remove(tenant) {
            open.stop.cancel();
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.open.lock().values().for_each(|open| open.stop.cancel());
    }
}

/// Where the search for a tenant's port begins.
fn preferred(tenant: &str) -> u16 {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(tenant.as_bytes());
    let span = PORTS.end() - PORTS.start() + 1;
    PORTS.start() + u16::from_be_bytes([hash[0], hash[1]]) % span
}

struct Tenant {
    zone: Arc<RwLock<Zone>>,
    resolvers: Vec<SocketAddr>,
    /// Since when, and what is left of that second.
    budget: Mutex<(Instant, u32)>,
    recursions: Semaphore,
    /// Queries of sources that are none of its pods yet: they take no place from those that are.
    strangers: Semaphore,
    refused: Arc<AtomicU64>,
}

/// Who is asked: the servers that the tenant names, but for names of the host.
fn servers(settings: &Settings, of: Whose, own: &[SocketAddr]) -> Vec<SocketAddr> {
    if settings.upstream.is_empty() || of == Whose::Host {
        return own.to_vec();
    }
    settings.upstream.iter().map(|ip| SocketAddr::new(*ip, 53)).collect()
}

async fn by_datagrams(tenant: Arc<Tenant>, socket: Arc<UdpSocket>, stop: CancellationToken) {
    let mut buffer = vec![0; 4096];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        // An error is of one peer that could not be sent to.
        let Ok((length, peer)) = received else { continue };
        match message::read(&buffer[..length]) {
            Incoming::Nothing => {}
            Incoming::Answer(packet) => drop(socket.send_to(&packet, peer).await),
            Incoming::Query(asked) => match tenant.at_once(&asked, Way::Udp) {
                Some(packet) => drop(socket.send_to(&packet, peer).await),
                None => {
                    let (tenant, socket) = (tenant.clone(), socket.clone());
                    tokio::spawn(async move {
                        let packet = tenant.elsewhere(&asked, peer.ip(), Way::Udp).await;
                        let _sent = socket.send_to(&packet, peer).await;
                    });
                }
            },
        }
    }
}

async fn by_streams(tenant: Arc<Tenant>, listener: TcpListener, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(STREAMS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (tenant, stop) = (tenant.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                result = one_stream(&tenant, stream, peer.ip()) => drop(result),
            }
            drop(place);
        });
    }
}

async fn one_stream(tenant: &Tenant, mut stream: TcpStream, peer: IpAddr) -> std::io::Result<()> {
    while let Ok(length) = timeout(IDLE, stream.read_u16()).await {
        let mut packet = vec![0; usize::from(length?)];
        timeout(IDLE, stream.read_exact(&mut packet)).await??;
        let answer = match message::read(&packet) {
            Incoming::Nothing => return Ok(()),
            Incoming::Answer(packet) => packet,
            Incoming::Query(asked) => match tenant.at_once(&asked, Way::Tcp) {
                Some(packet) => packet,
                None => tenant.elsewhere(&asked, peer, Way::Tcp).await,
            },
        };
        stream.write_u16(u16::try_from(answer.len()).unwrap_or(u16::MAX)).await?;
        timeout(IDLE, stream.write_all(&answer)).await??;
    }
    Ok(())
}

impl Tenant {
    /// Whether one more may be answered in this second.
    fn has_budget(&self) -> bool {
        let mut budget = self.budget.lock();
        if budget.0.elapsed() >= Duration::from_secs(1) {
            *budget = (Instant::now(), RATE);
        }
        let has_some = budget.1 > 0;
        budget.1 = budget.1.saturating_sub(1);
        has_some
    }

    /// What the tenant's own records answer; `None`: somebody else has to be asked.
    fn at_once(&self, asked: &Asked, way: Way) -> Option<Vec<u8>> {
        if !self.has_budget() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Some(asked.refused(way));
        }
        let zone = self.zone.read();
        match zone.lookup(&asked.name, asked.kind) {
            Found::Records(records) => Some(asked.found(way, &records, true, &zone.settings)),
            Found::NoName => Some(asked.found(way, &[], false, &zone.settings)),
            Found::Refused => Some(asked.refused(way)),
            Found::Elsewhere { .. } if !asked.wants_recursion() => Some(asked.refused(way)),
            Found::Elsewhere { .. } => None,
        }
    }

    /// Asks others, for the tenant's own pods alone.
    async fn elsewhere(&self, asked: &Asked, source: IpAddr, way: Way) -> Vec<u8> {
        if !self.zone.read().is_source(source) {
            let Ok(_place) = self.strangers.try_acquire() else { return asked.refused(way) };
            if !self.is_known(source).await {
                return asked.refused(way);
            }
        }
        let Ok(_place) = self.recursions.try_acquire() else { return asked.refused(way) };
        let (before, name, of, settings) = {
            let zone = self.zone.read();
            match zone.lookup(&asked.name, asked.kind) {
                Found::Elsewhere { before, name, of } => (before, name, of, zone.settings.clone()),
                // It has become the tenant's own meanwhile.
                Found::Records(records) => return asked.found(way, &records, true, &zone.settings),
                _ => return asked.found(way, &[], false, &zone.settings),
            }
        };
        let Some(question) = asked.onward(&name) else { return asked.failed(way) };
        match forward::ask(&question, &servers(&settings, of, &self.resolvers)).await {
            Ok(answer) => asked.relayed(way, &before, &answer, &settings),
            Err(error) => {
                tracing::debug!(%error, "a name was not resolved");
                asked.failed(way)
            }
        }
    }

    async fn is_known(&self, source: IpAddr) -> bool {
        let until = Instant::now() + KNOWN;
        loop {
            if self.zone.read().is_source(source) {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DN3: a tenant's own choice of servers is for names of others; those of the host are the host's to answer.
    #[test]
    fn dns_dn3_who_is_asked() {
        let own = [SocketAddr::from(([10, 96, 0, 10], 53))];
        let chosen = Settings { upstream: vec![[192, 0, 2, 53].into()], ..Settings::default() };
        assert_eq!(servers(&chosen, Whose::Others, &own), [SocketAddr::from(([192, 0, 2, 53], 53))]);
        assert_eq!(servers(&chosen, Whose::Host, &own), own);
        for of in [Whose::Host, Whose::Others] {
            assert_eq!(servers(&Settings::default(), of, &own), own);
        }
    }
}
