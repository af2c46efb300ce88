//! Weighted deficit round robin: who of those that wait is next (J1). Pure.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What kind of work a request is inside its tenant's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Heartbeats.
    Lease,
    /// Other writes.
    Mutating,
    /// Other reads.
    Reading,
}

/// Shares of the classes.
const CLASSES: [(Class, u64); 3] = [(Class::Lease, 1), (Class::Mutating, 4), (Class::Reading, 5)];
/// What one turn costs a key; a key of this weight gets one turn each time round.
const COST: u64 = 10;

/// Those of one key that wait, by class.
struct Line<T> {
    weight: u64,
    credit: u64,
    waiting: [VecDeque<T>; 3],
    class_credit: [u64; 3],
    class: usize,
}

/// All that wait, by key.
pub struct Round<K, T> {
    ring: VecDeque<K>,
    lines: HashMap<K, Line<T>>,
}

impl<K, T> Default for Round<K, T> {
    fn default() -> Self {
        Self { ring: VecDeque::new(), lines: HashMap::new() }
    }
}

impl<T> Line<T> {
    fn new(weight: u64) -> Self {
        let waiting = [VecDeque::new(), VecDeque::new(), VecDeque::new()];
        Self { weight, credit: 0, waiting, class_credit: [0; 3], class: 0 }
    }

    fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// The next one; classes without anybody lend their share.
    fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        loop {
            let class = self.class;
            if self.waiting[class].is_empty() {
                self.class_credit[class] = 0;
            } else if self.class_credit[class] > 0 {
                self.class_credit[class] -= 1;
                return self.waiting[class].pop_front();
            } else {
                self.class_credit[class] = CLASSES[class].1;
                continue;
            }
            self.next_class();
        }
    }

    fn next_class(&mut self) {
        self.class = (self.class + 1) % CLASSES.len();
    }

    /// Ends the visit of a class whose share is used up.
    fn pass_on(&mut self) {
        if self.class_credit[self.class] == 0 {
            self.next_class();
        }
    }
}

impl<K: Clone + Eq + Hash, T> Round<K, T> {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Puts one at the end of its line. The weight is that of the key from now on.
    pub fn push(&mut self, key: K, weight: u8, class: Class, item: T) {
        let weight = u64::from(weight.max(1));
        let line = self.lines.entry(key.clone()).or_insert_with(|| {
            self.ring.push_back(key);
            Line::new(weight)
        });
        line.weight = weight;
        let place = CLASSES.iter().position(|(known, _)| *known == class).unwrap_or_default();
        line.waiting[place].push_back(item);
    }

    /// Takes the next one that is still there. Those that have left cost their key nothing.
    pub fn pop(&mut self, is_there: impl Fn(&T) -> bool) -> Option<T> {
        loop {
            let key = self.ring.front()?.clone();
            let Some(line) = self.lines.get_mut(&key).filter(|line| !line.is_empty()) else {
                self.lines.remove(&key);
                self.ring.pop_front();
                continue;
            };
            if line.credit < COST {
                line.credit += line.weight;
                self.ring.rotate_left(1);
                continue;
            }
            let Some(item) = line.pop() else { continue };
            if is_there(&item) {
                line.credit -= COST;
                line.pass_on();
                return Some(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Work = (&'static str, Class);

    /// Takes `turns` turns while the lines are kept full; gives how many each kind of work got.
    fn share(lines: &[(&'static str, u8, Class)], turns: usize) -> Vec<usize> {
        let mut round: Round<&str, Work> = Round::default();
        for (key, weight, class) in lines {
            for _ in 0..3 {
                round.push(key, *weight, *class, (key, *class));
            }
        }
        let mut got = vec![0; lines.len()];
        for _ in 0..turns {
            let (key, class) = round.pop(|_| true).unwrap();
            let place = lines.iter().position(|(k, _, c)| *k == key && *c == class).unwrap();
            got[place] += 1;
            round.push(key, lines[place].1, class, (key, class));
        }
        got
    }

    /// J1: turns follow the weights, whatever each has waiting.
    #[test]
    fn turns_follow_the_weights() {
        use Class::Reading;
        assert_eq!(share(&[("a", 10, Reading), ("b", 10, Reading)], 1000), [500, 500]);
        assert_eq!(share(&[("a", 30, Reading), ("b", 10, Reading)], 1000), [750, 250]);
        let thirds = share(&[("a", 1, Reading), ("b", 1, Reading), ("c", 100, Reading)], 1020);
        assert!(thirds[0].abs_diff(10) <= 1 && thirds[1].abs_diff(10) <= 1, "{thirds:?}");
        assert_eq!(share(&[("a", 3, Reading)], 10), [10], "what others do not use is lent");
    }

    /// J1: leases 10 %, mutating 40 %, reading 50 % of a tenant's turns, lent when unused.
    #[test]
    fn classes_share_the_turns_of_a_tenant() {
        use Class::{Lease, Mutating, Reading};
        let all = [("a", 10, Lease), ("a", 10, Mutating), ("a", 10, Reading)];
        assert_eq!(share(&all, 1000), [100, 400, 500]);
        assert_eq!(share(&all[..2], 1000), [200, 800]);
        assert_eq!(share(&all[1..], 900), [400, 500]);
        assert_eq!(share(&all[..1], 10), [10]);
        let two = [("a", 10, Reading), ("b", 10, Mutating), ("b", 10, Lease)];
        assert_eq!(share(&two, 1000), [500, 400, 100], "a class takes nothing from another tenant");
    }

    /// One that comes late waits one time round, however many were there before.
    #[test]
    fn a_flood_does_not_hold_up_a_newcomer() {
        let mut round = Round::default();
        for i in 0..10_000 {
            round.push("b", 10, Class::Reading, i);
        }
        for _ in 0..5 {
            round.pop(|_| true);
        }
        round.push("a", 10, Class::Lease, -1);
        let next: Vec<i32> = (0..3).filter_map(|_| round.pop(|_| true)).collect();
        assert!(next.contains(&-1), "{next:?}");
    }

    /// Those that have left are passed over, and nothing is kept of a key that has nobody.
    #[test]
    fn who_has_left_costs_nothing() {
        let mut round = Round::default();
        for i in 0..100 {
            round.push("a", 10, Class::Reading, i);
            round.push("b", 10, Class::Reading, 1000 + i);
        }
        let mut got = [0, 0];
        while let Some(i) = round.pop(|i| *i >= 1000 || i % 2 == 0) {
            got[usize::from(i >= 1000)] += 1;
            if got == [20, 20] {
                break;
            }
            assert!(got[0] <= got[1] + 2 && got[1] <= got[0] + 2, "{got:?}");
        }
        while round.pop(|_| false).is_some() {}
        assert!(round.is_empty() && round.lines.is_empty());
    }
}
