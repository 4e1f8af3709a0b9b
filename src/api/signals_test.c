/* SPDX-License-Identifier: MIT */
#include "api/signals.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static volatile sig_atomic_t handled;

static void count(int number)
{
	(void)number;
	handled++;
}

static int setup(void **state)
{
	struct sigaction action = {.sa_handler = count};

	(void)state;
	handled = 0;
	signal(SIGUSR2, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	return sigaction(SIGUSR1, &action, NULL);
}

static void raise_here(int number)
{
	pthread_kill(pthread_self(), number);
}

static void signal_guard_block__holds_signals_back_until_restore(void **state)
{
	struct signal_guard guard;

	(void)state;
	signal_guard_block(&guard);
	raise_here(SIGUSR1);
	assert_int_equal(handled, 0);
	signal_guard_restore(&guard);
	assert_int_equal(handled, 1);
	assert_false(guard.blocked);
}

static void signal_guard_block__lets_faults_and_profilers_through(void **state)
{
	struct sigaction action = {.sa_handler = count};
	struct signal_guard guard;

	(void)state;
	sigaction(SIGPROF, &action, NULL);
	signal_guard_block(&guard);
	raise_here(SIGPROF);
	assert_int_equal(handled, 1);
	signal_guard_restore(&guard);
}

static void signal_guard_deliver__says_that_a_handler_ran(void **state)
{
	struct signal_guard guard;

	(void)state;
	signal_guard_block(&guard);
	assert_false(signal_guard_deliver(&guard));
	raise_here(SIGUSR1);
	assert_true(signal_guard_deliver(&guard));
	assert_int_equal(handled, 1);
	assert_false(guard.blocked);
}

static void signal_guard_deliver__passes_over_ignored_signals(void **state)
{
	struct signal_guard guard;

	(void)state;
	signal_guard_block(&guard);
	raise_here(SIGUSR2);
	raise_here(SIGCHLD);
	assert_false(signal_guard_deliver(&guard));
	assert_true(guard.blocked);
	/* They are gone, and not looked at again. */
	assert_false(signal_guard_deliver(&guard));
	signal_guard_restore(&guard);
}

static void signal_guard_deliver__leaves_what_the_program_blocks_alone(void **state)
{
	struct signal_guard guard;
	sigset_t mask;

	(void)state;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	signal_guard_block(&guard);
	raise_here(SIGUSR1);
	assert_false(signal_guard_deliver(&guard));
	assert_int_equal(handled, 0);
	signal_guard_restore(&guard);
	assert_int_equal(handled, 0);
	pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	assert_int_equal(handled, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(signal_guard_block__holds_signals_back_until_restore, setup),
		cmocka_unit_test_setup(signal_guard_block__lets_faults_and_profilers_through,
				       setup),
		cmocka_unit_test_setup(signal_guard_deliver__says_that_a_handler_ran, setup),
		cmocka_unit_test_setup(signal_guard_deliver__passes_over_ignored_signals, setup),
		cmocka_unit_test_setup(signal_guard_deliver__leaves_what_the_program_blocks_alone,
				       setup),
	};

	return cmocka_run_group_tests_name("api/signals", tests, NULL, NULL);
}
