//! What every program must do on the command line. Each program has a table, [`Contract`], and each
//! case below runs for every program to which it applies.

use std::any::Any;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use nix::unistd::Uid;
use tempfile::TempDir;
use tempfile::tempdir;

use crate::program::Invocation;
use crate::program::Output;
use crate::program::Pipe;
use crate::program::Run;
use crate::program::command;
use crate::program::dev_full;
use crate::program::eventually;
use crate::program::example;
use crate::program::on_terminal;

/// What one program must do. Expected texts are patterns, in which `*` stands for any text.
pub(crate) struct Contract {
    pub(crate) name: &'static str,
    /// Makes the directory in which the program runs.
    pub(crate) directory: fn() -> TempDir,
    /// Words of the help text.
    pub(crate) help: &'static str,
    /// Bad arguments, and a part of the error message.
    pub(crate) refused: &'static [(&'static [&'static str], &'static str)],
    /// A run that succeeds.
    pub(crate) success: Case,
    /// A run that fails with at least one message.
    pub(crate) failure: Case,
    /// A run whose input, or output directory, does not exist.
    pub(crate) missing_input: Option<Case>,
    /// What [`success`](Self::success) still writes to stderr if nothing can be written to stdout.
    pub(crate) unprinted: &'static [&'static str],
    pub(crate) progress: Progress,
    /// A run that lasts longer than any test, if its stdin is a pipe that stays open.
    pub(crate) lasting: &'static [&'static str],
    pub(crate) interrupts: Interrupts,
}

/// A run that ends by itself.
pub(crate) struct Case {
    pub(crate) args: &'static [&'static str],
    pub(crate) code: i32,
    pub(crate) stdout: &'static str,
    /// The lines, without their ends.
    pub(crate) stderr: &'static [&'static str],
}

/// A run that shows progress on a terminal.
pub(crate) struct Progress {
    pub(crate) args: &'static str,
    /// Whether this text from the terminal is the expected progress.
    pub(crate) is_shown: fn(&str) -> bool,
}

/// Runs to interrupt by Ctrl-C.
pub(crate) struct Interrupts {
    /// Starts a run that has more work than any test waits for, but soon ends after Ctrl-C.
    pub(crate) orderly: fn() -> Started,
    /// What one line of its stderr contains at the end.
    pub(crate) summary: &'static str,
    /// Starts a run that does not end after the first Ctrl-C.
    pub(crate) endless: fn() -> Started,
    /// What such a run has written to stdout.
    pub(crate) stdout: &'static str,
}

/// A program in the middle of its work, and what it needs meanwhile.
pub(crate) struct Started {
    run: Run,
    _needs: Box<dyn Any>,
}

impl Started {
    pub(crate) fn new(run: Run, needs: impl Any) -> Self {
        let _needs = Box::new(needs);
        Self { run, _needs }
    }
}

/// Makes a test for each program, named after the case and the program.
macro_rules! test_programs {
    ($case:ident: $($program:ident)*) => {
        mod $case {
            $(
                #[test]
                fn $program() {
                    super::$case(&crate::$program::CONTRACT);
                }
            )*
        }
    };
    ($case:ident) => {
        test_programs!($case: checksum coordinator crawl executor pipeline process_pool);
    };
}

mod signals;

pub(crate) use signals::interrupt_again;
pub(crate) use signals::interrupt_once;

test_programs!(help_lists_options);
fn help_lists_options(contract: &Contract) {
    let output = contract.run(&["--help"]);
    output.assert_code(0);
    assert_eq!(output.stderr.text(), "");
    let help = output.stdout.text();
    for part in contract.help.split(' ').chain(["--help", "Exit status:"]) {
        assert!(help.contains(part), "no {part} in:\n{help}");
    }
}

test_programs!(unknown_option_is_refused);
fn unknown_option_is_refused(contract: &Contract) {
    assert_refused(
        contract,
        &["--no-such-option"],
        "unexpected argument '--no-such-option'",
    );
}

test_programs!(bad_arguments_are_refused);
fn bad_arguments_are_refused(contract: &Contract) {
    for (args, message) in contract.refused {
        assert_refused(contract, args, message);
    }
}

test_programs!(success_prints_only_results);
fn success_prints_only_results(contract: &Contract) {
    contract.assert_case(&contract.success);
}

test_programs!(failure_is_reported_on_stderr);
fn failure_is_reported_on_stderr(contract: &Contract) {
    contract.assert_case(&contract.failure);
}

test_programs!(missing_input_fails: checksum coordinator crawl pipeline);
fn missing_input_fails(contract: &Contract) {
    contract.assert_case(contract.missing_input.as_ref().unwrap());
}

test_programs!(message_is_written_at_once);
fn message_is_written_at_once(contract: &Contract) {
    let directory = (contract.directory)();
    let run = contract.invoke(&directory, contract.failure.args);
    let mut lines = String::new();
    let pieces = run.pieces_of_stderr();
    for piece in &pieces {
        let line = piece.strip_suffix('\n').expect("a piece is a line");
        assert!(!line.contains('\n'), "a piece is a single line: {line:?}");
        lines.push_str(piece);
    }
    assert_lines(&lines, contract.failure.stderr);
}

