/* SPDX-License-Identifier: MIT */
/* Floods of SYNs: RFC 4987, 3.6: beyond the bound of half-open connections SYN cookies. */
#include "script.h"

#include "net/tcp/conn.h"

#define BOUND 4u

static void begin(const void *version, const struct script_options *more)
{
	struct script_options options = *more;

	options.tcp = script_tcp();
	options.tcp.syn_backlog_max = BOUND;
	options.backlog = 64;
	script_begin(version, &options);
	app_listen();
	/* Half-open ones up to the bound, whose peers are not there. */
	for (uint16_t i = 0; i < BOUND; i++) {
		inject(.flags = SYN, .mss = 1460, .peer_port = (uint16_t)(20000 + i));
		expect(.flags = SYN | ACK, .ack = 1, .peer_port = (uint16_t)(20000 + i));
	}
	check(script_counts().half_open == BOUND);
	check(script_counts().cookies_sent == 0);
}

/* The next one is a cookie: an answer that nothing is kept of. */
static void take_cookie(void)
{
	struct segment syn = script_syn(SYN, 0);

	script_inject(&syn);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
	check(script_counts().cookies_sent == 1);
	check(script_counts().half_open <= BOUND);
}

/* What is sent to the peers that are not there is of no interest. */
static const struct segment *next_of_ours(uint64_t ns)
{
	const struct segment *segment;
	uint64_t end_ns = script_now() + ns;

	do {
		segment = script_next(end_ns > script_now() ? end_ns - script_now() : 0);
	} while (segment && segment->peer_port >= 20000);
	return segment;
}

static void rfc4987_3_6__a_syn_beyond_the_bound_is_answered(void **state)
{
	begin(*state, &(struct script_options){0});
	take_cookie();
	check(script_counts().connections <= BOUND);
	script_end_quietly();
}

static void rfc4987_3_6__the_ack_of_a_cookie_makes_a_connection(void **state)
{
	const struct segment *ack;

	begin(*state, &(struct script_options){0});
	take_cookie();
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(script_counts().cookies_taken == 1);
	app_accept();
	check(app_state() == TCP_STATE_ESTABLISHED);
	/* Our SYN, of which nothing was kept, is acknowledged with it. */
	check(script.app.conn->snd_una == script.app.conn->snd_nxt);
	app_push(100);
	expect(.flags = ACK, .seq = 1, .ack = 1, .length = 100);
	inject(.flags = ACK, .seq = 1, .ack = 101, .length = 50);
	ack = next_of_ours(DELAYED_NS);
	check(ack && ack->ack == 51);
	check(app_pushed() == 1 && script.app.received == 50);
	script_end_quietly();
}

/* With text at once, as a client that has more to say than to wait. */
static void rfc4987_3_6__text_with_the_ack_of_a_cookie_is_delivered(void **state)
{
	const struct segment *ack;

	begin(*state, &(struct script_options){0});
	take_cookie();
	inject(.flags = ACK, .seq = 1, .ack = 1, .length = 200);
	app_accept();
	ack = next_of_ours(DELAYED_NS);
	if (!ack || ack->ack != 201) {
		inject(.flags = ACK, .seq = 1, .ack = 1, .length = 200);
		ack = next_of_ours(DELAYED_NS);
	}
	check(ack && ack->ack == 201);
	check(script.app.received == 200);
	script_end_quietly();
}

/* The MSS of the SYN is kept in it, rounded down; that no segment is longer is always checked. */
static void rfc4987_3_6__a_cookie_keeps_the_mss(void **state)
{
	static const uint16_t sizes[] = {536, 900, 1220, 1400, 1460};

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		begin(*state, &(struct script_options){.mss = sizes[i]});
		take_cookie();
		inject(.flags = ACK, .seq = 1, .ack = 1);
		app_accept();
		app_push(8000);
		advance(20 * MS);
		check(script_flow(0, 0)->host_sent > 1);
		script_end_quietly();
	}
	script_begin(*state, &(struct script_options){0});
	script_end();
}

