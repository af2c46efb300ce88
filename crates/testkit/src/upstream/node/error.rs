//! How a node may fail to start, and steps that answer so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::upstream::wait::text;

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The machine cannot have one; each reason by name.
    #[error("this machine lacks {}", .0.join(", "))]
    Lacks(Vec<String>),
    /// A command of the machine failed.
    #[error("{command}: {message}")]
    Command {
        /// Command.
        command: String,
        /// What it said.
        message: String,
    },
    /// A file could not be written or read.
    #[error("file {}", .path.display())]
    File {
        /// File.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("a certificate for the kubelet's clients")]
    Certificate(#[from] rcgen::Error),
    /// Something did not happen in time.
    #[error("not in time: {what}; {log}")]
    Late {
        /// What.
        what: &'static str,
        /// The end of a log that may say why.
        log: String,
    },
}

/// Runs a command that must succeed; answers its output.
pub fn run(command: &mut Command) -> Result<String, NodeError> {
    let name = format!("{command:?}");
    let failed = |message: String| NodeError::Command { command: name.clone(), message };
    let out = command.stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if !out.status.success() {
        return Err(failed(format!("{} {}{}", out.status, text(&out.stdout), text(&out.stderr))));
    }
    Ok(text(&out.stdout))
}

/// Writes a file.
pub fn write(path: &Path, body: impl AsRef<[u8]>) -> Result<(), NodeError> {
    std::fs::write(path, body).map_err(|source| NodeError::File { path: path.to_path_buf(), source })
}
