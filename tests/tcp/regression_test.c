/* SPDX-License-Identifier: MIT */
/* What was wrong once. */
#include "script.h"

#include "net/tcp/conn.h"

#define RTT_NS (100 * MS)

/* ---- Timers ---- */

/* A path of 100 ms, on which tails are probed. */
static void begin_probing(const void *version)
{
	script_begin(version, &(struct script_options){.sack = true, .rtt_ns = RTT_NS});
	open_passive();
}

/* What the peer sends meanwhile acknowledges nothing, and must not put off the probe. */
static void retransmit__is_not_put_off_by_what_is_received(void **state)
{
	bool was_repeated = false;

	begin_probing(*state);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	for (uint32_t i = 0; i < 100 && !was_repeated; i++) {
		const struct segment *segment;

		inject(.flags = ACK, .seq = 1 + i * 10, .ack = 1, .length = 10);
		while ((segment = script_next(20 * MS)) && !was_repeated)
			was_repeated = segment->length == 100;
	}
	check(was_repeated);
	script_end_quietly();
}

/* Nor must what is pushed meanwhile, which nobody acknowledges either. */
static void retransmit__is_not_put_off_by_what_is_pushed(void **state)
{
	bool was_repeated = false;

	begin_probing(*state);
	for (uint32_t i = 0; i < 100 && !was_repeated; i++) {
		const struct segment *segment;

		app_push(10);
		while ((segment = script_next(20 * MS)) && !was_repeated)
			was_repeated = segment->seq == 1 && i > 0;
	}
	check(was_repeated);
	script_end_quietly();
}

/* RFC 6298, (5.7): not what neighbour discovery or a lost SYN took, seven seconds here. */
static void retransmit__a_syn_that_was_repeated_is_no_sample(void **state)
{
	uint32_t first;

	script_begin(*state, &(struct script_options){.timestamps = true});
	app_connect();
	first = expect(.flags = SYN)->timestamp;
	expect_within(0, 2 * SECOND, .flags = SYN);
	expect_within(0, 3 * SECOND, .flags = SYN);
	advance(4 * SECOND - 100 * MS);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460, .has_timestamp = true,
	       .echo = first);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	check(app_stats().rto_ns == 3 * SECOND);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(2900 * MS, 3100 * MS, .flags = ACK, .seq = 1, .ack = 1, .length = 100);
	script_end_quietly();
}

/* ---- Closed windows ---- */

/* Nothing has come for longer than a peer may be silent: it did not have to answer anything. */
static void persist__a_peer_that_was_asked_nothing_is_not_late(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	advance(1000 * SECOND);
	app_push(100);
	script.allows_beyond_window = true;
	expect_within(0, 2 * SECOND, .flags = ACK, .seq = 1, .ack = 1, .length = 1);
	/* The first probe is lost. */
	expect_within(0, 4 * SECOND, .flags = ACK, .seq = 1, .ack = 1, .length = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	expect_within(0, 2 * SECOND, .ignore = ANY_SEQ | ANY_LENGTH, .flags = ACK, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	script_end_quietly();
}

static void persist__a_fin_may_wait_for_its_answer_too(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	advance(1000 * SECOND);
	script.allows_beyond_window = true;
	app_shutdown(SHUT_WR);
	expect(.flags = FIN | ACK, .seq = 1, .ack = 1);
	expect_within(0, 4 * SECOND, .flags = FIN | ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_FIN_WAIT_2);
	script_end_quietly();
}

/* ---- Pushes ---- */

/* The FIN waited behind it. */
static void cancel__the_fin_behind_a_push_goes_without_it(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	script.allows_beyond_window = true;
	app_push(100);
	app_shutdown(SHUT_WR);
	check(tcp_cancel_push(script.app.conn, (void *)1) == 0);
	expect_within(0, 2 * SECOND, .flags = FIN | ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 2);
	check(app_state() == TCP_STATE_FIN_WAIT_2);
	script_end_quietly();
}

/* Sequence numbers of all that waits must not wrap: more than 4 GiB of the same 2 MiB. */
static void push__what_waits_is_less_than_half_of_the_numbers(void **state)
{
	const uint32_t bytes = 2u << 20;
	unsigned char *data;
	demi_sgarray_t sga = {.sga_numsegs = 1};
	struct tcp_stats stats;
	uint64_t pushed = 0;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	data = heap_alloc_io(script.host->heap, bytes);
	assert_non_null(data);
	memset(data, 0, bytes);
	sga.sga_segs[0] = (demi_sgaseg_t){data, bytes};
	script.allows_any_payload = true;
	script_touch();
	for (uintptr_t i = 1; i <= 2100; i++) {
		int error = tcp_push(script.app.conn, &sga, (void *)i);

		check(error == 0 || error == -ENOBUFS);
		pushed += error ? 0 : bytes;
	}
	tcp_get_stats(script.app.conn, &stats);
	check(stats.not_sent + UINT64_C(1000000) > pushed);
	check(heap_free(script.host->heap, data) == 0);
	script.is_over = true;
	script_app_free();
	script_end_quietly();
}

/* ---- Openings ---- */

/* RFC 9293, 3.5, figure 8: a SYN-ACK that comes to SYN-RECEIVED is acknowledged. */
static void open__a_simultaneous_one_ends(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = SYN, .seq = 0, .mss = 1460);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script.app.connects == 1 && script.app.connect_error == 0);
	script_end_quietly();
}

