/* SPDX-License-Identifier: MIT */
/* What a client asks for before it has anything to send: an allocation, and a permission or a channel. */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "load.h"
#include "stun_integrity.h"

#define UNDER_WAY_MAX 64u
#define RETRY_NS UINT64_C(500000000)
#define GIVE_UP_NS UINT64_C(20000000000) /* without an answer to anybody */
#define REQUEST_BYTES_MAX 512
#define LIFETIME_S 3600u

/* A text that is written down. */
#define TEXT(literal) ((struct stun_text){literal, sizeof(literal) - 1})
static const struct stun_text user = TEXT("user"), realm = TEXT("example.org"),
			      password = TEXT("secret");

enum step { STEP_CHALLENGE, STEP_ALLOCATE, STEP_PERMIT, STEP_READY };

struct making {
	struct load *load;
	struct stun_key key;
	uint32_t under_way[UNDER_WAY_MAX]; /* sessions */
	uint32_t count;
	uint32_t next; /* session to begin with */
	uint64_t heard_ns;
};

static const struct net_address *peer_of(const struct load *load, uint32_t index)
{
	return &load->options.peers[load->options.both_families ? index % LOAD_FAMILIES : 0];
}

static void add_credentials(struct stun_writer *writer, const struct making *making,
			    const struct session *session)
{
	stun_add(writer, STUN_TYPE_USERNAME, user.text, user.length);
	stun_add(writer, STUN_TYPE_REALM, realm.text, realm.length);
	stun_add(writer, STUN_TYPE_NONCE, session->nonce, session->nonce_bytes);
	stun_add_integrity(writer, &making->key);
}

/* The request of a session's step. The transaction says whose and which it is. */
static void build(struct stun_writer *writer, uint8_t *bytes, const struct making *making,
		  uint32_t index)
{
	const struct load *load = making->load;
	const struct session *session = &load->sessions[index];
	uint32_t transaction[3] = {index, session->step, 0};
	const struct net_address *peer = peer_of(load, index);
	enum stun_method method = STUN_METHOD_ALLOCATE;

	if (session->step == STEP_PERMIT)
		method = load->options.method == LOAD_CHANNELS ? STUN_METHOD_CHANNEL_BIND
							       : STUN_METHOD_CREATE_PERMISSION;
	stun_begin(writer, bytes, REQUEST_BYTES_MAX, method, STUN_REQUEST,
		   (const uint8_t *)transaction);
	if (method == STUN_METHOD_ALLOCATE) {
		stun_add_32(writer, STUN_TYPE_REQUESTED_TRANSPORT, 17u << 24);
		stun_add_32(writer, STUN_TYPE_LIFETIME, LIFETIME_S);
		if (peer->family == NET_V6)
			stun_add_32(writer, STUN_TYPE_REQUESTED_ADDRESS_FAMILY, 2u << 24);
	} else {
		if (method == STUN_METHOD_CHANNEL_BIND)
			stun_add_32(writer, STUN_TYPE_CHANNEL_NUMBER, LOAD_CHANNEL << 16);
		stun_add_address(writer, STUN_TYPE_XOR_PEER_ADDRESS, peer);
	}
	if (session->step != STEP_CHALLENGE)
		add_credentials(writer, making, session);
}

static void ask(struct making *making, uint32_t index)
{
	struct load *load = making->load;
	struct load_control control;
	uint8_t bytes[REQUEST_BYTES_MAX];
	struct stun_writer writer;
	struct iovec piece = {.iov_base = bytes};
	struct msghdr message = {.msg_name = &load->options.server,
				 .msg_namelen = sizeof(load->options.server),
				 .msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};

	build(&writer, bytes, making, index);
	piece.iov_len = writer.length;
	load_set_source(&control, load_client_ip(load, index));
	load->sessions[index].asked_ns = load_now_ns();
	if (sendmsg(load->clients, &message, 0) < 0 && errno != EAGAIN && errno != ENOBUFS &&
	    errno != ECONNREFUSED)
		err(1, "a client's request");
}

