//! Failed authentications of late, by source address and tenant (I5).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::tenant::TenantId;

const WINDOW: Duration = Duration::from_secs(60);
const LIMIT: u32 = 20;
/// Sources remembered; beyond them old windows are forgotten.
const SOURCES: usize = 10_000;

type Source = (IpAddr, Option<TenantId>);

/// Counts per source and tenant.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<Source, (Instant, u32)>>);

impl Failures {
    /// Counts a failure; whether the source has had more than it may.
    pub fn count(&self, source: IpAddr, tenant: Option<TenantId>, now: Instant) -> bool {
        let mut all = self.0.lock();
        if all.len() >= SOURCES {
            all.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        if all.len() >= SOURCES {
            all.clear();
        }
        let (since, count) = all.entry((source, tenant)).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count > LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I5: twenty a minute, per source and tenant.
    #[test]
    fn twenty_failures_a_minute_are_heard_out() {
        let failures = Failures::default();
        let start = Instant::now();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert!((0..20).all(|_| !failures.count(one, None, start)));
        assert!(failures.count(one, None, start));
        assert!(!failures.count(other, None, start));
        assert!(!failures.count(one, Some(TenantId::of_uid("a")), start));
        assert!(!failures.count(one, None, start + WINDOW));
    }
}
