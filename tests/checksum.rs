//! The example `checksum`, run as its users run it, and measured against `sha256sum`.
//!
//! Nothing here is timed. A test that needs the program to be in the middle of its work gives it
//! more work than [`PATIENCE`](program::PATIENCE) lasts for, so that only what is tested can end it
//! in time.

#![cfg(all(target_os = "linux", not(loom)))]

mod program;

use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use tempfile::TempDir;

use program::Bytes;
use program::Invocation;
use program::Output;
use program::Run;
use program::command;
use program::eventually;
use program::example;
use program::example_on_terminal;

#[test]
fn the_output_is_that_of_sha256sum_sorted_by_path() {
    let tree = odd_tree();
    let expected = sha256sum_of_all(tree.path());
    assert_eq!(expected.lines().count(), ODD_NAMES.len() + 2);

    for options in [&[][..], &["--jobs=1", "--capacity=1"], &["-j8", "-c1"]] {
        let output = checksum(tree.path()).args(options).run();
        output.assert_code(0);
        assert_eq!(output.stdout, expected, "with {options:?}");
        assert_eq!(output.stderr.text(), "");
    }
}

#[test]
fn sha256sum_accepts_the_output() {
    let tree = odd_tree();
    let elsewhere = tempfile::tempdir().unwrap();
    let sums = elsewhere.path().join("sums");
    checksum(tree.path())
        .stdout(File::create(&sums).unwrap())
        .run()
        .assert_code(0);

    let check = || {
        let check = command("sha256sum", tree.path()).args(["--check", "--strict"]);
        check.arg(&sums).run()
    };
    let output = check();
    output.assert_code(0);
    assert_eq!(output.stdout.lines().count(), ODD_NAMES.len() + 2);

    fs::write(tree.path().join("plain"), "tampered with").unwrap();
    check().assert_code(1);
}

#[test]
fn a_path_that_is_a_file_is_hashed() {
    let tree = odd_tree();
    let output = checksum(tree.path()).arg("plain").run();

    output.assert_code(0);
    assert_eq!(
        output.stdout,
        command("sha256sum", tree.path()).arg("plain").run().stdout
    );
}

#[test]
fn a_path_that_is_a_symbolic_link_is_followed() {
    let tree = tempfile::tempdir().unwrap();
    let (directory, link) = (tree.path().join("directory"), tree.path().join("link"));
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("file"), "contents").unwrap();
    symlink("directory", &link).unwrap();
    symlink("file", directory.join("alias")).unwrap();

    for path in ["link/file", "directory/alias"] {
        let output = checksum(tree.path()).arg(path).run();
        output.assert_code(0);
        assert_eq!(
            output.stdout,
            command("sha256sum", tree.path()).arg(path).run().stdout
        );
    }
    // `alias` is not PATH itself here, so it is left out.
    let output = checksum(tree.path()).arg("link").run();
    output.assert_code(0);
    assert_eq!(paths(&output.stdout), ["link/file"]);
}

