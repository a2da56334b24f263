//! Which waiter is woken next, after some were woken in vain.

use std::task::Poll;

use futures_util::StreamExt;

use crate::common::Given;
use crate::common::Kind;
use crate::common::Waiter;
use crate::common::mixed;
use crate::common::on_both_kinds;
use crate::common::take_one;
use crate::common::wakes;

on_both_kinds! {
    vainly_woken_receiver_keeps_position,
    vainly_woken_sender_keeps_position,
    position_ends_on_success_or_drop,
}

fn vainly_woken_receiver_keeps_position<K: Kind>() {
    for count in [3, 10, 70] {
        // The first two are woken in vain, and polled in either order.
        for order in [[0, 1], [1, 0]] {
            let (sender, receiver) = K::channel(2);
            let mut waiters = mixed::<K>(&receiver, count);
            for _ in 0..2 {
                sender.try_send(1).unwrap();
                take_one(&receiver).unwrap();
            }
            for index in order {
                assert!(waiters[index].poll().is_pending());
            }
            waiters.extend(mixed::<K>(&receiver, 1));
            // A spurious poll changes no position.
            for waiter in waiters.iter_mut().rev() {
                assert!(waiter.poll_while_it_yields().is_pending());
            }
            // The newcomer has yielded at least once, and so has woken itself. Now it waits.
            assert_ne!(waiters[count].wakes(), 0);
            let mut expected = wakes(&waiters);
            for index in 0..=count {
                sender.try_send(2).unwrap();
                take_one(&receiver).unwrap();
                expected[index] += 1;
                assert_eq!(wakes(&waiters), expected, "{count} receivers");
            }
        }
    }
}

fn vainly_woken_sender_keeps_position<K: Kind>() {
    for count in [3, 10, 70] {
        for order in [[0, 1], [1, 0]] {
            let (sender, receiver) = K::channel(1);
            sender.try_send(0).unwrap();
            let send = || Waiter::waiting(sender.send(1));
            let mut sends: Vec<_> = (0..count).map(|_| send()).collect();
            for _ in 0..2 {
                take_one(&receiver).unwrap();
                sender.try_send(0).unwrap();
            }
            for index in order {
                assert!(sends[index].poll().is_pending());
            }
            sends.push(send());
            for send in sends.iter_mut().rev() {
                assert!(send.poll_while_it_yields().is_pending());
            }
            // The newcomer has yielded at least once, and so has woken itself. Now it waits.
            assert_ne!(sends[count].wakes(), 0);
            let mut expected = wakes(&sends);
            for index in 0..=count {
                take_one(&receiver).unwrap();
                sender.try_send(0).unwrap();
                expected[index] += 1;
                assert_eq!(wakes(&sends), expected, "{count} senders");
            }
        }
    }
}

fn position_ends_on_success_or_drop<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut stream = Waiter::new({
        let mut stream = receiver.clone();
        async move {
            let first = stream.next().await.map(Given::end);
            (first, stream.next().await.map(Given::end))
        }
    });
    assert!(stream.poll().is_pending());
    let first = Waiter::waiting(receiver.recv());
    let mut second = Waiter::waiting(receiver.recv());
    // Woken in vain, then with success: it waits anew, behind both others.
    sender.try_send(1).unwrap();
    take_one(&receiver).unwrap();
    assert!(stream.poll().is_pending());
    sender.try_send(2).unwrap();
    assert!(stream.poll().is_pending());
    let seen = |expected: [usize; 3], first: &Waiter<'_, _>, second: &Waiter<'_, _>| {
        assert_eq!([stream.wakes(), first.wakes(), second.wakes()], expected);
    };
    sender.try_send(3).unwrap();
    take_one(&receiver).unwrap();
    seen([2, 1, 0], &first, &second);
    // The first is woken in vain too, and then dropped: its position is gone.
    let mut first = first;
    assert!(first.poll().is_pending());
    drop(first);
    let first = Waiter::waiting(receiver.recv());
    sender.try_send(4).unwrap();
    seen([2, 0, 1], &first, &second);
    assert!(matches!(second.poll(), Poll::Ready(Ok(_))));
    sender.try_send(5).unwrap();
    seen([3, 0, 1], &first, &second);
    assert_eq!(stream.poll(), Poll::Ready((Some(2), Some(5))));
}
