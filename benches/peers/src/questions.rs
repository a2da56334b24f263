//! Questions that have a table of their own, besides the grid.

pub mod after;
pub mod batch;
mod comparison;
pub mod pair;
pub mod parked;
pub mod pingpong;
pub mod tasks;

pub use comparison::Ratio;
pub use comparison::compare;
