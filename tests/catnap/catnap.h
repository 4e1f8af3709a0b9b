/* SPDX-License-Identifier: MIT */
/* What Catnap's tests share beyond the conformance suite's helpers: many connections at a time. */
#ifndef DEMI_TESTS_CATNAP_H
#define DEMI_TESTS_CATNAP_H

#include "common.h"

/** catnap_setup, catnap_teardown - as setup and teardown, and no file descriptor may be left */
int catnap_setup(void **state);
int catnap_teardown(void **state);

#define CATNAP_TEST(function) \
	cmocka_unit_test_setup_teardown(function, catnap_setup, catnap_teardown)

/** catnap_restart - another runtime, after option_set */
void catnap_restart(void);

/** poll_once - one poll round; no token is used up */
void poll_once(void);

/** A connection between a queue of ours and a plain socket */
struct connection {
	int qd;
	int fd; /* never blocks */
	demi_qtoken_t pop;
	demi_qtoken_t push;
};

/** connections_open - connect plain sockets to @listener, which is at @address */
void connections_open(int listener, const struct address *address, struct connection *connections,
		      size_t count);

/** connections_close - close both ends */
void connections_close(struct connection *connections, size_t count);

/** files_allowed - whether the process may have @count descriptors; raises the soft limit */
bool files_allowed(size_t count);

/** sga_split - split an array of one segment into @count, 1..DEMI_SGARRAY_MAXSIZE, of all sizes */
void sga_split(demi_sgarray_t *sga, uint32_t count);

/** push_split - start a push of a pattern in @segments segments */
demi_qtoken_t push_split(int qd, size_t size, unsigned int seed, uint64_t offset,
			 uint32_t segments);

/**
 * peer_read - read what is there, @most bytes at most, and check it; does not wait
 *
 * Return: bytes; 0 also when there is nothing. The stream must not have ended.
 */
size_t peer_read(int fd, size_t most, unsigned int seed, uint64_t offset);

/** send_buffer - bound what the kernel takes of a queue of ours, bytes */
void send_buffer(int qd, int bytes);

#endif /* DEMI_TESTS_CATNAP_H */
