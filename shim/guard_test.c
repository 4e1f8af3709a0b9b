/* SPDX-License-Identifier: MIT */
/* Each test is a process of its own: what it does to signals is not undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"

#define PAGE ((size_t)4096)

#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			dprintf(STDERR_FILENO, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                              \
		}                                                                              \
	} while (0)

/* Run @body; it ends by itself, or of @signal_number. */
static void in_child(void (*body)(void), int signal_number)
{
	struct rlimit none = {0};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		setrlimit(RLIMIT_CORE, &none);
		alarm(30);
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (signal_number) {
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signal_number);
	} else {
		if (WIFSIGNALED(status))
			fail_msg("died of signal %d", WTERMSIG(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* Two pages, the second of which has @protection, or is not there: -1. */
static unsigned char *two_pages(int protection)
{
	unsigned char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	memset(pages, 0x5a, PAGE);
	if (protection < 0)
		CHECK(munmap(pages + PAGE, PAGE) == 0);
	else
		CHECK(mprotect(pages + PAGE, PAGE, protection) == 0);
	return pages;
}

/* ---- Copies ---- */

static void copies(void)
{
	static const size_t sizes[] = {1, 7, 8, 64, 4095, 4096, 4097, 70000};
	static unsigned char from[70001], to[70001];

	guard_start();
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (unsigned char)(i * 7 + i / 256);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(to, 0, sizeof(to));
		CHECK(guard_copy(to, from, sizes[i]));
		CHECK(memcmp(to, from, sizes[i]) == 0);
		CHECK(to[sizes[i]] == 0);
	}
}

static void guard_copy__copies(void **state)
{
	(void)state;
	in_child(copies, 0);
}

static void copies_nothing(void)
{
	CHECK(guard_copy(NULL, NULL, 0));
	guard_start();
	CHECK(guard_copy(NULL, NULL, 0));
	CHECK(guard_copy((void *)1, (const void *)2, 0));
}

static void guard_copy__of_nothing_touches_nothing(void **state)
{
	(void)state;
	in_child(copies_nothing, 0);
}

static void refuses_both_sides(void)
{
	static const int protections[] = {-1, PROT_NONE};
	unsigned char there[64];

	guard_start();
	/* Again and again: no fault leaves the signal blocked, or the guard without its place. */
	for (int round = 0; round < 100; round++)
		for (size_t i = 0; i < 2; i++) {
			unsigned char *pages = two_pages(protections[i]);

			CHECK(!guard_copy(there, pages + PAGE, 1));
			CHECK(!guard_copy(pages + PAGE, there, 1));
			CHECK(!guard_copy(there, pages + PAGE + 100, sizeof(there)));
			CHECK(!guard_copy(pages + PAGE + 100, there, sizeof(there)));
			CHECK(guard_copy(there, pages, sizeof(there)));
			CHECK(there[63] == 0x5a);
			munmap(pages, 2 * PAGE);
		}
	CHECK(!guard_copy(NULL, there, 1));
	CHECK(!guard_copy(there, NULL, 1));
	CHECK(!guard_copy((void *)-16, there, 8));
	/* Not canonical: the processor does not say which address it was. */
	CHECK(!guard_copy(there, (const void *)UINT64_C(0x8000000000000000), 8));
}

static void guard_copy__refuses_what_is_not_there(void **state)
{
	(void)state;
	in_child(refuses_both_sides, 0);
}

static void refuses_read_only(void)
{
	unsigned char *pages = two_pages(PROT_READ);
	unsigned char there[8];

	guard_start();
	CHECK(guard_copy(there, pages + PAGE, sizeof(there)));
	CHECK(!guard_copy(pages + PAGE, there, sizeof(there)));
}

static void guard_copy__refuses_to_write_where_it_may_only_read(void **state)
{
	(void)state;
	in_child(refuses_read_only, 0);
}

/* Some bytes before the border, and some behind it. */
static void crosses_pages(void)
{
	static const size_t distances[] = {0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128};
	const size_t count = sizeof(distances) / sizeof(distances[0]);
	unsigned char *pages = two_pages(-1);
	static unsigned char there[2 * PAGE];

	guard_start();
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++) {
			unsigned char *start = pages + PAGE - distances[i];
			size_t bytes = distances[i] + distances[j];
			bool fits = distances[j] == 0;

			CHECK(guard_copy(there, start, bytes) == fits);
			CHECK(guard_copy(start, there, bytes) == fits);
		}
	CHECK(!guard_copy(there, pages, 2 * PAGE));
}

static void guard_copy__sees_the_end_of_a_page(void **state)
{
	(void)state;
	in_child(crosses_pages, 0);
}

static void refuses_cut_file(void)
{
	int fd = memfd_create("guard", 0);
	unsigned char *page, there[8] = {0};

	CHECK(fd >= 0 && ftruncate(fd, (off_t)PAGE) == 0);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(page != MAP_FAILED);
	guard_start();
	CHECK(guard_copy(page, there, sizeof(there)));
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(!guard_copy(page, there, sizeof(there)));
	CHECK(!guard_copy(there, page, sizeof(there)));
}

static void guard_copy__refuses_what_a_file_does_not_have(void **state)
{
	(void)state;
	in_child(refuses_cut_file, 0);
}

static void *refuse_often(void *bad)
{
	unsigned char there[100];

	for (int i = 0; i < 2000; i++) {
		CHECK(!guard_copy(there, bad, sizeof(there)));
		CHECK(guard_copy(there, there + 50, 50));
	}
	return NULL;
}

static void in_threads(void)
{
	unsigned char *pages = two_pages(-1);
	pthread_t threads[4];

	guard_start();
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, refuse_often, pages + PAGE - 10) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

static void guard_copy__works_in_several_threads(void **state)
{
	(void)state;
	in_child(in_threads, 0);
}

/* Masks of the kernel's are eight bytes, whatever the room of a sigset_t. */
static void copies_masks(void)
{
	unsigned char *pages = two_pages(PROT_NONE);
	const sigset_t *none = NULL, *bad = (const sigset_t *)(pages + PAGE);
	const sigset_t *last = (const sigset_t *)(pages + PAGE - 8);
	const uint64_t mask = UINT64_C(1) << (SIGUSR1 - 1);
	sigset_t copy;

	guard_start();
	CHECK(guard_copy_signals(&copy, &none) && none == NULL);
	CHECK(!guard_copy_signals(&copy, &bad));
	memcpy(pages + PAGE - 8, &mask, sizeof(mask));
	CHECK(guard_copy_signals(&copy, &last) && last == &copy);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&copy, number) >= 0)
			CHECK(sigismember(&copy, number) == (number == SIGUSR1));
}

