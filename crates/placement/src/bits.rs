//! Sets of members: one bit each, so that a filter is a few machine words and not a walk.

/// A set of member indexes below a fixed size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// The empty set for `size` members.
    pub fn none(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    /// The members for which `keep` holds.
    pub fn filter(size: usize, mut keep: impl FnMut(usize) -> bool) -> Self {
        let mut out = Self::none(size);
        (0..size).filter(|i| keep(*i)).for_each(|i| out.insert(i));
        out
    }

    /// An upper bound of the indexes it can hold.
    pub fn capacity(&self) -> usize {
        self.0.len() * 64
    }

    /// Adds one.
    pub fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// Takes one out.
    pub fn remove(&mut self, index: usize) {
        self.0[index / 64] &= !(1 << (index % 64));
    }

    /// Whether one is in.
    pub fn has(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    /// Keeps those also in `other`.
    pub fn and(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }

    /// Takes out those in `other`.
    pub fn minus(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= !b);
    }

    /// Adds those in `other`.
    pub fn or(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|w| *w == 0)
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(i, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                (word != 0).then(|| {
                    let bit = word.trailing_zeros() as usize;
                    word &= word - 1;
                    i * 64 + bit
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_behaves_like_one() {
        let mut evens = Bits::filter(130, |i| i % 2 == 0);
        assert_eq!(evens.count(), 65);
        evens.remove(0);
        evens.insert(129);
        assert_eq!(evens.iter().take(2).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(evens.iter().last(), Some(129));
        let mut rest = Bits::filter(130, |_| true);
        assert_eq!(rest.count(), 130);
        rest.minus(&evens);
        assert!(rest.has(0) && rest.has(127) && !rest.has(128));
        rest.and(&evens);
        assert!(rest.is_empty());
        rest.or(&evens);
        assert_eq!(rest, evens);
    }
}
