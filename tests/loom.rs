//! The channel in every interleaving: models that [loom](https://docs.rs/loom) runs through.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom
//! ```
//!
//! `LOOM_MAX_PREEMPTIONS` says how often a thread is interrupted at most, 2 if it is not set; the
//! largest models never take more, for that would be hours. Those named `l01` and so on are the ones
//! that any channel needs; the others are of what this one does its own way. There is no `l19`, weak
//! handles, before there are weak handles.
//!
//! Every model also wants that nobody sleeps for ever, that each item is dropped once, and that each
//! channel is freed once and not touched afterwards (see `Quarantine` in `support`).
//!
//! # What loom does not see
//!
//! * A `SeqCst` load finds the newest of `SeqCst` stores, always, as a read-modify-write does. No model
//!   fails when `record`, `clear_awaited`, the first load in `try_resolve`, the counts of senders and
//!   receivers, or the guess of `head` in `claim_filled` are `Relaxed`, as far as can be told because what
//!   they order is read in one of these ways.
//! * Freeing is no step of a model: loom does not try it early, unless there is a race for something
//!   else too. So no model fails when `pushed` is read after `orphan`, when `orphan` or the count of handles is
//!   `Relaxed`, or when `try_resolve` does not acquire. Six to eight of `freeing` do, once each atomic of
//!   a channel is written to when it is dropped.
//!
//! # Each model can fail
//!
//! What was broken in `src`, one line at a time, and the models that then failed; some, where it is many.
//!
//! | broken | fails |
//! |---|---|
//! | `Wait::enter`: no fence | 31: l01, l02, l03, l04, l07, l08, l11, l12, l13, l15, l17 … |
//! | `Wait::poll`: no second attempt | 43: l01 to l08, l11, l16 … |
//! | a claim: no `seqcst_accesses_are_ordered` | 16: l01 to l04, l11, l13, l15, l17 … |
//! | `set_awaited`: the same | join_of_a_plain_channel_goes_with_the_traffic |
//! | `set_ending`: the same | 4: finished_hears_of_the_close…, a_task_receiver_ends_with… |
//! | `Vacancy::fill`: turn stored `Relaxed` | 22: l03, l08, l09 … |
//! | `Ring::empty`: turn stored `Relaxed` | 5: l02, l03, l12, l15 … |
//! | `Slots::run`: turn loaded `Relaxed` | l03 |
//! | `claim_vacant`: tail guessed `Relaxed` | what_was_never_full_is_not_said_to_be |
//! | `claim_vacant`: head loaded `Relaxed` | l12 |
//! | `claim_filled`: tail loaded `Relaxed` | l07 |
//! | `take`: busy is empty | 16: l08, l09, l17, what_stands_behind_a_slow_send… |
//! | `reserve`: busy is full | 5: l03, l12, l15, what_stands_behind_a_slow_receive… |
//! | `close`: `not_empty` not woken | 5: l07, l08, l09, close_wakes_seat_and_crowd … |
//! | `close`: `not_full` not woken | 3: l07, l09, close_wakes_all_blocked_senders |
//! | `close`: `closed` not woken | l15 |
//! | `close`: `finished` not woken | 4: finished_hears_of_the_close… |
//! | `close`: `not_empty` of an ended task channel not woken | a_task_receiver_ends_with… |
//! | `accept`: `not_empty` not woken | 16: l01 to l04 … |
//! | `task_taken`: `not_full` not woken | taking_a_task_makes_room |
//! | `item_taken`: quiescence not told | 3: join_of_a_plain_channel… |
//! | `leave`, seat: wake not passed on | 4: l04, l11, l12, the_seat_passes_its_wake_to_the_crowd |
//! | `leave`, crowd: wake not passed on | the_crowd_passes_its_wake_on |
//! | `leave`, called: wake not passed on | a_waiter_…, a_sender_that_is_left_alone_keeps_one_wake |
//! | success passes no wake for items on | l04, l05, a_waiter_that_is_left_alone_keeps_one_wake |
//! | success passes no wake for room on | l06, a_sender_that_is_left_alone_keeps_one_wake |
//! | `call`: the crowd not called when one sat | 5: close_wakes_seat_and_crowd … |
//! | `seat_of`: ticket not checked | 4: l11, l12, a_waiter_that_goes…, a_waiter_that_was_called… |
//! | `stay_seated`: waker not replaced | l13 |
//! | `Standing::stay`: waker not replaced | 3: l13 … |
//! | `try_resolve`: never `NeedsHandle` | 13: l16, l17 … |
//! | `try_resolve`: ENDING not looked at | 6: finished_hears_of_the_close… |
//! | `try_resolve`: exchange `Relaxed`, or `Acquire` | 3: l16, l17 |
//! | `resolve`: `Relaxed` | 4: l16, l17 … |
//! | `resolved`: loaded `Relaxed` | 6: l16, l17, the_account_adds_up… |
//! | `Join`: AWAITED never set | 9: l16, l17 … |
//! | `Join`: AWAITED set before listing only | a_joiner_that_lists_itself…, join_of_a_plain_channel_goes… |
//! | `Join`: no look after AWAITED is set | a_joiner_that_lists_itself_between_two_rounds_is_told |
//! | `announce`: AWAITED cleared after the wake | a_joiner_of_the_next_round…, join_of_a_plain_channel_goes… |
//! | `announce`: no fence | 7: finished_hears_of_the_close… |
//! | `announce`: `idle` not woken | 12 |
//! | `announce`: `finished` not woken | 5 |
//! | `announce`: `not_empty` not woken | a_task_receiver_ends_with…, two_task_receivers_end… |
//! | `announce`: first failure not told | a_failure_is_heard_of…, a_discard_is_heard_of… |
//! | `close`: ENDING not set | 7; set after the look: 4 |
//! | `settle`: recorded after resolved | 3: the_account_adds_up_while… |
//! | `outcome`: accepted read first | the_account_adds_up_while_the_channel_goes_on |
//! | `Failed`: looks at the end last | the_failure_of_the_last_task_is_not_missed |
//! | `discard`: does not wait for a busy slot | 3: l09, what_is_sent_… |
//! | `discard`: failure not told | a_discard_is_heard_of_before_the_end |
//! | the last handle frees in any case | 6 of `freeing`; never: 26 |
//! | the last task does not free | 6 of `freeing` |
//! | `upgrade`: from zero | 6 of `freeing` |
//!
//! Broken without a model that fails, besides those above: `announce` reads `is_closed` first;
//! `is_quiescent` reads what is accepted first; `Wait::enter` raises `waiting` late; `call` calls all of the crowd
//! for one, or does not lower `waiting`; no `seqcst_accesses_are_ordered` in `close`, or where a wake is
//! passed on. By reasoning, these cost needless wakes at most, or something else orders the same.

#![cfg(loom)]

#[path = "loom/accounting.rs"]
mod accounting;
#[path = "loom/ending.rs"]
mod ending;
#[path = "loom/freeing.rs"]
mod freeing;
#[path = "loom/joining.rs"]
mod joining;
#[path = "loom/passing.rs"]
mod passing;
#[path = "loom/support.rs"]
mod support;
#[path = "loom/waiting.rs"]
mod waiting;
