//! Files that the programs write, and what is left of them if something fails.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::chown;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

use nix::libc;
use nix::unistd::Uid;
use tempfile::TempDir;
use tempfile::tempdir;

use crate::common::file::NewFile;
use crate::common::file::Target;
use crate::contract::interrupt_again;
use crate::contract::interrupt_once;
use crate::contract::limited;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;

/// A run of `pipeline` that has written something, and ends later than any test.
const ENDLESS: &[&str] = &["--delay-b=0", "--delay-c=60000", "--stats=5"];

/// A run of `pipeline` that writes these lines.
const SHORT: &[&str] = &["--delay-b=0", "--items=2"];
const LINES: &str = "1 1\n2 4\n";

#[test]
fn killed_program_leaves_file_named_after_old_one() {
    let directory = directory("old");
    let pipeline = command(example("pipeline"), directory.path());
    let mut run = pipeline.args(ENDLESS).arg("--output=out").start();
    eventually("work in hand", || {
        run.stderr().text().contains("C 1").then_some(())
    });
    run.child.kill().unwrap();
    drop(run);
    let names = names(directory.path());
    assert_eq!(names.len(), 2);
    let [new, old] = names.try_into().unwrap();
    assert_eq!(old, "out");
    assert!(new.starts_with(".out.") && new.ends_with(".new"), "{new}");
}

#[test]
fn new_file_has_permissions_of_any_new_file() {
    let directory = tempdir().unwrap();
    let long = "n".repeat(255);
    let create = new_file(&directory.path().join(&long)).unwrap();
    create.commit().unwrap();
    File::create(directory.path().join("other")).unwrap();
    assert_eq!(names(directory.path()), [&*long, "other"]);
    let mode = |name| fs::metadata(directory.path().join(name)).unwrap().mode();
    assert_eq!(mode(&*long), mode("other"));
}

/// Otherwise another user could open the new file while it is empty, and read it when it is complete.
#[test]
fn private_file_is_never_open_to_others() {
    let directory = directory("old");
    let out = directory.path().join("out");
    set_mode(&out, 0o600);
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let open_to_others = scope.spawn(|| {
            let mut modes = Vec::new();
            while !has_ended.load(Ordering::Relaxed) {
                let entries = fs::read_dir(directory.path()).unwrap();
                let files = entries.filter_map(|entry| entry.ok()?.metadata().ok());
                modes.extend(files.map(|file| file.mode() & 0o777));
            }
            modes.into_iter().find(|mode| *mode != 0o600)
        });
        for _ in 0..3000 {
            drop(new_file(&out).unwrap());
        }
        has_ended.store(true, Ordering::Relaxed);
        assert_eq!(open_to_others.join().unwrap(), None);
    });
}

#[test]
fn file_in_read_only_directory_is_overwritten_when_complete() {
    let directory = directory("old");
    let temporary = tempdir().unwrap();
    let out = directory.path().join("out");
    set_mode(&out, 0o666);
    set_mode(temporary.path(), 0o777);
    set_mode(directory.path(), 0o555);
    let run = |args: &[&str]| {
        let limited = limited("pipeline", directory.path(), "--core=0");
        let limited = limited.env("TMPDIR", temporary.path().to_str().unwrap());
        limited.args(args).arg("--output=out").start()
    };

    let mut endless = run(ENDLESS);
    eventually("work in hand", || {
        endless.stderr().text().contains("C 1").then_some(())
    });
    let names_meanwhile = names(temporary.path());
    let new = temporary.path().join(&names_meanwhile[0]);
    // Perhaps the directory was not only to be read-only, but to keep others out.
    assert_eq!(new.metadata().unwrap().mode() & 0o777, 0o600);
    interrupt_once(&mut endless);
    interrupt_again(&endless);
    endless.finish().assert_code(130);
    assert_eq!(fs::read_to_string(&out).unwrap(), "old");

    let output = run(SHORT).finish();
    output.assert_code(0);
    assert_eq!(fs::read_to_string(&out).unwrap(), LINES);
    assert_eq!(names(temporary.path()).len(), 0);
    // Without this, only root can remove it.
    set_mode(directory.path(), 0o755);
}

