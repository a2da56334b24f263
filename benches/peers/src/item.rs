//! The items that are sent.

use std::hint::black_box;

/// An item that carries a value.
pub trait Item: Clone + Default + Send + Sync + Unpin + 'static {
    fn new(value: u64) -> Self;

    fn value(self) -> u64;
}

impl Item for u64 {
    #[inline]
    fn new(value: u64) -> Self {
        black_box(value)
    }

    #[inline]
    fn value(self) -> u64 {
        black_box(self)
    }
}

/// An item of 64 bytes.
#[derive(Clone, Default)]
pub struct Wide([u64; 8]);

impl Item for Wide {
    #[inline]
    fn new(value: u64) -> Self {
        black_box(Self([value; 8]))
    }

    #[inline]
    fn value(self) -> u64 {
        black_box(self).0[7]
    }
}