/* The shortest of them. */
static void open__a_socket_may_connect_to_itself(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_open();
	assert_int_equal(tcp_bind(script.app.conn, &script.host_ip, 1234), 0);
	assert_int_equal(tcp_connect(script.app.conn, &script.host_ip, 1234), 0);
	advance(SECOND);
	check(app_state() == TCP_STATE_ESTABLISHED);
	check(script.app.connects == 1 && script.app.connect_error == 0);
	app_push(100);
	advance(SECOND);
	check(script.app.received == 100);
	check(app_pushed() == 1);
	check(app_stats().segments_out < 10);
	script_end_quietly();
}

/* The SYN-ACK has promised a window. */
static void cookie__text_behind_the_ack_is_taken(void **state)
{
	struct script_options options = {.tcp = script_tcp()};

	options.tcp.syn_backlog_max = 0;
	script_begin(*state, &options);
	app_listen();
	inject(.flags = SYN, .seq = 0, .mss = 1460);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 200);
	app_accept();
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 201);
	check(script.app.received == 200);
	script_end_quietly();
}

/* That a connection made way for another must not make a third's numbers known. */
static void open__numbers_of_one_that_made_way_are_for_its_successor(void **state)
{
	struct script_options options = {.tcp = script_tcp()};
	uint32_t known;
	bool was_used = false;

	options.tcp.syn_backlog_max = 0;
	for (options.seed = 1; options.seed <= 8; options.seed++) {
		script_begin(*state, &options);
		app_listen();
		inject(.flags = SYN, .seq = 0, .mss = 1460);
		expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
		inject(.flags = ACK, .seq = 1, .ack = 1);
		app_accept();
		app_shutdown(SHUT_WR);
		expect(.flags = FIN | ACK, .seq = 1, .ack = 1);
		inject(.flags = FIN | ACK, .seq = 1, .ack = 2);
		expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 2);
		known = script_flow(0, 0)->host_iss + 3;
		app_drop();
		/* It makes way, and there is no room but for a cookie. */
		script_renew(PEER_PORT, HOST_PORT, PEER_ISS + 1000000);
		inject(.flags = SYN, .seq = 0, .mss = 1460);
		expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
		app_connect();
		expect(.flags = SYN, .host_port = script.active_port);
		was_used |= script_flow(PEER_PORT, script.active_port)->host_iss == known;
		script_end_quietly();
	}
	assert_false(was_used);
}

/* ---- What a blind attacker can do ---- */

/* RFC 7323, 4.3, RFC 5961, 5.2: who acknowledges what was never sent says no timestamps either. */
static void timestamp__of_what_is_not_believed_is_not_remembered(void **state)
{
	script_begin(*state, &(struct script_options){.timestamps = true});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 500000, .timestamp = 0x70000000);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = 101);
	check(script.app.received == 100);
	script_end_quietly();
}

/* ---- Acknowledgments ---- */

