/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "turn_request.h"

/* The value of PASSWORD-ALGORITHMS that we send: SHA-256, then MD5, both without parameters. */
static const uint8_t algorithms[] = {0, STUN_ALGORITHM_SHA256, 0, 0, 0, STUN_ALGORITHM_MD5, 0, 0};

static bool has_integrity(const struct turn_request *request)
{
	return stun_has(&request->message, STUN_MESSAGE_INTEGRITY) ||
	       stun_has(&request->message, STUN_MESSAGE_INTEGRITY_SHA256);
}

static struct stun_text text_of(const struct turn_request *request, enum stun_attribute attribute)
{
	size_t length;
	const uint8_t *value = stun_value(&request->message, attribute, &length);

	return (struct stun_text){(const char *)value, length};
}

/* Which key the client uses, 400 if what it says of that does not fit what we have offered. */
static unsigned int choose_algorithm(const struct turn_request *request, struct stun_text nonce,
				     enum stun_algorithm *algorithm)
{
	const struct stun_message *message = &request->message;
	struct stun_text offered = text_of(request, STUN_PASSWORD_ALGORITHMS);
	struct stun_text chosen = text_of(request, STUN_PASSWORD_ALGORITHM);

	*algorithm = STUN_ALGORITHM_MD5;
	if (!(nonce_features(nonce) & NONCE_PASSWORD_ALGORITHMS) || (!offered.text && !chosen.text))
		return 0;
	if (!offered.text || !chosen.text || offered.length != sizeof(algorithms) ||
	    memcmp(offered.text, algorithms, sizeof(algorithms)) != 0)
		return 400;
	uint32_t number = stun_value_32(message, STUN_PASSWORD_ALGORITHM) >> 16;

	if (number != STUN_ALGORITHM_MD5 && number != STUN_ALGORITHM_SHA256)
		return 400;
	*algorithm = (enum stun_algorithm)number;
	return 0;
}

static bool integrity_is_right(struct turn_request *request)
{
	if (request->integrity == TURN_INTEGRITY_SHA256)
		return stun_integrity_sha256_is_right(&request->message, &request->key);
	return stun_integrity_is_right(&request->message, &request->key);
}

static bool find_key(struct turn_request *request, enum stun_algorithm algorithm)
{
	const struct credentials *credentials = request->turn->credentials;

	for (size_t which = 0;
	     credentials_key(credentials, request->name, which, algorithm, request->turn->unix_s,
			     &request->key, &request->person) == 0;
	     which++) {
		if (integrity_is_right(request))
			return true;
	}
	return false;
}

static bool realm_is_ours(const struct turn_request *request)
{
	struct stun_text ours = request->turn->credentials->realm;
	struct stun_text realm = text_of(request, STUN_REALM);

	return realm.length == ours.length && memcmp(realm.text, ours.text, ours.length) == 0;
}

static unsigned int check_credentials(struct turn_request *request)
{
	const struct stun_message *message = &request->message;
	const struct turn *turn = request->turn;
	struct stun_text nonce = text_of(request, STUN_NONCE);
	struct stun_text hash = text_of(request, STUN_USERHASH);
	enum stun_algorithm algorithm;
	unsigned int code;

	if (!has_integrity(request))
		return 401;
	request->name = text_of(request, STUN_USERNAME);
	if ((!request->name.text && !hash.text) || !nonce.text || !stun_has(message, STUN_REALM))
		return 400;
	code = choose_algorithm(request, nonce, &algorithm);
	if (code)
		return code;
	if (!request->name.text)
		request->name = credentials_name_of(turn->credentials, (const uint8_t *)hash.text);
	request->integrity = stun_has(message, STUN_MESSAGE_INTEGRITY_SHA256)
				     ? TURN_INTEGRITY_SHA256
				     : TURN_INTEGRITY_SHA1;
	if (!request->name.text || !realm_is_ours(request) || !find_key(request, algorithm)) {
		request->integrity = TURN_INTEGRITY_NONE;
		return 401;
	}
	if (!nonce_is_fresh(nonce, &turn->nonce_key, &request->client->address,
			    (uint32_t)(request->now_ns / TURN_NS_PER_S), turn->settings->nonce_s)) {
		/* It may be a recording: the answer does not say who it was. */
		request->integrity = TURN_INTEGRITY_NONE;
		return 438;
	}
	return 0;
}

unsigned int turn_authenticate(struct turn_request *request)
{
	unsigned int code;

	if (request->turn->settings->no_auth) {
		net_address_format_ip(&request->client->address, request->person_text);
		request->person = (struct stun_text){request->person_text,
						     strlen(request->person_text)};
		request->is_trusted = true;
		return 0;
	}
	code = check_credentials(request);
	if (code)
		return code;
	request->is_trusted = true;
	/* RFC 8656, 5: what one user made, another must not touch. */
	if (request->allocation &&
	    quota_find(&request->turn->quotas, request->person) != request->allocation->quota)
		return 441;
	return 0;
}

