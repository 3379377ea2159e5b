"""Every fault that must be survived, and the tests that say so.

`ELSEWHERE` has the rows of the reliability page's "what went wrong elsewhere", in its words and order, but
for the noise of alerts. `INJECTED` has the faults that are put between the keeper and its nodes, store and
clock.
`test_rows.py` proves that each test named here exists, so that none can go without a word.
"""

from typing import Final

ELSEWHERE: Final[dict[str, tuple[str, ...]]] = {
    "nonce counter advanced before broadcast, drifted by 633, restart did not help": (
        "execution/test_outbox_faults.py::test_broadcasts_that_fail_again_and_again_leave_no_gap",
        "faults/test_sending.py::test_broadcasts_that_fail_and_a_restart",
    ),
    "urgent transaction stuck behind a cheap one": (
        "execution/test_takeover.py::test_it_is_mined_first_at_the_nonce_of_the_other",
        "execution/test_takeover.py::test_killed_at_every_boundary_of_a_take_over",
    ),
    "crash between broadcast and save, sent twice": (
        "execution/test_kill.py::test_killed_at_every_state_boundary",
        "service/test_process.py::test_a_kill_at_a_boundary_sends_nothing_twice",
    ),
    "sent but row says failed": (
        "execution/test_nodes.py::test_beside_a_sound_node_everything_takes_effect_once",
        "faults/test_sending.py::test_broadcasts_that_fail_and_a_restart",
    ),
    "RPC error read as healthy, account dropped from the queue": (
        "snapshot/test_observe.py::test_each_request_fails_in_turn",
        "snapshot/test_observe.py::test_each_kind_of_read_fails_in_turn",
    ),
    "node five days behind looked valid": (
        "snapshot/test_nodes.py::test_a_frozen_node_gives_way_to_one_that_goes_on",
        "snapshot/test_nodes.py::test_a_frozen_node_is_not_read_when_the_other_is_gone",
        "snapshot/test_nodes.py::test_a_node_that_lies_about_one_value_is_caught_by_a_quorum",
        "snapshot/test_nodes.py::test_alone_it_makes_the_chain_a_gap",
        "faults/test_bad_nodes.py::test_with_a_sound_node_beside_it_the_work_is_done",
    ),
    "receipts vanish on reorg": (
        "execution/test_kill.py::test_a_real_reorg_is_survived",
        "faults/test_reorgs.py::test_a_reorg_at_every_state",
    ),
    "unprofitable because the L1 fee was ignored": (
        "execution/test_l1_fee.py::test_an_oracle_that_spikes_stops_sending_and_lets_it_go_on",
    ),
    "duplicates every block, paying for reverts": (
        "execution/test_outbox.py::test_ten_cycles_over_one_decision_send_one_transaction",
        "faults/test_sending.py::test_ten_cycles_over_the_same_accounts_send_each_decision_once",
    ),
    "cool-down consumed before the attempt": (
        "execution/test_outbox.py::test_a_failed_simulation_is_tried_again_in_the_next_cycle",
    ),
    "health endpoint constant": (
        "service/test_standby.py::test_health_says_what_is_wrong_within_its_limit",
        "faults/test_told.py::test_health_says_what_stands_still",
        "service/test_process.py::test_a_killed_daemon_shows_in_health",
    ),
    "one keeper dies, all liquidations stop": (
        "service/test_standby.py::test_the_one_that_stands_by_does_the_work_of_the_one_that_is_killed",
        "service/test_failover.py::test_a_killed_leader_is_followed_and_nothing_is_sent_twice",
    ),
    "dry-run mixed with live data": (
        "store/test_store.py::test_a_store_keeps_its_mode",
        "service/test_wire.py::test_a_dry_run_does_not_use_a_live_store",
        "faults/test_told.py::test_a_dry_run_sends_nothing",
    ),
    "gas cap below the spike, 17 minutes late": (
        "execution/test_emergency.py::test_a_spike_on_a_node",
        "faults/test_fees.py::test_the_base_fee_twentyfold",
    ),
    "rebalance reported done while only submitted; in-flight counted twice": (
        "faults/test_sending.py::test_what_is_on_its_way_is_counted_once_by_the_profile",
    ),
    "token decimals": (
        "model/test_units.py::test_up_to_18_places_nothing_is_lost",
        "faults/test_decimals.py::test_a_tokens_places_do_not_change_a_book",
    ),
    "block time vs wall time": (
        "faults/test_clock.py::test_decisions_do_not_read_the_wall_clock",
        "faults/test_clock.py::test_a_clock_that_jumps_never_lets_more_through",
    ),
}

