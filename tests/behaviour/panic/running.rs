//! A pool inside one future: `TaskReceiver::run`.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use futures_util::FutureExt;
use tollgate::TaskReceiver;

use super::faults::Ashes;
use super::faults::Bomb;
use super::faults::Fuse;
use super::faults::Player;
use super::faults::Reason;
use super::faults::Site;
use super::faults::arm;
use super::faults::burn;
use super::faults::crash_with;
use super::faults::disarm;
use super::faults::run_to_rest;
use super::faults::unwind_meanwhile;
use super::matrix::expect_each_dropped_once;
use super::matrix::expect_to_add_up;
use super::matrix::with_name;
use crate::common::Item;
use crate::common::Tally;

/// What becomes of the work.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Ok,
    Err,
    /// It does not end by itself.
    Never,
}

/// What is done to the pool.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    /// It is polled for the first time.
    Begin,
    /// It is polled by another task.
    Move,
    Drop,
    /// A panic drops it.
    Crash,
}

/// One pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    end: End,
    act: Act,
    limit: usize,
    /// Whether the channel is closed, or receivers wait for more.
    closed: bool,
    /// Whether a task has failed before.
    failed: bool,
    waiters: usize,
    unwinding: bool,
}

impl Running {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for end in [End::Ok, End::Err, End::Never] {
            for act in [Act::Begin, Act::Move, Act::Drop, Act::Crash] {
                for limit in [1, 3] {
                    for (closed, failed) in [(false, false), (false, true), (true, false)] {
                        for waiters in [0, 2] {
                            for unwinding in [false, true] {
                                all.push(Self {
                                    end,
                                    act,
                                    limit,
                                    closed,
                                    failed,
                                    waiters,
                                    unwinding,
                                });
                            }
                        }
                    }
                }
            }
        }
        all.retain(|it| !(it.act == Act::Crash && it.unwinding));
        all
    }

    pub(crate) fn run(self, fuses: &[Fuse]) -> Ashes {
        with_name((self, fuses), || run(self, fuses))
    }
}

/// The work on an item.
struct Job {
    item: Option<Item>,
    tally: Tally,
    end: End,
}

impl Future for Job {
    type Output = Result<(), Reason>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        burn(Site::JobPoll);
        match self.end {
            End::Ok => Poll::Ready(Ok(())),
            End::Err => Poll::Ready(Err(Reason::of(&self.tally))),
            End::Never => Poll::Pending,
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.item = None;
        burn(Site::JobDrop);
    }
}

/// What the closure of the pool holds.
struct Crew;

impl Crew {
    fn begin(&self, bomb: Bomb, tally: &Tally, end: End) -> Job {
        let item = bomb.defuse();
        burn(Site::JobBegin);
        Job {
            item,
            tally: tally.clone(),
            end,
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        burn(Site::CrewDrop);
    }
}

fn pool(
    running: Running,
    receiver: TaskReceiver<Bomb>,
    tally: Tally,
) -> impl Future<Output = Option<Bomb>> {
    let crew = Crew;
    let limit = NonZeroUsize::new(running.limit).unwrap();
    let begin = move |bomb| crew.begin(bomb, &tally, running.end);
    receiver.run(limit, begin).map(|()| None)
}

fn run(running: Running, fuses: &[Fuse]) -> Ashes {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(2);
    let monitor = sender.monitor();
    if running.failed {
        assert!(sender.try_send(Bomb::of(&tally)).is_ok());
        drop(receiver.try_recv().unwrap().fail(Reason::of(&tally)));
    }
    let mut player = Player::new(pool(running, receiver, tally.clone()));
    if running.act != Act::Begin {
        // It works, or waits to.
        if running.end != End::Never {
            assert!(player.poll().is_pending());
        }
    }
    for _ in 0..2 {
        assert!(sender.try_send(Bomb::of(&tally)).is_ok());
    }
    if running.act != Act::Begin && running.end == End::Never {
        assert!(player.poll().is_pending());
    }
    if running.closed {
        sender.close();
    }
    let mut players = Vec::new();
    for _ in 0..running.waiters {
        players.extend(Player::if_waiting(monitor.join().map(|_| None)));
        players.extend(Player::if_waiting(monitor.finished().map(|_| None)));
        players.extend(Player::if_waiting(monitor.failed().map(|_| None)));
        players.extend(Player::if_waiting(sender.closed().map(|()| None)));
        players.extend(Player::if_waiting(
            sender.send(Bomb::of(&tally)).map(|_| None),
        ));
    }

    unwind_meanwhile(running.unwinding);
    arm(fuses);
    match running.act {
        Act::Begin => drop(player.poll()),
        Act::Move => {
            player.replace_waker();
            let _ = player.poll();
        }
        Act::Drop => player.leave(),
        Act::Crash => crash_with(player.take_future()),
    }
    let ashes = disarm();
    unwind_meanwhile(false);

    // Nobody receives any more.
    player.leave();
    run_to_rest(&mut players);
    for (index, player) in players.iter().enumerate() {
        assert!(player.is_over(), "number {index} still waits");
    }
    expect_to_add_up(&monitor);
    players.push(player);
    assert!(players.iter().all(Player::has_all_wakers), "a waker leaks");
    drop(players);
    drop((sender, monitor));
    expect_each_dropped_once(&tally);
    ashes
}
