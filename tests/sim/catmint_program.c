/* SPDX-License-Identifier: MIT */
/* What programs do with Catmint, at random. */
#include "catmint_judge.h"

#include <netinet/in.h>

/* ---- Operations ---- */

static struct op *issue(struct end *end, enum demi_opcode opcode)
{
	host_wake(end->host);
	return op_alloc(&end->host->context.ops, opcode, end->queue, end->queue->qd);
}

static struct sockaddr_in6 address_of(const struct host *host, uint16_t port, bool is_v6,
				      socklen_t *length)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(0x0a000000u + host->number)};

	v6.sin6_addr.s6_addr[0] = 0xfd;
	v6.sin6_addr.s6_addr[15] = (uint8_t)host->number;
	*length = is_v6 ? sizeof(v6) : sizeof(v4);
	if (!is_v6)
		memcpy(&v6, &v4, sizeof(v4));
	return v6;
}

static struct queue *make_socket(struct host *host, bool is_v6, uint16_t port)
{
	struct sockaddr_in6 address;
	struct queue *queue;
	socklen_t length;

	host_wake(host);
	if (catmint_ops.socket(host->libos, &queue, is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0))
		return NULL;
	assert_int_equal(queue_table_add(&host->context.queues, queue), 0);
	address = address_of(host, port, is_v6, &length);
	if (queue->ops->bind(queue, (struct sockaddr *)&address, length) == 0)
		return queue;
	world_demand(host->is_dead, "a socket cannot be bound");
	queue_table_remove(&host->context.queues, queue);
	queue->ops->close(queue);
	return NULL;
}

void program_listen(struct host *host)
{
	struct queue *queue = make_socket(host, false, PORT_LISTEN);
	int backlog = 1 + (int)world_random(CHANNELS);

	assert_non_null(queue);
	assert_int_equal(queue->ops->listen(queue, backlog), 0);
	judge.listeners[host->number - 1] = queue;
}

static void accept_more(struct host *host)
{
	struct queue *queue = judge.listeners[host->number - 1];
	struct op *op;

	host_wake(host);
	op = op_alloc(&host->context.ops, DEMI_OPC_ACCEPT, queue, queue->qd);
	assert_non_null(op);
	judge_issued(host, op, NULL, NULL);
	judge.accepts[host->number - 1]++;
	assert_int_equal(queue->ops->accept(queue, op), 0);
}

static void connect_one(void)
{
	struct channel *channel = &judge.channels[judge.channel_count];
	struct end *end = &channel->ends[0];
	struct sockaddr_in6 address;
	socklen_t length;
	struct op *op;

	if (judge.channel_count == CHANNELS)
		return;
	channel->ends[0].channel = channel->ends[1].channel = channel;
	end->host = &world.hosts[world_random(HOSTS)];
	channel->ends[1].host = &world.hosts[world_random(HOSTS)];
	end->queue = make_socket(end->host, false, (uint16_t)(PORT_FIRST + judge.channel_count));
	if (!end->queue)
		return;
	judge.channel_count++;
	end->state = END_CONNECTING;
	op = issue(end, DEMI_OPC_CONNECT);
	judge_issued(end->host, op, end, NULL);
	address = address_of(channel->ends[1].host, PORT_LISTEN, false, &length);
	assert_int_equal(
		end->queue->ops->connect(end->queue, op, (struct sockaddr *)&address, length), 0);
}

/* ---- Data ---- */

static uint32_t random_bytes(void)
{
	switch (world_random(judge.pushes_max > 8 ? 100 : 8)) {
	case 0:
		return 1 + (uint32_t)world_random(PUSH_BYTES_MAX);
	case 1:
	case 2:
		return 1 + (uint32_t)world_random(100000);
	case 3:
	case 4:
		return 1 + (uint32_t)world_random(9000);
	default:
		return 1 + (uint32_t)world_random(600);
	}
}

static void free_pieces(const struct end *end, struct push *push)
{
	for (uint32_t i = 0; i < push->piece_count; i++)
		heap_free(end->host->context.heap, push->pieces[i]);
	push->piece_count = 0;
}

