/* SPDX-License-Identifier: MIT */
/*
 * Helpers of the conformance suite: the frame of each test program, waits that fail instead of
 * hanging, patterned data, transports (one test body for IPv4, IPv6 and AF_UNIX), connected
 * pairs, and plain sockets of the kernel as peers.
 *
 * Names in capitals or ending in _at take the place of the caller, so that a failed check names
 * the line of the test and not of a helper.
 */
#ifndef DEMI_TESTS_COMMON_H
#define DEMI_TESTS_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <demi/demi.h>

#include "profile.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define KIB 1024UL
#define MIB (1024UL * KIB)

/** HAS_ASAN - whether the program was built with AddressSanitizer */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#endif
#ifndef HAS_ASAN
#define HAS_ASAN 0
#endif

/* ---- The frame ---- */

#define EXIT_SKIPPED 77

/**
 * suite_main - run @tests as the program's only group
 * @served: what the whole area needs; false skips all of it
 * @what:   its name, for the reason
 *
 * Return: the exit status: 0, 1, or 77 when libOS or engine are not there.
 */
int suite_main(const char *area, bool served, const char *what, const struct CMUnitTest *tests,
	       size_t num_tests);

/** setup, teardown - a runtime of its own for each test; teardown also restores the environment */
int setup(void **state);
int teardown(void **state);

/** TEST_RAW - for tests that start their runtime themselves; teardown ends it all the same */
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
#define TEST_RAW(function) cmocka_unit_test_teardown(function, teardown)

/**
 * disk_fresh - the block device of the runtimes that follow: a blank file of @bytes
 *
 * With DEMI_TEST_DISK in the environment it is simulated, as the keys say that stand there. Return: the
 * file's path, or NULL. The one before is gone. suite_main has made the first one.
 */
const char *disk_fresh(size_t bytes);

/** DISK_BYTES - the size that is right for most tests; setup_logs makes one of it, and a runtime */
#define DISK_BYTES (128 * MIB)
int setup_logs(void **state);
#define TEST_LOGS(function) cmocka_unit_test_setup_teardown(function, setup_logs, teardown)

/** option_set - an environment variable for the demi_init that follows; teardown takes it back */
void option_set(const char *name, const char *value);
/** options_restore - the environment as it was before all option_set of this test */
void options_restore(void);

/** skip_unless - skip the running test with a reason */
#define skip_unless(condition, reason)                            \
	do {                                                      \
		if (!(condition)) {                               \
			print_message("skipped: %s\n", (reason)); \
			skip();                                   \
			return;                                   \
		}                                                 \
	} while (0)

/* ---- Children: what may die runs in a process of its own ---- */

struct child {
	int status;         /* of waitpid(2) */
	char errors[16384]; /* what it wrote to standard error, terminated; cut when longer */
};

/**
 * child_run - run @body in a forked child and wait for its end
 *
 * There a failed check aborts, and signals have their default actions. It ends with _exit(2) and
 * status 0 when @body returns.
 */
void child_run(struct child *child, void (*body)(void *argument), void *argument);
/** child_check_exit - it ended by itself, with status 0 */
#define child_check_exit(child) child_check_exit_at((child), __FILE__, __LINE__)
void child_check_exit_at(const struct child *child, const char *file, int line);
/** child_check_death - it died of @signal, or of @other if that is not 0 */
#define child_check_death(child, signal, other) \
	child_check_death_at((child), (signal), (other), __FILE__, __LINE__)
void child_check_death_at(const struct child *child, int signal, int other, const char *file,
			  int line);
/** child_count - how often @text stands in what it wrote */
size_t child_count(const struct child *child, const char *text);
/** child_check_says - it wrote @text */
#define child_check_says(child, text) child_check_says_at((child), (text), __FILE__, __LINE__)
void child_check_says_at(const struct child *child, const char *text, const char *file, int line);

/* ---- Checks ---- */

