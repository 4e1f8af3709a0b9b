/* SPDX-License-Identifier: MIT */
/*
 * Peers that lie: each test lets one say what is not so, then be honest, and wants every byte to have
 * arrived, no more memory to have been held than the limits say, and nothing to be left.
 * SEEDS=N tries N conversations with one that does anything at random; SEED=N replays one.
 */
#include "forger.h"

#include <stdio.h>
#include <sys/socket.h>

#define PORT 80u
#define FORGER_PORT 4000u
#define FORGER_SEED 5u
#define SERVER_SEED 6u
#define FIXED_WINDOW 65535u /* that a SYN can promise */
#define MANY 400u           /* connections of a flood */

static struct world world;
static struct station *victim;
static struct stream_listener listener;
static struct stream server;
static struct forger forger;
static uint64_t current_seed;

/* ---- A victim, and who lies to it ---- */

static void begin_with(const struct station_options *options, uint64_t seed)
{
	world_begin(&world, &(struct sim_options){.seed = seed, .delay_ns = MS});
	victim = station_add(&world, options);
	memset(&server, 0, sizeof(server));
	server.seed = SERVER_SEED;
	server.peer_seed = FORGER_SEED;
	stream_listen(&listener, victim, PORT, 8);
	forger_begin(&forger, station_add_mute(&world, &(struct sim_device_options){0}), 9, victim,
		     2);
	forger.seed = FORGER_SEED;
	forger.peer_seed = SERVER_SEED;
	forger.isn = 1000;
	forger.is_honest = true;
	world_settle(&world);
}

static struct station_options usual(void)
{
	struct station_options options = {.number = 2};

	tcp_defaults(&options.tcp);
	options.tcp.retries_timeout_ms = 60000;
	return options;
}

static void begin(void)
{
	const struct station_options options = usual();

	begin_with(&options, 1);
}

static void end(void)
{
	if (server.conn)
		stream_drop(&server);
	if (listener.conn)
		stream_unlisten(&listener);
	world_run(&world, world.now_ns + 1300 * SECOND);
	stream_assert_nothing_left(victim);
	world_end(&world);
	world.link = NULL;
}

static int tell_failure(void **state)
{
	(void)state;
	if (!world.link)
		return 0;
	print_error("failed at %lu us: SEED=%lu CAPTURE=FILE.pcapng replays it\n",
		    world.now_ns / 1000, current_seed);
	stream_report("server", 0, &server);
	return 0;
}

static void run_ms(uint64_t ms)
{
	world_run(&world, world.now_ns + ms * MS);
}

static struct tcp_counts counts_now(void)
{
	struct tcp_counts counts;

	tcp_get_counts(victim->net, &counts);
	return counts;
}

static uint64_t heap_bytes(void)
{
	struct heap_stats stats;

	heap_get_stats(victim->heap, &stats);
	return stats.bytes_in_use;
}

static void assert_only_listener(void)
{
	assert_int_equal(counts_now().sockets, 1);
	assert_int_equal(counts_now().connections, 0);
	assert_int_equal(counts_now().half_open, 0);
	assert_int_equal(counts_now().segments, 0);
	assert_int_equal(counts_now().queued_bytes, 0);
}

static enum tcp_state state_now(void)
{
	return tcp_state_of(server.conn);
}

/* A connection, of which the victim's end is @server, and pushes @bytes. */
static void open_with(const void *options, uint32_t options_bytes, uint64_t bytes)
{
	assert_true(forger_connect(&forger, FORGER_PORT, PORT, options, options_bytes));
	assert_true(stream_accept(&server, &listener));
	server.plan = (struct stream_plan){
		.bytes = bytes, .push_bytes_max = 10000, .pushes_max = 8, .waits_for_end = true};
}

/* MSS 1460, SACK permitted, scale 3. */
static const uint8_t sack_and_scale[] = {2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 3};

static void open_plainly(uint64_t bytes)
{
	open_with(sack_and_scale, sizeof(sack_and_scale), bytes);
}

