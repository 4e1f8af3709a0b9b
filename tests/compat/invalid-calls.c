/* SPDX-License-Identifier: MIT */
/*
 * Invalid calls, written as programs for the C API of Demikernel are: every call with NULL or with
 * descriptor -1 returns an error. Prints one line each; stops at none.
 */
#undef NDEBUG
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/wait.h>

/* NULL, but not to the compiler, which would warn about a nonnull parameter. */
static void *volatile nothing;

static struct sockaddr_in address;
static demi_sgarray_t array;
static demi_qtoken_t token;
static demi_qresult_t result;
static const struct timespec no_time;

static bool inval_socket(void)
{
	return demi_socket(nothing, -1, -1, -1) != 0;
}

static bool inval_socket_domain(void)
{
	int sockqd = -1;

	return demi_socket(&sockqd, -1, SOCK_STREAM, 0) != 0;
}

static bool inval_accept(void)
{
	return demi_accept(nothing, -1) != 0;
}

static bool inval_accept_qd(void)
{
	return demi_accept(&token, -1) != 0;
}

static bool inval_bind(void)
{
	return demi_bind(-1, nothing, 0) != 0;
}

static bool inval_bind_qd(void)
{
	return demi_bind(-1, (const struct sockaddr *)&address, sizeof(address)) != 0;
}

static bool inval_close(void)
{
	return demi_close(-1) != 0;
}

static bool inval_connect(void)
{
	return demi_connect(nothing, -1, nothing, 0) != 0;
}

static bool inval_connect_qd(void)
{
	return demi_connect(&token, -1, (const struct sockaddr *)&address, sizeof(address)) != 0;
}

static bool inval_listen(void)
{
	return demi_listen(-1, -1) != 0;
}

static bool inval_pop(void)
{
	return demi_pop(nothing, -1) != 0;
}

static bool inval_pop_qd(void)
{
	return demi_pop(&token, -1) != 0;
}

static bool inval_push(void)
{
	return demi_push(nothing, -1, nothing) != 0;
}

static bool inval_push_qd(void)
{
	return demi_push(&token, -1, &array) != 0;
}

static bool inval_pushto(void)
{
	return demi_pushto(nothing, -1, nothing, nothing, 0) != 0;
}

static bool inval_pushto_qd(void)
{
	return demi_pushto(&token, -1, &array, (const struct sockaddr *)&address,
			   sizeof(address)) != 0;
}

static bool inval_setsockopt(void)
{
	return demi_setsockopt(-1, SOL_SOCKET, SO_LINGER, nothing, 0) != 0;
}

static bool inval_getsockopt(void)
{
	return demi_getsockopt(-1, SOL_SOCKET, SO_LINGER, nothing, nothing) != 0;
}

static bool inval_getpeername(void)
{
	return demi_getpeername(-1, nothing, nothing) != 0;
}

static bool inval_sgaalloc(void)
{
	demi_sgarray_t sga = demi_sgaalloc(0);

	return sga.sga_buf == NULL && sga.sga_numsegs == 0;
}

static bool inval_sgafree(void)
{
	return demi_sgafree(nothing) != 0;
}

static bool inval_wait(void)
{
	return demi_wait(nothing, (demi_qtoken_t)-1, nothing) != 0;
}

static bool inval_wait_token(void)
{
	return demi_wait(&result, (demi_qtoken_t)-1, &no_time) != 0;
}

static bool inval_wait_any(void)
{
	return demi_wait_any(nothing, nothing, nothing, -1, nothing) != 0;
}

static bool inval_wait_any_none(void)
{
	int offset = -1;

	return demi_wait_any(&result, &offset, &token, 0, &no_time) != 0;
}

static bool inval_wait_next_n(void)
{
	return demi_wait_next_n(nothing, -1, nothing, nothing) != 0;
}

static const struct {
	const char *name;
	bool (*run)(void);
} tests[] = {
	{"demi_socket: all invalid", inval_socket},
	{"demi_socket: invalid domain", inval_socket_domain},
	{"demi_accept: all invalid", inval_accept},
	{"demi_accept: invalid descriptor", inval_accept_qd},
	{"demi_bind: all invalid", inval_bind},
	{"demi_bind: invalid descriptor", inval_bind_qd},
	{"demi_close: invalid descriptor", inval_close},
	{"demi_connect: all invalid", inval_connect},
	{"demi_connect: invalid descriptor", inval_connect_qd},
	{"demi_listen: all invalid", inval_listen},
	{"demi_pop: all invalid", inval_pop},
	{"demi_pop: invalid descriptor", inval_pop_qd},
	{"demi_push: all invalid", inval_push},
	{"demi_push: invalid descriptor", inval_push_qd},
	{"demi_pushto: all invalid", inval_pushto},
	{"demi_pushto: invalid descriptor", inval_pushto_qd},
	{"demi_setsockopt: all invalid", inval_setsockopt},
	{"demi_getsockopt: all invalid", inval_getsockopt},
	{"demi_getpeername: all invalid", inval_getpeername},
	{"demi_sgaalloc: no size", inval_sgaalloc},
	{"demi_sgafree: NULL", inval_sgafree},
	{"demi_wait: all invalid", inval_wait},
	{"demi_wait: unknown token", inval_wait_token},
	{"demi_wait_any: all invalid", inval_wait_any},
	{"demi_wait_any: no token", inval_wait_any_none},
	{"demi_wait_next_n: all invalid", inval_wait_next_n},
};

int main(int argc, char *const argv[])
{
	const struct demi_args args = {.argc = argc, .argv = argv, .callback = NULL};
	int failed = 0;

	address.sin_family = AF_INET;
	address.sin_port = htons(12345);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert(demi_init(&args) == 0);
	array = demi_sgaalloc(64);
	assert(array.sga_numsegs == 1);

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		bool passed = tests[i].run();

		printf("%s %s\n", passed ? "ok  " : "FAIL", tests[i].name);
		failed += !passed;
	}
	assert(demi_sgafree(&array) == 0);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
