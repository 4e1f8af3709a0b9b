/* SPDX-License-Identifier: MIT */
#include "api/signals.h"

static const int passed_signals[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,   SIGTRAP,
				     SIGSYS,  SIGABRT, SIGPROF, SIGVTALRM};

void signal_guard_block(struct signal_guard *guard)
{
	sigset_t mask;

	sigfillset(&mask);
	for (size_t i = 0; i < sizeof(passed_signals) / sizeof(passed_signals[0]); i++)
		sigdelset(&mask, passed_signals[i]);
	pthread_sigmask(SIG_BLOCK, &mask, &guard->original);
	guard->blocked = true;
}

void signal_guard_restore(struct signal_guard *guard)
{
	if (!guard->blocked)
		return;
	pthread_sigmask(SIG_SETMASK, &guard->original, NULL);
	guard->blocked = false;
}

static bool has_handler(int number)
{
	struct sigaction action;

	if (sigaction(number, NULL, &action) < 0)
		return false;
	return (action.sa_flags & SA_SIGINFO) ||
	       (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

bool signal_guard_deliver(struct signal_guard *guard)
{
	bool pending_any = false, handled = false;
	sigset_t pending;

	sigpending(&pending);
	for (int number = 1; number < NSIG; number++) {
		if (sigismember(&pending, number) != 1 ||
		    sigismember(&guard->original, number) == 1)
			continue;
		pending_any = true;
		handled |= has_handler(number);
	}
	if (!pending_any)
		return false;
	signal_guard_restore(guard);
	if (!handled)
		signal_guard_block(guard);
	return handled;
}
