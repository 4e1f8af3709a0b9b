/* SPDX-License-Identifier: MIT */
/*
 * Datagrams that were kept: one system call for as many as may be. Those of one length to one place go
 * through the kernel's stack as a single message that it cuts apart at the end (UDP_SEGMENT).
 */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "libos/catnap/socket.h"

#define DATAGRAMS_MAX 64u /* of one call */
#define PIECES_MAX 128u   /* and their segments */
/*
 * Longer ones are not put together: each has to fit the path without fragments, which those up to this
 * do on nearly every one.
 */
#define CUT_BYTES_MAX 1232u
#define MESSAGE_BYTES_MAX 65000u /* a little less than any UDP datagram may have */

struct sending {
	unsigned int datagrams, pieces, messages;
	uint32_t lengths[DATAGRAMS_MAX]; /* of each datagram, bytes */
	struct iovec iov[PIECES_MAX];
	struct mmsghdr headers[CATNAP_BURST_MAX];
	uint8_t counts[CATNAP_BURST_MAX]; /* datagrams of each message */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
	} controls[CATNAP_BURST_MAX];
};

static uint32_t iov_length(const struct iovec *iov, unsigned int count)
{
	size_t length = 0;

	for (unsigned int i = 0; i < count; i++)
		length += iov[i].iov_len;
	return (uint32_t)length;
}

/* Whether a datagram goes on with the last message: to the same place, and no longer than the others. */
static bool goes_on(const struct socket *socket, const struct sending *sending,
		    const struct push_request *request, uint32_t length)
{
	const struct msghdr *last;
	uint32_t first_bytes, last_bytes;

	if (!socket->cuts || sending->messages == 0)
		return false;
	last = &sending->headers[sending->messages - 1].msg_hdr;
	first_bytes = sending->lengths[sending->datagrams - sending->counts[sending->messages - 1]];
	last_bytes = sending->lengths[sending->datagrams - 1];
	return length > 0 && length <= first_bytes && first_bytes <= CUT_BYTES_MAX &&
	       last_bytes == first_bytes &&
	       first_bytes * (sending->counts[sending->messages - 1] + 1u) <= MESSAGE_BYTES_MAX &&
	       last->msg_namelen == request->address_length &&
	       (last->msg_namelen == 0 ||
		memcmp(last->msg_name, &request->address, request->address_length) == 0);
}

/* The kernel is told the length at which it has to cut. */
static void set_cut(struct sending *sending, unsigned int message, uint32_t bytes)
{
	struct msghdr *header = &sending->headers[message].msg_hdr;
	struct cmsghdr *part;
	uint16_t cut = (uint16_t)bytes;

	header->msg_control = &sending->controls[message];
	header->msg_controllen = sizeof(sending->controls[message]);
	part = CMSG_FIRSTHDR(header);
	part->cmsg_level = IPPROTO_UDP;
	part->cmsg_type = UDP_SEGMENT;
	part->cmsg_len = CMSG_LEN(sizeof(cut));
	memcpy(CMSG_DATA(part), &cut, sizeof(cut));
}

static void add(struct sending *sending, struct push_request *request, struct iovec *iov,
		unsigned int pieces, bool goes_on)
{
	struct msghdr *header;

	if (goes_on) {
		unsigned int message = sending->messages - 1;

		header = &sending->headers[message].msg_hdr;
		header->msg_iovlen += pieces;
		if (sending->counts[message]++ == 1)
			set_cut(sending, message, sending->lengths[sending->datagrams - 1]);
		return;
	}
	header = &sending->headers[sending->messages].msg_hdr;
	*header = (struct msghdr){.msg_iov = iov, .msg_iovlen = pieces};
	if (request->address_length) {
		header->msg_name = &request->address;
		header->msg_namelen = request->address_length;
	}
	sending->counts[sending->messages++] = 1;
}

/* Of the pushes that wait, what one call sends. */
static void gather(const struct socket *socket, struct sending *sending)
{
	sending->datagrams = sending->pieces = sending->messages = 0;
	for (const struct op *op = socket->pushes.head; op && sending->datagrams < DATAGRAMS_MAX;
	     op = op->next) {
		struct iovec *iov = sending->iov + sending->pieces;
		unsigned int pieces;
		uint32_t length;
		bool on;

		if (PIECES_MAX - sending->pieces < DEMI_SGARRAY_MAXSIZE)
			break;
		pieces = push_request_gather(op->request, iov, DEMI_SGARRAY_MAXSIZE);
		length = iov_length(iov, pieces);
		on = goes_on(socket, sending, op->request, length);
		if (!on && sending->messages == CATNAP_BURST_MAX)
			break;
		add(sending, op->request, iov, pieces, on);
		sending->lengths[sending->datagrams++] = length;
		sending->pieces += pieces;
	}
}

/* Whether the first message was refused because it has to be cut: by this kernel, device or path. */
static bool was_the_cut(const struct sending *sending, int error)
{
	return sending->counts[0] > 1 && (error == EINVAL || error == EIO || error == EMSGSIZE ||
					  error == EOPNOTSUPP || error == ENOPROTOOPT);
}

static int send_messages(struct socket *socket, struct sending *sending)
{
	return sendmmsg(socket->fd, sending->headers, sending->messages,
			MSG_DONTWAIT | MSG_NOSIGNAL);
}

void send_datagrams(struct socket *socket)
{
	struct sending sending;
	int sent = 0;

	while (socket->pushes.head && sent != -EAGAIN) {
		unsigned int datagram = 0;

		gather(socket, &sending);
		sent = send_messages(socket, &sending);
		if (sent < 0 && was_the_cut(&sending, errno)) {
			socket->cuts = false;
			continue;
		}
		if (sent < 0 && transfer_should_send_again(socket))
			sent = send_messages(socket, &sending);
		if (sent < 0) {
			sent = -errno;
			transfer_sent(socket, sent);
		} else if ((unsigned int)sent < sending.messages && socket->receives_errors) {
			/* What the one behind them failed with the call does not tell. */
			socket->errors_wait = true;
		}
		for (int i = 0; i < sent; i++) {
			for (unsigned int left = sending.counts[i]; left > 0; left--)
				transfer_sent(socket, sending.lengths[datagram++]);
		}
	}
}