/* Without SACK a duplicate is told nobody, and forgotten: what comes later may wait as before. */
static void ack__a_duplicate_without_sack_is_forgotten(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	/* It answers. */
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	app_push(100);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 101, .length = 100);
	script_skip();
	inject(.flags = ACK, .seq = 101, .ack = 101, .length = 100);
	app_push(100);
	script_skip();
	inject(.flags = ACK, .seq = 201, .ack = 201, .length = 100);
	app_push(100);
	script_skip();
	inject(.flags = ACK, .seq = 301, .ack = 301, .length = 100);
	expect_within(20 * MS, DELAYED_NS, .flags = ACK, .seq = 301, .ack = 401);
	script_end_quietly();
}

/* A window of less than two segments: the peer cannot send the second. */
static void ack__a_full_window_is_not_delayed(void **state)
{
	script_begin(*state, &(struct script_options){.receive_bytes = 4096, .mtu = 4136});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	app_push(100);
	script_skip();
	inject(.flags = ACK, .seq = 101, .ack = 101, .length = 100);
	app_push(100);
	script_skip();
	inject(.flags = ACK, .seq = 201, .ack = 201, .length = 3000);
	expect(.flags = ACK, .seq = 201, .ack = 3201);
	script_end_quietly();
}

/* Without scaling no more than 64 KiB can be said, so that the buffer is no larger. */
static void ack__a_window_that_cannot_be_said_is_not_told(void **state)
{
	script_begin(*state, &(struct script_options){.refuses = true});
	open_passive();
	/* Taken in bulk, as from a fast peer. */
	for (uint32_t i = 0; i < 4 * 51; i++) {
		inject(.flags = ACK, .seq = 1 + i * 1285, .ack = 1, .length = 1285);
		if (i % 51 == 50)
			check(app_take() == 51 * 1285);
	}
	advance(PROMPT_NS);
	script_skip();
	for (uint32_t i = 0; i < 2; i++) {
		inject(.flags = ACK, .seq = 262141 + i * 100, .ack = 1 + i * 100, .length = 100);
		app_take();
		app_push(100);
		script_skip();
	}
	inject(.flags = ACK, .seq = 262341, .ack = 201, .length = 100);
	app_take();
	expect_within(20 * MS, DELAYED_NS, .flags = ACK, .seq = 201, .ack = 262441);
	script_end_quietly();
}

/* ---- Losses ---- */

/* What is lost goes before what is new, however small: RFC 6675, section 5, (C). */
static void loss__new_text_does_not_overtake_it(void **state)
{
	struct script_options options = {.sack = true, .rtt_ns = RTT_NS, .tcp = script_tcp()};
	const struct segment *segment;
	uint32_t mss, again = 0;

	options.tcp.congestion = &tcp_reno;
	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	push_segments(8);
	app_push(600);
	app_push(900);
	script_skip();
	advance(RTT_NS);
	/* Five are lost; the window has room for some of them, and a rest. */
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 2,
	       .sack = {{1 + 8 * mss, 1 + 8 * mss + 600}, {1 + 4 * mss, 1 + 7 * mss}});
	while ((segment = script_next(PROMPT_NS))) {
		check(segment->length == mss);
		again++;
	}
	check(again >= 1 && again < 5);
	for (uint32_t i = 0; i < 20; i++)
		app_push(10);
	expect_nothing(PROMPT_NS);
	script_end_quietly();
}

/* Without SACK: the end of the last recovery, or the beginning, may be 2 GiB behind. */
static void loss__duplicates_count_after_two_gibibytes(void **state)
{
	uint32_t mss;

	script_begin(*state, &(struct script_options){.rtt_ns = RTT_NS});
	open_passive();
	mss = script_mss();
	script.app.conn->recovery_end = script.app.conn->snd_una - 0x80000001;
	push_segments(5);
	advance(RTT_NS);
	for (uint32_t i = 0; i < 3; i++)
		inject(.flags = ACK, .seq = 1, .ack = 1);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	script_end_quietly();
}

/*
 * RFC 4821, 7.7: where nothing gets through, no matter how long it is, it is not for its length; and
 * what was lost on its way is sent in full segments again.
 */
