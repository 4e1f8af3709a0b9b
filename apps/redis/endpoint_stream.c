/* SPDX-License-Identifier: MIT */
/* What arrives and what is sent. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "endpoint_table.h"

/* Bytes copied into one buffer of a write. */
#define WRITE_BYTES_MAX (64u << 10)

static const demi_sgarray_t *input_at(const struct endpoint *endpoint, size_t number)
{
	return &endpoint->input[(endpoint->input_head + number) & (endpoint->input_room - 1)];
}

size_t endpoint_pieces(const struct endpoint *endpoint, struct endpoint_piece *pieces, size_t room)
{
	size_t count = 0;
	uint32_t skipped = endpoint->byte_at;
	uint32_t at = endpoint->piece_at;

	for (size_t i = 0; i < endpoint->input_count; i++, at = 0) {
		const demi_sgarray_t *sga = input_at(endpoint, i);

		for (; at < sga->sga_numsegs; at++, skipped = 0) {
			if (count == room)
				return count;
			pieces[count].from = (const char *)sga->sga_segs[at].sgaseg_buf + skipped;
			pieces[count++].bytes = sga->sga_segs[at].sgaseg_len - skipped;
		}
	}
	return count;
}

static void next_array(struct endpoint *endpoint)
{
	demi_sgafree(&endpoint->input[endpoint->input_head]);
	endpoint->input_head = (endpoint->input_head + 1) & (endpoint->input_room - 1);
	endpoint->input_count--;
	endpoint->piece_at = 0;
}

void endpoint_take(struct endpoint *endpoint, size_t bytes)
{
	endpoint->input_bytes -= bytes;
	endpoint->input_expected = 0;
	while (bytes != 0) {
		const demi_sgarray_t *sga = input_at(endpoint, 0);
		size_t left = sga->sga_segs[endpoint->piece_at].sgaseg_len - endpoint->byte_at;

		if (bytes < left) {
			endpoint->byte_at += (uint32_t)bytes;
			break;
		}
		bytes -= left;
		endpoint->byte_at = 0;
		if (++endpoint->piece_at == sga->sga_numsegs)
			next_array(endpoint);
	}
	endpoint_receive(endpoint);
	if (endpoint->input_count != 0 || endpoint->pop == 0)
		endpoint_list(endpoint);
}

void endpoint_forget_input(struct endpoint *endpoint)
{
	while (endpoint->input_count != 0)
		next_array(endpoint);
	endpoint->input_bytes = 0;
	endpoint->byte_at = 0;
}

size_t endpoint_input_bytes(const struct endpoint *endpoint)
{
	return endpoint->input_bytes;
}

void endpoint_expect(struct endpoint *endpoint, size_t bytes)
{
	endpoint->input_expected = bytes;
}

bool endpoint_input_full(const struct endpoint *endpoint)
{
	return endpoint->input_bytes >= ENDPOINT_INPUT_BYTES_MAX ||
	       endpoint->input_count >= ENDPOINT_INPUT_ARRAYS_MAX;
}

/* A blocking descriptor waits as long as SO_RCVTIMEO says. */
static bool block(struct endpoint *endpoint, short events)
{
	struct pollfd wanted = {.fd = endpoint->fd, .events = events};
	int64_t timeout = events == POLLIN ? endpoint->receive_timeout_ms : 0;

	return !endpoint->is_nonblocking &&
	       endpoint_poll(&wanted, 1, timeout > 0 ? (int)timeout : -1) > 0;
}

static size_t copy_out(struct endpoint *endpoint, char *to, size_t size)
{
	struct endpoint_piece piece;
	size_t done = 0;

	while (done < size && endpoint_pieces(endpoint, &piece, 1) == 1) {
		size_t bytes = piece.bytes < size - done ? piece.bytes : size - done;

		memcpy(to + done, piece.from, bytes);
		endpoint_take(endpoint, bytes);
		done += bytes;
	}
	return done;
}

ssize_t endpoint_read(int fd, void *to, size_t size)
{
	struct endpoint *endpoint = endpoint_of(fd);
	size_t done, more;

	if (endpoint == NULL)
		return read(fd, to, size);
	if (endpoint->input_count == 0 && endpoint->error == 0 && !endpoint->is_at_end)
		block(endpoint, POLLIN);
	done = more = copy_out(endpoint, to, size);
	/* Of who has much to say there may be more than one pop gives, as in a socket's buffer. */
	while (more >= ENDPOINT_MUCH_BYTES && done < size) {
		endpoint_look();
		more = copy_out(endpoint, (char *)to + done, size - done);
		done += more;
	}
	if (done != 0 || size == 0)
		return (ssize_t)done;
	if (endpoint->error != 0)
		return endpoint_fail(endpoint->error);
	if (endpoint->is_at_end)
		return 0;
	return endpoint_fail(endpoint->kind == ENDPOINT_STREAM ? EAGAIN : ENOTCONN);
}

