//! The special forms: what JSON writes as text or a bare value and protobuf as a message of its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Number, Value};

use super::ProtoError;
use super::wire::{Fields, Raw, put_bytes, put_int};
use crate::model::clock;
use crate::model::schema::Ty;

/// Name of the type whose members may be one of two shapes.
const JSON_SCHEMA: &str = "apiextensions/v1.JSONSchemaProps";

/// Members of a JSON schema that protobuf writes as a message of two alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Either {
    /// A schema, or a list of schemas.
    List,
    /// A schema, or a truth value.
    Bool,
    /// A schema, or a list of names.
    Names,
}

/// Whether a field is one of those.
pub(super) fn either(owner: &str, field: &str) -> Option<Either> {
    if owner != JSON_SCHEMA {
        return None;
    }
    Some(match field {
        "items" => Either::List,
        "additionalProperties" | "additionalItems" => Either::Bool,
        "dependencies" => Either::Names,
        _ => return None,
    })
}

fn text(raw: Raw<'_>) -> Result<String, ProtoError> {
    Ok(String::from_utf8_lossy(raw.bytes()?).into_owned())
}

/// Reads a value that is no struct, map or list.
pub(super) fn decode(ty: &Ty, raw: Raw<'_>) -> Result<Value, ProtoError> {
    Ok(match ty {
        Ty::Bool => Value::Bool(raw.int()? != 0),
        Ty::Int32 => Value::from(raw.int()? as i32),
        Ty::Int64 => Value::from(raw.int()?),
        Ty::Float => match raw {
            Raw::Fixed64(bits) => Number::from_f64(f64::from_bits(bits)).map_or(Value::Null, Value::Number),
            _ => return Err(super::WireError::WrongType.into()),
        },
        Ty::Bytes => Value::String(STANDARD.encode(raw.bytes()?)),
        Ty::Quantity => {
            let mut out = String::new();
            each(raw, |number, field| {
                if number == 1 {
                    out = text(field)?;
                }
                Ok(())
            })?;
            // Go writes the zero quantity as an empty one.
            Value::String(if out.is_empty() { "0".into() } else { out })
        }
        Ty::IntOrString => int_or_string(raw)?,
        Ty::Time | Ty::MicroTime => time(ty, raw)?,
        Ty::Duration => {
            let mut nanos = 0;
            each(raw, |number, field| {
                if number == 1 {
                    nanos = field.int()?;
                }
                Ok(())
            })?;
            Value::String(duration_text(nanos))
        }
        Ty::Raw | Ty::FieldsV1 | Ty::Any => embedded(raw)?,
        _ => Value::String(text(raw)?),
    })
}

pub(super) fn each<'a>(
    raw: Raw<'a>,
    mut take: impl FnMut(u32, Raw<'a>) -> Result<(), ProtoError>,
) -> Result<(), ProtoError> {
    let mut fields = Fields::new(raw.bytes()?);
    while let Some((number, field)) = fields.next_field()? {
        take(number, field)?;
    }
    Ok(())
}

fn int_or_string(raw: Raw<'_>) -> Result<Value, ProtoError> {
    let (mut kind, mut int, mut string) = (0, 0, String::new());
    each(raw, |number, field| {
        match number {
            1 => kind = field.int()?,
            2 => int = field.int()? as i32,
            3 => string = text(field)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(if kind == 1 { Value::String(string) } else { Value::from(int) })
}

fn time(ty: &Ty, raw: Raw<'_>) -> Result<Value, ProtoError> {
    let (mut seconds, mut nanos, mut set) = (0, 0, false);
    each(raw, |number, field| {
        match number {
            1 => seconds = field.int()?,
            2 => nanos = field.int()? as i32,
            _ => return Ok(()),
        }
        set = true;
        Ok(())
    })?;
    if !set || (seconds == 0 && nanos == 0) {
        return Ok(Value::Null);
    }
    let at = Timestamp::new(seconds, nanos).map_err(|_| ProtoError::Value("proto: a time out of range"))?;
    Ok(Value::String(if *ty == Ty::Time { clock::format_seconds(at) } else { clock::format_micros(at) }))
}

/// JSON inside of a message.
fn embedded(raw: Raw<'_>) -> Result<Value, ProtoError> {
    let mut bytes: &[u8] = &[];
    each(raw, |number, field| {
        if number == 1 {
            bytes = field.bytes()?;
        }
        Ok(())
    })?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (value, _) = crate::codec::read_json(bytes, crate::codec::Limits::default())
        .map_err(|_| ProtoError::Value("proto: an embedded value that is not JSON"))?;
    Ok(value)
}

/// Writes the message of a special form, or the bare bytes of text.
pub(super) fn encode_message(ty: &Ty, value: &Value, out: &mut Vec<u8>) {
    match (ty, value) {
        (Ty::Quantity, Value::String(text)) => put_bytes(out, 1, text.as_bytes()),
        (Ty::Quantity, number) => put_bytes(out, 1, number.to_string().as_bytes()),
        (Ty::IntOrString, Value::String(text)) => {
            put_int(out, 1, 1);
            put_int(out, 2, 0);
            put_bytes(out, 3, text.as_bytes());
        }
        (Ty::IntOrString, number) => {
            put_int(out, 1, 0);
            put_int(out, 2, number.as_i64().unwrap_or_default());
            put_bytes(out, 3, b"");
        }
        (Ty::Time | Ty::MicroTime, Value::String(text)) => {
            if let Ok(at) = text.parse::<Timestamp>() {
                let nanos = if *ty == Ty::Time { 0 } else { at.subsec_nanosecond() / 1000 * 1000 };
                put_int(out, 1, at.as_second());
                put_int(out, 2, i64::from(nanos));
            }
        }
        (Ty::Duration, Value::String(text)) => put_int(out, 1, duration_nanos(text).unwrap_or_default()),
        (Ty::Raw | Ty::FieldsV1 | Ty::Any, value) => put_bytes(out, 1, value.to_string().as_bytes()),
        _ => {}
    }
}

/// The bytes behind base64 text.
pub(super) fn bytes_of(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default()
}

/// Go's text of a duration.
fn duration_text(nanos: i64) -> String {
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, rest) = (seconds.unsigned_abs(), rest.unsigned_abs());
    let fraction =
        if rest == 0 { String::new() } else { format!(".{}", format!("{rest:09}").trim_end_matches('0')) };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}{fraction}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}{fraction}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

fn duration_nanos(text: &str) -> Option<i64> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        nanos += number
            * match &rest[digits..unit] {
                "h" => 3.6e12,
                "m" => 6e10,
                "s" => 1e9,
                "ms" => 1e6,
                "us" | "µs" => 1e3,
                "ns" => 1.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Some(if negative { -nanos as i64 } else { nanos as i64 })
}
