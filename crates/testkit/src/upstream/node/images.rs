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

/// Users and groups of every image; the third is the one that some images are said to define.
const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n\
                     user-defined-in-image:x:1000:1000::/:/bin/sh\n";
const GROUPS: &str = "root:x:0:\nnobody:x:65534:\nuser-defined-in-image:x:1000:\n\
                      group-defined-in-image:x:50000:user-defined-in-image\n";

/// A program or another file of this machine in an image.
#[derive(Clone)]
pub struct Content {
    /// Where it is here.
    pub from: PathBuf,
    /// Where it is there, without the slash in front.
    pub to: String,
    /// Its mode.
    pub mode: u32,
}

/// An image: busybox under all its names, and what else it has.
#[derive(Default)]
pub struct Image {
    /// Its names.
    pub names: Vec<String>,
    /// Files beyond busybox; what programs among them are linked with comes along.
    pub contents: Vec<Content>,
    /// What is run.
    pub entrypoint: Vec<String>,
    /// With which arguments.
    pub command: Vec<String>,
    /// As whom, where it is not root.
    pub user: String,
}

impl Image {
    /// An image with busybox alone.
    pub fn new(name: &str, command: &[&str]) -> Self {
        let command = command.iter().map(|&c| c.to_owned()).collect();
        Self { names: vec![name.to_owned()], command, ..Self::default() }
    }

    /// The same with a program in `/bin`.
    #[must_use]
    pub fn with(mut self, from: PathBuf, name: &str) -> Self {
        self.contents.push(Content { from, to: format!("bin/{name}"), mode: 0o755 });
        self
    }
}

/// The images that every node has.
pub fn usual() -> Vec<Image> {
    vec![
        Image::new(PAUSE, &["sh", "-c", HOLD]),
        Image::new(BUSYBOX, &["sh"]),
        Image::new(KUBECTL, &["kubectl"]).with(tool("kubectl-1.33"), "kubectl"),
    ]
}

/// Makes images and imports them.
pub fn import(node: &Namespaces, folder: &Path, images: &[Image]) -> Result<(), NodeError> {
    let work = folder.join("images");
    for (number, image) in images.iter().enumerate() {
        let folder_of_one = work.join(number.to_string());
        layer(&folder_of_one, &image.contents)?;
        let tar = archive(&folder_of_one, image)?;
        load(node, folder, &tar)?;
        std::fs::remove_dir_all(&folder_of_one)
            .map_err(|source| NodeError::File { path: folder_of_one, source })?;
    }
    std::fs::remove_dir_all(&work).map_err(|source| NodeError::File { path: work, source })
}

/// Gives containerd an archive.
pub fn load(node: &Namespaces, folder: &Path, archive: &Path) -> Result<(), NodeError> {
    let socket = folder.join("containerd.sock");
    let mut ctr = node.command("ctr");
    run(ctr.arg("-a").arg(socket).args(["-n", "k8s.io", "images", "import"]).arg(archive)).map(drop)
}

/// Makes the one layer of an image in a folder.
fn layer(folder: &Path, contents: &[Content]) -> Result<(), NodeError> {
    let root = folder.join("root");
    for (name, mode) in [("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var", 0o755)] {
        let path = root.join(name);
        let failed = |source| NodeError::File { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    write(&root.join("etc/passwd"), USERS)?;
    write(&root.join("etc/group"), GROUPS)?;
    let mine = run(Command::new("sh").args(["-c", "command -v busybox"]))?;
    copy(Path::new(mine.trim()), &root.join("bin/busybox"), 0o755)?;
    for content in contents {
        copy(&content.from, &root.join(&content.to), content.mode)?;
        for library in libraries(&content.from)? {
            let inside = root.join(library.strip_prefix("/").unwrap_or(&library));
            if !inside.exists() {
                copy(&library, &inside, 0o755)?;
            }
        }
    }
    for applet in run(Command::new("busybox").arg("--list"))?.lines().filter(|a| *a != "busybox") {
        let path = root.join("bin").join(applet);
        if !path.exists() {
            symlink("busybox", &path).map_err(|source| NodeError::File { path, source })?;
        }
    }
    run(Command::new("tar").arg("-cf").arg(folder.join("layer.tar")).arg("-C").arg(&root).arg("."))?;
    Ok(())
}

/// What a program is linked with, its loader included; nothing for what is no such program.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, NodeError> {
    let failed = |e: std::io::Error| NodeError::Command { command: "ldd".to_owned(), message: e.to_string() };
    let out = Command::new("ldd").arg(program).output().map_err(failed)?;
    Ok(linked(&String::from_utf8_lossy(&out.stdout)))
}

/// The paths in what ldd says.
fn linked(said: &str) -> Vec<PathBuf> {
    said.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), NodeError> {
    let failed = |source| NodeError::File { path: from.to_path_buf(), source };
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::copy(from, to).map_err(failed)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).map_err(failed)
}

/// An archive as `docker save` writes it: configuration, manifest, layers.
fn archive(folder: &Path, image: &Image) -> Result<PathBuf, NodeError> {
    let layer = folder.join("layer.tar");
    let bytes = std::fs::read(&layer).map_err(|source| NodeError::File { path: layer, source })?;
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
    write(&folder.join("config.json"), configuration(&digest, image).to_string())?;
    let manifest = json!([{"Config": "config.json", "RepoTags": image.names, "Layers": ["layer.tar"]}]);
    write(&folder.join("manifest.json"), manifest.to_string())?;
    let tar = folder.join("image.tar");
    let parts = ["config.json", "manifest.json", "layer.tar"];
    run(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(folder).args(parts))?;
    Ok(tar)
}

fn configuration(digest: &str, image: &Image) -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "architecture": architecture, "os": "linux",
        "config": {
            "Env": ["PATH=/bin"], "User": image.user,
            "Entrypoint": image.entrypoint, "Cmd": image.command,
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        "history": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_takes_the_libraries_of_its_programs() {
        let said = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let paths = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(linked(said), paths.map(PathBuf::from));
        assert_eq!(linked("\tnot a dynamic executable\n"), Vec::<PathBuf>::new());
    }
}
