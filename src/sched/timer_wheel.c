/* SPDX-License-Identifier: MIT */
/*
 * Level 0 has a slot for each of the next 64 ticks, level 1 one for each of the next 64 runs of 64
 * ticks, and so on. A timer goes to the lowest level that reaches its tick. When the wheel comes to
 * the first tick of a slot above level 0, that slot's timers are put into lower levels (they
 * cascade); each timer does so at most once for each level.
 *
 * The wheel never steps through empty slots: the bitmaps tell the next tick at which something
 * fires or cascades, however far away that is.
 */
#include "sched/timer_wheel.h"

#define SLOT_MASK (TIMER_WHEEL_SLOTS - 1)
#define TICK_MASK ((UINT64_C(1) << TIMER_TICK_SHIFT) - 1)
#define TICK_MAX (UINT64_MAX >> TIMER_TICK_SHIFT)
#define REACH_TICKS (UINT64_C(1) << (TIMER_WHEEL_SLOT_BITS * TIMER_WHEEL_LEVELS))

_Static_assert(TIMER_WHEEL_SLOTS == 64, "a level's bitmap is one word");

static inline unsigned int level_shift(unsigned int level)
{
	return level * TIMER_WHEEL_SLOT_BITS;
}

/* The first tick that begins at or after the deadline: a timer never fires early. */
static inline uint64_t deadline_tick(uint64_t deadline_ns)
{
	return (deadline_ns >> TIMER_TICK_SHIFT) + ((deadline_ns & TICK_MASK) != 0);
}

static inline void list_push(struct timer **list, struct timer *timer)
{
	struct timer *next = *list;

	timer->next = next;
	timer->previous = list;
	if (next)
		next->previous = &timer->next;
	*list = timer;
}

/* Moves a whole list; @to is empty. */
static inline void list_move(struct timer **to, struct timer **from)
{
	*to = *from;
	*from = NULL;
	if (*to)
		(*to)->previous = to;
}

static inline struct timer *list_pop(struct timer **list)
{
	struct timer *timer = *list;

	if (timer) {
		*list = timer->next;
		if (timer->next)
			timer->next->previous = list;
		timer->previous = NULL;
	}
	return timer;
}

/* Takes an armed timer out of its list; the bitmap follows when that empties a slot. */
static inline void wheel_remove(struct timer_wheel *wheel, struct timer *timer)
{
	struct timer **previous = timer->previous;
	struct timer *next = timer->next;
	size_t slot;

	*previous = next;
	if (next) {
		next->previous = previous;
		return;
	}
	/* No match for what lies outside the slots: another timer, the overdue or firing list. */
	slot = ((uintptr_t)previous - (uintptr_t)wheel->slots) / sizeof(*previous);
	if (slot < (size_t)TIMER_WHEEL_LEVELS * TIMER_WHEEL_SLOTS)
		wheel->occupied[slot / TIMER_WHEEL_SLOTS] &= ~(UINT64_C(1)
							       << (slot % TIMER_WHEEL_SLOTS));
}

/* Puts a timer whose tick is at or after the wheel's position where it belongs. */
static inline void wheel_insert(struct timer_wheel *wheel, struct timer *timer, uint64_t tick)
{
	uint64_t ahead = tick - wheel->position_tick;
	unsigned int level;
	unsigned int slot;
	uint64_t begin;

	if (ahead >= REACH_TICKS) {
		ahead = REACH_TICKS - 1;
		tick = wheel->position_tick + ahead;
	}
	level = (63u - (unsigned int)__builtin_clzll(ahead | 1)) / TIMER_WHEEL_SLOT_BITS;
	slot = (unsigned int)(tick >> level_shift(level)) & SLOT_MASK;
	list_push(&wheel->slots[level][slot], timer);
	wheel->occupied[level] |= UINT64_C(1) << slot;
	begin = tick & (UINT64_MAX << level_shift(level));
	if (begin < wheel->quiet_until_tick)
		wheel->quiet_until_tick = begin;
}

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns)
{
	*wheel = (struct timer_wheel){
		.now_tick = now_ns >> TIMER_TICK_SHIFT,
		.position_tick = now_ns >> TIMER_TICK_SHIFT,
		.quiet_until_tick = UINT64_MAX,
	};
}

void timer_init(struct timer *timer, timer_fire_fn fire)
{
	*timer = (struct timer){.fire = fire};
}

