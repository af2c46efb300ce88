//! Messages of a `generated.proto`: field numbers and types.

use std::collections::BTreeMap;

/// Fields of a message by number.
#[derive(Debug, Default)]
pub struct Message {
    pub fields: BTreeMap<u32, ProtoField>,
}

/// One field.
#[derive(Debug)]
pub struct ProtoField {
    /// Type as written, without a leading dot.
    pub ty: String,
}

/// Reads the messages of a file. The files are machine-written: one statement a line.
pub fn parse(text: &str) -> BTreeMap<String, Message> {
    let mut out = BTreeMap::new();
    let mut current: Option<(String, Message)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("message ").and_then(|l| l.strip_suffix(" {")) {
            current = Some((name.to_owned(), Message::default()));
        } else if line == "}" {
            if let Some((name, message)) = current.take() {
                out.insert(name, message);
            }
        } else if let Some((_, message)) = &mut current
            && let Some((number, field)) = statement(line)
        {
            message.fields.insert(number, field);
        }
    }
    out
}

fn statement(line: &str) -> Option<(u32, ProtoField)> {
    let line = line.strip_suffix(';')?;
    if line.starts_with("//") {
        return None;
    }
    let (left, number) = line.rsplit_once(" = ")?;
    let number = number.parse().ok()?;
    let (ty, _) = left.rsplit_once(' ')?;
    let ty = ["optional ", "repeated "].iter().find_map(|label| ty.strip_prefix(label)).unwrap_or(ty);
    Some((number, ProtoField { ty: ty.trim_start_matches('.').to_owned() }))
}
