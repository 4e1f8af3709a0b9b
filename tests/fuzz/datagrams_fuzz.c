/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for TxnStore's messages over UDP: datagrams as anybody may send them, whole and in
 * segments, most of them mended so that they are looked at. What is handed on lies inside what came, what
 * is answered is of the form and small enough, and nothing comes twice. The library is played here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txnstore/core/bytes.h"
#include "txnstore/datagrams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

#define QD 600
#define ANSWER_BYTES_MAX (DATAGRAM_MESSAGE_MAX + 100u)
#define MENDED 1u
#define SPLIT 2u
#define FULL 4u /* the library has no room for the answer */

static _Noreturn void fail(const char *condition, int line)
{
	fprintf(stderr, "datagrams_fuzz.c:%d: not so: %s\n", line, condition);
	abort();
}

static struct {
	struct datagrams datagrams;
	const uint8_t *bytes; /* of the datagram that is looked at */
	size_t len;
	uint8_t kind;
	uint64_t tokens;
	uint64_t received, answered;
	uint8_t answer[ANSWER_BYTES_MAX];
} fuzz;

/* ---- The library ---- */

void *demi_malloc(size_t size)
{
	return malloc(size);
}

void demi_free(void *object)
{
	free(object);
}

int demi_socket(int *qd_out, int domain, int type, int protocol)
{
	must(domain == AF_INET && type == SOCK_DGRAM && protocol == 0);
	*qd_out = QD;
	return 0;
}

int demi_bind(int qd, const struct sockaddr *address, socklen_t length)
{
	must(qd == QD && address->sa_family == AF_INET && length == sizeof(struct sockaddr_in));
	return 0;
}

int demi_close(int qd)
{
	must(qd == QD);
	return 0;
}

int demi_pop(demi_qtoken_t *qt_out, int qd)
{
	must(qd == QD);
	*qt_out = ++fuzz.tokens;
	return 0;
}

int demi_sgaaddr(const demi_sgarray_t *sga, struct sockaddr *address, socklen_t *length)
{
	const struct sockaddr_in source = {.sin_family = AF_INET};

	must(sga->sga_numsegs > 0 && *length >= sizeof(source));
	memcpy(address, &source, sizeof(source));
	*length = sizeof(source);
	return 0;
}

int demi_sgafree(demi_sgarray_t *sga)
{
	sga->sga_numsegs = 0;
	return 0;
}

int demi_pushto(demi_qtoken_t *qt_out, int qd, const demi_sgarray_t *sga,
		const struct sockaddr *address, socklen_t length)
{
	static uint8_t whole[DATAGRAM_HEADER_LEN + DATAGRAM_MESSAGE_MAX];
	struct message message;
	size_t len = 0;

	must(qd == QD && address->sa_family == AF_INET && length == sizeof(struct sockaddr_in));
	must(sga->sga_numsegs > 0 && sga->sga_numsegs <= DEMI_SGARRAY_MAXSIZE);
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		const demi_sgaseg_t *segment = &sga->sga_segs[i];

		must(segment->sgaseg_len > 0 && segment->sgaseg_len <= sizeof(whole) - len);
		memcpy(whole + len, segment->sgaseg_buf, segment->sgaseg_len);
		len += segment->sgaseg_len;
	}
	must(len >= DATAGRAM_HEADER_LEN);
	must(message_parse(&message, whole + DATAGRAM_HEADER_LEN, len - DATAGRAM_HEADER_LEN) == 0);
	*qt_out = ++fuzz.tokens;
	fuzz.answered++;
	return fuzz.kind & FULL ? ENOMEM : 0;
}

/* ---- What comes ---- */

