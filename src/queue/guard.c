/* SPDX-License-Identifier: MIT */
#include "queue/guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap/protect.h"

#define FRAMES_MAX 16

/* Each protected segment costs the kernel two areas of memory at most, of vm.max_map_count (65530),
 * of which the heap needs some to grow. Past this number segments are compared. */
#define PROTECTED_MAX 16384u

/* One segment: what of it is protected, and copies of what is in front of that and behind it. */
struct watched {
	unsigned char *start;
	uint32_t length;
	unsigned char *protected_start; /* as protected_end: nothing is */
	unsigned char *protected_end;
	unsigned char *copies; /* the part in front, then the part behind */
};

struct record {
	demi_qtoken_t token;
	int32_t qd;
	uint32_t count; /* of segments in our heap */
	struct watched segments[DEMI_SGARRAY_MAXSIZE];
	int frame_count;
	void *frames[FRAMES_MAX]; /* who pushed it */
};

struct guard {
	struct guard *next; /* in the list of all */
	struct heap *heap;
	uint32_t operations_max;
	uint32_t protected_count; /* segments with protected pages */
	struct record *records[]; /* by operation; NULL: not watched */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct guard *guards; /* the fault handler reads it without the lock: the end is near */
static struct sigaction former_action;

/* ---- Reports ---- */

static void report_place(const struct record *record)
{
	char line[160];
	int length = snprintf(line, sizeof(line),
			      "demi: error: it is the push with qtoken 0x%llx on descriptor %d, "
			      "made here:\n",
			      (unsigned long long)record->token, (int)record->qd);

	if (write(STDERR_FILENO, line, (size_t)length) == length)
		backtrace_symbols_fd(record->frames, record->frame_count, STDERR_FILENO);
}

static void report(const struct record *record, const struct watched *segment, const void *address,
		   const char *when)
{
	char line[256];
	int length = snprintf(
		line, sizeof(line),
		"demi: error: write to %p, which an operation holds (%s): byte %zu of the "
		"%u at %p\n",
		address, when, (size_t)((const unsigned char *)address - segment->start),
		segment->length, (void *)segment->start);

	if (write(STDERR_FILENO, line, (size_t)length) == length)
		report_place(record);
}

static bool segment_has(const struct watched *segment, const unsigned char *address)
{
	return address >= segment->protected_start && address < segment->protected_end;
}

/* Whether this record protects the address; then it has been reported. */
static bool record_explains(const struct record *record, const void *address)
{
	for (uint32_t i = 0; record && i < record->count; i++) {
		if (!segment_has(&record->segments[i], address))
			continue;
		report(record, &record->segments[i], address, "caught in the act");
		return true;
	}
	return false;
}

static bool guard_explains(const struct guard *guard, const void *address)
{
	if (!heap_owns(guard->heap, address))
		return false;
	for (uint32_t i = 0; i < guard->operations_max; i++) {
		if (record_explains(guard->records[i], address))
			return true;
	}
	return false;
}

/* ---- The fault ---- */

/* Not ours: what would have happened without us. */
static void fault_is_others(int number, siginfo_t *info, void *context)
{
	if (former_action.sa_flags & SA_SIGINFO)
		former_action.sa_sigaction(number, info, context);
	else if (former_action.sa_handler == SIG_DFL || former_action.sa_handler == SIG_IGN)
		signal(number, SIG_DFL);
	else
		former_action.sa_handler(number);
}

static void fault(int number, siginfo_t *info, void *context)
{
	for (const struct guard *guard = guards; guard; guard = guard->next) {
		if (!guard_explains(guard, info->si_addr))
			continue;
		/* The instruction runs again and stops the program where it is. */
		signal(number, SIG_DFL);
		return;
	}
	fault_is_others(number, info, context);
}

/* Under the lock. */
static void watch_faults(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK}, now;

	action.sa_sigaction = fault;
	sigaction(SIGSEGV, NULL, &now);
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == fault)
		return;
	former_action = now;
	sigaction(SIGSEGV, &action, NULL);
}

/* Under the lock. Whoever has set an action after us keeps it. */
static void unwatch_faults(void)
{
	struct sigaction now;

	sigaction(SIGSEGV, NULL, &now);
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == fault)
		sigaction(SIGSEGV, &former_action, NULL);
}

/* ---- Birth and death ---- */

int guard_create(struct guard **guard_out, struct heap *heap, uint32_t operations_max)
{
	struct guard *guard = calloc(1, sizeof(*guard) + operations_max * sizeof(struct record *));
	void *frame;

	if (!guard)
		return -ENOMEM;
	guard->heap = heap;
	guard->operations_max = operations_max;
	/* The first call loads a library. */
	backtrace(&frame, 1);
	pthread_mutex_lock(&lock);
	guard->next = guards;
	guards = guard;
	watch_faults();
	pthread_mutex_unlock(&lock);
	*guard_out = guard;
	return 0;
}

static void unprotect_segment(struct guard *guard, const struct watched *segment)
{
	if (segment->protected_start >= segment->protected_end)
		return;
	unprotect_pages(guard->heap, segment->protected_start, segment->protected_end);
	guard->protected_count--;
}

static void drop_record(struct guard *guard, struct record *record)
{
	for (uint32_t i = 0; i < record->count; i++) {
		struct watched *segment = &record->segments[i];

		unprotect_segment(guard, segment);
		heap_release(guard->heap, segment->start);
		free(segment->copies);
	}
	free(record);
}

