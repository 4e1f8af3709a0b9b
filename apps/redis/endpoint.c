/* SPDX-License-Identifier: MIT */
#include "endpoint_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Descriptors of queues begin here. */
#define QD_FIRST 500
/* What the last replies need to leave, at most, when the program ends. */
#define FINISH_NS INT64_C(500000000)

/* A growing array of endpoints by number. */
struct index {
	struct endpoint **at;
	size_t room;
};

static struct index by_fd;
static struct index by_qd;
static bool is_started;
static bool is_child;
static bool is_ending;
static bool is_catnap;
static void (*on_sent)(void *held);
static void (*on_other)(const demi_qresult_t *result);

struct endpoint *endpoint_listed;
static struct endpoint *listed_last;
size_t endpoint_closing_count;
bool endpoint_more_comes;

int endpoint_fail(int error)
{
	errno = error;
	return -1;
}

/* Clients have what was written to them, as when the kernel closes for a program that ends. */
static void finish(void)
{
	if (is_child)
		return;
	is_ending = true;
	for (size_t fd = 0; fd < by_fd.room; fd++)
		if (by_fd.at[fd] != NULL)
			endpoint_close((int)fd);
	endpoint_finish(FINISH_NS);
}

static void forked(void)
{
	is_child = true;
}

void endpoint_start(void)
{
	char libos[64] = "";
	int error;

	if (is_started)
		return;
	error = demi_init(NULL);
	if (error != 0) {
		fprintf(stderr,
			"redis-server: Demi cannot start: %s. `demi doctor` tells what is missing.\n",
			strerror(error));
		exit(1);
	}
	demi_config("libos", libos, sizeof(libos));
	is_catnap = strncmp(libos, "catnap", 6) == 0;
	pthread_atfork(NULL, NULL, forked);
	atexit(finish);
	is_started = true;
}

bool endpoint_is_child(void)
{
	return is_child;
}

bool endpoint_is_ending(void)
{
	return is_ending;
}

bool endpoint_shares_addresses(void)
{
	return is_catnap;
}

static struct endpoint *index_find(const struct index *index, int number)
{
	return number >= 0 && (size_t)number < index->room ? index->at[number] : NULL;
}

static bool index_set(struct index *index, int number, struct endpoint *endpoint)
{
	size_t room = index->room ? index->room : 64;
	struct endpoint **at;

	while (room <= (size_t)number)
		room *= 2;
	if (room != index->room) {
		at = realloc(index->at, room * sizeof(struct endpoint *));
		if (at == NULL)
			return false;
		memset(at + index->room, 0, (room - index->room) * sizeof(struct endpoint *));
		index->at = at;
		index->room = room;
	}
	index->at[number] = endpoint;
	return true;
}

struct endpoint *endpoint_of(int fd)
{
	return index_find(&by_fd, fd);
}

struct endpoint *endpoint_by_qd(int qd)
{
	return index_find(&by_qd, qd - QD_FIRST);
}

struct endpoint *endpoint_new(int fd, int qd, enum endpoint_kind kind)
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint)), *before = endpoint_by_qd(qd);

	if (endpoint == NULL || !index_set(&by_fd, fd, endpoint) ||
	    !index_set(&by_qd, qd - QD_FIRST, endpoint)) {
		if (fd >= 0 && (size_t)fd < by_fd.room)
			by_fd.at[fd] = NULL;
		free(endpoint);
		errno = ENOMEM;
		return NULL;
	}
	endpoint->before = before;
	endpoint->fd = fd;
	endpoint->qd = qd;
	endpoint->kind = kind;
	endpoint->sending_end = &endpoint->sending;
	return endpoint;
}

void endpoint_detach(struct endpoint *endpoint)
{
	by_fd.at[endpoint->fd] = NULL;
	endpoint->fd = -1;
}

void endpoint_list(struct endpoint *endpoint)
{
	if (endpoint->is_listed)
		return;
	endpoint->is_listed = true;
	endpoint->listed_next = NULL;
	endpoint->listed_prev = listed_last;
	if (listed_last != NULL)
		listed_last->listed_next = endpoint;
	else
		endpoint_listed = endpoint;
	listed_last = endpoint;
}

