//! What the inventory remembers between passes: tokens for profile writes, repairs, last figures of real members.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::collect::Figures;
use super::health::Verdicts;

/// One write per this time, on average (P7).
const REFILL: Duration = Duration::from_secs(30);
/// Writes in a row of a new profile.
const BURST: f64 = 10.0;
/// Writes in a row of one that was there before this process.
const BURST_KNOWN: f64 = 3.0;
/// Repairs in [`CONTEST_WINDOW`] after which a profile is contested (P12).
const CONTEST_LIMIT: usize = 5;
/// Window of repairs, and quiet time after them.
const CONTEST_WINDOW: Duration = Duration::from_secs(600);

struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// Memory of the stage.
#[derive(Default)]
pub struct InventoryState {
    buckets: Mutex<HashMap<String, Bucket>>,
    repairs: Mutex<HashMap<String, Vec<Instant>>>,
    figures: Mutex<HashMap<String, Arc<Figures>>>,
    shown: Mutex<HashMap<String, Arc<Figures>>>,
    simulated: Mutex<HashSet<String>>,
    /// Probes of real members.
    pub verdicts: Verdicts,
}

impl InventoryState {
    /// Takes a token for a write to the profile of `id`. `known`: the profile was there before this process looked.
    /// Without a token it says how long to wait.
    pub fn token(&self, id: &str, known: bool) -> Result<(), Duration> {
        let now = Instant::now();
        let mut buckets = self.buckets.lock();
        let fresh = Bucket { tokens: if known { BURST_KNOWN } else { BURST }, filled: now };
        let bucket = buckets.entry(id.to_owned()).or_insert(fresh);
        let gained = now.duration_since(bucket.filled).as_secs_f64() / REFILL.as_secs_f64();
        bucket.tokens = (bucket.tokens + gained).min(BURST);
        bucket.filled = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(REFILL.mul_f64(1.0 - bucket.tokens))
    }

    /// Counts a repair of what somebody else changed; true while the profile is contested.
    pub fn repaired(&self, id: &str) -> bool {
        let now = Instant::now();
        let mut repairs = self.repairs.lock();
        let list = repairs.entry(id.to_owned()).or_default();
        list.retain(|at| now.duration_since(*at) < CONTEST_WINDOW);
        list.push(now);
        list.len() > CONTEST_LIMIT
    }

    /// Latest figures of a member, by the name of its profile.
    pub fn figures(&self, profile: &str) -> Option<Arc<Figures>> {
        self.figures.lock().get(profile).cloned()
    }

    /// Keeps figures.
    pub fn set_figures(&self, profile: &str, figures: Figures) {
        self.figures.lock().insert(profile.to_owned(), Arc::new(figures));
    }

    /// Notes that a member's nodes are simulated.
    pub fn note_simulated(&self, profile: &str) {
        self.simulated.lock().insert(profile.to_owned());
    }

    /// Whether a member's nodes are simulated.
    pub fn is_simulated(&self, profile: &str) -> bool {
        self.simulated.lock().contains(profile)
    }

    /// Figures that were last written to the Report of a member.
    pub fn shown(&self, profile: &str) -> Option<Arc<Figures>> {
        self.shown.lock().get(profile).cloned()
    }

    /// Keeps figures that were written.
    pub fn set_shown(&self, profile: &str, figures: Figures) {
        self.shown.lock().insert(profile.to_owned(), Arc::new(figures));
    }

    /// Drops what is known of a member.
    pub fn forget(&self, id: &str) {
        self.buckets.lock().remove(id);
        self.repairs.lock().remove(id);
    }

    /// Drops the figures of a member that left.
    pub fn forget_profile(&self, profile: &str) {
        self.figures.lock().remove(profile);
        self.shown.lock().remove(profile);
        self.simulated.lock().remove(profile);
        self.verdicts.forget(profile);
    }
}