/* What the SYN-ACK granted is in force: timestamps on each segment, blocks, scaled windows. */
static void rfc4987_3_6__a_cookie_keeps_what_it_grants(void **state)
{
	const struct segment *segment;

	begin(*state, &(struct script_options){
			      .timestamps = true, .sack = true, .scaling = true, .shift = 3});
	take_cookie();
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	app_push(100);
	segment = next_of_ours(PROMPT_NS);
	check(segment && segment->length == 100);
	inject(.flags = ACK, .seq = 101, .ack = 101, .length = 100);
	segment = next_of_ours(PROMPT_NS);
	check(segment && segment->ack == 1);
	if (script_flow(0, 0)->host_sack)
		check(segment->sack_count == 1 && segment->sack[0].left == 101);
	inject(.flags = ACK, .seq = 1, .ack = 101, .length = 100);
	segment = next_of_ours(PROMPT_NS);
	check(segment && segment->ack == 201);
	script_end_quietly();
}

/* A number that was not given out opens nothing. */
static void rfc4987_3_6__a_forged_ack_is_reset(void **state)
{
	const struct segment *segment;

	begin(*state, &(struct script_options){0});
	take_cookie();
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t ack = 2 + i * 67108859;

		inject(.flags = ACK, .seq = 1, .ack = ack);
		segment = next_of_ours(PROMPT_NS);
		check(segment && segment->flags == RST && segment->seq == ack);
	}
	check(script_counts().cookies_taken == 0);
	check(script.listener.acceptable == 0);
	script_end_quietly();
}

/* Nor the right number with another number of the peer's, from another port, or much later. */
static void rfc4987_3_6__a_cookie_is_for_one_connection(void **state)
{
	const struct segment *segment;
	uint32_t iss;

	begin(*state, &(struct script_options){0});
	take_cookie();
	iss = script_flow(0, 0)->host_iss;
	inject(.flags = ACK, .seq = 100, .ack = 1);
	segment = next_of_ours(PROMPT_NS);
	check(segment && (segment->flags & RST));
	script_flow(4001, 0)->host_iss = iss;
	inject(.flags = ACK, .seq = 1, .ack = 1, .peer_port = 4001);
	segment = next_of_ours(PROMPT_NS);
	check(segment && (segment->flags & RST));
	check(script_counts().cookies_taken == 0);
	check(script.listener.acceptable == 0);
	script_end_quietly();
}

static void rfc4987_3_6__an_old_cookie_is_worth_nothing(void **state)
{
	const struct segment *segment;

	begin(*state, &(struct script_options){0});
	take_cookie();
	advance(1000 * SECOND);
	script_skip();
	inject(.flags = ACK, .seq = 1, .ack = 1);
	segment = next_of_ours(PROMPT_NS);
	check(segment && (segment->flags & RST));
	check(script.listener.acceptable == 0);
	script_end_quietly();
}

/* Nor while the flood goes on, and others are given: each is good for its own two minutes. */
static void rfc4987_3_6__an_old_cookie_is_worth_nothing_in_a_long_flood(void **state)
{
	struct script_options options = {.tcp = script_tcp()};

	options.tcp.syn_backlog_max = 0;
	script_begin(*state, &options);
	app_listen();
	for (uint16_t i = 0; i < 10; i++) {
		inject(.flags = SYN, .mss = 1460, .peer_port = (uint16_t)(6000 + i));
		expect(.flags = SYN | ACK, .ack = 1, .peer_port = (uint16_t)(6000 + i));
		advance(20 * SECOND);
	}
	check(script_counts().cookies_sent == 10);
	inject(.flags = ACK, .seq = 1, .ack = 1, .peer_port = 6000);
	expect(.ignore = ANY_ACK, .flags = RST, .seq = 1, .peer_port = 6000);
	check(script.listener.acceptable == 0);
	inject(.flags = ACK, .seq = 1, .ack = 1, .peer_port = 6009);
	check(script.listener.acceptable == 1);
	script_end_quietly();
}

/* A reset in answer to a cookie leaves nothing behind. */
static void rfc4987_3_6__a_reset_of_a_cookie_is_ignored(void **state)
{
	begin(*state, &(struct script_options){0});
	take_cookie();
	inject(.flags = RST, .seq = 1);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	/* Nothing was kept, so it cannot be known that it was refused. */
	check(script_counts().connections <= BOUND + 1);
	script_end_quietly();
}

