//! Canonical encoding and its SHA-256: equal content, in whatever order its lists were filled, has equal bytes.
//!
//! It is a serde format of its own. Lists are encoded as *sets* (their elements sorted by their own bytes), because
//! almost every list here is one; where order has a meaning the field is serialised as a tuple ([`ordered`]) and
//! keeps it. Numbers are 8 or 16 bytes little-endian, texts and counts carry their length, so no two values share bytes.

use crate::types::{Config, Digest, Input, Plan};
use serde::ser::{self, Serialize, SerializeTuple, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Digest of any value.
pub fn digest_of<T: Serialize + ?Sized>(value: &T) -> Digest {
    Digest(Sha256::digest(encode(value)).into())
}

/// Canonical bytes of any value.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    if let Err(Unencodable(text)) = value.serialize(&mut Encoder(&mut out)) {
        // Only a hand-written Serialize can refuse; its words are content then.
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// Digest of an input, its what-if changes applied before.
pub fn input_digest(input: &Input<'_>) -> Digest {
    #[derive(serde::Serialize)]
    struct Content<'a> {
        at: i64,
        seed: u64,
        config: &'a Config,
        members: &'a [std::sync::Arc<crate::types::Member>],
        requests: &'a [crate::types::Request],
        evaluate: &'a Option<std::collections::BTreeSet<crate::types::RequestId>>,
        blocked: &'a std::collections::BTreeSet<crate::types::RequestId>,
        held: &'a [crate::types::Held],
        claims: &'a [crate::types::Claim],
    }
    digest_of(&Content {
        at: input.at,
        seed: input.seed,
        config: input.config,
        members: &input.fleet.members,
        requests: &input.requests,
        evaluate: &input.evaluate,
        blocked: &input.blocked,
        held: &input.held,
        claims: &input.claims,
    })
}

/// Digest of a plan: of everything in it but the digest itself.
pub fn plan_digest(plan: &Plan) -> Digest {
    in_order(plan).unwrap_or_else(|| digest_of(&content(plan)))
}

fn content(plan: &Plan) -> impl Serialize {
    let Plan { generation, parent, input, decisions, ledger, notes, next_wake, digest: _ } = plan;
    (*generation, *parent, *input, decisions, ledger, notes, *next_wake)
}

/// The digest of [`content`], one decision at a time: all of them at once are megabytes that nobody needs. `None` where
/// the decisions are not in the order of their bytes.
fn in_order(plan: &Plan) -> Option<Digest> {
    let mut hash = Sha256::new();
    let part = |hash: &mut Sha256, value: Vec<u8>| hash.update(value);
    hash.update(7_u64.to_le_bytes());
    part(&mut hash, encode(&plan.generation));
    part(&mut hash, encode(&plan.parent));
    part(&mut hash, encode(&plan.input));
    hash.update((plan.decisions.len() as u64).to_le_bytes());
    let (mut before, mut now) = (Vec::new(), Vec::new());
    for decision in &plan.decisions {
        decision.serialize(&mut Encoder(&mut now)).ok()?;
        if before > now {
            return None;
        }
        hash.update(&now);
        std::mem::swap(&mut before, &mut now);
        now.clear();
    }
    part(&mut hash, encode(&plan.ledger));
    part(&mut hash, encode(&plan.notes));
    part(&mut hash, encode(&plan.next_wake));
    Some(Digest(hash.finalize().into()))
}

/// For `serialize_with`: a list whose order has a meaning, or that is sorted already.
pub(crate) fn ordered<S: Serializer, T: Serialize>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(list.len())?;
    for element in list {
        tuple.serialize_element(element)?;
    }
    tuple.end()
}

/// A value refused to be serialised.
#[derive(Debug)]
struct Unencodable(String);

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unencodable {}

impl ser::Error for Unencodable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

struct Encoder<'a>(&'a mut Vec<u8>);

impl Encoder<'_> {
    fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

/// A list or map being encoded: elements go to the end of the buffer; a set is put in order when it ends.
struct Elements<'a> {
    out: &'a mut Vec<u8>,
    starts: Vec<usize>,
    set: bool,
    count: u64,
    head: usize,
}

impl<'a> Elements<'a> {
    fn new(out: &'a mut Vec<u8>, set: bool) -> Self {
        let head = out.len();
        out.extend_from_slice(&[0; 8]);
        Self { out, starts: Vec::new(), set, count: 0, head }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        if self.set {
            self.starts.push(self.out.len());
        }
        self.count += 1;
        value.serialize(&mut Encoder(self.out))
    }

    fn end(self) {
        self.out[self.head..self.head + 8].copy_from_slice(&self.count.to_le_bytes());
        let Some(&first) = self.starts.first() else { return };
        let ends = self.starts[1..].iter().copied().chain([self.out.len()]);
        let ranges: Vec<_> = self.starts.iter().copied().zip(ends).collect();
        if ranges.windows(2).all(|w| self.out[w[0].0..w[0].1] <= self.out[w[1].0..w[1].1]) {
            return;
        }
        let all = self.out.split_off(first);
        let ends = self.starts[1..].iter().copied().chain([first + all.len()]);
        let mut parts: Vec<&[u8]> =
            self.starts.iter().zip(ends).map(|(s, e)| &all[s - first..e - first]).collect();
        parts.sort_unstable();
        parts.iter().for_each(|p| self.out.extend_from_slice(p));
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), Unencodable> {
            self.0.extend_from_slice(&i64::from(value).to_le_bytes());
            Ok(())
        })*
    };
}

