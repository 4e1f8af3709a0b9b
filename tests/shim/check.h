/* SPDX-License-Identifier: MIT */
/*
 * What the checks of socket semantics share. A check makes calls as any program does and prints
 * what came of each, one a line; the same checks run over the kernel's sockets and over those of
 * the shim, and what they print must be the same (semantics_test.py). So nothing printed may depend
 * on time, on chance, or on numbers of descriptors and ports.
 *
 * The other end of each connection is a plain program of Linux's (peer.c), which is told over a
 * Unix socket what to do next, and answers when it has done it.
 */
#ifndef TESTS_SHIM_CHECK_H
#define TESTS_SHIM_CHECK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { WAIT_MS = 5000, NOTHING_MS = 40 };

/* One way to come by a connection. */
struct way {
	const char *name;
	int family;
	bool accepted; /* by us, from the peer; else connected by us */
};

enum { ONCE = 1, EACH_FAMILY = 2, EACH_WAY = 4 };

struct check {
	const char *name;
	void (*run)(const struct way *way);
	int ways; /* one of the above */
};

/* Each group is a table that ends with a check without a name. */
extern const struct check stream_checks[];
extern const struct check close_checks[];
extern const struct check message_checks[];
extern const struct check transfer_checks[];
extern const struct check option_checks[];
extern const struct check name_checks[];
extern const struct check descriptor_checks[];
extern const struct check fault_checks[];
extern const struct check poll_checks[];
extern const struct check epoll_checks[];
extern const struct check mixed_checks[];
extern const struct check datagram_checks[];
extern const struct check signal_checks[];
extern const struct check handler_checks[];
extern const struct check thread_checks[];
extern const struct check fork_checks[];

/* ---- what came of it ---- */

/** say - one line of output, "what: ..." */
void say(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** outcome - prints what a call has returned, with the name of errno where that is -1; returns it */
long outcome(const char *what, long result);

/** fail - what has to work first does not: says so, with errno, and ends the program */
void fail(const char *what) __attribute__((noreturn));

/** must - the result of a call that has to work first */
long must(const char *what, long result);

/** poll_names, epoll_names - "IN|OUT"; valid until the next call but three */
const char *poll_names(int events);
const char *epoll_names(uint32_t events);

/** say_events - one poll of @fd for @events, without waiting */
void say_events(const char *what, int fd, int events);

/** say_error - SO_ERROR, by name */
void say_error(const char *what, int fd);

/** say_text - receives once, without waiting, and prints what */
void say_text(const char *what, int fd);

int64_t now_ms(void);

/* ---- the peer ---- */

/** peer - tells the peer to do something; its answer, valid until the next call; fails with it */
const char *peer(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** peer_number - the same, where the answer is a number: a slot of the peer's, or a port */
int peer_number(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** say_peer - the same, and prints the answer */
void say_peer(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- addresses and connections ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

/** ours, theirs - an address of this end, of the peer's; port in host order */
union address ours(int family, uint16_t port);
union address theirs(int family, uint16_t port);
socklen_t address_len(int family);

/** say_address - whose it is, and whether it has a port */
void say_address(const char *what, const union address *address, socklen_t len);

uint16_t port_of(int fd);

/** listener - a socket of ours that listens; its port is @port where that is not NULL */
int listener(int family, int backlog, uint16_t *port);

/** stream - a connection by @way; *@slot is the peer's end */
int stream(const struct way *way, int *slot);

/** datagram - a bound UDP socket of ours, and one of the peer's, *@slot with port *@peer_port */
int datagram(int family, int *slot, uint16_t *peer_port);

/** wait_for - until poll reports one of @events, or an error; fails after WAIT_MS */
void wait_for(int fd, int events);

/** fill - writes until nothing more is taken, without waiting; the bytes, which are of the pattern */
size_t fill(int fd);

void set_nonblocking(int fd, bool on);

/** await_sleep - until the thread *@id, not 0, sleeps in the kernel; or for so long that it never will */
void await_sleep(const _Atomic int *id);

/** pattern - the byte of a stream at @offset */
static inline uint8_t pattern(size_t offset)
{
	return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16));
}

/* Text to be sent, where a call's structure takes it without const. */
#define TEXT(text) ((char[]){text})

/**
 * run_peer - the peer's program: serves one run after another on the Unix socket @path
 * @words: its own addresses, of IPv4 and IPv6, and those of the checks' end
 */
int run_peer(const char *path, const char *const words[4]);

#endif
