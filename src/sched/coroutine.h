/* SPDX-License-Identifier: MIT */
/*
 * Stackless coroutines: a function that is resumed at the state it stored, so that a switch is
 * an indirect call and a return. What must outlive a yield lies in the owner's structure, which
 * embeds the coroutine; local variables do not.
 *
 *	static enum coroutine_step flush(struct coroutine *self, uint64_t now_ns)
 *	{
 *		struct sender *sender = container_of(self, struct sender, coroutine);
 *
 *		COROUTINE_BEGIN(self);
 *		while (sender->queued) {
 *			if (!device_has_room(sender->device))
 *				COROUTINE_BLOCK(self);
 *			send_one(sender);
 *			COROUTINE_YIELD(self);
 *		}
 *		COROUTINE_END;
 *	}
 *
 * No switch statement may enclose a COROUTINE_ macro: they are case labels of one.
 */
#ifndef DEMI_SCHED_COROUTINE_H
#define DEMI_SCHED_COROUTINE_H

#include <stdint.h>

enum coroutine_step {
	COROUTINE_STEP_BLOCK, /* not runnable until sched_wake */
	COROUTINE_STEP_YIELD, /* runnable again in the next round */
	COROUTINE_STEP_DONE,  /* removed; its storage is not looked at again */
};

struct coroutine;
typedef enum coroutine_step (*coroutine_fn)(struct coroutine *self, uint64_t now_ns);

struct coroutine {
	coroutine_fn resume;
	uint32_t state; /* where resume goes on: 0 at first, then a line number */
	uint32_t id;    /* its bit in the scheduler's waker blocks */
};

#define COROUTINE_BEGIN(self)    \
	switch ((self)->state) { \
	case 0:

#define COROUTINE_STOP_AT(self, step)     \
	do {                              \
		(self)->state = __LINE__; \
		return (step);            \
	case __LINE__:;                   \
	} while (0)

#define COROUTINE_YIELD(self) COROUTINE_STOP_AT(self, COROUTINE_STEP_YIELD)
#define COROUTINE_BLOCK(self) COROUTINE_STOP_AT(self, COROUTINE_STEP_BLOCK)

#define COROUTINE_END \
	}             \
	return COROUTINE_STEP_DONE

#endif /* DEMI_SCHED_COROUTINE_H */
