//! The hand-written facts: defaults, immutable fields, what a kind is, columns.

use std::collections::HashMap;

use serde_json::Value;

use super::TableError;
use crate::model::resource::{CellSource, Column, Fidelity, NameRule, Selectable};

const DEFAULTS: &str = include_str!("../../../schemas/overlay/defaults.tbl");
const IMMUTABLE: &str = include_str!("../../../schemas/overlay/immutable.tbl");
const REQUIRED: &str = include_str!("../../../schemas/overlay/required.tbl");
const KINDS: &str = include_str!("../../../schemas/overlay/kinds.tbl");
const COLUMNS: &str = include_str!("../../../schemas/overlay/columns.tbl");

/// What `kinds.tbl` says of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct KindFacts {
    pub fidelity: Fidelity,
    pub absent: bool,
    pub generation: bool,
    pub conditional: bool,
    pub create_on_update: bool,
    pub name_rule: NameRule,
    pub storage_version: Option<&'static str>,
    pub home: Option<&'static str>,
    pub status_paths: Vec<Box<str>>,
    pub lacks: Vec<&'static str>,
    pub selectable: Vec<Selectable>,
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'))
}

/// Type, field and value of every constant default.
pub(super) fn defaults() -> Result<Vec<(&'static str, &'static str, Value)>, TableError> {
    lines(DEFAULTS)
        .map(|line| {
            let bad = |why| TableError::new("defaults.tbl", line, why);
            let mut words = line.splitn(3, ' ');
            let (Some(ty), Some(field), Some(json)) = (words.next(), words.next(), words.next()) else {
                return Err(bad("not type, field and value"));
            };
            Ok((ty, field, serde_json::from_str(json).map_err(|_| bad("the value is not JSON"))?))
        })
        .collect()
}

/// Type and field of every immutable field.
pub(super) fn immutable() -> Result<Vec<(&'static str, &'static str)>, TableError> {
    pairs("immutable.tbl", IMMUTABLE)
}

/// Type and field of every member that has to be there.
pub(super) fn required() -> Result<Vec<(&'static str, &'static str)>, TableError> {
    pairs("required.tbl", REQUIRED)
}

fn pairs(file: &str, text: &'static str) -> Result<Vec<(&'static str, &'static str)>, TableError> {
    lines(text)
        .map(|l| l.split_once(' ').ok_or_else(|| TableError::new(file, l, "not type and field")))
        .collect()
}

/// Facts by `group/Kind`.
pub(super) fn kinds() -> Result<HashMap<&'static str, KindFacts>, TableError> {
    let mut out = HashMap::new();
    for line in lines(KINDS) {
        let mut words = line.split(' ');
        let key = words.next().unwrap_or_default();
        let mut facts = KindFacts::default();
        for word in words {
            facts.word(word).ok_or_else(|| TableError::new("kinds.tbl", line, "an unknown word"))?;
        }
        if facts.status_paths.is_empty() {
            facts.status_paths.push("status".into());
        }
        out.insert(key, facts);
    }
    Ok(out)
}

impl KindFacts {
    fn word(&mut self, word: &'static str) -> Option<()> {
        match word.split_once('=') {
            None => match word {
                "absent" => self.absent = true,
                "generation" => self.generation = true,
                "conditional" => self.conditional = true,
                "createOnUpdate" => self.create_on_update = true,
                _ => return None,
            },
            Some(("level", "strict")) => self.fidelity = Fidelity::Strict,
            Some(("level", "schema")) => self.fidelity = Fidelity::Schema,
            Some(("level", "none")) => self.fidelity = Fidelity::None,
            Some(("name", rule)) => self.name_rule = name_rule(rule)?,
            Some(("storage", version)) => self.storage_version = Some(version),
            Some(("home", id)) => self.home = Some(id),
            Some(("status", paths)) => self.status_paths = paths.split(',').map(Into::into).collect(),
            Some(("lacks", names)) => self.lacks = names.split(',').collect(),
            Some(("select", text)) => self.selectable.push(selectable(text)),
            Some(_) => return None,
        }
        Some(())
    }
}

fn name_rule(word: &str) -> Option<NameRule> {
    Some(match word {
        "subdomain" => NameRule::DnsSubdomain,
        "label" => NameRule::DnsLabel,
        "1035" => NameRule::Dns1035,
        "path" => NameRule::PathSegment,
        "ip" => NameRule::IpAddress,
        _ => return None,
    })
}

fn selectable(text: &str) -> Selectable {
    let (text, default) = text.split_once('@').unwrap_or((text, ""));
    let (label, path) = text.split_once(':').unwrap_or((text, text));
    Selectable { label: label.into(), path: path.into(), default: default.into() }
}

/// Columns by `group/Kind`.
pub(super) fn columns() -> Result<HashMap<&'static str, Vec<Column>>, TableError> {
    let mut out: HashMap<&'static str, Vec<Column>> = HashMap::new();
    let mut current = "";
    for line in lines(COLUMNS) {
        if !line.contains(" | ") && line != "!" {
            current = line;
            out.insert(line, vec![name_column()]);
            continue;
        }
        let columns = out.entry(current).or_default();
        if line == "!" {
            columns.clear();
        } else {
            columns.push(column(line).ok_or_else(|| TableError::new("columns.tbl", line, "not a column"))?);
        }
    }
    Ok(out)
}

fn column(line: &'static str) -> Option<Column> {
    let mut parts = line.split(" | ");
    let (name, ty, source) = (parts.next()?, parts.next()?, parts.next()?);
    let priority = parts.next().map_or(Some(0), |p| p.parse().ok())?;
    let format = if name == "Name" { "name" } else { "" };
    let source = if source.starts_with('.') {
        CellSource::Path(source.into())
    } else {
        CellSource::Hook(source.into())
    };
    Some(Column {
        name: name.into(),
        ty: ty.into(),
        format: format.into(),
        priority,
        description: "".into(),
        source,
    })
}

fn name_column() -> Column {
    Column {
        name: "Name".into(),
        ty: "string".into(),
        format: "name".into(),
        priority: 0,
        description: "".into(),
        source: CellSource::Path(".metadata.name".into()),
    }
}

/// Columns of a kind without any of its own: name and age.
pub(super) fn plain_columns() -> Vec<Column> {
    let age = Column {
        name: "Age".into(),
        ty: "string".into(),
        format: "".into(),
        priority: 0,
        description: "".into(),
        source: CellSource::Hook("age".into()),
    };
    vec![name_column(), age]
}
