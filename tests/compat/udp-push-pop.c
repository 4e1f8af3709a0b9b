/* SPDX-License-Identifier: MIT */
/*
 * UDP between two sockets of one process, written as programs for the C API of Demikernel are:
 * pushto, pop, the source in sga_addr, wait_any over an array in which tokens are replaced.
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

#define DATA_SIZE 1024
#define MAX_ROUNDS 1024

/* These programs know no port 0: take the first free one. */
static int bound_socket(struct sockaddr_in *local)
{
	static uint16_t next_port = 21000;
	int sockqd = -1, error = EADDRINUSE;

	assert(demi_socket(&sockqd, AF_INET, SOCK_DGRAM, 0) == 0);
	memset(local, 0, sizeof(*local));
	local->sin_family = AF_INET;
	assert(inet_pton(AF_INET, "127.0.0.1", &local->sin_addr) == 1);
	for (int attempt = 0; attempt < 1000 && error == EADDRINUSE; attempt++) {
		local->sin_port = htons(next_port++);
		error = demi_bind(sockqd, (const struct sockaddr *)local, sizeof(*local));
	}
	assert(error == 0);
	return sockqd;
}

int main(int argc, char *const argv[])
{
	const struct demi_args args = {.argc = argc, .argv = argv, .callback = NULL};
	const struct timespec timeout = {.tv_sec = 10, .tv_nsec = 0};
	struct sockaddr_in here, there;
	demi_qtoken_t qts[2];
	demi_qresult_t qr;
	int sender, receiver, offset, popped = 0, pushed = 0;

	assert(demi_init(&args) == 0);
	sender = bound_socket(&here);
	receiver = bound_socket(&there);

	memset(qts, 0, sizeof(qts));
	assert(demi_pop(&qts[0], receiver) == 0);
	while (popped < MAX_ROUNDS) {
		if (pushed == popped) {
			demi_sgarray_t sga = demi_sgaalloc(DATA_SIZE);

			assert(sga.sga_numsegs == 1);
			memset(sga.sga_segs[0].sgaseg_buf, pushed & 0xff, DATA_SIZE);
			assert(demi_pushto(&qts[1], sender, &sga, (const struct sockaddr *)&there,
					   sizeof(there)) == 0);
			assert(demi_wait(&qr, qts[1], &timeout) == 0);
			assert(qr.qr_opcode == DEMI_OPC_PUSH);
			assert(qr.qr_qd == sender);
			assert(demi_sgafree(&sga) == 0);
			pushed++;
		}

		offset = -1;
		assert(demi_wait_any(&qr, &offset, qts, 1, &timeout) == 0);
		assert(offset == 0);
		assert(qr.qr_opcode == DEMI_OPC_POP);
		assert(qr.qr_qd == receiver);
		assert(qr.qr_value.sga.sga_numsegs == 1);
		assert(qr.qr_value.sga.sga_segs[0].sgaseg_len == DATA_SIZE);
		assert(qr.qr_value.sga.sga_addr.sin_family == AF_INET);
		assert(qr.qr_value.sga.sga_addr.sin_port == here.sin_port);
		assert(qr.qr_value.sga.sga_addr.sin_addr.s_addr == here.sin_addr.s_addr);
		{
			const uint8_t *buf = qr.qr_value.sga.sga_segs[0].sgaseg_buf;

			for (int i = 0; i < DATA_SIZE; i++)
				assert(buf[i] == (popped & 0xff));
		}
		assert(demi_sgafree(&qr.qr_value.sga) == 0);
		popped++;
		assert(demi_pop(&qts[0], receiver) == 0);
	}

	/* Whatever is next, of which there is nothing. */
	{
		const struct timespec moment = {.tv_sec = 0, .tv_nsec = 1000000};
		int count = -1;

		assert(demi_wait_next_n(&qr, 1, &count, &moment) == ETIMEDOUT);
		assert(count == 0);
	}
	assert(demi_close(sender) == 0);
	assert(demi_close(receiver) == 0);
	assert(demi_close(receiver) == EBADF);
	return EXIT_SUCCESS;
}