INJECTED: Final[dict[str, tuple[str, ...]]] = {
    "kill -9 at every state boundary": ("execution/test_kill.py::test_killed_at_every_state_boundary",),
    "kill -9 at random times": (
        "execution/test_kill.py::test_killed_at_random_times",
        "faults/test_soak.py::test_everything_at_once",
    ),
    "broadcast that errors but landed": ("faults/test_sending.py::test_broadcasts_that_fail_and_a_restart",),
    "broadcast that succeeds but never mines": (
        "faults/test_sending.py::test_broadcasts_that_fail_and_a_restart",
    ),
    "another wallet using our nonce": (
        "execution/test_kill.py::test_another_wallet_with_our_key_is_told_from_ourselves",
        "faults/test_sending.py::test_another_wallet_takes_the_nonces",
    ),
    "base fee times 20": ("faults/test_fees.py::test_the_base_fee_twentyfold",),
    "mempool dropped": (
        "execution/test_kill.py::test_a_dropped_transaction_is_sent_again",
        "faults/test_sending.py::test_a_pool_that_is_emptied_again_and_again",
    ),
    "reorgs of depth 1 to 5 at each state": (
        "faults/test_reorgs.py::test_a_reorg_at_every_state",
        "faults/test_reorgs.py::test_a_reorg_of_what_was_final_halts",
    ),
    "node frozen, lagging, on another chain id, lying, answering garbage, slow by 30 s, rate limiting": (
        "snapshot/test_nodes.py::test_with_a_sound_node_beside_it_nothing_is_lost",
        "snapshot/test_nodes.py::test_alone_it_makes_the_chain_a_gap",
        "faults/test_bad_nodes.py::test_with_a_sound_node_beside_it_the_work_is_done",
    ),
    "closing WebSockets": (
        "chain/test_heads.py::test_polling_takes_over_from_a_closed_websocket_until_it_is_open_again",
        "chain/test_heads.py::test_garbage_ends_the_subscription_not_the_watch",
    ),
    "disk full": (
        "store/test_store.py::test_a_full_disk_is_told_and_changes_nothing",
        "journal/test_journal.py::test_a_full_disk_leaves_the_file_as_it_was",
        "faults/test_told.py::test_a_full_disk_sends_nothing_and_is_told",
    ),
    "database locked, killed and restarted": (
        "store/test_postgres.py::test_a_killed_server_is_told_and_gone_on_with_when_it_is_back",
        "service/test_failover.py::test_a_killed_server_is_waited_for",
        "store/test_store.py::test_a_locked_database_is_waited_for_then_told",
        "faults/test_told.py::test_a_locked_database_delays_and_loses_nothing",
    ),
    "a network that loses packets, before nodes and database": (
        "chain/test_partition.py::test_another_node_is_asked_and_the_first_one_again_once_it_is_back",
        "chain/test_partition.py::test_what_was_sent_into_the_void_may_arrive_late",
        "store/test_partition.py::test_a_commit_lost_in_the_void_is_settled_once_the_network_is_whole",
        "store/test_partition.py::test_a_leader_cut_off_is_followed_and_writes_nothing_when_it_is_back",
    ),
    "clock an hour off": ("faults/test_clock.py::test_decisions_do_not_read_the_wall_clock",),
    "two daemons on one store": (
        "service/test_failover.py::test_a_frozen_leader_that_wakes_sends_nothing",
        "service/test_process.py::test_one_daemon_runs_on_new_heads_and_ends_cleanly",
    ),
    "random schedules of everything": (
        "execution/test_outbox_machine.py::TestOutbox",
        "faults/test_soak.py::test_everything_at_once",
    ),
}
