//! The source is layered: a module uses only modules declared above it in `lib.rs`, and only `sync`
//! names loom.
//!
//! This is a program of its own, since it reads the source and links nothing of it.

#![cfg(not(loom))]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// A source file, and the top-level module that it belongs to.
struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files except `lib.rs`.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let within = path.strip_prefix(root()).unwrap().with_extension("");
            let module = within.iter().next().unwrap().to_str().unwrap().to_owned();
            if module != "lib" {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path, module, text });
            }
        }
    }
    found
}

/// The modules that `lib.rs` declares, in order.
fn layers(lib: &str) -> Vec<&str> {
    let declared = lib.lines().filter_map(|line| {
        let line = line.trim_start_matches("pub ");
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.collect()
}

/// The lines of code with their numbers, without comments and without items under a `#[cfg(...)]`
/// for tests.
fn code(text: &str) -> Vec<(usize, &str)> {
    let mut lines = Vec::new();
    let mut skipping = false;
    let mut depth = 0_i32;
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split("//").next().unwrap();
        let is_for_tests = code.trim_start().starts_with("#[cfg(")
            && (code.contains("(test") || code.contains("(all(test"));
        skipping |= is_for_tests;
        if !skipping {
            lines.push((number, code));
            continue;
        }
        depth += code.matches('{').count() as i32 - code.matches('}').count() as i32;
        let ends = code.trim_end().ends_with(['}', ';', ',']);
        skipping = depth > 0 || !ends;
    }
    lines
}

/// The modules that a line names by `crate::…`; `crate::{…}` may name several.
fn used(line: &str) -> Vec<&str> {
    let names = line.split("crate::").skip(1).flat_map(|rest| {
        let group = rest.strip_prefix('{').and_then(|it| it.split('}').next());
        match group {
            Some(group) => group.split(',').collect(),
            None => vec![rest],
        }
    });
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    names
        .map(|name| {
            let name = name.trim();
            &name[..name.find(|c| !is_part(c)).unwrap_or(name.len())]
        })
        .collect()
}

/// The violations of the order, as messages.
fn violations(layers: &[&str], sources: &[Source]) -> Vec<String> {
    let height = |module: &str| layers.iter().position(|it| *it == module);
    let mut found = Vec::new();
    for Source { path, module, text } in sources {
        let path = path.display();
        let Some(own) = height(module) else {
            found.push(format!("{path}: `{module}` is not declared in lib.rs"));
            continue;
        };
        if path.to_string().ends_with("tests.rs") {
            continue;
        }
        for (number, line) in code(text) {
            for name in used(line) {
                match height(name) {
                    Some(at) if at <= own => {}
                    Some(_) => found.push(format!(
                        "{path}:{number}: `{module}` uses `{name}`, which is declared below it"
                    )),
                    None => found.push(format!(
                        "{path}:{number}: `crate::{name}` is no module: name the one it is from"
                    )),
                }
            }
        }
    }
    found
}

/// The lines outside of `sync` that name loom.
fn loom_outside_sync(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for Source { path, module, text } in sources {
        if module == "sync" || path.ends_with("tests.rs") {
            continue;
        }
        for (number, line) in code(text) {
            // Code may ask whether the build is loom's.
            let names_it = line.replace("cfg!(loom)", "").replace("not(loom)", "");
            let names_it = names_it.replace("#[cfg(loom)]", "");
            if names_it.contains("loom") {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    found
}

#[test]
fn modules_use_only_modules_above() {
    let lib = fs::read_to_string(root().join("lib.rs")).unwrap();
    let layers = layers(&lib);
    let sources = sources();
    assert!(layers.len() > 5 && sources.len() >= layers.len());
    let found = violations(&layers, &sources);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn only_sync_names_loom() {
    let found = loom_outside_sync(&sources());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn source(module: &str, text: &str) -> Source {
    Source {
        path: PathBuf::from(format!("{module}.rs")),
        module: module.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn every_use_of_later_module_is_found() {
    let layers = layers("mod low;\n// not `mod none;`\npub mod high;\n");
    assert_eq!(layers, ["low", "high"]);
    let lines = |text| violations(&layers, &[source("low", text)]);

    for text in [
        "use crate::high::Thing;",
        "use crate::{low::A, high::B};",
        "fn f() { crate::high::g() }",
        "/// See [`x`](crate::high).\nuse crate::high;",
        "#[cfg(test)]\nmod tests;\nuse crate::high;",
        "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\nuse crate::high;",
    ] {
        let found = lines(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        let number = text.lines().count();
        assert!(found[0].starts_with(&format!("low.rs:{number}: `low` uses `high`")));
    }
    for text in [
        "use crate::low::Thing;",
        "//! See [`x`](crate::high).",
        "/// See [`x`](crate::high).",
        "#[cfg(test)]\nmod tests {\n    use crate::high;\n}",
        "#[cfg(all(test, loom))]\nmod model {\n    use crate::high;\n}",
    ] {
        assert_eq!(lines(text), [""; 0], "{text}");
    }
    assert!(violations(&layers, &[source("high", "use crate::low::A;")]).is_empty());
    assert_eq!(lines("use crate::Thing;").len(), 1);
}

#[test]
fn mention_of_loom_is_found() {
    let lines = |module, text| loom_outside_sync(&[source(module, text)]).len();
    assert_eq!(lines("low", "use loom::sync::Arc;"), 1);
    assert_eq!(lines("sync", "use loom::sync::Arc;"), 0);
    assert_eq!(lines("low", "// of loom\nif cfg!(loom) {}"), 0);
    assert_eq!(
        lines("low", "#[cfg(all(test, loom))]\nmod m { use loom::model; }"),
        0
    );
}