static void guard_copy_signals__takes_what_the_kernel_does(void **state)
{
	(void)state;
	in_child(copies_masks, 0);
}

/* ---- The program's handlers ---- */

static volatile sig_atomic_t calls;
static unsigned char *volatile faulty; /* where the program is to fault */
static int seen_number, seen_code;
static void *seen_address, *seen_context;
static bool has_segv_blocked, has_usr1_blocked;

static void look_at_mask(void)
{
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	has_segv_blocked = sigismember(&mask, SIGSEGV);
	has_usr1_blocked = sigismember(&mask, SIGUSR1);
}

/* Makes the page, so that the instruction that faulted goes on. */
static void mend(int number)
{
	calls++;
	seen_number = number;
	look_at_mask();
	if (faulty)
		CHECK(mprotect(faulty, PAGE, PROT_READ | PROT_WRITE) == 0);
}

static void mend_with_info(int number, siginfo_t *info, void *context)
{
	seen_code = info->si_code;
	seen_address = info->si_addr;
	seen_context = context;
	mend(number);
}

static struct sigaction with_info(int flags)
{
	struct sigaction action = {.sa_sigaction = mend_with_info, .sa_flags = SA_SIGINFO | flags};

	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR1);
	return action;
}

/* A fault of the program's, and one of the guard's; the program sees its own only. */
static void check_faults(void)
{
	unsigned char *pages = two_pages(-1), there[8];
	int before = calls;

	CHECK(!guard_copy(there, pages + PAGE, sizeof(there)));
	CHECK(!guard_copy(pages + PAGE, there, sizeof(there)));
	CHECK(calls == before);
	faulty = two_pages(PROT_NONE) + PAGE;
	seen_code = 0;
	seen_address = seen_context = NULL;
	*(volatile unsigned char *)(faulty + 123) = 7;
	CHECK(faulty[123] == 7);
	CHECK(calls == before + 1);
	CHECK(seen_number == SIGSEGV);
	CHECK(!guard_copy(there, pages + PAGE, sizeof(there)));
	CHECK(calls == before + 1);
}

