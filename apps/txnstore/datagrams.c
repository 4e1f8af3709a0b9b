/* SPDX-License-Identifier: MIT */
#include "datagrams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segments.h"
#include "txnstore/core/bytes.h"
#include "txnstore/random.h"

#define DATAGRAM_MAGIC 0x31555844u /* "DXU1": the 1 is the version of the format */

/* All that are not under way: there may be no room for one now. */
static void begin_pops(struct datagrams *datagrams)
{
	for (uint32_t i = 0; i < DATAGRAM_POPS; i++)
		if (!datagrams->pops[i] && demi_pop(&datagrams->pops[i], datagrams->qd) != 0)
			datagrams->pops[i] = 0;
}

static bool end_pop(struct datagrams *datagrams, demi_qtoken_t token)
{
	for (uint32_t i = 0; i < DATAGRAM_POPS; i++) {
		if (datagrams->pops[i] == token) {
			datagrams->pops[i] = 0;
			return true;
		}
	}
	return false;
}

static int start(struct datagrams *datagrams, const struct address *at)
{
	int error = demi_bind(datagrams->qd, (const struct sockaddr *)&at->storage, at->length);

	datagrams->senders = calloc(DATAGRAM_SENDERS, sizeof(*datagrams->senders));
	datagrams->whole = malloc(DATAGRAM_HEADER_LEN + DATAGRAM_MESSAGE_MAX);
	if (!error && (!datagrams->senders || !datagrams->whole))
		error = ENOMEM;
	if (!error)
		begin_pops(datagrams);
	return error;
}

/* Whoever has no address to be found at has one of the system's choice. */
static int bind_anywhere(struct datagrams *datagrams, int family)
{
	struct address any = {.storage.ss_family = (sa_family_t)family,
			      .length = family == AF_INET ? sizeof(struct sockaddr_in)
							  : sizeof(struct sockaddr_in6)};

	return start(datagrams, &any);
}

int datagrams_open(struct datagrams *datagrams, const struct address *at, int family, uint64_t id)
{
	int error = demi_socket(&datagrams->qd, family, SOCK_DGRAM, 0);

	if (error) {
		datagrams->qd = -1;
		return error;
	}
	datagrams->id = id;
	error = at ? start(datagrams, at) : bind_anywhere(datagrams, family);
	if (error)
		datagrams_close(datagrams);
	return error;
}

void datagrams_close(struct datagrams *datagrams)
{
	if (datagrams->qd < 0)
		return;
	demi_close(datagrams->qd);
	datagrams->qd = -1;
	free(datagrams->senders);
	free(datagrams->whole);
	datagrams->senders = NULL;
	datagrams->whole = NULL;
}

/* ---- Out ---- */

void datagrams_send(struct datagrams *datagrams, const struct address *to,
		    const struct message *message)
{
	demi_sgarray_t array;
	demi_qtoken_t token;
	uint8_t *bytes = segments_of(message, DATAGRAM_HEADER_LEN, &array);
	struct writer writer = {.bytes = bytes, .room = DATAGRAM_HEADER_LEN};

	if (!bytes) {
		datagrams->dropped++;
		return;
	}
	write_u32(&writer, DATAGRAM_MAGIC);
	write_u32(&writer, 0);
	write_u64(&writer, datagrams->id);
	write_u64(&writer, ++datagrams->number);
	if (demi_pushto(&token, datagrams->qd, &array, (const struct sockaddr *)&to->storage,
			to->length) != 0)
		datagrams->dropped++;
	demi_free(bytes);
}

void datagrams_answer(struct datagrams *datagrams, uint64_t peer, const struct message *message)
{
	const struct datagram_sender *sender =
		&datagrams->senders[(uint32_t)peer % DATAGRAM_SENDERS];

	struct message large = *message;

	if (sender->generation != (uint32_t)(peer >> 32 & INT32_MAX)) {
		datagrams->dropped++;
		return;
	}
	if (!datagrams_take(datagrams, message)) {
		large.result = RESULT_LARGE;
		large.body_len = large.tail_len = 0;
	}
	datagrams_send(datagrams, &sender->address, &large);
}

const struct address *datagrams_address(const struct datagrams *datagrams, uint64_t peer)
{
	const struct datagram_sender *sender =
		&datagrams->senders[(uint32_t)peer % DATAGRAM_SENDERS];

	return sender->generation == (uint32_t)(peer >> 32 & INT32_MAX) ? &sender->address : NULL;
}

/* ---- In ---- */