/* Both have said and heard everything, and close. */
static void finish_honestly(uint64_t told, uint64_t limit_ms)
{
	uint64_t until_ns = world.now_ns + limit_ms * MS;

	while ((server.acknowledged < server.plan.bytes || server.received < told) &&
	       world.now_ns < until_ns) {
		stream_turn(&server);
		run_ms(10);
	}
	assert_int_equal(server.acknowledged, server.plan.bytes);
	assert_int_equal(forger.received, server.plan.bytes);
	assert_int_equal(forger.wrong + server.wrong, 0);
	assert_int_equal(server.received, told);
	assert_int_equal(server.end_error, 0);
	forger_say(&forger, TCP_ACK | TCP_FIN);
	for (unsigned int i = 0; i < 10; i++) {
		stream_turn(&server);
		run_ms(10);
	}
	assert_true(server.was_closed);
	assert_int_equal(server.close_error, 0);
	end();
}

/* ---- Acknowledgments of what was not sent: RFC 5961, section 5 ---- */

static void sim__acknowledgments_of_unsent_data_complete_nothing(void **state)
{
	static const uint32_t ahead[] = {1,          2,          1000,       65536,     1u << 24,
					 0x40000000, 0x7fffffff, 0x80000000, 0xc0000000};
	uint64_t before;

	(void)state;
	begin();
	forger.is_honest = false;
	open_plainly(50000);
	stream_turn(&server);
	run_ms(1);
	before = forger.pure_acks;
	for (unsigned int round = 0; round < 30; round++) {
		for (unsigned int i = 0; i < COUNT_OF(ahead); i++)
			forger_throw(&forger, &(struct forged){
						      .seq = forger.seq,
						      .ack = forger.irs + 50001 + ahead[i],
						      .flags = TCP_ACK,
						      .window = 65535,
					      });
		run_ms(10);
	}
	assert_int_equal(server.acknowledged, 0);
	assert_int_equal(state_now(), TCP_STATE_ESTABLISHED);
	/* Challenges, at their rate. */
	assert_true(forger.pure_acks - before <= 2 * 10);
	forger.is_honest = true;
	finish_honestly(0, 20000);
}

/* ---- Selective acknowledgments: RFC 2018, RFC 2883 ---- */

static void say_sacked(const struct tcp_sack_block *blocks, unsigned int count)
{
	uint8_t options[4 + 4 * 8] = {1, 1, 5, (uint8_t)(2 + 8 * count)};

	for (unsigned int i = 0; i < count; i++) {
		store_be32(options + 4 + 8 * i, blocks[i].left);
		store_be32(options + 8 + 8 * i, blocks[i].right);
	}
	forger_throw(&forger, &(struct forged){
				      .seq = forger.seq,
				      .ack = forger.ack,
				      .flags = TCP_ACK,
				      .window = 65535,
				      .options = options,
				      .options_bytes = 4 + 8 * count,
			      });
}

static void lie_about_sacks(unsigned int lie)
{
	uint32_t una = forger.ack;
	struct tcp_sack_block blocks[4];

	for (unsigned int i = 0; i < 4; i++) {
		uint32_t left = una + (uint32_t)world_random(&world, 30000);

		switch (lie) {
		case 0: /* out of range */
			blocks[i].left = una + 1000000 * (i + 1);
			blocks[i].right = blocks[i].left + 1460;
			break;
		case 1: /* inverted */
			blocks[i].left = left + 1 + i;
			blocks[i].right = left;
			break;
		case 2: /* everything, and more */
			blocks[i].left = una - 1000 + 1001 * (i % 2);
			blocks[i].right = una + 1000000 * (i / 2) + 14600;
			break;
		case 3: /* all but the first, which is not so */
			blocks[i].left = una + 1460 * (i + 1);
			blocks[i].right = una + 1460 * (i + 2);
			break;
		case 4: /* tiny ones */
			blocks[i].left = left;
			blocks[i].right = left + 1;
			break;
		case 5: /* the whole space */
			blocks[i].left = una + i;
			blocks[i].right = una + i + 0x7fffffff;
			break;
		default: /* empty, old, and twice the same */
			blocks[i].left = una - 5000 * (i % 2);
			blocks[i].right = blocks[i].left + 1460 * (i / 2);
			break;
		}
	}
	say_sacked(blocks, 4);
}

static void sim__lies_about_sacks_lose_nothing(void **state)
{
	(void)state;
	for (unsigned int lie = 0; lie < 7; lie++) {
		begin();
		forger.is_honest = false;
		open_plainly(100000);
		for (unsigned int i = 0; i < 1000; i++) {
			lie_about_sacks(lie);
			if (i % 20 == 0) {
				stream_turn(&server);
				run_ms(1);
			}
		}
		assert_int_equal(server.acknowledged, 0);
		forger.is_honest = true;
		finish_honestly(0, 60000);
	}
}

