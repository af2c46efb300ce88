//! The module directories the tables are made from, with a digest of every file that is read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::golang::GoPackage;
use super::proto::{self, Message};

/// Modules by short name (`api`, `kubernetes`), and what was read from them.
pub struct Sources {
    modules: BTreeMap<String, (String, PathBuf)>,
    digests: BTreeMap<String, String>,
    go: BTreeMap<String, GoPackage>,
    protos: BTreeMap<String, BTreeMap<String, Message>>,
}

impl Sources {
    pub fn open(dirs: &[PathBuf], minor: &str) -> Result<Self> {
        let mut modules = BTreeMap::new();
        for dir in dirs {
            let base = dir.file_name().and_then(|n| n.to_str()).context("a directory without a name")?;
            let (name, version) = base.split_once('@').context("a directory not named module@version")?;
            modules.insert(name.to_owned(), (format!("k8s.io/{name}@{version}"), dir.clone()));
        }
        for need in ["kubernetes", "api", "apimachinery", "apiextensions-apiserver", "kube-aggregator"] {
            let Some((label, _)) = modules.get(need) else { bail!("k8s.io/{need} is not among --from") };
            if !label.contains(&format!(".{}.", minor.rsplit('.').next().unwrap_or_default())) {
                bail!("{label} is not of minor {minor}");
            }
        }
        Ok(Self { modules, digests: BTreeMap::new(), go: BTreeMap::new(), protos: BTreeMap::new() })
    }

    fn full(&self, path: &str) -> Result<(String, PathBuf)> {
        let (module, rest) = path.split_once('/').context("a path without a module")?;
        let (label, dir) = self.modules.get(module).with_context(|| format!("no module {module}"))?;
        Ok((format!("{label}/{rest}"), dir.join(rest)))
    }

    /// Reads `module/path` and remembers its digest.
    pub fn text(&mut self, path: &str) -> Result<String> {
        let (_, file) = self.full(path)?;
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let digest: String = Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
        self.digests.insert(path.to_owned(), digest);
        Ok(text)
    }

    pub fn json(&mut self, path: &str) -> Result<Value> {
        serde_json::from_str(&self.text(path)?).with_context(|| format!("parsing {path}"))
    }

    /// Module, version, path and digest of a file that was read.
    pub fn label(&self, path: &str) -> Result<String> {
        let (label, _) = self.full(path)?;
        let digest = self.digests.get(path).with_context(|| format!("{path} was not read"))?;
        Ok(format!("{label} sha256={digest}"))
    }

    /// The Go package of a directory, with the labels of its files.
    pub fn go(&mut self, dir: &str) -> Result<&GoPackage> {
        if !self.go.contains_key(dir) {
            let (_, full) = self.full(dir)?;
            let mut names = Vec::new();
            for entry in std::fs::read_dir(&full).with_context(|| format!("listing {dir}"))? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                let generated = name.starts_with("zz_generated") || name.starts_with("generated");
                if name.ends_with(".go") && !generated && !name.ends_with("_test.go") {
                    names.push(name);
                }
            }
            names.sort();
            let mut package = GoPackage::default();
            for name in names {
                let path = format!("{dir}/{name}");
                let text = self.text(&path)?;
                if package.parse(&text) {
                    package.sources.push(self.label(&path)?);
                }
            }
            self.go.insert(dir.to_owned(), package);
        }
        self.go.get(dir).with_context(|| format!("no Go package {dir}"))
    }

    /// The messages of a directory's `generated.proto`, with its label.
    pub fn proto(&mut self, dir: &str) -> Result<(&BTreeMap<String, Message>, String)> {
        let path = format!("{dir}/generated.proto");
        if !self.protos.contains_key(dir) {
            let text = self.text(&path)?;
            self.protos.insert(dir.to_owned(), proto::parse(&text));
        }
        let label = self.label(&path)?;
        Ok((self.protos.get(dir).with_context(|| format!("no proto in {dir}"))?, label))
    }
}