static void mtu__an_outage_is_no_black_hole(void **state)
{
	const struct segment *segment;
	uint32_t mss;

	script_begin(*state, &(struct script_options){.rtt_ns = RTT_NS});
	open_passive();
	mss = script_mss();
	push_segments(1);
	while ((segment = script_next(20 * SECOND)) && script_now() - script.begin_ns < 60 * SECOND)
		;
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss);
	script_skip();
	app_push(mss);
	expect(.flags = ACK, .seq = 1 + mss, .ack = 1, .length = mss);
	script_end_quietly();
}

/* And where full segments are lost again they are not tried for ever. */
static void mtu__a_black_hole_is_found_out_once(void **state)
{
	const struct segment *segment;
	uint32_t acked = 1, dropped = 0;

	script_begin(*state, &(struct script_options){.sack = true});
	open_passive();
	for (uint32_t i = 0; i < 4; i++) {
		dropped = 0;
		app_push(20000);
		while (acked < 1 + (i + 1) * 20000 && (segment = script_next(10 * SECOND))) {
			if (segment->length > 1100) {
				dropped++;
				continue;
			}
			if (segment->seq <= acked && segment->seq + segment->length > acked)
				acked = segment->seq + segment->length;
			inject(.flags = ACK, .seq = 1, .ack = acked);
		}
		check(app_pushed() == i + 1);
		check((dropped > 0) == (i < 2));
	}
	script_end_quietly();
}

/*
 * RFC 8985, 6.2, step 5: on a path that reorders, a second hole is lost when its time is over, also
 * while the first is repaired.
 */
static void rack__every_hole_has_its_time(void **state)
{
	struct script_options options = {.sack = true, .rtt_ns = RTT_NS, .tcp = script_tcp()};
	uint32_t mss, first;

	options.tcp.congestion = &tcp_reno;
	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	/* It does: the third came before the second, and the first. */
	push_segments(3);
	advance(RTT_NS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
	       .sack = {{1 + 2 * mss, 1 + 3 * mss}});
	inject(.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{1 + mss, 1 + 3 * mss}});
	inject(.flags = ACK, .seq = 1, .ack = 1 + 3 * mss);
	script_skip();
	first = push_segments(2);
	advance(60 * MS);
	push_segments(2);
	advance(RTT_NS - 60 * MS);
	inject(.flags = ACK, .seq = 1, .ack = first, .sack_count = 1,
	       .sack = {{first + mss, first + 2 * mss}});
	expect_within(15 * MS, 40 * MS, .flags = ACK, .seq = first, .ack = 1, .length = mss);
	advance(30 * MS);
	inject(.flags = ACK, .seq = 1, .ack = first, .sack_count = 2,
	       .sack = {{first + 3 * mss, first + 4 * mss}, {first + mss, first + 2 * mss}});
	/* The first one's acknowledgment is lost. */
	expect_within(15 * MS, 40 * MS, .flags = ACK, .seq = first + 2 * mss, .ack = 1,
		      .length = mss);
	script_end_quietly();
}

/* RFC 1191, 6.4: whoever lowered the MTU of the path before. */
static void mtu__all_that_is_too_long_is_sent_again(void **state)
{
	uint32_t mss;

	script_begin(*state, &(struct script_options){.rtt_ns = RTT_NS});
	open_passive();
	mss = script_mss();
	push_segments(2);
	/* Another connection to there was told. */
	script_touch();
	pmtu_lower(script.host->net, &script.peer_ip, 1300);
	app_push(10);
	expect(.flags = ACK, .seq = 1 + 2 * mss, .ack = 1, .length = 10);
	inject_icmp(.kind = ICMP_TOO_BIG, .mtu = 1300, .seq = 1);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 1300 - (script.is_v6 ? 60 : 40));
	script_end_quietly();
}

/* What was cut for the path as it was is cut anew, and not lost. */
static void mtu__nothing_is_sent_that_was_cut_for_another_path(void **state)
{
	const uint32_t lowered = 1300 - (*state == SCRIPT_V6 ? 60 : 40);

	script_begin(*state, &(struct script_options){.rtt_ns = RTT_NS});
	open_passive();
	script_touch();
	pmtu_lower(script.host->net, &script.peer_ip, 1300);
	app_push(script_mss());
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = lowered);
	expect(.flags = ACK, .seq = 1 + lowered, .ack = 1, .length = script_mss() - lowered);
	script_end_quietly();
}

/* ---- Marks ---- */

