//! The rules of the house: who may import whom, and that the map of the code is right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const SANS_IO: [&str; 5] = ["schema", "eventlog", "features", "model", "imaging"];
const WORKERS: [&str; 4] = ["ingest", "preprocess", "trainer", "scorer"];

fn root() -> PathBuf {
    testkit::project()
}

/// The packages of the workspace, each with what it imports outside tests.
///
/// Read without a library: the one there is turns on a feature of `serde_json`, and everything above that would be
/// compiled once for the binary and once more for the tests.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata works");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let name = |value: &Value| value["name"].as_str().expect("it has a name").to_owned();
    let list = |value: &Value| value.as_array().expect("it is a list").clone();
    let imports = |package: &Value| {
        let normal = list(&package["dependencies"])
            .into_iter()
            .filter(|d| d["kind"].is_null());
        normal.map(|d| name(&d)).collect()
    };
    let packages = list(&metadata["packages"]);
    packages
        .iter()
        .map(|package| (name(package), imports(package)))
        .collect()
}

#[test]
fn imports_go_in_one_direction() {
    let level = |name: &str| match name {
        "schema" | "eventlog" | "features" | "model" | "imaging" => 0,
        "stream" | "lake" | "runtime" => 1,
        "registry" => 2,
        "ingest" | "preprocess" | "trainer" | "scorer" => 3,
        "riskstream" => 4,
        "testkit" => 5,
        _ => 6,
    };
    let packages = packages();
    for (name, imports) in &packages {
        for import in imports.iter().filter(|import| packages.contains_key(*import)) {
            let ok = level(import) < level(name) || (level(name) == 0 && import == "schema");
            assert!(ok, "{name} must not import {import}");
        }
    }
}

#[test]
fn workers_never_import_workers() {
    let packages = packages();
    for worker in WORKERS {
        let others: Vec<_> = packages[worker]
            .iter()
            .filter(|i| WORKERS.contains(&i.as_str()))
            .collect();
        assert!(others.is_empty(), "{worker} imports {others:?}");
    }
}

#[test]
fn what_does_no_input_or_output_imports_nothing_that_does() {
    let packages = packages();
    for name in SANS_IO {
        for import in [
            "tokio",
            "rdkafka",
            "deltalake-core",
            "object_store",
            "tracing",
            "metrics",
        ] {
            assert!(
                !packages[name].contains(import),
                "{name} must not import {import}"
            );
        }
    }
}

#[test]
fn each_heavy_library_is_named_by_one_crate_alone() {
    let owners = [
        ("rdkafka", vec!["stream", "bench"]),
        ("candle-core", vec!["model"]),
        ("candle-nn", vec!["model"]),
        ("deltalake-core", vec!["lake"]),
        ("object_store", vec!["lake"]),
        ("image", vec!["imaging"]),
        ("zune-jpeg", vec!["imaging"]),
    ];
    for (library, allowed) in owners {
        for (name, imports) in packages() {
            let names_it = imports.contains(library);
            assert!(
                !names_it || allowed.contains(&name.as_str()),
                "{name} must not name {library}"
            );
        }
    }
}

#[test]
fn the_map_of_the_code_names_only_what_is_there() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map is there");
    let quoted = text.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|q| q.contains('/') && !q.contains([' ', '<', '*']) && !q.starts_with('/'));
    let mut count = 0;
    for path in paths {
        assert!(
            root().join(path).exists(),
            "ARCHITECTURE.md names {path}, which is not there"
        );
        count += 1;
    }
    assert!(count > 20, "the map names hardly anything: {count}");
}

#[test]
fn the_map_of_the_code_names_only_tests_that_are_there() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map is there");
    let invariants: Vec<&str> = text.lines().filter(|line| line.starts_with("| INV-")).collect();
    assert_eq!(invariants.len(), 8, "the eight invariants, each with its test");
    let sources = sources(&root());
    for line in invariants {
        let cell = line
            .trim_end_matches('|')
            .rsplit('|')
            .next()
            .expect("a last cell");
        for name in cell.split('`').skip(1).step_by(2) {
            let test = name.rsplit("::").next().expect("a name");
            assert!(
                sources.contains(&format!("fn {test}(")),
                "ARCHITECTURE.md names the test {name}, which is not there"
            );
        }
    }
}

/// The text of all sources of the workspace.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder)
        .expect("a folder")
        .map(|e| e.expect("an entry").path())
    {
        let name = entry.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if entry.is_dir() && name != "target" && !name.starts_with('.') {
            text.push_str(&sources(&entry));
        } else if name.ends_with(".rs") {
            text.push_str(&std::fs::read_to_string(&entry).expect("a source"));
        }
    }
    text
}