/// It may have no path, and its reader has opened it already.
#[test]
fn file_of_descriptor_is_overwritten() {
    for remove in ["", "rm out;"] {
        let directory = directory("old text that is longer");
        let script = format!(r#"exec 7<out; {remove} "$0" "$@" >/dev/null; cat <&7"#);
        let shell = command("sh", directory.path()).args(["-c", &script]);
        let program = shell.arg(example("pipeline")).args(SHORT);
        let output = program.arg("--output=/dev/fd/7").run();
        assert_eq!(output.stdout.text(), LINES, "{:?}", output.stderr);
        let names = names(directory.path());
        assert_eq!(
            names,
            if remove.is_empty() {
                vec!["out"]
            } else {
                vec![]
            }
        );
    }
}

/// A new file would belong to another user than the old one.
#[test]
fn file_of_another_user_is_overwritten() {
    if !Uid::effective().is_root() {
        // It cannot make such a file.
        return;
    }
    let directory = directory("old");
    let out = directory.path().join("out");
    set_mode(&out, 0o666);
    set_mode(directory.path(), 0o777);
    let limited = limited("pipeline", directory.path(), "--core=0");
    let output = limited.args(SHORT).arg("--output=out").run();
    output.assert_code(0);
    assert_eq!(fs::read_to_string(&out).unwrap(), LINES);
    let file = fs::metadata(&out).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (0, 0, 0o666));
    assert_eq!(names(directory.path()), ["out"]);
}

#[test]
fn link_is_followed_in_any_directory() {
    // Not a descriptor, though it is below /dev.
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else {
        return;
    };
    let path = |name| directory.path().join(name);
    symlink("new", path("link")).unwrap();
    new_file(&path("link")).unwrap().commit().unwrap();
    assert_eq!(fs::read_to_string(path("new")).unwrap(), LINES);
    assert_eq!(names(directory.path()), ["link", "new"]);
}

#[test]
fn error_does_not_name_temporary_file() {
    let directory = tempdir().unwrap();
    set_mode(directory.path(), 0o555);
    let limited = limited("pipeline", directory.path(), "--core=0");
    let output = limited.args(SHORT).arg("--output=new").run();
    output.assert_code(1);
    let error = "pipeline: cannot create \"new\": Permission denied (os error 13)\n";
    assert_eq!(output.stderr.text(), error);
    set_mode(directory.path(), 0o755);
}

#[test]
fn new_file_has_group_of_old_one() {
    const GROUP: u32 = 4242;
    let directory = directory("old");
    let out = directory.path().join("out");
    if chown(&out, None, Some(GROUP)).is_err() {
        // Only root may give it to any group.
        return;
    }
    let old = fs::metadata(&out).unwrap();
    new_file(&out).unwrap().commit().unwrap();
    let new = fs::metadata(&out).unwrap();
    assert_eq!(new.gid(), GROUP);
    assert_ne!(new.ino(), old.ino(), "it is overwritten, and not replaced");
}

#[test]
fn file_that_was_overwritten_in_part_is_named() {
    let old = directory("old");
    let file = File::options()
        .write(true)
        .open(old.path().join("out"))
        .unwrap();
    let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    let commit = || {
        let new = new_file(Path::new(&descriptor)).unwrap();
        fail_call(libc::SYS_ftruncate);
        new.commit()
    };
    let error = thread::scope(|scope| scope.spawn(commit).join().unwrap().unwrap_err());
    let error = error.to_string();
    let (_, kept) = error
        .split_once("; it may be incomplete now; what was written is in \"")
        .unwrap();
    let kept = Path::new(kept.trim_end_matches('"'));
    assert_eq!(fs::read_to_string(kept).unwrap(), LINES);
    fs::remove_file(kept).unwrap();
}

#[test]
fn file_that_cannot_be_synced_is_kept() {
    let directory = directory("old");
    let out = directory.path().join("out");
    let sync = || {
        fail_call(libc::SYS_fsync);
        let new = new_file(&out).unwrap();
        new.commit()
    };
    // The thread, because it can do nothing else after this.
    let error = thread::scope(|scope| scope.spawn(sync).join().unwrap().unwrap_err());
    assert_eq!(fs::read_to_string(&out).unwrap(), "old");
    let error = error.to_string();
    let (_, kept) = error.split_once("; what was written is in \"").unwrap();
    let kept = fs::read_to_string(kept.trim_end_matches('"')).unwrap();
    assert_eq!(kept, LINES);
}

/// From now on, a system call fails in this thread.
fn fail_call(number: libc::c_long) {
    const NUMBER_OF_CALL: u32 = 0;
    let statement = |code: u32, k, jf| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    let mut program = [
        statement(
            libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
            NUMBER_OF_CALL,
            0,
        ),
        statement(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            number as u32,
            1,
        ),
        statement(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | libc::EIO as u32,
            0,
        ),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: this takes no pointer.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel copies the program, which is as long as `len` says.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// A directory with a file `out`.
fn directory(text: &str) -> TempDir {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("out"), text).unwrap();
    directory
}

/// A new file that is complete, except that it has not replaced the old one.
fn new_file(path: &Path) -> io::Result<NewFile> {
    let new = Target::open(path)?.create()?;
    new.file()?.write_all(LINES.as_bytes())?;
    Ok(new)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}
