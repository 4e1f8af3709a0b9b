/* SPDX-License-Identifier: MIT */
#include "joined.h"

demi_runtime_t *other; /* the one that this thread does not have at the moment */

void swap(void)
{
	demi_runtime_t *next = other;

	check_call(demi_detach(&other), 0);
	check_call(demi_attach(next), 0);
}

/* The libOS under test, and Catmem, which needs no device of its own. */
int setup_two(void **state)
{
	(void)state;
	other = NULL;
	if (demi_init(NULL) != 0)
		return -1;
	switch (demi_detach(&other)) {
	case 0:
		break;
	case EOPNOTSUPP: /* the kernel binds its rings to its thread */
		return 0;
	default:
		return -1;
	}
	option_set("LIBOS", "catmem");
	if (demi_init(NULL) != 0)
		return -1;
	swap();
	return 0;
}

int setup_small(void **state)
{
	option_set("DEMI_QUEUE_JOINED_ELEMENTS_MAX", "8");
	return setup_two(state);
}

int teardown_two(void **state)
{
	demi_fini();
	if (other && demi_attach(other) != 0)
		return -1;
	other = NULL;
	return teardown(state);
}

struct ends ends_open(const char *name)
{
	struct ends ends;

	check_call(demi_queue_create(&ends.here, name), 0);
	swap();
	check_call(demi_queue_open(&ends.there, name), 0);
	swap();
	return ends;
}

uint64_t objects(void)
{
	demi_heap_stats_t stats;

	/* What the other has freed goes back a little later. */
	if (other) {
		swap();
		drive();
		swap();
	}
	check_call(demi_heap_stats(&stats), 0);
	return stats.objects;
}

void expect_at(demi_qtoken_t qt, size_t size, unsigned int seed, const char *file, int line)
{
	demi_qresult_t qr = await_opcode_at(qt, DEMI_OPC_POP, file, line);

	_assert_int_equal(sga_check_at(&qr.qr_value.sga, seed, 0, file, line), size, file, line);
	check_call_at(demi_sgafree(&qr.qr_value.sga), 0, "demi_sgafree", file, line);
}

void expect_end_at(demi_qtoken_t qt, const char *file, int line)
{
	demi_qresult_t qr = await_opcode_at(qt, DEMI_OPC_POP, file, line);

	check_end_at(&qr.qr_value.sga, file, line);
}