/* Whose place it is, or will be: the one of its set that was silent for longest. */
static struct datagram_sender *place_of(struct datagrams *datagrams, uint64_t id)
{
	size_t set = random_mix(id) % (DATAGRAM_SENDERS / DATAGRAM_WAYS);
	struct datagram_sender *first = &datagrams->senders[set * DATAGRAM_WAYS], *oldest = first;

	for (struct datagram_sender *sender = first; sender < first + DATAGRAM_WAYS; sender++) {
		if (sender->id == id)
			return sender;
		if (sender->heard < oldest->heard)
			oldest = sender;
	}
	*oldest = (struct datagram_sender){.id = id,
					   .generation = (oldest->generation + 1) & INT32_MAX};
	return oldest;
}

bool datagrams_note(struct datagrams *datagrams, uint64_t id, uint64_t number,
		    struct datagram_sender **sender_out)
{
	struct datagram_sender *sender = place_of(datagrams, id);
	uint64_t ahead = number - sender->newest, behind = sender->newest - number;

	*sender_out = sender;
	sender->heard = ++datagrams->heard;
	if (number > sender->newest) {
		sender->seen = ahead < DATAGRAM_WINDOW ? sender->seen << ahead : 0;
		sender->seen |= 1;
		sender->newest = number;
		return true;
	}
	if (behind >= DATAGRAM_WINDOW || sender->seen >> behind & 1)
		return false;
	sender->seen |= UINT64_C(1) << behind;
	return true;
}

static void note_bad(struct datagrams *datagrams, const demi_qresult_t *result, int error)
{
	struct address *from = &datagrams->bad_from;

	datagrams->malformed++;
	datagrams->is_other_version = error == -EPROTONOSUPPORT;
	from->length = sizeof(from->storage);
	if (demi_sgaaddr(&result->qr_value.sga, (struct sockaddr *)&from->storage, &from->length))
		*from = (struct address){.length = 0};
}

static void take(struct datagrams *datagrams, const demi_qresult_t *result, const uint8_t *bytes,
		 size_t len)
{
	struct reader reader = reader_of(bytes, len);
	uint32_t magic = read_u32(&reader), flags = read_u32(&reader);
	uint64_t id = read_u64(&reader), number = read_u64(&reader);
	struct datagram_sender *sender;
	struct message message;
	int error = reader.failed || magic != DATAGRAM_MAGIC || flags || id == 0
			    ? -EBADMSG
			    : message_parse(&message, reader.at, reader.left);

	if (error) {
		note_bad(datagrams, result, error);
		return;
	}
	if (!datagrams_note(datagrams, id, number, &sender)) {
		datagrams->twice++;
		return;
	}
	sender->address.length = sizeof(sender->address.storage);
	if (demi_sgaaddr(&result->qr_value.sga, (struct sockaddr *)&sender->address.storage,
			 &sender->address.length) != 0)
		return;
	datagrams->received(datagrams->context,
			    DATAGRAM_PEER | (uint64_t)sender->generation << 32 |
				    (uint32_t)(sender - datagrams->senders),
			    &message);
}

/* Return: where the bytes stand, in one piece; NULL: they are too many. */
static const uint8_t *whole_of(struct datagrams *datagrams, const demi_sgarray_t *array,
			       size_t *len_out)
{
	size_t len = 0;

	if (array->sga_numsegs == 1) {
		*len_out = array->sga_segs[0].sgaseg_len;
		return array->sga_segs[0].sgaseg_buf;
	}
	for (uint32_t i = 0; i < array->sga_numsegs; i++) {
		const demi_sgaseg_t *segment = &array->sga_segs[i];

		if (len + segment->sgaseg_len > DATAGRAM_HEADER_LEN + DATAGRAM_MESSAGE_MAX)
			return NULL;
		memcpy(datagrams->whole + len, segment->sgaseg_buf, segment->sgaseg_len);
		len += segment->sgaseg_len;
	}
	*len_out = len;
	return datagrams->whole;
}

bool datagrams_result(struct datagrams *datagrams, const demi_qresult_t *result)
{
	demi_sgarray_t array = result->qr_value.sga;
	const uint8_t *bytes;
	size_t len = 0;

	if (datagrams->qd < 0 || result->qr_qd != datagrams->qd)
		return false;
	if (result->qr_opcode == DEMI_OPC_POP) {
		bytes = whole_of(datagrams, &array, &len);
		if (bytes)
			take(datagrams, result, bytes, len);
		else
			note_bad(datagrams, result, -EBADMSG);
		demi_sgafree(&array);
	} else if (result->qr_opcode == DEMI_OPC_FAILED) {
		/* Of a push; or a pop was told that there is nobody where one went. */
		datagrams->dropped++;
	}
	if (end_pop(datagrams, result->qr_qt))
		begin_pops(datagrams);
	return true;
}
