/* SPDX-License-Identifier: MIT */
#include "distribution.h"

#include <errno.h>

static const char *const names[DISTRIBUTION_KINDS] = {
	[DISTRIBUTION_UNIFORM] = "uniform",
	[DISTRIBUTION_ZIPFIAN] = "zipfian",
	[DISTRIBUTION_SCRAMBLED] = "scrambled",
	[DISTRIBUTION_LATEST] = "latest",
};

const char *distribution_name(enum distribution_kind kind)
{
	return names[kind];
}

int distribution_init(struct distribution *distribution, enum distribution_kind kind,
		      uint64_t items, double theta)
{
	*distribution = (struct distribution){.kind = kind, .items = items};
	if (items == 0)
		return -EINVAL;
	if (kind == DISTRIBUTION_UNIFORM)
		return 0;
	scramble_init(&distribution->scramble, items);
	return zipf_init(&distribution->zipf, items, theta);
}

void distribution_extend(struct distribution *distribution, uint64_t items)
{
	if (items <= distribution->items)
		return;
	switch (distribution->kind) {
	case DISTRIBUTION_ZIPFIAN:
	case DISTRIBUTION_SCRAMBLED:
		return;
	case DISTRIBUTION_LATEST:
		zipf_extend(&distribution->zipf, items);
		break;
	case DISTRIBUTION_UNIFORM:
		break;
	}
	distribution->items = items;
}

uint64_t distribution_next(const struct distribution *distribution, struct random *random)
{
	switch (distribution->kind) {
	case DISTRIBUTION_ZIPFIAN:
		return zipf_next(&distribution->zipf, random);
	case DISTRIBUTION_SCRAMBLED:
		return scramble_of(&distribution->scramble, zipf_next(&distribution->zipf, random));
	case DISTRIBUTION_LATEST:
		return distribution->items - 1 - zipf_next(&distribution->zipf, random);
	case DISTRIBUTION_UNIFORM:
		break;
	}
	return random_below(random, distribution->items);
}
