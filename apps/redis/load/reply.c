/* SPDX-License-Identifier: MIT */
/* What comes back: whether it answers the request whose turn it is, and is right. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "request.h"
#include "workload.h"

#define SHOWN_MAX 160 /* bytes of a server's text in a message */

#define REQUEST_WORDS_MAX (REQUEST_KEY_MAX + 8)

/* A request in words. */
static void describe(const struct workload *workload, const struct workload_request *request,
		     char words[REQUEST_WORDS_MAX])
{
	char key[REQUEST_KEY_MAX + 1];

	if (request->kind == REQUEST_AUTH) {
		snprintf(words, REQUEST_WORDS_MAX, "AUTH");
		return;
	}
	request_key(workload->options, request->key, key);
	snprintf(words, REQUEST_WORDS_MAX, "%s %s", request->kind == REQUEST_GET ? "GET" : "SET",
		 key);
}

/* A reply that is wrong, however that is: the connection and the request first. */
__attribute__((format(printf, 4, 5))) static void fail(struct workload *workload,
						       const struct workload_connection *connection,
						       const char *what, const char *format, ...)
{
	char request[REQUEST_WORDS_MAX] = "no request";
	char details[SHOWN_MAX + 128];
	va_list arguments;

	if (connection->outstanding)
		describe(workload, &connection->requests[connection->head], request);
	va_start(arguments, format);
	vsnprintf(details, sizeof(details), format, arguments);
	va_end(arguments);
	workload_fail(workload, "%s: connection %u, %s: %s", what, connection->index, request,
		      details);
}

/* The request whose reply is whole has its place for another one. */
static void finish(struct workload *workload, struct workload_connection *connection)
{
	struct workload_request *request = &connection->requests[connection->head];

	connection->head = connection->head + 1 == workload->options->pipeline
				   ? 0
				   : connection->head + 1;
	connection->outstanding--;
	connection->answered++;
	workload->outstanding--;
	if (request->measured)
		latency_record(&workload->latency, workload->now_ns - request->sent_ns);
}

static void show(char shown[SHOWN_MAX + 1], const struct resp_event *event)
{
	size_t length = event->length < SHOWN_MAX ? event->length : SHOWN_MAX;

	for (size_t i = 0; i < length; i++)
		shown[i] = event->text[i] >= ' ' && event->text[i] <= '~' ? (char)event->text[i]
									  : '?';
	shown[length] = '\0';
}

static bool begins_with(const char *text, const char *word)
{
	return strncmp(text, word, strlen(word)) == 0;
}

static void on_error(struct workload *workload, struct workload_connection *connection,
		     const struct resp_event *event)
{
	char shown[SHOWN_MAX + 1];
	const struct workload_request *request = &connection->requests[connection->head];

	show(shown, event);
	/* A server that takes no more clients says so unasked, and closes. */
	if (connection->outstanding == 0 || request->kind == REQUEST_AUTH ||
	    !workload->options->allow_errors) {
		workload->error_replies += connection->outstanding && request->kind != REQUEST_AUTH;
		fail(workload, connection,
		     connection->outstanding && request->kind == REQUEST_AUTH
			     ? "the server refuses the password"
			     : "error reply",
		     "%s%s", shown,
		     begins_with(shown, "NOAUTH") ? " (give it with --password)" : "");
		return;
	}
	if (request->kind == REQUEST_SET && workload->order)
		order_refused(&workload->order[request->key]);
	workload->error_replies++;
	finish(workload, connection);
}

static void on_simple(struct workload *workload, struct workload_connection *connection,
		      const struct resp_event *event)
{
	const struct workload_request *request = &connection->requests[connection->head];
	char shown[SHOWN_MAX + 1];

	if (request->kind == REQUEST_GET || event->length != 2 ||
	    memcmp(event->text, "OK", 2) != 0) {
		show(shown, event);
		fail(workload, connection, "wrong reply", "+%s", shown);
		return;
	}
	if (request->kind == REQUEST_SET) {
		workload->sets++;
		if (workload->order)
			order_answered(&workload->order[request->key]);
	}
	finish(workload, connection);
}

