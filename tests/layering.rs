//! The edges between crates that the architecture allows, read from `cargo metadata`; any other one fails. And inside
//! the root package: only `src/cli` names the API server, the syncer and the simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Crate to the crates of ours it may depend on (tests aside).
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let all = [
        "skerry-api",
        "skerry-apiserver",
        "skerry-hollow",
        "skerry-kit",
        "skerry-placement",
        "skerry-syncer",
        "skerry-telemetry",
    ];
    BTreeMap::from([
        ("skerry", all.into()),
        ("skerry-syncer", ["skerry-kit", "skerry-api", "skerry-telemetry"].into()),
        ("skerry-apiserver", ["skerry-api", "skerry-telemetry"].into()),
        ("skerry-placement", ["skerry-api"].into()),
        ("skerry-hollow", ["skerry-kit", "skerry-api", "skerry-telemetry"].into()),
        ("skerry-kit", ["skerry-api", "skerry-telemetry"].into()),
        ("skerry-api", [].into()),
        ("skerry-telemetry", [].into()),
    ])
}

#[test]
fn crates_depend_only_where_the_architecture_allows() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata answers");
    let ours: BTreeSet<String> = metadata.packages.iter().map(|p| p.name.to_string()).collect();
    let allowed = allowed();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.to_string();
        let Some(may) = allowed.get(name.as_str()) else {
            // testkit and xtask: tests and tools may name anything.
            assert!(
                matches!(name.as_str(), "skerry-testkit" | "xtask"),
                "{name} has no place in the architecture"
            );
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development) {
            if ours.contains(&dependency.name) && !may.contains(dependency.name.as_str()) {
                wrong.push(format!("{name} -> {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that the architecture does not have: {wrong:?}");
}

fn visit(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("src is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn only_the_command_line_joins_the_parts() {
    let mut files = Vec::new();
    visit(Path::new("src"), &mut files);
    let joined = ["skerry_apiserver", "skerry_syncer", "skerry_hollow"];
    for file in files.iter().filter(|f| !f.starts_with("src/cli")) {
        let text = std::fs::read_to_string(file).expect("source is readable");
        let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
        for line in code {
            assert!(!joined.iter().any(|j| line.contains(j)), "{}: {line}", file.display());
        }
    }
}

#[test]
fn every_source_file_opens_with_what_lives_there() {
    let mut files = Vec::new();
    for root in ["src", "crates", "syncer", "xtask", "tests"] {
        visit(Path::new(root), &mut files);
    }
    for file in files {
        let text = std::fs::read_to_string(&file).expect("source is readable");
        assert!(text.starts_with("//!"), "{} does not open with //!", file.display());
    }
}