#define check_either(call, first, second) \
	check_either_at((call), (first), (second), #call, __FILE__, __LINE__)
void check_either_at(int error, int first, int second, const char *call, const char *file,
		     int line);

/** check_call - as assert_int_equal, but speaks errno */
#define check_call(call, expected) check_call_at((call), (expected), #call, __FILE__, __LINE__)
void check_call_at(int error, int expected, const char *call, const char *file, int line);

/** check_fails - any error but not success */
#define check_fails(call) check_fails_at((call), #call, __FILE__, __LINE__)
void check_fails_at(int error, const char *call, const char *file, int line);

/** null - a NULL that compilers do not see through, for nonnull parameters */
void *null(void);

/* ---- Time and waits ---- */

extern const struct timespec wait_long; /* 10 s: a hang fails */
extern const struct timespec wait_none; /* polls once */

struct timespec milliseconds(long count);
int64_t now_ms(void); /* monotonic */

/** await - wait for one operation; it must complete in time, with whatever outcome */
#define await(qt) await_at((qt), __FILE__, __LINE__)
demi_qresult_t await_at(demi_qtoken_t qt, const char *file, int line);

/** await_opcode - the operation must succeed */
#define await_opcode(qt, opcode) await_opcode_at((qt), (opcode), __FILE__, __LINE__)
demi_qresult_t await_opcode_at(demi_qtoken_t qt, enum demi_opcode opcode, const char *file,
			       int line);

/** await_error - the operation must fail with @error */
#define await_error(qt, error) await_error_at((qt), (error), __FILE__, __LINE__)
void await_error_at(demi_qtoken_t qt, int error, const char *file, int line);

/** check_pending - the operation has not completed, after the runtime was polled a few times */
#define check_pending(qt) check_pending_at((qt), __FILE__, __LINE__)
void check_pending_at(demi_qtoken_t qt, const char *file, int line);

/** outcome - errno of an operation, whether the call or its result reports it */
#define outcome(call, qt) outcome_at((call), &(qt), __FILE__, __LINE__)
int outcome_at(int error, const demi_qtoken_t *qt, const char *file, int line);

/** drive - let the runtime make progress for at most a millisecond; no token is used up */
void drive(void);

/** settle_until - drive until it is so: what a stack of our own has under way is heap memory too */
#define settle_until(condition)                                           \
	do {                                                              \
		for (int64_t settled = now_ms() + 10000; !(condition);) { \
			assert_true(now_ms() < settled);                  \
			drive();                                          \
		}                                                         \
	} while (0)

/* ---- Data: byte i of a stream is a function of its seed and of i ---- */

void pattern_fill(void *data, size_t size, unsigned int seed, uint64_t offset);
#define pattern_check(data, size, seed, offset) \
	pattern_check_at((data), (size), (seed), (offset), __FILE__, __LINE__)
void pattern_check_at(const void *data, size_t size, unsigned int seed, uint64_t offset,
		      const char *file, int line);

size_t sga_bytes(const demi_sgarray_t *sga);
/** sga_check - @sga has the bytes of the pattern from @offset on; returns how many it has */
#define sga_check(sga, seed, offset) sga_check_at((sga), (seed), (offset), __FILE__, __LINE__)
size_t sga_check_at(const demi_sgarray_t *sga, unsigned int seed, uint64_t offset, const char *file,
		    int line);
/** check_end - one segment of length 0; frees it */
#define check_end(sga) check_end_at((sga), __FILE__, __LINE__)
void check_end_at(demi_sgarray_t *sga, const char *file, int line);

demi_sgarray_t sga_pattern(size_t size, unsigned int seed, uint64_t offset);
/** sga_of - an array over the application's own memory */
demi_sgarray_t sga_of(void *data, size_t size);

/** push_pattern - start a push and free the array at once, which is legal */
#define push_pattern(qd, size, seed, offset) \
	push_pattern_at((qd), (size), (seed), (offset), __FILE__, __LINE__)
demi_qtoken_t push_pattern_at(int qd, size_t size, unsigned int seed, uint64_t offset,
			      const char *file, int line);
/** push_sga - start a push */
#define push_sga(qd, sga) push_sga_at((qd), (sga), __FILE__, __LINE__)
demi_qtoken_t push_sga_at(int qd, const demi_sgarray_t *sga, const char *file, int line);
#define pop(qd) pop_at((qd), __FILE__, __LINE__)
demi_qtoken_t pop_at(int qd, const char *file, int line);

/** stream_expect - pop the next @size bytes of a stream, and not more, and check them */
#define stream_expect(qd, size, seed, offset) \
	stream_expect_at((qd), (size), (seed), (offset), __FILE__, __LINE__)
void stream_expect_at(int qd, uint64_t size, unsigned int seed, uint64_t offset, const char *file,
		      int line);
/**
 * stream_skip_cut - pop whatever comes of a stream that was closed over more pending pushes than any
 * send buffer holds: up to the kernel's end, or up to a reset where the libOS sends on all or nothing
 */
#define stream_skip_cut(qd) stream_skip_cut_at((qd), __FILE__, __LINE__)
void stream_skip_cut_at(int qd, const char *file, int line);

/** stream_expect_end - the next pop is the end of the stream */
#define stream_expect_end(qd) stream_expect_end_at((qd), __FILE__, __LINE__)
void stream_expect_end_at(int qd, const char *file, int line);

/* ---- Addresses and transports ---- */

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_storage room;
	};
	socklen_t size;
};

