//! Two threads drop the handles and tasks of one channel at once: the last of them frees it, once.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use tollgate::Monitor;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::cell::Cell;
use crate::common::assert_each_is_counted;
use crate::executor::PATIENCE;
use crate::inbound::arrived;
use crate::inbound::settle;
use crate::truth::Item;
use crate::truth::Outcome;
use crate::truth::Truth;
use crate::truth::mark;

/// How many items are sent into each channel.
pub(crate) const ITEMS: usize = 5;

/// A handle or task, which keeps a channel alive.
enum Piece {
    Sender(Sender<Item>),
    Receiver(TaskReceiver<Item>),
    Monitor(Monitor<Item>),
    Task(Task<Item>),
}

struct Pile {
    pieces: Vec<Piece>,
    rng: fastrand::Rng,
    truth: Arc<Truth>,
    /// How many piles are not yet ready to be cleared.
    gate: Arc<AtomicUsize>,
}

impl Pile {
    fn clear(mut self) {
        self.gate.fetch_sub(1, Ordering::AcqRel);
        let mut spins = 0;
        while self.gate.load(Ordering::Acquire) != 0 {
            spins += 1;
            match spins < 1000 {
                true => spin_loop(),
                false => thread::yield_now(),
            }
        }
        for piece in self.pieces {
            match piece {
                Piece::Sender(sender) => drop(sender),
                Piece::Receiver(receiver) => drop(receiver),
                Piece::Monitor(monitor) => drop(monitor),
                Piece::Task(task) => {
                    let outcome = Outcome::any(&mut self.rng);
                    settle(task, &self.truth, outcome, self.rng.bool());
                }
            }
        }
    }
}

/// Runs as many channels to their end as `cell` has producers.
pub(crate) fn run(cell: Cell) {
    let truth = Arc::new(Truth::new(cell));
    let (to_partner, piles) = mpsc::channel::<Pile>();
    let (to_us, cleared) = mpsc::channel();
    let partner = thread::spawn(move || {
        for pile in piles {
            pile.clear();
            to_us.send(()).unwrap();
        }
    });
    let mut rng = cell.rng("piles");
    for channel in 0..cell.producers {
        let [ours, theirs] = piles_of_a_channel(channel, &truth, &mut rng);
        to_partner.send(theirs).unwrap();
        ours.clear();
        if let Err(error) = cleared.recv_timeout(PATIENCE) {
            panic!("channel {channel}: {error}");
        }
        // The channel kept one of the errors.
        truth.check_errors_are_gone();
    }
    drop(to_partner);
    partner.join().unwrap();
}

/// Makes a channel with items queued, tasks in hand and a kept error; splits it into two piles.
fn piles_of_a_channel(channel: usize, truth: &Arc<Truth>, rng: &mut fastrand::Rng) -> [Pile; 2] {
    let (sender, receiver) = tollgate::tasks(ITEMS);
    for attempt in 0..ITEMS {
        sender.try_send(truth.item(channel, attempt)).ok().unwrap();
        truth.item_sent(channel, attempt, mark::SENT);
    }
    let receive = || {
        let task = receiver.try_recv().unwrap();
        arrived(&task, truth);
        task
    };
    truth.end_begins(channel, 0, Outcome::Failed);
    receive().fail(truth.error());

    let mut pieces = Vec::new();
    for _ in 0..rng.usize(1..ITEMS) {
        pieces.push(Piece::Task(receive()));
    }
    let stats = sender.monitor().stats();
    assert_each_is_counted(&stats);
    assert_eq!((stats.report.failed, stats.in_hand), (1, pieces.len()));
    if rng.bool() {
        pieces.push(Piece::Monitor(sender.monitor()));
    }
    pieces.push(Piece::Sender(sender));
    pieces.push(Piece::Receiver(receiver));
    rng.shuffle(&mut pieces);

    let gate = Arc::new(AtomicUsize::new(2));
    let theirs = pieces.split_off(pieces.len() / 2);
    [pieces, theirs].map(|pieces| Pile {
        pieces,
        rng: rng.fork(),
        truth: Arc::clone(truth),
        gate: Arc::clone(&gate),
    })
}
