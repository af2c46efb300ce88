//! The images that specs want, under the names that the suite itself gives.
//!
//! What a spec looks at is the cluster and not the program in a container, so another web server may stand for nginx;
//! the page says so. Images that nothing here can stand for are not made, and specs that want one fail on both sides.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use skerry_testkit::upstream::node::{Content, Image, names};
use skerry_testkit::upstream::programs;

use super::super::{e2e, root};

/// Programs of this machine that test pods call by name, and the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 6] = [
    ("curl", "curl"),
    ("dig", "bind9-dnsutils"),
    ("nc", "netcat-openbsd"),
    ("bash", "bash"),
    ("getent", "libc-bin"),
    ("ip", "iproute2"),
];
/// Serves a folder as nginx does, at its place; the page's first line is for whoever looks.
const WEB: &str = "mkdir -p /usr/share/nginx/html && echo nginx > /usr/share/nginx/html/index.html \
                   && exec httpd -f -p 80 -h /usr/share/nginx/html";

/// All of those that the suite lists and that can be made.
pub fn wanted(bin: &Path) -> anyhow::Result<Vec<Image>> {
    let out = Command::new(bin.join(e2e::SUITE)).arg("--list-images").output().context("list images")?;
    if !out.status.success() {
        bail!("{} --list-images: {}", e2e::SUITE, out.status);
    }
    let listed = String::from_utf8_lossy(&out.stdout);
    let mut images = Vec::new();
    for (repository, mut image) in kinds(bin)? {
        image.names = named(&listed, repository);
        if !image.names.is_empty() {
            images.push(image);
        }
    }
    Ok(images)
}

/// The names of a repository's images, of whatever version.
fn named(listed: &str, repository: &str) -> Vec<String> {
    let of = |line: &&str| line.rsplit_once(':').is_some_and(|(before, _)| before == repository);
    listed.lines().map(str::trim).filter(of).map(str::to_owned).collect()
}

/// What stands for each repository.
fn kinds(bin: &Path) -> anyhow::Result<Vec<(&'static str, Image)>> {
    let words = |all: &[&str]| all.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
    let agnhost = bin.join(e2e::AGNHOST);
    let whole = |to: &str| Content { from: agnhost.clone(), to: to.to_owned(), mode: 0o755 };
    let mut tools = Image::new("", &["bash"]);
    for (name, package) in PROGRAMS {
        tools = tools.with(program(name, package)?, name);
    }
    // The shell of Debian's busybox would run its own idea of a program before the one that is there.
    tools = tools.with(program("bash", "bash")?, "sh");
    let names = Content { from: bin.join(names::PROGRAM), to: names::PROGRAM.to_owned(), mode: 0o755 };
    let mut contents = vec![whole("agnhost"), whole("agnhost-2"), names];
    for file in ["localhost.crt", "localhost.key"] {
        contents.push(Content { from: porter()?.join(file), to: file.to_owned(), mode: 0o644 });
    }
    contents.extend(tools.contents.iter().cloned());
    let test =
        Image { contents, entrypoint: words(&["/agnhost"]), command: words(&["pause"]), ..Image::default() };
    let pause = Image {
        contents: vec![whole("agnhost")],
        entrypoint: words(&["/agnhost", "pause"]),
        ..Image::default()
    };
    let privileges = Image {
        contents: vec![Content { mode: 0o4755, ..whole("agnhost") }],
        entrypoint: words(&["/agnhost", "nonewprivs"]),
        ..Image::default()
    };
    Ok(vec![
        ("registry.k8s.io/e2e-test-images/agnhost", test),
        // A shell that hands on variables whose names are not its own idea of a name, as newer ones of busybox do.
        (
            "registry.k8s.io/e2e-test-images/busybox",
            Image::new("", &["sh"]).with(program("bash", "bash")?, "sh"),
        ),
        ("registry.k8s.io/e2e-test-images/glibc-dns-testing", tools),
        ("registry.k8s.io/e2e-test-images/nginx", Image::new("", &["sh", "-c", WEB])),
        ("registry.k8s.io/e2e-test-images/nonewprivs", privileges),
        (
            "registry.k8s.io/e2e-test-images/nonroot",
            Image { user: "1234".to_owned(), ..Image::new("", &["sh"]) },
        ),
        ("registry.k8s.io/pause", pause),
    ])
}

/// The files that test servers show, in the module that the suite is built from.
fn porter() -> anyhow::Result<PathBuf> {
    let mut go = Command::new("go");
    go.current_dir(root().join("tests/upstream/e2e")).args([
        "list",
        "-m",
        "-f",
        "{{.Dir}}",
        "k8s.io/kubernetes",
    ]);
    let out = go.output().context("go")?;
    if !out.status.success() {
        bail!("go list: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(Path::new(String::from_utf8_lossy(&out.stdout).trim()).join("test/images/agnhost/porter"))
}

/// Where a program is on this machine.
fn program(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    programs::program(name)
        .with_context(|| format!("{name} (package {package}) is wanted for the test images"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_as_the_suite_names_them() {
        let listed = "registry.k8s.io/pause:3.10.2\nregistry.k8s.io/e2e-test-images/agnhost:2.55\n";
        assert_eq!(named(listed, "registry.k8s.io/pause"), ["registry.k8s.io/pause:3.10.2"]);
        assert_eq!(named(listed, "registry.k8s.io/e2e-test-images"), Vec::<String>::new());
    }
}