/* Its bytes in some pieces; false: out of memory. */
static bool cut(struct push *push, demi_sgarray_t *sga, unsigned char *foreign)
{
	struct heap *heap = push->end->host->context.heap;
	uint32_t count = 1 + (uint32_t)world_random(DEMI_SGARRAY_MAXSIZE), at = 0;

	count = count < push->bytes ? count : push->bytes;
	*sga = (demi_sgarray_t){.sga_numsegs = count};
	for (uint32_t i = 0; i < count; i++) {
		uint32_t left = push->bytes - at - (count - 1 - i);
		uint32_t part = i == count - 1 ? left : 1 + (uint32_t)world_random(left);
		unsigned char *place = foreign ? foreign + at : heap_alloc_io(heap, part);

		if (!place)
			return false;
		if (!foreign) {
			push->pieces[i] = place;
			push->piece_bytes[i] = part;
			push->piece_count = i + 1;
		}
		memcpy(place, judge_bytes(push->number) + at, part);
		sga->sga_segs[i] = (demi_sgaseg_t){place, part};
		at += part;
	}
	return true;
}

static unsigned char elsewhere[PUSH_BYTES_MAX];

static void push_one(struct end *end)
{
	static uint32_t number;
	struct push *push = calloc(1, sizeof(*push));
	unsigned char *foreign = world_chance(4) ? elsewhere : NULL;
	demi_sgarray_t sga;
	struct op *op;
	int error;

	*push = (struct push){.end = end, .number = number++, .bytes = random_bytes()};
	push->is_copied = push->bytes <= end->host->mint->limits.copy_bytes;
	if (!cut(push, &sga, foreign)) {
		free_pieces(end, push);
		free(push);
		return;
	}
	op = issue(end, DEMI_OPC_PUSH);
	push->is_pending = true;
	judge_issued(end->host, op, end, push);
	judge_pushed(push);
	end->pushes++;
	error = end->queue->ops->push(end->queue, op, &sga, NULL, 0);
	if (foreign)
		memset(elsewhere, 0, push->bytes);
	if (world_chance(2) || error)
		free_pieces(end, push);
	if (!error)
		return;
	world_demand(error == -ENOTCONN || (error == -ENOMEM && judge.is_short), "a push: %s",
		     strerror(-error));
	judge_refused(end->host, op);
	judge_unpushed(push);
	end->pushes--;
	free(push);
}

static void pop_one(struct end *end)
{
	struct op *op = issue(end, DEMI_OPC_POP);
	int error;

	judge_issued(end->host, op, end, NULL);
	end->pops++;
	error = end->queue->ops->pop(end->queue, op);
	if (!error)
		return;
	world_demand(error == -ENOTCONN, "a pop: %s", strerror(-error));
	end->pops--;
	judge_refused(end->host, op);
}

static void shut_down(struct end *end, int how)
{
	int error;

	host_wake(end->host);
	if (how != SHUT_RD)
		end->is_shut = true;
	if (how != SHUT_WR)
		end->is_deaf = true;
	error = end->queue->ops->shutdown(end->queue, how);
	world_demand(error == 0 || error == -ENOTCONN, "a shutdown: %s", strerror(-error));
}

/* ---- Ends ---- */

static void leave(struct end *end)
{
	host_wake(end->host);
	end->state = END_CLOSED;
	end->is_shut = true;
	queue_table_remove(&end->host->context.queues, end->queue);
}

void program_close(struct end *end)
{
	if (!judge.is_gentle || end->pushes || !end->has_ended)
		end->is_aborted = judge_peer(end)->is_aborted = true;
	leave(end);
	end->queue->ops->close(end->queue);
}

static void aclose_one(struct end *end)
{
	struct op *op = issue(end, DEMI_OPC_CLOSE);

	if (!end->has_ended)
		end->is_aborted = judge_peer(end)->is_aborted = true;
	judge_issued(end->host, op, end, NULL);
	leave(end);
	end->queue->ops->aclose(end->queue, op);
}

static void reset_one(struct end *end)
{
	const struct linger linger = {.l_onoff = 1};

	assert_int_equal(end->queue->ops->set_option(end->queue, SOL_SOCKET, SO_LINGER, &linger,
						     sizeof(linger)),
			 0);
	program_close(end);
}

