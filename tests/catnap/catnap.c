/* SPDX-License-Identifier: MIT */
#include "catnap.h"

#include <sys/resource.h>

static int files_before;

int catnap_setup(void **state)
{
	files_before = open_files();
	return setup(state);
}

int catnap_teardown(void **state)
{
	int files;

	teardown(state);
	files = open_files();
	if (files == files_before)
		return 0;
	print_error("%d descriptors before, %d after\n", files_before, files);
	return -1;
}

void catnap_restart(void)
{
	demi_fini();
	assert_int_equal(setup(NULL), 0);
}

void poll_once(void)
{
	demi_qtoken_t qt;
	demi_qresult_t qr;
	int qd;

	check_call(demi_queue(&qd), 0);
	check_call(demi_pop(&qt, qd), 0);
	check_call(demi_wait(&qr, qt, &wait_none), ETIMEDOUT);
	check_call(demi_close(qd), 0);
	await_error(qt, ECANCELED);
}

void connections_open(int listener, const struct address *address, struct connection *connections,
		      size_t count)
{
	for (size_t i = 0; i < count; i++) {
		demi_qtoken_t accepting;

		check_call(demi_accept(&accepting, listener), 0);
		connections[i] = (struct connection){.fd = peer_connect(address)};
		connections[i].qd = await_opcode(accepting, DEMI_OPC_ACCEPT).qr_value.ares.qd;
	}
}

void connections_close(struct connection *connections, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check_call(demi_close(connections[i].qd), 0);
		close(connections[i].fd);
	}
}

bool files_allowed(size_t count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return false;
	if (limit.rlim_cur >= count)
		return true;
	limit.rlim_cur = count;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

void sga_split(demi_sgarray_t *sga, uint32_t count)
{
	unsigned char *start = sga->sga_segs[0].sgaseg_buf;
	uint32_t left = sga->sga_segs[0].sgaseg_len;

	for (uint32_t i = 0; i + 1 < count; i++) {
		uint32_t length = i % 2 ? left / 2 : 1;

		if (left - length < count - i - 1)
			length = 1;
		sga->sga_segs[i].sgaseg_buf = start;
		sga->sga_segs[i].sgaseg_len = length;
		start += length;
		left -= length;
	}
	sga->sga_segs[count - 1].sgaseg_buf = start;
	sga->sga_segs[count - 1].sgaseg_len = left;
	sga->sga_numsegs = count;
}

demi_qtoken_t push_split(int qd, size_t size, unsigned int seed, uint64_t offset, uint32_t segments)
{
	demi_sgarray_t sga = sga_pattern(size, seed, offset);
	demi_qtoken_t qt;

	sga_split(&sga, size < segments ? (uint32_t)size : segments);
	qt = push_sga(qd, &sga);
	check_call(demi_sgafree(&sga), 0);
	return qt;
}

size_t peer_read(int fd, size_t most, unsigned int seed, uint64_t offset)
{
	static uint8_t bytes[64 * KIB];
	ssize_t got = recv(fd, bytes, most < sizeof(bytes) ? most : sizeof(bytes), MSG_DONTWAIT);

	if (got < 0) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	assert_true(got > 0);
	pattern_check(bytes, (size_t)got, seed, offset);
	return (size_t)got;
}

void send_buffer(int qd, int bytes)
{
	check_call(demi_setsockopt(qd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
}
