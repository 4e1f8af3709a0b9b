/* SPDX-License-Identifier: MIT */
/*
 * Large pushes: rows of full segments, which the stack makes in one go (src/net/tcp/bulk.c). Each frame
 * is checked as any other: headers, checksums, every byte.
 */
#include "script.h"

/* Of the segment heard last. */
static bool was_pushed(void)
{
	return script.heard[script.heard_next - 1].flags & PSH;
}

/* @count full segments from @seq on, none of them pushed. Return: what is behind them. */
static uint32_t expect_row(uint32_t seq, uint32_t count)
{
	uint32_t mss = script_mss();

	for (uint32_t i = 0; i < count; i++, seq += mss) {
		expect(.flags = ACK, .seq = seq, .ack = 1, .length = mss);
		check(!was_pushed());
	}
	return seq;
}

static void rfc9293_3_7_1__a_large_push_is_a_row_of_full_segments(void **state)
{
	uint32_t end;

	script_begin(*state, &(struct script_options){.timestamps = true, .sack = true});
	open_passive();
	app_push(5 * script_mss() + 100);
	end = expect_row(1, 5);
	expect(.flags = ACK, .seq = end, .ack = 1, .length = 100);
	check(was_pushed());
	inject(.flags = ACK, .seq = 1, .ack = end + 100);
	check(app_pushed() == 1);
	/* The last one is pushed where it is full, too. */
	app_push(3 * script_mss());
	end = expect_row(end + 100, 2);
	expect(.flags = ACK, .seq = end, .ack = 1, .length = script_mss());
	check(was_pushed());
	script_end();
}

static void rfc9293_3_8_6__a_row_ends_at_the_peers_window(void **state)
{
	uint32_t mss, end;

	script_begin(*state, &(struct script_options){.timestamps = true, .sack = true});
	open_passive();
	mss = script_mss();
	inject(.flags = ACK, .seq = 1, .ack = 1, .window = (uint16_t)(3 * mss + 10));
	app_push(8 * mss);
	end = expect_row(1, 3);
	expect_nothing(MS); /* The tail is probed soon after. */
	inject(.flags = ACK, .seq = 1, .ack = end, .window = (uint16_t)(4 * mss));
	end = expect_row(end, 4);
	expect_nothing(MS);
	inject(.flags = ACK, .seq = 1, .ack = end);
	expect(.flags = ACK, .seq = end, .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = end + mss);
	check(app_pushed() == 1);
	script_end();
}

/* RFC 6928: ten segments at first; then two for each that is acknowledged. */
static void rfc5681_3_1__a_row_ends_at_the_congestion_window(void **state)
{
	uint32_t mss, end;

	script_begin(*state, &(struct script_options){.timestamps = true, .sack = true});
	open_passive();
	mss = script_mss();
	app_push(30 * mss);
	end = expect_row(1, 10);
	expect_nothing(MS);
	inject(.flags = ACK, .seq = 1, .ack = 1 + 2 * mss);
	end = expect_row(end, 4);
	expect_nothing(MS);
	inject(.flags = ACK, .seq = 1, .ack = end);
	end = expect_row(end, 15);
	expect(.flags = ACK, .seq = end, .ack = 1, .length = mss);
	script_end();
}

static void rfc9293_3_8__a_row_goes_on_across_pushes(void **state)
{
	uint32_t mss, end;

	script_begin(*state, &(struct script_options){.sack = true});
	open_passive();
	mss = script_mss();
	/* Nothing goes before all of it is there. */
	inject(.flags = ACK, .seq = 1, .ack = 1, .zero_window = true);
	app_push(3 * mss + 17);
	app_push(4 * mss - 30);
	app_push(2 * mss);
	inject(.flags = ACK, .seq = 1, .ack = 1);
	end = expect_row(1, 8);
	expect(.flags = ACK, .seq = end, .ack = 1, .length = mss - 13);
	check(was_pushed());
	inject(.flags = ACK, .seq = 1, .ack = end + mss - 13);
	check(app_pushed() == 3);
	script_end();
}

static void rfc6675_5__what_a_row_has_lost_is_sent_again(void **state)
{
	uint32_t mss, end;

	script_begin(*state, &(struct script_options){.timestamps = true, .sack = true});
	open_passive();
	mss = script_mss();
	app_push(8 * mss);
	end = expect_row(1, 7);
	expect(.flags = ACK, .seq = end, .ack = 1, .length = mss);
	end += mss;
	/* Without the third. */
	inject(.flags = ACK, .seq = 1, .ack = 1 + 2 * mss, .sack_count = 1,
	       .sack = {{1 + 3 * mss, end}});
	expect(.flags = ACK, .seq = 1 + 2 * mss, .ack = 1, .length = mss);
	inject(.flags = ACK, .seq = 1, .ack = end);
	check(app_pushed() == 1);
	script_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(rfc9293_3_7_1__a_large_push_is_a_row_of_full_segments),
		SCRIPT_TEST(rfc9293_3_8_6__a_row_ends_at_the_peers_window),
		SCRIPT_TEST(rfc5681_3_1__a_row_ends_at_the_congestion_window),
		SCRIPT_TEST(rfc9293_3_8__a_row_goes_on_across_pushes),
		SCRIPT_TEST(rfc6675_5__what_a_row_has_lost_is_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
