//! The tasks of a simulation: receivers that share bursts of items, and senders that share the room
//! that a consumer makes.

use futures_util::StreamExt;

use tollgate::Receiver;
use tollgate::Sender;
use tollgate::kind;

use super::sim::Handle;
use super::sim::Line;
use super::sim::Policy;
use super::sim::Sim;
use crate::common::Given;
use crate::common::Kind;
use crate::common::ReceivedBy;
use crate::common::ReceiverOf;
use crate::common::take_one;

/// What a task does after it got an item or a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Tries to get the next one.
    Again,
    /// Lets others run first.
    Yield,
    /// Rests until the next round.
    Rest,
}

impl After {
    pub(crate) async fn run(self, handle: &Handle) {
        match self {
            Self::Again => {}
            Self::Yield => handle.yield_now().await,
            Self::Rest => handle.rest().await,
        }
    }
}

/// How receivers wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Futures,
    Streams,
    /// Every second receiver is a stream.
    Mixed,
}

/// Where the items come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Sent,
    /// Follow-ups of a task. Only task channels have these.
    FollowedUp,
    /// Either, at random; and every fourth task is retried.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Burst {
    Of(usize),
    UpTo(usize),
}

/// Callers that do not wait: they take `count` items or slots in one round in `every`, before any
/// task is polled. The rounds are random, since regular ones might always affect the same task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barging {
    pub(crate) every: u32,
    pub(crate) count: usize,
}

/// What disturbs the waiters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disturbance {
    pub(crate) barging: Option<Barging>,
    /// How many tasks give up after one or two polls, and wait anew. The first ones.
    pub(crate) fickle: usize,
    /// How many tasks are made to give up between two rounds, at random. The first ones.
    pub(crate) interrupted: usize,
    /// One wake in this many is delayed by a round; none if 0.
    pub(crate) late: u32,
    /// Whether tasks are polled without a wake.
    pub(crate) spurious: bool,
}

impl Disturbance {
    pub(crate) const NONE: Self = Self {
        barging: None,
        fickle: 0,
        interrupted: 0,
        late: 0,
        spurious: false,
    };

    /// How many tasks do not always wait until they succeed.
    fn unsteady(&self) -> usize {
        self.fickle.max(self.interrupted)
    }

    /// How many items or slots callers that do not wait take in this round.
    fn barge(&self, rng: &mut fastrand::Rng) -> usize {
        match self.barging {
            Some(Barging { every, count }) if rng.u32(..every) == 0 => count,
            _ => 0,
        }
    }

    /// Disturbs some of the first `tasks` tasks between two rounds.
    fn disturb(&self, sim: &mut Sim, tasks: usize, rng: &mut fastrand::Rng) {
        if self.interrupted != 0 && rng.u32(..3) == 0 {
            sim.interrupt(rng.usize(..self.interrupted));
        }
        if self.spurious && rng.bool() {
            sim.poll_spuriously(rng.usize(..tasks));
        }
    }

    /// After how many pending polls a task gives up.
    fn patience(&self, index: usize) -> u32 {
        match index < self.fickle {
            true => 2 + index as u32 % 2,
            false => u32::MAX,
        }
    }
}

/// The result of a simulation.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The shares of the tasks that never give up.
    pub(crate) shares: Vec<u64>,
    /// The share of each task if all were equal.
    pub(crate) even: u64,
    /// Whether all tasks were woken in order of arrival.
    pub(crate) order: Result<(), String>,
}

impl Outcome {
    fn new(sim: &Sim, tasks: usize, unsteady: usize) -> Self {
        let shares = sim.shares();
        Self {
            shares: shares[unsteady..tasks].to_vec(),
            even: shares[..tasks].iter().sum::<u64>() / tasks as u64,
            order: sim.no_waiter_is_overtaken(),
        }
    }

    /// Checks that each task got at least half of an even share.
    pub(crate) fn no_waiter_starves(&self) -> Result<(), String> {
        if self.even < 20 {
            return Err(format!("too few to judge: {self:?}"));
        }
        match self.shares.iter().all(|share| 2 * share >= self.even) {
            true => Ok(()),
            false => Err(format!("of {} each: {:?}", self.even, self.shares)),
        }
    }
}