static void check_info(void)
{
	check_faults();
	CHECK(seen_code == SEGV_ACCERR);
	CHECK(seen_address == faulty + 123);
	CHECK(seen_context != NULL);
	/* Afterwards all is as it was. */
	look_at_mask();
	CHECK(!has_segv_blocked && !has_usr1_blocked);
}

static void handler_before(void)
{
	struct sigaction action = with_info(0), old;

	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
	guard_start();
	check_info();
	CHECK(guard_action(SIGSEGV, NULL, &old) == 0);
	CHECK(old.sa_sigaction == mend_with_info && (old.sa_flags & SA_SIGINFO));
	check_info();
}

static void guard_action__one_from_before_gets_its_faults(void **state)
{
	(void)state;
	in_child(handler_before, 0);
}

static void handler_after(void)
{
	struct sigaction action = with_info(0), old;

	guard_start();
	memset(&old, 0x5a, sizeof(old));
	CHECK(guard_action(SIGSEGV, &action, &old) == 0);
	CHECK(old.sa_handler == SIG_DFL);
	check_info();
	check_info();
	/* And the next one. */
	action.sa_handler = mend;
	action.sa_flags = 0;
	CHECK(guard_action(SIGSEGV, &action, &old) == 0);
	CHECK(old.sa_sigaction == mend_with_info);
	check_faults();
	CHECK(seen_context == NULL);
}

static void guard_action__one_from_later_gets_its_faults(void **state)
{
	(void)state;
	in_child(handler_after, 0);
}

static void handler_replaced(void)
{
	struct sigaction action = {.sa_handler = mend};

	sigemptyset(&action.sa_mask);
	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
	guard_start();
	action = with_info(0);
	CHECK(guard_action(SIGSEGV, &action, NULL) == 0);
	check_info();
}

static void guard_action__a_later_one_replaces_that_from_before(void **state)
{
	(void)state;
	in_child(handler_replaced, 0);
}

/* As from the kernel: the signal itself is blocked meanwhile, unless SA_NODEFER, and sa_mask. */
static void handler_masks(void)
{
	struct sigaction action = with_info(0);

	guard_start();
	CHECK(guard_action(SIGSEGV, &action, NULL) == 0);
	check_info();
	check_faults();
	CHECK(has_segv_blocked && has_usr1_blocked);
	action = with_info(SA_NODEFER);
	CHECK(guard_action(SIGSEGV, &action, NULL) == 0);
	check_faults();
	CHECK(!has_segv_blocked && has_usr1_blocked);
}

static void guard_action__handlers_run_with_their_mask(void **state)
{
	(void)state;
	in_child(handler_masks, 0);
}

static void fault_again(int number)
{
	(void)number;
	calls++;
	*(volatile unsigned char *)faulty = 1;
}

static void handler_faults(void)
{
	struct sigaction action = {.sa_handler = fault_again};

	sigemptyset(&action.sa_mask);
	guard_start();
	CHECK(guard_action(SIGSEGV, &action, NULL) == 0);
	faulty = two_pages(PROT_NONE) + PAGE;
	*(volatile unsigned char *)faulty = 1;
}

static void guard_action__a_handler_that_faults_ends_the_program(void **state)
{
	(void)state;
	in_child(handler_faults, SIGSEGV);
}

static void handler_once(void)
{
	struct sigaction action = with_info((int)SA_RESETHAND), old;

	guard_start();
	CHECK(guard_action(SIGSEGV, &action, NULL) == 0);
	check_faults();
	CHECK(guard_action(SIGSEGV, NULL, &old) == 0);
	CHECK(old.sa_handler == SIG_DFL);
	faulty = two_pages(PROT_NONE) + PAGE;
	*(volatile unsigned char *)faulty = 1;
}

