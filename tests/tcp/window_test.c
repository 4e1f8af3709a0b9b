/* SPDX-License-Identifier: MIT */
/* Windows, both ways: RFC 9293, 3.8.6 and 3.10.7.4; RFC 7323, 2; RFC 1122, 4.2.2.16, 4.2.3.3. */
#include "script.h"

/* ---- The peer's window ---- */

static void rfc9293_3_8_6__no_more_is_sent_than_the_window_lets(void **state)
{
	uint32_t seq = 1;

	script_begin(*state, &(struct script_options){.window = 3000});
	open_passive();
	app_push(10000);
	/* That nothing is beyond the edge is checked of every segment. */
	while (script_next(20 * MS))
		;
	seq = script_flow(0, 0)->host_sent;
	check(seq > 1460 && seq <= 3001);
	inject(.flags = ACK, .seq = 1, .ack = seq, .window = 3000);
	while (script_next(20 * MS))
		;
	check(script_flow(0, 0)->host_sent > seq);
	script_end_quietly();
}

/* The window of an acknowledgment that acknowledges nothing new counts: else it stays shut. */
static void rfc9293_3_10_7_4__a_window_is_taken_from_an_ack_that_does_not_advance(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	app_push(500);
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = 10000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 500);
	inject(.flags = ACK, .seq = 1, .ack = 501);
	check(app_pushed() == 1);
	script_end();
}

/* Shut after data, and opened by the same acknowledgment again. */
static void rfc9293_3_10_7_4__a_window_that_shut_with_an_ack_opens_with_the_same_ack(void **state)
{
	script_begin(*state, &(struct script_options){.window = 1000});
	open_passive();
	app_push(2000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 1000);
	inject(.flags = ACK, .seq = 1, .ack = 1001, .zero_window = true);
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1001, .window = 5000);
	expect(.flags = ACK, .seq = 1001, .ack = 1, .length = 1000);
	script_end();
}

/* SND.WL1 and SND.WL2: an older segment's window is not taken. */
static void rfc9293_3_10_7_4__an_old_acks_window_is_not_taken(void **state)
{
	script_begin(*state, &(struct script_options){.window = 1000});
	open_passive();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 101, .zero_window = true);
	app_push(400);
	/* Sent before that one and overtaken by it. */
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = 10000);
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 101, .window = 10000);
	expect(.flags = ACK, .seq = 101, .ack = 1, .length = 400);
	script_end();
}

/* The window goes with a segment of text too. */
static void rfc9293_3_10_7_4__a_window_is_taken_from_text(void **state)
{
	script_begin(*state, &(struct script_options){0});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	app_push(500);
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 10, .window = 10000);
	check(expect(.flags = ACK, .seq = 1, .ack = 11, .ignore = ANY_LENGTH)->flags);
	if (script_flow(0, 0)->host_sent == 1)
		expect(.flags = ACK, .seq = 1, .ack = 11, .length = 500);
	check(script_flow(0, 0)->host_sent == 501);
	script_end();
}

/* MUST-34: a window may shrink behind what is under way. */
static void rfc9293_3_8_6__a_window_that_shrinks_is_survived(void **state)
{
	uint32_t mss;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	mss = script_mss();
	push_segments(4);
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = 1000);
	app_push(1000);
	/* SHLD-15: nothing new beyond the edge; the old comes again by the timer. */
	expect_nothing(20 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 4 * mss, .window = 1000);
	expect(.flags = ACK, .seq = 1 + 4 * mss, .ack = 1, .length = 1000);
	inject(.flags = ACK, .seq = 1, .ack = 1001 + 4 * mss, .window = 1000);
	check(app_pushed() == 2);
	check(script.app.ends == 0);
	script_end();
}

/* SHLD-16, SHLD-17: what is under way beyond the edge keeps the connection and arrives. */
static void rfc9293_3_8_6__data_beyond_a_shrunk_window_is_sent_when_it_opens(void **state)
{
	uint32_t mss;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	mss = script_mss();
	push_segments(3);
	script.allows_beyond_window = true;
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss, .zero_window = true);
	advance(30 * SECOND);
	check(script.app.ends == 0);
	check(script_skip() >= 1);
	inject(.flags = ACK, .seq = 1, .ack = 1 + mss);
	for (unsigned int i = 0; i < 20 && !app_pushed(); i++) {
		const struct segment *again = script_next(150 * SECOND);

		check(again);
		inject(.flags = ACK, .seq = 1, .ack = again->seq + again->length);
	}
	check(app_pushed() == 1);
	script_end_quietly();
}

