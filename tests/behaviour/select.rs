//! Futures that lose in a `select!`.

use std::future::Future;

use tokio::runtime;
use tokio::task;

use crate::common::Given;
use crate::common::Kind;
use crate::common::on_both_kinds;
use crate::common::take_one;

on_both_kinds! {
    select_over_two_receivers_loses_no_item,
    send_that_loses_never_arrives,
    select_over_two_senders_sends_once,
    closed_channel_wins,
}

fn run<R>(test: impl Future<Output = R>) -> R {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(test)
}

fn select_over_two_receivers_loses_no_item<K: Kind>() {
    run(async {
        let (even_sender, even) = K::channel(1);
        let (odd_sender, odd) = K::channel(2);
        for (sender, first) in [(even_sender, 0), (odd_sender, 1)] {
            tokio::spawn(async move {
                for item in (first..1_000).step_by(2) {
                    sender.send(item).await.unwrap();
                }
            });
        }
        let mut items = Vec::new();
        loop {
            let received = tokio::select! {
                Ok(given) = even.recv() => given.end(),
                Ok(given) = odd.recv() => given.end(),
                else => break,
            };
            items.push(received);
        }
        for parity in [0, 1] {
            let seen = items.iter().filter(|&&item| item % 2 == parity);
            let sent: Vec<_> = (parity..1_000).step_by(2).collect();
            assert_eq!(seen.copied().collect::<Vec<_>>(), sent, "in order");
        }
    });
}

/// What arrives is what `send` has returned `Ok` for, in order.
fn send_that_loses_never_arrives<K: Kind>() {
    run(async {
        let (sender, receiver) = K::channel(1);
        let consumer = tokio::spawn(async move {
            let mut items = Vec::new();
            while let Ok(item) = receiver.recv().await.map(Given::end) {
                items.push(item);
                if items.len() % 3 == 0 {
                    task::yield_now().await;
                }
            }
            items
        });
        let mut sent = Vec::new();
        for item in 0..500 {
            tokio::select! {
                biased;
                () = task::yield_now() => {}
                result = sender.send(item) => {
                    result.unwrap();
                    sent.push(item);
                }
            }
        }
        drop(sender);
        assert!((100..400).contains(&sent.len()), "each has won sometimes");
        assert_eq!(consumer.await.unwrap(), sent);
    });
}

fn select_over_two_senders_sends_once<K: Kind>() {
    run(async {
        let (first, first_receiver) = K::channel(1);
        let (second, second_receiver) = K::channel(1);
        first.try_send(10).unwrap();
        second.try_send(20).unwrap();
        let select = tokio::spawn(async move {
            tokio::select! {
                result = first.send(11) => (1, result),
                result = second.send(21) => (2, result),
            }
        });
        task::yield_now().await;
        assert_eq!(take_one(&second_receiver), Ok(20));
        assert_eq!(select.await.unwrap(), (2, Ok(())));
        assert_eq!(take_one(&second_receiver), Ok(21));
        assert_eq!(take_one(&first_receiver), Ok(10));
        assert!(take_one(&first_receiver).unwrap_err().is_closed());
    });
}

fn closed_channel_wins<K: Kind>() {
    run(async {
        let (sender, receiver) = K::channel(1);
        let (_open, waiting) = K::channel(1);
        drop(receiver);
        tokio::select! {
            result = sender.send(1) => assert_eq!(result.unwrap_err().into_inner(), 1),
            _ = waiting.recv() => unreachable!("nothing is sent"),
        }
        tokio::select! {
            () = sender.closed() => {}
            _ = waiting.recv() => unreachable!("nothing is sent"),
        }
    });
}