/* ---- Windows: RFC 9293, 3.8.6 ---- */

static void sim__a_window_that_comes_and_goes_loses_nothing(void **state)
{
	uint64_t begin_ns;

	(void)state;
	begin();
	open_plainly(100000);
	begin_ns = world.now_ns;
	for (unsigned int i = 0; server.acknowledged < 100000; i++) {
		assert_true(world.now_ns - begin_ns < 100 * SECOND);
		/* Seven times of eight it is closed, or shrunk behind what is under way. */
		forger.window = i % 8 ? (uint16_t)(i % 3) : 8000;
		forger_say(&forger, TCP_ACK);
		stream_turn(&server);
		run_ms(20);
	}
	forger.window = 65535;
	finish_honestly(0, 10000);
}

/* As soon as it opens, not when the next probe is due. */
static void sim__a_window_that_opens_late_is_used_at_once(void **state)
{
	static const uint8_t without_sack[] = {2, 4, 0x05, 0xb4};
	uint64_t begin_ns;

	(void)state;
	for (unsigned int with_sack = 0; with_sack < 2; with_sack++) {
		begin();
		forger.window = 0;
		if (with_sack)
			open_plainly(3000);
		else
			open_with(without_sack, sizeof(without_sack), 3000);
		/* What comes is not taken either: probes go unheard. */
		forger.is_honest = false;
		for (unsigned int i = 0; i < 40; i++) {
			forger_say(&forger, TCP_ACK);
			stream_turn(&server);
			run_ms(1000);
		}
		forger.is_honest = true;
		forger.window = 65535;
		begin_ns = world.now_ns;
		forger_say(&forger, TCP_ACK);
		while (server.acknowledged < 3000) {
			stream_turn(&server);
			run_ms(10);
			assert_true(world.now_ns - begin_ns < 5 * SECOND);
		}
		finish_honestly(0, 1000);
	}
}

/* Who answers with a closed window for ever lives; but not for an owner who has gone. */
static void sim__a_closed_window_keeps_no_orphan_alive(void **state)
{
	uint64_t begin_ns;

	(void)state;
	begin();
	forger.is_honest = false;
	forger.window = 0;
	open_plainly(10000);
	for (unsigned int i = 0; i < 2000; i++) {
		stream_turn(&server);
		forger_say(&forger, TCP_ACK);
		run_ms(100);
	}
	assert_int_equal(state_now(), TCP_STATE_ESTABLISHED);
	stream_drop(&server);
	begin_ns = world.now_ns;
	while (counts_now().connections) {
		forger_say(&forger, TCP_ACK);
		run_ms(100);
		assert_true(world.now_ns - begin_ns < 200 * SECOND);
	}
	end();
}

/* ---- Options ---- */

static void offer(const void *options, uint32_t bytes, uint32_t mss_least, uint32_t mss_most)
{
	begin();
	open_with(options, bytes, 20000);
	forger_tell(&forger, 1000, TCP_PSH);
	finish_honestly(1000, 20000);
	assert_in_range(forger.length_max, mss_least, mss_most);
}

static void sim__strange_offers_are_bounded(void **state)
{
	static const uint8_t nothing[] = {2, 4, 0, 0}, one[] = {2, 4, 0, 1};
	static const uint8_t all[] = {2, 4, 0xff, 0xff}, small[] = {2, 4, 0, 200};
	static const uint8_t shift[] = {2, 4, 0x05, 0xb4, 3, 3, 255, 0};
	static const uint8_t twice[] = {2, 4, 0x05, 0xb4, 2, 4, 0, 100, 3, 3, 1, 1, 3, 3, 2, 0};

	(void)state;
	offer(nothing, sizeof(nothing), 60, 100);
	offer(one, sizeof(one), 60, 100);
	offer(all, sizeof(all), 1460, 1460);
	offer(small, sizeof(small), 200, 200);
	offer(shift, sizeof(shift), 1460, 1460);
	offer(twice, sizeof(twice), 100, 100);
}

