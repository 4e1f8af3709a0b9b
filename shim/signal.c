/* SPDX-License-Identifier: MIT */
/* Calls that say what is done about signals. */
#include <errno.h>
#include <signal.h>

#include "file.h"
#include "guard.h"
#include "handler.h"
#include "real.h"

/* siginterrupt(3): signal(3) leaves SA_RESTART out; a bit each. */
static uint64_t interrupting;

EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	if (shim_is_inside)
		return real()->sigaction(number, action, old);
	if (guard_owns(number))
		return guard_action(number, action, old);
	return handler_action(number, action, old);
}

/* By a name of libc's own, which some programs know. */
EXPORT int __sigaction(int number, const struct sigaction *action, struct sigaction *old);
int __sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	return sigaction(number, action, old);
}

static bool is_number(int number)
{
	return number > 0 && number < NSIG;
}

/* With all of sigaction(2) but the handler. */
static sighandler_t set(int number, sighandler_t handler, int flags, bool blocks)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;

	if (handler == SIG_ERR || !is_number(number)) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&action.sa_mask);
	if (blocks)
		sigaddset(&action.sa_mask, number);
	return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

/* ---- As BSD has it ---- */

EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	bool interrupts = is_number(number) &&
			  (__atomic_load_n(&interrupting, __ATOMIC_RELAXED) >> (number - 1) & 1);

	return set(number, handler, interrupts ? 0 : SA_RESTART, true);
}

EXPORT sighandler_t bsd_signal(int number, sighandler_t handler);
sighandler_t bsd_signal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

EXPORT sighandler_t ssignal(int number, sighandler_t handler)
{
	return signal(number, handler);
}

EXPORT int siginterrupt(int number, int interrupts)
{
	struct sigaction action;

	if (sigaction(number, NULL, &action) != 0)
		return -1;
	if (interrupts) {
		__atomic_fetch_or(&interrupting, UINT64_C(1) << (number - 1), __ATOMIC_RELAXED);
		action.sa_flags &= ~SA_RESTART;
	} else {
		__atomic_fetch_and(&interrupting, ~(UINT64_C(1) << (number - 1)), __ATOMIC_RELAXED);
		action.sa_flags |= SA_RESTART;
	}
	return sigaction(number, &action, NULL);
}

/* ---- As System V has it ---- */

EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler);
sighandler_t __sysv_signal(int number, sighandler_t handler)
{
	return set(number, handler, (int)(SA_RESETHAND | SA_NODEFER), false);
}

EXPORT sighandler_t sysv_signal(int number, sighandler_t handler)
{
	return __sysv_signal(number, handler);
}

/* The old disposition, or SIG_HOLD where the signal was blocked. */
EXPORT sighandler_t sigset(int number, sighandler_t handler)
{
	struct sigaction action;
	sighandler_t old;
	sigset_t one, before;

	sigemptyset(&one);
	if (sigaddset(&one, number) != 0)
		return SIG_ERR;
	if (handler == SIG_HOLD)
		old = sigaction(number, NULL, &action) == 0 ? action.sa_handler : SIG_ERR;
	else
		old = set(number, handler, 0, false);
	if (old == SIG_ERR ||
	    pthread_sigmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &one, &before) != 0)
		return SIG_ERR;
	return sigismember(&before, number) ? SIG_HOLD : old;
}
