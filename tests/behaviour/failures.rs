//! Channels that keep several failures, and errors whose text or destructor panics.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::task::Poll;
use std::thread;

use tollgate::Builder;
use tollgate::Failure;
use tollgate::JoinError;
use tollgate::Report;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::common::Item;
#[cfg(feature = "std")]
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::poll_once;

/// A task channel that keeps `most` failures, and whose tasks fail with their numbers.
struct Failing {
    sender: Sender<u32>,
    receiver: TaskReceiver<u32>,
}

impl Failing {
    fn keeping(most: usize) -> Self {
        let (sender, receiver) = Builder::new().keep_failures(most).build_tasks();
        Self { sender, receiver }
    }

    /// Fails tasks with these numbers.
    fn fail(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.sender.try_send(number).unwrap();
            let task = self.receiver.try_recv().unwrap();
            task.fail(number.to_string());
        }
    }

    #[track_caller]
    fn error(&self) -> JoinError {
        now(self.sender.join()).unwrap_err()
    }

    fn take(&self) -> Option<String> {
        self.sender.monitor().take_failure().map(|it| text_of(&it))
    }
}

fn text_of(failure: &Failure) -> String {
    failure
        .source()
        .map_or_else(|| failure.to_string(), ToString::to_string)
}

fn texts(error: &JoinError) -> Vec<String> {
    error.failures().iter().map(text_of).collect()
}

#[test]
fn failures_are_kept_in_order() {
    let channel = Failing::keeping(3);
    for count in 1..=5 {
        channel.fail([count]);
        let error = channel.error();
        let kept: Vec<_> = (1..=count.min(3)).map(|it| it.to_string()).collect();
        assert_eq!(texts(&error), kept);
        assert_eq!(text_of(&error.first), "1");
        assert_eq!(error.report.failed, u64::from(count));
    }
}

#[test]
fn only_first_failure_is_kept_by_default() {
    let of_tasks = || {
        let (sender, receiver) = tollgate::tasks(1);
        Failing { sender, receiver }
    };
    for channel in [of_tasks(), Failing::keeping(0), Failing::keeping(1)] {
        channel.fail(1..=3);
        let error = channel.error();
        assert_eq!(texts(&error), ["1"]);
        assert_eq!(
            error.to_string(),
            "not all work ended well: 3 failed, 0 abandoned, 0 panicked, 0 discarded"
        );
        assert_eq!(channel.take().as_deref(), Some("1"));
        assert!(now(channel.sender.join()).is_ok());
        channel.fail([4]);
        assert_eq!(texts(&channel.error()), ["4"]);
    }
}

#[test]
fn any_number_may_be_kept() {
    let channel = Failing::keeping(usize::MAX);
    assert!(now(channel.sender.join()).is_ok());
    channel.fail(0..1_000);
    assert_eq!(channel.error().failures().len(), 1_000);
}

#[test]
fn taken_failure_makes_next_one_first() {
    let channel = Failing::keeping(2);
    let monitor = channel.sender.monitor();
    assert_eq!(channel.take(), None);
    channel.fail(1..=3);
    let before = channel.error();
    assert_eq!(channel.take().as_deref(), Some("1"));
    assert_eq!(text_of(&now(monitor.failed()).unwrap()), "2");
    assert_eq!(texts(&channel.error()), ["2"]);
    // There is room for another one.
    channel.fail(4..=5);
    assert_eq!(texts(&channel.error()), ["2", "4"]);
    assert_eq!(channel.take().as_deref(), Some("2"));
    assert_eq!(channel.take().as_deref(), Some("4"));
    assert_eq!(channel.take(), None);
    assert_eq!(now(channel.sender.join()).unwrap().failed, 5);

    // All are taken, so the next is a first failure again.
    let mut failed = Waiter::waiting(monitor.failed());
    channel.fail([6]);
    assert_eq!(failed.wakes(), 1);
    let Poll::Ready(Some(failure)) = failed.poll() else {
        panic!("a task has failed");
    };
    assert_eq!(text_of(&failure), "6");
    // An error keeps the failures of its instant.
    assert_eq!(texts(&before), ["1", "2"]);
    assert_eq!(texts(&before.clone()), ["1", "2"]);
}

#[test]
fn failures_are_taken_in_order_while_others_are_kept() {
    const MOST: usize = 20;
    let mut rng = fastrand::Rng::with_seed(5);
    let channel = Failing::keeping(MOST);
    let (mut kept, mut next) = (VecDeque::new(), 0);
    for _ in 0..500 {
        // Mostly failures at first, and then calls that take one.
        if rng.u32(0..1_000) > next {
            channel.fail([next]);
            if kept.len() < MOST {
                kept.push_back(next.to_string());
            }
            next += 1;
        } else {
            next += 3;
            assert_eq!(channel.take(), kept.pop_front());
        }
        match now(channel.sender.join()) {
            Ok(_) => assert_eq!(kept.len(), 0),
            Err(error) => {
                assert!(texts(&error).iter().eq(&kept));
                assert_eq!(text_of(&error.first), kept[0]);
            }
        }
    }
    while let Some(failure) = kept.pop_front() {
        assert_eq!(channel.take(), Some(failure));
    }
    assert_eq!(channel.take(), None);
}

