//! Times tollgate against its peers, interleaved: every round runs each contestant once, in turn,
//! so that the machine's moods hit all alike. Prints medians of time per item and of the
//! ratio to the peer within a round.
//!
//! `cargo run --release [ROUNDS]`

use std::hint::black_box;
use std::time::Duration;
use std::time::Instant;

use tokio_util::task::TaskTracker;

/// One way of moving items, and how many it moves in a run.
struct Contestant {
    name: &'static str,
    items: u32,
    run: fn(u32),
}

/// Contestants for one question; ratios are to the first.
struct Question {
    name: &'static str,
    contestants: &'static [Contestant],
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "try_send + try_recv, capacity 64, one thread",
        contestants: &[
            Contestant {
                name: "crossbeam_queue::ArrayQueue",
                items: 2_000_000,
                run: array_queue,
            },
            Contestant {
                name: "tollgate",
                items: 2_000_000,
                run: tollgate_try,
            },
            Contestant {
                name: "async-channel",
                items: 500_000,
                run: async_channel_try,
            },
        ],
    },
    Question {
        name: "1x1, capacity 128, tokio current-thread",
        contestants: &[
            Contestant {
                name: "async-channel",
                items: 500_000,
                run: async_channel_one_to_one,
            },
            Contestant {
                name: "tollgate",
                items: 1_000_000,
                run: tollgate_one_to_one,
            },
        ],
    },
    Question {
        name: "send + recv (+ done), capacity 64, one task that never waits",
        contestants: &[
            Contestant {
                name: "tollgate, plain",
                items: 2_000_000,
                run: tollgate_plain,
            },
            Contestant {
                name: "tollgate, tasks",
                items: 2_000_000,
                run: tollgate_tasks,
            },
            Contestant {
                name: "tollgate, tasks, somebody joins",
                items: 2_000_000,
                run: tollgate_tasks_joined,
            },
            Contestant {
                name: "tollgate, tasks, each tried twice",
                items: 1_000_000,
                run: tollgate_tasks_retried,
            },
        ],
    },
    Question {
        name: "send + recv + done, capacity 64, one task that never waits",
        contestants: &[
            Contestant {
                name: "async-channel, tokio_util TaskTracker token per item",
                items: 500_000,
                run: async_channel_tracked,
            },
            Contestant {
                name: "tollgate, tasks",
                items: 2_000_000,
                run: tollgate_tasks,
            },
        ],
    },
    Question {
        name: "1x1 with done, capacity 128, tokio current-thread",
        contestants: &[
            Contestant {
                name: "async-channel, tokio_util TaskTracker token per item",
                items: 500_000,
                run: async_channel_tracked_one_to_one,
            },
            Contestant {
                name: "tollgate, tasks",
                items: 1_000_000,
                run: tollgate_tasks_one_to_one,
            },
            Contestant {
                name: "tollgate, plain",
                items: 1_000_000,
                run: tollgate_one_to_one,
            },
        ],
    },
];

fn array_queue(items: u32) {
    let queue = crossbeam_queue::ArrayQueue::new(64);
    for item in 0..items {
        queue.push(black_box(u64::from(item))).unwrap();
        black_box(queue.pop().unwrap());
    }
}

fn tollgate_try(items: u32) {
    let (sender, receiver) = tollgate::bounded(64);
    for item in 0..items {
        sender.try_send(black_box(u64::from(item))).unwrap();
        black_box(receiver.try_recv().unwrap());
    }
}

fn async_channel_try(items: u32) {
    let (sender, receiver) = async_channel::bounded(64);
    for item in 0..items {
        sender.try_send(black_box(u64::from(item))).unwrap();
        black_box(receiver.try_recv().unwrap());
    }
}

fn on_current_thread<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn async_channel_one_to_one(items: u32) {
    on_current_thread(async {
        let (sender, receiver) = async_channel::bounded(128);
        tokio::spawn(async move {
            for item in 0..items {
                sender.send(black_box(u64::from(item))).await.unwrap();
            }
        });
        while let Ok(item) = receiver.recv().await {
            black_box(item);
        }
    });
}

fn tollgate_one_to_one(items: u32) {
    on_current_thread(async {
        let (sender, receiver) = tollgate::bounded(128);
        tokio::spawn(async move {
            for item in 0..items {
                sender.send(black_box(u64::from(item))).await.unwrap();
            }
        });
        while let Ok(item) = receiver.recv().await {
            black_box(item);
        }
    });
}