/* Any that is pending on the host. */
static void cancel_one(struct host *host)
{
	struct op_table *ops = &host->context.ops;
	struct op *op;
	struct end *end;
	struct push *push;

	if (ops->used == 0)
		return;
	op = &ops->slots[world_random(ops->used)];
	if (op->state != OP_PENDING || op->opcode == DEMI_OPC_ACCEPT)
		return;
	host_wake(host);
	judge_find(host, op, &end, &push);
	end->is_aborted = true;
	if (op->queue->ops->cancel(op->queue, op) == 0) {
		world_demand(op->state == OP_DONE, "cancelled, and not complete");
		if (op->opcode == DEMI_OPC_CLOSE)
			judge_peer(end)->is_aborted = true;
		if (push)
			judge_unpushed(push);
	}
}

/* With those that it has not handed out yet. */
static void listen_anew(struct host *host)
{
	struct queue *queue = judge.listeners[host->number - 1];

	if (host->is_dead)
		return;
	host_wake(host);
	queue_table_remove(&host->context.queues, queue);
	queue->ops->close(queue);
	if (world_chance(2))
		world_step();
	program_listen(host);
}

/* ---- What is done when ---- */

static void act_wildly(struct end *end)
{
	switch (world_random(12)) {
	case 0:
		program_close(end);
		break;
	case 1:
		if (end->state == END_OPEN)
			aclose_one(end);
		break;
	case 2:
		reset_one(end);
		break;
	case 3:
		shut_down(end, SHUT_RD);
		break;
	case 4:
		listen_anew(end->host);
		break;
	default:
		cancel_one(end->host);
	}
}

static struct end *random_end(void)
{
	struct end *end;

	if (judge.channel_count == 0)
		return NULL;
	end = &judge.channels[world_random(judge.channel_count)].ends[world_random(2)];
	return end->state == END_NONE || end->state == END_CLOSED ? NULL : end;
}

void program_act(void)
{
	struct host *host = &world.hosts[world_random(HOSTS)];
	struct end *end = random_end();

	if (world_chance(8) && judge.accepts[host->number - 1] < 4)
		accept_more(host);
	if (world_chance(10))
		connect_one();
	if (!end)
		return;
	if (!judge.is_gentle && world_chance(25))
		act_wildly(end);
	else if (end->state != END_OPEN)
		return;
	else if (world_chance(30) && !end->is_shut)
		shut_down(end, SHUT_WR);
	else if (world_chance(2) && !end->is_shut && end->pushes < judge.pushes_max)
		push_one(end);
	else if (end->pops < 6 && !end->has_ended)
		pop_one(end);
}

/* Until the other has said that this is all, and then the close. */
static bool finish_end(struct end *end)
{
	if (end->state == END_CONNECTING)
		return false;
	if (end->state != END_OPEN)
		return true;
	if (!end->is_shut)
		shut_down(end, SHUT_WR);
	if (!end->has_ended && end->pops == 0)
		pop_one(end);
	/* It never was connected. */
	if (end->pops == 0 && !end->has_ended)
		end->has_ended = end->error != 0;
	if (!end->has_ended || end->pushes)
		return false;
	if (world_chance(2))
		aclose_one(end);
	else
		program_close(end);
	return false;
}

bool program_finish(void)
{
	bool is_done = true;

	judge.is_over = true;
	for (unsigned int i = 0; i < HOSTS; i++) {
		if (judge.accepts[i] == 0)
			accept_more(&world.hosts[i]);
	}
	for (unsigned int i = 0; i < 2 * judge.channel_count; i++)
		is_done &= finish_end(&judge.channels[i / 2].ends[i % 2]);
	return is_done;
}

void program_unlisten(void)
{
	for (unsigned int i = 0; i < HOSTS; i++) {
		struct host *host = &world.hosts[i];

		host_wake(host);
		queue_table_remove(&host->context.queues, judge.listeners[i]);
		judge.listeners[i]->ops->close(judge.listeners[i]);
	}
}