struct transport {
	const char *name;
	int family;
};

extern const struct transport transport_ipv4;
extern const struct transport transport_ipv6;
extern const struct transport transport_unix;

/** A test of the table that takes a transport as its parameter, and gets it with TRANSPORT */
#define TEST_OVER(transport, function)                                    \
	{                                                                 \
		"[" #transport "] " #function, function, setup, teardown, \
			(void *)(uintptr_t)&transport_##transport         \
	}
#define TEST_OVER_IPV4(function) TEST_OVER(ipv4, function),
#define TEST_OVER_IPV6(function) TEST_OVER(ipv6, function),
#define TEST_OVER_UNIX(function) TEST_OVER(unix, function),
#define TRANSPORT(variable, state)                   \
	const struct transport *variable = *(state); \
	skip_unless(transport_served(variable), "the libOS does not serve this address family")

bool transport_served(const struct transport *transport);

/** address_fresh - an address of ours that is free: port 0, or a new path */
void address_fresh(const struct transport *transport, struct address *address);
/** address_wildcard - every address of ours, port 0; IPv4 and IPv6 only */
void address_wildcard(const struct transport *transport, struct address *address);
/** address_foreign - an address that is not ours */
void address_foreign(const struct transport *transport, struct address *address);
/** address_silent - one where nobody answers; false: the profile has none */
bool address_silent(const struct transport *transport, struct address *address);
in_port_t address_port(const struct address *address); /* network byte order */
void address_set_port(struct address *address, in_port_t port);
/** address_check - same family, address and port */
#define address_check(a, b) address_check_at((a), (b), __FILE__, __LINE__)
void address_check_at(const struct address *a, const struct address *b, const char *file, int line);

/** directory - a new directory for this program's files, removed with them when it ends */
const char *directory(void);

#define socket_open(transport, type) socket_open_at((transport), (type), __FILE__, __LINE__)
int socket_open_at(const struct transport *transport, int type, const char *file, int line);
#define socket_name(qd, address) socket_name_at((qd), (address), __FILE__, __LINE__)
void socket_name_at(int qd, struct address *address, const char *file, int line);
/** socket_listen - a listening stream socket; @address receives where */
#define socket_listen(transport, address) \
	socket_listen_at((transport), (address), __FILE__, __LINE__)
int socket_listen_at(const struct transport *transport, struct address *address, const char *file,
		     int line);
/** socket_datagram - a bound datagram socket; @address receives where */
#define socket_datagram(transport, address) \
	socket_datagram_at((transport), (address), __FILE__, __LINE__)
int socket_datagram_at(const struct transport *transport, struct address *address, const char *file,
		       int line);

/** A connection with both its ends in this runtime */
struct pair {
	struct address address; /* of the listener */
	int listener;
	int client;
	int server;
};

#define pair_open(pair, transport) pair_open_at((pair), (transport), __FILE__, __LINE__)
void pair_open_at(struct pair *pair, const struct transport *transport, const char *file, int line);
#define pair_connect(listener, address, client, server) \
	pair_connect_at((listener), (address), (client), (server), __FILE__, __LINE__)
void pair_connect_at(int listener, const struct address *address, int *client, int *server,
		     const char *file, int line);

/* ---- Plain sockets of the kernel, never blocking ---- */

int peer_listen(const struct transport *transport, struct address *address, int backlog);
int peer_connect(const struct address *address);
/** peer_pair - a plain client of a listener of ours; returns its file descriptor */
int peer_pair(const struct transport *transport, int *listener, int *server);
void peer_send(int fd, const void *data, size_t size);
/** peer_expect - read and check the next @size bytes */
void peer_expect(int fd, size_t size, unsigned int seed, uint64_t offset);
/** peer_reset - close with a reset */
void peer_reset(int fd);

/** open_files - how many file descriptors this process has */
int open_files(void);
/** mapped_bytes - the size of this process's address space */
size_t mapped_bytes(void);
/** resident_bytes - what of it is in memory */
size_t resident_bytes(void);

#endif /* DEMI_TESTS_COMMON_H */
