/* SPDX-License-Identifier: MIT */
#include "libos/libos.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "libos/pair.h"

static void libos_find__each_of_its_names(void **state)
{
	char names[128], *rest = names;

	(void)state;
	stpcpy(names, libos_names());
	for (char *name = strsep(&rest, ","); name; name = strsep(&rest, ",")) {
		const struct libos_ops *ops = libos_find(name + strspn(name, " "));

		assert_non_null(ops);
		if (strchr(name, '+'))
			assert_ptr_equal(ops, &pair_ops);
		else
			assert_string_equal(ops->name, name + strspn(name, " "));
	}
}

static void libos_find__nothing_else(void **state)
{
	static const char *const names[] = {"",
					    "+",
					    "catna",
					    "catnapp",
					    "pair",
					    "catnap+",
					    "+cattree",
					    "catnap+catnip",
					    "catnip+catnap",
					    "catnap+catnap",
					    "cattree+catnap",
					    "cattree+cattree",
					    "catnap+cattree+",
					    "catnap+cattree+cattree",
					    "catnap cattree"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_null(libos_find(names[i]));
}

static void libos_find_pair__tells_which_is_which(void **state)
{
	const struct libos_ops *first, *second;

	(void)state;
	assert_true(libos_find_pair("catnip+cattree", &first, &second));
	assert_string_equal(first->name, "catnip");
	assert_string_equal(second->name, "cattree");
	assert_false(libos_find_pair("catnip", &first, &second));
	assert_false(libos_find_pair("cattree+catnip", &first, &second));
}

/* ---- Sleep ---- */

static struct {
	int fd, outcome;
	uint64_t limit_ns;
} idling;

static int fake_idle(struct libos *libos, struct pollfd *wakes, uint64_t *timeout_ns)
{
	(void)libos;
	if (*timeout_ns > idling.limit_ns)
		*timeout_ns = idling.limit_ns;
	*wakes = (struct pollfd){.fd = idling.fd, .events = POLLIN};
	return idling.outcome;
}

static const struct libos_ops fake_ops = {.name = "fake", .idle = fake_idle};
static struct libos fake = {.ops = &fake_ops};

/* Nanoseconds that it slept. */
static uint64_t sleep_with(uint64_t timeout_ns, const struct pollfd *others, int count)
{
	uint64_t before = clock_now_ns();

	assert_int_equal(libos_sleep_idle(&fake, timeout_ns, NULL, others, count), 0);
	return clock_now_ns() - before;
}

static void libos_sleep_idle__ends_by_either_or_in_time(void **state)
{
	struct pollfd other;
	int own[2], others[2];

	(void)state;
	assert_int_equal(pipe(own), 0);
	assert_int_equal(pipe(others), 0);
	other = (struct pollfd){.fd = others[0], .events = POLLIN};
	idling.fd = own[0];
	idling.outcome = 1;
	idling.limit_ns = UINT64_MAX;
	assert_true(sleep_with(2000000, &other, 1) >= 2000000);
	/* The shorter of both times. */
	idling.limit_ns = 1000000;
	assert_true(sleep_with(UINT64_MAX, NULL, 0) >= 1000000);
	idling.limit_ns = UINT64_MAX;
	/* For ever, did not one of them end it. */
	assert_int_equal(write(others[1], "x", 1), 1);
	sleep_with(UINT64_MAX, &other, 1);
	assert_int_equal(write(own[1], "x", 1), 1);
	sleep_with(UINT64_MAX, NULL, 0);
	/* Nothing of its own to wait for, and work that is there. */
	idling.outcome = 0;
	sleep_with(UINT64_MAX, &other, 1);
	idling.outcome = -EAGAIN;
	sleep_with(UINT64_MAX, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(own[i]);
		close(others[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(libos_find__each_of_its_names),
		cmocka_unit_test(libos_find__nothing_else),
		cmocka_unit_test(libos_find_pair__tells_which_is_which),
		cmocka_unit_test(libos_sleep_idle__ends_by_either_or_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
