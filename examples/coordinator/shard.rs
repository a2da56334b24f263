//! The work of one reader. When the reader stops, or is dropped, what it has not begun is recorded as
//! unread.

use std::path::PathBuf;
use std::vec;

use super::coordinator::Left;
use super::unread::Stopped;
use crate::common::threads::lock;

/// The source of a reader's records.
pub(crate) enum Shard {
    Files(Vec<PathBuf>),
    /// Every `step`th number from `first` to `last`.
    Numbers {
        first: u64,
        last: u64,
        step: usize,
    },
}

/// Files to read.
pub(crate) struct Files<'a> {
    rest: vec::IntoIter<PathBuf>,
    unread: &'a Left<Stopped>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(files: Vec<PathBuf>, unread: &'a Left<Stopped>) -> Self {
        let rest = files.into_iter();
        Self { rest, unread }
    }
}

impl Iterator for Files<'_> {
    type Item = PathBuf;

    fn next(&mut self) -> Option<PathBuf> {
        self.rest.next()
    }
}

impl Drop for Files<'_> {
    fn drop(&mut self) {
        let rest = self.rest.by_ref();
        lock(self.unread).extend(rest.map(|path| Stopped::File { path, lines: None }));
    }
}

/// Numbers to generate.
pub(crate) struct Numbers<'a> {
    /// The next number, if it is not beyond the last one.
    first: Option<u64>,
    last: u64,
    step: usize,
    unread: &'a Left<Stopped>,
}

impl<'a> Numbers<'a> {
    pub(crate) fn new(first: u64, last: u64, step: usize, unread: &'a Left<Stopped>) -> Self {
        Self {
            first: (first <= last).then_some(first),
            last,
            step,
            unread,
        }
    }
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let number = self.first?;
        let next = number.checked_add(self.step as u64);
        self.first = next.filter(|next| *next <= self.last);
        Some(number)
    }
}

impl Drop for Numbers<'_> {
    fn drop(&mut self) {
        let (last, step) = (self.last, self.step);
        let rest = self.first.take();
        lock(self.unread).extend(rest.map(|first| Stopped::Numbers { first, last, step }));
    }
}
