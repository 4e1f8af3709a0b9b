/* SPDX-License-Identifier: MIT */
/*
 * How a wait that spins gives the CPU to the kernel's threads that work for it. Yielding is what costs
 * least: who stands in line has its turn at once, and the wait sees the result without being woken. It
 * helps only where nothing else wants the CPU. Another program would have it for a whole slice, and a
 * thread that stands in line of another CPU, which spins too, gets nothing by it; then sleeping is
 * better, since who is woken goes before those who compute, and a CPU without work takes from others.
 *
 * Which it is, yields show by how long they take: a wait that is disappointed sleeps, and so do so
 * many waits behind it, twice as many each time. A runtime has one struct give_way, each wait a
 * struct giving.
 */
#ifndef DEMI_LIBOS_GIVE_WAY_H
#define DEMI_LIBOS_GIVE_WAY_H

#include <stdbool.h>
#include <stdint.h>

/** A yield that takes longer than this gave way to somebody else. */
#define GIVE_WAY_YIELD_NS_MAX UINT64_C(50000)
/** How many waits sleep without having tried, after the first disappointment and at most. */
#define GIVE_WAY_WAITS_MIN 16u
#define GIVE_WAY_WAITS_MAX 1024u

/** What the waits of a runtime have learnt; but for the limit all zeroes at its start. */
struct give_way {
	uint64_t yields_ns_max; /* a wait yields no longer than this in all; 0: not at all */
	uint32_t waits_left;    /* so many waits sleep without having yielded */
	uint32_t waits_next;    /* half of how many do after the next disappointment */
};

enum give_way_by { GIVE_WAY_UNDECIDED, GIVE_WAY_YIELD, GIVE_WAY_SLEEP };

/** What one wait does; all zeroes at its start. */
struct giving {
	enum give_way_by by;
	uint64_t first_ns; /* when it first yielded */
	uint64_t last_ns;  /* and last */
};

/** give_way_by - what a wait that has nothing to do at @now_ns is to do now; never UNDECIDED */
enum give_way_by give_way_by(struct give_way *learnt, struct giving *giving, uint64_t now_ns);

/** give_way_end - the wait is over; @now_ns: when it last looked at the time */
void give_way_end(struct give_way *learnt, const struct giving *giving, uint64_t now_ns);

#endif /* DEMI_LIBOS_GIVE_WAY_H */
