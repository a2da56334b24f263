//! The channel in every interleaving: models that [loom](https://docs.rs/loom) runs through.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom
//! ```
//!
//! `LOOM_MAX_PREEMPTIONS` says how often a thread is interrupted at most, 2 if it is not set; the
//! largest models never take more, for that would be hours. Those named `l01` and so on are the
//! ones that any channel needs; the others are of what this one does its own way. There is no
//! `l19`, weak handles, before there are weak handles.
//!
//! Every model also wants that nobody sleeps for ever, that each item is dropped once, and that
//! each channel is freed once and not touched afterwards (see `Quarantine` in `support`).
//!
//! # What loom does not see
//!
//! * A `SeqCst` load finds the newest of `SeqCst` stores, always, as a read-modify-write does. No
//!   model fails when `record`, `clear_awaited`, the first load in `try_resolve`, the counts of
//!   senders and receivers, or the guess of `head` in `claim_filled` are `Relaxed`. The probable
//!   reason is that what they order is read in one of these ways.
//! * Of a thread that loads and then writes, it remembers the load: it need not try what another
//!   loaded before the write and goes on from after it. No model fails when `Lane::is_empty` reads
//!   `pushed` first.
//! * Freeing is no step of a model by itself. So each atomic of the crate is written to when it is
//!   dropped, under loom (see `sync`).
//!
//! # Each model can fail
//!
//! What was broken in `src`, one line at a time, and the models that then failed; some, where it is
//! many.
//!
//! | broken | fails |
//! |---|---|
//! | `enter`: `with` instead of `add` | l10_two_streams_drain… and others |
//! | `reenter`: `with` instead of `add` | 3: l10_…, notification_of_a_leaver…, sender_that_returns… |
//! | `Wait::poll`: no second attempt | l10_two_streams_drain… and others |
//! | `reenter`: at the end | waiter_notified_in_vain_stays_ahead |
//! | `refill`: no promotion | newcomer_joins_the_crowd_while_the_row_empties |
//! | `leave`: a notified waiter says that it was not | waiter_leaves_the_crowd_while_it_moves… |
//! | `Vacancy::fill`: turn stored `Relaxed` | 22: l03, l08, l09 … |
//! | `Ring::empty`: turn stored `Relaxed` | 5: l02, l03, l12, l15 … |
//! | `Slots::run`: turn loaded `Relaxed` | l03 |
//! | `claim_vacant`: tail guessed `Relaxed` | what_was_never_full_is_not_said_to_be |
//! | `claim_vacant`: head loaded `Relaxed` | l12 |
//! | `claim_filled`: tail loaded `Relaxed` | l07 |
//! | `take`: busy is empty | 16: l08, l09, l17, what_stands_behind_a_slow_send… |
//! | `reserve`: busy is full | 5: l03, l12, l15, what_stands_behind_a_slow_receive… |
//! | `close`: `not_empty` not woken | 5: l07, l08, l09, close_wakes_two_receivers … |
//! | `close`: `not_full` not woken | 3: l07, l09, close_wakes_all_blocked_senders |
//! | `close`: `closed` not woken | l15 |
//! | `close`: `finished` not woken | 4: finished_hears_of_the_close… |
//! | `close`: `not_empty` of an ended task channel not woken | a_task_receiver_ends_with… |
//! | `accept`: `not_empty` not woken | 16: l01 to l04 … |
//! | `task_taken`: `not_full` not woken | taking_a_task_makes_room |
//! | `notify_after_recv`: quiescence not told | 3: join_of_a_plain_channel… |
//! | success passes no wake for items on | l04, l05, a_waiter_that_is_left_alone_keeps_one_wake |
//! | success passes no wake for room on | l06, a_sender_that_is_left_alone_keeps_one_wake |
//! | `try_resolve`: never `NeedsHandle` | 13: l16, l17 … |
//! | `try_resolve`: ENDING not looked at | 6: finished_hears_of_the_close… |
//! | `try_resolve`: exchange `Relaxed`, or `Acquire` | 3: l16, l17 |
//! | `try_resolve_at_once`: marks not looked at | 13 or more, 6 of `freeing` |
//! | `try_resolve_at_once`: exchange `Relaxed` or `Acquire` | 9: l16 …, the_last_handle_and_two_tasks_go |
//! | `must_announce`: never | 3: join_of_a_plain_channel…, finished_of_a_plain_channel… |
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
//! | the last handle frees in any case | all of `freeing` with a task; never: more than 26 |
//! | the last task does not free | 10 of `freeing` |
//! | `upgrade`: from zero | 10 of `freeing` |
//! | a handle's drop: what is accepted read after `orphan` | 10 of `freeing` |
//! | `orphan`: `Relaxed`, `Acquire` or `Release` | 10 of `freeing` |
//! | a handle's drop: count `Relaxed`, or not read again | 13 of `freeing` |
//! | `try_resolve`: does not acquire | 10 of `freeing` |
//! | `is_quiescent`: accepted read first | 3: a_closed_channel_goes_on…, what_is_dropped_is_received_again… |
//! | `accepted`: without the lane | a_closed_channel_goes_on…, what_ring_and_lane_hold… |
//! | `taken`: without the lane | 3: a_retry_into_a_full_channel…, what_is_told_of_a_retry… |
//! | `ahead`: what has moved is not read again | what_is_told_of_a_retry_is_true_at_some_instant |
//! | `claim_vacant`: full though `tail` has moved | close_reaches_a_sender_that_is_just_entering |
//! | `Lane::push`: the end not looked at, or not set by `end` | 3: a_retry_while_the_last_receiver_goes… |
//! | `Lane::push`: counted after the lock is gone | 3: what_follows_a_task_while_the_last_receiver_goes… |
//! | `Lane::pop`: not counted | 3: a_retry_into_a_full_channel…; `Relaxed`: what_is_told_of_a_retry… |
//! | `Lane::popped`: loaded `Relaxed` | what_is_told_of_a_retry_is_true_at_some_instant |
//! | `Lane::drain`: takes nothing, or does not count it | what_ring_and_lane_hold_is_handed_back |
//! | `has_its_turn`: never, or always | two_receivers_take_from_ring_and_lane_in_turn |
//! | `take_task`: no second look at the lane | a_cancelled_receiver_passes_on_its_wake… |
//! | `take_task`: closed is over | a_closed_channel_goes_on_while_a_task_may_be_tried_again |
//! | `hand_over`: stays listed | a_cancelled_receiver_passes…, two_receivers_get_what_was_sent… |
//! | `hand_over`: room not looked at | taking_a_task_makes_room |
//! | `task_taken`: tells of room for what came from the lane only | a_retry_into_a_full_channel_leaves… |
//! | `pass_item_on`: the lane not looked at | a_cancelled_receiver_passes_on_its_wake… |
//! | `put_back`: resolved before it is put back | 6: join_waits_for_what_is_tried_again … |
//! | `put_back`: woken after it is resolved | 2 of `freeing` |
//! | `put_back`: not woken | 5: join_waits_for_what_another_tries_again … |
//! | `Lane::push`: what is tried again counted as new work | 9: join_waits_for_what_is_tried_again … |
//! | `Lane::push`: new work counted as tried again | 4: join_waits_for_what_follows_a_task … |
//! | `outcome`: what is accepted read before the failure | the_account_adds_up… |
//! | `account_by_now`: looks once | what_is_done_does_not_fall_by_more_than_the_one… |
//! | `account_by_now`: the most that was seen to be done | what_is_told_to_be_done_or_discarded… |
//! | `follow_up`: not woken | join_waits_for_what_follows_a_task, what_follows_a_task_is_received… |
//! | `discard`: the lane not ended | 3: a_retry_while_the_last_receiver_goes… |
//! | `outcome`: `is_discarding` not looked at, or before what is resolved | 6: the_account_tells… |
//! | `outcome`: `is_discarding` looked at after the counts | 5: what_close_now_races_with… |
//! | `is_discarding`, `end_discarding`: `Relaxed` | 5: what_close_now_races_with… |
//! | `begin_discarding`: after the items are taken | 7: the_account_tells… |
//! | `end_discarding`: before the items are counted | 7: a_discard_is_heard_of_though… |
//! | `end_discarding`: no fence | 4: a_task_in_hand_outlives_close_now … |
//! | `Discarding`: failure noted after the gauge is lowered | 6: a_discard_is_heard_of_though… |
//! | `Discarding`: nothing told when nothing was taken | 5: a_task_in_hand_outlives_close_now … |
//! | `record_discarded` omitted | 6: the_account_tells… |
//! | `is_discarding`: ENDED not looked at | 3: an_end_that_was_seen_outlasts_close_now … |
//! | `outcome`: the end not marked | 2: an_end_that_was_seen_outlasts_close_now … |
//! | `outcome`: the end marked of an open channel | a_join_of_an_open_channel_is_no_end |
//! | `outcome`: closed looked at last | 2: a_join_that_the_close_races_with_is_no_end … |
//! | `is_finished`: closed looked at last | no_end_without_a_failure_is_heard_of… |
//! | `is_finished`: the end not marked | a_task_receiver_ends_when_the_channel_is_finished |
//! | `take_task`: quiescent is finished | a_task_receiver_ends_when_the_channel_is_finished |
//! | `is_finished`: `is_discarding` not looked at, or first | a_discard_is_heard_of_though_nothing_is_left |
//! | `is_finished`: accepted read first | a_failure_is_not_missed_when_one_task_follows_another |
//! | `is_finished`: closed is finished | 3: the_failure_of_the_last_task… |
//!
//! Some of these end the test program at once: a model that fails while it holds a task panics once
//! more.
//!
//! Broken without a model that fails, besides those above: `announce` reads `is_closed` first;
//! `must_announce` reads `pushed` first; `try_resolve_at_once` loads `Relaxed`;
//! `Waiters::leave` says of a waiter that it removed that it had been notified;
//! `pass_item_on` always wakes; `task_taken` tells of room for what came from the lane;
//! `record_discarded`, `begin_discarding` or their loads in `account` are
//! `Relaxed`; `Discarding` resolves before it counts. By reasoning, these cost needless wakes at
//! most, or something else orders the same.

#![cfg(loom)]

#[path = "loom/accounting.rs"]
mod accounting;
#[path = "loom/discarding.rs"]
mod discarding;
#[path = "loom/ending.rs"]
mod ending;
#[path = "loom/freeing.rs"]
mod freeing;
#[path = "loom/joining.rs"]
mod joining;
#[path = "loom/lane.rs"]
mod lane;
#[path = "loom/passing.rs"]
mod passing;
#[path = "loom/places.rs"]
mod places;
#[path = "common/report.rs"]
mod report;
#[path = "loom/support.rs"]
mod support;
#[path = "loom/waiting.rs"]
mod waiting;
