/* SPDX-License-Identifier: MIT */
/* What the datagram sockets of a runtime share: birth, rounds, end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "libos/catmint/datagram.h"

static void parts_timer(struct timer *timer, uint64_t now_ns)
{
	struct dgrams *dgrams = container_of(timer, struct dgrams, timer);
	uint64_t next_ns = parts_expire(dgrams->parts, now_ns);

	dgrams->mint->counters.datagrams_dropped += parts_take_dropped(dgrams->parts);
	if (next_ns != UINT64_MAX)
		timer_arm(&dgrams->mint->context->sched.timers, timer, next_ns);
}

void dgrams_watch_parts(struct dgrams *dgrams)
{
	struct catmint *mint = dgrams->mint;

	if (!timer_is_armed(&dgrams->timer))
		timer_arm(&mint->context->sched.timers, &dgrams->timer,
			  mint->context->now_ns + PARTS_TIMEOUT_NS);
}

static int look_at_device(struct dgrams *dgrams)
{
	const struct catmint *mint = dgrams->mint;
	struct ibv_device_attr device;
	struct ibv_port_attr port;
	int error = mint->calls->query_port(mint->verbs, mint->port, &port);

	if (!error)
		error = mint->calls->query_device(mint->verbs, &device);
	if (error)
		return -error;
	dgrams->buffers_max = (uint32_t)device.max_qp_wr;
	dgrams->takes = 128u << port.active_mtu;
	if (dgrams->takes > mint->pool.bytes - DGRAM_GRH_BYTES)
		dgrams->takes = mint->pool.bytes - DGRAM_GRH_BYTES;
	dgrams->has_ip_header = port.link_layer == IBV_LINK_LAYER_ETHERNET;
	dgrams->inline_bytes = mint->limits.copy_bytes + MESSAGE_DATAGRAM_BYTES;
	return 0;
}

static int create_parts(struct dgrams *dgrams)
{
	uint64_t seed;
	int error;

	/* As of every other table that peers fill. */
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
		log_error("catmint: the system gives no random bytes: %s", strerror(errno));
		return -EIO;
	}
	error = look_at_device(dgrams);
	if (!error)
		error = parts_create(&dgrams->parts, dgrams->mint->context->heap);
	if (!error)
		error = destination_table_init(&dgrams->destinations, DGRAM_DESTINATIONS_MAX, seed);
	return error;
}

int dgrams_get(struct catmint *mint, struct dgrams **dgrams_out)
{
	struct dgrams *dgrams = mint->dgrams;
	int error;

	*dgrams_out = dgrams;
	if (dgrams)
		return 0;
	dgrams = calloc(1, sizeof(*dgrams));
	if (!dgrams)
		return -ENOMEM;
	dgrams->mint = mint;
	timer_init(&dgrams->timer, parts_timer);
	error = create_parts(dgrams);
	if (error) {
		dgrams_destroy(dgrams);
		return error;
	}
	*dgrams_out = mint->dgrams = dgrams;
	return 0;
}

void dgrams_destroy(struct dgrams *dgrams)
{
	if (!dgrams)
		return;
	while (dgrams->destinations.oldest)
		destination_forget(dgrams->destinations.oldest, 0);
	timer_cancel(&dgrams->mint->context->sched.timers, &dgrams->timer);
	destination_table_fini(&dgrams->destinations);
	parts_destroy(dgrams->parts);
	pair_table_fini(&dgrams->table);
	free(dgrams);
}

void dgrams_run(struct dgrams *dgrams)
{
	struct dgram_pair *pair = dgrams->work, *next;

	dgrams->work = NULL;
	for (; pair; pair = next) {
		next = pair->work_next;
		pair->in_work = false;
		if (dgram_pair_work(pair))
			dgram_pair_add_work(pair);
	}
}

void dgrams_close(struct dgrams *dgrams)
{
	struct dgram_socket *socket = dgrams->sockets, *next;

	for (; socket; socket = next) {
		next = socket->next;
		socket->close_op = NULL;
		/* Its pushes are what it waits for. */
		dgram_unbind(socket);
	}
}

void dgrams_end(struct dgrams *dgrams)
{
	while (dgrams->destinations.oldest)
		destination_forget(dgrams->destinations.oldest, 0);
	while (dgrams->pairs)
		dgram_pair_free(dgrams->pairs);
	dgrams->work = NULL;
}

void dgrams_fail(struct dgrams *dgrams, int error)
{
	struct dgram_socket *socket = dgrams->sockets, *next;

	while (dgrams->destinations.oldest)
		destination_forget(dgrams->destinations.oldest, error);
	for (; socket; socket = next) {
		struct op *op;

		next = socket->next;
		while ((op = op_list_take(&socket->pops)))
			dgram_complete(socket, op, error);
		socket->users++;
		if (socket->pair) {
			struct dgram_pair *pair = socket->pair;

			socket->pair = NULL;
			dgram_pair_bury(pair, error, true);
		}
		dgram_release(socket);
	}
}

void dgrams_pair_failed(struct dgrams *dgrams, uint32_t number)
{
	struct dgram_pair *pair = pair_table_find(&dgrams->table, number);

	if (!pair)
		return;
	pair->is_doomed = true;
	dgram_pair_add_work(pair);
}