static void sim__options_of_wrong_length_are_dropped(void **state)
{
	static const uint8_t wrong[][12] = {
		{2, 0, 5, 0xb4}, {2, 1, 5, 0xb4},  {2, 3, 5, 0},  {2, 5, 5, 0xb4, 0},
		{3, 2, 0, 0},    {3, 4, 7, 0},     {4, 3, 0, 0},  {8, 9, 0, 0, 0, 0, 0, 0, 0, 0},
		{8, 11},         {5, 3, 0, 0},     {5, 9, 0, 0},  {5, 11, 0, 0},
		{1, 1, 1, 2},    {1, 1, 1, 8},     {5, 42, 0, 0}, {255, 255, 0, 0},
		{19, 1, 0, 0},   {2, 255, 5, 0xb4}};

	(void)state;
	begin();
	for (unsigned int i = 0; i < COUNT_OF(wrong); i++) {
		forger.isn += 100000;
		assert_false(forger_connect(&forger, (uint16_t)(FORGER_PORT + i), PORT, wrong[i],
					    sizeof(wrong[i])));
	}
	assert_int_equal(counts_now().connections, 0);
	open_plainly(5000);
	for (unsigned int i = 0; i < COUNT_OF(wrong); i++)
		forger_throw(&forger, &(struct forged){
					      .seq = forger.seq,
					      .ack = forger.ack + 1000,
					      .flags = TCP_ACK | TCP_RST,
					      .options = wrong[i],
					      .options_bytes = sizeof(wrong[i]),
				      });
	run_ms(10);
	assert_int_equal(state_now(), TCP_STATE_ESTABLISHED);
	finish_honestly(0, 1000);
}

/* RFC 7323, section 5. */
static void sim__time_that_goes_backwards_brings_nothing(void **state)
{
	static const uint8_t options[] = {2, 4, 5, 0xb4, 1, 1, 8, 10, 0, 0, 0x03, 0xe8, 0, 0, 0, 0};

	(void)state;
	begin();
	forger.has_timestamps = true;
	open_with(options, sizeof(options), 20000);
	forger_tell(&forger, 100, 0);
	run_ms(10);
	assert_int_equal(server.received, 100);
	for (unsigned int i = 0; i < 100; i++) {
		forger.timestamp = 999 - i * 1000000;
		forger_tell_at(&forger, 100, 100, i % 2 ? TCP_FIN : 0);
		forger_tell_at(&forger, 300, 100, 0);
		run_ms(1);
	}
	assert_int_equal(server.received, 100);
	assert_int_equal(state_now(), TCP_STATE_ESTABLISHED);
	assert_int_equal(counts_now().queued_bytes, 0);
	forger.timestamp = 1001;
	forger_tell(&forger, 100, 0);
	finish_honestly(200, 10000);
}

/* ---- Sequence numbers wrap: RFC 9293, 3.4 ---- */

static void sim__sequence_numbers_wrap_on_both_sides(void **state)
{
	uint64_t told = 0;

	(void)state;
	begin();
	forger.isn = UINT32_MAX - 50000;
	/* The victim's go on by one each 4,096 ns: wait until they are about to wrap, too. */
	assert_true(forger_connect(&forger, FORGER_PORT, PORT, NULL, 0));
	assert_true(stream_accept(&server, &listener));
	stream_drop(&server);
	forger_say(&forger, TCP_RST);
	world_run(&world, world.now_ns + (uint64_t)(uint32_t)(-40000 - forger.irs) * 4096);
	memset(&server, 0, sizeof(server));
	server.seed = SERVER_SEED;
	server.peer_seed = FORGER_SEED;
	open_plainly(300000);
	assert_true(forger.irs > UINT32_MAX - 100000);
	/* And out of order across the edge. */
	forger_tell_at(&forger, 50400, 1000, 0);
	forger_tell_at(&forger, 49000, 1400, 0);
	for (; told < 100000; told += 1000) {
		stream_turn(&server);
		forger_tell(&forger, 1000, 0);
		run_ms(1);
	}
	finish_honestly(told, 60000);
}

/* ---- FIN: RFC 9293, 3.10.7.4, eighth ---- */

