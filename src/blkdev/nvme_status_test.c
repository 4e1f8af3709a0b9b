/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "blkdev/nvme_status.h"

static uint16_t status_of(uint32_t code, uint32_t more)
{
	return (uint16_t)(code << 1 | more);
}

static void nvme_status_error__codes_are_those_of_requests(void **state)
{
	static const struct {
		uint32_t code;
		int error;
	} cases[] = {
		{NVME_SUCCESS, 0},
		{NVME_INVALID_FIELD, -EIO},
		{NVME_ABORT_REQUESTED, -ETIMEDOUT},
		{NVME_WRITE_PROTECTED, -EROFS},
		{NVME_READ_ONLY_RANGE, -EROFS},
		{NVME_CAPACITY_EXCEEDED, -ENOSPC},
		{NVME_WRITE_FAULT, -EIO},
		{NVME_UNRECOVERED_READ, -EIO},
		{NVME_STATUS(7u, 0xffu), -EIO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* Neither the phase nor what stands above the code matters. */
		assert_int_equal(nvme_status_error(status_of(cases[i].code, 0)), cases[i].error);
		assert_int_equal(nvme_status_error(status_of(cases[i].code, 0xf001)),
				 cases[i].error);
	}
}

static void nvme_status_may_retry__not_success_aborted_or_forbidden(void **state)
{
	(void)state;
	assert_true(nvme_status_may_retry(status_of(NVME_NAMESPACE_NOT_READY, 0)));
	assert_false(nvme_status_may_retry(status_of(NVME_NAMESPACE_NOT_READY, NVME_STATUS_DNR)));
	assert_false(nvme_status_may_retry(status_of(NVME_SUCCESS, 1)));
	assert_false(nvme_status_may_retry(status_of(NVME_ABORT_REQUESTED, 0)));
}

static void nvme_status_text__known_and_unknown(void **state)
{
	(void)state;
	assert_string_equal(nvme_status_text(status_of(NVME_UNRECOVERED_READ, 1)),
			    "the medium cannot be read");
	assert_string_equal(nvme_status_text(status_of(NVME_STATUS(6u, 1u), 0)), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nvme_status_error__codes_are_those_of_requests),
		cmocka_unit_test(nvme_status_may_retry__not_success_aborted_or_forbidden),
		cmocka_unit_test(nvme_status_text__known_and_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
