/* SPDX-License-Identifier: MIT */
/* A queue of Catnip's that is a UDP socket; datagram_option.c has its options. */
#ifndef DEMI_LIBOS_CATNIP_DATAGRAM_H
#define DEMI_LIBOS_CATNIP_DATAGRAM_H

#include <sys/socket.h>

#include "libos/catnip/catnip.h"
#include "libos/catnip/push.h"
#include "net/udp.h"

struct datagram {
	struct queue queue;
	struct catnip *catnip;
	struct udp_socket udp;
	struct op_list pops;
	struct push_owner pushes;
	struct op *close_op;   /* waits for pushes */
	int error;             /* positive errno of an earlier datagram; told once */
	int send_buffer_bytes; /* SO_SNDBUF: what was set; nothing is kept here to be sent */
	bool keep_alive;       /* SO_KEEPALIVE, SO_LINGER: likewise */
	struct linger linger;
	int multicast_index; /* IPV6_MULTICAST_IF, as it was set */
};

/** datagram_create - an unbound socket of one domain; 0 or -ENOMEM */
int datagram_create(struct catnip *catnip, struct queue **queue_out, bool is_v6);

/** datagram_take_error - the error that is to be told, 0: none; it is told now */
int datagram_take_error(struct datagram *datagram);

/**
 * datagram_set_option, datagram_get_option - setsockopt(2), getsockopt(2)
 *
 * Return: 0; -ENOTSUP (level); -ENOPROTOOPT (option, or not for this direction or domain); -EINVAL
 * (value or length); what the option's function says.
 */
int datagram_set_option(struct queue *queue, int level, int name, const void *value,
			socklen_t length);
int datagram_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length);

/** datagram_is_group_option - one of those that the next two serve (datagram_group.c) */
bool datagram_is_group_option(const struct datagram *datagram, int level, int name);

/**
 * datagram_set_group_option, datagram_get_group_option - membership of groups, and the interface by
 * which datagrams go to them
 *
 * Return: 0; -EINVAL (value or length); -ENODEV, -EADDRNOTAVAIL (an interface that we do not have);
 * -ENOPROTOOPT (membership cannot be read); what udp_join and udp_leave say.
 */
int datagram_set_group_option(struct datagram *datagram, int level, int name, const void *value,
			      socklen_t length);
int datagram_get_group_option(const struct datagram *datagram, int level, int name, void *value,
			      socklen_t *length);

#endif /* DEMI_LIBOS_CATNIP_DATAGRAM_H */
