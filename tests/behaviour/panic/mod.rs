//! Panics in user code: wakers, destructors, conversions.

mod faults;
mod freeing;
mod matrix;
mod nested;
mod pairs;
#[cfg(feature = "futures")]
mod running;
mod single;
