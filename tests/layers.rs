//! The source is layered: a module uses only modules declared above it in `lib.rs`, and a file of a
//! directory module uses only siblings declared above it there. Only `sync` names loom, and only
//! `queue` names the storage.
//!
//! This is a program of its own, since it reads the source and links nothing of it.

#![cfg(not(loom))]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// A source file, and the path of its module below the crate.
struct Source {
    file: PathBuf,
    module: Vec<String>,
    text: String,
}

impl Source {
    fn is_of_tests(&self) -> bool {
        self.file.ends_with("tests.rs")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files. The module of `lib.rs` has the empty path.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                directories.push(file);
                continue;
            }
            let within = file.strip_prefix(root()).unwrap().with_extension("");
            let names = within.iter().map(|it| it.to_str().unwrap().to_owned());
            let module = names.filter(|it| it != "lib").collect();
            let text = fs::read_to_string(&file).unwrap();
            found.push(Source { file, module, text });
        }
    }
    found
}

/// The modules that a file declares, in order.
fn declared(text: &str) -> Vec<&str> {
    let names = text.lines().filter_map(|line| {
        let line = line.trim_start_matches("pub(crate) ");
        let line = line.trim_start_matches("pub ");
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    names.collect()
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

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The identifiers of a path, from its first one on.
fn names(path: &str) -> Vec<&str> {
    let end = path.find(|c| !is_part_of_name(c) && c != ':');
    path[..end.unwrap_or(path.len())].split("::").collect()
}

/// The paths in a line that begin with `start`, which is `crate`, `super` or `self`, without it. A
/// group in braces is one path for each of its members.
fn paths<'a>(line: &'a str, start: &str) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices(&format!("{start}::")) {
        if line[..at].ends_with(|c| is_part_of_name(c) || c == ':') {
            continue;
        }
        let rest = &line[at + start.len() + "::".len()..];
        let mut path = names(rest);
        match rest.split_once('{') {
            Some((before, group)) if before == path.join("::") => {
                path.pop();
                for member in group.split('}').next().unwrap().split(',') {
                    found.push([&path[..], &names(member.trim())].concat());
                }
            }
            _ => found.push(path),
        }
    }
    found
}

/// Lines of code, each with the number of inline modules that it is in.
fn with_inline_modules<'a>(
    lines: impl IntoIterator<Item = (usize, &'a str)>,
) -> Vec<(usize, &'a str, usize)> {
    let mut depth = 0;
    // The depth of braces at which each inline module was opened.
    let mut inline: Vec<i32> = Vec::new();
    let lines = lines.into_iter().map(|(number, line)| {
        let item = line.trim_start().trim_start_matches("pub(crate) ");
        let item = item.trim_start_matches("pub ");
        if item.starts_with("mod ") && item.contains('{') {
            inline.push(depth);
        }
        let within = inline.len();
        depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
        inline.retain(|opened| depth > *opened);
        (number, line, within)
    });
    lines.collect()
}

/// The paths below the crate that a line of `module` names by `crate::…` or `super::…`. The line is
/// in so many inline modules.
fn used(module: &[String], line: &str, inline: usize) -> Vec<Vec<String>> {
    let owned = |path: &[&str]| path.iter().map(|it| String::from(*it)).collect::<Vec<_>>();
    let mut found: Vec<_> = paths(line, "crate").iter().map(|it| owned(it)).collect();
    for path in paths(line, "super") {
        let more = path.iter().take_while(|it| **it == "super").count();
        // Inside an inline module, `super` may be the module of the file.
        if let Some(up) = (1 + more).checked_sub(inline).filter(|up| *up > 0) {
            let parent = &module[..module.len().saturating_sub(up)];
            found.push([parent, &owned(&path[more..])].concat());
        }
    }
    found
}

/// The child that the module with this text re-exports `name` from.
fn origin<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let imports = code(text).into_iter().filter(|(_, line)| {
        let line = line.trim_start_matches("pub(crate) ");
        line.trim_start_matches("pub ").starts_with("use self::")
    });
    let mut paths = imports.flat_map(|(_, line)| {
        let alias = line.split_once(" as ").map(|(_, alias)| names(alias)[0]);
        let paths = paths(line, "self").into_iter();
        paths.map(move |it| (alias.unwrap_or(it[it.len() - 1]), it[0]))
    });
    paths.find_map(|(imported, from)| (imported == name).then_some(from))
}

fn find<'a>(sources: &'a [Source], module: &[String]) -> Option<&'a Source> {
    sources.iter().find(|it| it.module == module)
}