test_programs!(full_stderr_changes_no_result);
fn full_stderr_changes_no_result(contract: &Contract) {
    let directory = (contract.directory)();
    let run = contract.invoke(&directory, contract.failure.args);
    let output = run.stderr(dev_full()).run();
    output.assert_code(contract.failure.code);
    assert_matches(&output.stdout.text(), contract.failure.stdout);
}

test_programs!(full_stdout_fails);
fn full_stdout_fails(contract: &Contract) {
    let directory = (contract.directory)();
    let run = contract.invoke(&directory, contract.success.args);
    let output = run.stdout(dev_full()).run();
    assert_unprinted(contract, &output, "No space left on device (os error 28)");
    // Help is output as well.
    let help = contract.invoke(&directory, &["--help"]);
    help.stdout(dev_full()).run().assert_code(1);
}

test_programs!(stdout_that_is_not_open_fails);
fn stdout_that_is_not_open_fails(contract: &Contract) {
    for redirection in [">&-", "1</dev/null"] {
        for args in [contract.success.args, &["--help"], &["--version"]] {
            let directory = (contract.directory)();
            let script = format!(r#""$0" "$@" {redirection}"#);
            let shell = command("sh", directory.path()).args(["-c", &script]);
            let output = shell.arg(example(contract.name)).args(args).run();
            output.assert_code(1);
            // Found before anything is done.
            let message = unprinted(contract, "Bad file descriptor (os error 9)");
            assert_lines(&output.stderr.text(), &[&message]);
        }
    }
}

test_programs!(closed_stdout_ends_program);
fn closed_stdout_ends_program(contract: &Contract) {
    let directory = (contract.directory)();
    let Pipe { read, write, .. } = Pipe::new();
    drop(read);
    let run = contract.invoke(&directory, contract.success.args);
    let output = run.stdout(write).run();
    // As a program that SIGPIPE has ended.
    output.assert_code(141);
    assert_lines(&output.stderr.text(), contract.unprinted);
}

test_programs!(version_is_printed);
fn version_is_printed(contract: &Contract) {
    let output = contract.run(&["--version"]);
    output.assert_code(0);
    let version = format!("{} {}\n", contract.name, env!("CARGO_PKG_VERSION"));
    assert_eq!(output.stdout.text(), version);
    assert_eq!(output.stderr.text(), "");
}

test_programs!(too_few_threads_are_explained);
fn too_few_threads_are_explained(contract: &Contract) {
    let directory = (contract.directory)();
    let output = limited(contract.name, directory.path(), "--nproc=1")
        .args(contract.success.args)
        .run();
    output.assert_code(broken(contract));
    let message = format!(
        "{}: cannot start thread *: Resource temporarily unavailable (os error 11); *raise the \
         limit of processes (ulimit -u) or memory (ulimit -v)",
        contract.name
    );
    assert_lines(&output.stderr.text(), &[&message]);
    assert_eq!(output.stdout.text(), "");
}

test_programs!(too_little_memory_for_a_channel_is_explained);
fn too_little_memory_for_a_channel_is_explained(contract: &Contract) {
    let directory = (contract.directory)();
    // With one CPU, because each gets a thread, which needs memory as well.
    let pinned = command("taskset", directory.path()).args(["--cpu-list", &first_cpu()]);
    let prlimit = pinned.args(["prlimit", "--as=36000000"]);
    let program = prlimit.arg(example(contract.name));
    // A little more than a power of two, to which a channel rounds it up.
    let args = [contract.success.args, &["--capacity=530000"]].concat();
    let output = program.args(args).run();
    output.assert_code(broken(contract));
    let message = format!(
        "{}: cannot allocate memory for a channel: *; lower --capacity, or raise *",
        contract.name
    );
    assert_lines(&output.stderr.text(), &[&message]);
    assert_eq!(output.stdout.text(), "");
}

/// The number of a CPU on which this process may run.
fn first_cpu() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let (_, list) = status.split_once("Cpus_allowed_list:").unwrap();
    let is_end = |c: char| !c.is_ascii_digit();
    list.trim_start().split(is_end).next().unwrap().to_owned()
}

/// The exit code if the program itself cannot continue.
fn broken(contract: &Contract) -> i32 {
    match contract.name {
        "process_pool" => 3,
        _ => 1,
    }
}

test_programs!(too_few_descriptors_are_explained);
fn too_few_descriptors_are_explained(contract: &Contract) {
    let directory = (contract.directory)();
    for limit in 5..=24 {
        let prlimit = command("prlimit", directory.path()).arg(format!("--nofile={limit}:{limit}"));
        let program = prlimit.arg(example(contract.name));
        let output = program.args(contract.success.args).run();
        let stderr = output.stderr.text();
        // A few may be enough for some.
        if limit > 12 && output.code == Some(0) {
            continue;
        }
        let message = format!(
            "{}: cannot start: at most {limit} files may be open, which is too few; raise the \
             limit (ulimit -n)",
            contract.name
        );
        assert_lines(&stderr, &[&message]);
        assert_eq!(output.stdout.text(), "");
    }
}

