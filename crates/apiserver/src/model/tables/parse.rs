//! Lines of the generated tables.

use super::TableError;
use crate::model::schema::Zero;

/// One table file.
#[derive(Debug, Default)]
pub struct TableFile {
    /// File name.
    pub name: &'static str,
    /// Group its resources are of, empty for the core group.
    pub group: &'static str,
    /// Version its resources are of; empty where the file has types only.
    pub version: &'static str,
    /// `resource` and `sub` lines.
    pub resources: Vec<ResourceLine>,
    /// `type` blocks.
    pub types: Vec<TypeLine>,
    /// `group` lines of the list of groups.
    pub groups: Vec<(&'static str, Vec<&'static str>)>,
}

/// A `resource` or `sub` line.
#[derive(Debug, Default)]
pub struct ResourceLine {
    /// `deployments`, or `deployments/scale`.
    pub name: &'static str,
    /// `Deployment`, or with group and version as `autoscaling/v1.Scale`.
    pub kind: &'static str,
    /// In namespaces.
    pub namespaced: bool,
    /// Singular name.
    pub singular: &'static str,
    /// Verbs.
    pub verbs: Vec<&'static str>,
    /// Short names.
    pub short: Vec<&'static str>,
    /// Categories.
    pub categories: Vec<&'static str>,
    /// `storageVersionHash`.
    pub hash: &'static str,
}

/// A `type` block.
#[derive(Debug, Default)]
pub struct TypeLine {
    /// Table name.
    pub name: &'static str,
    /// Protobuf message.
    pub proto: Option<&'static str>,
    /// Kinds it is the body of, as `apps/v1.Deployment`.
    pub kinds: Vec<&'static str>,
    /// `x-kubernetes-map-type`.
    pub map: Option<&'static str>,
    /// `x-kubernetes-unions` as JSON.
    pub unions: Option<&'static str>,
    /// Field lines.
    pub fields: Vec<FieldLine>,
}

/// A field line.
#[derive(Debug, Default)]
pub struct FieldLine {
    /// JSON name.
    pub name: &'static str,
    /// Protobuf number, with those of inlined messages below it; see [`crate::codec::proto`].
    pub number: u32,
    /// Type word.
    pub ty: &'static str,
    /// Required.
    pub required: bool,
    /// `x-kubernetes-list-type` and its keys.
    pub list: Option<&'static str>,
    /// `x-kubernetes-map-type`.
    pub map: Option<&'static str>,
    /// Patch strategy and merge key.
    pub patch: Option<&'static str>,
    /// What zero means.
    pub zero: Zero,
    /// Published default as JSON.
    pub default: Option<&'static str>,
}

pub(super) fn files(texts: &[(&'static str, &'static str)]) -> Result<Vec<TableFile>, TableError> {
    texts.iter().map(|(name, text)| file(name, text)).collect()
}

fn file(name: &'static str, text: &'static str) -> Result<TableFile, TableError> {
    let mut out = TableFile { name, ..TableFile::default() };
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let bad = |why| TableError::new(name, line, why);
        let mut words = line.split(' ');
        let first = words.next().unwrap_or_default();
        match first {
            // A field may be called `type` or `group`: its second word is a number or a dash.
            "group" if out.types.is_empty() => {
                let group = words.next().ok_or_else(|| bad("no group"))?;
                let group = if group == "core" { "" } else { group };
                let versions: Vec<_> = words.collect();
                (out.group, out.version) = (group, versions.first().copied().unwrap_or_default());
                out.groups.push((group, versions));
            }
            "resource" | "sub" if out.types.is_empty() => out.resources.push(resource(words)),
            "type" if line.contains('/') && !second_is_number(line) => out.types.push(type_line(words)),
            _ => {
                let field = field(line).ok_or_else(|| bad("not a field"))?;
                out.types.last_mut().ok_or_else(|| bad("a field outside of a type"))?.fields.push(field);
            }
        }
    }
    Ok(out)
}

fn second_is_number(line: &str) -> bool {
    let second = line.split(' ').nth(1).unwrap_or_default();
    second == "-" || second.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn list(words: &'static str) -> Vec<&'static str> {
    words.split(',').collect()
}

fn resource(mut words: std::str::Split<'static, char>) -> ResourceLine {
    let mut out = ResourceLine { name: words.next().unwrap_or_default(), ..ResourceLine::default() };
    for word in words {
        match word.split_once('=') {
            None => out.namespaced |= word == "namespaced",
            Some(("kind", value)) => out.kind = value,
            Some(("singular", value)) => out.singular = value,
            Some(("verbs", value)) => out.verbs = list(value),
            Some(("short", value)) => out.short = list(value),
            Some(("categories", value)) => out.categories = list(value),
            Some(("hash", value)) => out.hash = value,
            Some(_) => {}
        }
    }
    out
}

fn type_line(mut words: std::str::Split<'static, char>) -> TypeLine {
    let mut out = TypeLine { name: words.next().unwrap_or_default(), ..TypeLine::default() };
    for word in words {
        match word.split_once('=') {
            Some(("proto", value)) => out.proto = Some(value),
            Some(("kind", value)) => out.kinds.push(value),
            Some(("map", value)) => out.map = Some(value),
            Some(("unions", value)) => out.unions = Some(value),
            _ => {}
        }
    }
    out
}

fn field(line: &'static str) -> Option<FieldLine> {
    let mut words = line.split(' ');
    let mut out = FieldLine { name: words.next()?, ..FieldLine::default() };
    out.number = number(words.next()?)?;
    out.ty = words.next()?;
    for word in words {
        match word.split_once('=') {
            None if word == "required" => out.required = true,
            Some(("list", value)) => out.list = Some(value),
            Some(("map", value)) => out.map = Some(value),
            Some(("patch", value)) => out.patch = Some(value),
            Some(("zero", "dropped")) => out.zero = Zero::Dropped,
            Some(("zero", "shown")) => out.zero = Zero::Shown,
            Some(("default", value)) => out.default = Some(value),
            _ => return None,
        }
    }
    Some(out)
}

/// Field numbers from the outermost message inwards, ten bits each, the outermost lowest.
fn number(word: &str) -> Option<u32> {
    if word == "-" {
        return Some(0);
    }
    let mut out = 0;
    for (level, part) in word.split('.').enumerate() {
        let part: u32 = part.parse().ok()?;
        if part == 0 || part >= 1 << 10 || level > 2 {
            return None;
        }
        out |= part << (10 * level);
    }
    Some(out)
}
