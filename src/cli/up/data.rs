//! The data directory: `store.redb`, `pki/`, `kubeconfig`, `lock`; for its owner only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::cli::connect::write_private;
use crate::cli::exit::Failure;

/// A directory that this process alone uses, until it is dropped.
pub struct DataDir {
    path: PathBuf,
    lock: File,
}

fn default_path() -> PathBuf {
    if let Some(home) = std::env::var_os("XDG_DATA_HOME").filter(|h| !h.is_empty()) {
        return PathBuf::from(home).join("skerry");
    }
    match std::env::home_dir() {
        Some(home) if home != Path::new("/root") => home.join(".local/share/skerry"),
        _ => PathBuf::from("/var/lib/skerry"),
    }
}

impl DataDir {
    /// Opens and locks it; a second process is refused, naming the first.
    pub fn open(path: Option<&Path>, reset: bool) -> Result<Self, Failure> {
        let path = path.map_or_else(default_path, Path::to_path_buf);
        let failed = |e: std::io::Error| Failure::Failed(format!("{}: {e}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(failed)?;
        if lock.try_lock().is_err() {
            let mut holder = String::new();
            let _ = lock.read_to_string(&mut holder);
            return Err(Failure::Refused(format!(
                "{} is in use by process {}; stop that one, or give another --data-dir",
                path.display(),
                holder.trim()
            )));
        }
        lock.set_len(0).map_err(failed)?;
        lock.rewind().map_err(failed)?;
        write!(lock, "{}", std::process::id()).map_err(failed)?;
        let data = Self { path, lock };
        if reset {
            data.reset()?;
        }
        let pki = data.path.join("pki");
        DirBuilder::new().recursive(true).mode(0o700).create(&pki)?;
        Ok(data)
    }

    fn reset(&self) -> Result<(), Failure> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name() == "lock" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.path.join("store.redb")
    }

    /// The hub's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path.join("kubeconfig")
    }

    /// Size of the store for people.
    pub fn size(&self) -> String {
        fn total(path: &Path) -> u64 {
            let Ok(meta) = std::fs::metadata(path) else { return 0 };
            if meta.is_file() {
                return meta.len();
            }
            std::fs::read_dir(path).map(|d| d.flatten().map(|e| total(&e.path())).sum()).unwrap_or(0)
        }
        match total(&self.store()) {
            n if n >= 1_000_000 => format!("{:.1} MB", n as f64 / 1e6),
            n => format!("{} kB", n.div_ceil(1000)),
        }
    }

    /// The identity of this installation: made at the first start, read at every other. Hub and simulated hosts are
    /// named by it.
    pub fn installation(&self) -> Result<String, Failure> {
        let path = self.path.join("pki/installation");
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            _ => {
                let mut bytes = [0u8; 16];
                File::open("/dev/urandom")?.read_exact(&mut bytes)?;
                let text = data_encoding::HEXLOWER.encode(&bytes);
                write_private(&path, text.as_bytes())?;
                Ok(text)
            }
        }
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = self.lock.set_len(0);
        let _ = self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TN-73: a second start on a directory in use is refused naming the process.
    #[test]
    fn tn73_one_process_per_directory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::open(Some(&path), false).unwrap();
        let id = first.installation().unwrap();
        assert_eq!(first.installation().unwrap(), id);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let refusal = DataDir::open(Some(&path), false).err().unwrap();
        assert!(
            matches!(&refusal, Failure::Refused(text) if text.contains(&std::process::id().to_string())),
            "{refusal}"
        );
        drop(first);
        let again = DataDir::open(Some(&path), true).unwrap();
        assert_ne!(again.installation().unwrap(), id);
    }
}
