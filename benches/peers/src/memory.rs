//! Heap memory, counted by the allocator.

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Context;
use std::task::Waker;

use crate::markdown::Table;
use crate::peers::OWN;

/// The system allocator, which counts while a flag is set. Otherwise it only reads the flag, which
/// never changes, so the cost is too small to be measured.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static IN_USE: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    if COUNTS.load(Relaxed) {
        IN_USE.fetch_add(bytes, Relaxed);
    }
}

// SAFETY: all calls are forwarded to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's guarantee.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's guarantee.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller's guarantee.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's guarantee.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const CAPACITY: usize = 16;
const FEW: usize = 100;
const MANY: usize = 10_000;

/// Prints the memory that each channel takes.
pub fn ask() {
    COUNTS.store(true, Relaxed);
    let mut table = Table::new([
        "channel".to_owned(),
        "bytes, idle".to_owned(),
        "for each parked receiver".to_owned(),
        "besides its future of".to_owned(),
        format!("left after {MANY}"),
    ]);
    let mut row = |name: &str, idle: isize, parked: Option<Parked>| {
        let [each, future, left] = match parked {
            Some(parked) => [
                format!("{:.1}", parked.each),
                parked.future.to_string(),
                parked.left.to_string(),
            ],
            None => ["–", "–", "–"].map(str::to_owned),
        };
        table.row([name.to_owned(), idle.to_string(), each, future, left]);
    };

    let ((_sender, receiver), idle) = open(|| tollgate::bounded::<u64>(CAPACITY));
    row(OWN, idle, Some(park(|| receiver.recv())));

    let ((_sender, receiver), idle) = open(|| tollgate::tasks::<u64>(CAPACITY));
    row("tollgate tasks", idle, Some(park(|| receiver.recv())));

    let ((_sender, receiver), idle) = open(|| async_channel::bounded::<u64>(CAPACITY));
    row("async-channel", idle, Some(park(|| receiver.recv())));

    let ((_sender, receiver), idle) = open(|| kanal::bounded_async::<u64>(CAPACITY));
    row("kanal", idle, Some(park(|| receiver.recv())));

    let ((_sender, receiver), idle) = open(|| flume::bounded::<u64>(CAPACITY));
    row("flume", idle, Some(park(|| receiver.recv_async())));

    let ((_sender, receiver), idle) = open(|| crossfire::mpmc::bounded_async::<u64>(CAPACITY));
    row("crossfire mpmc", idle, Some(park(|| receiver.recv())));

    let ((_sender, receiver), idle) = open(|| rapidfire::bounded::<u64>(CAPACITY));
    row("rapidfire", idle, Some(park(|| receiver.recv())));

    let (_channel, idle) = open(|| tokio::sync::mpsc::channel::<u64>(CAPACITY));
    row("tokio", idle, None);

    println!("{table}");
}

/// The memory of waiting receivers, in bytes.
struct Parked {
    each: f64,
    future: usize,
    /// Still in use after all receivers have been dropped.
    left: isize,
}

/// Opens a channel, and returns how many bytes it takes.
fn open<C>(open: impl FnOnce() -> C) -> (C, isize) {
    let before = IN_USE.load(Relaxed);
    let channel = open();
    (channel, IN_USE.load(Relaxed) - before)
}

fn park<F: Future>(recv: impl Fn() -> F) -> Parked {
    let idle = IN_USE.load(Relaxed);
    let few = park_number(FEW, &recv);
    park_number(MANY, &recv);
    Parked {
        each: few as f64 / FEW as f64,
        future: size_of::<F>(),
        left: IN_USE.load(Relaxed) - idle,
    }
}

/// The memory that waiting receivers take, not including their futures.
fn park_number<F: Future>(number: usize, recv: impl Fn() -> F) -> isize {
    let mut futures = Vec::with_capacity(number);
    let before = IN_USE.load(Relaxed);
    for _ in 0..number {
        let mut future = Box::pin(recv());
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "nothing has been sent");
        futures.push(future);
    }
    IN_USE.load(Relaxed) - before - (number * size_of::<F>()).cast_signed()
}