bool endpoint_room(const struct endpoint *endpoint)
{
	return endpoint->unsent < ENDPOINT_UNSENT_MAX;
}

/* Now, or when the hold ends. @is_array: it is the push's own. Return: 0 or a positive errno. */
static int start(struct endpoint *endpoint, struct endpoint_sending *sending,
		 const demi_sgarray_t *sga, bool is_array)
{
	sending->deferred = NULL;
	if (!endpoint_is_held())
		return demi_push(&sending->token, endpoint->qd, sga);
	return endpoint_defer(endpoint, sending, sga, is_array) ? 0 : ENOMEM;
}

static int push(struct endpoint *endpoint, const demi_sgarray_t *sga, void *const *held,
		size_t held_count, bool is_array)
{
	struct endpoint_sending *sending;
	int error;

	if (endpoint->error != 0)
		return endpoint_fail(endpoint->error);
	sending = demi_malloc(sizeof(*sending) + held_count * sizeof(void *));
	if (sending == NULL)
		return endpoint_fail(ENOMEM);
	error = start(endpoint, sending, sga, is_array);
	if (error != 0) {
		demi_free(sending);
		return endpoint_fail(error);
	}
	sending->next = NULL;
	sending->bytes = 0;
	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		sending->bytes += sga->sga_segs[i].sgaseg_len;
	sending->held_count = held_count;
	if (held_count != 0)
		memcpy(sending->held, held, held_count * sizeof(void *));
	*endpoint->sending_end = sending;
	endpoint->sending_end = &sending->next;
	endpoint->unsent += sending->bytes;
	return 0;
}

int endpoint_push(struct endpoint *endpoint, const demi_sgarray_t *sga, void *const *held,
		  size_t held_count)
{
	return push(endpoint, sga, held, held_count, false);
}

int endpoint_push_array(struct endpoint *endpoint, demi_sgarray_t *sga)
{
	bool is_deferred = endpoint_is_held();
	int error = push(endpoint, sga, NULL, 0, true) == 0 ? 0 : errno;

	if (!is_deferred || error != 0)
		demi_sgafree(sga);
	return error == 0 ? 0 : endpoint_fail(error);
}

/* One buffer of what is in @pieces behind the first @skipped bytes. Return: bytes, or -1 and errno. */
static ssize_t write_once(struct endpoint *endpoint, const struct iovec *pieces, int count,
			  size_t skipped, size_t size)
{
	demi_sgarray_t sga = demi_sgaalloc(size);
	char *to = sga.sga_segs[0].sgaseg_buf;
	size_t done = 0;

	if (sga.sga_buf == NULL)
		return endpoint_fail(ENOMEM);
	for (int i = 0; i < count && done < size; i++) {
		size_t bytes = pieces[i].iov_len;

		if (skipped >= bytes) {
			skipped -= bytes;
			continue;
		}
		bytes -= skipped;
		if (bytes > size - done)
			bytes = size - done;
		memcpy(to + done, (const char *)pieces[i].iov_base + skipped, bytes);
		skipped = 0;
		done += bytes;
	}
	return endpoint_push_array(endpoint, &sga) == 0 ? (ssize_t)size : -1;
}

static ssize_t write_all(struct endpoint *endpoint, const struct iovec *pieces, int count)
{
	size_t size = 0, done = 0;

	for (int i = 0; i < count; i++)
		size += pieces[i].iov_len;
	if (endpoint->kind != ENDPOINT_STREAM)
		return endpoint_fail(endpoint->kind == ENDPOINT_CONNECTING ? EAGAIN : ENOTCONN);
	while (done < size) {
		size_t bytes = size - done < WRITE_BYTES_MAX ? size - done : WRITE_BYTES_MAX;

		if (!endpoint_room(endpoint) && !block(endpoint, POLLOUT))
			break;
		if (write_once(endpoint, pieces, count, done, bytes) < 0) {
			if (done == 0)
				return -1;
			break;
		}
		done += bytes;
	}
	return done != 0 || size == 0 ? (ssize_t)done : endpoint_fail(EAGAIN);
}

ssize_t endpoint_writev(int fd, const struct iovec *pieces, int count)
{
	struct endpoint *endpoint = endpoint_of(fd);

	if (endpoint != NULL)
		return write_all(endpoint, pieces, count);
	endpoint_settle();
	return writev(fd, pieces, count);
}

ssize_t endpoint_write(int fd, const void *from, size_t size)
{
	const struct iovec piece = {.iov_base = (void *)from, .iov_len = size};
	struct endpoint *endpoint = endpoint_of(fd);

	if (endpoint != NULL)
		return write_all(endpoint, &piece, 1);
	endpoint_settle();
	return write(fd, from, size);
}