/// Receivers and bursts of items for them. A burst is sent when no task is runnable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receivers {
    pub(crate) seed: u64,
    pub(crate) policy: Policy,
    pub(crate) receivers: usize,
    pub(crate) burst: Burst,
    pub(crate) rounds: u64,
    pub(crate) style: Style,
    pub(crate) after: After,
    pub(crate) source: Source,
    pub(crate) disturbance: Disturbance,
}

impl Receivers {
    pub(crate) fn run<K: Kind>(&self) -> Result<Outcome, String> {
        let mut rng = fastrand::Rng::with_seed(!self.seed);
        let (sender, receiver) = K::channel(self.largest_burst());
        let parent = self.parent::<K>(&sender, &receiver);
        let mut sim = Sim::new(self.policy, self.seed);
        for index in 0..self.receivers {
            let receiver = receiver.clone();
            sim.spawn(|handle| self.receiver::<K>(handle, receiver, index));
        }
        sim.settle()?;
        sim.delay_one_wake_in(self.disturbance.late);
        for _ in 0..self.rounds {
            for _ in 0..self.size_of_burst(&mut rng) {
                // Some items may be left, if the woken tasks are delayed or rest.
                if receiver.len() == self.largest_burst() {
                    break;
                }
                match &parent {
                    Some(task) if self.source == Source::FollowedUp || rng.bool() => {
                        task.follow_up(1);
                    }
                    _ => sender.try_send(1).unwrap(),
                }
            }
            for _ in 0..self.disturbance.barge(&mut rng) {
                let _ = take_one(&receiver);
            }
            self.rest(&mut sim, &receiver)?;
            self.disturbance.disturb(&mut sim, self.receivers, &mut rng);
            self.rest(&mut sim, &receiver)?;
            // They find what they were woken for, unless another task took it.
            sim.catch_up();
            sim.next_round();
            self.rest(&mut sim, &receiver)?;
        }
        let outcome = Outcome::new(&sim, self.receivers, self.disturbance.unsteady());
        sim.delay_one_wake_in(0);
        sender.close();
        drop(parent);
        run_to_end(sim)?;
        Ok(outcome)
    }

    fn largest_burst(&self) -> usize {
        match self.burst {
            Burst::Of(size) | Burst::UpTo(size) => size,
        }
    }

    fn size_of_burst(&self, rng: &mut fastrand::Rng) -> usize {
        match self.burst {
            Burst::Of(size) => size,
            Burst::UpTo(most) => rng.usize(..=most),
        }
    }

    /// A task whose follow-ups are the source, if there is one.
    fn parent<K: Kind>(
        &self,
        sender: &Sender<u32>,
        receiver: &ReceiverOf<K>,
    ) -> Option<ReceivedBy<K>> {
        (self.source != Source::Sent).then(|| {
            sender.try_send(0).unwrap();
            receiver.try_recv().unwrap()
        })
    }

    async fn receiver<K: Kind>(self, handle: Handle, receiver: ReceiverOf<K>, index: usize) {
        let patience = self.disturbance.patience(index);
        let streams = match self.style {
            Style::Futures => false,
            Style::Streams => true,
            Style::Mixed => index % 2 == 1,
        };
        let mut received = 0_u32;
        let mut stream = receiver.clone();
        loop {
            let given = match streams {
                true => {
                    let next = stream.next();
                    handle.wait_patiently(Line::Items, next, patience).await
                }
                false => {
                    let recv = receiver.recv();
                    let given = handle.wait_patiently(Line::Items, recv, patience).await;
                    given.map(Result::ok)
                }
            };
            match given {
                // A stream waits until it is dropped.
                None => {
                    stream = receiver.clone();
                    handle.yield_now().await;
                    continue;
                }
                Some(None) => break,
                Some(Some(given)) => {
                    handle.count();
                    received += 1;
                    match self.source == Source::Both && received % 4 == 0 {
                        true => given.retry(),
                        false => drop(given.end()),
                    }
                }
            }
            self.after.run(&handle).await;
        }
    }

    /// Runs until no task is runnable.
    fn rest<K>(&self, sim: &mut Sim, receiver: &Receiver<u32, K>) -> Result<(), String>
    where
        K: kind::Kind,
    {
        sim.settle()?;
        sim.no_wake_is_lost(Line::Items, receiver.len())
    }
}

/// What makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// A task that waits for an item, takes what is there, and rests until the next round.
    Task,
    /// A caller that takes items when no task is runnable.
    Caller,
}

