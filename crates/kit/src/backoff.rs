//! Waiting after a failure, per object: 1 s, doubled up to 5 min, jitter 10 % (tenancy L3).

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

/// First wait.
pub const FIRST: Duration = Duration::from_secs(1);
/// Longest wait.
pub const LONGEST: Duration = Duration::from_secs(300);

/// Failures in a row by key; a key is forgotten when it succeeds.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// Counts a failure of `key` and says how long to wait.
    pub fn failed(&self, key: &str) -> Duration {
        let count = {
            let mut failures = self.failures.lock();
            let count = failures.entry(key.to_owned()).or_insert(0);
            *count = count.saturating_add(1);
            *count
        };
        jittered(step(count))
    }

    /// Forgets the failures of `key`.
    pub fn succeeded(&self, key: &str) {
        self.failures.lock().remove(key);
    }

    /// Keys that fail at present.
    pub fn len(&self) -> usize {
        self.failures.lock().len()
    }

    /// Whether nothing fails at present.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The wait after the `count`-th failure in a row, without jitter.
fn step(count: u32) -> Duration {
    let factor = 1u32.checked_shl(count.saturating_sub(1).min(16)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(factor).min(LONGEST)
}

/// The duration, up to 10 % longer or shorter.
pub fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::random_range(0.9..=1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_start_anew() {
        assert_eq!([1, 2, 3, 9, 40].map(step).map(|d| d.as_secs()), [1, 2, 4, 256, 300]);
        let backoff = Backoff::default();
        let first = backoff.failed("a");
        let second = backoff.failed("a");
        assert!(first.as_secs_f64() <= 1.1 && (1.8..=2.2).contains(&second.as_secs_f64()));
        backoff.succeeded("a");
        assert!(backoff.is_empty() && backoff.failed("a").as_secs_f64() <= 1.1);
    }
}
