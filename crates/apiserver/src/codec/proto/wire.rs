//! The protobuf wire format: varints, tags, length-delimited fields.

/// Wire types in use.
pub const VARINT: u32 = 0;
/// Eight bytes.
pub const FIXED64: u32 = 1;
/// Length and bytes.
pub const BYTES: u32 = 2;
/// Four bytes.
pub const FIXED32: u32 = 5;

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Cut off.
    #[error("proto: unexpected EOF")]
    Truncated,
    /// A varint of more than ten bytes.
    #[error("proto: integer overflow")]
    Overflow,
    /// Field number 0 or an unknown wire type.
    #[error("proto: illegal tag")]
    IllegalTag,
    /// Wire type that does not fit the field.
    #[error("proto: wrong wireType for a field")]
    WrongType,
}

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a tag.
pub fn put_tag(out: &mut Vec<u8>, number: u32, wire: u32) {
    put_varint(out, u64::from(number << 3 | wire));
}

/// Appends a length-delimited field.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a message field written by `inner`.
pub fn put_message(out: &mut Vec<u8>, number: u32, inner: impl FnOnce(&mut Vec<u8>)) {
    let mut message = Vec::new();
    inner(&mut message);
    put_bytes(out, number, &message);
}

/// Appends a varint field.
pub fn put_int(out: &mut Vec<u8>, number: u32, value: i64) {
    put_tag(out, number, VARINT);
    put_varint(out, value as u64);
}

/// A field as read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw<'a> {
    /// Varint.
    Int(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// Length-delimited.
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    /// The varint.
    pub fn int(self) -> Result<i64, WireError> {
        match self {
            Self::Int(value) => Ok(value as i64),
            _ => Err(WireError::WrongType),
        }
    }

    /// The bytes.
    pub fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::WrongType),
        }
    }
}

/// Reads the fields of a message.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Of these bytes.
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut out = 0u64;
        for (i, byte) in self.rest.iter().enumerate().take(10) {
            out |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                if i == 9 && *byte > 1 {
                    return Err(WireError::Overflow);
                }
                self.rest = &self.rest[i + 1..];
                return Ok(out);
            }
        }
        Err(if self.rest.len() >= 10 { WireError::Overflow } else { WireError::Truncated })
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next field, `None` at the end.
    pub fn next_field(&mut self) -> Result<Option<(u32, Raw<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::IllegalTag)?;
        if number == 0 {
            return Err(WireError::IllegalTag);
        }
        let raw = match (tag & 7) as u32 {
            VARINT => Raw::Int(self.varint()?),
            FIXED64 => {
                let bytes = self.take(8)?;
                Raw::Fixed64(u64::from_le_bytes(bytes.try_into().map_err(|_| WireError::Truncated)?))
            }
            BYTES => {
                let len = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Raw::Bytes(self.take(len)?)
            }
            FIXED32 => {
                let bytes = self.take(4)?;
                Raw::Fixed32(u32::from_le_bytes(bytes.try_into().map_err(|_| WireError::Truncated)?))
            }
            _ => return Err(WireError::IllegalTag),
        };
        Ok(Some((number, raw)))
    }
}