void endpoint_unlist(struct endpoint *endpoint)
{
	if (!endpoint->is_listed)
		return;
	if (endpoint->listed_prev != NULL)
		endpoint->listed_prev->listed_next = endpoint->listed_next;
	else
		endpoint_listed = endpoint->listed_next;
	if (endpoint->listed_next != NULL)
		endpoint->listed_next->listed_prev = endpoint->listed_prev;
	else
		listed_last = endpoint->listed_prev;
	endpoint->is_listed = false;
}

/* A push that was sent, or never will be: the one that @link leads to. */
static void end_sending(struct endpoint *endpoint, struct endpoint_sending **link)
{
	struct endpoint_sending *sending = *link;

	endpoint_forget_deferred(sending);
	*link = sending->next;
	if (endpoint->sending_end == &sending->next)
		endpoint->sending_end = link;
	endpoint->unsent -= sending->bytes;
	for (size_t i = 0; i < sending->held_count; i++)
		on_sent(sending->held[i]);
	demi_free(sending);
}

/* What leads to a push; most often the oldest is done first. NULL: the token is of no push. */
static struct endpoint_sending **find_sending(struct endpoint *endpoint, demi_qtoken_t token)
{
	struct endpoint_sending **link = &endpoint->sending;

	while (*link != NULL && (*link)->token != token)
		link = &(*link)->next;
	return *link != NULL ? link : NULL;
}

void endpoint_sending_failed(struct endpoint *endpoint, struct endpoint_sending *sending, int error)
{
	struct endpoint_sending **link = &endpoint->sending;

	while (*link != sending)
		link = &(*link)->next;
	endpoint->error = error;
	end_sending(endpoint, link);
	endpoint_list(endpoint);
}

static void leave_queue(struct endpoint *endpoint)
{
	struct endpoint **link;

	if (endpoint_by_qd(endpoint->qd) == NULL)
		return;
	link = &by_qd.at[endpoint->qd - QD_FIRST];
	while (*link != NULL && *link != endpoint)
		link = &(*link)->before;
	if (*link != NULL)
		*link = endpoint->before;
}

void endpoint_drop(struct endpoint *endpoint)
{
	endpoint_unlist(endpoint);
	endpoint_forget_input(endpoint);
	while (endpoint->sending != NULL)
		end_sending(endpoint, &endpoint->sending);
	if (endpoint->fd >= 0)
		endpoint_detach(endpoint);
	leave_queue(endpoint);
	free(endpoint->input);
	free(endpoint);
}

void endpoint_on_sent(void (*sent)(void *held))
{
	on_sent = sent;
}

void endpoint_on_other(void (*completed)(const demi_qresult_t *result))
{
	on_other = completed;
}

/* ---- What completes ---- */

/* Where among its accepts one is; as many as there are: none of its. */
static unsigned int find_accept(const struct endpoint *endpoint, demi_qtoken_t token)
{
	unsigned int place = 0;

	while (place < endpoint->accepts && endpoint->accepting[place] != token)
		place++;
	return place;
}

static void accepted(struct endpoint *endpoint, const demi_qresult_t *result, unsigned int place)
{
	endpoint->accepting[place] = endpoint->accepting[--endpoint->accepts];
	if (result->qr_opcode == DEMI_OPC_ACCEPT) {
		if (endpoint->kind == ENDPOINT_LISTENER)
			endpoint->accepted[endpoint->accepted_count++] = result->qr_value.ares.qd;
		else
			demi_close(result->qr_value.ares.qd);
	}
	endpoint_list(endpoint);
}

static void popped(struct endpoint *endpoint, demi_qresult_t *result)
{
	/* Who has become readable now comes after those who were before. */
	if (endpoint->input_count == 0)
		endpoint_unlist(endpoint);
	endpoint->pop = 0;
	if (result->qr_opcode != DEMI_OPC_POP) {
		if (result->qr_ret != ECANCELED)
			endpoint->error = (int)result->qr_ret;
	} else if (endpoint->kind != ENDPOINT_STREAM) {
		demi_sgafree(&result->qr_value.sga);
	} else if (result->qr_value.sga.sga_segs[0].sgaseg_len == 0) {
		endpoint->is_at_end = true;
		demi_sgafree(&result->qr_value.sga);
	} else {
		size_t mask = endpoint->input_room - 1;
		size_t before = endpoint->input_bytes;

		endpoint->input[(endpoint->input_head + endpoint->input_count++) & mask] =
			result->qr_value.sga;
		for (uint32_t i = 0; i < result->qr_value.sga.sga_numsegs; i++)
			endpoint->input_bytes += result->qr_value.sga.sga_segs[i].sgaseg_len;
		endpoint_more_comes |= endpoint->input_bytes - before >= ENDPOINT_MUCH_BYTES;
		endpoint_receive(endpoint);
	}
	endpoint_list(endpoint);
}

