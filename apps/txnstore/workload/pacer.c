/* SPDX-License-Identifier: MIT */
#include "pacer.h"

#include <errno.h>
#include <math.h>

#define NS_PER_S UINT64_C(1000000000)

/* From the number of those before, so that what is rounded does not add up. */
static uint64_t even_due(const struct pacer *pacer)
{
	return pacer->start_ns +
	       (uint64_t)((unsigned __int128)pacer->taken * NS_PER_S / pacer->rate);
}

/* An exponential time after the last one. At high rates, parts of a ns are much of it. */
static void poisson_advance(struct pacer *pacer)
{
	double gap_ns = -log1p(-random_real(&pacer->random)) * (double)NS_PER_S /
			(double)pacer->rate;
	double sum = pacer->due_part + gap_ns;
	uint64_t whole = (uint64_t)sum;

	pacer->due_ns += whole;
	pacer->due_part = sum - (double)whole;
}

int pacer_init(struct pacer *pacer, enum pacer_kind kind, uint64_t rate, uint64_t start_ns,
	       uint64_t seed)
{
	if (kind != PACER_CLOSED && (rate == 0 || rate > PACER_RATE_MAX))
		return -EINVAL;
	*pacer = (struct pacer){.kind = kind,
				.rate = rate,
				.start_ns = start_ns,
				.due_ns = start_ns,
				.random = {random_mix(seed)}};
	if (kind == PACER_POISSON)
		poisson_advance(pacer);
	return 0;
}

uint64_t pacer_due(const struct pacer *pacer, uint64_t now_ns)
{
	return pacer->kind == PACER_CLOSED ? now_ns : pacer->due_ns;
}

uint64_t pacer_take(struct pacer *pacer, uint64_t now_ns)
{
	uint64_t due_ns = pacer_due(pacer, now_ns);

	pacer->taken++;
	if (pacer->kind == PACER_EVEN)
		pacer->due_ns = even_due(pacer);
	else if (pacer->kind == PACER_POISSON)
		poisson_advance(pacer);
	return due_ns;
}
