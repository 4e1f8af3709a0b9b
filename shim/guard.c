/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <setjmp.h>
#include <string.h>

#include "real.h"

/* Of a sigset_t, which has room for more, the kernel reads no more than its 64 signals. */
#define SIGNALS_BYTES 8u

static _Thread_local sigjmp_buf *copying __attribute__((tls_model("initial-exec")));

static bool is_started;
/* What the program wants done. */
static struct sigaction segv_action, bus_action;

static struct sigaction *action_of(int number)
{
	return number == SIGSEGV ? &segv_action : &bus_action;
}

/* The fault is the program's: as if we were not here. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	struct sigaction *action = action_of(number);
	struct sigaction program = *action;
	struct sigaction by_default = {.sa_handler = SIG_DFL};

	if (program.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	/* Where it was raised by a fault, it is raised again on return. */
	if (program.sa_handler == SIG_DFL || program.sa_handler == SIG_IGN) {
		real()->sigaction(number, &by_default, NULL);
		if (info->si_code <= 0)
			raise(number);
		return;
	}
	if (program.sa_flags & (int)SA_RESETHAND)
		*action = by_default;
	/* The return from our handler undoes it. */
	if (!(program.sa_flags & SA_NODEFER))
		sigaddset(&program.sa_mask, number);
	pthread_sigmask(SIG_BLOCK, &program.sa_mask, NULL);
	if (program.sa_flags & SA_SIGINFO)
		program.sa_sigaction(number, info, context);
	else
		program.sa_handler(number);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	if (copying && info->si_code > 0)
		siglongjmp(*copying, 1);
	pass_on(number, info, context);
}

static void take(int number)
{
	/* SA_NODEFER: a jump out of the handler leaves the mask as it is. */
	struct sigaction ours = {.sa_sigaction = on_fault,
				 .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

	sigemptyset(&ours.sa_mask);
	real()->sigaction(number, &ours, action_of(number));
}

void guard_start(void)
{
	if (is_started)
		return;
	take(SIGSEGV);
	take(SIGBUS);
	is_started = true;
}

bool guard_owns(int number)
{
	return is_started && (number == SIGSEGV || number == SIGBUS);
}

int guard_action(int number, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction before = *action_of(number);

	if (action)
		*action_of(number) = *action;
	if (old)
		*old = before;
	return 0;
}

/* Of the program's pointers nothing is known, not even that they are not NULL. */
__attribute__((no_sanitize("nonnull-attribute"))) bool guard_copy(void *to, const void *from,
								  size_t bytes)
{
	sigjmp_buf here;

	if (bytes == 0)
		return true;
	if (sigsetjmp(here, 0)) {
		copying = NULL;
		return false;
	}
	copying = &here;
	/* The compiler must not move the copy out of between the two. */
	__asm__ volatile("" ::: "memory");
	memcpy(to, from, bytes);
	__asm__ volatile("" ::: "memory");
	copying = NULL;
	return true;
}

bool guard_copy_signals(sigset_t *copy, const sigset_t **signals)
{
	if (!*signals)
		return true;
	sigemptyset(copy);
	if (!guard_copy(copy, *signals, SIGNALS_BYTES))
		return false;
	*signals = copy;
	return true;
}
