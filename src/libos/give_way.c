/* SPDX-License-Identifier: MIT */
#include "libos/give_way.h"

static bool is_disappointed(const struct give_way *learnt, const struct giving *giving,
			    uint64_t now_ns)
{
	return now_ns - giving->last_ns > GIVE_WAY_YIELD_NS_MAX ||
	       now_ns - giving->first_ns > learnt->yields_ns_max;
}

static void distrust(struct give_way *learnt)
{
	uint32_t waits = 2 * learnt->waits_next;

	if (waits < GIVE_WAY_WAITS_MIN)
		waits = GIVE_WAY_WAITS_MIN;
	if (waits > GIVE_WAY_WAITS_MAX)
		waits = GIVE_WAY_WAITS_MAX;
	learnt->waits_next = waits;
	learnt->waits_left = waits;
}

enum give_way_by give_way_by(struct give_way *learnt, struct giving *giving, uint64_t now_ns)
{
	if (giving->by == GIVE_WAY_UNDECIDED && learnt->yields_ns_max == 0) {
		giving->by = GIVE_WAY_SLEEP;
	} else if (giving->by == GIVE_WAY_UNDECIDED && learnt->waits_left > 0) {
		learnt->waits_left--;
		giving->by = GIVE_WAY_SLEEP;
	} else if (giving->by == GIVE_WAY_UNDECIDED) {
		giving->by = GIVE_WAY_YIELD;
		giving->first_ns = now_ns;
	} else if (giving->by == GIVE_WAY_YIELD && is_disappointed(learnt, giving, now_ns)) {
		giving->by = GIVE_WAY_SLEEP;
		distrust(learnt);
	}
	giving->last_ns = now_ns;
	return giving->by;
}

void give_way_end(struct give_way *learnt, const struct giving *giving, uint64_t now_ns)
{
	if (giving->by != GIVE_WAY_YIELD)
		return;
	if (is_disappointed(learnt, giving, now_ns))
		distrust(learnt);
	else
		learnt->waits_next /= 2;
}
