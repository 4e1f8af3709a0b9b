/* SPDX-License-Identifier: MIT */
/* Values that replies let go while another thread of Redis's may count their references. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <server.h>

#include "client_io.h"

/* ---- What Redis has ---- */

static unsigned long long jobs;
static unsigned int asked;

unsigned long long bioPendingJobsOfType(int type)
{
	assert_int_equal(type, BIO_LAZY_FREE);
	asked++;
	return jobs;
}

void decrRefCount(robj *object)
{
	assert_int_equal(jobs, 0);
	assert_true(object->refcount > 0);
	object->refcount--;
}

/* ---- Tests ---- */

static void let_go__is_at_once_where_nobody_frees(void **state)
{
	robj object = {2};

	(void)state;
	jobs = 0;
	asked = 0;
	client_io_let_go(&object);
	assert_int_equal(object.refcount, 1);
	client_io_let_go_kept();
	/* The other thread's lock is not taken for each reply. */
	assert_int_equal(asked, 0);
}

static void let_go__waits_for_who_frees(void **state)
{
	robj objects[] = {{1}, {2}, {1}};

	(void)state;
	client_io_flush();
	jobs = 2;
	for (size_t i = 0; i < 3; i++)
		client_io_let_go(&objects[i]);
	client_io_let_go(&objects[1]);
	jobs = 1;
	client_io_let_go_kept();
	for (size_t i = 0; i < 3; i++)
		assert_int_not_equal(objects[i].refcount, 0);
	jobs = 0;
	client_io_let_go_kept();
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(objects[i].refcount, 0);
}

static void let_go__takes_what_was_kept_with_it(void **state)
{
	robj first = {1}, second = {1}, third = {1};

	(void)state;
	client_io_flush();
	jobs = 1;
	client_io_let_go(&first);
	jobs = 0;
	client_io_let_go(&second);
	assert_int_equal(first.refcount + second.refcount, 0);
	asked = 0;
	client_io_let_go(&third);
	assert_int_equal(third.refcount, 0);
	assert_int_equal(asked, 0);
}

static void let_go__waits_for_the_next_flush_too(void **state)
{
	robj first = {1}, second = {1};

	(void)state;
	client_io_flush();
	jobs = 1;
	client_io_let_go(&first);
	client_io_flush();
	client_io_let_go(&second);
	jobs = 0;
	client_io_let_go_kept();
	assert_int_equal(first.refcount + second.refcount, 0);
	client_io_flush();
	jobs = 1;
	first.refcount = 1;
	client_io_let_go(&first);
	assert_int_equal(first.refcount, 1);
	jobs = 0;
	client_io_let_go_kept();
	assert_int_equal(first.refcount, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(let_go__is_at_once_where_nobody_frees),
		cmocka_unit_test(let_go__waits_for_who_frees),
		cmocka_unit_test(let_go__takes_what_was_kept_with_it),
		cmocka_unit_test(let_go__waits_for_the_next_flush_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
