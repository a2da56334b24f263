//! A deterministic executor that knows which task waits for what.
//!
//! Tasks wait in one of two lines, through [`Me::wait`]. The executor sees every wake, and so knows
//! at each moment which tasks are parked, since when, and on which a wake has been spent.

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

/// Which of the runnable tasks is polled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The one that became runnable first.
    Fifo,
    /// Any.
    Random,
}

pub(crate) const POLICIES: [Policy; 2] = [Policy::Fifo, Policy::Random];

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Items,
    Room,
}

/// Where a task stands in a line. It has come to it by the first poll that was pending, and its
/// number says when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    /// Not woken since it was polled last.
    Parked(Line, u64),
    /// Woken, and not polled since.
    Called(Line, u64),
}

#[derive(Debug)]
struct Seat {
    place: Place,
    /// Whether it is in the ready queue, or held back with a wake.
    woken: bool,
    /// Whether it is kept from being polled.
    left_alone: bool,
    /// Whether it is to give up waiting when it is polled next.
    interrupted: bool,
    share: u64,
}

/// What the tasks, their wakers and the executor share.
#[derive(Debug)]
struct Board {
    ready: VecDeque<usize>,
    seats: Vec<Seat>,
    /// The numbers and tasks of those parked in each line.
    parked: [BTreeSet<(u64, usize)>; 2],
    arrivals: u64,
    /// Tasks that rest until the next round, in the order they came to rest.
    resting: Vec<usize>,
    rounds: u64,
    /// The first wake that went to a task although one that had come earlier was parked.
    overtaking: Option<String>,
    /// One wake in how many is late; none if zero.
    late: u32,
    /// Tasks whose wake is late.
    delayed: Vec<usize>,
    rng: Rng,
}

impl Board {
    fn line(&mut self, line: Line) -> &mut BTreeSet<(u64, usize)> {
        &mut self.parked[line as usize]
    }

    fn place(&mut self, id: usize, place: Place) {
        if let Place::Parked(line, number) = mem::replace(&mut self.seats[id].place, place) {
            self.line(line).remove(&(number, id));
        }
        if let Place::Parked(line, number) = place {
            self.line(line).insert((number, id));
        }
    }

    fn woken(&mut self, id: usize) {
        if let Place::Parked(line, number) = self.seats[id].place {
            let first = *self.line(line).first().expect("this one is parked");
            if first != (number, id) && self.overtaking.is_none() {
                self.overtaking = Some(format!(
                    "{line:?}: task {id} is woken while task {} is parked and came earlier",
                    first.1
                ));
            }
            self.place(id, Place::Called(line, number));
        }
        if mem::replace(&mut self.seats[id].woken, true) || self.seats[id].left_alone {
            return;
        }
        if self.late != 0 && self.rng.u32(..self.late) == 0 {
            self.delayed.push(id);
        } else {
            self.ready.push_back(id);
        }
    }

    /// How many tasks have been called in a line and are not about to be polled.
    fn absent(&self, line: Line) -> usize {
        let absent = self.seats.iter().enumerate().filter(|(id, seat)| {
            matches!(seat.place, Place::Called(at, _) if at == line)
                && (seat.left_alone || self.delayed.contains(id))
        });
        absent.count()
    }
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap()
}

struct TaskWaker {
    board: Arc<Mutex<Board>>,
    id: usize,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.board).woken(self.id);
    }
}

/// What a task does its waiting with.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    board: Arc<Mutex<Board>>,
    id: usize,
}

/// A future that waits in a line; none if its task gives up.
struct Waiting<'a, F> {
    me: &'a Me,
    line: Line,
    future: F,
    number: Option<u64>,
    /// After how many vain polls it gives up.
    patience: u32,
}

impl<F: Future + Unpin> Future for Waiting<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { me, line, .. } = *self;
        {
            let mut board = lock(&me.board);
            board.place(me.id, Place::Nowhere);
            if mem::take(&mut board.seats[me.id].interrupted) {
                return Poll::Ready(None);
            }
        }
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        let mut board = lock(&me.board);
        if board.seats[me.id].woken {
            // It asked to be polled again.
            if let Some(number) = self.number {
                board.place(me.id, Place::Called(line, number));
            }
            return Poll::Pending;
        }
        self.patience -= 1;
        if self.patience == 0 {
            return Poll::Ready(None);
        }
        let number = *self.number.get_or_insert_with(|| {
            board.arrivals += 1;
            board.arrivals
        });
        board.place(me.id, Place::Parked(line, number));
        Poll::Pending
    }
}

impl Me {
    /// Waits for what is in `line`; none if it was interrupted.
    pub(crate) async fn wait<F: Future + Unpin>(&self, line: Line, future: F) -> Option<F::Output> {
        self.wait_patiently(line, future, u32::MAX).await
    }

    /// Waits for what is in `line`, and gives up when it has been polled `patience` times in vain.
    pub(crate) async fn wait_patiently<F: Future + Unpin>(
        &self,
        line: Line,
        future: F,
        patience: u32,
    ) -> Option<F::Output> {
        let waiting = Waiting {
            me: self,
            line,
            future,
            number: None,
            patience,
        };
        waiting.await
    }

