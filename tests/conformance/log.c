/* SPDX-License-Identifier: MIT */
#include "log.h"

int log_open_at(const char *name, int flags, const char *file, int line)
{
	int qd = -1;

	check_call_at(demi_open(&qd, name, flags, 0600), 0, "demi_open", file, line);
	_assert_true(qd >= 500, "descriptors start at 500", file, line);
	return qd;
}

const char *log_name(const char *name, unsigned int number)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s.%u", name, number);
	return text;
}

void record_check_at(demi_sgarray_t *sga, size_t size, unsigned int seed, uint64_t offset,
		     const char *file, int line)
{
	_assert_int_equal(sga->sga_numsegs, 1, file, line);
	_assert_int_equal(sga->sga_segs[0].sgaseg_len, size, file, line);
	sga_check_at(sga, seed, offset, file, line);
	check_call_at(demi_sgafree(sga), 0, "demi_sgafree", file, line);
}

void record_await_at(demi_qtoken_t qt, size_t size, unsigned int seed, uint64_t offset,
		     const char *file, int line)
{
	demi_qresult_t qr = await_opcode_at(qt, DEMI_OPC_POP, file, line);

	record_check_at(&qr.qr_value.sga, size, seed, offset, file, line);
}

void record_expect_at(int qd, size_t size, unsigned int seed, uint64_t offset, const char *file,
		      int line)
{
	record_await_at(pop_at(qd, file, line), size, seed, offset, file, line);
}
