//! The probe (tenancy P2): `/readyz` and `/version` with the published kubeconfig, nothing else.
//!
//! One success means up, three failures in a row mean down. A tenant of a shared server is probed in full at birth and
//! whenever its kubeconfig changes, then every ten minutes; others every ten seconds.

use std::collections::HashMap;
use std::time::Duration;

use kube::Client;
use parking_lot::Mutex;
use skerry_kit::error;
use skerry_kit::kubeconfig::{Allow, read};
use tokio::time::{Instant, timeout};

/// Limit of one probe.
const LIMIT: Duration = Duration::from_secs(3);
/// Failures in a row that mean down.
const THRESHOLD: u32 = 3;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered and says which version it is.
    Up {
        /// Version.
        version: String,
    },
    /// It failed, but not yet often enough to count.
    Wavering,
    /// It is down, or never was up.
    Down {
        /// The server refuses the credential.
        rejected: bool,
        /// What happened.
        message: String,
    },
}

struct Known {
    digest: String,
    client: Client,
    version: Option<String>,
    failures: u32,
    next: Instant,
}

/// Probes by tenant id.
#[derive(Default)]
pub struct Prober {
    known: Mutex<HashMap<String, Known>>,
}

impl Prober {
    /// Probes the tenant if that is due; else repeats what is known.
    pub async fn probe(&self, id: &str, kubeconfig: &str, digest: &str, period: Duration) -> Verdict {
        let ready = {
            let known = self.known.lock();
            match known.get(id).filter(|k| k.digest == digest) {
                Some(k) if k.next > Instant::now() && k.failures == 0 => {
                    return k.version.clone().map_or(Verdict::Wavering, |version| Verdict::Up { version });
                }
                Some(k) => Some(k.client.clone()),
                None => None,
            }
        };
        let client = match ready {
            Some(client) => client,
            None => match client_of(kubeconfig).await {
                Ok(client) => client,
                Err(message) => return Verdict::Down { rejected: false, message },
            },
        };
        let result = match timeout(LIMIT, ask(&client)).await {
            Ok(result) => result,
            Err(_) => Err((false, format!("no answer within {} s", LIMIT.as_secs()))),
        };
        self.note(id, digest, client, period, result)
    }

    fn note(
        &self,
        id: &str,
        digest: &str,
        client: Client,
        period: Duration,
        result: Result<String, (bool, String)>,
    ) -> Verdict {
        let mut known = self.known.lock();
        let before = known.remove(id);
        let same = before.as_ref().is_some_and(|k| k.digest == digest);
        let was_up = before.as_ref().and_then(|k| k.version.clone());
        let failures = if same { before.map_or(0, |k| k.failures) } else { 0 };
        let (verdict, version, failures) = match result {
            Ok(version) => (Verdict::Up { version: version.clone() }, Some(version), 0),
            Err((rejected, message)) => {
                let failures = failures + 1;
                let holds = was_up.is_some() && failures < THRESHOLD;
                let verdict = if holds { Verdict::Wavering } else { Verdict::Down { rejected, message } };
                (verdict, if holds { was_up } else { None }, failures)
            }
        };
        let next = Instant::now() + skerry_kit::backoff::jittered(period);
        known.insert(id.to_owned(), Known { digest: digest.to_owned(), client, version, failures, next });
        verdict
    }

    /// Makes the next probe of every tenant due at once: the server they share is in trouble, or out of it.
    pub fn hurry(&self) {
        for known in self.known.lock().values_mut() {
            known.next = Instant::now();
        }
    }

    /// Forgets a tenant that is gone.
    pub fn forget(&self, id: &str) {
        self.known.lock().remove(id);
    }

    /// Tenants that are known.
    pub fn len(&self) -> usize {
        self.known.lock().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A client from a kubeconfig that we published.
pub async fn client_of(kubeconfig: &str) -> Result<Client, String> {
    let file = read(kubeconfig, None, Allow::default()).map_err(|e| e.to_string())?;
    let config = skerry_kit::kubeconfig::config(file).await.map_err(|e| e.to_string())?;
    Client::try_from(config).map_err(|e| error::sentence(&e))
}

/// One probe: ready, and its version.
async fn ask(client: &Client) -> Result<String, (bool, String)> {
    let said = |e: kube::Error| (error::is_denied(&e), error::sentence(&e));
    let ready = http::Request::get("/readyz").body(Vec::new()).map_err(|e| (false, e.to_string()))?;
    client.request_text(ready).await.map_err(said)?;
    client.apiserver_version().await.map(|v| v.git_version).map_err(said)
}
