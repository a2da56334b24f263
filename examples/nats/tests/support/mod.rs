//! A cluster of real servers, and worker processes.

#![allow(dead_code)] // Each test program uses a part.

pub(crate) mod cluster;
pub(crate) mod pool;
pub(crate) mod worker;

#[path = "../../../../tests/program/mod.rs"]
pub(crate) mod program;
#[path = "../../../../tests/common/watchdog.rs"]
pub(crate) mod watchdog;

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

/// How long anything may take before a test fails, and says what it waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A program that the kernel kills when the thread that starts it ends, however that ends.
pub(crate) fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    // It becomes the program, so the process has the same id.
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}
