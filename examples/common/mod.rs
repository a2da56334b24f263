//! Code that the example programs share. None of it is about the channel.

#![allow(dead_code)] // Each program uses a part.

pub(crate) mod descriptors;
pub(crate) mod errors;
pub(crate) mod exit;
pub(crate) mod file;
pub(crate) mod interrupt;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod runtime;
pub(crate) mod start;
pub(crate) mod streams;
pub(crate) mod threads;
