//! The channel in every interleaving: models for [loom](https://docs.rs/loom).
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom
//! ```
//!
//! `LOOM_MAX_PREEMPTIONS` limits the preemptions in an execution, by default to 2. The largest
//! models never use more, which would take hours. The models named `l01` and so on are those that
//! any channel needs; the others are specific to this one. `l19` is reserved for weak handles.
//!
//! Every model also checks that no thread sleeps forever, that each item is dropped once, and that
//! each channel is freed once and not used afterwards (see `Quarantine` in `support`).
//!
//! # What loom does not see
//!
//! * A `SeqCst` load always returns the newest `SeqCst` store, as a read-modify-write does. No
//!   model fails when `record`, `clear_awaited`, the first load in `try_resolve`, the counts of
//!   senders and receivers, or the guess of `head` in `claim_filled` are `Relaxed`, probably
//!   because the values they order are read in one of these ways.
//! * If a thread loads an atomic and then stores to it, loom may skip the interleavings where
//!   another thread loads it before the store and continues after it. No model fails when
//!   `Lane::is_empty` reads `pushed` first.
//! * Freeing memory is not a step of a model. Under loom, each atomic of the crate is therefore
//!   written to when it is dropped (see `sync`).
//!
//! # Each model can fail
//!
//! The table lists changes to `src`, each of which was made alone, and the models that then failed,
//! or how many and some of them.
//!
//! | broken | fails |
//! |---|---|
//! | `enter`: `with` instead of `add` | l10 and others |
//! | `reenter`: `with` instead of `add` | 3: l10, leaving_waiter_notifies_returned_waiter, returning_sender_sees_room_or_is_woken |
//! | `Wait::poll`: no second attempt | l10 and others |
//! | `reenter`: at the end | vainly_notified_waiter_stays_ahead |
//! | `refill`: no promotion | newcomer_joins_crowd_while_row_empties |
//! | `leave`: reports that a notified waiter was not notified | waiter_leaves_while_moving_to_row |
//! | `Vacancy::fill`: turn stored `Relaxed` | 22: l03, l08, l09 … |
//! | `Ring::empty`: turn stored `Relaxed` | 5: l02, l03, l12, l15 … |
//! | `Slots::run`: turn loaded `Relaxed` | l03 |
//! | `claim_vacant`: tail guessed `Relaxed` | never_full_channel_is_not_reported_full |
//! | `claim_vacant`: head loaded `Relaxed` | l12 |
//! | `claim_filled`: tail loaded `Relaxed` | l07 |
//! | `take`: treats busy as empty | 16: l08, l09, l17, receiver_waits_behind_slow_send … |
//! | `reserve`: treats busy as full | 5: l03, l12, l15, sender_waits_behind_slow_receive … |
//! | `close`: `not_empty` not woken | 5: l07, l08, l09, close_wakes_two_receivers … |
//! | `close`: `not_full` not woken | 3: l07, l09, close_wakes_all_blocked_senders |
//! | `close`: `closed` not woken | l15 |
//! | `close`: `finished` not woken | 4: close_or_last_task_wakes_finished … |
//! | `close`: `not_empty` of an ended task channel not woken | close_or_last_task_ends_task_receiver |
//! | `accept`: `not_empty` not woken | 16: l01 to l04 … |
//! | `task_taken`: `not_full` not woken | received_task_makes_room |
//! | `notify_after_recv`: quiescence not notified | 3: last_item_wakes_joiner … |
//! | success passes on no wake for items | l04, l05, unpolled_receiver_keeps_one_wake |
//! | success passes on no wake for room | l06, unpolled_sender_keeps_one_wake |
//! | `try_resolve`: never `NeedsHandle` | 13: l16, l17 … |
//! | `try_resolve`: ENDING not checked | 6: close_or_last_task_wakes_finished … |
//! | `try_resolve`: exchange `Relaxed`, or `Acquire` | 3: l16, l17 |
//! | `try_resolve_at_once`: marks not checked | 13 or more, 6 of `freeing` |
//! | `try_resolve_at_once`: exchange `Relaxed` or `Acquire` | 9: l16 …, last_handle_and_two_tasks |
//! | `must_announce`: never | 3: last_item_wakes_joiner, close_or_last_item_wakes_finished … |
//! | `resolve`: `Relaxed` | 4: l16, l17 … |
//! | `resolved`: loaded `Relaxed` | 6: l16, l17, report_adds_up_on_active_channel … |
//! | `Join`: AWAITED never set | 9: l16, l17 … |
//! | `Join`: AWAITED set before listing only | joiner_listed_between_rounds_is_woken, plain_join_completes_amid_traffic |
//! | `Join`: no check after AWAITED is set | joiner_listed_between_rounds_is_woken |
//! | `announce`: AWAITED cleared after the wake | joiner_of_next_round_is_woken, plain_join_completes_amid_traffic |
//! | `announce`: no fence | 7: close_or_last_task_wakes_finished … |
//! | `announce`: `idle` not woken | 12 |
//! | `announce`: `finished` not woken | 5 |
//! | `announce`: `not_empty` not woken | close_or_last_task_ends_task_receiver, last_task_ends_two_task_receivers |
//! | `announce`: first failure not notified | failed_returns_failure_before_end, failed_returns_discard_before_end |
//! | `close`: ENDING not set | 7; set after the check: 4 |
//! | `settle`: recorded after resolved | 3: report_adds_up_on_active_channel … |
//! | `outcome`: accepted read first | report_adds_up_on_active_channel |
//! | `Failed`: checks the end last | failed_sees_failure_of_last_task |
//! | `discard`: does not wait for a busy slot | 3: l09, task_send_races_with_last_receiver, plain_send_races_with_last_receiver |
//! | `discard`: failure not notified | failed_returns_discard_before_end |
//! | the last handle always frees | all of `freeing` with a task; never: more than 26 |
//! | the last task does not free | 10 of `freeing` |
//! | `upgrade`: from zero | 10 of `freeing` |
//! | a handle's drop: accepted count read after `orphan` | 10 of `freeing` |
//! | `orphan`: `Relaxed`, `Acquire` or `Release` | 10 of `freeing` |
//! | a handle's drop: count `Relaxed`, or not read again | 13 of `freeing` |
//! | `try_resolve`: does not acquire | 10 of `freeing` |
//! | `is_quiescent`: accepted read first | 3: closed_channel_waits_for_possible_retry, requeue_races_with_close … |
//! | `accepted`: without the lane | closed_channel_waits_for_possible_retry, close_now_returns_ring_and_lane |
//! | `taken`: without the lane | 3: retry_into_full_channel_is_received …, stats_of_retry_hold_at_one_instant |
//! | `ahead`: the counter that moves is not read again | stats_of_retry_hold_at_one_instant |
//! | `claim_vacant`: full though `tail` has moved | close_wakes_sender_that_is_entering |
//! | `Lane::push`: the end not checked, or not set by `end` | 3: retry_races_with_last_receiver … |
//! | `Lane::push`: counted after the lock is released | 3: follow_up_races_with_last_receiver … |
//! | `Lane::pop`: not counted | 3: retry_into_full_channel_is_received …; `Relaxed`: stats_of_retry_hold_at_one_instant |
//! | `Lane::popped`: loaded `Relaxed` | stats_of_retry_hold_at_one_instant |
//! | `Lane::drain`: takes nothing, or does not count it | close_now_returns_ring_and_lane |
//! | `has_its_turn`: never, or always | two_receivers_alternate_ring_and_lane |
//! | `take_task`: the lane not checked again | cancelled_receiver_passes_on_wake_for_retry |
//! | `take_task`: treats closed as ended | closed_channel_waits_for_possible_retry |
//! | `hand_over`: stays listed | cancelled_receiver_passes_on_wake_for_retry, two_receivers_get_item_and_follow_up |
//! | `hand_over`: room not checked | received_task_makes_room |
//! | `task_taken`: notifies of room only for items from the lane | retry_into_full_channel_keeps_sender_wake |
//! | `pass_item_on`: the lane not checked | cancelled_receiver_passes_on_wake_for_retry |
//! | `put_back`: resolved before the item is put back | 6: join_waits_for_retry … |
//! | `put_back`: wakes after it is resolved | 2 of `freeing` |
//! | `put_back`: not woken | 5: join_waits_for_retry_by_other_thread … |
//! | `Lane::push`: a retry counted as new work | 9: join_waits_for_retry … |
//! | `Lane::push`: new work counted as a retry | 4: join_waits_for_follow_up … |
//! | `outcome`: accepted count read before the failure | report_adds_up_on_active_channel |
//! | `account_by_now`: reads once | done_falls_by_one_at_most |
//! | `account_by_now`: returns the largest `done` it has seen | done_and_discarded_were_sent |
//! | `follow_up`: not woken | join_waits_for_follow_up, follow_up_races_with_close |
//! | `discard`: the lane not ended | 3: retry_races_with_last_receiver … |
//! | `outcome`: `is_discarding` not checked, or before the resolved count | 6: report_separates_received_from_discarded … |
//! | `outcome`: `is_discarding` checked after the counts | 5: close_now_races_with_receivers … |
//! | `is_discarding`, `end_discarding`: `Relaxed` | 5: close_now_races_with_receivers … |
//! | `begin_discarding`: after the items are taken | 7: report_separates_received_from_discarded … |
//! | `end_discarding`: before the items are counted | 7: failed_returns_discard_of_last_item … |
//! | `end_discarding`: no fence | 4: task_in_hand_outlives_close_now … |
//! | `Discarding`: failure noted after the gauge is lowered | 6: failed_returns_discard_of_last_item … |
//! | `Discarding`: no notification when nothing was taken | 5: task_in_hand_outlives_close_now … |
//! | `record_discarded` omitted | 6: report_separates_received_from_discarded … |
//! | `is_discarding`: ENDED not checked | 3: seen_end_outlasts_close_now … |
//! | `outcome`: the end not marked | 2: seen_end_outlasts_close_now … |
//! | `outcome`: the end marked of an open channel | join_of_open_channel_is_no_end |
//! | `outcome`: closed checked last | 2: join_racing_with_close_is_no_end … |
//! | `is_finished`: closed checked last | no_clean_end_when_close_races_with_discard |
//! | `is_finished`: the end not marked | task_receiver_ends_when_channel_is_finished |
//! | `take_task`: treats quiescent as finished | task_receiver_ends_when_channel_is_finished |
//! | `is_finished`: `is_discarding` not checked, or checked first | failed_returns_discard_of_last_item |
//! | `is_finished`: accepted read first | failed_sees_failure_between_tasks |
//! | `is_finished`: treats closed as finished | 3: failed_sees_failure_of_last_task … |
//!
//! Some of these abort the test program: a model that fails while it holds a task panics a second
//! time.
//!
//! These changes fail no model, besides those above: `announce` reads `is_closed` first;
//! `must_announce` reads `pushed` first; `try_resolve_at_once` loads `Relaxed`; `Waiters::leave`
//! reports that a waiter that it removed had been notified; `pass_item_on` always wakes;
//! `task_taken` notifies of room for items from the lane; `record_discarded`, `begin_discarding` or
//! their loads in `account` are `Relaxed`; `Discarding` resolves before it counts. By reasoning,
//! they cause needless wakes at most, or another operation provides the same order.

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