void guard_destroy(struct guard *guard)
{
	struct guard **link = &guards;

	if (!guard)
		return;
	pthread_mutex_lock(&lock);
	while (*link != guard)
		link = &(*link)->next;
	*link = guard->next;
	if (!guards)
		unwatch_faults();
	pthread_mutex_unlock(&lock);
	for (uint32_t i = 0; i < guard->operations_max; i++) {
		if (guard->records[i])
			drop_record(guard, guard->records[i]);
	}
	free(guard);
}

void guard_forget_all(void)
{
	/* The records stay with the operations of the runtimes, which are not used any more. */
	for (struct guard *guard = guards; guard; guard = guard->next)
		protect_end(guard->heap);
	guards = NULL;
	pthread_mutex_init(&lock, NULL);
}

/* ---- Watching ---- */

static unsigned char *page_down(unsigned char *address)
{
	return (unsigned char *)((uintptr_t)address & ~(PROTECT_PAGE_BYTES - 1));
}

static unsigned char *page_up(unsigned char *address)
{
	return page_down(address + PROTECT_PAGE_BYTES - 1);
}

/* Protects the pages that have no byte of the application's which is not in the segment. */
static void protect_segment(struct guard *guard, struct watched *segment)
{
	unsigned char *end = segment->start + segment->length;
	unsigned char *object_start, *object_end, *first, *last;

	segment->protected_start = segment->start;
	segment->protected_end = segment->start;
	if (guard->protected_count >= PROTECTED_MAX ||
	    !protect_bounds(guard->heap, segment->start, &object_start, &object_end))
		return;
	first = segment->start == object_start ? page_down(segment->start)
					       : page_up(segment->start);
	last = end == object_end ? page_up(end) : page_down(end);
	if (first >= last || protect_pages(guard->heap, first, last) < 0)
		return;
	guard->protected_count++;
	segment->protected_start = first;
	segment->protected_end = last;
}

static size_t bytes_before(const struct watched *segment)
{
	return segment->protected_start > segment->start
		       ? (size_t)(segment->protected_start - segment->start)
		       : 0;
}

static size_t bytes_behind(const struct watched *segment)
{
	unsigned char *end = segment->start + segment->length;

	return end > segment->protected_end ? (size_t)(end - segment->protected_end) : 0;
}

static bool watch_segment(struct guard *guard, const demi_sgaseg_t *from, struct watched *segment)
{
	size_t before, behind;

	segment->start = from->sgaseg_buf;
	segment->length = from->sgaseg_len;
	protect_segment(guard, segment);
	before = bytes_before(segment);
	behind = bytes_behind(segment);
	heap_hold(guard->heap, segment->start);
	segment->copies = NULL;
	if (before + behind == 0)
		return true;
	segment->copies = malloc(before + behind);
	if (!segment->copies)
		return false;
	memcpy(segment->copies, segment->start, before);
	memcpy(segment->copies + before, segment->start + segment->length - behind, behind);
	return true;
}

/* The frames of the caller of the library, as far as it is one of its own. */
static void record_frames(struct record *record)
{
	void *frames[FRAMES_MAX + 4];
	int count = backtrace(frames, FRAMES_MAX + 4), skip = 0;
	Dl_info self, frame;

	if (!dladdr((void *)(uintptr_t)guard_push, &self))
		self.dli_fbase = NULL;
	while (skip < count && dladdr(frames[skip], &frame) && frame.dli_fbase == self.dli_fbase)
		skip++;
	/* Linked statically the library is the program: the first ones are its own all the same. */
	if (skip == count || skip > 4)
		skip = 2;
	record->frame_count = count - skip < FRAMES_MAX ? count - skip : FRAMES_MAX;
	memcpy(record->frames, frames + skip, (size_t)record->frame_count * sizeof(frames[0]));
}

void guard_push(struct guard *guard, struct op *op, const demi_sgarray_t *sga)
{
	struct record *record = calloc(1, sizeof(*record));

	if (!record)
		return;
	record->token = op_token(op);
	record->qd = op->qd;
	record_frames(record);
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		if (!heap_owns(guard->heap, sga->sga_segs[i].sgaseg_buf))
			continue;
		if (!watch_segment(guard, &sga->sga_segs[i], &record->segments[record->count++])) {
			drop_record(guard, record);
			return;
		}
	}
	guard->records[op->index] = record;
	op->guarded = true;
}

/* The first byte that differs from its copy; NULL: none. */
static const unsigned char *find_change(const unsigned char *now, const unsigned char *then,
					size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (now[i] != then[i])
			return now + i;
	}
	return NULL;
}

static void check_segment(const struct record *record, const struct watched *segment)
{
	size_t before = bytes_before(segment), behind = bytes_behind(segment);
	const unsigned char *changed;

	if (!segment->copies)
		return;
	changed = find_change(segment->start, segment->copies, before);
	if (!changed)
		changed = find_change(segment->start + segment->length - behind,
				      segment->copies + before, behind);
	if (!changed)
		return;
	report(record, segment, changed, "found when it was complete");
	abort();
}

void guard_complete(struct guard *guard, struct op *op)
{
	struct record *record = guard->records[op->index];

	op->guarded = false;
	guard->records[op->index] = NULL;
	for (uint32_t i = 0; i < record->count; i++)
		check_segment(record, &record->segments[i]);
	drop_record(guard, record);
}
