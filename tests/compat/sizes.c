/* SPDX-License-Identifier: MIT */
/* Sizes and offsets of the types that programs share with the library. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/types.h>
#include <demi/wait.h>

#define POINTER sizeof(void *)
#define ADDRESS sizeof(struct sockaddr_in)

static_assert(DEMI_SGARRAY_MAXSIZE == 8, "segments of an array");
static_assert(sizeof(demi_qtoken_t) == 8, "token");
static_assert((demi_qtoken_t)-1 > 0, "a token is unsigned");

static_assert(sizeof(demi_sgaseg_t) == POINTER + 4, "segment");
static_assert(offsetof(demi_sgaseg_t, sgaseg_buf) == 0, "segment");
static_assert(offsetof(demi_sgaseg_t, sgaseg_len) == POINTER, "segment");

static_assert(sizeof(demi_sgarray_t) ==
		      POINTER + 4 + DEMI_SGARRAY_MAXSIZE * sizeof(demi_sgaseg_t) + ADDRESS,
	      "array");
static_assert(offsetof(demi_sgarray_t, sga_buf) == 0, "array");
static_assert(offsetof(demi_sgarray_t, sga_numsegs) == POINTER, "array");
static_assert(offsetof(demi_sgarray_t, sga_segs) == POINTER + 4, "array");
static_assert(offsetof(demi_sgarray_t, sga_addr) == sizeof(demi_sgarray_t) - ADDRESS, "array");

static_assert(sizeof(demi_accept_result_t) == 4 + ADDRESS, "result of an accept");
static_assert(offsetof(demi_accept_result_t, qd) == 0, "result of an accept");
static_assert(offsetof(demi_accept_result_t, addr) == 4, "result of an accept");

static_assert(sizeof(enum demi_opcode) == 4, "opcode");
static_assert(DEMI_OPC_INVALID == 0 && DEMI_OPC_PUSH == 1 && DEMI_OPC_POP == 2 &&
		      DEMI_OPC_ACCEPT == 3 && DEMI_OPC_CONNECT == 4 && DEMI_OPC_CLOSE == 5 &&
		      DEMI_OPC_FAILED == 6,
	      "opcodes");

static_assert(sizeof(demi_qresult_t) == 24 + sizeof(demi_sgarray_t), "result");
static_assert(offsetof(demi_qresult_t, qr_opcode) == 0, "result");
static_assert(offsetof(demi_qresult_t, qr_qd) == 4, "result");
static_assert(offsetof(demi_qresult_t, qr_qt) == 8, "result");
static_assert(offsetof(demi_qresult_t, qr_ret) == 16, "result");
static_assert(offsetof(demi_qresult_t, qr_value) == 24, "result");
static_assert(offsetof(demi_qresult_t, qr_value.sga) == 24, "result");
static_assert(offsetof(demi_qresult_t, qr_value.ares) == 24, "result");

static_assert(sizeof(struct demi_args) == 4 + 2 * POINTER, "arguments");
static_assert(offsetof(struct demi_args, argv) == 4, "arguments");
static_assert(offsetof(struct demi_args, callback) == 4 + POINTER, "arguments");

#if defined(__x86_64__) && defined(__LP64__)
static_assert(sizeof(demi_sgaseg_t) == 12, "segment on x86-64");
static_assert(sizeof(demi_sgarray_t) == 28 + 12 * DEMI_SGARRAY_MAXSIZE, "array on x86-64");
static_assert(sizeof(demi_accept_result_t) == 20, "result of an accept on x86-64");
static_assert(sizeof(demi_qresult_t) == 148, "result on x86-64");
static_assert(sizeof(struct demi_args) == 20, "arguments on x86-64");
#endif

static void callback(const char *name, uint32_t length, uint64_t value)
{
	(void)name;
	(void)length;
	(void)value;
}

int main(void)
{
	const struct demi_args args = {.argc = 0, .argv = NULL, .callback = callback};

	/* That it was compiled is the test; this is for the reader of the log. */
	printf("segment %zu, array %zu, accept %zu, result %zu, arguments %zu\n",
	       sizeof(demi_sgaseg_t), sizeof(demi_sgarray_t), sizeof(demi_accept_result_t),
	       sizeof(demi_qresult_t), sizeof(struct demi_args));
	return demi_init(&args) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
