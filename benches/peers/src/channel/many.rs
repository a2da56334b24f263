//! Channels with many senders and many receivers.

use super::Channel;
use super::Received;
use super::Sent;
use super::channel;
use super::copies;
use crate::item::Item;

channel! {
    Tollgate {
        senders: copies of tollgate::Sender<T>,
        receivers: copies of tollgate::Receiver<T>,
        open: |capacity, _| tollgate::bounded(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    TollgateUnbounded {
        senders: copies of tollgate::Sender<T>,
        receivers: copies of tollgate::Receiver<T>,
        open: |_, _| tollgate::unbounded(),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    AsyncChannel {
        senders: copies of async_channel::Sender<T>,
        receivers: copies of async_channel::Receiver<T>,
        open: |capacity, _| async_channel::bounded(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    AsyncChannelUnbounded {
        senders: copies of async_channel::Sender<T>,
        receivers: copies of async_channel::Receiver<T>,
        open: |_, _| async_channel::unbounded(),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    Rapidfire {
        senders: copies of rapidfire::Sender<T>,
        receivers: copies of rapidfire::Receiver<T>,
        open: |capacity, _| rapidfire::bounded(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    RapidfireUnbounded {
        senders: copies of rapidfire::Sender<T>,
        receivers: copies of rapidfire::Receiver<T>,
        open: |_, _| rapidfire::unbounded(),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    Kanal {
        senders: copies of kanal::AsyncSender<T>,
        receivers: copies of kanal::AsyncReceiver<T>,
        open: |capacity, _| kanal::bounded_async(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    KanalUnbounded {
        senders: copies of kanal::AsyncSender<T>,
        receivers: copies of kanal::AsyncReceiver<T>,
        open: |_, _| kanal::unbounded_async(),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    Flume {
        senders: copies of flume::Sender<T>,
        receivers: copies of flume::Receiver<T>,
        open: |capacity, _| flume::bounded(capacity),
        send: |sender, item| sender.send_async(item),
        recv: |receiver| receiver.recv_async(),
    }
}

channel! {
    FlumeUnbounded {
        senders: copies of flume::Sender<T>,
        receivers: copies of flume::Receiver<T>,
        open: |_, _| flume::unbounded(),
        send: |sender, item| sender.send_async(item),
        recv: |receiver| receiver.recv_async(),
    }
}

channel! {
    Loole {
        senders: copies of loole::Sender<T>,
        receivers: copies of loole::Receiver<T>,
        open: |capacity, _| loole::bounded(capacity),
        send: |sender, item| sender.send_async(item),
        recv: |receiver| receiver.recv_async(),
    }
}

channel! {
    LooleUnbounded {
        senders: copies of loole::Sender<T>,
        receivers: copies of loole::Receiver<T>,
        open: |_, _| loole::unbounded(),
        send: |sender, item| sender.send_async(item),
        recv: |receiver| receiver.recv_async(),
    }
}

channel! {
    Fibre {
        senders: copies of fibre::mpmc::AsyncSender<T>,
        receivers: copies of fibre::mpmc::AsyncReceiver<T>,
        open: |capacity, _| fibre::mpmc::bounded_async(capacity),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}

channel! {
    FibreUnbounded {
        senders: copies of fibre::mpmc::UnboundedAsyncSender<T>,
        receivers: copies of fibre::mpmc::UnboundedAsyncReceiver<T>,
        open: |_, _| fibre::mpmc::unbounded_async(),
        send: |sender, item| sender.send(item),
        recv: |receiver| receiver.recv(),
    }
}