/* Nothing is handed on behind it, however it comes. */
static void sim__nothing_follows_a_fin(void **state)
{
	(void)state;
	for (unsigned int way = 0; way < 4; way++) {
		begin();
		open_plainly(3000);
		if (way & 1) {
			/* Early, and with text that goes on behind it. */
			forger_tell_at(&forger, 200, 0, TCP_FIN);
			forger_tell_at(&forger, 150, 200, 0);
		} else {
			forger_tell_at(&forger, 150, 300, 0);
			forger_tell_at(&forger, 180, 20, TCP_FIN);
		}
		run_ms(10);
		if (way & 2)
			forger_tell_at(&forger, 0, 200, 0);
		else
			forger_tell_at(&forger, 0, 200, TCP_FIN);
		run_ms(10);
		forger_tell_at(&forger, 201, 500, 0);
		forger_tell_at(&forger, 200, 500, TCP_FIN);
		run_ms(10);
		assert_int_equal(server.received, 200);
		assert_true(server.has_ended);
		assert_int_equal(state_now(), TCP_STATE_CLOSE_WAIT);
		assert_int_equal(counts_now().queued_bytes, 0);
		forger.seq = forger.isn + 202;
		for (unsigned int i = 0; i < 10; i++) {
			stream_turn(&server);
			run_ms(10);
		}
		assert_true(server.was_closed);
		assert_int_equal(server.wrong, 0);
		assert_int_equal(forger.received, 3000);
		end();
	}
}

/* What comes in a state that expects none of it; a state: by how far both have closed. */
static void reach(enum tcp_state state)
{
	forger.is_honest = false;
	if (state == TCP_STATE_SYN_RECEIVED) {
		forger.port = FORGER_PORT;
		forger.peer_port = PORT;
		forger.seq = forger.isn;
		forger_say(&forger, TCP_SYN);
		run_ms(10);
		return;
	}
	open_plainly(0);
	if (state == TCP_STATE_CLOSE_WAIT || state == TCP_STATE_LAST_ACK)
		forger_say(&forger, TCP_ACK | TCP_FIN);
	run_ms(10);
	if (state != TCP_STATE_ESTABLISHED && state != TCP_STATE_CLOSE_WAIT)
		tcp_shutdown(server.conn, SHUT_WR);
	run_ms(10);
	if (state == TCP_STATE_CLOSING)
		forger_say(&forger, TCP_ACK | TCP_FIN);
	if (state == TCP_STATE_FIN_WAIT_2 || state == TCP_STATE_TIME_WAIT) {
		forger.ack++;
		forger_say(&forger, state == TCP_STATE_TIME_WAIT ? TCP_ACK | TCP_FIN : TCP_ACK);
	}
	run_ms(10);
	assert_int_equal(state_now(), state);
}

static void surprise(unsigned int what)
{
	static const uint8_t flags[] = {
		0,
		TCP_FIN,
		TCP_SYN,
		TCP_SYN | TCP_ACK,
		TCP_SYN | TCP_FIN,
		TCP_RST,
		TCP_RST | TCP_ACK,
		TCP_FIN | TCP_ACK,
		TCP_ACK,
		TCP_ACK | TCP_URG | TCP_PSH,
		255,
	};
	static const uint32_t ahead[] = {0, 1, 100, 60000, 0x7fffffff, 0xffffffff, 0xffff0000};
	uint8_t payload[100] = {0};

	forger_throw(&forger, &(struct forged){
				      .seq = forger.seq + ahead[what / COUNT_OF(flags) % 7],
				      .ack = forger.ack + ahead[what % 7],
				      .flags = flags[what % COUNT_OF(flags)],
				      .window = (uint16_t)(what * 7919),
				      .payload = payload,
				      .length = what / 77 % 3 * 50,
			      });
}

static void sim__surprises_in_every_state_leave_nothing(void **state)
{
	static const enum tcp_state states[] = {
		TCP_STATE_SYN_RECEIVED, TCP_STATE_ESTABLISHED, TCP_STATE_FIN_WAIT_1,
		TCP_STATE_FIN_WAIT_2,   TCP_STATE_CLOSE_WAIT,  TCP_STATE_CLOSING,
		TCP_STATE_LAST_ACK,     TCP_STATE_TIME_WAIT,
	};

	(void)state;
	for (unsigned int i = 0; i < COUNT_OF(states); i++) {
		begin();
		for (unsigned int what = 0; what < 231; what++) {
			forger.isn += 1000000;
			memset(&server, 0, sizeof(server));
			reach(states[i]);
			surprise(what);
			run_ms(1);
			surprise(what * 31);
			/* That it may not be answered: nobody is there any more. */
			run_ms(1);
			if (server.conn)
				stream_drop(&server);
			while (stream_accept(&server, &listener))
				stream_drop(&server);
			world_run(&world, world.now_ns + 200 * SECOND);
			assert_only_listener();
		}
		end();
	}
}