/* RFC 4987, 2: whatever the flood, what is kept is bounded, and a true client gets through. */
static void rfc4987_2__a_flood_is_survived(void **state)
{
	struct script_options options = {.tcp = script_tcp()};

	options.tcp.syn_backlog_max = 16;
	script_begin(*state, &options);
	app_listen();
	for (uint32_t i = 0; i < 20000; i++) {
		struct ip_address source = script.is_v6 ? V6(1000 + i % 61)
							: V4(10, 0, 0, 100 + i % 61);

		inject(.flags = SYN, .mss = 1460, .source = &source, .seq = i * 2654435761u,
		       .peer_port = 30000);
		check(script_counts().connections <= 16);
	}
	/* From the same place as the flood, so to say: all answers go where nobody is. */
	script_skip();
	inject(.flags = SYN, .mss = 1460);
	for (;;) {
		const struct segment *segment = script_next(SECOND);

		check(segment);
		if (segment->peer_port == PEER_PORT) {
			check(segment->flags == (SYN | ACK));
			break;
		}
	}
	inject(.flags = ACK, .seq = 1, .ack = 1);
	app_accept();
	app_push(100);
	script_skip();
	check(script_flow(0, 0)->host_sent == 101);
	script_end_quietly();
}

/* Without need there are none: all half-open connections are kept as such. */
static void rfc4987_3_6__below_the_bound_there_are_no_cookies(void **state)
{
	struct script_options options = {.tcp = script_tcp()};

	options.tcp.syn_backlog_max = 64;
	script_begin(*state, &options);
	app_listen();
	for (uint16_t i = 0; i < 32; i++) {
		inject(.flags = SYN, .mss = 1460, .peer_port = (uint16_t)(6000 + i));
		expect(.flags = SYN | ACK, .ack = 1, .peer_port = (uint16_t)(6000 + i));
	}
	check(script_counts().cookies_sent == 0);
	check(script_counts().half_open == 32);
	/* And a number that is no cookie's is reset: a guess opens nothing. */
	inject(.flags = ACK, .seq = 1, .ack = 12345);
	expect(.flags = RST, .seq = 12345);
	check(script_counts().cookies_taken == 0);
	script_end();
}

/*
 * A guess is right once in 2^28 times, and may be made as often as the line lets: not for ever after a
 * flood. Here the guess is right, and nothing of late was answered with a cookie.
 */
static void rfc4987_3_6__no_cookie_is_taken_long_after_the_last_was_given(void **state)
{
	struct script_options options = {.tcp = script_tcp()};
	struct ip_packet packet;
	struct tcp_in in = {.packet = &packet, .source_port = PEER_PORT};

	options.tcp.syn_backlog_max = 0;
	script_begin(*state, &options);
	packet = (struct ip_packet){.source = script.peer_ip, .destination = script.host_ip};
	app_listen();
	inject(.flags = SYN, .mss = 536);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1);
	advance(130 * SECOND);
	script_touch();
	in.destination_port = HOST_PORT;
	in.seq = PEER_ISS;
	script_flow(0, 0)->host_iss = cookie_make(script.host->net->tcp, &in);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	expect(.flags = RST, .seq = 1, .ignore = ANY_ACK);
	check(script_counts().cookies_taken == 0);
	/* As long as the last one may still be acknowledged it is. */
	inject(.flags = SYN, .mss = 536);
	expect(.flags = SYN | ACK, .seq = 0, .ack = 1, .ignore = ANY_SEQ);
	advance(60 * SECOND);
	script_touch();
	script_flow(0, 0)->host_iss = cookie_make(script.host->net->tcp, &in);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	check(script_counts().cookies_taken == 1);
	script_end_quietly();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc4987_3_6__a_syn_beyond_the_bound_is_answered),
		SCRIPT_TEST(rfc4987_3_6__the_ack_of_a_cookie_makes_a_connection),
		SCRIPT_TEST(rfc4987_3_6__text_with_the_ack_of_a_cookie_is_delivered),
		SCRIPT_TEST(rfc4987_3_6__a_cookie_keeps_the_mss),
		SCRIPT_TEST(rfc4987_3_6__a_cookie_keeps_what_it_grants),
		SCRIPT_TEST(rfc4987_3_6__a_forged_ack_is_reset),
		SCRIPT_TEST(rfc4987_3_6__a_cookie_is_for_one_connection),
		SCRIPT_TEST(rfc4987_3_6__an_old_cookie_is_worth_nothing),
		SCRIPT_TEST(rfc4987_3_6__an_old_cookie_is_worth_nothing_in_a_long_flood),
		SCRIPT_TEST(rfc4987_3_6__a_reset_of_a_cookie_is_ignored),
		SCRIPT_TEST(rfc4987_2__a_flood_is_survived),
		SCRIPT_TEST(rfc4987_3_6__below_the_bound_there_are_no_cookies),
		SCRIPT_TEST(rfc4987_3_6__no_cookie_is_taken_long_after_the_last_was_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