/// Whether the parent of a module declares it.
fn is_declared(sources: &[Source], module: &[String]) -> bool {
    let Some((name, parent)) = module.split_last() else {
        return true;
    };
    find(sources, parent).is_some_and(|it| declared(&it.text).contains(&name.as_str()))
}

/// Why a file of the module `own` may not name `path`. All modules are declared.
fn objection(sources: &[Source], own: &[String], path: &[String]) -> Option<String> {
    let common = own.iter().zip(path).take_while(|(a, b)| a == b).count();
    // A module may name itself and what is in its directory.
    let own_name = own.get(common)?;
    let parent = &find(sources, &own[..common])?.text;
    let siblings = declared(parent);
    let position = |name: &str| siblings.iter().position(|it| *it == name);
    let full_name = |name: &str| [&own[..common], &[name.to_owned()]].concat().join("::");

    let name = path.get(common).map_or("", String::as_str);
    let module = position(name).map_or_else(|| origin(parent, name), |_| Some(name));
    match module.and_then(|it| Some((it, position(it)?))) {
        Some((_, at)) if Some(at) <= position(own_name) => None,
        Some((module, _)) => Some(format!(
            "`{}` uses `{}`, which is declared below it",
            full_name(own_name),
            full_name(module)
        )),
        // What the parent defines itself.
        None if common > 0 && !name.is_empty() => None,
        None => Some(format!(
            "`{}` is no module: name the one it is from",
            full_name(name)
        )),
    }
}

/// The violations of the order, as messages.
fn violations(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    let checked = sources.iter().filter(|it| !it.is_of_tests());
    for Source { file, module, text } in checked {
        if !is_declared(sources, module) {
            found.push(format!(
                "{}: its parent does not declare it",
                file.display()
            ));
            continue;
        }
        for (number, line, inline) in with_inline_modules(code(text)) {
            let objections = used(module, line, inline)
                .into_iter()
                .filter_map(|path| objection(sources, module, &path));
            found.extend(objections.map(|it| format!("{}:{number}: {it}", file.display())));
        }
    }
    found
}

/// The lines of code outside of the top-level module `home` for which `names_it` holds.
fn outside(sources: &[Source], home: &str, names_it: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let is_home = source.module.first().is_some_and(|it| it == home);
        if is_home || source.is_of_tests() {
            continue;
        }
        for (number, line) in code(&source.text) {
            if names_it(line) {
                let file = source.file.display();
                found.push(format!("{file}:{number}: {}", line.trim()));
            }
        }
    }
    found
}

fn names_loom(line: &str) -> bool {
    // Code may ask whether the build is loom's.
    let line = line.replace("cfg!(loom)", "").replace("not(loom)", "");
    line.replace("#[cfg(loom)]", "").contains("loom")
}