static void rfc9293_3_8_6__a_syn_ack_with_a_shut_window_establishes(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	expect(.flags = SYN);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460, .zero_window = true);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	app_push(100);
	expect_nothing(50 * MS);
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = 1000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	script_end();
}

/* ---- Silly windows, sender: 3.8.6.2.1, MUST-38 ---- */

static void rfc9293_3_8_6_2_1__no_small_segment_is_sent_into_a_small_window(void **state)
{
	const struct segment *segment;

	script_begin(*state, &(struct script_options){.window = 10000});
	open_passive();
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 101, .zero_window = true);
	app_push(5000);
	/* Less than a segment and than half of the largest window. */
	inject(.flags = ACK, .seq = 1, .ack = 101, .window = 200);
	expect_nothing(50 * MS);
	/* But it is overridden by time: no connection stands still. */
	segment = script_next(10 * SECOND);
	check(segment && segment->length >= 1 && segment->length <= 200);
	script_end_quietly();
}

static void rfc9293_3_8_6_2_1__a_window_of_one_segment_is_used(void **state)
{
	uint32_t mss;

	script_begin(*state, &(struct script_options){.window = 10000});
	open_passive();
	mss = script_mss();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	app_push(5000);
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = (uint16_t)mss);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = mss);
	script_end();
}

/* Half of the largest window that ever was: the peer's buffer may be small. */
static void rfc9293_3_8_6_2_1__a_window_of_half_the_buffer_is_used(void **state)
{
	script_begin(*state, &(struct script_options){.window = 1000});
	open_passive();
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	app_push(5000);
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = 600);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 600);
	script_end();
}

/* ---- Our window ---- */

/* Fills up to nothing when nobody takes; opens when somebody does. */
static uint32_t fill_window(uint32_t piece)
{
	uint32_t seq = script_flow(0, 0)->peer_sent;

	while ((int32_t)(script_flow(0, 0)->receive_edge - (seq + piece)) >= 0) {
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = piece);
		seq += piece;
		advance(DELAYED_NS);
	}
	return seq;
}

static void rfc9293_3_8_6__the_window_shuts_when_nothing_is_taken(void **state)
{
	const struct segment *update;
	uint32_t seq;

	script_begin(*state, &(struct script_options){.refuses = true, .receive_bytes = 8192});
	open_passive();
	check(script_flow(0, 0)->receive_edge <= 1 + 8192);
	check(script_flow(0, 0)->receive_edge >= 1 + 4096);
	seq = fill_window(1024);
	check(script_skip() >= 1);
	inject(.flags = ACK, .seq = seq - 1, .ack = 1);
	check(script_window(expect(.flags = ACK, .seq = 1, .ack = seq)) < 1024);
	check(app_take() == seq - 1);
	/* SHLD-14 and 3.8.6.2.2: now it is told. */
	update = expect(.flags = ACK, .seq = 1, .ack = seq);
	check(script_window(update) >= 4096);
	inject(.flags = ACK, .seq = seq, .ack = 1, .length = 100);
	expect_within(0, DELAYED_NS, .flags = ACK, .seq = 1, .ack = seq + 100);
	script_end_quietly();
}

/* What one call gives, which is up to DEMI_SGARRAY_MAXSIZE segments; bytes. */
static uint32_t take_once(void)
{
	struct buf *chain;
	uint32_t taken = 0;

	script_touch();
	chain = tcp_take(script.app.conn);
	for (const struct buf *buf = chain; buf; buf = buf->next)
		taken += buf->length;
	script.app.received += taken;
	assert_int_equal(buf_free(script.host->heap, chain), 0);
	return taken;
}

/* Silly windows, receiver: 3.8.6.2.2, MUST-39: the edge moves by a segment or half a buffer. */
static void rfc9293_3_8_6_2_2__a_window_does_not_open_by_crumbs(void **state)
{
	uint32_t seq, edge, taken;

	/* Of such segments some small ones are not as much as one. */
	script_begin(*state, &(struct script_options){
				     .refuses = true, .receive_bytes = 60000, .mtu = 9000});
	open_passive();
	seq = fill_window(300);
	script_skip();
	edge = script_flow(0, 0)->receive_edge;
	taken = take_once();
	check(taken > 0 && taken < script_mss() / 2);
	expect_nothing(20 * MS);
	/* Asked, it says what it said. */
	inject(.flags = ACK, .seq = seq - 1, .ack = 1);
	check(seq + script_window(expect(.flags = ACK, .seq = 1, .ack = seq)) == edge);
	while (taken < script_mss())
		taken += take_once();
	check(seq + script_window(expect(.flags = ACK, .seq = 1, .ack = seq)) >=
	      edge + script_mss());
	script_end_quietly();
}

