//! A tenant whose requests panic again and again rests for a while (G6).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const WINDOW: Duration = Duration::from_secs(60);
const LIMIT: usize = 5;
const REST: Duration = Duration::from_secs(30);

/// Panics of one tenant's requests in the last minute.
#[derive(Default)]
pub struct Panics(Mutex<State>);

#[derive(Default)]
struct State {
    times: VecDeque<Instant>,
    until: Option<Instant>,
}

impl Panics {
    /// Counts one; the fifth within a minute begins a rest.
    pub fn count(&self, now: Instant) {
        let mut state = self.0.lock();
        state.times.push_back(now);
        while state.times.front().is_some_and(|first| now.duration_since(*first) > WINDOW) {
            state.times.pop_front();
        }
        if state.times.len() >= LIMIT {
            state.times.clear();
            state.until = Some(now + REST);
        }
    }

    /// Whether the tenant rests.
    pub fn is_resting(&self, now: Instant) -> bool {
        self.0.lock().until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G6: five in a minute, then thirty seconds of rest; slower ones never.
    #[test]
    fn the_fifth_panic_in_a_minute_begins_a_rest() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let fast = Panics::default();
        (0..5).for_each(|i| fast.count(at(i)));
        assert!(fast.is_resting(at(5)) && fast.is_resting(at(33)) && !fast.is_resting(at(34)));
        let slow = Panics::default();
        (0..20).for_each(|i| slow.count(at(i * 16)));
        assert!(!slow.is_resting(at(304)));
    }
}
