//! Struct fields of Go types: JSON name, pointer or not, `omitempty`, inlining, protobuf name.

use std::collections::BTreeMap;

/// Structs of one package.
#[derive(Default)]
pub struct GoPackage {
    pub structs: BTreeMap<String, Vec<GoField>>,
    /// Import alias to path.
    pub imports: BTreeMap<String, String>,
    pub sources: Vec<String>,
}

/// One field of a Go struct.
#[derive(Clone, Debug)]
pub struct GoField {
    /// Go type, or the embedded type for an inlined field.
    pub ty: String,
    pub json: String,
    pub inline: bool,
    pub omit_empty: bool,
    pub omit_zero: bool,
    pub number: Option<u32>,
}

impl GoField {
    pub fn is_pointer(&self) -> bool {
        self.ty.starts_with('*')
    }
}

impl GoPackage {
    /// Adds the structs of a file; says whether there were any.
    pub fn parse(&mut self, text: &str) -> bool {
        let before = self.structs.len();
        let mut current: Option<(String, Vec<GoField>)> = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("type ").and_then(|l| l.strip_suffix(" struct {")) {
                current = Some((name.to_owned(), Vec::new()));
            } else if let Some(name) = line.strip_prefix("type ").and_then(|l| l.strip_suffix(" struct{}")) {
                self.structs.insert(name.to_owned(), Vec::new());
            } else if line == "}" {
                if let Some((name, fields)) = current.take() {
                    self.structs.insert(name, fields);
                }
            } else if let Some((_, fields)) = &mut current {
                fields.extend(field(line));
            } else {
                self.import(line);
            }
        }
        self.structs.len() > before
    }

    fn import(&mut self, line: &str) {
        let Some((alias, path)) = line.trim().split_once(' ') else { return };
        let Some(path) = path.strip_prefix("\"k8s.io/").and_then(|p| p.strip_suffix('"')) else { return };
        self.imports.insert(alias.to_owned(), path.to_owned());
    }
}

fn field(line: &str) -> Option<GoField> {
    let code = line.trim();
    if code.starts_with("//") {
        return None;
    }
    let (declared, rest) = code.split_once('`')?;
    let (tags, _) = rest.split_once('`')?;
    let json = tag(tags, "json")?;
    let mut options = json.split(',');
    let name = options.next().unwrap_or_default().to_owned();
    let options: Vec<&str> = options.collect();
    let mut words = declared.split_whitespace();
    let first = words.next()?;
    let ty: String = words.collect::<Vec<_>>().join(" ");
    let number = tag(tags, "protobuf").and_then(|t| t.split(',').nth(1)?.parse().ok());
    Some(GoField {
        ty: if ty.is_empty() { first.to_owned() } else { ty },
        inline: options.contains(&"inline"),
        omit_empty: options.contains(&"omitempty"),
        omit_zero: options.contains(&"omitzero"),
        json: name,
        number,
    })
}

fn tag<'a>(tags: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tags.split_once(&format!("{name}:\""))?;
    rest.split_once('"').map(|(value, _)| value)
}
