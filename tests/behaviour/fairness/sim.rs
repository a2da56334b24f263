//! A deterministic executor that knows which task waits for what.
//!
//! Tasks wait in one of two lines, through [`Handle::wait`]. The executor sees every wake, so it knows
//! at each moment which tasks are parked, since when, and which ones were woken.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::future::Future;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use fastrand::Rng;

/// Which runnable task is polled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The one that became runnable first.
    Fifo,
    /// A random one.
    Random,
}

pub(crate) const POLICIES: [Policy; 2] = [Policy::Fifo, Policy::Random];

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Items,
    Room,
}

/// A task's position in a line. The number counts arrivals: a task arrives with the first poll that
/// returns `Pending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    /// Not woken since the last poll.
    Parked(Line, u64),
    /// Woken, and not polled since.
    Woken(Line, u64),
}

#[derive(Debug)]
struct TaskState {
    place: Place,
    /// Whether it is in the ready queue, or delayed.
    woken: bool,
    /// Whether it is not polled even if it is woken.
    unpolled: bool,
    /// Whether it gives up waiting at the next poll.
    interrupted: bool,
    share: u64,
}

/// State that the tasks, their wakers and the executor share.
#[derive(Debug)]
struct Shared {
    ready: VecDeque<usize>,
    states: Vec<TaskState>,
    /// The arrival numbers and ids of the tasks parked in each line.
    parked: [BTreeSet<(u64, usize)>; 2],
    arrivals: u64,
    /// Tasks that rest until the next round, in the order in which they began to.
    resting: Vec<usize>,
    rounds: u64,
    /// The first wake of a task while an earlier one was parked.
    overtaking: Option<String>,
    /// One wake in this many is delayed; none if 0.
    late: u32,
    /// Tasks whose wake is delayed.
    delayed: Vec<usize>,
    rng: Rng,
}

impl Shared {
    fn line(&mut self, line: Line) -> &mut BTreeSet<(u64, usize)> {
        &mut self.parked[line as usize]
    }

    fn place(&mut self, id: usize, place: Place) {
        if let Place::Parked(line, number) = mem::replace(&mut self.states[id].place, place) {
            self.line(line).remove(&(number, id));
        }
        if let Place::Parked(line, number) = place {
            self.line(line).insert((number, id));
        }
    }

    fn woken(&mut self, id: usize) {
        if let Place::Parked(line, number) = self.states[id].place {
            let first = *self.line(line).first().expect("this one is parked");
            if first != (number, id) && self.overtaking.is_none() {
                self.overtaking = Some(format!(
                    "{line:?}: task {id} is woken while task {} is parked and came earlier",
                    first.1
                ));
            }
            self.place(id, Place::Woken(line, number));
        }
        if mem::replace(&mut self.states[id].woken, true) || self.states[id].unpolled {
            return;
        }
        if self.late != 0 && self.rng.u32(..self.late) == 0 {
            self.delayed.push(id);
        } else {
            self.ready.push_back(id);
        }
    }

    /// How many tasks of a line were woken and are not about to be polled.
    fn absent(&self, line: Line) -> usize {
        let absent = self.states.iter().enumerate().filter(|(id, state)| {
            matches!(state.place, Place::Woken(at, _) if at == line)
                && (state.unpolled || self.delayed.contains(id))
        });
        absent.count()
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap()
}

struct TaskWaker {
    shared: Arc<Mutex<Shared>>,
    id: usize,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.shared).woken(self.id);
    }
}

/// A task's access to the executor.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    shared: Arc<Mutex<Shared>>,
    id: usize,
}

/// A future that waits in a line; its output is `None` if the task gives up.
struct Waiting<'a, F> {
    handle: &'a Handle,
    line: Line,
    future: F,
    number: Option<u64>,
    /// The number of pending polls after which the task gives up.
    patience: u32,
}

impl<F: Future + Unpin> Future for Waiting<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { handle, line, .. } = *self;
        {
            let mut shared = lock(&handle.shared);
            shared.place(handle.id, Place::Nowhere);
            if mem::take(&mut shared.states[handle.id].interrupted) {
                return Poll::Ready(None);
            }
        }
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        let mut shared = lock(&handle.shared);
        if shared.states[handle.id].woken {
            // It asked to be polled again.
            if let Some(number) = self.number {
                shared.place(handle.id, Place::Woken(line, number));
            }
            return Poll::Pending;
        }
        self.patience -= 1;
        if self.patience == 0 {
            return Poll::Ready(None);
        }
        let number = *self.number.get_or_insert_with(|| {
            shared.arrivals += 1;
            shared.arrivals
        });
        shared.place(handle.id, Place::Parked(line, number));
        Poll::Pending
    }
}

impl Handle {
    /// Waits in `line`; returns `None` if it was interrupted.
    pub(crate) async fn wait<F: Future + Unpin>(&self, line: Line, future: F) -> Option<F::Output> {
        self.wait_patiently(line, future, u32::MAX).await
    }

    /// Waits in `line`, and gives up after `patience` pending polls.
    pub(crate) async fn wait_patiently<F: Future + Unpin>(
        &self,
        line: Line,
        future: F,
        patience: u32,
    ) -> Option<F::Output> {
        let waiting = Waiting {
            handle: self,
            line,
            future,
            number: None,
            patience,
        };
        waiting.await
    }

    /// Counts one item or slot as this task's share.
    pub(crate) fn count(&self) {
        lock(&self.shared).states[self.id].share += 1;
    }

