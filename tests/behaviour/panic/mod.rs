//! Panics in user code: wakers, destructors, conversions.
//!
//! Without `std`, only single panics are tested: a second one in the same call aborts the process, and
//! a task that a panic drops counts as abandoned.

#![cfg_attr(
    not(feature = "std"),
    expect(dead_code, reason = "only `pairs` uses all of it")
)]

mod faults;
mod freeing;
mod matrix;
mod nested;
#[cfg(feature = "std")]
mod pairs;
#[cfg(all(feature = "std", feature = "futures"))]
mod running;
#[cfg(feature = "std")]
mod several;
mod single;
