//! `cargo xtask schemas`: writes `crates/apiserver/schemas/<minor>/*.tbl` from the published OpenAPI and
//! discovery documents, `generated.proto` and Go types of the Kubernetes modules. Facts only: the
//! tables hold no descriptions.

mod discovery;
mod fidelity;
mod golang;
mod openapi;
mod proto;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::openapi::TypeRow;
use self::sources::Sources;

/// Version of the table format and of this generator.
const FORMAT: u32 = 1;

#[derive(clap::Args)]
pub struct Args {
    /// Minor whose tables are written, as 1.36.
    #[arg(long)]
    minor: String,
    /// Directories as `go mod download -json` prints them: k8s.io/kubernetes and its staging modules.
    #[arg(long, num_args = 1.., required = true)]
    from: Vec<PathBuf>,
    /// Compare with the committed files and fail on any difference.
    #[arg(long)]
    check: bool,
    /// Where the tables lie.
    #[arg(long, default_value = "crates/apiserver/schemas")]
    out: PathBuf,
    /// Where the table of fidelity levels goes.
    #[arg(long, default_value = "docs/fidelity.md")]
    docs: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let mut sources = Sources::open(&args.from, &args.minor)?;
    let files = generate(&mut sources)?;
    let dir = args.out.join(&args.minor);
    fidelity::write(&args.out.join("overlay/kinds.tbl"), &args.docs, args.check)?;
    if args.check {
        return check(&dir, &files);
    }
    std::fs::create_dir_all(&dir)?;
    for (name, text) in &files {
        std::fs::write(dir.join(name), text).with_context(|| format!("writing {name}"))?;
    }
    println!("{} files, {} bytes", files.len(), files.values().map(String::len).sum::<usize>());
    Ok(())
}

fn check(dir: &Path, files: &BTreeMap<String, String>) -> Result<()> {
    let mut stale = Vec::new();
    for (name, text) in files {
        if std::fs::read_to_string(dir.join(name)).ok().as_deref() != Some(text) {
            stale.push(name.clone());
        }
    }
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !files.contains_key(&name) {
            stale.push(name);
        }
    }
    if !stale.is_empty() {
        bail!("stale schema tables: {}", stale.join(", "));
    }
    println!("{} files are fresh", files.len());
    Ok(())
}

/// One table file while it is put together.
#[derive(Default)]
struct Table {
    sources: BTreeSet<String>,
    resources: String,
    types: BTreeMap<String, String>,
}

fn generate(sources: &mut Sources) -> Result<BTreeMap<String, String>> {
    let groups = discovery::groups(sources)?;
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let mut schemas = BTreeMap::new();
    for gv in groups.iter().flat_map(|g| g.versions.iter().map(move |v| (g, v))) {
        let (group, version) = gv;
        let table = tables.entry(format!("{}_{version}", group.dir())).or_default();
        let (path, rows) = discovery::resources(sources, group, version)?;
        table.sources.insert(path);
        table.resources = rows;
        let path = openapi::document_path(&group.name, version);
        let document = sources.json(&path)?;
        table.sources.insert(sources.label(&path)?);
        openapi::collect(&document, &path, &mut schemas);
    }
    for name in ["api_openapi.json", "apis_openapi.json", "apis__apps_openapi.json"] {
        let path = format!("kubernetes/api/openapi-spec/v3/{name}");
        let document = sources.json(&path)?;
        openapi::collect(&document, &path, &mut schemas);
    }
    for (name, schema) in &schemas {
        let Some(row) = TypeRow::build(name, &schema.value, sources)? else { continue };
        let table = tables.entry(row.file()).or_default();
        table.sources.extend(row.sources.iter().cloned());
        table.sources.insert(sources.label(&schema.document)?);
        table.types.insert(row.name.clone(), row.to_string());
    }
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (name, table) in tables {
        files.insert(format!("{name}.tbl"), table.text());
    }
    files.insert("groups.tbl".into(), discovery::groups_text(sources, &groups)?);
    files.insert("index.rs".into(), index(&files));
    Ok(files)
}

fn header(sources: &BTreeSet<String>) -> String {
    let mut out = format!("# Written by `cargo xtask schemas`, format {FORMAT}. Never edited by hand.\n");
    for source in sources {
        out.push_str(&format!("# source {source}\n"));
    }
    out
}

impl Table {
    fn text(&self) -> String {
        let mut out = header(&self.sources);
        if !self.resources.is_empty() {
            out.push('\n');
            out.push_str(&self.resources);
        }
        for text in self.types.values() {
            out.push('\n');
            out.push_str(text);
        }
        out
    }
}

fn index(files: &BTreeMap<String, String>) -> String {
    let mut out = String::from("//! The schema tables as text. Written by `cargo xtask schemas`.\n\n");
    out.push_str("/// Name and text of each table.\npub const FILES: &[(&str, &str)] = &[\n");
    for name in files.keys() {
        out.push_str(&format!("    ({name:?}, include_str!({name:?})),\n"));
    }
    out.push_str("];\n");
    out
}
