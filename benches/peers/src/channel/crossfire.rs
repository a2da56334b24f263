//! The flavours of crossfire. Sending to its unbounded channels never waits, and returns no future.

use std::future::ready;

use crossfire::AsyncRx;
use crossfire::AsyncTx;
use crossfire::MAsyncRx;
use crossfire::MAsyncTx;
use crossfire::MTx;
use crossfire::Tx;
use crossfire::mpmc;
use crossfire::mpsc;
use crossfire::spsc;

use super::Channel;
use super::Received;
use super::Sent;
use super::channel;
use super::copies;
use super::one;
use crate::item::Item;

channel! {
    Mpmc {
        senders: copies of MAsyncTx<mpmc::Array<T>>,
        receivers: copies of MAsyncRx<mpmc::Array<T>>,
        open: |capacity, _| mpmc::bounded_async(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    MpmcUnbounded {
        senders: copies of MTx<mpmc::List<T>>,
        receivers: copies of MAsyncRx<mpmc::List<T>>,
        open: |_, _| mpmc::unbounded_async(),
        send: |sender, item| ready(sender.send(item)),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    Mpsc {
        senders: copies of MAsyncTx<mpsc::Array<T>>,
        receivers: one of AsyncRx<mpsc::Array<T>>,
        open: |capacity, _| mpsc::bounded_async(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    MpscUnbounded {
        senders: copies of MTx<mpsc::List<T>>,
        receivers: one of AsyncRx<mpsc::List<T>>,
        open: |_, _| mpsc::unbounded_async(),
        send: |sender, item| ready(sender.send(item)),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    Spsc {
        senders: one of AsyncTx<spsc::Array<T>>,
        receivers: one of AsyncRx<spsc::Array<T>>,
        open: |capacity, _| spsc::bounded_async(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    SpscUnbounded {
        senders: one of Tx<spsc::List<T>>,
        receivers: one of AsyncRx<spsc::List<T>>,
        open: |_, _| spsc::unbounded_async(),
        send: |sender, item| ready(sender.send(item)),
        recv: |receiver| receiver.recv(),
    }
}
