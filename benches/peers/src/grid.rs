//! The grid: runtime × topology × capacity × payload.

mod cell;
mod compare;
mod heat_map;
mod report;
mod table;

use std::rc::Rc;

pub use cell::Capacity;
pub use cell::Cell;
pub use cell::Payload;
pub use cell::Topology;
pub use cell::grid;
pub use compare::lowest;
pub use compare::own;
pub use heat_map::draw;
pub use report::Report;
pub use table::Raw;

use crate::channel::Channel;
use crate::channel::Received;
use crate::channel::Sent;
use crate::item::Item;
use crate::measure::Contestant;
use crate::measure::Outcome;
use crate::measure::Stopwatch;
use crate::peers::PEERS;
use crate::runtime::Runtime;

/// Moves a number of items through a new channel.
pub type MoveItems = fn(&Runtime, Cell, u64) -> Outcome;

/// All contestants that can take part in a cell. They share one runtime.
pub fn contestants(cell: Cell) -> Vec<Contestant<'static>> {
    let runtime = Rc::new(Runtime::start(cell.runtime));
    let mut contestants = Vec::new();
    for peer in PEERS {
        if let Some(moves) = peer.moves(cell) {
            let runtime = runtime.clone();
            let run = move |items| moves(&runtime, cell, items);
            contestants.push(Contestant::new(peer.name, run));
        }
    }
    contestants
}

/// Every sender sends its share of the values from 1 up, and every receiver adds up the values that it
/// receives. The time is taken from the first task that is spawned to the last task that ends.
pub fn move_items<C: Channel<T>, T: Item>(runtime: &Runtime, cell: Cell, items: u64) -> Outcome {
    let topology = cell.topology;
    let capacity = match cell.capacity {
        Capacity::Bounded(capacity) => capacity,
        Capacity::Unbounded => 0,
    };
    let (senders, receivers) = C::open(capacity, topology.senders, topology.receivers);
    let share = items.div_ceil(topology.senders as u64);
    let items = share * topology.senders as u64;

    let receivers = receivers.into_iter().map(add_up::<C, T>).collect();
    let senders = (0..).zip(senders).map(|(number, sender)| {
        let first = number * share + 1;
        send_each::<C, T>(sender, first, first + share)
    });
    let senders = senders.collect();
    let watch = Stopwatch::start();
    let sum = runtime.run(receivers, senders);
    let sample = watch.stop(items);

    let expected = items * (items + 1) / 2;
    if sum == expected {
        Ok(sample)
    } else {
        Err(format!("the items add up to {sum}, not {expected}"))
    }
}

async fn send_each<C: Channel<T>, T: Item>(mut sender: C::Sender, first: u64, end: u64) {
    for value in first..end {
        let sent = C::send(&mut sender, T::new(value)).await;
        assert!(
            sent.is_sent(),
            "there are receivers as long as there are senders"
        );
    }
}

async fn add_up<C: Channel<T>, T: Item>(mut receiver: C::Receiver) -> u64 {
    let mut sum = 0_u64;
    while let Some(item) = C::recv(&mut receiver).await.item() {
        sum = sum.wrapping_add(item.value());
    }
    sum
}
