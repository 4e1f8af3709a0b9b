/* SPDX-License-Identifier: MIT */
/* The UMEM and the sockets that share it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "netdev/afxdp.h"

/* Of Linux 5.11 and 6.6; older headers lack them. */
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif

/* After a close the kernel lets go of the queue a little later. */
#define BUSY_RETRY_NS 10000000
#define BUSY_RETRIES 300
/* The kernel copies what it sends, except in zero-copy, into memory that counts for the socket. */
#define SEND_BUFFER_BYTES (4 << 20)

static int queue_open(struct afxdp *afxdp, struct afxdp_queue *queue, uint16_t bind_flags)
{
	const struct xsk_socket_config config = {
		.rx_size = afxdp->fill_count,
		.tx_size = AFXDP_SENT_MAX,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = bind_flags,
	};
	bool sends = queue == afxdp->queues;
	int error;

	error = xsk_socket__create_shared(&queue->socket, afxdp->interface, queue->number,
					  afxdp->umem, &queue->rx, sends ? &queue->tx : NULL,
					  &queue->fill, &queue->completion, &config);
	if (error) {
		queue->socket = NULL;
		return error;
	}
	queue->fd = xsk_socket__fd(queue->socket);
	fcntl(queue->fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

void afxdp_sockets_close(struct afxdp *afxdp)
{
	/* The first one's descriptor is the UMEM's, which goes last. */
	for (uint32_t i = afxdp->queue_count; i-- > 0;) {
		xsk_socket__delete(afxdp->queues[i].socket);
		afxdp->queues[i].socket = NULL;
		afxdp->queues[i].fd = -1;
	}
	xsk_umem__delete(afxdp->umem);
	afxdp->umem = NULL;
}

/* All sockets, with the flags given to the first: the others do as it does. */
static int sockets_try(struct afxdp *afxdp, uint16_t bind_flags)
{
	const struct xsk_umem_config config = {
		.fill_size = afxdp->fill_count,
		.comp_size = AFXDP_SENT_MAX,
		.frame_size = AFXDP_CHUNK_BYTES,
		.frame_headroom = AFXDP_ROOM_OFFSET,
	};
	int error;

	error = xsk_umem__create(&afxdp->umem, afxdp->memory, afxdp->memory_bytes,
				 &afxdp->queues[0].fill, &afxdp->queues[0].completion, &config);
	if (error)
		afxdp->umem = NULL;
	for (uint32_t i = 0; i < afxdp->queue_count && !error; i++)
		error = queue_open(afxdp, &afxdp->queues[i], bind_flags);
	if (error)
		afxdp_sockets_close(afxdp);
	return error;
}

static int sockets_try_patiently(struct afxdp *afxdp, uint16_t bind_flags)
{
	const struct timespec pause = {.tv_nsec = BUSY_RETRY_NS};
	int error = sockets_try(afxdp, bind_flags);

	for (unsigned int i = 0; i < BUSY_RETRIES && error == -EBUSY; i++) {
		nanosleep(&pause, NULL);
		error = sockets_try(afxdp, bind_flags);
	}
	return error;
}

/* Explain why the last way to bind failed. */
static int refuse(const struct afxdp *afxdp, const struct afxdp_settings *settings, int error)
{
	const char *name = afxdp->device.name;
	char queues[AFXDP_QUEUES_TEXT_BYTES];

	afxdp_queues_say(settings, queues);
	switch (-error) {
	case EPERM:
	case EACCES:
		log_error("%s: no permission for AF_XDP; it needs root or the capabilities "
			  "CAP_NET_RAW, CAP_BPF and CAP_NET_ADMIN",
			  name);
		break;
	case EAFNOSUPPORT:
		log_error("%s: this kernel has no AF_XDP; use one with CONFIG_XDP_SOCKETS, or tap:",
			  name);
		break;
	case EBUSY:
		log_error(
			"%s: %s: in use by another AF_XDP socket; end the program that has it, or "
			"give another queue=",
			name, queues);
		break;
	case EOPNOTSUPP:
		log_error("%s: the driver does not do %s; set afxdp.mode to %s", name,
			  settings->mode == CONFIG_AFXDP_ZERO_COPY ? "zero-copy" : "AF_XDP",
			  settings->mode == CONFIG_AFXDP_COPY ? "auto" : "copy");
		break;
	case EINVAL:
		log_error(
			"%s: cannot bind %s: has the interface so many? See \"ethtool -l %s\", and "
			"give queue= and queues=",
			name, queues, afxdp->interface);
		break;
	case ENETDOWN:
		log_error(
			"%s: the driver gives no queue while the interface is down; \"ip link set "
			"dev %s up\"",
			name, afxdp->interface);
		break;
	case ENOBUFS:
		log_error("%s: may not lock %zu bytes of memory; raise \"ulimit -l\", give "
			  "CAP_IPC_LOCK, or lower net.frames",
			  name, afxdp->memory_bytes);
		break;
	default:
		log_error("%s: cannot open AF_XDP sockets: %s", name, strerror(-error));
	}
	return error;
}

/*
 * The ways to bind, best first. Zero-copy is asked for by itself, since the kernel would rather
 * copy than do zero-copy without the other thing that is asked for.
 */
static int sockets_bind(struct afxdp *afxdp, const struct afxdp_settings *settings)
{
	static const uint16_t ways[] = {
		XDP_ZEROCOPY | XDP_USE_SG,
		XDP_ZEROCOPY,
		XDP_COPY | XDP_USE_SG,
		XDP_COPY,
	};
	char queues[AFXDP_QUEUES_TEXT_BYTES];
	int error = -EOPNOTSUPP;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		bool zero_copy = ways[i] & XDP_ZEROCOPY;

		if (settings->mode == (zero_copy ? CONFIG_AFXDP_COPY : CONFIG_AFXDP_ZERO_COPY) ||
		    (zero_copy && afxdp->steer.generic))
			continue;
		error = sockets_try_patiently(afxdp, ways[i] | XDP_USE_NEED_WAKEUP);
		if (!error) {
			afxdp->zero_copy = zero_copy;
			afxdp->can_scatter = ways[i] & XDP_USE_SG;
			/* Who copies anyway is faster with one piece than with a page for each. */
			afxdp->scatter = afxdp->can_scatter && zero_copy;
			afxdp_queues_say(settings, queues);
			log_info("%s: %s, %s%s, XDP %s", afxdp->device.name, queues,
				 zero_copy ? "zero-copy" : "copying",
				 afxdp->can_scatter ? ", several descriptors a frame" : "",
				 afxdp->steer.generic ? "above the driver" : "in the driver");
			return 0;
		}
		if (error == -EBUSY || error == -EPERM || error == -EAFNOSUPPORT)
			break;
	}
	return refuse(afxdp, settings, error);
}

/* Options that only make things better: an older kernel refuses them, without harm. */
static void queue_tune(struct afxdp *afxdp, const struct afxdp_queue *queue, uint32_t busy_poll_us)
{
	const int bytes = SEND_BUFFER_BYTES;
	const int prefer = 1;
	const int budget = NETDEV_BURST_MAX;

	setsockopt(queue->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	if (busy_poll_us == 0)
		return;
	if (setsockopt(queue->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &prefer, sizeof(prefer)) ||
	    setsockopt(queue->fd, SOL_SOCKET, SO_BUSY_POLL, &busy_poll_us, sizeof(busy_poll_us)) ||
	    setsockopt(queue->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)))
		log_warning(
			"%s: no busy polling: %s; set afxdp.busy_poll_us to 0, or use Linux 5.11 "
			"or later",
			afxdp->device.name, strerror(errno));
	else
		afxdp->busy_poll = true;
}

int afxdp_sockets_open(struct afxdp *afxdp, const struct afxdp_settings *settings)
{
	int error = sockets_bind(afxdp, settings);

	for (uint32_t i = 0; i < afxdp->queue_count && !error; i++) {
		struct afxdp_queue *queue = &afxdp->queues[i];

		queue_tune(afxdp, queue, settings->busy_poll_us);
		queue->wanted = afxdp->fill_count < AFXDP_FILL_START ? afxdp->fill_count
								     : AFXDP_FILL_START;
		afxdp_fill(afxdp, queue);
		error = steer_add_socket(&afxdp->steer, queue->number, queue->fd);
		if (error)
			log_error("%s: cannot steer queue %u: %s; set afxdp.queue",
				  afxdp->device.name, queue->number, strerror(-error));
	}
	return error;
}