#[test]
fn failed_completes_with_first_only() {
    let channel = Failing::keeping(8);
    let monitor = channel.sender.monitor();
    let mut failed = Waiter::waiting(monitor.failed());
    channel.fail([1]);
    let finished = Waiter::waiting(monitor.finished());
    channel.fail(2..=3);
    // Later failures wake no waiter.
    assert_eq!((failed.wakes(), finished.wakes()), (1, 0));
    assert!(matches!(failed.poll(), Poll::Ready(Some(failure)) if text_of(&failure) == "1"));
}

#[derive(Debug)]
struct Chain(&'static str, Option<Box<Chain>>);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Chain {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_ref().map(|it| &**it as _)
    }
}

#[test]
fn display_writes_failures_with_sources() {
    let (sender, receiver) = Builder::new().keep_failures(4).build_tasks();
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    let root = Chain("no space left on device", None);
    let error = Chain("cannot write page 7", Some(Box::new(root)));
    receiver.try_recv().unwrap().fail(error);
    drop(receiver.try_recv().unwrap());
    sender.clone().fail("end of input");
    receiver.try_recv().unwrap().fail("short");
    let kept = "
  a task failed: cannot write page 7: no space left on device
  a task was dropped before it was done
  a sender failed: end of input
  a task failed: short";
    for more in ["", "\n  and 1 more failure", "\n  and 2 more failures"] {
        let counts = JoinCounts(now(sender.join()).unwrap_err().report);
        let text = now(sender.join()).unwrap_err().to_string();
        assert_eq!(text, format!("{counts}{kept}{more}"));
        sender.try_send(0).unwrap();
        receiver.try_recv().unwrap().fail("not kept");
    }
}

#[test]
fn display_indents_texts_of_several_lines() {
    let (sender, receiver) = Builder::new().keep_failures(4).build_tasks();
    let root = Chain("at line 2\n\n\n1 | x\n2 | y\n", None);
    let errors = [
        Chain("cannot parse:\n  a.toml\n", Some(Box::new(root))),
        Chain("\n", None),
        Chain("short", None),
    ];
    for error in errors {
        sender.try_send(0).unwrap();
        receiver.try_recv().unwrap().fail(error);
    }
    let text = now(sender.join()).unwrap_err().to_string();
    let (_, kept) = text.split_once('\n').unwrap();
    let expected = "  a task failed: cannot parse:
      a.toml
    : at line 2


    1 | x
    2 | y
  a task failed: 
  a task failed: short";
    assert_eq!(kept, expected);
}

/// The first line of an error.
struct JoinCounts(Report);

impl fmt::Display for JoinCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.0.failed;
        write!(
            f,
            "not all work ended well: {failed} failed, 1 abandoned, 0 panicked, 0 discarded, \
             1 sender failed"
        )
    }
}

/// What was recorded before the failures that are kept is not listed after them.
#[test]
fn failures_that_were_taken_are_not_counted_as_more() {
    let (sender, receiver) = Builder::new().keep_failures(2).build_tasks();
    let fail = |error: &str| {
        sender.try_send(1).unwrap();
        receiver.try_recv().unwrap().fail(error);
    };
    ["first", "second", "third"].into_iter().for_each(fail);
    let monitor = sender.monitor();
    assert!(
        now(monitor.join())
            .unwrap_err()
            .to_string()
            .ends_with("and 1 more failure")
    );
    assert!(monitor.take_failure().is_some());
    assert!(monitor.take_failure().is_some());
    assert!(now(monitor.join()).is_ok());
    fail("fourth");
    let text = now(monitor.join()).unwrap_err().to_string();
    assert!(text.ends_with("fourth"), "{text}");
}

/// Of every kind that a plain channel has.
#[test]
fn plain_channel_keeps_failures() {
    let (sender, receiver) = Builder::new().keep_failures(5).build();
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    sender.clone().fail("first");
    sender.clone().fail("second");
    drop(receiver);
    let error = now(monitor.finished()).unwrap_err();
    sender.fail("too late");
    assert_eq!(now(monitor.finished()).unwrap_err().report, error.report);
    assert_eq!(texts(&error)[..2], ["first", "second"]);
    assert!(matches!(error.failures()[2..], [Failure::Discarded]));
    let text = error.to_string();
    assert!(
        text.contains("0 panicked, 1 discarded, 2 senders failed\n"),
        "{text}"
    );
}

#[test]
fn debug_shows_counts_and_failures() {
    for (most, kept) in [(1, 1), (3, 2)] {
        let channel = Failing::keeping(most);
        channel.fail(1..=2);
        let text = format!("{:?}", channel.error());
        assert!(
            text.starts_with("JoinError { report: Report { sent: 2, "),
            "{text}"
        );
        assert_eq!(text.matches("Failed(").count(), kept, "{text}");
    }
}