/* --- answers --- */

static const char *phrase_of(unsigned int code)
{
	switch (code) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthenticated";
	case 403:
		return "Forbidden";
	case 420:
		return "Unknown Attribute";
	case 437:
		return "Allocation Mismatch";
	case 438:
		return "Stale Nonce";
	case 440:
		return "Address Family not Supported";
	case 441:
		return "Wrong Credentials";
	case 442:
		return "Unsupported Transport Protocol";
	case 443:
		return "Peer Address Family Mismatch";
	case 486:
		return "Allocation Quota Reached";
	default:
		return "Insufficient Capacity";
	}
}

void turn_answer_begin(struct turn_request *request, enum stun_class class)
{
	struct stun_writer *writer = &request->writer;

	stun_begin(writer, writer->bytes, TURN_ANSWER_BYTES_MAX,
		   (enum stun_method)request->message.method, class, request->message.transaction);
}

static void add_challenge(struct turn_request *request)
{
	const struct turn *turn = request->turn;
	const struct stun_text realm = turn->credentials->realm;
	unsigned int features = 0;
	char nonce[NONCE_CHARACTERS];

	if (!turn->settings->no_sha256)
		features |= NONCE_PASSWORD_ALGORITHMS;
	/* Names of limited time are in no list that a hash could be looked up in. */
	if (turn->credentials->secret_count == 0)
		features |= NONCE_USERNAME_ANONYMITY;
	nonce_make(nonce, &turn->nonce_key, &request->client->address,
		   (uint32_t)(request->now_ns / TURN_NS_PER_S), features);
	stun_add(&request->writer, STUN_TYPE_REALM, realm.text, realm.length);
	stun_add(&request->writer, STUN_TYPE_NONCE, nonce, sizeof(nonce));
	if (features & NONCE_PASSWORD_ALGORITHMS)
		stun_add(&request->writer, STUN_TYPE_PASSWORD_ALGORITHMS, algorithms,
			 sizeof(algorithms));
}

void turn_answer_error(struct turn_request *request, unsigned int code)
{
	const struct stun_message *message = &request->message;
	uint8_t *unknown;

	turn_answer_begin(request, STUN_ERROR);
	/* The words are for people who look at packets; a stranger may want them sent to a victim. */
	stun_add_error(&request->writer, code, request->is_trusted ? phrase_of(code) : "");
	if (code == 401 || code == 438) {
		add_challenge(request);
		request->turn->counters.challenges++;
		return;
	}
	request->turn->counters.refused_requests++;
	if (request->turn->ops->refused)
		request->turn->ops->refused(request->turn->context, request->client,
					    (enum stun_method)message->method, code, request->name);
	if (code != 420)
		return;
	unknown = stun_reserve(&request->writer, STUN_TYPE_UNKNOWN_ATTRIBUTES,
			       2 * (size_t)message->unknown_count);
	for (size_t i = 0; unknown && i < message->unknown_count; i++)
		stun_put_16(unknown + 2 * i, message->unknown[i]);
}

static bool may_answer(struct turn_request *request)
{
	struct turn *turn = request->turn;
	const struct net_address *address = &request->client->address;
	uint64_t slot;

	/* A stream's other end has shown that it is where it says, and pays for its packets. */
	if (request->is_trusted || request->client->is_stream ||
	    request->writer.length <= request->message.length)
		return true;
	slot = table_hash(turn->seed, address->ip, NET_IP_BYTES) & (TURN_CHALLENGE_SLOTS - 1);
	if (bucket_take(&turn->challenges[slot], request->now_ns, turn->settings->challenges_per_s,
			1))
		return true;
	turn->counters.drop_challenge_rate++;
	return false;
}

size_t turn_answer_end(struct turn_request *request)
{
	const char *software = request->turn->settings->software;
	struct stun_writer *writer = &request->writer;
	bool has_fingerprint = stun_has(&request->message, STUN_FINGERPRINT);
	size_t bytes = strlen(software), more;

	more = STUN_ATTRIBUTE_BYTES + bytes + stun_padding(bytes) + (has_fingerprint ? 8 : 0);
	if (bytes && (request->is_trusted || writer->length + more <= request->message.length))
		stun_add(writer, STUN_TYPE_SOFTWARE, software, bytes);
	if (request->integrity == TURN_INTEGRITY_SHA1)
		stun_add_integrity(writer, &request->key);
	else if (request->integrity == TURN_INTEGRITY_SHA256)
		stun_add_integrity_sha256(writer, &request->key);
	if (has_fingerprint)
		stun_add_fingerprint(writer);
	return !writer->is_full && may_answer(request) ? writer->length : 0;
}