/* Whatever comes, the edge does not go back: checked of every segment. */
static void rfc9293_3_8_6__the_edge_never_goes_back(void **state)
{
	uint32_t seq = 1;

	script_begin(*state, &(struct script_options){.refuses = true, .scaling = true});
	open_passive();
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t length = 1 + i * 37 % 1400;

		if ((int32_t)(script_flow(0, 0)->receive_edge - (seq + length)) < 0) {
			app_take();
			advance(DELAYED_NS);
			continue;
		}
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = length);
		seq += length;
		if (i % 7 == 0)
			app_take();
	}
	advance(DELAYED_NS);
	app_take();
	check(script.app.received == seq - 1);
	script_end_quietly();
}

/*
 * The widest window in sixty round trips of 10 ms, in each of which come up to @segments of 1400 bytes, as
 * far as the window lets them.
 */
static uint32_t widest_window(const void *version, uint32_t segments)
{
	struct net_tcp_options tcp = script_tcp();
	uint32_t seq = 1, window = 0;

	tcp.buffer = 65536;
	tcp.max_buffer = 4u << 20;
	script_begin(version, &(struct script_options){.scaling = true,
						       .shift = 7,
						       .timestamps = true,
						       .rtt_ns = 10 * MS,
						       .tcp = tcp});
	open_passive();
	for (uint32_t round = 0; round < 60; round++) {
		uint64_t begin_ns = script_now();

		for (uint32_t i = 0; i < segments; i++) {
			if ((int32_t)(script_flow(0, 0)->receive_edge - (seq + 1400)) < 0)
				break;
			inject(.flags = ACK, .seq = seq, .ack = 1, .length = 1400);
			seq += 1400;
		}
		advance(begin_ns + 10 * MS - script_now());
		while (script.heard_next < script.heard_count) {
			uint32_t now = script_window(script_next(0));

			window = now > window ? now : window;
		}
	}
	script_end_quietly();
	return window;
}

/* RFC 7323, 2.3: with a scale, to about twice what comes in a round trip, and no further. */
static void rfc7323_2_3__our_window_grows_beyond_64_kib(void **state)
{
	uint32_t window = widest_window(*state, 100);

	assert_in_range(window, 2 * 100 * 1400 * 9 / 10, 4 * 100 * 1400);
}

/* Whose peer sends little keeps the window that it has. */
static void rfc7323_2_3__our_window_grows_by_what_is_taken(void **state)
{
	assert_in_range(widest_window(*state, 10), 60000, 65536);
}

/* RFC 7323, 2.2: and never without. */
static void rfc7323_2_2__our_window_without_a_scale_stays_below_64_kib(void **state)
{
	uint32_t seq = 1;

	script_begin(*state, &(struct script_options){0});
	open_passive();
	for (uint32_t i = 0; i < 400; i++) {
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = 1400);
		seq += 1400;
		if (i % 20 == 19)
			advance(10 * MS);
		check(script_flow(0, 0)->receive_edge - seq <= 65535 + 1400);
	}
	advance(DELAYED_NS);
	check(script.app.received == seq - 1);
	script_end_quietly();
}

/* RFC 7323, 2.2: a SYN's window is never scaled. */
static void rfc7323_2_2__the_window_of_a_syn_is_not_scaled(void **state)
{
	const struct segment *answer;
	uint32_t window;

	script_begin(*state, &(struct script_options){.scaling = true, .shift = 5});
	app_listen();
	inject(.flags = SYN, .mss = 1460, .scaling = true, .shift = 5, .window = 1000);
	answer = expect(.flags = SYN | ACK, .ack = 1);
	check(answer->scaling && answer->shift <= TCP_WINDOW_SHIFT_MAX);
	window = answer->window;
	check(window > 0);
	/* And the peer's is 1,000 bytes, not 32,000. */
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = 1000 >> 5);
	app_accept();
	app_push(3000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .ignore = ANY_LENGTH);
	advance(20 * MS);
	check(script_flow(0, 0)->host_sent <= 1001);
	script_end_quietly();
}

