//! Backoff per object (A8): 1 s, doubled up to 5 min, 20 % earlier or later; forgotten on success or with a new
//! revision. What is forbidden or invalid waits for a change and is tried once per ten minutes.

use std::time::{Duration, Instant};

/// Why an object is not as wanted: reason and message.
pub type Refusal = (&'static str, String);

/// First wait.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait.
const LONGEST: Duration = Duration::from_secs(300);
/// Between tries of what only a change can mend.
const UNCHANGED: Duration = Duration::from_secs(600);

/// What an object was when it was refused: as long as that is the same, a try waits for its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Try {
    /// Revision that was to be delivered.
    pub revision: String,
    /// `resourceVersion` on the member; empty where nothing was.
    pub live: String,
}

/// Refusals in a row of one object.
#[derive(Clone, Debug, Default)]
pub struct Retry {
    failures: u32,
    last: Option<(Try, Instant, Refusal)>,
}

impl Retry {
    /// The refusal that still stands, if no try is due: until then nothing is sent.
    pub fn stands(&self, this: &Try, now: Instant) -> Option<&Refusal> {
        let (last, until, refusal) = self.last.as_ref()?;
        let changed =
            last.revision != this.revision || (waits_for_change(refusal.0) && last.live != this.live);
        (!changed && now < *until).then_some(refusal)
    }

    /// When the next try is due.
    pub fn due(&self) -> Option<Instant> {
        self.last.as_ref().map(|(_, until, _)| *until)
    }

    /// Counts a refusal. `key` spreads the waits of many objects.
    pub fn refused(&mut self, key: &str, this: Try, now: Instant, refusal: Refusal) {
        if self.last.as_ref().is_some_and(|(last, ..)| last.revision != this.revision) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let wait = if waits_for_change(refusal.0) { UNCHANGED } else { step(self.failures) };
        self.last = Some((this, now + wait.mul_f64(factor(key, self.failures)), refusal));
    }

    /// Forgets everything.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

fn waits_for_change(reason: &str) -> bool {
    matches!(reason, "Forbidden" | "Invalid")
}

fn step(failures: u32) -> Duration {
    let factor = 1u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(factor).min(LONGEST)
}

/// 0.8..=1.2, the same for the same key and count.
pub fn factor(key: &str, failures: u32) -> f64 {
    // FNV-1a: any spread will do.
    let hash = key.bytes().chain(failures.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    0.8 + f64::from((hash >> 32) as u32 % 401) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(revision: &str, live: &str) -> Try {
        Try { revision: revision.into(), live: live.into() }
    }

    /// Placement 72: waits double up to five minutes; a new revision and a success start anew.
    #[test]
    fn placement_72_backoff_and_its_reset() {
        let (now, mut retry) = (Instant::now(), Retry::default());
        let failed = || ("Unreachable", "no".to_owned());
        let mut waits = Vec::new();
        for _ in 0..11 {
            retry.refused("a", at("1", ""), now, failed());
            waits.push((retry.due().expect("due") - now).as_secs_f64());
        }
        for (wait, plain) in
            waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0])
        {
            assert!((plain * 0.8..=plain * 1.2).contains(wait), "{waits:?}");
        }
        assert!(retry.stands(&at("1", "7"), now).is_some(), "a changed object is no reason to try again");
        assert!(retry.stands(&at("2", ""), now).is_none(), "a new revision is");
        retry.refused("a", at("2", ""), now, failed());
        assert!(retry.due().expect("due") - now <= Duration::from_millis(1200));
        retry.succeeded();
        assert!(retry.stands(&at("2", ""), now).is_none());
        assert_ne!(factor("a", 1), factor("b", 1));
    }

    /// A8: what is invalid is tried again when something changed, else once per ten minutes.
    #[test]
    fn placement_72_what_is_invalid_waits_for_a_change() {
        let (now, mut retry) = (Instant::now(), Retry::default());
        retry.refused("a", at("1", "5"), now, ("Invalid", "no".to_owned()));
        assert!(retry.stands(&at("1", "5"), now + Duration::from_secs(470)).is_some());
        assert!(retry.stands(&at("1", "5"), now + Duration::from_secs(721)).is_none());
        assert!(retry.stands(&at("1", "6"), now).is_none());
    }
}