test_programs!(terminal_shows_progress);
fn terminal_shows_progress(contract: &Contract) {
    let directory = (contract.directory)();
    let Progress { args, is_shown } = contract.progress;
    let run = contract.on_terminal(&directory, args).start();
    eventually("progress", || {
        is_shown(&run.captured("stdout").text()).then_some(())
    });
}

test_programs!(quiet_hides_progress);
fn quiet_hides_progress(contract: &Contract) {
    let directory = (contract.directory)();
    let args = contract.success.args.join(" ");
    let run = |args: &str| {
        let output = contract.on_terminal(&directory, args).run();
        output.assert_code(contract.success.code);
        output.stdout.text().replace("\r\n", "\n")
    };
    assert_lines(&run(&format!("{args} --quiet")), contract.success.stderr);
    // Without `--quiet`, the same run draws a bar, which needs escape sequences; unless it ends before
    // the first drawing, as a few runs of a hundred do.
    assert!((0..50).any(|_| run(&args).contains('\x1b')), "no bar");
}

/// An example under a limit of the system, which is an option of `prlimit`. Root has no limit of
/// processes, so the example is then run by another user.
pub(crate) fn limited(name: &str, directory: &Path, limit: &str) -> Invocation {
    if !Uid::effective().is_root() {
        let prlimit = command("prlimit", directory).arg(limit);
        return prlimit.arg(example(name));
    }
    // That user may not be able to reach the example or the directory.
    let script = r#"set -e
        chmod a+rx "$3" .; cp "$1" "$3/$2"; limit=$4; program=$3/$2; shift 4
        exec setpriv --reuid="$USER_ID" --clear-groups prlimit "$limit" "$program" "$@""#;
    let copies = tempdir().unwrap();
    let shell = command("sh", directory).args(["-c", script, "sh"]);
    let shell = shell
        .arg(example(name))
        .arg(name)
        .arg(copies.path())
        .arg(limit);
    // Each has its own user, because the limit is on all processes of a user.
    static USERS: AtomicU32 = AtomicU32::new(0);
    let user = 61_234 + USERS.fetch_add(1, Ordering::Relaxed);
    shell.env("USER_ID", &user.to_string()).keep(copies)
}

/// Asserts that a run of [`Contract::success`] failed because of its stdout.
#[track_caller]
fn assert_unprinted(contract: &Contract, output: &Output, error: &str) {
    output.assert_code(1);
    let message = unprinted(contract, error);
    let messages = [contract.unprinted, &[&message]].concat();
    assert_lines(&output.stderr.text(), &messages);
}

fn unprinted(contract: &Contract, error: &str) -> String {
    format!(
        "{}: cannot write to standard output: {error}",
        contract.name
    )
}

impl Contract {
    fn invoke(&self, directory: &TempDir, args: &[&str]) -> Invocation {
        command(example(self.name), directory.path()).args(args)
    }

    fn run(&self, args: &[&str]) -> Output {
        self.invoke(&(self.directory)(), args).run()
    }

    /// The program on a terminal, except that its stdout is discarded.
    fn on_terminal(&self, directory: &TempDir, args: &str) -> Invocation {
        let program = example(self.name);
        let line = format!("exec '{}' {args} >/dev/null", program.display());
        on_terminal(&line, directory.path())
    }

    #[track_caller]
    fn assert_case(&self, case: &Case) {
        let output = self.run(case.args);
        output.assert_code(case.code);
        assert_matches(&output.stdout.text(), case.stdout);
        assert_lines(&output.stderr.text(), case.stderr);
    }
}

#[track_caller]
fn assert_refused(contract: &Contract, args: &[&str], message: &str) {
    let output = contract.run(args);
    output.assert_code(2);
    assert_eq!(output.stdout.text(), "");
    let stderr = output.stderr.text();
    assert!(stderr.contains(message), "{args:?}: {stderr}");
}

#[track_caller]
fn assert_lines(text: &str, patterns: &[&str]) {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len(), patterns.len(), "{text}");
    for (line, pattern) in lines.iter().zip(patterns) {
        assert_matches(line, &format!("{pattern}\n"));
    }
}

/// Asserts that the text equals the pattern, in which each `*` stands for any text.
#[track_caller]
fn assert_matches(text: &str, pattern: &str) {
    let matches = || match pattern.split_once('*') {
        None => Some(text == pattern),
        Some((first, rest)) => {
            let mut text = text.strip_prefix(first)?;
            let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
            for part in middle.split('*') {
                let (_, after) = text.split_once(part)?;
                text = after;
            }
            Some(text.ends_with(last))
        }
    };
    assert_eq!(matches(), Some(true), "{text:?} does not match {pattern:?}");
}
