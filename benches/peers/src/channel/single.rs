//! Channels with many senders and one receiver.

use std::future::ready;

use futures::SinkExt;
use futures::StreamExt;
use futures::channel::mpsc as futures_mpsc;
use rapidfire::mpsc as rapidfire_mpsc;
use thingbuf::mpsc as thingbuf_mpsc;
use tokio::sync::mpsc as tokio_mpsc;

use super::Channel;
use super::Received;
use super::Sent;
use super::channel;
use super::copies;
use super::one;
use crate::item::Item;

channel! {
    Tokio {
        senders: copies of tokio_mpsc::Sender<T>,
        receivers: one of tokio_mpsc::Receiver<T>,
        open: |capacity, _| tokio_mpsc::channel(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    TokioUnbounded {
        senders: copies of tokio_mpsc::UnboundedSender<T>,
        receivers: one of tokio_mpsc::UnboundedReceiver<T>,
        open: |_, _| tokio_mpsc::unbounded_channel(),
        send: |sender, item| ready(sender.send(item)),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    /// Every sender adds a slot to the capacity, so the buffer is smaller by the number of senders.
    Futures {
        senders: copies of futures_mpsc::Sender<T>,
        receivers: one of futures_mpsc::Receiver<T>,
        open: |capacity, senders| futures_mpsc::channel(capacity - senders),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.next(),
    }
}

channel! {
    FuturesUnbounded {
        senders: copies of futures_mpsc::UnboundedSender<T>,
        receivers: one of futures_mpsc::UnboundedReceiver<T>,
        open: |_, _| futures_mpsc::unbounded(),
        send: |sender, item| ready(sender.unbounded_send(item)),
        recv: |receiver| receiver.next(),
    }
}

channel! {
    RapidfireMpsc {
        senders: copies of rapidfire_mpsc::Sender<T>,
        receivers: one of rapidfire_mpsc::Receiver<T>,
        open: |capacity, _| rapidfire_mpsc::bounded(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    RapidfireMpscUnbounded {
        senders: copies of rapidfire_mpsc::Sender<T>,
        receivers: one of rapidfire_mpsc::Receiver<T>,
        open: |_, _| rapidfire_mpsc::unbounded(),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    Tachyonix {
        senders: copies of tachyonix::Sender<T>,
        receivers: one of tachyonix::Receiver<T>,
        open: |capacity, _| tachyonix::channel(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    Thingbuf {
        senders: copies of thingbuf_mpsc::Sender<T>,
        receivers: one of thingbuf_mpsc::Receiver<T>,
        open: |capacity, _| thingbuf_mpsc::channel(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}