static void on_nil(struct workload *workload, struct workload_connection *connection)
{
	const struct workload_request *request = &connection->requests[connection->head];

	if (request->kind != REQUEST_GET) {
		fail(workload, connection, "wrong reply", "nil");
		return;
	}
	workload->nils++;
	if (!workload->options->allow_nil) {
		fail(workload, connection, "no such key",
		     "nil (write the keys with --prefill, or --allow-nil)");
		return;
	}
	finish(workload, connection);
}

static void on_value(struct workload *workload, struct workload_connection *connection,
		     const struct resp_event *event)
{
	const struct workload_request *request = &connection->requests[connection->head];

	if (request->kind != REQUEST_GET)
		fail(workload, connection, "wrong reply", "a value of %" PRId64 " bytes",
		     event->integer);
	else if (workload->options->verify && event->integer != workload->table->size)
		fail(workload, connection, "wrong value",
		     "%" PRId64 " bytes, expected %u (written with another --size?)",
		     event->integer, workload->table->size);
	if (workload->options->verify)
		value_check_begin(&connection->check, workload->table, request->key);
}

static void on_bytes(struct workload *workload, struct workload_connection *connection,
		     const struct resp_event *event)
{
	struct value_check *check = &connection->check;
	uint32_t before = check->offset;

	if (!workload->options->verify ||
	    value_check_run(check, workload->table, event->text, event->length))
		return;
	fail(workload, connection, "wrong byte", "offset %" PRIu32 ": expected 0x%02x, got 0x%02x",
	     check->offset, value_check_expected(check, workload->table),
	     event->text[check->offset - before]);
}

/* A value that this run has written is one that it wrote, and is not older than it may be. */
static void check_version(struct workload *workload, const struct workload_connection *connection)
{
	const struct workload_request *request = &connection->requests[connection->head];
	const struct value_id *id = &connection->check.id;

	if (request->version == 0 || !workload->table->stamp)
		return;
	if (id->run != workload->run)
		fail(workload, connection, "old value",
		     "of another run, though this one's SET was answered");
	else if (id->version < request->version)
		fail(workload, connection, "old value",
		     "version %" PRIu64 ", though the SET of %" PRIu64 " was answered", id->version,
		     request->version);
	else if (id->version > workload->version)
		fail(workload, connection, "wrong value", "version %" PRIu64 " was never set",
		     id->version);
}

static void on_end(struct workload *workload, struct workload_connection *connection)
{
	if (workload->options->verify) {
		check_version(workload, connection);
		if (workload->failure[0])
			return;
		workload->verified++;
	}
	workload->gets++;
	finish(workload, connection);
}

static void on_event(struct workload *workload, struct workload_connection *connection,
		     const struct resp_event *event)
{
	if (connection->outstanding == 0 && event->kind != RESP_ERROR) {
		fail(workload, connection, "wrong reply", "one that was not asked for");
		return;
	}
	switch (event->kind) {
	case RESP_SIMPLE:
		on_simple(workload, connection, event);
		return;
	case RESP_ERROR:
		on_error(workload, connection, event);
		return;
	case RESP_NIL:
		on_nil(workload, connection);
		return;
	case RESP_BULK:
		on_value(workload, connection, event);
		return;
	case RESP_BYTES:
		on_bytes(workload, connection, event);
		return;
	case RESP_END:
		on_end(workload, connection);
		return;
	default:
		fail(workload, connection, "wrong reply", "%s %" PRId64,
		     event->kind == RESP_ARRAY ? "an array of" : "the number", event->integer);
	}
}

void workload_rx(struct workload *workload, uint32_t connection, const uint8_t *data, size_t length)
{
	struct workload_connection *receiver = &workload->connections[connection];
	struct resp_event event;
	int result = 0;

	workload->last_answer_ns = workload->now_ns;
	workload->heard_ns = workload->now_ns;
	while (!workload->failure[0] &&
	       (result = resp_next(&receiver->parser, &data, &length, &event)) > 0)
		on_event(workload, receiver, &event);
	if (result < 0)
		fail(workload, receiver, "this is no Redis server's reply", "%s",
		     receiver->parser.wrong);
}
