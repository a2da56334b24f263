//! One worker function, which gets its jobs from a channel or from a broker.
//!
//! [`work`](mod@work) is that function; it knows neither. [`channel`] and [`broker`] call it on each job
//! and do what its [`Outcome`] says. README.md has the table of what becomes what.

#![forbid(unsafe_code)]

// what a worker function returns
mod outcome;
// the worker function: the only part that is about the jobs
pub mod work;
// its jobs from a channel of this process
pub mod channel;
// the stream of the jobs, and how they are published
pub mod queue;
// its jobs from a stream of NATS JetStream
pub mod broker;

pub use outcome::NotDone;
pub use outcome::Outcome;
