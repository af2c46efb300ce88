//! Controllers of upstream beside a server that has none of its own for some kinds.

use std::path::Path;
use std::process::Child;

use super::control_plane::start;

/// Some controllers of upstream on some cluster, as whom the kubeconfig says; it ends with the value.
pub struct Controllers {
    process: Child,
    _folder: tempfile::TempDir,
}

impl Controllers {
    /// Starts them.
    pub fn start(kubeconfig: &Path, names: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let flags = [
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--controllers={names}"),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        Self { process: start(folder.path(), "kube-controller-manager", &flags), _folder: folder }
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