static void guard_action__one_that_is_reset_gets_one(void **state)
{
	(void)state;
	in_child(handler_once, SIGSEGV);
}

/* A signal that somebody sent is the program's, too. */
static void handler_sent(void)
{
	struct sigaction action = with_info(0);

	guard_start();
	CHECK(guard_action(SIGSEGV, &action, NULL) == 0);
	CHECK(kill(getpid(), SIGSEGV) == 0);
	CHECK(calls == 1 && seen_code == SI_USER);
	action = with_info(0);
	CHECK(guard_action(SIGBUS, &action, NULL) == 0);
	CHECK(raise(SIGBUS) == 0);
	CHECK(calls == 2 && seen_number == SIGBUS);
}

static void ignored_sent(void)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	sigemptyset(&action.sa_mask);
	guard_start();
	CHECK(guard_action(SIGSEGV, &action, NULL) == 0);
	CHECK(kill(getpid(), SIGSEGV) == 0);
	CHECK(raise(SIGSEGV) == 0);
}

/* A fault cannot be ignored. */
static void ignored_fault(void)
{
	ignored_sent();
	faulty = two_pages(PROT_NONE) + PAGE;
	CHECK(!guard_copy(faulty, "x", 1));
	*(volatile unsigned char *)faulty = 1;
}

static void guard_action__signals_that_were_sent(void **state)
{
	(void)state;
	in_child(handler_sent, 0);
	in_child(ignored_sent, 0);
	in_child(ignored_fault, SIGSEGV);
}

static void by_default(void)
{
	guard_start();
	faulty = two_pages(PROT_NONE) + PAGE;
	CHECK(!guard_copy(faulty, "x", 1));
	*(volatile unsigned char *)faulty = 1;
}

static void by_default_sent(void)
{
	guard_start();
	raise(SIGBUS);
}

static void guard_start__without_a_handler_a_fault_ends_the_program(void **state)
{
	(void)state;
	in_child(by_default, SIGSEGV);
	in_child(by_default_sent, SIGBUS);
}

static void owns(void)
{
	CHECK(!guard_owns(SIGSEGV) && !guard_owns(SIGBUS));
	guard_start();
	guard_start();
	CHECK(guard_owns(SIGSEGV) && guard_owns(SIGBUS));
	CHECK(!guard_owns(SIGFPE) && !guard_owns(SIGINT) && !guard_owns(0) && !guard_owns(-1));
}

static void guard_owns__two_signals(void **state)
{
	(void)state;
	in_child(owns, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(guard_copy__copies),
		cmocka_unit_test(guard_copy__of_nothing_touches_nothing),
		cmocka_unit_test(guard_copy__refuses_what_is_not_there),
		cmocka_unit_test(guard_copy__refuses_to_write_where_it_may_only_read),
		cmocka_unit_test(guard_copy__sees_the_end_of_a_page),
		cmocka_unit_test(guard_copy__refuses_what_a_file_does_not_have),
		cmocka_unit_test(guard_copy__works_in_several_threads),
		cmocka_unit_test(guard_copy_signals__takes_what_the_kernel_does),
		cmocka_unit_test(guard_action__one_from_before_gets_its_faults),
		cmocka_unit_test(guard_action__one_from_later_gets_its_faults),
		cmocka_unit_test(guard_action__a_later_one_replaces_that_from_before),
		cmocka_unit_test(guard_action__handlers_run_with_their_mask),
		cmocka_unit_test(guard_action__a_handler_that_faults_ends_the_program),
		cmocka_unit_test(guard_action__one_that_is_reset_gets_one),
		cmocka_unit_test(guard_action__signals_that_were_sent),
		cmocka_unit_test(guard_start__without_a_handler_a_fault_ends_the_program),
		cmocka_unit_test(guard_owns__two_signals),
	};

	return cmocka_run_group_tests_name("shim/guard", tests, NULL, NULL);
}
