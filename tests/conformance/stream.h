/* SPDX-License-Identifier: MIT */
/*
 * What holds for every connected stream, whatever carries it. tcp_test.c runs these over IPv4 and
 * IPv6, unix_test.c over AF_UNIX; each takes its transport as the initial state.
 */
#ifndef DEMI_TESTS_STREAM_H
#define DEMI_TESTS_STREAM_H

/* clang-format off */
#define STREAM_FUNCTIONS(apply)                                                                    \
	apply(stream__accept_and_connect_report_their_descriptors)                                 \
	apply(stream__ping_pong)                                                                   \
	apply(stream__messages_of_1_byte_to_1_mib_arrive_intact)                                   \
	apply(stream__pushes_of_1_to_8_segments)                                                   \
	apply(stream__segments_moved_and_shrunk_inside_their_buffer)                               \
	apply(stream__segments_of_foreign_and_library_memory_together)                             \
	apply(stream__array_is_copied_at_the_push)                                                 \
	apply(stream__pops_complete_in_the_order_of_issue)                                         \
	apply(stream__pops_before_and_after_the_data)                                              \
	apply(stream__pushes_complete_in_the_order_of_issue)                                       \
	apply(stream__end_is_one_empty_segment_again_and_again)                                    \
	apply(stream__end_completes_every_waiting_pop)                                             \
	apply(stream__data_pushed_before_close_arrives_before_the_end)                             \
	apply(stream__push_to_a_closed_peer_fails_in_the_end)                                      \
	apply(stream__shutdown_of_writing_leaves_reading)                                          \
	apply(stream__shutdown_of_writing_comes_after_pending_pushes)                              \
	apply(stream__shutdown_of_reading_ends_pops)                                               \
	apply(stream__connect_refused)                                                             \
	apply(stream__connect_on_a_connected_socket_is_eisconn)                                    \
	apply(stream__aclose_delivers_a_large_backlog_to_a_slow_peer)                              \
	apply(stream__aclose_takes_no_new_operation_and_cancels_pops)                              \
	apply(stream__aclose_of_an_idle_connection_completes)                                      \
	apply(stream__aclose_fails_when_the_peer_is_gone)                                          \
	apply(stream__close_cancels_pending_pops)                                                  \
	apply(stream__close_cancels_pending_accepts)                                               \
	apply(stream__close_with_pending_pushes_completes_them_all)                                \
	apply(stream__close_of_the_listener_leaves_its_connections)                                \
	apply(stream__closed_descriptor_does_not_haunt_its_successor)                              \
	apply(stream__accepts_wait_in_order_and_take_the_backlog)                                  \
	apply(stream__200_connections_at_once)                                                     \
	apply(stream__backpressure_keeps_pushes_pending_and_loses_nothing)                         \
	apply(stream__both_directions_full_at_once)                                                \
	apply(stream__cancelled_pop_leaves_the_data_to_the_next)                                   \
	apply(stream__cancelled_accept_leaves_the_connection_to_the_next)                          \
	apply(stream__cancelled_push_is_sent_whole_or_not_at_all)                                  \
	apply(stream__fini_with_everything_open_lets_another_runtime_start)                        \
	apply(stream__kernel_peer_reads_what_was_pushed)                                           \
	apply(stream__kernel_peer_sends_byte_by_byte)                                              \
	apply(stream__kernel_peer_reads_slowly)                                                    \
	apply(stream__kernel_peer_half_closes)
/* clang-format on */

#define STREAM_DECLARE(function) void function(void **state);
STREAM_FUNCTIONS(STREAM_DECLARE)

#endif /* DEMI_TESTS_STREAM_H */
