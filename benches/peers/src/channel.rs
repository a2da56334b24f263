//! The contestants: every channel behind one trait, so that the same code drives all of them.

use crate::item::Item;

pub mod crossfire;
pub mod many;
pub mod single;

/// A kind of channel.
///
/// `send` and `recv` return the peer's own futures, with nothing around them.
pub trait Channel<T: Item>: 'static {
    type Sender: Send + 'static;
    type Receiver: Send + 'static;

    /// Opens a channel and returns as many handles as are asked for.
    fn open(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>);

    fn send(sender: &mut Self::Sender, item: T) -> impl Future<Output: Sent> + Send;

    fn recv(receiver: &mut Self::Receiver) -> impl Future<Output: Received<T>> + Send;
}

/// What sending returns.
pub trait Sent {
    fn is_sent(&self) -> bool;
}

impl<E> Sent for Result<(), E> {
    #[inline]
    fn is_sent(&self) -> bool {
        self.is_ok()
    }
}

/// What receiving returns: an item, or nothing once the channel has ended.
pub trait Received<T> {
    fn item(self) -> Option<T>;
}

impl<T> Received<T> for Option<T> {
    #[inline]
    fn item(self) -> Option<T> {
        self
    }
}

impl<T, E> Received<T> for Result<T, E> {
    #[inline]
    fn item(self) -> Option<T> {
        self.ok()
    }
}

/// The handles for an end that may be cloned.
fn copies<H: Clone>(handle: H, number: usize) -> Vec<H> {
    std::iter::repeat_n(handle, number).collect()
}

/// The handle for an end that exists only once.
fn one<H>(handle: H, number: usize) -> Vec<H> {
    assert_eq!(number, 1, "this end cannot be cloned");
    vec![handle]
}

/// Declares a type and implements [`Channel`] for it.
macro_rules! channel {
    (
        $(#[$attribute:meta])*
        $name:ident {
            senders: $senders:ident of $Sender:ty,
            receivers: $receivers:ident of $Receiver:ty,
            open: |$capacity:pat_param, $number:pat_param| $open:expr,
            send: |$sender:ident, $item:ident| $send:expr,
            recv: |$receiver:ident| $recv:expr,
        }
    ) => {
        $(#[$attribute])*
        pub struct $name;

        impl<T: Item> Channel<T> for $name {
            type Sender = $Sender;
            type Receiver = $Receiver;

            fn open(
                $capacity: usize,
                senders: usize,
                receivers: usize,
            ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
                let $number = senders;
                let (sender, receiver) = $open;
                ($senders(sender, senders), $receivers(receiver, receivers))
            }

            #[inline]
            fn send($sender: &mut Self::Sender, $item: T) -> impl Future<Output: Sent> + Send {
                $send
            }

            #[inline]
            fn recv($receiver: &mut Self::Receiver) -> impl Future<Output: Received<T>> + Send {
                $recv
            }
        }
    };
}

use channel;
