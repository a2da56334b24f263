//! The program `checksum`, compared with `sha256sum`.

#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/checksum/open.rs"]
mod open;

use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use tempfile::TempDir;
use tempfile::tempdir;

use crate::contract::Case;
use crate::contract::Contract;
use crate::contract::Interrupts;
use crate::contract::Progress;
use crate::contract::Started;
use crate::program::Bytes;
use crate::program::Invocation;
use crate::program::Output;
use crate::program::PATIENCE;
use crate::program::Pipe;
use crate::program::Run;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;
use crate::program::make_fifo;

pub(crate) const CONTRACT: Contract = Contract {
    name: "checksum",
    directory: odd_tree,
    help: "[PATH]... --jobs --capacity --quiet 130",
    refused: &[
        (&["--jobs=0"], "0 is not in 1..="),
        (&["--capacity=0"], "0 is not in 1..="),
    ],
    success: Case {
        args: &["."],
        code: 0,
        stdout: "*  ./plain\n*",
        stderr: &[],
    },
    failure: MISSING,
    missing_input: Some(MISSING),
    unprinted: &[],
    progress: Progress {
        args: ".",
        is_shown: |shown| shown.contains("B/s"),
    },
    lasting: &["-"],
    interrupts: Interrupts {
        orderly: || {
            let tree = tempdir().unwrap();
            sparse_file(&tree.path().join("endless"), 1 << 40);
            let run = checksum(tree.path()).start();
            file_in_hand(&run, tree.path());
            Started::new(run, tree)
        },
        // The file is hashed, and then a read blocks.
        endless: || {
            let tree = odd_tree();
            let pipe = Pipe::new();
            pipe.fill();
            let invocation = checksum(tree.path()).args(["--jobs=1", "plain", "-"]);
            let run = invocation.stdin(pipe.read.try_clone().unwrap()).start();
            pipe.wait_until_empty();
            eventually("the read to block", || {
                run.is_thread_asleep("hash-0").then_some(())
            });
            Started::new(run, (tree, pipe))
        },
        summary: " files hashed, ",
        stdout: "*  plain\n",
    },
};

const MISSING: Case = Case {
    args: &["missing"],
    code: 1,
    stdout: "",
    stderr: &["checksum: \"missing\": No such file or directory (os error 2)"],
};

