/* SPDX-License-Identifier: MIT */
/* What was wrong once. */
#include "script.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(retransmit__is_not_put_off_by_what_is_received),
		SCRIPT_TEST(retransmit__is_not_put_off_by_what_is_pushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
