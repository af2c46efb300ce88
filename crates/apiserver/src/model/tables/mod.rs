//! The built-in kinds, read from the schema tables once and shared by all tenants.
//!
//! `schemas/1.36/*.tbl` is generated from the published documents of upstream, `schemas/overlay/*.tbl`
//! is written by hand for what those do not say: defaults, immutable fields, columns, selectors, levels.

mod load;
mod overlay;
mod parse;

#[path = "../../../schemas/1.36/index.rs"]
mod index;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

pub use self::parse::{FieldLine, ResourceLine, TableFile, TypeLine};
use super::catalog::Catalog;
use super::gvk::Gvk;
use super::schema::{Schema, TypeId};

/// A line of a table that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("schema table {file}: {line}: {why}")]
pub struct TableError {
    /// File name.
    pub file: String,
    /// The line, or its beginning.
    pub line: String,
    /// What is wrong.
    pub why: &'static str,
}

impl TableError {
    fn new(file: &str, line: &str, why: &'static str) -> Self {
        Self { file: file.into(), line: line.chars().take(120).collect(), why }
    }
}

/// Minor the tables describe.
pub const MINOR: &str = "1.36";

/// What the tables hold, loaded.
#[derive(Debug)]
pub struct Builtin {
    /// Types of every built-in kind.
    pub schema: Arc<Schema>,
    /// Rows of discovery.
    pub catalog: Arc<Catalog>,
    kinds: HashMap<Gvk, TypeId>,
}

impl Builtin {
    /// The type of a built-in kind: of resources and lists, of subresource bodies as `Scale`, and of
    /// the kinds every group version has, as `DeleteOptions`.
    pub fn root_of(&self, gvk: &Gvk) -> Option<TypeId> {
        let common = matches!(&*gvk.kind, "DeleteOptions" | "WatchEvent" | "Status");
        if common {
            return self.schema.by_name(&format!("meta/v1.{}", gvk.kind));
        }
        self.kinds.get(gvk).copied()
    }
}

static BUILTIN: LazyLock<Builtin> =
    LazyLock::new(|| load::load(index::FILES).expect("the committed schema tables are readable"));

/// The built-in kinds.
pub fn builtin() -> &'static Builtin {
    &BUILTIN
}

/// The tables as text lines, for whoever needs facts the [`Schema`] does not hold.
pub fn files() -> Result<Vec<TableFile>, TableError> {
    parse::files(index::FILES)
}

#[cfg(test)]
mod tests;
