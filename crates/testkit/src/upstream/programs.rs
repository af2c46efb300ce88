//! Programs of this machine, and the Debian packages that bring them.

use std::path::PathBuf;

/// Where a program is on the path.
pub fn program(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).map(|p| p.join(name)).find(|p| p.is_file())
}

/// Those of some programs that are not to be found, each with its package.
pub fn missing(programs: &[(&str, &str)]) -> Vec<String> {
    let missing = programs.iter().filter(|(name, _)| program(name).is_none());
    missing.map(|(name, package)| format!("{name} (package {package})")).collect()
}
