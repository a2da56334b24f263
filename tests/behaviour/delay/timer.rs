//! The thread of the timer: when it is there.

use std::env;
use std::fs;
use std::io;
use std::mem;
use std::num::NonZeroU32;
use std::process::Command;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use pollster::block_on;
use tollgate::Builder;
use tollgate::RetryError;
use tollgate::SendError;
use tollgate::Sender;
use tollgate::TaskReceiver;

use super::HOUR;
use super::MILLI;
use super::in_hand;
use super::numbered;
use super::wait_until;
use crate::common::Watchdog;
use crate::common::assert_adds_up;
use crate::common::now;

/// The threads of the timer; no more than one for long.
fn timers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let name_of = |task: io::Result<fs::DirEntry>| {
        fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    };
    tasks
        .map(name_of)
        .filter(|it| it.trim() == "tollgate-timer")
        .count()
}

/// Other tests delay items too, so a thread may be there for some time. It also lingers.
#[test]
fn thread_ends_when_nothing_is_delayed() {
    let _watchdog = Watchdog::start();
    let ends: [fn(Sender<usize>, TaskReceiver<usize>); 3] = [
        |_sender, receiver| drop(receiver),
        |sender, receiver| {
            assert_eq!(sender.close_now().count(), 1);
            drop(receiver);
        },
        |sender, receiver| {
            sender.close();
            // Nothing else is delayed, and the item comes at last.
            let task = receiver.try_recv();
            assert!(task.is_err_and(|it| !it.is_closed()));
            drop(receiver);
        },
    ];
    for end in ends {
        let (sender, receiver) = numbered(1);
        receiver
            .try_recv()
            .unwrap()
            .retry_after(Duration::MAX)
            .unwrap();
        wait_until(|| timers() >= 1);
        end(sender, receiver);
        wait_until(|| timers() == 0);
    }
    let (_sender, receiver, task) = in_hand(1);
    task.retry_after(MILLI).unwrap();
    block_on(receiver.recv()).unwrap().done();
    wait_until(|| timers() == 0);
}

/// Channels end while others delay their items: no entry is left that would keep the thread for an hour.
#[test]
fn ended_channels_leave_timer() {
    let _watchdog = Watchdog::start();
    for round in 0..1_000 {
        let (sender, receiver) = numbered(2);
        let hand = [(); 2].map(|()| receiver.try_recv().unwrap());
        thread::scope(|scope| {
            for (task, delay) in hand.into_iter().zip([HOUR, 2 * HOUR]) {
                scope.spawn(move || task.retry_after(delay).is_ok());
            }
            scope.spawn(move || match round % 2 {
                0 => drop(sender.close_now()),
                _ => drop(receiver),
            });
        });
    }
    wait_until(|| timers() == 0);
}

#[test]
fn hundred_thousand_delayed_items_share_one_thread() {
    const COUNT: usize = 100_000;
    let _watchdog = Watchdog::start();
    let (sender, receiver, task) = in_hand(COUNT);
    let monitor = sender.monitor();
    sender.close();
    let mut rng = fastrand::Rng::with_seed(3);
    for item in 0..COUNT {
        let delay = Duration::from_micros(rng.u64(1..200_000));
        task.follow_up_after(item, delay).unwrap();
        if item == COUNT / 2 {
            wait_until(|| timers() <= 1);
        }
    }
    task.done();
    wait_until(|| timers() <= 1);
    let mut seen = vec![false; COUNT];
    while let Ok(task) = block_on(receiver.recv()) {
        assert!(!mem::replace(&mut seen[task.done()], true));
    }
    assert!(seen.into_iter().all(|it| it));
    let report = now(monitor.finished()).unwrap();
    assert_eq!(report.followed_up as usize, COUNT);
    assert_adds_up(&report);
}

/// Runs this test in a process of its own, in which no other delays items. Returns true there.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "TOLLGATE_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let (_program, module) = module_path!().split_once("::").unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args([&*format!("{module}::{test}"), "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&child.stdout);
    let stderr = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "{stdout}");
    false
}

#[test]
fn refused_delay_starts_no_thread() {
    if !is_alone("refused_delay_starts_no_thread") {
        return;
    }
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    let builder = Builder::new().max_attempts(NonZeroU32::MIN);
    let (sender, receiver) = builder.build_tasks();
    for item in 0..4 {
        sender.try_send(item).unwrap();
    }
    let next = || receiver.try_recv().unwrap();
    let refused = next().retry_after(HOUR);
    assert_eq!(refused, Err(RetryError::Exhausted(0)));
    let refused = next().retry_at(Instant::now() + HOUR);
    assert_eq!(refused, Err(RetryError::Exhausted(1)));
    let refused = next().retry_after_or_fail(HOUR, "failed");
    assert_eq!(refused, Err(RetryError::Exhausted(2)));
    let task = next();
    drop(sender.close_now());
    assert_eq!(task.follow_up_after(4, HOUR), Err(SendError(4)));
    task.done();
    let (sender, _receiver, task) = in_hand(5);
    drop(sender.close_now());
    assert_eq!(task.retry_after(HOUR), Err(RetryError::Terminated(5)));
    assert_eq!(threads(), before);

    // Otherwise it would be one more.
    let (_sender, _receiver, task) = in_hand(6);
    task.retry_after(HOUR).unwrap();
    assert_eq!(threads(), before + 1);
}
