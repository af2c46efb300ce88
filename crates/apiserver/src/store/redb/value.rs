//! Stored form of heads, objects and log entries (K3, K4).
//!
//! Each value begins with the format that wrote it and a checksum of its key and of all that follows, so that a
//! value that was damaged, or stands under another key, is found when it is read.

use super::super::backend::{HeadRow, LogRow, Logged, Row, RowOp};
use super::super::event::ChangeKind;
use super::super::key::{Key, NsName};
use super::super::record::{Index, Record};
use super::super::table::Slot;
use super::wire::{Broken, Reader, put_bytes, put_u32, put_u64};
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

/// The format that this version writes and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// Why a stored value cannot be used.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Damage {
    #[error("it has format {0}, this version reads up to {FORMAT}")]
    Newer(u8),
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it is incomplete")]
    Incomplete,
}

impl From<Broken> for Damage {
    fn from(Broken: Broken) -> Self {
        Self::Incomplete
    }
}

const SEAL: usize = 5;

/// Puts format and checksum in front of a value that left room for them.
fn seal(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    value[0] = FORMAT as u8;
    let sum = checksum(key, &value[SEAL..]);
    value[1..SEAL].copy_from_slice(&sum.to_le_bytes());
    value
}

fn unsealed() -> Vec<u8> {
    vec![0; SEAL]
}

fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<Reader<'a>, Damage> {
    let mut reader = Reader(value);
    let format = reader.u8()?;
    if u32::from(format) > FORMAT {
        return Err(Damage::Newer(format));
    }
    let sum = reader.u32()?;
    if format == 0 || checksum(key, reader.0) != sum {
        return Err(Damage::Checksum);
    }
    Ok(reader)
}

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(rest);
    hasher.finalize()
}

/// `id ‖ group/resource ‖ 0 ‖ ns/name`.
pub(super) fn object_key(tenant: TenantId, key: &Key) -> Vec<u8> {
    [tenant.as_bytes(), key.resource.as_bytes(), &[0], key.name.as_str().as_bytes()].concat()
}

pub(super) fn read_object_key(bytes: &[u8]) -> Result<Key, Damage> {
    let rest = std::str::from_utf8(bytes.get(12..).ok_or(Broken)?).map_err(|_| Broken)?;
    let (resource, name) = rest.split_once('\0').ok_or(Broken)?;
    Ok(Key { resource: resource.into(), name: NsName::parse(name).ok_or(Broken)? })
}

const WHITEOUT: u8 = 1;

pub(super) fn object(key: &[u8], op: &RowOp) -> Option<Vec<u8>> {
    let mut out = unsealed();
    match op {
        RowOp::Put(record) => put_record(&mut out, record),
        RowOp::Whiteout { rv } => {
            out.push(WHITEOUT);
            put_u64(&mut out, *rv);
        }
        RowOp::Remove => return None,
    }
    Some(seal(key, out))
}

pub(super) fn read_object(key: &[u8], value: &[u8]) -> Result<Slot, Damage> {
    let mut reader = open(key, value)?;
    if reader.0.first() == Some(&WHITEOUT) {
        return Ok(Slot::Whiteout);
    }
    Ok(Slot::Live(record(&mut reader)?))
}

