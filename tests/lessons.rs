//! The single-file examples: what each prints when it is run as a program, and how short each is.

#![cfg(all(target_os = "linux", not(loom)))]

mod program;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use program::command;
use program::example;

/// The name of each lesson, and what it prints.
const LESSONS: [(&str, &str); 10] = [
    (
        "any_runtime",
        "\
each by itself: [5050, 5050, 5050, 5050]
all as one pool: 5050
",
    ),
    (
        "graceful_shutdown",
        "\
never started: [\"mail\", \"report\"]
still running: {\"hang A\", \"hang B\"}
1 done, 2 aborted
",
    ),
    (
        "keyed",
        "{\"ann\": [3, 6, 9, 12], \"bob\": [1, 4, 7, 10], \"cyd\": [2, 5, 8, 11]}\n",
    ),
    (
        "retry",
        "2 done, 1 failed: no answer for down at attempt 3\n",
    ),
    (
        "select_timeout",
        "no timeout lost a reading: [1, 2, 3, 4, 5]\n",
    ),
    (
        "self_feeding",
        "crawled {\"api\", \"blog\", \"docs\", \"guide\", \"index\"}\n",
    ),
    (
        "stream",
        "the squares of the even numbers: [4, 16, 36, 64, 100]\n",
    ),
    ("threads", "168 primes below 1000\n"),
    ("two_stages", "the squares of 1 to 100 add up to 338350\n"),
    (
        "worker_pool",
        "3 done, 1 failed: invalid digit found in string\n",
    ),
];

const MOST_LINES: usize = 60;

#[test]
fn lessons_print_their_results() {
    for (name, expected) in LESSONS {
        println!("{name}"); // Names a lesson that hangs.
        let output = command(example(name), Path::new("/")).run();
        assert_eq!(output.stderr.text(), "", "{name}");
        assert_eq!(output.code, Some(0), "{name}");
        assert_eq!(output.stdout.text(), expected, "{name}");
    }
}

#[test]
fn every_lesson_is_run() {
    let run = LESSONS.map(|(name, _)| name.to_owned());
    assert_eq!(lessons(), BTreeSet::from(run));
}

#[test]
fn lessons_are_short_and_give_their_command() {
    for name in lessons() {
        let text = fs::read_to_string(examples().join(format!("{name}.rs"))).unwrap();
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{name} has {lines} lines");
        let command = format!("//! `cargo run --example {name}`");
        assert!(text.lines().any(|line| line == command), "{name}");
    }
}

#[test]
fn index_lists_every_example() {
    let index = fs::read_to_string(examples().join("README.md")).unwrap();
    let lessons = lessons()
        .into_iter()
        .map(|name| format!("| [`{name}`]({name}.rs) | "));
    let applications = applications()
        .into_iter()
        .map(|name| format!("| [`{name}`]({name}) | "));
    for row in lessons.chain(applications) {
        let count = index.lines().filter(|line| line.starts_with(&row)).count();
        assert_eq!(count, 1, "{row}");
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The names of the examples that are one file.
fn lessons() -> BTreeSet<String> {
    names(|path| path.extension().is_some_and(|extension| extension == "rs"))
}

/// The names of the examples that are a directory.
fn applications() -> BTreeSet<String> {
    names(|path| path.join("main.rs").exists())
}

fn names(is_example: impl Fn(&Path) -> bool) -> BTreeSet<String> {
    let paths = fs::read_dir(examples()).unwrap();
    let paths = paths.map(|entry| entry.unwrap().path());
    let examples = paths.filter(|path| is_example(path));
    examples
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}
