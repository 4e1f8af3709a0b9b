/* SPDX-License-Identifier: MIT */
/* What will happen on a simulated network, in the order in which it does. */
#ifndef DEMI_RDMA_SIM_CLOCK_H
#define DEMI_RDMA_SIM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct sim_clock;
struct sim_due;

/* Called once, at the time; it may set itself again, and may be gone thereafter. */
typedef void sim_happen(struct sim_clock *clock, struct sim_due *due);

/* Something that will happen, as a member of what it happens to. All zero: it will not. */
struct sim_due {
	uint64_t when_ns;
	uint64_t number; /* of those at one time the one that was set first comes first */
	uint32_t place;  /* in the heap, from 1; 0: it is not there */
	sim_happen *happen;
};

struct sim_clock {
	uint64_t now_ns;
	uint64_t next_ns; /* of the first; UINT64_MAX: none */
	uint64_t number;
	struct sim_due **heap; /* heap[1] to heap[count], the first at 1 */
	uint32_t count;
	uint32_t room;
};

/**
 * rdma_sim_clock_set - @due happens at @when_ns, and not at another time that it was set to
 *
 * Return: false: no memory, and nothing will happen.
 */
bool rdma_sim_clock_set(struct sim_clock *clock, struct sim_due *due, uint64_t when_ns,
			sim_happen *happen);

void rdma_sim_clock_remove(struct sim_clock *clock, struct sim_due *due);

/** rdma_sim_clock_clear - it does not happen; allowed for one that is not set */
static inline void rdma_sim_clock_clear(struct sim_clock *clock, struct sim_due *due)
{
	if (due->place > 0)
		rdma_sim_clock_remove(clock, due);
}

/** rdma_sim_clock_run - let happen what is due by now, each thing with now_ns at its own time */
void rdma_sim_clock_run(struct sim_clock *clock);

#endif /* DEMI_RDMA_SIM_CLOCK_H */