#[test]
fn a_path_that_does_not_exist_fails_with_the_error_of_the_system() {
    let tree = tempfile::tempdir().unwrap();
    let output = checksum(tree.path()).arg("missing").run();

    output.assert_code(1);
    assert_eq!(output.stdout.text(), "");
    assert_eq!(
        output.stderr.text(),
        "checksum: \"missing\": No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_path_that_is_a_fifo_fails_instead_of_waiting_for_a_writer() {
    let tree = tempfile::tempdir().unwrap();
    make_fifo(&tree.path().join("fifo"));
    let output = checksum(tree.path()).arg("fifo").run();

    output.assert_code(1);
    assert_eq!(
        output.stderr.text(),
        "checksum: \"fifo\": not a regular file\n"
    );
}

#[test]
fn files_that_cannot_be_opened_fail_and_the_others_are_hashed() {
    let (tree, depths) = deep_tree(|depths| {
        for letter in ["x", "y"] {
            fs::write(depths.join(longest_name(letter)), "out of reach").unwrap();
        }
        fs::write(depths.join("in reach"), "in reach").unwrap();
    });
    fs::write(tree.path().join("beside"), "beside").unwrap();
    let output = checksum(tree.path()).arg("--jobs=1").run();

    output.assert_code(1);
    let in_reach = format!("{depths}/in reach");
    assert_eq!(paths(&output.stdout), ["./beside", &in_reach]);
    let failed = ["x", "y"].map(|letter| too_long(&depths, &longest_name(letter)));
    assert_eq!(output.stderr.text(), failed.concat());
}

#[test]
fn a_directory_that_cannot_be_listed_fails_and_the_others_are_walked() {
    let (tree, depths) = deep_tree(|depths| {
        fs::create_dir(depths.join(longest_name("x"))).unwrap();
        fs::write(depths.join(longest_name("x")).join("file"), "out of reach").unwrap();
        fs::write(depths.join("in reach"), "in reach").unwrap();
    });
    fs::write(tree.path().join("beside"), "beside").unwrap();
    let output = checksum(tree.path()).run();

    output.assert_code(1);
    let in_reach = format!("{depths}/in reach");
    assert_eq!(paths(&output.stdout), ["./beside", &in_reach]);
    let failed = too_long(&depths, &longest_name("x"));
    assert_eq!(output.stderr.text(), failed);
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_fails() {
    // The page at address 0 is never there to be read.
    let output = checksum(Path::new("/")).arg("/proc/self/mem").run();

    output.assert_code(1);
    assert_eq!(output.stdout.text(), "");
    assert_eq!(
        output.stderr.text(),
        "checksum: \"/proc/self/mem\": Input/output error (os error 5)\n"
    );
}

#[test]
fn a_reader_that_leaves_early_ends_the_output_quietly() {
    // More output than any pipe holds, so that it is still being written when `head` has gone.
    let (tree, depths) = deep_tree(|depths| {
        for number in 100..400 {
            File::create(depths.join(number.to_string())).unwrap();
        }
    });
    let script = r#"{ "$0"; echo "exit code $?" >&2; } | head -n 1"#;
    let shell = command("sh", tree.path()).args(["-c", script]);
    let output = shell.arg(example("checksum")).run();

    assert_eq!(paths(&output.stdout), [format!("{depths}/100")]);
    assert_eq!(output.stderr.text(), "exit code 0\n");
}

#[test]
fn output_that_cannot_be_written_fails() {
    let tree = odd_tree();
    let output = checksum(tree.path()).stdout(full()).run();

    output.assert_code(1);
    assert_eq!(
        output.stderr.text(),
        "checksum: No space left on device (os error 28)\n"
    );
}

#[test]
fn failures_that_cannot_be_written_do_not_panic() {
    let tree = tempfile::tempdir().unwrap();
    let output = checksum(tree.path()).arg("missing").stderr(full()).run();

    output.assert_code(1);
}

#[test]
fn a_message_is_written_in_one_piece() {
    let pieces = checksum(Path::new("/")).arg("missing").pieces_of_stderr();
    let message = "checksum: \"missing\": No such file or directory (os error 2)\n";
    assert_eq!(pieces, [message]);
}

#[test]
fn help_tells_the_arguments_and_the_exit_status() {
    let output = checksum(Path::new("/")).arg("--help").run();

    output.assert_code(0);
    let help = output.stdout.text();
    for part in [
        "[PATH]",
        "--jobs",
        "--capacity",
        "--quiet",
        "Exit status:",
        "130",
    ] {
        assert!(help.contains(part), "no {part} in:\n{help}");
    }
}

#[test]
fn no_workers_or_no_room_is_refused() {
    for option in ["--jobs=0", "--capacity=0"] {
        let output = checksum(Path::new("/")).arg(option).run();
        output.assert_code(2);
        assert!(
            output.stderr.text().contains("0 is not in 1..="),
            "{}",
            output.stderr.text()
        );
    }
}

#[test]
fn a_terminal_shows_progress_unless_quiet() {
    let tree = odd_tree();
    let terminal = |options: &str| {
        let options = format!("'{}' {options} >/dev/null", tree.path().display());
        let output = example_on_terminal("checksum", &options).run();
        output.assert_code(0);
        output.stdout.text()
    };

    let progress = terminal("");
    assert!(progress.contains("B/s"), "no progress in {progress:?}");
    assert_eq!(terminal("--quiet"), "");
}

#[test]
fn ctrl_c_finishes_the_file_in_hand_and_counts_the_ones_left_in_the_queue() {
    let files = 3000;
    let (tree, digest) = endless_tree(files);
    let run = checksum(tree.path())
        .args(["--jobs=1", "--capacity=3000"])
        .start();
    let in_hand = file_in_hand(&run, tree.path());
    // With room for all, the walk ends; only then is it known how many there are.
    eventually("the walk to end", || {
        (!has_thread(&run, "walk")).then_some(())
    });

    run.interrupt();
    let output = run.finish();
    output.assert_code(130);

    let hashed = paths(&output.stdout);
    assert!(
        hashed.contains(&in_hand),
        "{in_hand} was in hand, {hashed:?} hashed"
    );
    for line in output.stdout.lines() {
        assert_eq!(line[..64], *digest.as_bytes());
    }
    let (done, left) = interrupted(&output);
    assert_eq!(done, hashed.len());
    assert_eq!(done + left, files, "the queued files are all counted");
}

#[test]
fn the_walk_is_never_ahead_by_more_than_the_capacity() {
    let (tree, _) = endless_tree(3000);
    let run = checksum(tree.path())
        .args(["--jobs=1", "--capacity=3"])
        .start();
    file_in_hand(&run, tree.path());

    run.interrupt();
    let output = run.finish();
    output.assert_code(130);

    let (_, left) = interrupted(&output);
    assert!(left <= 3, "{left} paths were queued");
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_file_in_hand() {
    let tree = tempfile::tempdir().unwrap();
    sparse_file(&tree.path().join("endless"), 1 << 40);
    let mut run = checksum(tree.path()).start();
    file_in_hand(&run, tree.path());

    run.interrupt();
    eventually("word of the first Ctrl-C", || {
        run.stderr().text().contains("Ctrl-C again").then_some(())
    });
    assert_eq!(run.child.try_wait().unwrap(), None, "it is not over yet");
    run.interrupt();

    let output = run.finish();
    output.assert_code(130);
    assert_eq!(output.stdout.text(), "");
}

// The trees.

/// Files that are easy to get wrong. The order of these two matters: `a.b` sorts before `a/b`, but
/// not if paths are compared by component.
const ODD_NAMES: [&[u8]; 15] = [
    b"a.b",
    b"a/b",
    b"plain",
    b"empty",
    b".hidden",
    b"-dash",
    b"with space ",
    b" leading",
    b"new\nline",
    b"carriage\rreturn",
    b"back\\slash",
    b"\\n",
    b"not utf-8 \xff\xfe",
    b"utf-8 \xc3\xa4",
    b"directory \xff\n\\/deeper/file",
];

fn odd_tree() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    let path = |name| tree.path().join(OsStr::from_bytes(name));
    for name in ODD_NAMES {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        fs::write(path(name), name).unwrap();
    }
    fs::write(path(b"empty"), "").unwrap();
    let large: Vec<u8> = (0..5_000_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    fs::write(path(b"large"), &large).unwrap();
    fs::write(path(b"one buffer"), &large[..64 * 1024]).unwrap();

    // None of these is a regular file.
    fs::create_dir(path(b"empty directory")).unwrap();
    symlink("plain", path(b"link to a file")).unwrap();
    symlink("..", path(b"link to a directory")).unwrap();
    symlink("nowhere", path(b"link to nothing")).unwrap();
    make_fifo(&path(b"fifo"));
    drop(UnixListener::bind(path(b"socket")).unwrap());
    tree
}

/// A tree so deep that a path can still be named from its root, by whoever, root or not, but none
/// that ends in the longest name. Returns the path of the depths from there.
fn deep_tree(fill: impl FnOnce(&Path)) -> (TempDir, String) {
    const LEVELS: usize = 16;
    let name = "d".repeat(250);
    let tree = tempfile::tempdir().unwrap();
    let (inner, outer) = (tree.path().join(&name), tree.path().join("outer"));
    fs::create_dir(&inner).unwrap();
    fill(&inner);
    // From the inside out, so that no path is long meanwhile.
    for _ in 1..LEVELS {
        fs::create_dir(&outer).unwrap();
        fs::rename(&inner, outer.join(&name)).unwrap();
        fs::rename(&outer, &inner).unwrap();
    }
    (tree, format!(".{}", format!("/{name}").repeat(LEVELS)))
}

fn longest_name(letter: &str) -> String {
    letter.repeat(255)
}

fn too_long(directory: &str, name: &str) -> String {
    format!("checksum: \"{directory}/{name}\": File name too long (os error 36)\n")
}

/// Files that take far longer than [`PATIENCE`](program::PATIENCE) to hash, each of them only a
/// moment. Also returns their digest.
fn endless_tree(files: usize) -> (TempDir, String) {
    let tree = tempfile::tempdir().unwrap();
    let path = |number| tree.path().join(format!("{number}"));
    sparse_file(&path(0), 64 << 20);
    for number in 1..files {
        fs::hard_link(path(0), path(number)).unwrap();
    }
    let output = command("sha256sum", tree.path()).arg("0").run();
    (tree, output.stdout.text()[..64].to_owned())
}

fn sparse_file(path: &Path, length: u64) {
    File::create(path).unwrap().set_len(length).unwrap();
}

fn make_fifo(path: &Path) {
    command("mkfifo", Path::new("/"))
        .arg(path)
        .run()
        .assert_code(0);
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

// Running programs.

fn checksum(directory: &Path) -> Invocation {
    command(example("checksum"), directory)
}

/// What `sha256sum` says of every regular file below `directory`, in the order of `sort`.
fn sha256sum_of_all(directory: &Path) -> Bytes {
    let script = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum";
    let output = command("sh", directory).args(["-c", script]).run();
    output.assert_code(0);
    output.stdout
}

/// Waits until a file in the tree is open, and returns its path as the program prints it.
fn file_in_hand(run: &Run, tree: &Path) -> String {
    let tree = tree.canonicalize().unwrap();
    let path = eventually("a file to be open", || {
        let targets = run.proc("fd").filter_map(|fd| fs::read_link(fd).ok());
        let mut files = targets.filter(|path| path.starts_with(&tree) && path.is_file());
        files.next()
    });
    format!("./{}", path.strip_prefix(&tree).unwrap().display())
}

fn has_thread(run: &Run, name: &str) -> bool {
    run.proc("task")
        .any(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name))
}

/// How many files were hashed before the interrupt, and how many found were not.
fn interrupted(output: &Output) -> (usize, usize) {
    let text = output.stderr.text();
    let last = text.lines().last().unwrap_or_default();
    let counts = last
        .strip_prefix("checksum: interrupted: ")
        .and_then(|rest| rest.strip_suffix(" not hashed"))
        .and_then(|rest| rest.split_once(" files hashed, at least "))
        .unwrap_or_else(|| panic!("no counts in {text:?}"));
    (counts.0.parse().unwrap(), counts.1.parse().unwrap())
}

/// What follows the 64 digits and two spaces of each line.
fn paths(output: &Bytes) -> Vec<String> {
    output
        .lines()
        .map(|line| String::from_utf8_lossy(&line[66..]).into_owned())
        .collect()
}