/// Senders, and a consumer that takes up to `batch` items in a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Senders {
    pub(crate) seed: u64,
    pub(crate) policy: Policy,
    pub(crate) senders: usize,
    pub(crate) capacity: usize,
    pub(crate) batch: usize,
    pub(crate) rounds: u64,
    pub(crate) after: After,
    pub(crate) consumer: Consumer,
    pub(crate) disturbance: Disturbance,
}

impl Senders {
    pub(crate) fn run<K: Kind>(&self) -> Result<Outcome, String> {
        let mut rng = fastrand::Rng::with_seed(!self.seed);
        let (sender, receiver) = K::channel(self.capacity);
        let mut sim = Sim::new(self.policy, self.seed);
        for index in 0..self.senders {
            let sender = sender.clone();
            sim.spawn(|handle| self.sender(handle, sender, index));
        }
        if self.consumer == Consumer::Task {
            let receiver = receiver.clone();
            sim.spawn(|handle| self.consumer::<K>(handle, receiver));
        }
        sim.settle()?;
        sim.delay_one_wake_in(self.disturbance.late);
        for _ in 0..self.rounds {
            if self.consumer == Consumer::Caller {
                (0..self.batch).for_each(|_| _ = take_one(&receiver));
            }
            for _ in 0..self.disturbance.barge(&mut rng) {
                let _ = sender.try_send(0);
            }
            self.rest(&mut sim, &sender)?;
            self.disturbance.disturb(&mut sim, self.senders, &mut rng);
            self.rest(&mut sim, &sender)?;
            sim.catch_up();
            sim.next_round();
            self.rest(&mut sim, &sender)?;
        }
        let outcome = Outcome::new(&sim, self.senders, self.disturbance.unsteady());
        sim.delay_one_wake_in(0);
        receiver.close();
        drop(receiver);
        run_to_end(sim)?;
        Ok(outcome)
    }

    async fn sender(self, handle: Handle, sender: Sender<u32>, index: usize) {
        let patience = self.disturbance.patience(index);
        loop {
            let send = sender.send(1);
            match handle.wait_patiently(Line::Room, send, patience).await {
                None => handle.yield_now().await,
                Some(Err(_)) => break,
                Some(Ok(())) => {
                    handle.count();
                    self.after.run(&handle).await;
                }
            }
        }
    }

    async fn consumer<K: Kind>(self, handle: Handle, receiver: ReceiverOf<K>) {
        while let Some(Ok(first)) = handle.wait(Line::Items, receiver.recv()).await {
            first.end();
            for _ in 1..self.batch {
                let _ = take_one(&receiver);
            }
            handle.rest().await;
        }
    }

    /// Runs until no task is runnable.
    fn rest(&self, sim: &mut Sim, sender: &Sender<u32>) -> Result<(), String> {
        sim.settle()?;
        sim.no_wake_is_lost(Line::Room, self.capacity - sender.len())?;
        sim.no_wake_is_lost(Line::Items, sender.len())
    }
}

/// Runs all tasks to their end, after the channel was closed.
pub(crate) fn run_to_end(mut sim: Sim) -> Result<(), String> {
    // Tasks that rest take one item in a round, and may retry it a few times.
    for _ in 0..1_000 {
        sim.catch_up();
        sim.settle()?;
        if sim.are_all_done() {
            return Ok(());
        }
        sim.next_round();
    }
    Err(String::from("lost wake: tasks wait after the close"))
}

/// How often each waiter is served: under a random policy, often enough to tell chance from
/// unfairness.
pub(crate) fn turns(policy: Policy) -> u64 {
    match policy {
        Policy::Fifo => 30,
        Policy::Random => 90,
    }
}

pub(crate) const FIVE_RECEIVERS: Receivers = Receivers {
    seed: 1,
    policy: Policy::Fifo,
    receivers: 5,
    burst: Burst::Of(2),
    rounds: 1_000,
    style: Style::Futures,
    after: After::Yield,
    source: Source::Sent,
    disturbance: Disturbance::NONE,
};

pub(crate) const THREE_SENDERS: Senders = Senders {
    seed: 1,
    policy: Policy::Fifo,
    senders: 3,
    capacity: 2,
    batch: 2,
    rounds: 400,
    after: After::Again,
    consumer: Consumer::Task,
    disturbance: Disturbance::NONE,
};
