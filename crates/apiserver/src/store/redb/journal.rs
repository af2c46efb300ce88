//! The write-ahead journal of a shard: what makes a batch durable with one write and one sync. The tables follow
//! later, many batches at a time.
//!
//! Two files are used in turn: while the tables take in what one holds, the other is written. Neither is ever
//! cut: a frame is valid if its checksum is right and its number follows the one before it, so what is left of an
//! earlier turn ends the reading.
//!
//! A frame is `len, checksum, number, seq, payload`; numbers count batches and never return. The payload is the
//! rows of the batch, see [`Rows`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::wire::{Broken, Reader, put_bytes, put_u64};

/// Files grow by this much, in zeros, so that a sync has no length to write.
const GROW: u64 = 1 << 20;
const HEAD: usize = 8;

/// Where a journal is written: a file, or a disk of a test.
pub(in super::super) trait Medium: Send + Sync {
    fn read(&self) -> io::Result<Vec<u8>>;
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
}

impl Medium for File {
    fn read(&self) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.metadata()?.len()).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        self.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A batch as the journal has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub number: u64,
    /// Sequence number up to which the shard is with this batch.
    pub seq: u64,
    pub payload: Vec<u8>,
}

/// Why a frame was not appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// It is not there, and whatever of it is will be overwritten.
    Write(io::Error),
    /// It may be there or not.
    Sync(io::Error),
}

struct Half {
    medium: Box<dyn Medium>,
    size: u64,
}

pub(super) struct Journal {
    /// Of the tables: frames of others are none.
    epoch: u64,
    halves: [Half; 2],
    active: usize,
    offset: u64,
}

impl Journal {
    /// The frames after number `applied`, in order, and the journal, which begins anew: they are to be in the
    /// tables before anything is appended.
    pub fn open(media: [Box<dyn Medium>; 2], epoch: u64, applied: u64) -> io::Result<(Self, Vec<Frame>)> {
        let mut frames = Vec::new();
        let mut open = |medium: Box<dyn Medium>| {
            let bytes = medium.read()?;
            frames.extend(read(&bytes, epoch).into_iter().filter(|frame| frame.number > applied));
            io::Result::Ok(Half { medium, size: bytes.len() as u64 })
        };
        let [first, second] = media;
        let halves = [open(first)?, open(second)?];
        frames.sort_by_key(|frame| frame.number);
        let numbers = frames.iter().map(|frame| frame.number);
        if numbers.zip(applied + 1..).any(|(number, expected)| number != expected) {
            return Err(io::Error::other("the journal has a gap: a frame of it is damaged"));
        }
        Ok((Self { epoch, halves, active: 0, offset: 0 }, frames))
    }

    /// Bytes written since the last turn.
    pub fn len(&self) -> u64 {
        self.offset
    }

    /// Makes a frame durable.
    pub fn append(&mut self, frame: &Frame) -> Result<(), AppendError> {
        let bytes = encode(frame, self.epoch);
        let half = &mut self.halves[self.active];
        let end = self.offset + bytes.len() as u64;
        if end > half.size {
            let grown = (end / GROW + 1) * GROW;
            let zeros = vec![0; usize::try_from(grown - half.size).unwrap_or_default()];
            half.medium.write(&zeros, half.size).map_err(AppendError::Write)?;
            half.size = grown;
        }
        half.medium.write(&bytes, self.offset).map_err(AppendError::Write)?;
        half.medium.sync().map_err(AppendError::Sync)?;
        self.offset = end;
        Ok(())
    }

    /// The other file is next, from its beginning: what it held must be in the tables.
    pub fn turn(&mut self) {
        self.active = 1 - self.active;
        self.offset = 0;
    }
}

fn encode(frame: &Frame, epoch: u64) -> Vec<u8> {
    let mut out = vec![0; HEAD];
    put_u64(&mut out, frame.number);
    put_u64(&mut out, frame.seq);
    out.extend_from_slice(&frame.payload);
    let len = u32::try_from(out.len() - HEAD).unwrap_or(u32::MAX);
    let sum = checksum(epoch, &out[HEAD..]);
    out[..4].copy_from_slice(&len.to_le_bytes());
    out[4..HEAD].copy_from_slice(&sum.to_le_bytes());
    out
}

fn checksum(epoch: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&epoch.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// Frames from the beginning of a file to the first that is not one or does not follow.
fn read(bytes: &[u8], epoch: u64) -> Vec<Frame> {
    let mut reader = Reader(bytes);
    let mut frames: Vec<Frame> = Vec::new();
    while let Ok(frame) = read_one(&mut reader, epoch) {
        if frames.last().is_some_and(|last| last.number + 1 != frame.number) {
            break;
        }
        frames.push(frame);
    }
    frames
}

fn read_one(reader: &mut Reader<'_>, epoch: u64) -> Result<Frame, Broken> {
    let len = reader.u32()? as usize;
    let sum = reader.u32()?;
    let body = reader.take(len)?;
    if checksum(epoch, body) != sum {
        return Err(Broken);
    }
    let mut body = Reader(body);
    Ok(Frame { number: body.u64()?, seq: body.u64()?, payload: body.0.to_vec() })
}

/// A table that rows go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Heads,
    Objects,
    Log,
}

