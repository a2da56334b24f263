//! The failures that a channel keeps.

use alloc::sync::Arc;

use crate::report::Failure;
use crate::report::Failures;

/// The oldest failures since one was last taken. It is used under a lock, so its methods run no user code: they
/// clone errors, which are shared, but drop none.
pub(crate) enum Kept {
    /// The first only, which needs no memory of its own.
    First(Option<Failure>),
    /// The first `most`. Each [`JoinError`](crate::JoinError) shares the list as it was at its instant.
    Several { most: usize, list: Arc<Failures> },
}

impl Kept {
    /// Keeps the first failure, and those that follow it, up to `most`.
    pub(crate) fn up_to(most: usize) -> Self {
        if most <= 1 {
            return Self::First(None);
        }
        Self::Several {
            most,
            list: Arc::default(),
        }
    }

    /// Keeps a failure if there is room. Returns whether it is the first. Returns the failure if it is not
    /// kept, because its destructor is user code.
    pub(crate) fn keep(&mut self, failure: Failure) -> Result<bool, Failure> {
        match self {
            Self::First(Some(_)) => Err(failure),
            Self::First(first) => {
                *first = Some(failure);
                Ok(true)
            }
            Self::Several { most, list } => Arc::make_mut(list).keep(failure, *most),
        }
    }

    pub(crate) fn first(&self) -> Option<Failure> {
        match self {
            Self::First(first) => first.clone(),
            Self::Several { list, .. } => list.first().cloned(),
        }
    }

    /// All that are kept, if that may be more than the first.
    pub(crate) fn list(&self) -> Option<Arc<Failures>> {
        match self {
            Self::First(_) => None,
            Self::Several { list, .. } => Some(Arc::clone(list)),
        }
    }

    pub(crate) fn take_first(&mut self) -> Option<Failure> {
        match self {
            Self::First(first) => first.take(),
            Self::Several { list, .. } => {
                list.first()?;
                Arc::make_mut(list).take_first()
            }
        }
    }
}
