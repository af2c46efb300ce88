//! `application/vnd.kubernetes.protobuf`, coded straight from the type arena (M11, N1).
//!
//! A field's number holds those of the inlined messages around it: upstream flattens embedded structs
//! in JSON but nests them in protobuf. Ten bits a level, the outermost lowest.

mod decode;
mod encode;
mod special;
pub mod wire;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::model::gvk::Gvk;
use crate::model::status::ApiStatus;
use crate::model::tables::builtin;

pub use self::decode::decode;
pub use self::encode::encode;
use self::wire::{Fields, WireError, put_bytes, put_message};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why bytes are no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// The envelope is missing.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NoPrefix,
    /// The envelope holds something compressed.
    #[error("content encoding {0:?} is not accepted")]
    Encoded(String),
    /// The wire format is broken.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// A value that cannot be one of its type.
    #[error("{0}")]
    Value(&'static str),
    /// No built-in kind: custom ones have no protobuf form.
    #[error("{0} has no protobuf form")]
    NoForm(Gvk),
    /// Q6.
    #[error("nested deeper than {0}")]
    TooDeep(usize),
    /// Q6.
    #[error("more than {0} values")]
    TooMany(usize),
}

impl ProtoError {
    /// As an answer.
    pub fn to_status(&self) -> ApiStatus {
        match self {
            Self::TooMany(_) => ApiStatus::too_large(self.to_string()),
            Self::NoForm(_) => ApiStatus::unsupported_media_type("application/json, application/yaml"),
            _ => ApiStatus::bad_request(self.to_string()),
        }
    }
}

/// Reads a body of any built-in kind: its envelope and what is in it, with `apiVersion` and `kind`.
pub fn read_object(bytes: &[u8]) -> Result<Value, ProtoError> {
    let (gvk, raw) = unwrap_envelope(bytes)?;
    let builtin = builtin();
    let root = builtin.root_of(&gvk).ok_or_else(|| ProtoError::NoForm(gvk.clone()))?;
    let mut object = decode(&builtin.schema, root, raw)?;
    if let Value::Object(members) = &mut object {
        members.insert("apiVersion".into(), gvk.api_version().into());
        members.insert("kind".into(), (&*gvk.kind).into());
    }
    Ok(object)
}

/// The kind an envelope names, and the message in it.
pub fn unwrap_envelope(bytes: &[u8]) -> Result<(Gvk, &[u8]), ProtoError> {
    let mut fields = Fields::new(bytes.strip_prefix(MAGIC).ok_or(ProtoError::NoPrefix)?);
    let (mut api_version, mut kind) = (String::new(), String::new());
    let mut raw: &[u8] = &[];
    while let Some((number, field)) = fields.next_field()? {
        match number {
            1 => {
                let mut meta = Fields::new(field.bytes()?);
                while let Some((number, field)) = meta.next_field()? {
                    let text = String::from_utf8_lossy(field.bytes()?).into_owned();
                    match number {
                        1 => api_version = text,
                        2 => kind = text,
                        _ => {}
                    }
                }
            }
            2 => raw = field.bytes()?,
            3 if !field.bytes()?.is_empty() => {
                return Err(ProtoError::Encoded(String::from_utf8_lossy(field.bytes()?).into_owned()));
            }
            _ => {}
        }
    }
    Ok((Gvk::from_api_version(&api_version, &kind), raw))
}

/// Puts a message into an envelope.
pub fn wrap_envelope(gvk: &Gvk, raw: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put_message(&mut out, 1, |out| {
        put_bytes(out, 1, gvk.api_version().as_bytes());
        put_bytes(out, 2, gvk.kind.as_bytes());
    });
    put_bytes(&mut out, 2, raw);
    put_bytes(&mut out, 3, b"");
    put_bytes(&mut out, 4, b"");
    out
}

const BITS: u32 = 10;
const MASK: u32 = (1 << BITS) - 1;

/// The number of a field among those of the message at `level` whose outer numbers are `prefix`;
/// `None` where it lies elsewhere. The flag says whether the number is the field's own.
fn number_at(number: u32, prefix: u32, level: u32) -> Option<(u32, bool)> {
    let below = (1u32 << (BITS * level)) - 1;
    if number == 0 || number & below != prefix {
        return None;
    }
    let rest = number >> (BITS * level);
    let here = rest & MASK;
    (here != 0).then_some((here, rest >> BITS == 0))
}
