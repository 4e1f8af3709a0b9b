/* SPDX-License-Identifier: MIT */
#include "handler.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "real.h"
#include "waiter.h"

_Thread_local struct handlers handlers __attribute__((tls_model("initial-exec")));

#define BIT(number) (UINT64_C(1) << ((number)-1))
/* Those of glibc's threads. */
#define SIGNALS_OF_LIBC (BIT(32) | BIT(33))
#define NEVER_PUT_OFF                                                                          \
	(BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGILL) | BIT(SIGFPE) | BIT(SIGTRAP) | BIT(SIGSYS) | \
	 BIT(SIGABRT) | BIT(SIGPROF) | SIGNALS_OF_LIBC)

/*
 * What the program wants done. The one in force is that of the number's parity; the other is written
 * to, so that a handler that comes meanwhile finds a whole one and waits for nobody.
 */
static struct entry {
	uint32_t number;
	bool is_written;
	struct sigaction actions[2];
} entries[NSIG];

static void entry_read(struct entry *entry, struct sigaction *action)
{
	uint32_t number;

	do {
		number = __atomic_load_n(&entry->number, __ATOMIC_ACQUIRE);
		*action = entry->actions[number & 1];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&entry->number, __ATOMIC_RELAXED) != number);
}

static void entry_write(struct entry *entry, const struct sigaction *action)
{
	uint32_t number;

	handlers_hold();
	while (__atomic_test_and_set(&entry->is_written, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
	number = entry->number;
	entry->actions[(number + 1) & 1] = *action;
	__atomic_store_n(&entry->number, number + 1, __ATOMIC_RELEASE);
	__atomic_clear(&entry->is_written, __ATOMIC_RELEASE);
	handlers_let();
}

/* ---- Running ---- */

/* The alternate stack's end, when @at is on it. */
static uintptr_t low_end(uintptr_t at, const ucontext_t *context)
{
	const stack_t *stack = &context->uc_stack;
	uintptr_t low = (uintptr_t)stack->ss_sp;

	return !(stack->ss_flags & SS_DISABLE) && at - low < stack->ss_size ? low : 0;
}

/* Of @depth, those that have not been jumped out of, as seen from @at: the stack grows down. */
static unsigned int running(unsigned int depth, uintptr_t at)
{
	while (depth && depth <= HANDLERS_NESTED) {
		const struct handler_place *place = &handlers.places[depth - 1];

		if (at < place->at && at >= place->low)
			break;
		depth--;
	}
	return depth;
}

unsigned int handlers_depth(void)
{
	return running(handlers.depth, (uintptr_t)__builtin_frame_address(0));
}

static void run(int number, siginfo_t *info, void *context)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	const ucontext_t *interrupted = context;
	uintptr_t at = (uintptr_t)__builtin_frame_address(0);
	unsigned int depth = running(handlers.depth,
				     (uintptr_t)interrupted->uc_mcontext.gregs[REG_RSP]);
	struct sigaction action;

	entry_read(&entries[number], &action);
	if (depth < HANDLERS_NESTED)
		handlers.places[depth] = (struct handler_place){.at = at,
								.low = low_end(at, interrupted)};
	handlers.depth = depth + 1;
	if (action.sa_flags & SA_RESTART)
		handlers.any_restarts = true;
	else
		handlers.any_ended = true;
	/* It may be about to sleep: then it does not. */
	if (handlers.waiter)
		waiter_stay_awake(handlers.waiter);
	if (action.sa_flags & (int)SA_RESETHAND)
		real()->sigaction(number, &by_default, NULL);
	action.sa_sigaction(number, info, context);
	handlers.depth = depth;
}

/* Nothing more comes before it has run: what interrupted us returns to a mask of all. */
static void put_off(const siginfo_t *info, ucontext_t *context)
{
	uint64_t mask;

	memcpy(&mask, &context->uc_sigmask, sizeof(mask));
	handlers.mask = mask;
	handlers.info = *info;
	handlers.one_waits = true;
	mask |= ~(uint64_t)NEVER_PUT_OFF;
	memcpy(&context->uc_sigmask, &mask, sizeof(mask));
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	if (handlers.holds && !(BIT(number) & NEVER_PUT_OFF))
		put_off(info, context);
	else
		run(number, info, context);
}

/* Back to the mask of before. */
static void restore_mask(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	memcpy(&mask, &handlers.mask, sizeof(handlers.mask));
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

void handlers_deliver(void)
{
	const int saved = errno;
	int number = handlers.info.si_signo;
	pid_t process = getpid(), thread = gettid();

	handlers.one_waits = false;
	/* It comes a second time, with what it told the first. */
	if (syscall(SYS_rt_tgsigqueueinfo, process, thread, number, &handlers.info) != 0)
		syscall(SYS_tgkill, process, thread, number);
	restore_mask();
	errno = saved;
}

void handlers_forget(void)
{
	for (int number = 0; number < NSIG; number++)
		entries[number].is_written = false;
	handlers.holds = 0;
	if (handlers.one_waits)
		restore_mask();
	handlers.one_waits = false;
}

/* ---- sigaction ---- */

bool handler_is_known(const struct sigaction *action)
{
	return action->sa_sigaction == on_signal;
}

int handler_action(int number, const struct sigaction *action, struct sigaction *old)
{
	bool is_handler = action && action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
	bool is_number = number > 0 && number < NSIG;
	struct sigaction programs = {.sa_flags = 0}, ours, before;
	int outcome;

	if (is_number)
		entry_read(&entries[number], &programs);
	if (action)
		ours = *action;
	if (is_handler && is_number) {
		entry_write(&entries[number], action);
		ours.sa_sigaction = on_signal;
		ours.sa_flags = (ours.sa_flags & ~(int)SA_RESETHAND) | SA_SIGINFO;
	}
	outcome = real()->sigaction(number, action ? &ours : NULL, &before);
	if (outcome == 0 && old)
		*old = handler_is_known(&before) ? programs : before;
	return outcome;
}
