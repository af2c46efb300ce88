//! Images made on the spot and given to containerd: nothing is pulled.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::error::{NodeError, run, write};
use super::namespaces::Namespaces;
use crate::upstream::kubectl::tool;

/// What containerd starts for every pod.
pub const PAUSE: &str = "registry.k8s.io/pause:3.10";
/// A shell and the usual small tools.
pub const BUSYBOX: &str = "docker.io/library/busybox:1.36";
/// The same with kubectl, a client as programs in pods use.
pub const KUBECTL: &str = "registry.k8s.io/kubectl:v1.33.0";

/// Holds the pod's namespaces and reaps what is orphaned in a shared PID namespace.
const HOLD: &str = "trap 'exit 0' TERM INT; while :; do sleep 1000 & wait; done";

/// Makes all and imports them.
pub fn import(node: &Namespaces, folder: &Path) -> Result<(), NodeError> {
    let images = folder.join("images");
    let small = layer(&images.join("small"), None)?;
    let large = layer(&images.join("large"), Some(&tool("kubectl-1.33")))?;
    let hold = json!(["sh", "-c", HOLD]);
    for (name, layer, command) in
        [(PAUSE, &small, hold), (BUSYBOX, &small, json!(["sh"])), (KUBECTL, &large, json!(["kubectl"]))]
    {
        let tar = archive(layer, name, &command)?;
        let socket = folder.join("containerd.sock");
        let mut ctr = node.command("ctr");
        run(ctr.arg("-a").arg(socket).args(["-n", "k8s.io", "images", "import"]).arg(tar))?;
    }
    std::fs::remove_dir_all(&images).map_err(|source| NodeError::File { path: images, source })
}

/// A folder with one layer: busybox under all its names, and a further program.
fn layer(folder: &Path, program: Option<&Path>) -> Result<PathBuf, NodeError> {
    let root = folder.join("root");
    for (name, mode) in [("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var", 0o755)] {
        let path = root.join(name);
        let failed = |source| NodeError::File { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    write(
        &root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    )?;
    write(&root.join("etc/group"), "root:x:0:\nnobody:x:65534:\n")?;
    let mine = run(Command::new("sh").args(["-c", "command -v busybox"]))?;
    let bin = root.join("bin");
    copy(Path::new(mine.trim()), &bin.join("busybox"))?;
    for applet in run(Command::new("busybox").arg("--list"))?.lines().filter(|a| *a != "busybox") {
        let path = bin.join(applet);
        symlink("busybox", &path).map_err(|source| NodeError::File { path, source })?;
    }
    if let Some(program) = program {
        copy(program, &bin.join("kubectl"))?;
    }
    run(Command::new("tar").arg("-cf").arg(folder.join("layer.tar")).arg("-C").arg(&root).arg("."))?;
    Ok(folder.to_path_buf())
}

fn copy(from: &Path, to: &Path) -> Result<(), NodeError> {
    let copied = std::fs::copy(from, to);
    copied.map(drop).map_err(|source| NodeError::File { path: from.to_path_buf(), source })
}

/// An archive as `docker save` writes it: configuration, manifest, layers.
fn archive(folder: &Path, name: &str, command: &Value) -> Result<PathBuf, NodeError> {
    let layer = folder.join("layer.tar");
    let bytes = std::fs::read(&layer).map_err(|source| NodeError::File { path: layer, source })?;
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
    write(&folder.join("config.json"), configuration(&digest, command).to_string())?;
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    write(&folder.join("manifest.json"), manifest.to_string())?;
    let tar = folder.join("image.tar");
    let parts = ["config.json", "manifest.json", "layer.tar"];
    run(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(folder).args(parts))?;
    Ok(tar)
}

fn configuration(digest: &str, command: &Value) -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "architecture": architecture, "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        "history": [],
    })
}
