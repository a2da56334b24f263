//! Items that count their drops.

use std::sync::Arc;
use std::sync::Mutex;

/// Makes items and counts how often each is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Vec<u32>>>);

/// An item of a [`Tally`]. It is large and its alignment is high, and its drop checks its content, so that
/// a copy from or to the wrong place is seen.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Item {
    pub(crate) id: usize,
    tally: Tally,
    content: [usize; 40],
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
            content: [drops.len() - 1; 40],
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
        assert_eq!(
            self.content, [self.id; 40],
            "the content of item {}",
            self.id
        );
        self.tally.0.lock().unwrap()[self.id] += 1;
    }
}
