//! Items that count their drops.

use std::sync::Arc;
use std::sync::Mutex;

/// Makes items and counts how often each is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Vec<u32>>>);

/// An item of a [`Tally`].
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: usize,
    tally: Tally,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn item(&self) -> Item {
        let mut drops = self.0.lock().unwrap();
        drops.push(0);
        Item {
            id: drops.len() - 1,
            tally: self.clone(),
        }
    }

    /// How often each item made so far was dropped, by its id.
    pub(crate) fn drops(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    /// How many items have been dropped.
    pub(crate) fn dropped(&self) -> u32 {
        self.0.lock().unwrap().iter().sum()
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.tally.0.lock().unwrap()[self.id] += 1;
    }
}
