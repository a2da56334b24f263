//! The contestants of the grid.

use crate::channel::Channel;
use crate::channel::crossfire;
use crate::channel::many::AsyncChannel;
use crate::channel::many::AsyncChannelUnbounded;
use crate::channel::many::Fibre;
use crate::channel::many::FibreUnbounded;
use crate::channel::many::Flume;
use crate::channel::many::FlumeUnbounded;
use crate::channel::many::Kanal;
use crate::channel::many::KanalUnbounded;
use crate::channel::many::Loole;
use crate::channel::many::LooleUnbounded;
use crate::channel::many::Rapidfire;
use crate::channel::many::RapidfireUnbounded;
use crate::channel::many::Tollgate;
use crate::channel::many::TollgateUnbounded;
use crate::channel::single::Futures;
use crate::channel::single::FuturesUnbounded;
use crate::channel::single::RapidfireMpsc;
use crate::channel::single::RapidfireMpscUnbounded;
use crate::channel::single::Tachyonix;
use crate::channel::single::Thingbuf;
use crate::channel::single::Tokio;
use crate::channel::single::TokioUnbounded;
use crate::grid::Capacity;
use crate::grid::Cell;
use crate::grid::MoveItems;
use crate::grid::Payload;
use crate::grid::move_items;
use crate::item::Wide;

/// The crate that all others are compared with.
pub const OWN: &str = "tollgate";

/// A contestant of the grid.
pub struct Peer {
    pub name: &'static str,
    /// Dropping a waiting future loses no item.
    pub is_cancel_safe: bool,
    many_senders: bool,
    many_receivers: bool,
    /// Every sender adds a slot, so it cannot hold fewer items than it has senders.
    has_slot_per_sender: bool,
    bounded: Option<Moves>,
    unbounded: Option<Moves>,
}

/// A function for each payload.
#[derive(Clone, Copy)]
struct Moves {
    small: MoveItems,
    wide: MoveItems,
}

impl Moves {
    const fn of<C: Channel<u64> + Channel<Wide>>() -> Self {
        Self {
            small: move_items::<C, u64>,
            wide: move_items::<C, Wide>,
        }
    }
}

impl Peer {
    const fn mpmc(name: &'static str) -> Self {
        Self {
            name,
            is_cancel_safe: true,
            many_senders: true,
            many_receivers: true,
            has_slot_per_sender: false,
            bounded: None,
            unbounded: None,
        }
    }

    const fn mpsc(name: &'static str) -> Self {
        let mut peer = Self::mpmc(name);
        peer.many_receivers = false;
        peer
    }

    const fn spsc(name: &'static str) -> Self {
        let mut peer = Self::mpsc(name);
        peer.many_senders = false;
        peer
    }

    const fn may_lose_items(mut self) -> Self {
        self.is_cancel_safe = false;
        self
    }

    const fn with_slot_per_sender(mut self) -> Self {
        self.has_slot_per_sender = true;
        self
    }

    const fn bounded<C: Channel<u64> + Channel<Wide>>(mut self) -> Self {
        self.bounded = Some(Moves::of::<C>());
        self
    }

    const fn unbounded<C: Channel<u64> + Channel<Wide>>(mut self) -> Self {
        self.unbounded = Some(Moves::of::<C>());
        self
    }

    /// How this peer moves items in that cell, if it can.
    pub fn moves(&self, cell: Cell) -> Option<MoveItems> {
        if cell.topology.senders > 1 && !self.many_senders
            || cell.topology.receivers > 1 && !self.many_receivers
        {
            return None;
        }
        let moves = match cell.capacity {
            Capacity::Bounded(capacity)
                if self.has_slot_per_sender && capacity < cell.topology.senders =>
            {
                return None;
            }
            Capacity::Bounded(_) => self.bounded?,
            Capacity::Unbounded => self.unbounded?,
        };
        Some(match cell.payload {
            Payload::Small => moves.small,
            Payload::Wide => moves.wide,
        })
    }
}

pub const PEERS: &[Peer] = &[
    Peer::mpmc(OWN)
        .bounded::<Tollgate>()
        .unbounded::<TollgateUnbounded>(),
    Peer::mpmc("async-channel")
        .bounded::<AsyncChannel>()
        .unbounded::<AsyncChannelUnbounded>(),
    Peer::mpmc("crossfire mpmc")
        .bounded::<crossfire::Mpmc>()
        .unbounded::<crossfire::MpmcUnbounded>(),
    Peer::mpsc("crossfire mpsc")
        .bounded::<crossfire::Mpsc>()
        .unbounded::<crossfire::MpscUnbounded>(),
    Peer::spsc("crossfire spsc")
        .bounded::<crossfire::Spsc>()
        .unbounded::<crossfire::SpscUnbounded>(),
    Peer::mpmc("rapidfire")
        .bounded::<Rapidfire>()
        .unbounded::<RapidfireUnbounded>(),
    Peer::mpsc("rapidfire mpsc")
        .bounded::<RapidfireMpsc>()
        .unbounded::<RapidfireMpscUnbounded>(),
    Peer::mpsc("tachyonix").bounded::<Tachyonix>(),
    Peer::mpsc("tokio")
        .bounded::<Tokio>()
        .unbounded::<TokioUnbounded>(),
    Peer::mpsc("futures")
        .with_slot_per_sender()
        .bounded::<Futures>()
        .unbounded::<FuturesUnbounded>(),
    Peer::mpmc("kanal")
        .may_lose_items()
        .bounded::<Kanal>()
        .unbounded::<KanalUnbounded>(),
    Peer::mpmc("flume")
        .may_lose_items()
        .bounded::<Flume>()
        .unbounded::<FlumeUnbounded>(),
    Peer::mpsc("thingbuf")
        .may_lose_items()
        .bounded::<Thingbuf>(),
    Peer::mpmc("fibre")
        .may_lose_items()
        .bounded::<Fibre>()
        .unbounded::<FibreUnbounded>(),
    Peer::mpmc("loole")
        .may_lose_items()
        .bounded::<Loole>()
        .unbounded::<LooleUnbounded>(),
];

/// Whether the contestant with this name is a peer and cancel-safe.
pub fn is_cancel_safe_peer(name: &str) -> bool {
    is_peer(name)
        && PEERS
            .iter()
            .any(|peer| peer.name == name && peer.is_cancel_safe)
}

pub fn is_peer(name: &str) -> bool {
    name != OWN
}
