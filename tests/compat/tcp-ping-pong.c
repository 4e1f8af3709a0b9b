/* SPDX-License-Identifier: MIT */
/*
 * TCP ping-pong, written as programs for the C API of Demikernel are: only its headers and its
 * calls, IPv4 addresses, one segment an array, NULL timeouts, assert on everything.
 *
 *	tcp-ping-pong --server ADDRESS PORT
 *	tcp-ping-pong --client ADDRESS PORT
 *
 * The server prints "listening" once it is; it exits with 2 when the port is taken.
 */
#undef NDEBUG
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/wait.h>

#define DATA_SIZE 64
#define MAX_MSGS 1024
#define MAX_BYTES ((size_t)DATA_SIZE * MAX_MSGS)

static void push_wait(int qd, demi_sgarray_t *sga, demi_qresult_t *qr)
{
	demi_qtoken_t qt = 0;

	assert(demi_push(&qt, qd, sga) == 0);
	assert(demi_wait(qr, qt, NULL) == 0);
	assert(qr->qr_opcode == DEMI_OPC_PUSH);
	assert(qr->qr_qd == qd);
}

static void pop_wait(int qd, demi_qresult_t *qr)
{
	demi_qtoken_t qt = 0;

	assert(demi_pop(&qt, qd) == 0);
	assert(demi_wait(qr, qt, NULL) == 0);
	assert(qr->qr_opcode == DEMI_OPC_POP);
	assert(qr->qr_qd == qd);
	assert(qr->qr_value.sga.sga_numsegs == 1);
}

static int server(const struct sockaddr_in *local)
{
	demi_qresult_t qr;
	demi_qtoken_t qt = 0;
	size_t bytes = 0;
	int sockqd = -1, connection, error;

	assert(demi_socket(&sockqd, AF_INET, SOCK_STREAM, 0) == 0);
	error = demi_bind(sockqd, (const struct sockaddr *)local, sizeof(*local));
	if (error == EADDRINUSE)
		return 2;
	assert(error == 0);
	assert(demi_listen(sockqd, 16) == 0);
	printf("listening\n");
	fflush(stdout);

	assert(demi_accept(&qt, sockqd) == 0);
	assert(demi_wait(&qr, qt, NULL) == 0);
	assert(qr.qr_opcode == DEMI_OPC_ACCEPT);
	assert(qr.qr_qd == sockqd);
	connection = qr.qr_value.ares.qd;

	while (bytes < MAX_BYTES) {
		demi_sgarray_t sga;

		pop_wait(connection, &qr);
		memcpy(&sga, &qr.qr_value.sga, sizeof(sga));
		assert(sga.sga_segs[0].sgaseg_len > 0);
		bytes += sga.sga_segs[0].sgaseg_len;
		push_wait(connection, &sga, &qr);
		assert(demi_sgafree(&sga) == 0);
	}

	/* The client closes first. */
	pop_wait(connection, &qr);
	assert(qr.qr_value.sga.sga_segs[0].sgaseg_len == 0);
	assert(demi_sgafree(&qr.qr_value.sga) == 0);
	assert(demi_close(connection) == 0);
	assert(demi_close(sockqd) == 0);
	return 0;
}

static int client(const struct sockaddr_in *remote)
{
	demi_qresult_t qr;
	demi_qtoken_t qt = 0;
	int sockqd = -1;

	assert(demi_socket(&sockqd, AF_INET, SOCK_STREAM, 0) == 0);
	assert(demi_connect(&qt, sockqd, (const struct sockaddr *)remote, sizeof(*remote)) == 0);
	assert(demi_wait(&qr, qt, NULL) == 0);
	assert(qr.qr_opcode == DEMI_OPC_CONNECT);

	for (int i = 0; i < MAX_MSGS; i++) {
		demi_sgarray_t sga = demi_sgaalloc(DATA_SIZE);
		uint32_t received = 0;

		assert(sga.sga_segs != NULL);
		assert(sga.sga_numsegs == 1);
		assert(sga.sga_segs[0].sgaseg_len == DATA_SIZE);
		memset(sga.sga_segs[0].sgaseg_buf, i & 0xff, DATA_SIZE);
		push_wait(sockqd, &sga, &qr);
		assert(demi_sgafree(&sga) == 0);

		while (received < DATA_SIZE) {
			const uint8_t *buf;

			pop_wait(sockqd, &qr);
			buf = qr.qr_value.sga.sga_segs[0].sgaseg_buf;
			for (uint32_t j = 0; j < qr.qr_value.sga.sga_segs[0].sgaseg_len; j++)
				assert(buf[j] == (i & 0xff));
			received += qr.qr_value.sga.sga_segs[0].sgaseg_len;
			assert(demi_sgafree(&qr.qr_value.sga) == 0);
		}
		assert(received == DATA_SIZE);
	}
	assert(demi_close(sockqd) == 0);
	return 0;
}

int main(int argc, char *const argv[])
{
	struct sockaddr_in address;
	const struct demi_args args = {
		.argc = argc,
		.argv = argv,
		.callback = NULL,
	};

	if (argc != 4) {
		fprintf(stderr, "usage: %s --server|--client ADDRESS PORT\n", argv[0]);
		return 1;
	}
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	assert(inet_pton(AF_INET, argv[2], &address.sin_addr) == 1);
	address.sin_port = htons((uint16_t)atoi(argv[3]));

	assert(demi_init(&args) == 0);
	if (strcmp(argv[1], "--server") == 0)
		return server(&address);
	if (strcmp(argv[1], "--client") == 0)
		return client(&address);
	return 1;
}
