//! `docs/fidelity.md`: how far each built-in kind agrees with upstream, from the overlay.

use std::path::Path;

use anyhow::{Context, Result, bail};

const HEAD: &str = "\
# How far each kind agrees with upstream

Written by `cargo xtask schemas` from `crates/apiserver/schemas/overlay/kinds.tbl`. `GET /skerry/v1/fidelity`
answers with the same.

- `strict`: accepts exactly what kube-apiserver accepts, and stores the same object.
- `schema`: accepts everything kube-apiserver accepts and stores the same object; may accept more.
- `none`: accepts everything kube-apiserver accepts; computed defaults may be missing.
- `absent`: not served yet, so that creating one fails loudly.

| group | kind | level |
|---|---|---|
";

/// Writes the table, or compares it with the one that is there.
pub fn write(kinds: &Path, docs: &Path, check: bool) -> Result<()> {
    let text = std::fs::read_to_string(kinds).with_context(|| format!("reading {}", kinds.display()))?;
    let mut out = String::from(HEAD);
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let mut words = line.split(' ');
        let (group, kind) =
            words.next().and_then(|key| key.split_once('/')).context("a line without a kind")?;
        let words: Vec<&str> = words.collect();
        let level = words.iter().find_map(|w| w.strip_prefix("level=")).unwrap_or("none");
        let level = if words.contains(&"absent") { "absent" } else { level };
        out.push_str(&format!("| {group} | {kind} | {level} |\n"));
    }
    if !check {
        return std::fs::write(docs, out).with_context(|| format!("writing {}", docs.display()));
    }
    if std::fs::read_to_string(docs).ok().as_deref() != Some(&out) {
        bail!("stale: {}", docs.display());
    }
    Ok(())
}