static void received(void *context, uint64_t peer, const struct message *message)
{
	const uint8_t *from = fuzz.kind & SPLIT ? fuzz.datagrams.whole : fuzz.bytes;
	const uint8_t *body = message->body;
	struct message reply = *message;

	(void)context;
	fuzz.received++;
	must(peer & DATAGRAM_PEER);
	must(fuzz.len >= DATAGRAM_HEADER_LEN + MESSAGE_HEADER_LEN);
	must(message->body_len == fuzz.len - DATAGRAM_HEADER_LEN - MESSAGE_HEADER_LEN);
	must(body == from + fuzz.len - message->body_len);
	must(message->type > 0 && message->type < MESSAGE_TYPE_END);
	must(message->shard < SHARDS_MAX && message->result < RESULT_END);
	/* From nothing to more than a datagram takes. */
	reply.body = fuzz.answer;
	reply.body_len = (uint32_t)(fuzz.kind >> 3) * (ANSWER_BYTES_MAX / 31);
	datagrams_answer(&fuzz.datagrams, peer, &reply);
	/* One that nobody knows any more. */
	datagrams_answer(&fuzz.datagrams, peer ^ UINT64_C(1) << 40, &reply);
}

/* Most inputs would end at a magic or a length. */
static void mend(uint8_t *bytes, size_t len)
{
	struct writer writer = {.bytes = bytes, .room = len};
	const struct message empty = {.type = 1, .body_len = 0};
	uint8_t header[MESSAGE_HEADER_LEN];
	uint8_t *message = bytes + DATAGRAM_HEADER_LEN;

	if (len < DATAGRAM_HEADER_LEN + MESSAGE_HEADER_LEN)
		return;
	write_u32(&writer, 0x31555844u);
	write_u32(&writer, 0);
	message_header(&empty, header);
	memcpy(message, header, 4);
	writer = (struct writer){.bytes = message + 12, .room = 4};
	write_u32(&writer, (uint32_t)(len - DATAGRAM_HEADER_LEN - MESSAGE_HEADER_LEN));
}

static void feed(uint8_t *bytes, size_t len)
{
	demi_qresult_t result = {.qr_opcode = DEMI_OPC_POP, .qr_qd = QD};
	size_t cut = fuzz.kind & SPLIT ? len / 2 : len;
	uint64_t before = fuzz.received;

	result.qr_value.sga.sga_numsegs = cut < len ? 2 : 1;
	result.qr_value.sga.sga_segs[0] = (demi_sgaseg_t){bytes, (uint32_t)cut};
	result.qr_value.sga.sga_segs[1] = (demi_sgaseg_t){bytes + cut, (uint32_t)(len - cut)};
	if (cut == len)
		fuzz.kind &= (uint8_t)~SPLIT;
	fuzz.bytes = bytes;
	fuzz.len = len;
	for (int twice = 0; twice < 2; twice++) {
		result.qr_qt = fuzz.datagrams.pops[twice];
		must(datagrams_result(&fuzz.datagrams, &result));
	}
	must(fuzz.received <= before + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader reader = reader_of(data, size);

	memset(&fuzz.datagrams, 0, sizeof(fuzz.datagrams));
	fuzz.tokens = fuzz.received = fuzz.answered = 0;
	fuzz.datagrams.received = received;
	must(datagrams_open(&fuzz.datagrams, NULL, AF_INET, 1) == 0);
	while (reader.left >= 3) {
		size_t len;
		uint8_t *bytes;

		fuzz.kind = read_u8(&reader);
		len = read_u16(&reader);
		if (len > reader.left)
			len = reader.left;
		/* Of exactly this length, so that a byte behind it is seen. */
		bytes = malloc(len);
		must(bytes || len == 0);
		if (len)
			memcpy(bytes, reader.at, len);
		(void)read_bytes(&reader, len);
		if (fuzz.kind & MENDED)
			mend(bytes, len);
		feed(bytes, len);
		free(bytes);
	}
	must(!datagrams_result(&fuzz.datagrams, &(demi_qresult_t){.qr_qd = QD + 1}));
	datagrams_close(&fuzz.datagrams);
	return 0;
}
