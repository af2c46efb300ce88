//! The tie-break lot: a keyed hash of placement and member, so that equal members share load and yet every decision
//! can be repeated.

use crate::types::{RequestId, TieBreak};
use siphasher::sip::SipHasher24;
use std::hash::Hasher;

/// Draws lots for one request.
pub(crate) struct Lots(Option<SipHasher24>);

impl Lots {
    pub(crate) fn new(tie_break: TieBreak, seed: u64, request: &RequestId) -> Self {
        Self((tie_break == TieBreak::Hash).then(|| {
            let mut hasher = SipHasher24::new_with_keys(seed, 0);
            hasher.write(request.0.as_bytes());
            hasher.write(&[0]);
            hasher
        }))
    }

    /// The member's lot; 0 for everybody when ids decide.
    pub(crate) fn of(&self, member: &[u8]) -> u64 {
        self.0.as_ref().map_or(0, |h| {
            let mut hasher = *h;
            hasher.write(member);
            hasher.finish()
        })
    }
}
