/* SPDX-License-Identifier: MIT */
#include "echo/demi.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_TRIES 1000

static int add_conn(struct echo_demi *demi, unsigned int conn, int qd)
{
	int one = 1;

	if (qd >= ECHO_DESCRIPTORS)
		return -EMFILE;
	demi->end->conns[conn].fd = qd;
	demi->conn_of[qd] = (uint16_t)conn;
	return -demi_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int echo_demi_listen(struct echo_demi *demi, int *qd_out)
{
	struct sockaddr_in address = echo_loopback(demi->end->params->port);
	int one = 1;
	int error = demi_socket(qd_out, AF_INET, SOCK_STREAM, 0);

	if (!error)
		error = demi_setsockopt(*qd_out, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!error)
		error = demi_bind(*qd_out, (struct sockaddr *)&address, sizeof(address));
	if (!error)
		error = demi_listen(*qd_out, ECHO_CONNS_MAX);
	return -error;
}

/* Wait for an accept or a connect; 0 or -errno, that of the operation included. */
static int finish(demi_qtoken_t token, demi_qresult_t *result)
{
	int error = demi_wait(result, token, NULL);

	if (!error && result->qr_opcode == DEMI_OPC_FAILED)
		error = (int)result->qr_ret;
	return -error;
}

int echo_demi_accept(struct echo_demi *demi, int listen_qd)
{
	int rc = 0;

	for (unsigned int i = 0; !rc && i < demi->end->params->nconns; i++) {
		demi_qresult_t result;
		demi_qtoken_t token;

		rc = -demi_accept(&token, listen_qd);
		if (!rc)
			rc = finish(token, &result);
		if (!rc)
			rc = add_conn(demi, i, result.qr_value.ares.qd);
	}
	demi_close(listen_qd);
	return rc;
}

static int connect_one(struct echo_demi *demi, unsigned int conn)
{
	struct sockaddr_in address = echo_loopback(demi->end->params->port);

	for (int tries = 0; tries < CONNECT_TRIES; tries++) {
		demi_qresult_t result;
		demi_qtoken_t token;
		int qd;
		int rc = -demi_socket(&qd, AF_INET, SOCK_STREAM, 0);

		if (rc)
			return rc;
		rc = -demi_connect(&token, qd, (struct sockaddr *)&address, sizeof(address));
		if (!rc)
			rc = finish(token, &result);
		if (!rc)
			return add_conn(demi, conn, qd);
		demi_close(qd);
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int open_end(struct echo_demi *demi)
{
	int qd;
	int rc = 0;

	if (demi->end->role == ECHO_SERVER) {
		rc = echo_demi_listen(demi, &qd);
		return rc ? rc : echo_demi_accept(demi, qd);
	}
	for (unsigned int i = 0; !rc && i < demi->end->params->nconns; i++)
		rc = connect_one(demi, i);
	return rc;
}

static int pop(struct echo_demi *demi, unsigned int conn)
{
	demi_qtoken_t token;

	return -demi_pop(&token, demi->end->conns[conn].fd);
}

static int push_message(struct echo_demi *demi, unsigned int conn)
{
	demi_qtoken_t token;

	return -demi_push(&token, demi->end->conns[conn].fd, &demi->message);
}

static void close_conn(struct echo_demi *demi, unsigned int conn)
{
	demi_close(demi->end->conns[conn].fd);
	demi->end->conns[conn].fd = -1;
}

/* The server's answer: what was popped. */
static int answer(struct echo_demi *demi, unsigned int conn, const demi_sgarray_t *sga)
{
	struct echo_demi_conn *c = &demi->conns[conn];
	demi_qtoken_t token;
	int error = demi_push(&token, demi->end->conns[conn].fd, sga);

	if (error)
		return -error;
	c->pushed[(c->first + c->count++) % ECHO_PUSHES_MAX] = *sga;
	return c->count < ECHO_PUSHES_MAX ? pop(demi, conn) : 0;
}

static int client_got(struct echo_demi *demi, unsigned int conn, demi_sgarray_t *sga, size_t bytes)
{
	struct echo_end *end = demi->end;
	unsigned int open = end->nopen;
	int rc = 0;

	if (echo_rx(end, conn, NULL, (ptrdiff_t)bytes).bytes)
		rc = push_message(demi, conn);
	if (end->nopen < open)
		close_conn(demi, conn);
	else if (!rc)
		rc = pop(demi, conn);
	demi_sgafree(sga);
	return rc;
}

static int on_pop(struct echo_demi *demi, unsigned int conn, demi_sgarray_t *sga)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		bytes += sga->sga_segs[i].sgaseg_len;
	if (bytes && demi->end->role == ECHO_SERVER)
		return answer(demi, conn, sga);
	if (bytes)
		return client_got(demi, conn, sga, bytes);
	echo_rx(demi->end, conn, NULL, 0);
	close_conn(demi, conn);
	demi_sgafree(sga);
	return 0;
}

static int on_push(struct echo_demi *demi, unsigned int conn)
{
	struct echo_demi_conn *c = &demi->conns[conn];
	bool was_full = c->count == ECHO_PUSHES_MAX;

	if (demi->end->role == ECHO_CLIENT)
		return 0;
	demi_sgafree(&c->pushed[c->first]);
	c->first = (c->first + 1) % ECHO_PUSHES_MAX;
	c->count--;
	return was_full ? pop(demi, conn) : 0;
}

/* Only the end of a connection makes operations fail here: a reset, or our own close. */
static void on_failure(struct echo_demi *demi, unsigned int conn)
{
	if (demi->end->conns[conn].fd < 0)
		return;
	echo_rx(demi->end, conn, NULL, -1);
	close_conn(demi, conn);
}

static int on_result(struct echo_demi *demi, demi_qresult_t *result)
{
	unsigned int conn = demi->conn_of[result->qr_qd];

	switch (result->qr_opcode) {
	case DEMI_OPC_POP:
		return on_pop(demi, conn, &result->qr_value.sga);
	case DEMI_OPC_PUSH:
		return on_push(demi, conn);
	default:
		on_failure(demi, conn);
		return 0;
	}
}

int echo_demi_step(struct echo_demi *demi, const struct timespec *timeout)
{
	int count;
	int rc = -demi_wait_next_n(demi->results, ECHO_BATCH, &count, timeout);

	if (rc == -ETIMEDOUT)
		return 0;
	for (int i = 0; !rc && i < count; i++)
		rc = on_result(demi, &demi->results[i]);
	return rc;
}

int echo_demi_start(struct echo_demi *demi)
{
	struct echo_end *end = demi->end;
	int rc = 0;

	if (end->role == ECHO_CLIENT) {
		demi->message = demi_sgaalloc(end->params->msg_bytes);
		if (!demi->message.sga_buf)
			return -ENOMEM;
		memcpy(demi->message.sga_segs[0].sgaseg_buf, end->tx, end->params->msg_bytes);
	}
	for (unsigned int i = 0; !rc && i < end->params->nconns; i++) {
		if (echo_start(end, i).bytes)
			rc = push_message(demi, i);
		if (!rc)
			rc = pop(demi, i);
	}
	return rc;
}

static int run(struct echo_end *end, const char *engine)
{
	struct echo_demi *demi;
	int rc;

	setenv("DEMI_CATNAP_ENGINE", engine, 1);
	demi = calloc(1, sizeof(*demi));
	if (!demi)
		return -ENOMEM;
	demi->end = end;
	rc = -demi_init(NULL);
	if (!rc)
		rc = open_end(demi);
	if (!rc)
		rc = echo_demi_start(demi);
	while (!rc && end->nopen)
		rc = echo_demi_step(demi, NULL);
	demi_fini();
	free(demi);
	return rc;
}

static int run_epoll(struct echo_end *end)
{
	return run(end, "epoll");
}

static int run_uring(struct echo_end *end)
{
	return run(end, "uring");
}

const struct echo_impl echo_demi_epoll = {.name = "demi-epoll", .run = run_epoll};
const struct echo_impl echo_demi_uring = {.name = "demi-uring", .run = run_uring};