/* RFC 3168, 6.1.2: once for each window, though the peer says so until it hears of it. */
static void ecn__a_mark_counts_once(void **state)
{
	struct script_options options = {.ecn = true, .rtt_ns = RTT_NS, .tcp = script_tcp()};
	uint32_t mss, ssthresh;

	options.tcp.congestion = &tcp_reno;
	script_begin(*state, &options);
	open_passive();
	mss = script_mss();
	push_segments(10);
	advance(RTT_NS);
	inject(.flags = ACK | ECE, .seq = 1, .ack = 1 + 10 * mss);
	ssthresh = app_stats().ssthresh;
	check(ssthresh > 4 * mss && ssthresh <= 5 * mss);
	/* We have nothing to say, so that it does not hear of it. */
	for (uint32_t i = 0; i < 20; i++)
		inject(.flags = ACK | ECE, .seq = 1 + i * 100, .ack = 1 + 10 * mss, .length = 100);
	check(app_stats().ssthresh == ssthresh);
	script_skip();
	app_push(100);
	check(script_next(PROMPT_NS)->flags & CWR);
	/* It is on its way. */
	inject(.flags = ACK | ECE, .seq = 2001, .ack = 1 + 10 * mss, .length = 100);
	check(app_stats().ssthresh == ssthresh);
	inject(.flags = ACK, .seq = 2101, .ack = 101 + 10 * mss);
	script_skip();
	/* A new one. */
	app_push(100);
	script_skip();
	inject(.flags = ACK | ECE, .seq = 2101, .ack = 201 + 10 * mss);
	check(app_stats().ssthresh < ssthresh);
	script_end_quietly();
}

/* ---- The end ---- */

/* There is nobody to be reset any more, but old segments of whom it keeps off the next one. */
static void close__with_unread_text_does_not_end_time_wait(void **state)
{
	script_begin(*state, &(struct script_options){.refuses = true});
	reach_fin_wait_2();
	inject(.flags = FIN | ACK, .seq = 1, .ack = 2, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 2, .ack = 102);
	check(app_state() == TCP_STATE_TIME_WAIT);
	app_drop();
	check(script_counts().time_waits == 1);
	check(script_counts().queued_bytes == 0);
	expect_nothing(SECOND);
	script_end_quietly();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(retransmit__is_not_put_off_by_what_is_received),
		SCRIPT_TEST(retransmit__is_not_put_off_by_what_is_pushed),
		SCRIPT_TEST(retransmit__a_syn_that_was_repeated_is_no_sample),
		SCRIPT_TEST(persist__a_peer_that_was_asked_nothing_is_not_late),
		SCRIPT_TEST(persist__a_fin_may_wait_for_its_answer_too),
		SCRIPT_TEST(cancel__the_fin_behind_a_push_goes_without_it),
		SCRIPT_TEST(push__what_waits_is_less_than_half_of_the_numbers),
		SCRIPT_TEST(open__a_simultaneous_one_ends),
		SCRIPT_TEST(open__a_socket_may_connect_to_itself),
		SCRIPT_TEST(cookie__text_behind_the_ack_is_taken),
		SCRIPT_TEST(open__numbers_of_one_that_made_way_are_for_its_successor),
		SCRIPT_TEST(timestamp__of_what_is_not_believed_is_not_remembered),
		SCRIPT_TEST(ack__a_duplicate_without_sack_is_forgotten),
		SCRIPT_TEST(ack__a_full_window_is_not_delayed),
		SCRIPT_TEST(ack__a_window_that_cannot_be_said_is_not_told),
		SCRIPT_TEST(loss__new_text_does_not_overtake_it),
		SCRIPT_TEST(loss__duplicates_count_after_two_gibibytes),
		SCRIPT_TEST(mtu__an_outage_is_no_black_hole),
		SCRIPT_TEST(mtu__a_black_hole_is_found_out_once),
		SCRIPT_TEST(rack__every_hole_has_its_time),
		SCRIPT_TEST(ecn__a_mark_counts_once),
		SCRIPT_TEST(close__with_unread_text_does_not_end_time_wait),
		SCRIPT_TEST(mtu__nothing_is_sent_that_was_cut_for_another_path),
		SCRIPT_TEST(mtu__all_that_is_too_long_is_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
