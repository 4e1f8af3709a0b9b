/* SPDX-License-Identifier: MIT */
/* Errors of ICMP, from the kernel's queue of them (ip(7), IP_RECVERR) to pops. */
#include <time.h> /* before linux/errqueue.h, which needs it */

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>

#include "heap/buf.h"
#include "libos/catnap/socket.h"

/* What the kernel tells of an ICMP error, in a message of its queue of errors; NULL: of another one. */
static const struct sock_extended_err *report_in(struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		const struct sock_extended_err *report = (const void *)CMSG_DATA(part);

		if (((part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
		     (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR)) &&
		    (report->ee_origin == SO_EE_ORIGIN_ICMP ||
		     report->ee_origin == SO_EE_ORIGIN_ICMP6))
			return report;
	}
	return NULL;
}

void report_receive(struct socket *socket)
{
	struct heap *heap = socket->catnap->context->heap;
	struct buf *buf = buf_alloc(heap, sizeof(struct sock_extended_err));
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) +
				      sizeof(struct sockaddr_in6))];
	} control;
	struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof(control)};
	const struct sock_extended_err *report;
	struct op_table *ops = &socket->catnap->context->ops;
	struct op *op;

	if (!buf) {
		op_complete(ops, op_list_take(&socket->pops), ENOMEM);
		return;
	}
	message.msg_name = &buf->source;
	message.msg_namelen = sizeof(buf->source);
	if (recvmsg(socket->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
		socket->errors_wait = false;
		buf_free(heap, buf);
		return;
	}
	report = report_in(&message);
	if (!report) {
		buf_free(heap, buf);
		return;
	}
	memcpy(buf->data, report, sizeof(*report));
	buf->length = sizeof(*report);
	op = op_list_take(&socket->pops);
	op->result.buf = buf;
	op_complete(ops, op, (int)report->ee_errno);
}
