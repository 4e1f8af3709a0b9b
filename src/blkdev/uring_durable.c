/* SPDX-License-Identifier: MIT */
#include "blkdev/uring_durable.h"

static void look(struct uring_durable *durable, uint32_t period)
{
	durable->period = period;
	durable->until = period - 1;
	durable->counts[0] = 0;
	durable->counts[1] = 0;
}

void uring_durable_init(struct uring_durable *durable, bool is_fixed, bool flushes)
{
	*durable = (struct uring_durable){.is_fixed = is_fixed, .flushes = flushes};
	look(durable, URING_DURABLE_PERIOD_FIRST);
}

bool uring_durable_flushes(struct uring_durable *durable)
{
	if (durable->is_fixed)
		return durable->flushes;
	if (durable->until-- > 0)
		return durable->flushes;
	durable->until = durable->period - 1;
	return !durable->flushes;
}

/* By counting: they are few, and stay in the order in which they came. */
static uint64_t median(const uint64_t ns[URING_DURABLE_SAMPLES])
{
	for (uint32_t i = 0; i < URING_DURABLE_SAMPLES; i++) {
		uint32_t below = 0, equal = 0;

		for (uint32_t j = 0; j < URING_DURABLE_SAMPLES; j++) {
			below += ns[j] < ns[i];
			equal += ns[j] == ns[i];
		}
		if (below <= URING_DURABLE_SAMPLES / 2 && below + equal > URING_DURABLE_SAMPLES / 2)
			return ns[i];
	}
	return 0;
}

/* Who stays with what there was is asked less often. */
static void decide(struct uring_durable *durable)
{
	uint64_t taken_ns = median(durable->ns[durable->flushes]);
	uint64_t other_ns = median(durable->ns[!durable->flushes]);
	uint32_t period = 2 * durable->period;

	if (other_ns < taken_ns - taken_ns / 16) {
		durable->flushes = !durable->flushes;
		taken_ns = other_ns;
		period = URING_DURABLE_PERIOD_MIN;
	}
	if (period < URING_DURABLE_PERIOD_MIN)
		period = URING_DURABLE_PERIOD_MIN;
	durable->decided_ns = taken_ns;
	look(durable, period < URING_DURABLE_PERIOD_MAX ? period : URING_DURABLE_PERIOD_MAX);
}

static bool is_worse(const struct uring_durable *durable)
{
	return durable->decided_ns > 0 && durable->period > URING_DURABLE_PERIOD_FIRST &&
	       durable->counts[durable->flushes] % URING_DURABLE_SAMPLES == 0 &&
	       median(durable->ns[durable->flushes]) > URING_DURABLE_WORSE * durable->decided_ns;
}

void uring_durable_took(struct uring_durable *durable, bool flushes, uint64_t ns)
{
	if (durable->is_fixed)
		return;
	durable->ns[flushes][durable->counts[flushes]++ % URING_DURABLE_SAMPLES] = ns;
	if (flushes != durable->flushes) {
		if (durable->counts[flushes] >= URING_DURABLE_SAMPLES &&
		    durable->counts[!flushes] >= URING_DURABLE_SAMPLES)
			decide(durable);
	} else if (is_worse(durable)) {
		look(durable, URING_DURABLE_PERIOD_FIRST);
	}
}
