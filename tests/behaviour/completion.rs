//! Completed futures: they are terminated, and panic when they are polled.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use futures_util::future::FusedFuture;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Kind;
use crate::common::on_both_kinds;
use crate::common::panic_text;
use crate::common::poll;

on_both_kinds! {
    poll_after_completion_panics,
    poll_of_batch_after_completion_panics,
    poll_of_owned_future_after_completion_panics,
    futures_work_in_select_of_futures,
}

#[track_caller]
fn assert_fused<F: FusedFuture + Unpin>(name: &str, mut future: F) {
    let waker = CountingWaker::new();
    assert!(!future.is_terminated());
    assert!(poll(&mut future, &waker).is_ready());
    for _ in 0..2 {
        assert!(future.is_terminated());
        let text = panic_text(|| drop(poll(&mut future, &waker)));
        assert_eq!(text, format!("`{name}` polled after completion"));
    }
}

fn poll_after_completion_panics<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    assert_fused("Join", sender.join());
    assert_fused("Ready", sender.ready());
    assert_fused("Send", sender.send(1));
    assert_fused("Recv", receiver.recv());
    assert_fused("SendFrom", sender.send_from(&mut Some(1)));
    assert_fused("Recv", receiver.recv());
    sender.close();
    assert_fused("Send", sender.send(1));
    assert_fused("SendFrom", sender.send_from(&mut Some(1)));
    assert_fused("Ready", sender.ready());
    assert_fused("Recv", receiver.recv());
    assert_fused("Closed", sender.closed());
    assert_fused("Finished", monitor.finished());
    assert_fused("Failed", monitor.failed());
}

fn poll_of_batch_after_completion_panics<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let (mut items, mut buf) = (VecDeque::new(), Vec::new());
    assert_fused("SendMany", sender.send_many(&mut items));
    items.push_back(1);
    assert_fused("SendMany", sender.send_many(&mut items));
    assert_fused("RecvMany", receiver.recv_many(&mut buf, NonZeroUsize::MAX));
    sender.close();
    assert_fused("SendMany", sender.send_many(&mut items));
    drop(buf);
    assert_fused(
        "RecvMany",
        receiver.recv_many(&mut Vec::new(), NonZeroUsize::MAX),
    );
}

fn poll_of_owned_future_after_completion_panics<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    assert_fused("IntoJoin", monitor.clone().into_join());
    assert_fused("IntoSend", sender.clone().into_send(1));
    assert_fused("IntoRecv", receiver.clone().into_recv());
    sender.close();
    assert_fused("IntoSend", sender.into_send(1));
    assert_fused("IntoRecv", receiver.into_recv());
    assert_fused("IntoFinished", monitor.into_finished());
}

/// A future that is polled by reference in a loop, without `fuse`.
fn futures_work_in_select_of_futures<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(0).unwrap();
    let (mut send, mut recv, mut closed) = (sender.send(1), receiver.recv(), sender.closed());
    let mut order = Vec::new();
    pollster::block_on(async {
        loop {
            futures_util::select_biased! {
                sent = send => {
                    order.push(sent.map(|()| 100).unwrap());
                    receiver.close();
                }
                given = recv => order.push(given.unwrap().end()),
                () = closed => order.push(200),
                complete => break,
            }
        }
    });
    assert_eq!(order, [0, 100, 200]);
}