void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t deadline_ns)
{
	uint64_t tick = deadline_tick(deadline_ns);

	if (timer_is_armed(timer))
		wheel_remove(wheel, timer);
	timer->deadline_ns = deadline_ns;
	/* Compared with the time, not the position: an expiry must not fire what it armed. */
	if (tick <= wheel->now_tick)
		list_push(&wheel->overdue, timer);
	else
		wheel_insert(wheel, timer, tick);
}

void timer_cancel(struct timer_wheel *wheel, struct timer *timer)
{
	if (!timer_is_armed(timer))
		return;
	wheel_remove(wheel, timer);
	timer->previous = NULL;
}

/* The next tick at which a slot of @level, which has some, fires or cascades. */
static inline uint64_t level_next_tick(const struct timer_wheel *wheel, unsigned int level)
{
	uint64_t position = wheel->position_tick >> level_shift(level);
	unsigned int rotation = (unsigned int)(position + 1) & SLOT_MASK;
	uint64_t bits = wheel->occupied[level];

	/* The slot after the position becomes bit 0; the position's own is a whole turn away. */
	bits = bits >> rotation | bits << (-rotation & SLOT_MASK);
	return (position + 1 + (unsigned int)__builtin_ctzll(bits)) << level_shift(level);
}

/* UINT64_MAX: the wheel is empty. */
static uint64_t wheel_next_tick(const struct timer_wheel *wheel)
{
	uint64_t next = UINT64_MAX;

	for (unsigned int level = 0; level < TIMER_WHEEL_LEVELS; level++) {
		if (wheel->occupied[level]) {
			uint64_t tick = level_next_tick(wheel, level);

			if (tick < next)
				next = tick;
		}
	}
	return next;
}

/* Empties a slot into @list. */
static void slot_take(struct timer_wheel *wheel, unsigned int level, unsigned int slot,
		      struct timer **list)
{
	list_move(list, &wheel->slots[level][slot]);
	wheel->occupied[level] &= ~(UINT64_C(1) << slot);
}

/* Cascades the slots that begin at the wheel's position, from the top, so that none is missed. */
static void wheel_cascade(struct timer_wheel *wheel)
{
	uint64_t tick = wheel->position_tick;
	struct timer *timer;
	struct timer *list;

	for (unsigned int level = TIMER_WHEEL_LEVELS - 1; level > 0; level--) {
		unsigned int slot = (unsigned int)(tick >> level_shift(level)) & SLOT_MASK;

		if ((tick & ((UINT64_C(1) << level_shift(level)) - 1)) != 0 ||
		    !(wheel->occupied[level] & UINT64_C(1) << slot))
			continue;
		slot_take(wheel, level, slot, &list);
		while ((timer = list) != NULL) {
			list = timer->next;
			wheel_insert(wheel, timer, deadline_tick(timer->deadline_ns));
		}
	}
}

static unsigned int fire_list(struct timer_wheel *wheel, uint64_t now_ns)
{
	unsigned int fired = 0;
	struct timer *timer;

	while ((timer = list_pop(&wheel->firing)) != NULL) {
		timer->fire(timer, now_ns);
		fired++;
	}
	return fired;
}

unsigned int timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ns)
{
	uint64_t now_tick = now_ns >> TIMER_TICK_SHIFT;
	unsigned int fired = 0;
	uint64_t tick;

	if (now_tick < wheel->now_tick || (now_tick == wheel->now_tick && !wheel->overdue))
		return 0;
	wheel->now_tick = now_tick;
	if (now_tick < wheel->quiet_until_tick && !wheel->overdue) {
		wheel->position_tick = now_tick;
		return 0;
	}
	list_move(&wheel->firing, &wheel->overdue);
	fired += fire_list(wheel, now_ns);
	while ((tick = wheel_next_tick(wheel)) <= now_tick) {
		wheel->position_tick = tick;
		wheel_cascade(wheel);
		slot_take(wheel, 0, (unsigned int)tick & SLOT_MASK, &wheel->firing);
		fired += fire_list(wheel, now_ns);
	}
	wheel->quiet_until_tick = tick;
	wheel->position_tick = now_tick;
	return fired;
}

uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel)
{
	uint64_t tick;

	if (wheel->overdue)
		return wheel->now_tick << TIMER_TICK_SHIFT;
	tick = wheel_next_tick(wheel);
	if (tick == UINT64_MAX)
		return TIMER_NEVER;
	/* The last tick's end is no number of nanoseconds; its timer waits until there is none. */
	return tick > TICK_MAX ? TIMER_NEVER - 1 : tick << TIMER_TICK_SHIFT;
}
