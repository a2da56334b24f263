//! The type `Coordinator`.

use std::future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::coordinator::Cause;
use super::coordinator::Coordinator;
use super::coordinator::Crew;
use super::coordinator::Ended;
use super::coordinator::Left;
use crate::common::threads::lock;
use crate::program::PATIENCE;

#[tokio::test]
async fn crew_that_ends_is_clean_stop() {
    let coordinator = Coordinator::default();
    let mut crew = Crew::default();
    crew.spawn(&coordinator, "reader".into(), async { Ok(()) });
    assert!(!coordinator.should_stop());

    let ended = join(&coordinator, crew, PATIENCE * 2).await;
    assert!(ended.result.is_ok());
    assert!(coordinator.should_stop());
    assert!(ended.stragglers.names.is_empty());
}

#[tokio::test]
async fn first_error_is_kept_and_others_counted() {
    let coordinator = Coordinator::default();
    for text in ["first", "second", "third"] {
        coordinator.request_stop(Some(error(text)));
    }
    coordinator.request_stop(None);

    let ended = join(&coordinator, Crew::default(), PATIENCE * 2).await;
    assert_eq!(ended.result.unwrap_err().to_string(), "first");
    assert_eq!(ended.further_errors, 2);
}

#[tokio::test]
async fn error_after_clean_stop_is_kept() {
    let coordinator = Coordinator::default();
    let (mut crew, own) = (Crew::default(), coordinator.clone());
    crew.spawn(&coordinator, "late".into(), async move {
        own.stopped().await;
        Err(error("late"))
    });
    coordinator.request_stop(None);

    let ended = join(&coordinator, crew, PATIENCE * 2).await;
    assert_eq!(ended.result.unwrap_err().to_string(), "late");
}

#[tokio::test]
async fn error_of_one_task_stops_others() {
    let coordinator = Coordinator::default();
    let (mut crew, own) = (Crew::default(), coordinator.clone());
    crew.spawn(&coordinator, "waits".into(), async move {
        own.stopped().await;
        Ok(())
    });
    crew.spawn(&coordinator, "fails".into(), async {
        Err(error("no more"))
    });

    let ended = join(&coordinator, crew, PATIENCE * 2).await;
    assert_eq!(ended.result.unwrap_err().to_string(), "no more");
    assert!(ended.stragglers.names.is_empty());
}

#[tokio::test]
async fn panic_of_last_worker_hands_back_queued_items() {
    let coordinator = Coordinator::default();
    let (sender, receiver) = tollgate::tasks(4);
    for number in 1..=4 {
        sender.try_send(number).unwrap();
    }
    let (mut crew, left) = (Crew::default(), Left::default());
    crew.hand_back_at_stop(receiver.clone(), Arc::clone(&left));
    crew.spawn(&coordinator, "worker".into(), async move {
        let task = receiver.recv().await;
        panic!("cannot process {task:?}");
    });

    let ended = join(&coordinator, crew, PATIENCE * 2).await;
    let panicked = ended.result.unwrap_err();
    assert_eq!(panicked.to_string(), "worker panicked");
    let source = panicked.source().unwrap().to_string();
    assert!(source.contains("cannot process Ok(Task(1))"), "{source}");
    assert_eq!(*lock(&left), [2, 3, 4]);

    let monitor = sender.monitor();
    let report = in_time(monitor.finished()).await.unwrap_err().report;
    assert_eq!((report.panicked, report.discarded), (1, 3));
}

#[tokio::test]
async fn straggler_is_named_and_keeps_task_until_aborted() {
    let coordinator = Coordinator::default();
    let (sender, receiver) = tollgate::tasks(4);
    let (mut crew, left) = (Crew::default(), Left::default());
    crew.hand_back_at_stop(receiver.clone(), Arc::clone(&left));
    crew.spawn(&coordinator, "sleeper".into(), async move {
        let _task = receiver.recv().await;
        future::pending().await
    });
    sender.send(1).await.unwrap();
    let monitor = sender.monitor();
    in_time(async {
        while monitor.stats().in_hand == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    sender.send(2).await.unwrap();
    coordinator.request_stop(Some(error("enough")));

    let ended = join(&coordinator, crew, Duration::ZERO).await;
    assert_eq!(ended.result.unwrap_err().to_string(), "enough");
    assert_eq!(ended.stragglers.names, ["sleeper"]);
    assert_eq!(*lock(&left), [2]);
    assert_eq!(monitor.stats().in_hand, 1);

    assert_eq!(in_time(ended.stragglers.abort()).await, ["sleeper"]);
    let report = in_time(monitor.finished()).await.unwrap_err().report;
    assert_eq!((report.abandoned, report.discarded), (1, 1));
}

#[tokio::test]
async fn last_queue_is_handed_back_only_with_stragglers() {
    for straggle in [false, true] {
        let coordinator = Coordinator::default();
        let (sender, _receiver) = tollgate::tasks(1);
        sender.send("result").await.unwrap();
        let (mut crew, left) = (Crew::default(), Left::default());
        crew.hand_back_at_last(sender.monitor(), Arc::clone(&left));
        if straggle {
            crew.spawn(&coordinator, "straggler".into(), future::pending());
        }
        coordinator.request_stop(None);

        join(&coordinator, crew, Duration::ZERO).await;
        assert_eq!(sender.is_closed(), straggle);
        assert_eq!(lock(&left).len(), usize::from(straggle));
    }
}

pub(super) fn error(text: &str) -> Cause {
    Arc::new(io::Error::other(text.to_owned()))
}

/// Joins, but fails if that hangs.
async fn join(coordinator: &Coordinator, crew: Crew, grace: Duration) -> Ended {
    in_time(coordinator.join(crew, grace)).await
}

pub(super) async fn in_time<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("the test hangs")
}