fn names_storage(line: &str) -> bool {
    line.split(|c| !is_part_of_name(c))
        .any(|it| it == "Ring" || it == "Segments")
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn modules_use_only_modules_above() {
    let sources = sources();
    let layers = declared(&find(&sources, &[]).unwrap().text).len();
    assert!(layers > 5 && sources.len() > layers);
    assert_none(&violations(&sources));
}

#[test]
fn only_sync_names_loom() {
    assert_none(&outside(&sources(), "sync", names_loom));
}

#[test]
fn only_queue_names_storage() {
    assert_none(&outside(&sources(), "queue", names_storage));
}

/// The source of a module, for example `wait::lists`, or of the crate.
fn source(module: &str, text: &str) -> Source {
    let names = module.split("::").filter(|it| !it.is_empty());
    Source {
        file: PathBuf::from(format!("{}.rs", module.replace("::", "/"))),
        module: names.map(String::from).collect(),
        text: text.to_owned(),
    }
}

/// The violations in one module of a crate with a directory module.
fn violations_in(module: &str, text: &str) -> Vec<String> {
    let mut sources = vec![
        source(
            "",
            "mod low;\n// not `mod none;`\npub mod dir;\nmod high;\n",
        ),
        source(
            "dir",
            "mod first;\npub(crate) mod second;\nmod third;\n\
             pub(crate) use self::third::Third;\nuse self::first::{A, B};\nfn own() {}\n",
        ),
    ];
    sources.retain(|it| it.module.join("::") != module);
    sources.push(source(module, text));
    violations(&sources)
}

/// Checks that only the last line of the text is a violation, in which `user` uses `used`.
#[track_caller]
fn assert_found(module: &str, text: &str, user: &str, used: &str) {
    let found = violations_in(module, text);
    let (file, number) = (module.replace("::", "/"), text.lines().count());
    let expected =
        format!("{file}.rs:{number}: `{user}` uses `{used}`, which is declared below it");
    assert_eq!(found, [expected], "{text}");
}

#[track_caller]
fn assert_not_found(module: &str, text: &str) {
    assert_eq!(violations_in(module, text), [""; 0], "{text}");
}

#[test]
fn every_use_of_later_module_is_found() {
    for text in [
        "use crate::high::Thing;",
        "use crate::{low::A, high::B};",
        "fn f() { crate::high::g() }",
        "use super::high;",
        "mod inline {\n    use super::super::high::A;",
        "mod inline {\n    use super::A;\n}\nuse super::high;",
        "/// See [`x`](crate::high).\nuse crate::high;",
        "#[cfg(test)]\nmod tests;\nuse crate::high;",
        "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\nuse crate::high;",
    ] {
        assert_found("low", text, "low", "high");
    }
    for text in [
        "use crate::low::Thing;",
        "mod high {}\nmod inline {\n    use super::high;\n}",
        "//! See [`x`](crate::high).",
        "/// See [`x`](crate::high).",
        "#[cfg(test)]\nmod tests {\n    use crate::high;\n}",
        "#[cfg(all(test, loom))]\nmod model {\n    use crate::high;\n}",
    ] {
        assert_not_found("low", text);
    }
    assert_not_found("high", "use crate::low::A;");
    assert_eq!(violations_in("low", "use crate::Thing;").len(), 1);
    assert_eq!(violations_in("low", "use crate::{").len(), 1);
    assert_eq!(violations_in("none", "").len(), 1);
}

#[test]
fn directory_is_no_exception() {
    for text in [
        "use crate::high::Thing;",
        "use super::super::high::Thing;",
        "use crate::{low::A, high::B};",
    ] {
        assert_found("dir::second", text, "dir", "high");
    }
    assert_not_found("dir::second", "use crate::low::Thing;");
    assert_not_found("dir::second", "use super::super::low::Thing;");
}

#[test]
fn every_use_of_later_sibling_is_found() {
    for text in [
        "use super::third::Thing;",
        "use crate::dir::third::Thing;",
        "use super::{first::A, third::B};",
        "use crate::dir::{first::A, third::B};",
        "fn f() { super::third::g() }",
        "mod inline {\n    use super::super::third::A;",
        // By way of the parent, which re-exports it.
        "use super::Third;",
        "use crate::dir::Third;",
    ] {
        assert_found("dir::second", text, "dir::second", "dir::third");
    }
    for text in [
        "use super::first::Thing;",
        "use crate::dir::first::Thing;",
        "use super::A;",
        "use super::own;",
        "mod inline {\n    use super::Third;\n}",
        "/// See [`x`](super::third).",
        "#[cfg(test)]\nmod tests {\n    use super::super::third;\n}",
    ] {
        assert_not_found("dir::second", text);
    }
    assert_not_found("dir::third", "use super::second::A;\nuse super::B;");
    // These may be any sibling.
    assert_eq!(violations_in("dir::second", "use super::*;").len(), 1);
    assert_eq!(violations_in("dir::second", "use crate::dir;").len(), 1);
    assert_eq!(violations_in("dir::none", "").len(), 1);
    assert_eq!(violations_in("low::none", "").len(), 1);
}

#[test]
fn mention_of_loom_is_found() {
    let lines = |module, text| outside(&[source(module, text)], "sync", names_loom).len();
    assert_eq!(lines("low", "use loom::sync::Arc;"), 1);
    assert_eq!(lines("sync", "use loom::sync::Arc;"), 0);
    assert_eq!(lines("low", "// of loom\nif cfg!(loom) {}"), 0);
    assert_eq!(
        lines("low", "#[cfg(all(test, loom))]\nmod m { use loom::model; }"),
        0
    );
}

#[test]
fn mention_of_storage_is_found() {
    let lines = |module, text| outside(&[source(module, text)], "queue", names_storage).len();
    assert_eq!(lines("low", "fn f(ring: &Ring<u8>) {}"), 1);
    assert_eq!(lines("wait::lists", "use crate::queue::ring::Ring;"), 1);
    assert_eq!(lines("channel", "fn f(it: &Segments<u8>) {}"), 1);
    assert_eq!(lines("queue", "use self::ring::Ring;"), 0);
    assert_eq!(lines("queue::lane", "use super::ring::Ring;"), 0);
    assert_eq!(lines("low", "/// As [`Ring`].\nstruct Ringing;"), 0);
}