static void connected(struct endpoint *endpoint, const demi_qresult_t *result)
{
	endpoint->connect = 0;
	if (endpoint->kind != ENDPOINT_CONNECTING)
		return;
	endpoint->kind = ENDPOINT_STREAM;
	if (result->qr_opcode == DEMI_OPC_CONNECT)
		endpoint_receive(endpoint);
	else
		endpoint->error = (int)result->qr_ret;
	endpoint_list(endpoint);
}

static void pushed(struct endpoint *endpoint, const demi_qresult_t *result,
		   struct endpoint_sending **link)
{
	if (result->qr_opcode == DEMI_OPC_FAILED && result->qr_ret != ECANCELED)
		endpoint->error = (int)result->qr_ret;
	end_sending(endpoint, link);
	if (endpoint->wants_write)
		endpoint_list(endpoint);
}

/* Return: false: it is of no operation of this one's. */
static bool complete(struct endpoint *endpoint, demi_qresult_t *result)
{
	struct endpoint_sending **link;
	unsigned int place;

	if (result->qr_qt == endpoint->pop) {
		popped(endpoint, result);
	} else if ((link = find_sending(endpoint, result->qr_qt)) != NULL) {
		pushed(endpoint, result, link);
	} else if (result->qr_qt == endpoint->connect) {
		connected(endpoint, result);
	} else if (result->qr_qt == endpoint->close) {
		endpoint_closing_count--;
		endpoint_drop(endpoint);
	} else {
		place = find_accept(endpoint, result->qr_qt);
		if (place == endpoint->accepts)
			return false;
		accepted(endpoint, result, place);
	}
	return true;
}

void endpoint_completed(demi_qresult_t *result)
{
	struct endpoint *endpoint = endpoint_by_qd(result->qr_qd);

	while (endpoint != NULL && !complete(endpoint, result))
		endpoint = endpoint->before;
	if (endpoint == NULL && on_other != NULL)
		on_other(result);
}

void endpoint_receive(struct endpoint *endpoint)
{
	demi_qtoken_t token;

	if (endpoint->kind == ENDPOINT_LISTENER) {
		while (endpoint->accepts + endpoint->accepted_count < ENDPOINT_ACCEPTS &&
		       demi_accept(&token, endpoint->qd) == 0)
			endpoint->accepting[endpoint->accepts++] = token;
		return;
	}
	if (endpoint->kind != ENDPOINT_STREAM || endpoint->pop != 0 || endpoint->is_at_end ||
	    endpoint->error != 0 || endpoint_input_full(endpoint))
		return;
	if (endpoint->input_count == endpoint->input_room) {
		size_t room = endpoint->input_room ? endpoint->input_room * 2 : 4;
		demi_sgarray_t *input = malloc(room * sizeof(*input));

		if (input == NULL)
			return;
		for (size_t i = 0; i < endpoint->input_count; i++)
			input[i] = endpoint->input[(endpoint->input_head + i) &
						   (endpoint->input_room - 1)];
		free(endpoint->input);
		endpoint->input = input;
		endpoint->input_room = room;
		endpoint->input_head = 0;
	}
	if (demi_pop(&token, endpoint->qd) == 0)
		endpoint->pop = token;
}

bool endpoint_is_readable(const struct endpoint *endpoint)
{
	bool has_input = endpoint->input_count != 0 &&
			 (endpoint->input_bytes >= endpoint->input_expected ||
			  endpoint_input_full(endpoint));

	return has_input || endpoint->accepted_count != 0 || endpoint->is_at_end ||
	       (endpoint->error != 0 && endpoint->kind == ENDPOINT_STREAM);
}

bool endpoint_is_writable(const struct endpoint *endpoint)
{
	return endpoint->kind == ENDPOINT_STREAM &&
	       (endpoint->unsent < ENDPOINT_UNSENT_MAX || endpoint->error != 0);
}