/* RFC 7323, 2.3: the peer's window in all later segments is shifted. */
static void rfc7323_2_3__the_peers_window_is_scaled(void **state)
{
	uint32_t mss, acked = 1;

	script_begin(*state, &(struct script_options){.scaling = true, .shift = 7, .window = 2000});
	open_passive();
	mss = script_mss();
	/* 256,000 bytes: slow start fills more than 64 KiB of them. */
	app_push(2000 * mss);
	for (uint32_t round = 0; round < 12; round++) {
		advance(10 * MS);
		script_skip();
		if (script_flow(0, 0)->host_sent - acked > 65535)
			break;
		/* While these arrive others are sent: those are of the next round. */
		for (uint32_t end = script_flow(0, 0)->host_sent; acked + mss <= end; acked += mss)
			inject(.flags = ACK, .seq = 1, .ack = acked + mss, .window = 2000);
	}
	check(script_flow(0, 0)->host_sent - acked > 65535);
	script_end_quietly();
}

/* RFC 7323, 2.3: more than 14 counts as 14. */
static void rfc7323_2_3__a_shift_of_more_than_14_counts_as_14(void **state)
{
	uint32_t mss;

	script_begin(*state, &(struct script_options){.scaling = true, .shift = 14, .window = 1});
	app_listen();
	inject(.flags = SYN, .mss = 1460, .window = 16384,
	       .options = (const uint8_t[]){2, 4, 5, 160, 3, 3, 15, 0}, .option_bytes = 8);
	script_flow(0, 0)->peer_scaling = true;
	script_flow(0, 0)->peer_shift = 14;
	check(expect(.flags = SYN | ACK, .ack = 1)->scaling);
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = 1);
	app_accept();
	mss = script_mss();
	/* 16,384 bytes, not 32,768, and not 0. */
	app_push(20 * mss);
	advance(20 * MS);
	check(script_flow(0, 0)->host_sent - 1 > 8192);
	check(script_flow(0, 0)->host_sent - 1 <= 16384);
	script_end_quietly();
}

/* RFC 7323, 2.2: what the peer's SYN did not have is not in force. */
static void rfc7323_2_2__a_scale_that_the_peer_has_not_offered_is_not_used(void **state)
{
	script_begin(*state, &(struct script_options){0});
	app_connect();
	check(expect(.flags = SYN)->scaling);
	inject(.flags = SYN | ACK, .seq = 0, .ack = 1, .mss = 1460, .window = 500);
	expect(.flags = ACK, .seq = 1, .ack = 1);
	app_push(2000);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 500);
	script_end();
}

/* ---- SYN: only what there is room for ---- */

static void rfc9293_3_10_7_4__a_fixed_receive_window_is_kept(void **state)
{
	uint32_t seq = 1;

	script_begin(*state, &(struct script_options){.receive_bytes = 10000, .scaling = true});
	open_passive();
	for (uint32_t i = 0; i < 100; i++) {
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = 1000);
		seq += 1000;
		if (i % 5 == 4)
			advance(DELAYED_NS);
		check((int32_t)(script_flow(0, 0)->receive_edge - seq) <= 10000);
	}
	check(script.app.received == 100000);
	script_end_quietly();
}

/* ---- A FIN at the edge ---- */

/* It takes no room: as on Linux it need not wait for the window to open. With text it must. */
static void rfc9293_3_10_7_4__a_bare_fin_is_taken_with_our_window_shut(void **state)
{
	const struct segment *answer;
	uint32_t window = 1;

	script_begin(*state, &(struct script_options){.refuses = true, .receive_bytes = 8192});
	open_passive();
	for (uint32_t seq = 1; seq < 8193; seq += 1024)
		inject(.flags = ACK, .seq = seq, .ack = 1, .length = 1024);
	advance(DELAYED_NS);
	do {
		answer = script_next(0);
		window = answer ? answer->window : window;
	} while (answer);
	check(window == 0);
	script.allows_beyond_window = true;
	inject(.flags = FIN | ACK, .seq = 8193, .ack = 1, .length = 10);
	expect(.flags = ACK, .seq = 1, .ack = 8193);
	check(app_state() == TCP_STATE_ESTABLISHED);
	inject(.flags = FIN | ACK, .seq = 8193, .ack = 1);
	expect(.flags = ACK, .seq = 1, .ack = 8194);
	check(app_state() == TCP_STATE_CLOSE_WAIT);
	check(app_take() == 8192);
	check(script.app.ends == 1 && script.app.end_error == 0);
	script_end_quietly();
}

/* ---- Small buffers ---- */

/*
 * A peer that has always more to say and sends no silly segments (RFC 9293, 3.8.6.2.1), over a window of
 * @buffer bytes, and an application that takes all now or a bit later: nobody may wait for a timer of the
 * other's, which is 200 ms at least.
 */
