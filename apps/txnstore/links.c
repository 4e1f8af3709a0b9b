/* SPDX-License-Identifier: MIT */
#include "links.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segments.h"

#define BACKLOG 128
#define RETRY_NS UINT64_C(100000000)
/* A connection that does not take what is sent for so many messages gets no more. */
#define PUSHES_MAX 1024u
#define LENGTH_AT 12u /* of the body, in a message's header */

void links_init(struct links *links,
		void (*received)(void *context, uint64_t peer, const struct message *message),
		void *context)
{
	*links = (struct links){
		.listener = -1,
		.received = received,
		.context = context,
		.datagrams = {.qd = -1, .received = received, .context = context},
	};
}

/* Return: whether there is room to know whose descriptor @qd is. */
static bool make_room(struct links *links, int qd)
{
	uint32_t room = links->qd_room ? links->qd_room : 64;
	struct links_qd *qds;

	while (room <= (uint32_t)qd)
		room *= 2;
	if (room == links->qd_room)
		return true;
	qds = realloc(links->qds, room * sizeof(*qds));
	if (!qds)
		return false;
	memset(qds + links->qd_room, 0, (room - links->qd_room) * sizeof(*qds));
	links->qds = qds;
	links->qd_room = room;
	return true;
}

/* A new descriptor. Return: whether it is known now whose it is; else it is closed. */
static bool take_qd(struct links *links, struct link *link, int qd)
{
	if (!make_room(links, qd)) {
		demi_close(qd);
		return false;
	}
	link->qd = qd;
	links->qds[qd].link = link;
	return true;
}

static void disconnect(struct links *links, struct link *link)
{
	if (link->qd >= 0) {
		/* It may be another connection's before all results of this one have come. */
		links->qds[link->qd].stale += link->pushes + link->others;
		links->qds[link->qd].link = NULL;
		demi_close(link->qd);
	}
	link->others = 0;
	link->qd = -1;
	link->is_up = false;
	link->pushes = 0;
	link->inbox_len = 0;
	link->retry_ns = links->now_ns + RETRY_NS;
}

void links_destroy(struct links *links)
{
	for (uint32_t i = 0; i < links->count; i++) {
		disconnect(links, links->list[i]);
		free(links->list[i]->inbox);
		free(links->list[i]);
	}
	if (links->listener >= 0)
		demi_close(links->listener);
	datagrams_close(&links->datagrams);
	free(links->qds);
	links->count = 0;
}

/* A place without a connection, that is nobody's to connect; NULL: none, or no memory. */
static struct link *free_place(struct links *links)
{
	struct link *link;

	for (uint32_t i = 0; i < links->count; i++)
		if (links->list[i]->qd < 0 && !links->list[i]->is_out)
			return links->list[i];
	if (links->count == LINKS_MAX)
		return NULL;
	link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	link->qd = -1;
	link->number = links->count;
	links->list[links->count++] = link;
	return link;
}

/* ---- Connections ---- */

