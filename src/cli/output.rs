//! Forms of output (U2): json and yaml print the API object or a list and nothing else on stdout.

use std::io::Write as _;

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::exit::Failure;

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `kind/name` lines.
    Name,
}

/// A column: its heading, and its text for an object.
pub type Column = (&'static str, fn(&Value) -> String);

/// Prints objects in a form. `wide` columns follow the plain ones.
pub fn print(
    format: Format,
    objects: &[Value],
    single: bool,
    columns: &[Column],
    wide: &[Column],
) -> Result<(), Failure> {
    let text = match format {
        Format::Json => format!("{}\n", pretty(&shaped(objects, single))?),
        Format::Yaml => {
            serde_yaml_ng::to_string(&shaped(objects, single)).map_err(|e| Failure::Failed(e.to_string()))?
        }
        Format::Name => objects.iter().map(|o| format!("{}\n", name(o))).collect(),
        Format::Table => table(columns, objects),
        Format::Wide => table(&[columns, wide].concat(), objects),
    };
    write(&text)
}

/// Writes to stdout; a closed pipe is no failure.
pub fn write(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(failed) if failed.kind() != std::io::ErrorKind::BrokenPipe => Err(failed.into()),
        _ => Ok(()),
    }
}

fn shaped(objects: &[Value], single: bool) -> Value {
    match objects {
        [one] if single => one.clone(),
        many => json!({"apiVersion": "v1", "kind": "List", "items": many}),
    }
}

fn pretty(value: &Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|e| Failure::Failed(e.to_string()))
}

fn name(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let group = object["apiVersion"]
        .as_str()
        .and_then(|v| v.split_once('/'))
        .map(|(g, _)| format!(".{g}"))
        .unwrap_or_default();
    format!("{kind}{group}/{}", text(&object["metadata"]["name"]))
}

/// Columns as kubectl writes them: upper case, three spaces between.
pub fn table(columns: &[Column], objects: &[Value]) -> String {
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|(head, _)| (*head).to_owned()).collect()];
    rows.extend(objects.iter().map(|o| columns.iter().map(|(_, cell)| cell(o)).collect()));
    aligned(&rows)
}

/// Rows with aligned cells.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}   "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A value as a cell.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The status of a condition.
pub fn condition(object: &Value, kind: &str) -> String {
    let list = object["status"]["conditions"].as_array();
    let found = list.into_iter().flatten().find(|c| c["type"] == kind);
    found.map_or_else(|| "Unknown".to_owned(), |c| text(&c["status"]))
}

/// Age since creation, as kubectl shortens it.
pub fn age(object: &Value) -> String {
    let created = object["metadata"]["creationTimestamp"].as_str().and_then(|t| t.parse::<Timestamp>().ok());
    created.map(|t| short(Timestamp::now().duration_since(t).as_secs().max(0))).unwrap_or_default()
}

/// Seconds in short.
pub fn short(seconds: i64) -> String {
    match seconds {
        s if s < 120 => format!("{s}s"),
        s if s < 7200 => format!("{}m", s / 60),
        s if s < 172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TN-72: golden table.
    #[test]
    fn tn72_tables_are_aligned_as_kubectl_aligns_them() {
        let columns: [Column; 2] =
            [("NAME", |o| text(&o["metadata"]["name"])), ("READY", |o| condition(o, "Ready"))];
        let objects = [
            json!({"metadata": {"name": "dev"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
            json!({"metadata": {"name": "a-longer-name"}}),
        ];
        assert_eq!(
            table(&columns, &objects),
            "NAME            READY\ndev             True\na-longer-name   Unknown\n"
        );
        assert_eq!(
            name(
                &json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualCluster", "metadata": {"name": "dev"}})
            ),
            "virtualcluster.skerry.dev/dev"
        );
        assert_eq!([short(5), short(600), short(8000), short(200_000)], ["5s", "10m", "2h", "2d"]);
    }
}
