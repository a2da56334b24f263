//! The example programs, run as their users run them.
//!
//! [`contract`] has what every program must do on the command line. The other modules have what
//! only their program does.
//!
//! No test measures time. A test that needs a program in the middle of its work gives it more work
//! than [`PATIENCE`](program::PATIENCE) allows for, so that only what is tested can end it in time.

#![cfg(all(target_os = "linux", not(loom)))]

mod checksum;
#[path = "../../examples/common/mod.rs"]
mod common;
mod contract;
mod coordinator;
mod crawl;
mod executor;
mod files;
mod pipeline;
mod process_pool;
#[path = "../program/mod.rs"]
mod program;