const TARGETS: [Target; 3] = [Target::Heads, Target::Objects, Target::Log];

/// Writes rows into a payload.
#[derive(Default)]
pub(super) struct Rows(pub Vec<u8>);

impl Rows {
    /// A row's new value, or that it is removed.
    pub fn put(&mut self, target: Target, key: &[u8], value: Option<&[u8]>) {
        self.0.push(target as u8);
        put_bytes(&mut self.0, key);
        match value {
            Some(value) => {
                self.0.push(1);
                put_bytes(&mut self.0, value);
            }
            None => self.0.push(0),
        }
    }
}

/// Gives every row of a payload to `take`.
pub(super) fn each_row<'a, E>(
    payload: &'a [u8],
    mut take: impl FnMut(Target, &'a [u8], Option<&'a [u8]>) -> Result<(), E>,
) -> Result<Result<(), Broken>, E> {
    let mut reader = Reader(payload);
    while !reader.0.is_empty() {
        let row = read_row(&mut reader);
        match row {
            Ok((target, key, value)) => take(target, key, value)?,
            Err(broken) => return Ok(Err(broken)),
        }
    }
    Ok(Ok(()))
}

type Row<'a> = (Target, &'a [u8], Option<&'a [u8]>);

fn read_row<'a>(reader: &mut Reader<'a>) -> Result<Row<'a>, Broken> {
    let target = *TARGETS.get(usize::from(reader.u8()?)).ok_or(Broken)?;
    let key = reader.bytes()?;
    let value = match reader.u8()? {
        0 => None,
        _ => Some(reader.bytes()?),
    };
    Ok((target, key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Medium for Memory {
        fn read(&self) -> io::Result<Vec<u8>> {
            Ok(self.0.lock().clone())
        }
        fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
            let (mut all, at) = (self.0.lock(), at as usize);
            let len = all.len().max(at + bytes.len());
            all.resize(len, 0);
            all[at..at + bytes.len()].copy_from_slice(bytes);
            Ok(())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn frame(number: u64) -> Frame {
        let mut rows = Rows::default();
        rows.put(Target::Objects, b"key", (!number.is_multiple_of(3)).then_some(&b"value"[..]));
        rows.put(Target::Log, &number.to_le_bytes(), Some(&vec![7; number as usize % 11]));
        Frame { number, seq: number * 2, payload: rows.0 }
    }

    fn open(halves: &[Memory; 2], applied: u64) -> io::Result<(Journal, Vec<Frame>)> {
        Journal::open([Box::new(halves[0].clone()), Box::new(halves[1].clone())], 7, applied)
    }

    #[test]
    fn as_4_a_journal_cut_anywhere_gives_a_prefix() {
        let halves = <[Memory; 2]>::default();
        let (mut journal, none) = open(&halves, 0).unwrap();
        assert_eq!(none, []);
        let mut ends = Vec::new();
        for number in 1..=9 {
            if number == 4 || number == 7 {
                journal.turn();
            }
            journal.append(&frame(number)).unwrap();
            ends.push(journal.len() as usize);
        }
        // The first file holds 7 to 9 over what is left of 1 to 3, the second 4 to 6.
        let whole = halves[0].0.lock().clone();
        for cut in 0..=ends[8] {
            let mut bytes = whole.clone();
            bytes[cut..ends[8]].fill(0xEE);
            *halves[0].0.lock() = bytes;
            let (_, frames) = open(&halves, 3).unwrap();
            let expected = 3 + ends[6..].iter().filter(|end| **end <= cut).count();
            assert_eq!(frames, (4..4 + expected as u64).map(frame).collect::<Vec<_>>(), "cut at {cut}");
        }
        *halves[0].0.lock() = whole;
        assert_eq!(open(&halves, 9).unwrap().1, []);
        assert_eq!(open(&halves, 7).unwrap().1, [frame(8), frame(9)]);
        let others = [Box::new(halves[0].clone()) as Box<dyn Medium>, Box::new(halves[1].clone())];
        assert_eq!(Journal::open(others, 8, 3).unwrap().1, [], "of other tables");
        // A frame that others follow in the other file is missed.
        halves[1].0.lock()[10] ^= 1;
        assert!(open(&halves, 3).is_err());
    }

    #[test]
    fn rows_come_out_as_they_went_in() {
        let mut seen = Vec::new();
        let payload = frame(4).payload;
        let outcome = each_row(&payload, |target, key, value| {
            seen.push((target, key.to_vec(), value.map(<[u8]>::to_vec)));
            Ok::<_, ()>(())
        });
        assert_eq!(outcome, Ok(Ok(())));
        assert_eq!(seen[0], (Target::Objects, b"key".to_vec(), Some(b"value".to_vec())));
        assert_eq!(seen[1].0, Target::Log);
        assert_eq!(each_row(&payload[..9], |_, _, _| Ok::<_, ()>(())), Ok(Err(Broken)));
    }
}