/* In SYN-SENT: RFC 9293, 3.10.7.3. */
static void sim__surprises_to_a_connect_leave_nothing(void **state)
{
	(void)state;
	begin();
	for (unsigned int what = 0; what < 231; what++) {
		memset(&server, 0, sizeof(server));
		stream_open(&server, victim);
		forger.is_honest = false;
		forger.port = 90;
		assert_int_equal(stream_connect(&server, V4(10, 0, 0, 9), 90), 0);
		run_ms(10);
		forger.peer_port = forger.last.source_port;
		forger.seq = forger.isn = what * 1000003;
		surprise(what);
		run_ms(10);
		surprise(what * 31);
		run_ms(10);
		stream_drop(&server);
		world_run(&world, world.now_ns + 200 * SECOND);
		assert_only_listener();
	}
	end();
}

/* ---- Floods on connections that are there ---- */

/* A byte here and there, of which nothing can be handed on. */
static void sim__text_out_of_order_is_bounded(void **state)
{
	struct station_options options = usual();
	uint64_t before;

	(void)state;
	options.tcp.out_of_order_max = 100;
	begin_with(&options, 1);
	open_plainly(100000);
	before = heap_bytes();
	for (unsigned int i = 0; i < 20000; i++) {
		uint32_t length = i % 2 ? 1 : 1 + (uint32_t)world_random(&world, 1000);

		forger_tell_at(&forger, 2 + world_random(&world, 60000), length, 0);
		if (i % 100)
			continue;
		run_ms(1);
		assert_true(counts_now().queued_bytes <= 100 * 1001);
		assert_true(heap_bytes() - before < 100 * 2048);
	}
	/* All that was pushed got through meanwhile, and now the rest. */
	for (unsigned int i = 0; i < 62; i++) {
		forger_tell(&forger, 1000, 0);
		stream_turn(&server);
		run_ms(1);
	}
	finish_honestly(62000, 20000);
}

/* The peers of many connections do so together: others still get through. */
static void sim__text_out_of_order_of_many_leaves_room_for_others(void **state)
{
	struct station_options options = usual();
	static struct stream held[MANY];
	static const uint8_t no_options[] = {1, 1, 1, 1};

	(void)state;
	begin_with(&options, 1);
	memset(held, 0, sizeof(held));
	forger.is_honest = false;
	for (unsigned int i = 0; i < MANY; i++) {
		forger.isn += 1000000;
		assert_true(forger_connect(&forger, (uint16_t)(5000 + i), PORT, no_options, 4));
		assert_true(stream_accept(&held[i], &listener));
		for (unsigned int j = 0; j < 1100; j++) {
			forger_tell_at(&forger, 2 + 2 * j, 1, 0);
			if (j % 200 == 0)
				run_ms(1);
		}
		run_ms(1);
	}
	/* Of a heap of 64 MiB. */
	assert_true(heap_bytes() < 12u << 20);
	forger.is_honest = true;
	forger.isn += 1000000;
	open_plainly(300000);
	for (unsigned int i = 0; i < 300; i++) {
		forger_tell(&forger, 1000, 0);
		stream_turn(&server);
		run_ms(1);
	}
	for (unsigned int i = 0; i < MANY; i++) {
		assert_int_equal(held[i].received, 0);
		stream_drop(&held[i]);
	}
	finish_honestly(300000, 20000);
}

/* Nobody takes what comes, a byte at a time. */
static void sim__segments_of_one_byte_cost_little_memory(void **state)
{
	uint64_t before, place = 0;

	(void)state;
	begin();
	open_plainly(0);
	server.plan.laziness = 1;
	before = heap_bytes();
	for (; place < FIXED_WINDOW; place++) {
		forger_tell(&forger, 1, 0);
		if (place % 100 == 0)
			run_ms(1);
	}
	run_ms(10);
	/* A quarter more than the bytes themselves, at most. */
	assert_true(heap_bytes() - before < FIXED_WINDOW * 5 / 4);
	assert_int_equal(counts_now().queued_bytes, FIXED_WINDOW);
	assert_int_equal(forger.last.window, 0);
	stream_turn(&server);
	run_ms(10);
	assert_int_equal(server.received, place);
	finish_honestly(place, 10000);
}

/* ---- One that does anything ---- */