impl<'a, 'b> Serializer for &'b mut Encoder<'a> {
    type Ok = ();
    type Error = Unencodable;
    type SerializeSeq = Elements<'b>;
    type SerializeTuple = Elements<'b>;
    type SerializeTupleStruct = Elements<'b>;
    type SerializeTupleVariant = Elements<'b>;
    type SerializeMap = Elements<'b>;
    type SerializeStruct = Elements<'b>;
    type SerializeStructVariant = Elements<'b>;

    integers! { serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
    serialize_u16: u16, serialize_u32: u32 }

    fn serialize_u8(self, value: u8) -> Result<(), Unencodable> {
        self.0.push(value);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unencodable> {
        self.0.push(u8::from(value));
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Unencodable> {
        self.number(value);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), Unencodable> {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_f32(self, _: f32) -> Result<(), Unencodable> {
        Err(ser::Error::custom("no float belongs in a plan"))
    }

    fn serialize_f64(self, _: f64) -> Result<(), Unencodable> {
        Err(ser::Error::custom("no float belongs in a plan"))
    }

    fn serialize_char(self, value: char) -> Result<(), Unencodable> {
        self.number(u64::from(u32::from(value)));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Unencodable> {
        self.bytes(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unencodable> {
        self.bytes(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unencodable> {
        self.0.push(0);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unencodable> {
        self.0.push(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unencodable> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unencodable> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Unencodable> {
        self.number(u64::from(index));
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        v: &T,
    ) -> Result<(), Unencodable> {
        v.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unencodable> {
        self.number(u64::from(index));
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'b>, Unencodable> {
        Ok(Elements::new(self.0, true))
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements<'b>, Unencodable> {
        Ok(Elements::new(self.0, false))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements<'b>, Unencodable> {
        Ok(Elements::new(self.0, false))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Elements<'b>, Unencodable> {
        self.number(u64::from(index));
        Ok(Elements::new(self.0, false))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Elements<'b>, Unencodable> {
        Ok(Elements::new(self.0, false))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Elements<'b>, Unencodable> {
        Ok(Elements::new(self.0, false))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Elements<'b>, Unencodable> {
        self.number(u64::from(index));
        Ok(Elements::new(self.0, false))
    }
}

macro_rules! elements {
    ($($part:ident: $method:ident),*) => {
        $(impl ser::$part for Elements<'_> {
            type Ok = ();
            type Error = Unencodable;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
                self.push(value)
            }
            fn end(self) -> Result<(), Unencodable> {
                Elements::end(self);
                Ok(())
            }
        })*
    };
}

elements! { SerializeSeq: serialize_element, SerializeTuple: serialize_element, SerializeTupleStruct: serialize_field,
SerializeTupleVariant: serialize_field }

macro_rules! fields {
    ($($part:ident),*) => {
        $(impl ser::$part for Elements<'_> {
            type Ok = ();
            type Error = Unencodable;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Unencodable> {
                self.push(value)
            }
            fn end(self) -> Result<(), Unencodable> {
                Elements::end(self);
                Ok(())
            }
        })*
    };
}

fields! { SerializeStruct, SerializeStructVariant }

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Unencodable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unencodable> {
        self.push(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        self.push(value)
    }

    fn end(self) -> Result<(), Unencodable> {
        Elements::end(self);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Decision;

    /// Placement 40: a plan's digest is that of its whole content, in whatever order its decisions stand.
    #[test]
    fn placement_40_a_plan_has_one_digest() {
        let decision = |id: &str| Decision { request: id.into(), ..Decision::default() };
        let mut plan =
            Plan { generation: 3, decisions: ["a", "b", "c"].map(decision).into(), ..Plan::default() };
        let digest = digest_of(&content(&plan));
        assert_eq!((in_order(&plan), plan_digest(&plan)), (Some(digest), digest));
        plan.decisions.reverse();
        assert_eq!((in_order(&plan), plan_digest(&plan)), (None, digest));
    }

    #[test]
    fn lists_are_sets_and_tuples_are_not() {
        assert_eq!(encode(&vec!["b", "a", "ccc"]), encode(&vec!["ccc", "b", "a"]));
        assert_ne!(encode(&("a", "b")), encode(&("b", "a")));
        assert_ne!(encode(&vec!["a", "a"]), encode(&vec!["a"]));
        assert_ne!(encode(&vec!["ab", "c"]), encode(&vec!["a", "bc"]));
        assert_ne!(encode(&Some(0_u8)), encode(&None::<u8>));
        let nested = |x: &[&[u32]]| encode(&x.iter().map(|y| y.to_vec()).collect::<Vec<_>>());
        assert_eq!(nested(&[&[1, 2], &[3]]), nested(&[&[3], &[2, 1]]));
    }
}
