//! Published applications and definitions, as they are. They are found by SKERRY_TEST_DATA.

use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::world::World;

/// A file or folder of SKERRY_TEST_DATA.
pub fn data(name: &str) -> Result<PathBuf, Outcome> {
    let root = std::env::var_os("SKERRY_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = root.join(name);
    if path.exists() { Ok(path) } else { Err(Outcome::Skipped(format!("{name} is not in SKERRY_TEST_DATA"))) }
}

fn rolls_out(world: &World, app: &str) -> Outcome {
    let path = match data(&format!("apps/{app}.yaml")) {
        Ok(path) => path,
        Err(skipped) => return skipped,
    };
    let kubectl = world.cluster("kubectl", app);
    kubectl.ok(&["apply", "-f", path.to_str().expect("an ordinary path")]);
    let deployments = kubectl.ok(&["get", "deployments", "-o", "name"]);
    assert!(deployments.lines().count() > 1, "{deployments}");
    for deployment in deployments.lines() {
        kubectl.rolled_out(deployment);
    }
    Outcome::Passed
}

/// Three tiers.
pub fn guestbook(world: &mut World) -> Outcome {
    rolls_out(world, "guestbook")
}

/// A dozen services.
pub fn online_boutique(world: &mut World) -> Outcome {
    rolls_out(world, "online-boutique")
}

/// Definitions of five projects by server-side apply. Two kinds of policy in the same folder are no definitions; and
/// one definition is in each cluster from the beginning, hence the force.
pub fn definitions(world: &mut World) -> Outcome {
    let folder = match data("crds") {
        Ok(path) => path,
        Err(skipped) => return skipped,
    };
    let kubectl = world.cluster("kubectl", "definitions");
    let mut sent = 0;
    for project in std::fs::read_dir(folder).expect("a folder") {
        for file in std::fs::read_dir(project.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            let body = std::fs::read_to_string(&path).expect("a file");
            if !body.lines().any(|l| l == "kind: CustomResourceDefinition") {
                continue;
            }
            kubectl.apply(&body, &["--server-side", "--force-conflicts"]);
            sent += 1;
        }
    }
    assert!(sent > 0, "no definitions");
    kubectl.ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    let there = kubectl.ok(&["get", "crd", "-o", "name"]);
    assert!(there.lines().count() >= sent, "{sent} sent, there are:\n{there}");
    Outcome::Passed
}
