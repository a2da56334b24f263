//! The channel in every interleaving: models for [loom](https://docs.rs/loom).
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --features futures --test loom
//! ```
//!
//! `LOOM_MAX_PREEMPTIONS` limits the preemptions in an execution, by default to 2. The largest
//! models never use more, which would take hours. The models named `l01` and so on are those that
//! any channel needs; the others are specific to this one.
//!
//! Every model also checks that no thread sleeps forever, that each item is dropped once, and that
//! each channel is freed once and not used afterwards (see `Quarantine` in `support`).
//!
//! # What loom does not see
//!
//! * Loom treats a `SeqCst` access as acquire and release only. `sync` therefore adds a `SeqCst`
//!   fence before each `SeqCst` access, in the same step. The fence orders more than the access
//!   does. If a `SeqCst` access follows, the fence hides a missing `Acquire`, `Release` or fence,
//!   and an exchange that is not `SeqCst`. The third column of the table below shows how to reveal
//!   such a change.
//! * A `SeqCst` load always returns the newest `SeqCst` store, as a read-modify-write does.
//! * If a thread loads an atomic and then stores to it, loom may skip the interleavings where
//!   another thread loads it before the store and continues after it. No model fails when
//!   `Lane::is_empty` reads `readied` first.
//! * Freeing memory is not a step of a model. Under loom, each atomic of the crate is therefore
//!   written to when it is dropped (see `sync`).
//! * Under loom, a future does not make the first try without the wait loop (`poll_first`).
//!   `try_send` and `try_recv` begin with the same try.
//! * Panics of user code are not modelled.
//!
//! # Each model can fail
//!
//! The table lists changes to `src`. Each was made alone, and the named models then failed. Others
//! may fail too. The third column shows whether the fences in `sync` had to be changed as well:
//!
//! * *after*: with `LOOM_FENCES=after`, there is a fence after each `SeqCst` exchange and store, and
//!   none before any access. All models pass on the unchanged code then too. In return, these fences
//!   hide loads that should be `SeqCst` and are not, as in `FrontLock::is_empty` or `claim_filled`.
//! * *none*: there is no fence. Many models fail on the unchanged code then; the named ones do not.
//!
//! | changed | fails | fences |
//! |---|---|---|
//! | `Waiters::register`: `with` instead of `add` | l15 | after |
//! | `Waiters::register_again`: `with` instead of `add` | returning_sender_sees_room_or_is_woken | after |
//! | `Waiters::register_again`: at the end | vainly_notified_waiter_stays_ahead | |
//! | `List::refill`: no promotion | newcomer_joins_overflow_while_list_empties | |
//! | `Waiters::unregister`: false for a notified waiter | l11, l12, waiter_leaves_while_moving_to_list | |
//! | `List::remove`: lowers the length of another overflow | leaving_joiners_keep_next_overflow_listed | |
//! | `FrontLock::is_empty`: `Acquire` | l15 | |
//! | `FrontLock`: front loaded or stored `Relaxed` | middle_waiter_passes_on_wake | after |
//! | `Wait::poll`: no second attempt | l10, l15 | |
//! | `Wait::poll`: treats closed as blocked | l07, l08, l09 | |
//! | `Wait::leave`: false for a notified waiter | l11, unpolled_receiver_keeps_one_wake, unpolled_sender_keeps_one_wake | |
//! | `Slot::fill`: stamp stored `Relaxed` | l01, l03, l15 | after |
//! | `Ring::empty`: stamp stored `Relaxed` | l02, l15 | after |
//! | `Slots::run`: stamp loaded `Relaxed` | l08 | none |
//! | `exchange_tail`, `exchange_head`: `AcqRel` or `Relaxed` | l15 | after |
//! | `claim_vacant`: first `tail` loaded `Relaxed` | never_full_channel_is_not_reported_full | none |
//! | `claim_vacant`: `head` loaded `Relaxed` or `Acquire` | l12; l15 | |
//! | `claim_vacant`: blocked although `tail` has moved | close_wakes_sender_that_is_entering | |
//! | `claim_vacant`: blocked instead of busy | l03, l12, l15, sender_waits_behind_slow_receive | |
//! | `claim_filled`: `tail` loaded `Relaxed` or `Acquire` | l07; l15 | |
//! | `claim_filled`: blocked instead of busy | l08, l09, receiver_waits_behind_slow_send | |
//! | `Ring::popped`: `Acquire` | close_or_last_item_wakes_finished | |
//! | `claim_forced`: at any distance | two_force_sends_evict_one_item_each | |
//! | `claim_forced`: the oldest item not found filled | force_send_races_with_try_send, two_force_sends_evict_one_item_each | |
//! | `evict`: whatever is the oldest item | force_send_at_wrap_races_with_receiver, force_send_beyond_capacity_races_with_receiver | |
//! | `force_push`: counts the eviction after it has filled the slot | task_join_counts_eviction | |
//! | `force_push`: does not wait for the slot | force_send_at_wrap_races_with_receiver, evicting_send_wakes_next_receiver | |
//! | `SendItem`: `Nothing` instead of `Queued` | l01 to l04; in `try_attempt` only: l15 | |
//! | `SendItem`: `RoomMade` instead of `Queued` | l01 | |
//! | `SendSlot`: `Nothing` instead of `Queued` | send_from_wakes_receiver | |
//! | `Plain::received`: `Nothing` instead of `Resolved` | l02, l06, last_item_wakes_joiner | |
//! | `Plain::received`: `RoomMade` instead of `Resolved` | last_item_wakes_joiner, plain_join_completes_amid_traffic | |
//! | `Tasks::received`: `Nothing` instead of `RoomMade` | received_task_makes_room, retry_into_full_channel_keeps_sender_wake | |
//! | `Tasks::received`: `RoomMade` only for items from the lane | received_task_makes_room | |
//! | `Queue::try_pop`: does not check the lane | two_receivers_alternate_ring_and_lane | |
//! | `must_notify`: false for `Queued` | l05, l15 | |
//! | `must_notify`: false for `RoomMade` | received_task_makes_room | |
//! | `must_notify`: room not checked for `Resolved` | l06, l15 | |
//! | `plain_is_quiescent`: false | close_or_last_item_wakes_finished, try_recv_of_last_item_wakes_joiner | |
//! | `Channel::notify`: nothing for `Queued` | l01 | |
//! | `Channel::notify`: nothing for `QueuedMany` | batch_wakes_two_receivers | |
//! | `Channel::notify`: nothing for `ResolvedMany` | received_batch_wakes_joiner, received_batch_wakes_two_senders | |
//! | `Plain::pop_many`: `room_made` instead of `resolved` | received_batch_wakes_joiner | |
//! | `notify_fronts`: notifies only the first, or only as many as fit into the list | batch_reaches_overflow | |
//! | `SendItems::pass_on`: does nothing | cancelled_batch_passes_room_on | |
//! | `SendMany::drop`: does not leave | cancelled_batch_passes_room_on | |
//! | `RecvItems::pass_on`: does nothing | cancelled_batch_receiver_passes_item_on | |
//! | `Channel::notify`: nothing for `RoomMade` | received_task_makes_room | |
//! | `Channel::notify`: room not notified for `Resolved` | l02, l06 | |
//! | `Channel::notify`: quiescence not notified for `Resolved` | last_item_wakes_joiner, plain_join_completes_amid_traffic | |
//! | `complete_first`: does not notify | l15, try_recv_of_last_item_wakes_joiner | |
//! | `complete`: does not notify | l01, l02 | |
//! | `complete`: does not leave the list | l02, cancelled_receiver_passes_on_wake_for_retry | |
//! | `complete`: leaves without `pass_on` | ready_passes_wake_to_sender, two_ready_complete_for_one_slot, unpolled_receiver_keeps_one_wake, unpolled_sender_keeps_one_wake | |
//! | `Waiting::drop`: does not leave, or leaves without `pass_on` | l11, l12 | |
//! | `Waiting::cancel`: does not leave, or leaves without `pass_on` | into_inner_passes_on_wake, stopped_receiver_passes_on_wake, stopped_sender_passes_on_wake | |
//! | `Recording::attempt`: busy taken for blocked | past_stop_takes_item_behind_slow_send | |
//! | `RecvStream::drop`: does not leave | stream_of_receiver_passes_on_wake | |
//! | `Sender::stop_polling`: does not leave | dropped_polling_sender_passes_on_wake, taken_item_leaves_wake_to_sender | |
//! | `SendSink::take`: does not leave | taken_item_leaves_wake_to_sender | |
//! | `SendSink::poll_close`: does not flush | close_races_with_two_sinks, kept_items_arrive_before_sinks_close | |
//! | `Receiver::drop`: does not leave | first_waiter_passes_on_wake, middle_waiter_passes_on_wake | |
//! | `RecvItem::pass_on`: does nothing | l11, unpolled_receiver_keeps_one_wake | |
//! | `SendItem::pass_on`: does nothing | l12, unpolled_sender_keeps_one_wake | |
//! | `SendSlot::pass_on`: does nothing | cancelled_send_from_passes_on_wake | |
//! | `UntilRoom::pass_on`: does nothing | ready_passes_wake_to_sender, two_ready_complete_for_one_slot | |
//! | `look_for_room`: `is_closed` not read, or read first | ready_needs_room_in_open_channel | |
//! | `pass_item_on`, `pass_room_on`: never notify | l11; l12 | |
//! | `Queue::has_items`: without the lane | cancelled_receiver_passes_on_wake_for_retry | |
//! | `try_now_slow`: treats closed as blocked | l07, l08 | |
//! | `try_now_slow`: treats busy as blocked | receiver_waits_behind_slow_send | |
//! | `look`: no fence | close_or_last_task_wakes_finished | |
//! | `notify_closed`: not `not_empty` | l07, l08, l09, close_wakes_two_receivers | |
//! | `notify_closed`: not `not_full` | l07, l09, close_wakes_all_blocked_senders | |
//! | `notify_closed`: not `closed` | l15 | |
//! | `notify_closed`: not `finished` | close_or_last_item_wakes_finished, close_or_last_task_wakes_finished | |
//! | `notify_closed`: not `not_empty` of a finished task channel | close_or_last_task_ends_task_receiver | |
//! | `mark_closed`: CLOSED not set, or set in `notify_closed` after the check | close_or_last_task_ends_task_receiver, close_or_last_task_wakes_finished | |
//! | `close_now`: closes last | close_now_races_with_send | |
//! | `close_now`: does not notify | close_now_returns_item_to_blocked_send | |
//! | `notify_quiescent`: not `idle` | l16, l17 | |
//! | `notify_quiescent`: not `finished` | close_or_last_task_wakes_finished, one_task_wakes_finished_and_join | |
//! | `notify_quiescent`: not `not_empty` | close_or_last_task_ends_task_receiver, last_task_ends_two_task_receivers | |
//! | `notify_quiescent`: not `finished` for the first failure | failed_returns_discard_before_end, failed_returns_failure_before_end | |
//! | `notify_quiescent`: NOTICE cleared after the notification | joiner_of_next_round_is_woken, plain_join_completes_amid_traffic | |
//! | `notify_quiescent`: no fence | close_or_last_task_ends_task_receiver, close_or_last_task_wakes_finished | after |
//! | `end_delivery`: failure recorded after it is resolved | report_adds_up_on_active_channel, report_of_two_outcomes_adds_up | |
//! | `end_delivery`: does not notify | l16, l17, joiner_listed_between_rounds_is_woken | |
//! | `end_of_tasks`: always `Closed` | closed_channel_waits_for_possible_retry | |
//! | `end_of_tasks`: always `Blocked` | close_or_last_task_ends_task_receiver, last_task_ends_two_task_receivers | |
//! | `end_of_tasks`: `Busy` instead of `Blocked` | closed_channel_waits_for_possible_retry | |
//! | `end_of_tasks`: `is_quiescent` instead of `is_finished` | task_receiver_ends_when_channel_is_finished | |
//! | `UntilIdle`: NOTICE never set | l16, joiner_listed_between_rounds_is_woken | |
//! | `UntilIdle`: NOTICE set only before registering | joiner_listed_between_rounds_is_woken, plain_join_completes_amid_traffic | |
//! | `UntilIdle`: does not look after it has set NOTICE | joiner_listed_between_rounds_is_woken, plain_join_completes_amid_traffic | |
//! | `UntilFinished`: `outcome` instead of `final_outcome` | no_clean_end_when_close_races_with_discard | |
//! | `UntilFailed`: reads the end last | failed_sees_failure_of_last_task | |
//! | `request_notice`: `AcqRel` or `Relaxed` | plain_join_completes_amid_traffic | after |
//! | `set_closed`: `AcqRel` or `Relaxed` | close_or_last_item_wakes_finished | after |
//! | `has_observers`: without NOTICE | last_item_wakes_joiner, try_recv_of_last_item_wakes_joiner | |
//! | `has_observers`: without CLOSED | close_or_last_item_wakes_finished | |
//! | `try_resolve`: never `NeedsHandle` | l16, l17 | |
//! | `try_resolve`: NOTICE not checked | l16 | |
//! | `try_resolve`: CLOSED not checked | close_or_last_task_wakes_finished | |
//! | `try_resolve`: exchange `Relaxed` or `Acquire` | l16 | |
//! | `try_resolve`: neither the load nor the exchange acquires | both_ends_and_follow_up | after |
//! | `try_resolve`: never `Last` | `freeing`: 10 | |
//! | `try_resolve_once`: marks not checked | l16, l17, last_handle_and_two_tasks | |
//! | `try_resolve_once`: NOTICE not checked | l16 | |
//! | `try_resolve_once`: CLOSED not checked | close_or_last_task_wakes_finished | |
//! | `try_resolve_once`: exchange `Relaxed` or `Acquire` | l16, last_handle_and_two_tasks | |
//! | `Ledger::resolve`: `Relaxed` or `Acquire` | l16 | after |
//! | `Ledger::resolved`: `Relaxed` | l16 | after |
//! | `Ledger::note`: always false | failed_returns_discard_before_end | |
//! | `outcomes`: loads `Relaxed` | done_falls_by_one_at_most | after |
//! | `at_rest`: accepted read first | failed_sees_failure_between_tasks, report_adds_up_on_active_channel | |
//! | `at_rest`: accepted read before the report and the failure | report_adds_up_on_active_channel | |
//! | `outcome`: failure read after `at_rest` | report_adds_up_on_active_channel | |
//! | `at_rest`: `is_discarding` not checked, or before the resolved count | failed_returns_discard_of_last_item, report_separates_received_from_discarded | |
//! | `at_rest`: `is_discarding` checked after the counts | close_now_races_with_receivers | |
//! | `at_end`: the end not marked | seen_end_outlasts_close_now, seen_end_outlasts_last_receiver, task_receiver_ends_when_channel_is_finished | |
//! | `at_rest`: the end of an open channel marked | join_of_open_channel_is_no_end | |
//! | `at_rest`: closed read last | join_racing_with_close_is_no_end, no_clean_end_when_close_races_with_discard, task_join_racing_with_close_is_no_end | |
//! | `is_finished`: only whether the channel is closed | failed_sees_failure_of_last_task | |
//! | `is_finished`, `final_outcome`: not whether the channel is closed | no_clean_end_when_close_races_with_discard | |
//! | `current_report`: reads once | done_falls_by_one_at_most | |
//! | `current_report`: returns the largest `done` it has read | done_and_discarded_were_sent | |
//! | `Queue::accepted`: without the lane | close_now_returns_ring_and_lane, closed_channel_waits_for_possible_retry | |
//! | `Queue::popped`: without the lane | retry_into_full_channel_is_received, stats_of_retry_hold_at_one_instant | |
//! | `stable_difference`: the subtrahend not read again | stats_of_retry_hold_at_one_instant | |
//! | `drain_sent`: does not wait for a busy slot | l09, plain_send_races_with_last_receiver, task_send_races_with_last_receiver | |
//! | `while_discarding`: `begin_discarding` after the removal | close_now_races_with_receivers, report_separates_received_from_discarded | |
//! | `while_discarding`: items not recorded | report_separates_received_from_discarded | |
//! | `while_discarding`: items not resolved | last_receiver_reports_discarded | |
//! | `while_discarding`: `end_discarding` before the items are recorded | failed_returns_discard_of_last_item, report_separates_received_from_discarded | |
//! | `while_discarding`: failure noted after `end_discarding` | failed_returns_discard_of_last_item | |
//! | `while_discarding`: first failure not notified | failed_returns_discard_before_end | |
//! | `while_discarding`: no notification if nothing was removed | close_now_races_with_last_receiver | |
//! | `end_discarding`: no fence | task_in_hand_outlives_last_receiver | |
//! | `end_discarding`, `is_discarding`: `Relaxed` | close_now_races_with_receivers | after |
//! | `is_discarding`: END_SEEN not checked | seen_end_outlasts_close_now, seen_end_outlasts_last_receiver | |
//! | `discard`: lane not ended | retry_races_with_last_receiver | |
//! | `close_now`: lane not ended | close_now_ends_endless_retry, close_now_races_with_retry | |
//! | `follow_up`: `Nothing` instead of `Queued` | follow_up_races_with_close, join_waits_for_follow_up | |
//! | `requeue`: `Nothing` instead of `Queued` | join_waits_for_retry_by_other_thread | |
//! | `requeue`: delivery ended before the item is requeued | join_waits_for_retry | |
//! | `requeue`: notifies after the delivery has ended | both_ends_and_requeued_task, both_ends_and_retried_task | |
//! | `abandon`: delivery ended before the item is dropped | task_is_abandoned_after_max_attempts | |
//! | `delivery::end`: resolves a failure as done | report_of_two_outcomes_adds_up | |
//! | `end_and_notify`: `no_handles` false | `freeing`: 10 | |
//! | `delivery::try_resolve`: the last does not free | `freeing`: 10 | |
//! | `leave_failed`: leaves before the failure is recorded | finished_sees_failed_sender, finished_sees_failed_sender_of_tasks | |
//! | `fail_sender`: does not notify | failed_returns_sender_of_open_channel | |
//! | `record_sender`: END_SEEN not checked | last_task_races_with_failing_sender, seen_end_outlasts_failing_senders | |
//! | `at_end`: END_SEEN set after the outcome is read | last_task_races_with_failing_sender | |
//! | `read_outcome`: `failed_senders` not read under the lock | join_agrees_with_failing_sender | |
//! | `Shared::drop`: always frees, or never | `freeing`: 10 | |
//! | `Shared::drop`: accepted read after `set_no_handles` | `freeing`: 10 | |
//! | `set_no_handles`: `Relaxed` or `Acquire` | `freeing`: 10 | |
//! | `set_no_handles`: `Release` | both_ends_and_follow_up | after |
//! | `Count::up_unless_zero`: from zero | `freeing`: 10, l19 | |
//! | `SenderSide::upgrade`, `ReceiverSide::upgrade`: `up` without a check | l19 | |
//! | `Count::last_down`: `Relaxed` | `freeing`: all | |
//! | `Count::last_down`: count not read again | both_ends_and_follow_up | after |
//! | `Lane::push`: the end not checked; `Lane::end`: not set | retry_races_with_last_receiver | |
//! | `Lane::push`: counted after the lock is released | follow_up_races_with_last_receiver | |
//! | `Lane::count_pushed`: a retry counted as new work | join_waits_for_retry | |
//! | `Lane::count_pushed`: new work counted as a retry | join_waits_for_follow_up | |
//! | `Lane::count_readied`: `Relaxed` | join_waits_for_retry_by_other_thread, matured_item_wakes_receiver | after |
//! | `Lane::pop`: not counted | retry_into_full_channel_is_received | |
//! | `Lane::count_popped`, `Lane::popped`: `Relaxed` | stats_of_retry_hold_at_one_instant | after |
//! | `Lane::end`: removes nothing, or does not count | close_now_returns_ring_and_lane | |
//! | `Lane::end`: delayed items not counted | delayed_retry_races_with_close_now, maturing_races_with_close_now | |
//! | `Lane::end`: delayed items not removed | delayed_retry_races_with_close_now, delayed_retry_races_with_last_receiver, maturing_races_with_close_now, maturing_races_with_last_receiver | |
//! | `Lane::push_delayed`: the end not checked | delayed_retry_races_with_close_now, delayed_retry_races_with_last_receiver | |
//! | `Lane::push_delayed`: not counted | `delaying`: all | |
//! | `Lane::mature`: not counted | join_waits_for_delayed_retry, matured_item_wakes_receiver | |
//! | `Lane::mature`: items that are not due | matured_item_wakes_receiver | |
//! | `Channel::mature`: does not notify | cancelled_receiver_passes_on_wake_of_matured_item, join_waits_for_delayed_retry, matured_item_wakes_receiver | |
//! | `Queue::delayed`: pushed read first | stats_of_delayed_retry_hold_at_one_instant | |
//! | `Lane::is_next`: never, or whenever the lane holds an item | two_receivers_alternate_ring_and_lane | |
//! | `Segments::push`, `Segments::try_push`: `tail` loaded `Relaxed` | `unbounded`: several | |
//! | `Segments::push`: segment installed after the claim | `unbounded`: several | |
//! | `Segments::install`: next lap not checked again | `unbounded`: several | |
//! | `Segments::exchange_tail`: `AcqRel`; `Relaxed` | unbounded::items_of_one_sender_stay_in_order; unbounded::two_senders_cross_into_next_segment | after; |
//! | `Segments::try_lock`: `AcqRel` | unbounded::last_item_wakes_joiner | after |
//! | `Segments::try_lock`: `Relaxed` | unbounded::two_receivers_leave_segment | |
//! | `Segments::unlock`: `Relaxed` | unbounded::close_now_races_with_receiver | |
//! | `Segments::take_and_unlock`: stamp loaded `Relaxed` | `unbounded`: several | |
//! | `Segments::take_and_unlock`: unlocked before the segment is left | unbounded::two_receivers_leave_segment | |
//! | `Segments::pop`: blocked instead of busy, for a slot or for a lock | `unbounded`: several | after; |
//! | `Segments::settled_popped`: L not checked | unbounded::last_item_wakes_joiner | after |
//! | `Segments::settled_popped`: `Acquire` | unbounded::close_or_last_item_wakes_finished | |
//! | `is_settled_quiescent`: `is_quiescent` | unbounded::close_or_last_item_wakes_finished | after |
//! | `at_rest`: blocked instead of busy | unbounded::last_of_two_receivers_wakes_joiner | |
//! | `Ring::oldest`: `head` not read again, or the time loaded `Relaxed` | measuring::age_of_ring_is_that_of_first_item | |
//! | `Ring::oldest`: the stamp not read | measuring::time_is_written_before_item_of_ring | |
//! | `Ring::push`: the time written after the item | measuring::time_is_written_before_item_of_ring | |
//! | `Ring::pop`; `Ring::pop_many`: the time read after the slot is released | measuring::time_of_item_is_read_before_slot_is_reused; measuring::time_of_batch_is_read_before_slots_are_reused | |
//! | `Segments::set_time`: not written | `measuring`: several | |
//! | `Delivery::end`, `Delivery::requeue`: leaves the list after it is resolved | measuring::last_handle_and_two_measured_tasks, measuring::last_receiver_and_measured_retry | |
//! | `Queue::pop`: the lane not checked after the storage | cancelled_receiver_passes_on_wake_for_retry | |
//!
//! Some of these abort the test program: a model that fails while it holds a task panics a second
//! time.
//!
//! The following changes fail no model. (The largest models were not run with them.) These are
//! correct too, or cause needless notifications at most:
//!
//! * A batch notifies only one waiter: each passes its notification on.
//! * `notify_quiescent` reads `is_closed` first, ignores it, or does not clear NOTICE.
//! * `is_quiescent` reads accepted first. `plain_is_quiescent` reads `sent` first.
//! * `UntilIdle` sets NOTICE only after registering.
//! * `Waiters::unregister` returns true for a waiter that it has removed. `pass_item_on` or
//!   `pass_room_on` always notifies.
//! * `Tasks::received` returns `RoomMade` for items from the lane, or `Resolved`.
//! * `while_discarding` resolves before it records.
//! * `Segments::install` does not check the next lap before it allocates.
//! * `close_now` notifies before it removes items. That matters only if a waker panics.
//! * `try_resolve` or `try_resolve_once` does not check NO_HANDLES: CLOSED is set by then.
//!
//! And these weaken an ordering, or remove a fence, that no model shows to be necessary:
//!
//! * `Relaxed` instead of `Acquire`: the first load in `try_resolve`, in `try_resolve_once`, and of
//!   `head` in `claim_filled`.
//! * `Relaxed` instead of `Release` or `AcqRel`: `clear_notice`, `record`, `record_discarded`,
//!   `begin_discarding` and `Ring::set_time`.
//! * `Release` instead of `AcqRel`: the exchange in `try_resolve`.
//! * `Relaxed` or `Acquire` instead of `SeqCst`: `has_observers`, `Ring::pushed`,
//!   `Ring::is_closed`, `Lane::followed_up`, `Lane::retried`, `Lane::readied`, the second load of `tail`
//!   in `claim_vacant`, and the load of `tail` in `Segments::pop`.
//! * `AcqRel` instead of `SeqCst`: `Ring::close`. `Relaxed` instead of `SeqCst`: `Lane::count_pushed`.
//! * No fence in `end_of_tasks`.

#![cfg(loom)]

#[path = "loom/accounting.rs"]
mod accounting;
#[path = "loom/batches.rs"]
mod batches;
#[path = "loom/delaying.rs"]
mod delaying;
#[path = "loom/discarding.rs"]
mod discarding;
#[path = "loom/ending.rs"]
mod ending;
#[path = "loom/failing.rs"]
mod failing;
#[path = "loom/forcing.rs"]
mod forcing;
#[path = "loom/freeing.rs"]
mod freeing;
#[path = "loom/joining.rs"]
mod joining;
#[path = "loom/lane.rs"]
mod lane;
#[path = "loom/measuring.rs"]
mod measuring;
#[path = "loom/passing.rs"]
mod passing;
#[path = "loom/places.rs"]
mod places;
#[path = "common/report.rs"]
mod report;
#[path = "loom/sending.rs"]
mod sending;
#[path = "loom/support.rs"]
mod support;
#[path = "loom/unbounded.rs"]
mod unbounded;
#[path = "loom/waiting.rs"]
mod waiting;