static void be_random(uint64_t *told)
{
	switch (world_random(&world, 10)) {
	case 0:
		forger.is_honest = !forger.is_honest;
		break;
	case 1:
		forger.window = world_random(&world, 2) ? (uint16_t)world_random(&world, 65536) : 0;
		break;
	case 2:
		lie_about_sacks((unsigned int)world_random(&world, 7));
		break;
	case 3:
		surprise((unsigned int)world_random(&world, 231));
		break;
	case 4:
		forger_throw(&forger,
			     &(struct forged){
				     .seq = forger.seq + (uint32_t)world_random(&world, 9) - 4,
				     .ack = forger.irs + (uint32_t)world_random(&world, 60000),
				     .flags = TCP_ACK,
				     .window = (uint16_t)world_random(&world, 65536),
			     });
		break;
	case 5:
		forger_tell_at(&forger, *told + world_random(&world, 30000),
			       (uint32_t)world_random(&world, 1460), 0);
		break;
	case 6:
		forger_tell_at(&forger, world_random(&world, *told + 1),
			       (uint32_t)world_random(&world, 1460),
			       world_random(&world, 20) ? 0 : TCP_FIN);
		break;
	case 7: {
		uint32_t length = 1 + (uint32_t)world_random(&world, 1460);

		forger_tell(&forger, length, 0);
		*told += length;
		break;
	}
	default:
		run_ms(world_random(&world, 4) ? 1 : world_random(&world, 3000));
		stream_turn(&server);
		break;
	}
}

/* It may end in any way, but not with a wrong byte, nor with anything left. */
static void converse_with_random(uint64_t seed)
{
	struct station_options options = usual();
	uint64_t told = 0;

	current_seed = seed;
	world.random_state = seed;
	options.tcp.timestamps = false;
	options.tcp.sack = world_random(&world, 3);
	options.tcp.buffer = 2000 + (uint32_t)world_random(&world, 100000);
	options.tcp.out_of_order_max = (uint32_t)world_random(&world, 40);
	options.tcp.congestion = tcp_congestion_find(seed % 2 ? "reno" : "cubic", seed % 2 ? 4 : 5);
	begin_with(&options, seed);
	forger.isn = (uint32_t)world_random(&world, UINT64_C(1) << 32);
	open_with(sack_and_scale, sizeof(sack_and_scale), world_random(&world, 100000));
	server.plan.laziness = (uint32_t)world_random(&world, 4);
	for (unsigned int i = 0; i < 300; i++)
		be_random(&told);
	/* A surprise may bring what is not of the pattern: a hundred zeros, in its place. */
	assert_true(server.received < told + 40000);
	if (!server.is_closed && world_random(&world, 2))
		stream_close(&server);
	/* Whoever takes a byte for each probe of a closed window may take his time. */
	forger.is_honest = false;
	world_run(&world, world.now_ns + 200 * SECOND);
	if (server.is_closed && !server.was_closed)
		fail_msg("not closed");
	end();
	current_seed = 0;
}

static void sim__whatever_a_peer_says_nothing_is_left(void **state)
{
	const char *one = getenv("SEED");
	uint64_t seeds = seeds_of(500);

	(void)state;
	if (one) {
		converse_with_random(strtoull(one, NULL, 0));
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++)
		converse_with_random(seed);
}

#define TEST(name) cmocka_unit_test_teardown(name, tell_failure)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sim__acknowledgments_of_unsent_data_complete_nothing),
		TEST(sim__lies_about_sacks_lose_nothing),
		TEST(sim__a_window_that_comes_and_goes_loses_nothing),
		TEST(sim__a_window_that_opens_late_is_used_at_once),
		TEST(sim__a_closed_window_keeps_no_orphan_alive),
		TEST(sim__strange_offers_are_bounded),
		TEST(sim__options_of_wrong_length_are_dropped),
		TEST(sim__time_that_goes_backwards_brings_nothing),
		TEST(sim__sequence_numbers_wrap_on_both_sides),
		TEST(sim__nothing_follows_a_fin),
		TEST(sim__surprises_in_every_state_leave_nothing),
		TEST(sim__surprises_to_a_connect_leave_nothing),
		TEST(sim__text_out_of_order_is_bounded),
		TEST(sim__text_out_of_order_of_many_leaves_room_for_others),
		TEST(sim__segments_of_one_byte_cost_little_memory),
		TEST(sim__whatever_a_peer_says_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