fn tollgate_plain(items: u32) {
    on_current_thread(async {
        let (sender, receiver) = tollgate::bounded(64);
        for item in 0..items {
            sender.send(black_box(u64::from(item))).await.unwrap();
            black_box(receiver.recv().await.unwrap());
        }
    });
}

fn tollgate_tasks(items: u32) {
    on_current_thread(async {
        let (sender, receiver) = tollgate::tasks(64);
        for item in 0..items {
            sender.send(black_box(u64::from(item))).await.unwrap();
            black_box(receiver.recv().await.unwrap().done());
        }
    });
}

fn tollgate_tasks_joined(items: u32) {
    on_current_thread(async {
        let (sender, receiver) = tollgate::tasks(64);
        // Keeps the channel from ever being without work, so that the joiner stays.
        sender.send(0).await.unwrap();
        let monitor = sender.monitor();
        let joiner = tokio::spawn(async move { monitor.join().await.unwrap() });
        tokio::task::yield_now().await;
        for item in 0..items {
            sender.send(black_box(u64::from(item))).await.unwrap();
            black_box(receiver.recv().await.unwrap().done());
        }
        receiver.recv().await.unwrap().done();
        joiner.await.unwrap();
    });
}

fn tollgate_tasks_retried(items: u32) {
    on_current_thread(async {
        let (sender, receiver) = tollgate::tasks(64);
        for item in 0..items {
            sender.send(black_box(u64::from(item))).await.unwrap();
            receiver.recv().await.unwrap().retry().unwrap();
            black_box(receiver.recv().await.unwrap().done());
        }
    });
}

fn async_channel_tracked(items: u32) {
    on_current_thread(async {
        let tracker = TaskTracker::new();
        let (sender, receiver) = async_channel::bounded(64);
        for item in 0..items {
            let tracked = (black_box(u64::from(item)), tracker.token());
            sender.send(tracked).await.unwrap();
            let (item, token) = receiver.recv().await.unwrap();
            black_box(item);
            drop(token);
        }
        tracker.close();
        tracker.wait().await;
    });
}

fn async_channel_tracked_one_to_one(items: u32) {
    on_current_thread(async {
        let tracker = TaskTracker::new();
        let (sender, receiver) = async_channel::bounded(128);
        let tokens = tracker.clone();
        tokio::spawn(async move {
            for item in 0..items {
                let tracked = (black_box(u64::from(item)), tokens.token());
                sender.send(tracked).await.unwrap();
            }
        });
        while let Ok((item, token)) = receiver.recv().await {
            black_box(item);
            drop(token);
        }
        tracker.close();
        tracker.wait().await;
    });
}

fn tollgate_tasks_one_to_one(items: u32) {
    on_current_thread(async {
        let (sender, receiver) = tollgate::tasks(128);
        let monitor = sender.monitor();
        tokio::spawn(async move {
            for item in 0..items {
                sender.send(black_box(u64::from(item))).await.unwrap();
            }
        });
        while let Ok(task) = receiver.recv().await {
            black_box(task.done());
        }
        monitor.finished().await.unwrap();
    });
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn nanoseconds_an_item(contestant: &Contestant) -> f64 {
    let start = Instant::now();
    (contestant.run)(contestant.items);
    let elapsed: Duration = start.elapsed();
    elapsed.as_nanos() as f64 / f64::from(contestant.items)
}

fn main() {
    let rounds = std::env::args().nth(1).map_or(15, |rounds| {
        rounds.parse::<usize>().expect("ROUNDS is a number")
    });
    for question in QUESTIONS {
        println!("\n{} ({rounds} rounds)\n", question.name);
        println!("| | ns an item, median | ratio to the first, median |");
        println!("|---|---|---|");
        let mut figures = vec![Vec::new(); question.contestants.len()];
        for _ in 0..rounds {
            for (contestant, figures) in question.contestants.iter().zip(&mut figures) {
                figures.push(nanoseconds_an_item(contestant));
            }
        }
        for (contestant, own) in question.contestants.iter().zip(&figures) {
            let ratios = own.iter().zip(&figures[0]).map(|(own, peer)| own / peer);
            println!(
                "| {} | {:.1} | {:.2} |",
                contestant.name,
                median(own.clone()),
                median(ratios.collect()),
            );
        }
    }
}