static void read_relayed(struct session *session, const struct stun_message *message)
{
	size_t length;
	const uint8_t *value = stun_value(message, STUN_XOR_RELAYED_ADDRESS, &length);

	if (!value || (length != 8 && length != 20))
		errx(1, "the server tells no relayed address");
	memset(&session->relayed, 0, sizeof(session->relayed));
	session->relayed.family = length == 8 ? NET_V4 : NET_V6;
	session->relayed.port = (uint16_t)(stun_get_16(value + 2) ^ (STUN_MAGIC >> 16));
	for (size_t i = 0; i + 4 < length; i++)
		session->relayed.ip[i] = value[4 + i] ^ message->bytes[4 + i];
}

/* Return: whether there is one: a server that has just started may refuse without. */
static bool take_nonce(struct session *session, const struct stun_message *message)
{
	size_t length;
	const uint8_t *value = stun_value(message, STUN_NONCE, &length);

	if (!value)
		return false;
	if (length > sizeof(session->nonce))
		errx(1, "the server's nonce has %zu bytes; at most %u are expected", length,
		     LOAD_NONCE_MAX);
	memcpy(session->nonce, value, length);
	session->nonce_bytes = (uint8_t)length;
	return true;
}

static void refused(const struct stun_message *message, enum step step)
{
	size_t length;
	const uint8_t *value = stun_value(message, STUN_ERROR_CODE, &length);

	errx(1, "step %d is refused: %d", step,
	     value && length >= 4 ? value[2] * 100 + value[3] : 0);
}

/* An answer: the session's next step. */
static void answered(struct making *making, const uint8_t *bytes, size_t length)
{
	struct load *load = making->load;
	struct stun_message message;
	uint32_t transaction[3];
	struct session *session;

	if (stun_parse(&message, bytes, length) != 0 || message.class == STUN_INDICATION)
		return;
	memcpy(transaction, message.transaction, sizeof(transaction));
	if (transaction[0] >= load->options.sessions)
		return;
	session = &load->sessions[transaction[0]];
	if (session->step != transaction[1])
		return; /* of a request that was repeated */
	if (session->step == STEP_CHALLENGE && !take_nonce(session, &message))
		return; /* it is asked again */
	making->heard_ns = load_now_ns();
	if (session->step != STEP_CHALLENGE && message.class != STUN_SUCCESS)
		refused(&message, session->step);
	if (session->step == STEP_ALLOCATE)
		read_relayed(session, &message);
	session->step++;
	if (session->step == STEP_PERMIT && load->options.method == LOAD_NONE)
		session->step = STEP_READY;
	if (session->step != STEP_READY)
		ask(making, transaction[0]);
}

/* Sessions that are ready make room for others; who has waited for long asks again. */
static void look(struct making *making)
{
	struct load *load = making->load;
	uint64_t now_ns = load_now_ns();

	for (uint32_t i = 0; i < making->count;) {
		struct session *session = &load->sessions[making->under_way[i]];

		if (session->step == STEP_READY) {
			making->under_way[i] = making->under_way[--making->count];
			continue;
		}
		if (now_ns - session->asked_ns > RETRY_NS)
			ask(making, making->under_way[i]);
		i++;
	}
	while (making->count < UNDER_WAY_MAX && making->next < load->options.sessions) {
		making->under_way[making->count++] = making->next;
		ask(making, making->next++);
	}
	if (now_ns - making->heard_ns > GIVE_UP_NS)
		errx(1, "the server does not answer");
}

void sessions_make(struct load *load)
{
	struct making making = {.load = load, .heard_ns = load_now_ns()};
	uint8_t bytes[LOAD_DATAGRAM_MAX];

	stun_key_make(&making.key, STUN_ALGORITHM_MD5, user, realm, password);
	do {
		ssize_t got = recv(load->clients, bytes, sizeof(bytes), 0);

		if (got > 0)
			answered(&making, bytes, (size_t)got);
		else
			look(&making);
	} while (making.count > 0 || making.next < load->options.sessions);
}
