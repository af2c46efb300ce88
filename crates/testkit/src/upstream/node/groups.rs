//! The control group under which a node's kubelet puts all its pods, in each hierarchy of the machine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::NodeError;

const ROOT: &str = "/sys/fs/cgroup";

/// The group; removed when told.
#[derive(Default)]
pub struct Groups {
    name: String,
    places: Vec<PathBuf>,
}

/// Makes the group of this name, anew where a node that was killed has left one.
pub fn make(name: &str) -> Result<Groups, NodeError> {
    let mut groups = Groups { name: name.to_owned(), places: Vec::new() };
    for place in hierarchies()? {
        let path = place.join(name);
        remove(&path);
        std::fs::create_dir(&path).map_err(|source| NodeError::File { path: path.clone(), source })?;
        groups.places.push(path);
    }
    Ok(groups)
}

/// Version 2 has one hierarchy, version 1 a directory each; names that are joined of two are links to one of them.
pub fn hierarchies() -> Result<Vec<PathBuf>, NodeError> {
    let root = PathBuf::from(ROOT);
    if root.join("cgroup.controllers").is_file() {
        return Ok(vec![root]);
    }
    let failed = |source| NodeError::File { path: root.clone(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

impl Groups {
    /// Its name, as a kubelet wants it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes it with all below; processes that are ending may hold it for a moment.
    pub fn remove(&mut self) {
        let started = Instant::now();
        loop {
            self.places.retain(|path| {
                remove(path);
                path.exists()
            });
            if self.places.is_empty() || started.elapsed() > Duration::from_secs(5) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// From the leaves up: a group's files go with its directory.
fn remove(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(path);
}
