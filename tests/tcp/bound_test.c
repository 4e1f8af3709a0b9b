/* SPDX-License-Identifier: MIT */
/* What a peer can make us keep, and do. */
#include "script.h"

#include "net/tcp/conn.h"

/* ---- What was received ---- */

/* All that waits for the application, frames as well. */
static uint64_t memory_of_queue(void)
{
	uint64_t bytes = 0;

	for (const struct buf *buf = script.app.conn->queue_head; buf; buf = buf->next)
		bytes += heap_usable_size(script.host->heap, buf);
	return bytes;
}

/* Segments of these lengths in turns, until the window is full; what they take then. */
static uint64_t fill_window(const void *version, uint32_t first, uint32_t second, uint32_t mtu)
{
	const uint32_t window = 65535;
	uint64_t bytes;
	uint32_t seq = 1;

	script_begin(version, &(struct script_options){
				      .refuses = true, .receive_bytes = window, .mtu = mtu});
	open_passive();
	for (uint32_t i = 0; seq - 1 + (i % 2 ? second : first) <= window; i++) {
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = i % 2 ? second : first);
		seq += i % 2 ? second : first;
		script_skip();
	}
	bytes = memory_of_queue();
	check(app_take() == seq - 1);
	check(script.app.conn->queued_memory == 0);
	script_end_quietly();
	return bytes;
}

/* Small ones are copied, larger ones keep their frames: neither may be made a waste of the other. */
static void received__segments_in_turns_take_a_few_windows(void **state)
{
	static const uint32_t lengths[][2] = {{1, 257}, {1, 1}, {257, 257}, {1, 600}, {1, 1400}};

	for (size_t i = 0; i < COUNT_OF(lengths); i++)
		assert_true(fill_window(*state, lengths[i][0], lengths[i][1], 1500) < 4 * 65536);
	assert_true(fill_window(*state, 257, 1000, 9000) < 4 * 65536);
}

/* The frames of full segments are worth it. */
static void received__full_segments_are_not_copied(void **state)
{
	uint32_t mss, seq = 1;

	script_begin(*state, &(struct script_options){.refuses = true, .receive_bytes = 65535});
	open_passive();
	mss = script_mss();
	for (; seq - 1 + mss <= 65535; seq += mss)
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = mss);
	for (const struct buf *buf = script.app.conn->queue_head; buf; buf = buf->next)
		check(!(buf->flags & BUF_SHARED));
	script_end_quietly();
}

/* A byte that waits does not take pages. */
static void received__a_byte_takes_little(void **state)
{
	script_begin(*state, &(struct script_options){.refuses = true});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 1);
	check(memory_of_queue() <= 512);
	script_end_quietly();
}

/* ---- What is under way ---- */

/*
 * Of a peer whose windows have room for all of 30 MiB, when it says nothing: how many segments are under
 * way. All of it is acknowledged then, and more must follow.
 */
static uint32_t send_much(const void *version, uint16_t mss)
{
	struct script_options options = {.mss = mss, .sack = true, .scaling = true, .shift = 14};
	const struct tcp_conn *conn;
	uint32_t count;
	tcp_seq sent;

	script_begin(version, &options);
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1);
	conn = script.app.conn;
	script.app.conn->congestion.cwnd = 1u << 30;
	/* So many segments are not looked at. */
	script.is_over = true;
	for (uint32_t i = 0; i < 30; i++)
		app_push(1u << 20);
	advance(20 * MS);
	count = app_stats().unacked_segments;
	sent = conn->snd_nxt;
	inject(.flags = ACK, .seq = 1, .ack = sent - conn->iss);
	advance(MS);
	check(app_stats().unacked_segments > 0);
	check(conn->snd_nxt != sent);
	script_end_quietly();
	return count;
}

/* Each acknowledgment may have to look at all that are: no peer may ask for many small ones. */
static void sent__a_small_mss_does_not_make_many_segments(void **state)
{
	assert_in_range(send_much(*state, 88), 4096, 5120);
	assert_in_range(send_much(*state, 500), 4096, 16385);
}

/* Nor large ones without end. */
static void sent__segments_under_way_are_bounded(void **state)
{
	/* And a probe of the tail. */
	assert_in_range(send_much(*state, 0), 16384, 16385);
}

/* ---- Answers to whom nobody knows ---- */

/* Resets go where the source address says, which is whom a forger names: not in any number. */
static void answers__resets_are_bounded(void **state)
{
	uint32_t count = 0;

	script_begin(*state, &(struct script_options){0});
	for (uint32_t i = 0; i < 20000; i++) {
		inject(.flags = i % 2 ? SYN : ACK, .ack = 1,
		       .host_port = (uint16_t)(1000 + i % 400));
		if (i % 1000 == 999)
			count += script_skip();
	}
	check(count >= 10000 && count <= 15000);
	/* Nobody is left without for long. */
	advance(SECOND);
	inject(.flags = SYN, .host_port = 1000);
	expect(.flags = RST | ACK, .ack = 1);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(received__segments_in_turns_take_a_few_windows),
		SCRIPT_TEST(received__full_segments_are_not_copied),
		SCRIPT_TEST(received__a_byte_takes_little),
		SCRIPT_TEST(sent__a_small_mss_does_not_make_many_segments),
		SCRIPT_TEST(sent__segments_under_way_are_bounded),
		SCRIPT_TEST(answers__resets_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