fn put_record(out: &mut Vec<u8>, record: &Record) {
    let data = record.data();
    out.reserve(data.body.len() + 128);
    out.push(0);
    put_u64(out, record.rv());
    put_u32(out, data.splice);
    let Index { labels, owners, fields, uid, deleting } = &data.index;
    out.push(u8::from(*deleting));
    put_bytes(out, uid.as_bytes());
    for pairs in [labels, fields] {
        put_u32(out, u32::try_from(pairs.len()).unwrap_or_default());
        for (name, value) in pairs {
            put_bytes(out, name.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }
    put_u32(out, u32::try_from(owners.len()).unwrap_or_default());
    for owner in owners {
        put_bytes(out, owner.as_bytes());
    }
    put_bytes(out, &data.body);
}

fn record(reader: &mut Reader<'_>) -> Result<Record, Damage> {
    let _flags = reader.u8()?;
    let rv = reader.u64()?;
    let splice = reader.u32()?;
    let deleting = reader.u8()? != 0;
    let uid = reader.text()?.into();
    let labels = pairs(reader)?;
    let fields = pairs(reader)?;
    let owners = (0..reader.u32()?).map(|_| reader.text().map(Box::from)).collect::<Result<_, _>>()?;
    let body = reader.bytes()?.to_vec();
    Ok(Record::from_parts(rv, body, splice, Index { labels, owners, fields, uid, deleting }))
}

type Pairs = Vec<(Box<str>, Box<str>)>;

fn pairs(reader: &mut Reader<'_>) -> Result<Pairs, Damage> {
    let count = reader.u32()?;
    (0..count).map(|_| Ok((reader.text()?.into(), reader.text()?.into()))).collect()
}

const IN_WILDCARD: u8 = 1;
const DROPPING: u8 = 2;

pub(super) fn head(row: &HeadRow) -> Vec<u8> {
    let mut out = unsealed();
    let flag = |set, flag| if set { flag } else { 0 };
    out.push(flag(row.in_wildcard, IN_WILDCARD) | flag(row.dropping, DROPPING));
    out.extend_from_slice(&row.head);
    seal(row.id.as_bytes(), out)
}

pub(super) fn read_head(id: TenantId, value: &[u8]) -> Result<HeadRow, Damage> {
    let mut reader = open(id.as_bytes(), value)?;
    let flags = reader.u8()?;
    let head = reader.0.to_vec().into();
    Ok(HeadRow { id, head, in_wildcard: flags & IN_WILDCARD != 0, dropping: flags & DROPPING != 0 })
}

const KINDS: [ChangeKind; 3] = [ChangeKind::Added, ChangeKind::Modified, ChangeKind::Deleted];
/// A log entry that says that a tenant was made.
const CREATED: u8 = 3;

pub(super) fn log_write(row: &Row, at: u64) -> Vec<u8> {
    let mut out = unsealed();
    out.push(KINDS.iter().position(|kind| *kind == row.kind).unwrap_or_default() as u8);
    put_u64(&mut out, at);
    out.extend_from_slice(row.tenant.as_bytes());
    put_u64(&mut out, row.rv);
    put_u64(&mut out, row.before);
    put_bytes(&mut out, row.key.resource.as_bytes());
    put_bytes(&mut out, row.key.name.as_str().as_bytes());
    for state in [&row.prev, &row.last] {
        out.push(u8::from(state.is_some()));
        if let Some(state) = state {
            put_record(&mut out, state);
        }
    }
    seal(&row.seq.to_le_bytes(), out)
}

pub(super) fn log_created(seq: u64, tenant: TenantId, at: u64) -> Vec<u8> {
    let mut out = unsealed();
    out.push(CREATED);
    put_u64(&mut out, at);
    out.extend_from_slice(tenant.as_bytes());
    seal(&seq.to_le_bytes(), out)
}

pub(super) fn read_log(seq: u64, value: &[u8]) -> Result<LogRow, Damage> {
    let mut reader = open(&seq.to_le_bytes(), value)?;
    let kind = reader.u8()?;
    let at = reader.u64()?;
    let tenant = TenantId::try_from(reader.take(12)?).map_err(|_| Broken)?;
    if kind == CREATED {
        return Ok(LogRow { seq, at, tenant, what: Logged::Created });
    }
    let kind = *KINDS.get(usize::from(kind)).ok_or(Broken)?;
    let (rv, before) = (reader.u64()?, reader.u64()?);
    let resource = ResourceId::from(reader.text()?);
    let name = NsName::parse(reader.text()?).ok_or(Broken)?;
    let mut state = || match reader.u8()? {
        0 => Ok(None),
        _ => record(&mut reader).map(Some),
    };
    let (prev, last) = (state()?, state()?);
    let what = Logged::Write { key: Key { resource, name }, rv, kind, prev, last, before };
    Ok(LogRow { seq, at, tenant, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_index() -> impl Strategy<Value = Index> {
        let pairs = || prop::collection::vec((".{0,8}", ".{0,8}"), 0..4).prop_map(boxed);
        let owners = prop::collection::vec(".{0,36}", 0..3);
        (pairs(), owners, pairs(), ".{0,36}", any::<bool>()).prop_map(
            |(labels, owners, fields, uid, deleting)| {
                let owners = owners.into_iter().map(Box::from).collect();
                Index { labels, owners, fields, uid: uid.into(), deleting }
            },
        )
    }

    fn boxed(pairs: Vec<(String, String)>) -> Pairs {
        pairs.into_iter().map(|(a, b)| (a.into(), b.into())).collect()
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_again_or_refused(
            index in any_index(), rv: u64, text in ".{0,40}", cut: prop::sample::Index, flip: prop::sample::Index,
        ) {
            let tenant = TenantId::of_uid("u");
            let key = Key::new("apps/deployments".into(), "a", "b");
            let record = Record::from_tree(&serde_json::json!({"data": text}), index).with_rv(rv);
            let at = object_key(tenant, &key);
            prop_assert_eq!(read_object_key(&at), Ok(key.clone()));
            let value = object(&at, &RowOp::Put(record.clone())).unwrap();
            let read = read_object(&at, &value).unwrap();
            prop_assert_eq!(read.live(), Some(&record));
            prop_assert!(read_object(b"other key", &value).is_err());
            prop_assert!(read_object(&at, &value[..cut.index(value.len())]).is_err());
            let mut bad = value.clone();
            bad[flip.index(value.len())] ^= 1;
            prop_assert!(read_object(&at, &bad).is_err());

            let row = Row {
                tenant, key: key.clone(), seq: 9, rv, kind: ChangeKind::Deleted, op: RowOp::Remove,
                prev: Some(record.clone()), last: Some(record.with_rv(3)), before: 1,
            };
            let what = Logged::Write {
                key, rv, kind: ChangeKind::Deleted, prev: Some(record.clone()), last: Some(record.with_rv(3)), before: 1,
            };
            prop_assert_eq!(read_log(9, &log_write(&row, 77)), Ok(LogRow { seq: 9, at: 77, tenant, what }));
        }
    }

    #[test]
    fn a_newer_value_is_refused_naming_both_formats() {
        let tenant = TenantId::of_uid("u");
        let row = HeadRow { id: tenant, head: "x".into(), in_wildcard: true, dropping: false };
        let mut value = head(&row);
        assert_eq!(read_head(tenant, &value), Ok(row));
        value[0] = 2;
        let damage = read_head(tenant, &value).unwrap_err();
        assert_eq!(damage.to_string(), "it has format 2, this version reads up to 1");
        assert_eq!(read_log(4, &log_created(4, tenant, 5)).map(|row| row.what), Ok(Logged::Created));
    }
}
