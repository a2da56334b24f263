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
use crate::ending::end_with;
use crate::ending::record_received;
use crate::executor::TIME_LIMIT;
use crate::record::Item;
use crate::record::Outcome;
use crate::record::Record;
use crate::record::mark;

/// How many items are sent into each channel.
pub(crate) const ITEMS: usize = 5;

/// A handle or task, which keeps the memory of a channel.
enum Owner {
    Sender(Sender<Item>),
    Receiver(TaskReceiver<Item>),
    Monitor(Monitor<Item>),
    Task(Task<Item>),
}

/// What one of the two threads drops.
struct Half {
    owners: Vec<Owner>,
    rng: fastrand::Rng,
    record: Arc<Record>,
    /// How many threads are not yet ready to drop their half.
    not_ready: Arc<AtomicUsize>,
}

impl Half {
    fn drop_all(mut self) {
        self.not_ready.fetch_sub(1, Ordering::AcqRel);
        let mut spins = 0;
        while self.not_ready.load(Ordering::Acquire) != 0 {
            spins += 1;
            match spins < 1000 {
                true => spin_loop(),
                false => thread::yield_now(),
            }
        }
        for owner in self.owners {
            match owner {
                Owner::Sender(sender) => drop(sender),
                Owner::Receiver(receiver) => drop(receiver),
                Owner::Monitor(monitor) => drop(monitor),
                Owner::Task(task) => {
                    let outcome = Outcome::any(&mut self.rng);
                    end_with(task, &self.record, outcome, self.rng.bool());
                }
            }
        }
    }
}

/// Runs as many channels to their end as `cell` has producers.
pub(crate) fn run(cell: Cell) {
    let record = Arc::new(Record::new(cell));
    let (to_other, halves) = mpsc::channel::<Half>();
    let (dropped_by_other, dropped) = mpsc::channel();
    let other = thread::spawn(move || {
        for half in halves {
            half.drop_all();
            dropped_by_other.send(()).unwrap();
        }
    });
    let mut rng = cell.rng("halves");
    for channel in 0..cell.producers {
        let [ours, theirs] = halves_of_channel(channel, &record, &mut rng);
        to_other.send(theirs).unwrap();
        ours.drop_all();
        if let Err(error) = dropped.recv_timeout(TIME_LIMIT) {
            panic!("channel {channel}: {error}");
        }
        // The channel kept one of the errors.
        record.check_errors_are_gone();
    }
    drop(to_other);
    other.join().unwrap();
}

/// Makes a channel with items queued, tasks in hand and a kept error. Returns the two halves of its
/// owners.
fn halves_of_channel(channel: usize, record: &Arc<Record>, rng: &mut fastrand::Rng) -> [Half; 2] {
    let (sender, receiver) = tollgate::tasks(ITEMS);
    for attempt in 0..ITEMS {
        sender.try_send(record.item(channel, attempt)).ok().unwrap();
        record.item_sent(channel, attempt, mark::SENT);
    }
    let receive = || {
        let task = receiver.try_recv().unwrap();
        record_received(&task, record);
        task
    };
    record.end_begins(channel, 0, Outcome::Failed);
    receive().fail(record.error());

    let mut owners = Vec::new();
    for _ in 0..rng.usize(1..ITEMS) {
        owners.push(Owner::Task(receive()));
    }
    let stats = sender.monitor().stats();
    assert_each_is_counted(&stats);
    assert_eq!((stats.report.failed, stats.in_hand), (1, owners.len()));
    if rng.bool() {
        owners.push(Owner::Monitor(sender.monitor()));
    }
    owners.push(Owner::Sender(sender));
    owners.push(Owner::Receiver(receiver));
    rng.shuffle(&mut owners);

    let not_ready = Arc::new(AtomicUsize::new(2));
    let theirs = owners.split_off(owners.len() / 2);
    [owners, theirs].map(|owners| Half {
        owners,
        rng: rng.fork(),
        record: Arc::clone(record),
        not_ready: Arc::clone(&not_ready),
    })
}