int links_listen(struct links *links, const struct address *address)
{
	demi_qtoken_t token;
	int on = 1;
	int error = demi_socket(&links->listener, address->storage.ss_family, SOCK_STREAM, 0);

	if (error) {
		links->listener = -1;
		return error;
	}
	demi_setsockopt(links->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	error = demi_bind(links->listener, (const struct sockaddr *)&address->storage,
			  address->length);
	if (!error)
		error = demi_listen(links->listener, BACKLOG);
	if (!error)
		error = demi_accept(&token, links->listener);
	return error;
}

int links_datagrams(struct links *links, const struct address *at, int family, uint64_t id)
{
	return datagrams_open(&links->datagrams, at, family, id);
}

int links_to(struct links *links, const struct address *address)
{
	struct link *link = free_place(links);

	if (!link)
		return -ENOMEM;
	link->is_out = true;
	link->address = *address;
	return (int)link->number;
}

static void begin_pop(struct links *links, struct link *link)
{
	demi_qtoken_t token;

	if (demi_pop(&token, link->qd) == 0)
		link->others++;
	else
		disconnect(links, link);
}

static void up(struct links *links, struct link *link)
{
	int on = 1;

	/* A libOS without this option does not delay segments to begin with. */
	demi_setsockopt(link->qd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	link->is_up = true;
	link->generation = (link->generation + 1) & INT32_MAX; /* DATAGRAM_PEER is above it */
	begin_pop(links, link);
}

static void connect_to(struct links *links, struct link *link)
{
	demi_qtoken_t token;
	int qd, error;

	if (links->now_ns < link->retry_ns)
		return;
	link->retry_ns = links->now_ns + RETRY_NS;
	error = demi_socket(&qd, link->address.storage.ss_family, SOCK_STREAM, 0);
	if (error || !take_qd(links, link, qd))
		return;
	error = demi_connect(&token, link->qd, (const struct sockaddr *)&link->address.storage,
			     link->address.length);
	if (error)
		disconnect(links, link);
	else
		link->others++;
}

static void accepted(struct links *links, const demi_qresult_t *result)
{
	demi_qtoken_t token;
	struct link *link;

	if (result->qr_opcode == DEMI_OPC_ACCEPT) {
		link = free_place(links);
		if (!link)
			demi_close(result->qr_value.ares.qd);
		else if (take_qd(links, link, result->qr_value.ares.qd)) {
			link->address = (struct address){
				.length = sizeof(result->qr_value.ares.addr)};
			memcpy(&link->address.storage, &result->qr_value.ares.addr,
			       sizeof(result->qr_value.ares.addr));
			up(links, link);
		}
	}
	(void)demi_accept(&token, links->listener);
}

/* ---- Out ---- */

static bool push(struct links *links, struct link *link, const struct message *message)
{
	demi_sgarray_t array;
	demi_qtoken_t token;
	uint8_t *bytes = segments_of(message, 0, &array);
	int error;

	if (!bytes)
		return false;
	error = demi_push(&token, link->qd, &array);
	demi_free(bytes);
	if (error)
		disconnect(links, link);
	else
		link->pushes++;
	return !error;
}

static bool send_on(struct links *links, struct link *link, const struct message *message)
{
	bool is_sent;

	if (link->qd < 0 && link->is_out)
		connect_to(links, link);
	is_sent = link->is_up && link->pushes < PUSHES_MAX && push(links, link, message);
	links->dropped += !is_sent;
	return is_sent;
}

bool links_send(struct links *links, int number, const struct message *message)
{
	struct link *link = links->list[number];

	if (message->by_stream || !datagrams_take(&links->datagrams, message))
		return send_on(links, link, message);
	datagrams_send(&links->datagrams, &link->address, message);
	return true;
}

void links_answer(struct links *links, uint64_t peer, const struct message *message)
{
	uint32_t number = (uint32_t)peer;

	if (peer & DATAGRAM_PEER)
		datagrams_answer(&links->datagrams, peer, message);
	else if (number < links->count &&
		 links->list[number]->generation == (uint32_t)(peer >> 32) &&
		 links->list[number]->is_up)
		(void)send_on(links, links->list[number], message);
}

void links_name(const struct links *links, uint64_t peer, char text[ADDRESS_TEXT_MAX])
{
	uint32_t number = (uint32_t)peer;
	const struct address *address = peer & DATAGRAM_PEER
						? datagrams_address(&links->datagrams, peer)
					: number < links->count ? &links->list[number]->address
								: NULL;

	if (address)
		address_format((const struct sockaddr *)&address->storage, text);
	else
		snprintf(text, ADDRESS_TEXT_MAX, "somebody");
}

/* ---- In ---- */

/* Return: bytes that the message has, as far as its header is there; 0: it is not. */
static size_t length_of(const uint8_t *bytes, size_t len)
{
	uint32_t body_len;

	if (len < MESSAGE_HEADER_LEN)
		return 0;
	memcpy(&body_len, bytes + LENGTH_AT, sizeof(body_len));
	return MESSAGE_HEADER_LEN + (size_t)le32toh(body_len);
}

/* What is no message ends the connection. */
static void note_bad(struct links *links, const struct link *link, int error)
{
	links->malformed++;
	links->is_other_version = error == -EPROTONOSUPPORT;
	address_format((const struct sockaddr *)&link->address.storage, links->bad_from);
}

/* Return: whether the connection goes on. */
static bool take_message(struct links *links, struct link *link, const uint8_t *bytes, size_t len)
{
	uint64_t peer = (uint64_t)link->generation << 32 | link->number;
	uint32_t generation = link->generation;
	struct message message;
	int error = message_parse(&message, bytes, len);

	if (error) {
		note_bad(links, link, error);
		return false;
	}
	links->received(links->context, peer, &message);
	return link->is_up && link->generation == generation;
}

/* All whole messages of a run of bytes. Return: bytes taken; SIZE_MAX: the connection has to end. */
static size_t take_whole(struct links *links, struct link *link, const uint8_t *bytes, size_t len)
{
	size_t taken = 0, length;

	while ((length = length_of(bytes + taken, len - taken)) != 0) {
		if (length > MESSAGE_HEADER_LEN + BODY_MAX) {
			struct message message;

			note_bad(links, link,
				 message_parse(&message, bytes + taken, MESSAGE_HEADER_LEN));
			return SIZE_MAX;
		}
		if (length > len - taken)
			break;
		if (!take_message(links, link, bytes + taken, length))
			return SIZE_MAX;
		taken += length;
	}
	return taken;
}

static bool keep(struct link *link, const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return true;
	if (link->inbox_len + len > link->inbox_room) {
		size_t room = 2 * (link->inbox_len + len);
		uint8_t *inbox = realloc(link->inbox, room);

		if (!inbox)
			return false;
		link->inbox = inbox;
		link->inbox_room = room;
	}
	memcpy(link->inbox + link->inbox_len, bytes, len);
	link->inbox_len += len;
	return true;
}

/* What is whole is taken where it lies, unless its beginning came before. */
static bool take_bytes(struct links *links, struct link *link, const uint8_t *bytes, size_t len)
{
	size_t taken;

	if (link->inbox_len == 0) {
		taken = take_whole(links, link, bytes, len);
		return taken != SIZE_MAX && keep(link, bytes + taken, len - taken);
	}
	if (!keep(link, bytes, len))
		return false;
	taken = take_whole(links, link, link->inbox, link->inbox_len);
	if (taken == SIZE_MAX)
		return false;
	link->inbox_len -= taken;
	memmove(link->inbox, link->inbox + taken, link->inbox_len);
	return true;
}

static void popped(struct links *links, struct link *link, const demi_qresult_t *result)
{
	demi_sgarray_t array = result->qr_value.sga;
	int qd = link->qd;
	size_t total = 0;
	bool goes_on = true;

	for (uint32_t i = 0; i < array.sga_numsegs && goes_on; i++) {
		total += array.sga_segs[i].sgaseg_len;
		goes_on = take_bytes(links, link, array.sga_segs[i].sgaseg_buf,
				     array.sga_segs[i].sgaseg_len);
	}
	demi_sgafree(&array);
	if (link->qd != qd || !link->is_up)
		return;
	if (total == 0 || !goes_on)
		disconnect(links, link);
	else
		begin_pop(links, link);
}

/* Of an operation that nobody waits for any more. */
static bool is_stale(struct links *links, const demi_qresult_t *result)
{
	demi_sgarray_t array = result->qr_value.sga;
	uint32_t qd = (uint32_t)result->qr_qd;

	if (links->qds[qd].stale == 0)
		return false;
	links->qds[qd].stale--;
	if (result->qr_opcode == DEMI_OPC_POP)
		demi_sgafree(&array);
	return true;
}

bool links_result(struct links *links, const demi_qresult_t *result)
{
	struct link *link;

	if (datagrams_result(&links->datagrams, result))
		return true;
	if (result->qr_qd == links->listener) {
		accepted(links, result);
		return true;
	}
	if ((uint32_t)result->qr_qd >= links->qd_room)
		return false;
	if (is_stale(links, result))
		return true;
	link = links->qds[result->qr_qd].link;
	if (!link)
		return false;
	switch (result->qr_opcode) {
	case DEMI_OPC_CONNECT:
		link->others--;
		up(links, link);
		break;
	case DEMI_OPC_POP:
		link->others--;
		popped(links, link, result);
		break;
	case DEMI_OPC_PUSH:
		link->pushes--;
		break;
	default:
		/* Which of them has failed does not matter: the others come yet. */
		if (link->others)
			link->others--;
		else
			link->pushes--;
		disconnect(links, link);
		break;
	}
	return true;
}