    /// Lets the other runnable tasks run.
    pub(crate) async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|cx| {
            if mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Rests until the next round.
    pub(crate) async fn rest(&self) {
        let round = {
            let mut shared = lock(&self.shared);
            shared.resting.push(self.id);
            shared.rounds
        };
        poll_fn(|_| match lock(&self.shared).rounds.cmp(&round) {
            Ordering::Greater => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }
}

struct Task {
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    waker: Waker,
}

pub(crate) struct Sim {
    shared: Arc<Mutex<Shared>>,
    tasks: Vec<Task>,
    policy: Policy,
    rng: Rng,
}

impl Sim {
    pub(crate) fn new(policy: Policy, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let shared = Shared {
            ready: VecDeque::new(),
            states: Vec::new(),
            parked: [BTreeSet::new(), BTreeSet::new()],
            arrivals: 0,
            resting: Vec::new(),
            rounds: 0,
            overtaking: None,
            late: 0,
            delayed: Vec::new(),
            rng: rng.fork(),
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            tasks: Vec::new(),
            policy,
            rng,
        }
    }

    /// Starts a task and returns its id; ids count from 0.
    pub(crate) fn spawn<F>(&mut self, task: impl FnOnce(Handle) -> F) -> usize
    where
        F: Future<Output = ()> + 'static,
    {
        let id = self.tasks.len();
        let shared = Arc::clone(&self.shared);
        lock(&shared).states.push(TaskState {
            place: Place::Nowhere,
            woken: true,
            unpolled: false,
            interrupted: false,
            share: 0,
        });
        lock(&shared).ready.push_back(id);
        let future = Box::pin(task(Handle {
            shared: Arc::clone(&shared),
            id,
        }));
        self.tasks.push(Task {
            future: Some(future),
            waker: Waker::from(Arc::new(TaskWaker { shared, id })),
        });
        id
    }

    /// Polls a runnable task; returns whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        let next = {
            let ready = &mut lock(&self.shared).ready;
            match self.policy {
                Policy::Fifo => ready.pop_front(),
                Policy::Random if ready.is_empty() => None,
                Policy::Random => ready.remove(self.rng.usize(..ready.len())),
            }
        };
        next.inspect(|id| self.poll(*id)).is_some()
    }

    fn poll(&mut self, id: usize) {
        lock(&self.shared).states[id].woken = false;
        let Task { future, waker } = &mut self.tasks[id];
        let mut cx = Context::from_waker(waker);
        if let Some(running) = future {
            if running.as_mut().poll(&mut cx).is_ready() {
                *future = None;
            }
        }
    }

    /// Polls tasks until none is runnable.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let most = 1_000 * (self.tasks.len() + 100);
        match (0..most).all(|_| self.step()) {
            true => Err(String::from("the tasks never become idle")),
            false => Ok(()),
        }
    }

    /// Ends the round: wakes the tasks that rest.
    pub(crate) fn next_round(&mut self) {
        let mut shared = lock(&self.shared);
        shared.rounds += 1;
        for id in mem::take(&mut shared.resting) {
            shared.woken(id);
        }
    }

    /// From now on, one wake in `late` does not make its task runnable until
    /// [`catch_up`](Self::catch_up).
    pub(crate) fn delay_one_wake_in(&mut self, late: u32) {
        lock(&self.shared).late = late;
    }

    pub(crate) fn catch_up(&mut self) {
        let mut shared = lock(&self.shared);
        let delayed = mem::take(&mut shared.delayed);
        shared.ready.extend(delayed);
    }

    /// Polls a task that was not woken.
    pub(crate) fn poll_spuriously(&mut self, id: usize) {
        if !lock(&self.shared).states[id].woken {
            self.poll(id);
        }
    }

    /// Makes a waiting task give up.
    pub(crate) fn interrupt(&mut self, id: usize) {
        let mut shared = lock(&self.shared);
        if shared.states[id].place != Place::Nowhere {
            shared.states[id].interrupted = true;
            shared.states[id].woken = true;
            shared.delayed.retain(|delayed| *delayed != id);
            if !shared.ready.contains(&id) {
                shared.ready.push_back(id);
            }
        }
    }

    /// Does not poll a task, even if it is woken, until it is [attended](Self::resume_polling) to.
    pub(crate) fn stop_polling(&mut self, id: usize) {
        lock(&self.shared).states[id].unpolled = true;
    }

    pub(crate) fn resume_polling(&mut self, id: usize) {
        let mut shared = lock(&self.shared);
        if mem::take(&mut shared.states[id].unpolled) && shared.states[id].woken {
            shared.ready.push_back(id);
        }
    }

    /// The share of each task so far.
    pub(crate) fn shares(&self) -> Vec<u64> {
        let shared = lock(&self.shared);
        shared.states.iter().map(|state| state.share).collect()
    }

    pub(crate) fn are_all_done(&self) -> bool {
        self.tasks.iter().all(|task| task.future.is_none())
    }

    /// Checks, while no task is runnable, that no task is parked although what it waits for is
    /// available. Each task that was woken and not polled may hold back one.
    pub(crate) fn no_wake_is_lost(&self, line: Line, available: usize) -> Result<(), String> {
        let mut shared = lock(&self.shared);
        assert!(shared.ready.is_empty(), "tasks are runnable");
        let parked = shared.line(line).len();
        if parked == 0 || available == 0 {
            return Ok(());
        }
        let absent = shared.absent(line);
        if available <= absent {
            return Ok(());
        }
        Err(format!(
            "lost wake: {parked} tasks are parked, {line:?} available: {available}, \
             and {absent} tasks were woken and not polled"
        ))
    }

    /// Checks that no task was woken while one that came earlier was parked.
    pub(crate) fn no_waiter_is_overtaken(&self) -> Result<(), String> {
        lock(&self.shared).overtaking.take().map_or(Ok(()), Err)
    }
}
