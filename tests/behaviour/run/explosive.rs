//! Futures whose destructors panic.

use std::error::Error;
use std::fmt;
use std::fmt::Display;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

/// A future whose destructor panics for odd numbers. It is ready for 9.
pub(super) struct Explosive(pub(super) u32);

impl Future for Explosive {
    type Output = Result<(), &'static str>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0 {
            9 => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        if self.0 % 2 == 1 {
            resume_unwind(Box::new("when dropped"));
        }
    }
}

/// A future that fails with an error. The destructors of both panic.
#[derive(Debug)]
pub(super) struct Doomed(pub(super) &'static str);

impl Display for Doomed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Doomed {}

impl Future for Doomed {
    type Output = Result<(), Self>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(Self("error")))
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        resume_unwind(Box::new(self.0));
    }
}