#[test]
fn output_equals_sha256sum_sorted_by_path() {
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
fn sha256sum_accepts_output() {
    let tree = odd_tree();
    let elsewhere = tempdir().unwrap();
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
fn file_path_is_hashed() {
    let tree = odd_tree();
    let output = checksum(tree.path()).arg("plain").run();

    output.assert_code(0);
    assert_eq!(
        output.stdout,
        command("sha256sum", tree.path()).arg("plain").run().stdout
    );
}

#[test]
fn symbolic_link_path_is_followed() {
    let tree = tempdir().unwrap();
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
fn several_paths_are_hashed_as_by_sha256sum() {
    let tree = odd_tree();
    let paths = ["plain", "-", "one buffer", "plain", "./large"];
    let outputs = ["checksum", "sha256sum"].map(|program| {
        let program = match program {
            "checksum" => checksum(tree.path()),
            program => command(program, tree.path()),
        };
        let stdin = File::open(tree.path().join("a.b")).unwrap();
        program.args(paths).stdin(stdin).run()
    });
    let [ours, theirs] = outputs;
    ours.assert_code(0);
    assert_eq!(ours.stdout, theirs.stdout);

    // Directories may be among them, and one bad path does not spoil the others.
    let output = checksum(tree.path()).args(["a", "missing", "."]).run();
    output.assert_code(1);
    let all = sha256sum_of_all(tree.path()).text();
    let below = command("sha256sum", tree.path()).arg("a/b").run();
    assert_eq!(output.stdout.text(), below.stdout.text() + &all);
    assert_eq!(output.stderr.text(), MISSING.stderr[0].to_owned() + "\n");
}

#[test]
fn closed_stdin_fails() {
    for redirection in ["<&-", "0>/dev/null"] {
        let script = format!(r#""$0" - {redirection}"#);
        let shell = command("sh", Path::new("/")).args(["-c", &script]);
        let output = shell.arg(example("checksum")).run();
        output.assert_code(1);
        let error = "checksum: \"-\": Bad file descriptor (os error 9)\n";
        assert_eq!(output.stderr.text(), error);
        assert_eq!(output.stdout.text(), "");
    }
}

#[test]
fn stdin_is_refused_twice() {
    let tree = tempdir().unwrap();
    let file = tree.path().join("file");
    fs::write(&file, "contents").unwrap();
    for paths in [["-", "-"], ["-", "/dev/stdin"], ["/dev/fd/0", "-"]] {
        let stdin = File::open(&file).unwrap();
        let output = checksum(tree.path()).args(paths).stdin(stdin).run();
        output.assert_code(2);
        let message = "is standard input, which can be read only once";
        assert!(output.stderr.text().contains(message));
        assert_eq!(output.stdout.text(), "");
    }
}

#[test]
fn own_output_is_left_out() {
    let tree = odd_tree();
    let expected = sha256sum_of_all(tree.path());
    let sums = tree.path().join("sums");
    let stdout = File::create(&sums).unwrap();
    let output = checksum(tree.path()).stdout(stdout).run();

    output.assert_code(0);
    let message = "checksum: \"./sums\": left out, because the output goes there\n";
    assert_eq!(output.stderr.text(), message);
    assert_eq!(fs::read(&sums).unwrap(), expected.0);

    // A file that was asked for must not be left out.
    let stdout = File::create(&sums).unwrap();
    let output = checksum(tree.path()).arg("sums").stdout(stdout).run();
    output.assert_code(1);
    let message = "checksum: \"sums\": not hashed, because the output goes there\n";
    assert_eq!(output.stderr.text(), message);
}

#[test]
fn fifo_in_place_of_file_is_not_waited_for() {
    let tree = tempdir().unwrap();
    let (fifo, link) = (tree.path().join("fifo"), tree.path().join("link"));
    make_fifo(&fifo);
    symlink("fifo", &link).unwrap();
    // On another thread, so that the test fails if this waits.
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let opened = [(&fifo, true), (&fifo, false), (&link, true), (&link, false)]
            .map(|(path, follow)| open::open_without_waiting(path, follow).unwrap_err());
        done.send(opened.map(|error| error.to_string()))
    });
    let errors = wait.recv_timeout(PATIENCE).expect("it waits for a writer");
    let regular = "not a regular file";
    let looped = "Too many levels of symbolic links (os error 40)";
    assert_eq!(errors, [regular, regular, regular, looped]);
}

#[test]
fn too_few_descriptors_fail_no_file() {
    let tree = tempdir().unwrap();
    for number in 0..1500 {
        fs::write(tree.path().join(format!("file {number}")), "").unwrap();
    }
    let hash = |limit: &str| {
        let prlimit = command("prlimit", tree.path()).arg(limit);
        prlimit.arg(example("checksum")).arg("--jobs=512").run()
    };
    let output = hash("--nofile=256:256");
    output.assert_code(0);
    assert_eq!(output.stdout, sha256sum_of_all(tree.path()));
    let stderr = output.stderr.text();
    let end = " of 512 jobs, because at most 256 files may be open (ulimit -n)\n";
    assert!(stderr.starts_with("checksum: only "), "{stderr}");
    assert!(stderr.ends_with(end), "{stderr}");

    // A soft limit is raised.
    let output = hash("--nofile=64:1024");
    output.assert_code(0);
    assert_eq!(output.stderr.text(), "");
}

#[test]
fn shortage_of_descriptors_passes() {
    let (tree, depths) = deep_tree(|depths| {
        for number in 100..110 {
            fs::write(depths.join(number.to_string()), "contents").unwrap();
        }
    });
    let limited = |limit: u32| {
        let limit = format!("--nofile={limit}:{limit}");
        let prlimit = command("prlimit", tree.path()).arg(limit);
        prlimit.arg(example("checksum")).arg("--jobs=8").run()
    };
    let starts = |limit: &u32| limited(*limit).code == Some(0);
    // With one less it says why it cannot start.
    let least = (4..40).find(starts).expect("so many are enough");
    let output = limited(least - 1);
    output.assert_code(1);
    assert_eq!(output.stdout.text(), "");
    let stderr = output.stderr.text();
    assert!(stderr.starts_with("checksum: cannot "), "{stderr}");
    let ends = [" (os error 24)\n", "raise the limit (ulimit -n)\n"];
    assert!(ends.iter().any(|end| stderr.ends_with(end)), "{stderr}");

    // The walk and the worker share what is left.
    for limit in least..least + 4 {
        let output = limited(limit);
        output.assert_code(0);
        let expected: Vec<_> = (100..110)
            .map(|number| format!("{depths}/{number}"))
            .collect();
        assert_eq!(paths(&output.stdout), expected);
    }
}

#[test]
fn too_little_memory_is_explained() {
    let prlimit = command("prlimit", Path::new("/")).arg("--as=500000000");
    let output = prlimit.arg(example("checksum")).arg("--jobs=1024").run();
    output.assert_code(1);
    let stderr = output.stderr.text();
    assert!(stderr.starts_with("checksum: cannot "), "{stderr}");
    assert!(
        stderr.contains("; lower --jobs, or raise the limit of "),
        "{stderr}"
    );
}

#[test]
fn fifo_path_fails_without_waiting() {
    let tree = tempdir().unwrap();
    make_fifo(&tree.path().join("fifo"));
    let output = checksum(tree.path()).arg("fifo").run();

    output.assert_code(1);
    assert_eq!(
        output.stderr.text(),
        "checksum: \"fifo\": not a regular file\n"
    );
}

#[test]
fn unopenable_files_fail_and_others_are_hashed() {
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
fn unlistable_directory_fails_and_others_are_walked() {
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
fn unreadable_file_fails() {
    // The page at address 0 is not mapped, so reading it fails.
    let output = checksum(Path::new("/")).arg("/proc/self/mem").run();

    output.assert_code(1);
    assert_eq!(output.stdout.text(), "");
    assert_eq!(
        output.stderr.text(),
        "checksum: \"/proc/self/mem\": Input/output error (os error 5)\n"
    );
}

#[test]
fn closed_pipe_ends_output_quietly() {
    // More output than a pipe holds, so that the program still writes when `head` has ended.
    let (tree, depths) = deep_tree(|depths| {
        for number in 100..400 {
            File::create(depths.join(number.to_string())).unwrap();
        }
    });
    let script = r#"{ "$0"; echo "exit code $?" >&2; } | head -n 1"#;
    let shell = command("sh", tree.path()).args(["-c", script]);
    let output = shell.arg(example("checksum")).run();

    assert_eq!(paths(&output.stdout), [format!("{depths}/100")]);
    assert_eq!(output.stderr.text(), "exit code 141\n");
}

#[test]
fn interrupt_gives_up_file_in_hand_and_counts_rest() {
    let files = 3000;
    let (tree, digest) = endless_tree(files);
    let run = checksum(tree.path())
        .args(["--jobs=1", "--capacity=3000"])
        .start();
    file_in_hand(&run, tree.path());
    // The queue has room for all files, so the walk ends. Only then is their number known.
    eventually("the walk to end", || {
        (!run.has_thread("walk")).then_some(())
    });

    run.interrupt();
    let output = run.finish();
    output.assert_code(130);

    let hashed = paths(&output.stdout);
    for line in output.stdout.lines() {
        assert_eq!(line[..64], *digest.as_bytes());
    }
    let (done, left) = interrupted(&output);
    assert_eq!(done, hashed.len());
    assert_eq!(done + left, files, "all files found are counted");
}

#[test]
fn walk_is_ahead_by_at_most_capacity() {
    let (tree, _) = endless_tree(3000);
    let run = checksum(tree.path())
        .args(["--jobs=1", "--capacity=3"])
        .start();
    file_in_hand(&run, tree.path());

    run.interrupt();
    let output = run.finish();
    output.assert_code(130);

    let (_, left) = interrupted(&output);
    assert!(left <= 3 + 1, "{left} paths were queued or in hand");
}

/// File names that are easy to get wrong. `a.b` sorts before `a/b`, except if paths are compared by
/// component.
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
    let tree = tempdir().unwrap();
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

/// A tree in which paths are so long that adding the longest name exceeds the limit of the system,
/// even for root. Also returns the path of the innermost directory.
fn deep_tree(fill: impl FnOnce(&Path)) -> (TempDir, String) {
    const LEVELS: usize = 16;
    let name = "d".repeat(250);
    let tree = tempdir().unwrap();
    let (inner, outer) = (tree.path().join(&name), tree.path().join("outer"));
    fs::create_dir(&inner).unwrap();
    fill(&inner);
    // From the inside out, so that all paths used here are short.
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

/// Files of which each takes little time to hash, but all together far longer than
/// [`PATIENCE`](crate::program::PATIENCE). Also returns their digest.
fn endless_tree(files: usize) -> (TempDir, String) {
    let tree = tempdir().unwrap();
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

fn checksum(directory: &Path) -> Invocation {
    command(example("checksum"), directory)
}

/// The output of `sha256sum` for every regular file below `directory`, in the order of `sort`.
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

/// The number of files that were hashed before the interrupt, and of those found but not hashed.
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

/// The paths, which follow the 64 digits and two spaces of each line.
fn paths(output: &Bytes) -> Vec<String> {
    output
        .lines()
        .map(|line| String::from_utf8_lossy(&line[66..]).into_owned())
        .collect()
}
