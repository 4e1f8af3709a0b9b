/* SPDX-License-Identifier: MIT */
/*
 * demi-bench-send server ADDRESS PORT
 * demi-bench-send client ADDRESS PORT BYTES COUNT
 *
 * One way: COUNT messages of BYTES, up to DEPTH of them at a time, and one message back when all have come.
 * The client prints MiB a second. Over whatever libOS the environment says; the server serves one client.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <demi/demi.h>

#define DEPTH 16u
#define FIRST_BYTES 16u /* the client's first message: how many bytes will come */

static void must(int error, const char *what)
{
	if (error == 0)
		return;
	fprintf(stderr, "demi-bench-send: %s: %s\n", what, strerror(error));
	exit(1);
}

static demi_qresult_t await(demi_qtoken_t token)
{
	demi_qresult_t result;

	must(demi_wait(&result, token, NULL), "wait");
	if (result.qr_opcode == DEMI_OPC_FAILED)
		must((int)result.qr_ret, "an operation");
	return result;
}

static void send_bytes(int qd, const void *data, size_t bytes)
{
	demi_sgarray_t array = demi_sgaalloc(bytes);
	demi_qtoken_t token = 0;

	must(array.sga_buf ? 0 : ENOMEM, "allocation");
	memcpy(array.sga_segs[0].sgaseg_buf, data, bytes);
	must(demi_push(&token, qd, &array), "push");
	must(demi_sgafree(&array), "free");
	await(token);
}

static size_t bytes_of(const demi_sgarray_t *array)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < array->sga_numsegs; i++)
		bytes += array->sga_segs[i].sgaseg_len;
	return bytes;
}

/* One pop; what has come, of which up to @room bytes are copied. 0: the end. */
static size_t receive(int qd, void *to, size_t room)
{
	demi_qtoken_t token = 0;
	demi_qresult_t result;
	size_t bytes;

	must(demi_pop(&token, qd), "pop");
	result = await(token);
	bytes = bytes_of(&result.qr_value.sga);
	if (room > result.qr_value.sga.sga_segs[0].sgaseg_len)
		room = result.qr_value.sga.sga_segs[0].sgaseg_len;
	if (room != 0)
		memcpy(to, result.qr_value.sga.sga_segs[0].sgaseg_buf, room);
	must(demi_sgafree(&result.qr_value.sga), "free");
	return bytes;
}

static void serve(const struct sockaddr_in *address)
{
	char first[FIRST_BYTES + 1] = "";
	demi_qtoken_t token = 0;
	size_t expected, got;
	int listener, qd;

	must(demi_socket(&listener, AF_INET, SOCK_STREAM, 0), "socket");
	must(demi_bind(listener, (const struct sockaddr *)address, sizeof(*address)), "bind");
	must(demi_listen(listener, 1), "listen");
	must(demi_accept(&token, listener), "accept");
	puts("listening");
	fflush(stdout);
	qd = await(token).qr_value.ares.qd;
	/* A stream may bring others with it. */
	got = receive(qd, first, FIRST_BYTES);
	must(got >= FIRST_BYTES ? 0 : EPROTO, "the first message");
	got -= FIRST_BYTES;
	expected = strtoull(first, NULL, 10);
	while (got < expected) {
		size_t bytes = receive(qd, NULL, 0);

		must(bytes ? 0 : ECONNRESET, "a message");
		got += bytes;
	}
	send_bytes(qd, "done", 4);
	/* Until the client has gone. */
	while (receive(qd, NULL, 0) > 0)
		;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void send_all(int qd, size_t bytes, unsigned long count)
{
	demi_qtoken_t tokens[DEPTH];
	demi_sgarray_t array = demi_sgaalloc(bytes);

	must(array.sga_buf ? 0 : ENOMEM, "allocation");
	memset(array.sga_segs[0].sgaseg_buf, 'x', bytes);
	for (unsigned long i = 0; i < count; i++) {
		if (i >= DEPTH)
			await(tokens[i % DEPTH]);
		must(demi_push(&tokens[i % DEPTH], qd, &array), "push");
	}
	for (unsigned long i = count > DEPTH ? count - DEPTH : 0; i < count; i++)
		await(tokens[i % DEPTH]);
	must(demi_sgafree(&array), "free");
}

static void send_to(const struct sockaddr_in *address, size_t bytes, unsigned long count)
{
	demi_qtoken_t token = 0;
	char first[FIRST_BYTES + 1], answer[4];
	double began_s;
	int qd;

	must(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), "socket");
	must(demi_connect(&token, qd, (const struct sockaddr *)address, sizeof(*address)),
	     "connect");
	await(token);
	snprintf(first, sizeof(first), "%016llu", (unsigned long long)bytes * count);
	send_bytes(qd, first, FIRST_BYTES);
	began_s = now_s();
	send_all(qd, bytes, count);
	must(receive(qd, answer, sizeof(answer)) == sizeof(answer) ? 0 : EPROTO, "the answer");
	printf("%.3f\n", (double)bytes * (double)count / (now_s() - began_s) / (1 << 20));
	must(demi_close(qd), "close");
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};

	if ((argc != 4 || strcmp(argv[1], "server") != 0) &&
	    (argc != 6 || strcmp(argv[1], "client") != 0)) {
		fputs("usage: demi-bench-send server ADDRESS PORT\n"
		      "       demi-bench-send client ADDRESS PORT BYTES COUNT\n",
		      stderr);
		return 2;
	}
	must(inet_pton(AF_INET, argv[2], &address.sin_addr) == 1 ? 0 : EINVAL, argv[2]);
	address.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
	must(demi_init(NULL), "demi_init");
	if (argc == 4)
		serve(&address);
	else
		send_to(&address, strtoull(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
	demi_fini();
	return 0;
}