/// An error that cannot be shown, and that panics in the end if it should.
struct Poison(Option<Item>);

impl fmt::Debug for Poison {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        resume_unwind(Box::new("debug"));
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        resume_unwind(Box::new("display"));
    }
}

impl Error for Poison {}

impl Drop for Poison {
    fn drop(&mut self) {
        if self.0.take().is_some() {
            resume_unwind(Box::new("drop"));
        }
    }
}

#[test]
fn panic_in_display_locks_nothing() {
    let _watchdog = Watchdog::start();
    for most in [1, 3] {
        let channel = Failing::keeping(most);
        let monitor = channel.sender.monitor();
        for _ in 0..2 {
            channel.sender.try_send(1).unwrap();
            channel.receiver.try_recv().unwrap().fail(Poison(None));
        }
        channel.sender.clone().fail(Poison(None));
        let error = channel.error();
        let panics = |show: &dyn Fn()| catch_unwind(AssertUnwindSafe(show)).is_err();
        // By default, the error shows only the counts.
        assert_eq!(panics(&|| drop(error.to_string())), most > 1);
        assert!(panics(&|| drop(format!("{error:?}"))));
        assert!(panics(&|| drop(error.first.source().unwrap().to_string())));

        // Another thread finds the channel as it was.
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(channel.error().failures().len(), most);
                assert!(now(monitor.failed()).is_some());
                channel.fail([2]);
                assert!(channel.sender.monitor().take_failure().is_some());
                assert_eq!(monitor.stats().report.failed, 3);
            });
        });
        drop(channel);
        assert!(!poll_once(&mut monitor.finished()).is_pending());
    }
}

/// The first panic propagates, the others are swallowed, and every error is dropped.
#[cfg(feature = "std")]
#[test]
fn panics_of_several_destructors_do_not_abort() {
    let _watchdog = Watchdog::start();
    let dropped = |owned: Box<dyn std::any::Any>| {
        let worker = AssertUnwindSafe(|| drop(owned));
        *catch_unwind(worker)
            .unwrap_err()
            .downcast::<&str>()
            .unwrap()
    };
    let in_panic = |owned: Box<dyn std::any::Any>| {
        let worker = AssertUnwindSafe(|| {
            let _owned = owned;
            resume_unwind(Box::new("worker"));
        });
        *catch_unwind(worker)
            .unwrap_err()
            .downcast::<&str>()
            .unwrap()
    };
    for unwinding in [false, true] {
        for joined in [false, true] {
            let tally = Tally::new();
            let channel = Failing::keeping(3);
            for _ in 0..3 {
                channel.sender.try_send(1).unwrap();
                let error = Poison(Some(tally.item()));
                channel.receiver.try_recv().unwrap().fail(error);
            }
            // The errors belong to the channel, or to the error of a join that outlives it.
            let error = joined.then(|| channel.error());
            let owned: Box<dyn std::any::Any> = match error {
                Some(error) => {
                    drop(channel);
                    Box::new(error)
                }
                None => Box::new((channel.sender, channel.receiver)),
            };
            assert_eq!(tally.dropped(), 0);
            let first = match unwinding {
                true => in_panic(owned),
                false => dropped(owned),
            };
            assert_eq!(first, if unwinding { "worker" } else { "drop" });
            assert_eq!(tally.drops(), [1, 1, 1]);
        }
    }
}

#[test]
fn failures_race_with_joins_and_takers() {
    let _watchdog = Watchdog::start();
    let (rounds, each) = if cfg!(miri) { (2, 8) } else { (50, 64) };
    for _ in 0..rounds {
        let channel = &Failing::keeping(5);
        let monitor = channel.sender.monitor();
        let taken = thread::scope(|scope| {
            for number in 0..2 {
                let receiver = channel.receiver.clone();
                scope.spawn(move || {
                    let mut ended = 0;
                    while ended < each {
                        if let Ok(task) = receiver.try_recv() {
                            task.fail(format!("{number}"));
                            ended += 1;
                        }
                    }
                });
                scope.spawn(move || (0..each).for_each(|it| channel.sender.try_send(it).unwrap()));
            }
            scope.spawn(|| {
                while monitor.stats().report.failed < u64::from(2 * each) {
                    if let Poll::Ready(Err(error)) = poll_once(&mut monitor.join()) {
                        let kept = error.failures().len();
                        assert!((1..=5).contains(&kept), "{kept}");
                        assert!(kept as u64 <= error.report.failed);
                        assert_eq!(text_of(&error.first), text_of(&error.failures()[0]));
                    }
                }
            });
            let taker = scope.spawn(|| {
                let mut taken = 0;
                while monitor.stats().report.failed < u64::from(2 * each) {
                    taken += u64::from(monitor.take_failure().is_some());
                }
                taken
            });
            taker.join().unwrap()
        });
        let left = now(channel.sender.join()).map_or_else(|error| error.failures().len(), |_| 0);
        assert!(taken + left as u64 <= u64::from(2 * each));
        assert!(taken > 0 || left == 5);
    }
}
