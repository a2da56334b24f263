//! The program and its workers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::TempDir;

use super::ENDLESS;
use super::account::Account;
use super::account::lines_with;
use crate::program::Bytes;
use crate::program::Invocation;
use crate::program::Output;
use crate::program::Pipe;
use crate::program::Run;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;
use crate::program::lines_of;
use crate::program::next;

/// Runs of the program whose workers differ from those of all other tests.
pub(super) struct Program {
    /// An option that the program passes on to its workers, with an item that no run has.
    pub(super) mark: String,
}

impl Program {
    pub(super) fn new() -> Self {
        static PROGRAMS: AtomicU64 = AtomicU64::new(0);
        let number = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        let item = (1 << 62) + (u64::from(process::id()) << 16) + number;
        let mark = format!("--crash-on={item}");
        Self { mark }
    }

    /// The program in a new process group, as a shell starts it.
    pub(super) fn invoke(&self) -> Invocation {
        self.invoke_at(&example("process_pool"))
    }

    pub(super) fn invoke_at(&self, program: &Path) -> Invocation {
        let setsid = command("setsid", Path::new("/"));
        setsid.arg(program).arg(&self.mark)
    }

    /// All worker processes. One that is being started may be missing.
    pub(super) fn workers(&self) -> Vec<Pid> {
        let is_worker = |process: &Path| {
            // Empty for a zombie.
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            let has = |arg: &str| line.split(|byte| *byte == 0).any(|a| a == arg.as_bytes());
            has("--worker") && has(&self.mark)
        };
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let process = entry.ok()?.path();
                let pid = process.file_name()?.to_str()?.parse().ok()?;
                is_worker(&process).then_some(Pid::from_raw(pid))
            })
            .collect()
    }

    #[track_caller]
    pub(super) fn assert_gone(&self) {
        assert_eq!(self.workers(), [], "workers are left");
    }

    /// Waits until all workers have ended, which they do soon after their parent.
    #[track_caller]
    pub(super) fn wait_until_gone(&self) {
        eventually("the workers to end", || {
            self.workers().is_empty().then_some(())
        });
    }
}

pub(super) fn pid_of(run: &Run) -> Pid {
    Pid::from_raw(run.child.id().try_into().unwrap())
}

/// A run with three workers at items that take longer than any test.
pub(super) fn busy_workers() -> (Program, Run) {
    let pool = Program::new();
    let run = pool.invoke().args([ENDLESS, "-w3", "-v"]).start();
    wait_for_starts(&run, 3);
    (pool, run)
}

pub(super) fn wait_for_results(run: &Run, number: usize) {
    eventually("results", || {
        (run.captured("stdout").text().lines().count() >= number).then_some(())
    });
}

pub(super) fn wait_for_starts(run: &Run, number: usize) {
    eventually("the workers", || {
        (lines_with(&run.stderr(), " started") == number).then_some(())
    });
}

/// Starts a copy of the program, changes it by `change`, and kills its busy worker.
pub(super) fn run_with_changed_program(change: impl FnOnce(&Path)) -> (Output, Program) {
    let directory = tempfile::tempdir().unwrap();
    let copy = copy_into(&directory);
    let pool = Program::new();
    let run = pool.invoke_at(&copy).args([ENDLESS, "-w1", "-v"]).start();
    wait_for_starts(&run, 1);
    change(&copy);
    kill(pool.workers()[0], Signal::SIGKILL).unwrap();

    let output = run.finish();
    let account = Account::of(&output, 1..1001);
    // The item had two attempts left.
    assert_eq!((account.received, account.failed), (2, 0));
    assert_eq!((account.retried, account.left), (1, 1000));
    (output, pool)
}

/// A copy of the program, which can be replaced.
pub(super) fn copy_into(directory: &TempDir) -> PathBuf {
    let copy = directory.path().join("copy");
    // Not copied by this process, for the same reason as in `replace`.
    let cp = command("cp", directory.path()).arg(example("process_pool"));
    cp.arg(&copy).run().assert_code(0);
    copy
}

/// Replaces a program by a script, and renames the program to `former`.
pub(super) fn replace(program: &Path, script: &str) {
    // Not written by this process: a child that another test starts at the same time would inherit
    // the open file, and a file that is open for writing cannot be executed.
    let replace = r#"printf '#!/bin/sh\n%s\n' "$1" >new && chmod +x new &&
        ln "$0" former && mv new "$0""#;
    let sh = command("sh", program.parent().unwrap()).args(["-c", replace]);
    sh.arg(program).arg(script).run().assert_code(0);
}

/// Kills a worker after every `every` results. Also returns the number of kills.
///
/// The results are read from a pipe that cannot hold all of them, so the program cannot end before
/// most kills, however slow the test is.
pub(super) fn run_with_kills(items: u64, limit: &str, every: usize) -> (Output, usize) {
    let seed = fastrand::u64(..);
    eprintln!("seed: {seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let pool = Program::new();
    let pipe = Pipe::new();
    let items = format!("--items={items}");
    let options = ["--workers=4", "--pause=1", "--verbose", &items, limit];
    let run = pool.invoke().args(options).stdout(pipe.write).start();
    let results = lines_of(pipe.read);

    let mut killed = BTreeSet::new();
    let mut stdout = String::new();
    for number in 1.. {
        let Some(line) = next(&results) else {
            break;
        };
        stdout.push_str(&line);
        stdout.push('\n');
        if number % every == 0 {
            killed.extend(kill_one(&pool, &killed, &mut random));
        }
    }
    let mut output = run.finish();
    pool.assert_gone();
    output.stdout = Bytes(stdout.into_bytes());
    eprintln!(
        "{} kills; {:?}",
        killed.len(),
        output.stderr.text().lines().last()
    );
    (output, killed.len())
}

/// Kills a worker that has not been killed before, if there is one. It need not be ready.
fn kill_one(pool: &Program, killed: &BTreeSet<Pid>, random: &mut fastrand::Rng) -> Option<Pid> {
    let mut alive = pool.workers();
    alive.retain(|pid| !killed.contains(pid));
    let pid = random.choice(alive)?;
    kill(pid, Signal::SIGKILL).is_ok().then_some(pid)
}