    /// Gets one.
    pub(crate) fn count(&self) {
        lock(&self.board).seats[self.id].share += 1;
    }

    /// Lets others run that are runnable already.
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
            let mut board = lock(&self.board);
            board.resting.push(self.id);
            board.rounds
        };
        poll_fn(|_| match lock(&self.board).rounds.cmp(&round) {
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
    board: Arc<Mutex<Board>>,
    tasks: Vec<Task>,
    policy: Policy,
    rng: Rng,
}

impl Sim {
    pub(crate) fn new(policy: Policy, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let board = Board {
            ready: VecDeque::new(),
            seats: Vec::new(),
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
            board: Arc::new(Mutex::new(board)),
            tasks: Vec::new(),
            policy,
            rng,
        }
    }

    /// Starts a task, and gives its number: they count from zero.
    pub(crate) fn spawn<F>(&mut self, task: impl FnOnce(Me) -> F) -> usize
    where
        F: Future<Output = ()> + 'static,
    {
        let id = self.tasks.len();
        let board = Arc::clone(&self.board);
        lock(&board).seats.push(Seat {
            place: Place::Nowhere,
            woken: true,
            left_alone: false,
            interrupted: false,
            share: 0,
        });
        lock(&board).ready.push_back(id);
        let future = Box::pin(task(Me {
            board: Arc::clone(&board),
            id,
        }));
        self.tasks.push(Task {
            future: Some(future),
            waker: Waker::from(Arc::new(TaskWaker { board, id })),
        });
        id
    }

    /// Polls one of the runnable tasks, if there are any.
    pub(crate) fn step(&mut self) -> bool {
        let next = {
            let ready = &mut lock(&self.board).ready;
            match self.policy {
                Policy::Fifo => ready.pop_front(),
                Policy::Random if ready.is_empty() => None,
                Policy::Random => ready.remove(self.rng.usize(..ready.len())),
            }
        };
        next.inspect(|id| self.poll(*id)).is_some()
    }

    fn poll(&mut self, id: usize) {
        lock(&self.board).seats[id].woken = false;
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
            true => Err(String::from("the tasks do not come to rest")),
            false => Ok(()),
        }
    }

    /// Ends the round: wakes the tasks that rest.
    pub(crate) fn next_round(&mut self) {
        let mut board = lock(&self.board);
        board.rounds += 1;
        for id in mem::take(&mut board.resting) {
            board.woken(id);
        }
    }

    /// From now on one wake in `late` does not make its task runnable until
    /// [`catch_up`](Self::catch_up).
    pub(crate) fn delay_one_wake_in(&mut self, late: u32) {
        lock(&self.board).late = late;
    }

    pub(crate) fn catch_up(&mut self) {
        let mut board = lock(&self.board);
        let delayed = mem::take(&mut board.delayed);
        board.ready.extend(delayed);
    }

    /// Polls a task although it was not woken.
    pub(crate) fn poll_for_nothing(&mut self, id: usize) {
        if !lock(&self.board).seats[id].woken {
            self.poll(id);
        }
    }

    /// Has a task that waits in a line give up.
    pub(crate) fn interrupt(&mut self, id: usize) {
        let mut board = lock(&self.board);
        if board.seats[id].place != Place::Nowhere {
            board.seats[id].interrupted = true;
            board.seats[id].woken = true;
            board.delayed.retain(|delayed| *delayed != id);
            if !board.ready.contains(&id) {
                board.ready.push_back(id);
            }
        }
    }

    /// Does not poll a task until it is [attended](Self::attend) to, however it is woken.
    pub(crate) fn leave_alone(&mut self, id: usize) {
        lock(&self.board).seats[id].left_alone = true;
    }

    pub(crate) fn attend(&mut self, id: usize) {
        let mut board = lock(&self.board);
        if mem::take(&mut board.seats[id].left_alone) && board.seats[id].woken {
            board.ready.push_back(id);
        }
    }

    /// How much each task got so far.
    pub(crate) fn shares(&self) -> Vec<u64> {
        let board = lock(&self.board);
        board.seats.iter().map(|seat| seat.share).collect()
    }

    pub(crate) fn are_all_done(&self) -> bool {
        self.tasks.iter().all(|task| task.future.is_none())
    }

    /// Checks, while no task is runnable, that none is parked next to what it waits for. Only a
    /// task that was called and is not polled may keep it from others: one each.
    pub(crate) fn no_wake_is_lost(&self, line: Line, available: usize) -> Result<(), String> {
        let mut board = lock(&self.board);
        assert!(board.ready.is_empty(), "tasks are runnable");
        let parked = board.line(line).len();
        if parked == 0 || available == 0 {
            return Ok(());
        }
        let absent = board.absent(line);
        if available <= absent {
            return Ok(());
        }
        Err(format!(
            "lost wake: {parked} tasks are parked for {line:?}, of which there are {available}, \
             and {absent} tasks have been called and left alone"
        ))
    }

    /// Checks that no task was woken while one was parked that had come earlier.
    pub(crate) fn no_waiter_is_overtaken(&self) -> Result<(), String> {
        lock(&self.board).overtaking.take().map_or(Ok(()), Err)
    }
}
