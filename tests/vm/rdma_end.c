/* SPDX-License-Identifier: MIT */
/*
 * Has operations of each kind pending over Catmint, for tests that then end the peer, its machine or
 * the device, and says how each of them ends: "idle pop: Connection timed out".
 *
 *   rdma-end PEER [OWN]    connects twice to the echo server at that IPv4 address, and keeps one of the
 *                          connections busy; OWN: and has a listener and a datagram socket at that one
 *
 * The first line is "under way". It ends when nothing is pending any more.
 */
#include <demi/demi.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT 7
/* More than a request is copied for: a push ends when the peer's device has it. */
#define PUSH_BYTES 3000
#define OPERATIONS_MAX 5
#define FAILED(call) failed(#call, call)

static struct {
	int count;
	demi_qtoken_t tokens[OPERATIONS_MAX];
	const char *names[OPERATIONS_MAX];
} pending;

static demi_sgarray_t message;

static void failed(const char *what, int error)
{
	if (!error)
		return;
	fprintf(stderr, "rdma-end: %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

static void say(const char *what, int error)
{
	printf("%s: %s\n", what, strerror(error));
	fflush(stdout);
}

static struct sockaddr_in address_of(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
		failed(text, EINVAL);
	return address;
}

/* What failed to begin has ended, too. */
static void add(const char *name, int error, demi_qtoken_t token)
{
	if (error) {
		say(name, error);
		return;
	}
	pending.names[pending.count] = name;
	pending.tokens[pending.count++] = token;
}

static void pop(const char *name, int qd)
{
	demi_qtoken_t token = 0;
	int error = demi_pop(&token, qd);

	add(name, error, token);
}

static void push(const char *name, int qd)
{
	demi_qtoken_t token = 0;
	int error = demi_push(&token, qd, &message);

	add(name, error, token);
}

static int connected(const char *peer)
{
	struct sockaddr_in address = address_of(peer);
	demi_qresult_t result;
	demi_qtoken_t token;
	int qd;

	FAILED(demi_socket(&qd, AF_INET, SOCK_STREAM, 0));
	FAILED(demi_connect(&token, qd, (struct sockaddr *)&address, sizeof(address)));
	FAILED(demi_wait(&result, token, NULL));
	failed("connect", (int)result.qr_ret);
	return qd;
}

static int bound(const char *own, int type)
{
	struct sockaddr_in address = address_of(own);
	int qd;

	FAILED(demi_socket(&qd, AF_INET, type, 0));
	FAILED(demi_bind(qd, (struct sockaddr *)&address, sizeof(address)));
	return qd;
}

static void wait_for_others(const char *own)
{
	int qd = bound(own, SOCK_STREAM);
	demi_qtoken_t token = 0;

	FAILED(demi_listen(qd, 1));
	FAILED(demi_accept(&token, qd));
	add("accept", 0, token);
	pop("datagram pop", bound(own, SOCK_DGRAM));
}

/* Takes the next operation that has ended from those pending; its name. */
static const char *take(demi_qresult_t *result)
{
	const char *name;
	int which;

	FAILED(demi_wait_any(result, &which, pending.tokens, pending.count, NULL));
	name = pending.names[which];
	pending.count--;
	memmove(&pending.tokens[which], &pending.tokens[which + 1],
		(size_t)(pending.count - which) * sizeof(pending.tokens[0]));
	memmove(&pending.names[which], &pending.names[which + 1],
		(size_t)(pending.count - which) * sizeof(pending.names[0]));
	return name;
}

static void go_on(void)
{
	bool is_said = false;
	demi_qresult_t result;

	while (pending.count > 0) {
		const char *name = take(&result);

		if (result.qr_opcode == DEMI_OPC_FAILED) {
			say(name, (int)result.qr_ret);
		} else if (result.qr_opcode == DEMI_OPC_PUSH) {
			push(name, result.qr_qd);
		} else if (result.qr_value.sga.sga_numsegs > 0) {
			demi_sgafree(&result.qr_value.sga);
			pop(name, result.qr_qd);
			if (!is_said)
				puts("under way");
			fflush(stdout);
			is_said = true;
		} else {
			say(name, 0);
		}
	}
}

int main(int count, char **arguments)
{
	int busy, none, error;

	if (count < 2)
		failed("needs a peer", EINVAL);
	FAILED(demi_init(NULL));
	message = demi_sgaalloc(PUSH_BYTES);
	if (message.sga_numsegs == 0)
		failed("message", ENOMEM);
	memset(message.sga_segs[0].sgaseg_buf, 'x', PUSH_BYTES);
	if (count > 2)
		wait_for_others(arguments[2]);
	pop("idle pop", connected(arguments[1]));
	busy = connected(arguments[1]);
	pop("busy pop", busy);
	push("busy push", busy);
	go_on();
	error = demi_socket(&none, AF_INET, SOCK_STREAM, 0);
	say("socket", error);
	demi_fini();
	return EXIT_SUCCESS;
}