static void carry(const void *version, uint32_t buffer, uint32_t most, uint32_t length)
{
	struct script_options options = {
		.refuses = true, .scaling = true, .shift = 7, .mtu = 9000, .tcp = script_tcp()};
	uint32_t seq = 1, edge, largest;

	options.tcp.buffer = buffer;
	options.tcp.max_buffer = most;
	script_begin(version, &options);
	open_passive();
	edge = largest = buffer < 65535 ? buffer : 65535;
	edge++;
	while (seq < 200 * buffer) {
		const struct segment *answer;
		uint32_t room = edge > seq ? edge - seq : 0,
			 part = 1 + (uint32_t)world_random(&script.world, length);

		if (room < part && room >= largest / 2)
			part = room;
		if (room >= part && part) {
			inject(.flags = ACK, .seq = seq, .ack = 1, .length = part);
			seq += part;
			if (world_random(&script.world, 3) == 0)
				app_take();
		} else {
			uint64_t since_ns = script_now();

			app_take();
			answer = script_next(150 * MS);
			if (!answer)
				print_error("buffer %u, shift of %u, segments of %u\n", buffer,
					    most, length);
			check(answer);
			edge = answer->ack + script_window(answer);
			check(script_now() - since_ns < 150 * MS);
		}
		while ((answer = script_next(PROMPT_NS)))
			edge = answer->ack + script_window(answer);
		if (edge > seq && edge - seq > largest)
			largest = edge - seq;
	}
	script_end_quietly();
}

static void rfc9293_3_8_6_2_2__a_small_window_does_not_stall(void **state)
{
	static const uint32_t buffers[] = {4096, 4097, 5000, 6000, 8192, 20000};
	static const uint32_t lengths[] = {8000, 4096, 1440, 1000, 900, 536, 100};

	for (size_t i = 0; i < COUNT_OF(buffers); i++) {
		for (size_t j = 0; j < COUNT_OF(lengths); j++) {
			carry(*state, buffers[i], 4u << 20, lengths[j]);
			carry(*state, buffers[i], 1u << 30, lengths[j]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_8_6__no_more_is_sent_than_the_window_lets),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_window_is_taken_from_an_ack_that_does_not_advance),
		SCRIPT_TEST(
			rfc9293_3_10_7_4__a_window_that_shut_with_an_ack_opens_with_the_same_ack),
		SCRIPT_TEST(rfc9293_3_10_7_4__an_old_acks_window_is_not_taken),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_window_is_taken_from_text),
		SCRIPT_TEST(rfc9293_3_8_6__a_window_that_shrinks_is_survived),
		SCRIPT_TEST(rfc9293_3_8_6__data_beyond_a_shrunk_window_is_sent_when_it_opens),
		SCRIPT_TEST(rfc9293_3_8_6__a_syn_ack_with_a_shut_window_establishes),
		SCRIPT_TEST(rfc9293_3_8_6_2_1__no_small_segment_is_sent_into_a_small_window),
		SCRIPT_TEST(rfc9293_3_8_6_2_1__a_window_of_one_segment_is_used),
		SCRIPT_TEST(rfc9293_3_8_6_2_1__a_window_of_half_the_buffer_is_used),
		SCRIPT_TEST(rfc9293_3_8_6__the_window_shuts_when_nothing_is_taken),
		SCRIPT_TEST(rfc9293_3_8_6_2_2__a_window_does_not_open_by_crumbs),
		SCRIPT_TEST(rfc9293_3_8_6__the_edge_never_goes_back),
		SCRIPT_TEST(rfc7323_2_3__our_window_grows_beyond_64_kib),
		SCRIPT_TEST(rfc7323_2_3__our_window_grows_by_what_is_taken),
		SCRIPT_TEST(rfc7323_2_2__our_window_without_a_scale_stays_below_64_kib),
		SCRIPT_TEST(rfc7323_2_2__the_window_of_a_syn_is_not_scaled),
		SCRIPT_TEST(rfc7323_2_3__the_peers_window_is_scaled),
		SCRIPT_TEST(rfc7323_2_3__a_shift_of_more_than_14_counts_as_14),
		SCRIPT_TEST(rfc7323_2_2__a_scale_that_the_peer_has_not_offered_is_not_used),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_fixed_receive_window_is_kept),
		SCRIPT_TEST(rfc9293_3_10_7_4__a_bare_fin_is_taken_with_our_window_shut),
		SCRIPT_TEST(rfc9293_3_8_6_2_2__a_small_window_does_not_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
