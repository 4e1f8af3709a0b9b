/* SPDX-License-Identifier: MIT */
#include "workload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

#define WARMUP_MAX 1000 /* messages */
#define WARMUP_DIVISOR 20
#define EXPIRY_PERIOD_NS (100 * NS_PER_MS)

static bool is_stream(const struct workload *workload)
{
	return workload->options->protocol == PROTOCOL_TCP;
}

int workload_init(struct workload *workload, const struct options *options)
{
	uint32_t inflight = options->inflight;
	size_t slots = (size_t)inflight * options->connections;

	*workload = (struct workload){.options = options};
	pattern_init(&workload->pattern, options);
	workload->connections = calloc(options->connections, sizeof(*workload->connections));
	workload->slots = calloc(slots, sizeof(*workload->slots));
	workload->free_slots = calloc(slots, sizeof(*workload->free_slots));
	latency_init(&workload->latency);
	if (!workload->connections || !workload->slots || !workload->free_slots) {
		workload_fini(workload);
		return ENOMEM;
	}
	for (uint32_t i = 0; i < options->connections; i++) {
		struct workload_connection *connection = &workload->connections[i];
		connection->index = i;
		connection->slots = workload->slots + (size_t)i * inflight;
		connection->free_slots = workload->free_slots + (size_t)i * inflight;
		for (uint32_t slot = 0; slot < inflight; slot++)
			connection->free_slots[slot] = inflight - 1 - slot;
	}
	return 0;
}

void workload_fini(struct workload *workload)
{
	free(workload->connections);
	free(workload->slots);
	free(workload->free_slots);
	workload->connections = NULL;
	workload->slots = NULL;
	workload->free_slots = NULL;
}

void workload_fail(struct workload *workload, const char *format, ...)
{
	va_list arguments;

	if (workload->failure[0])
		return;
	va_start(arguments, format);
	vsnprintf(workload->failure, sizeof(workload->failure), format, arguments);
	va_end(arguments);
	if (workload->group)
		atomic_store_explicit(&workload->group->is_over, true, memory_order_relaxed);
}

/* The warm-up is 5 % of the run, by messages or by time, and at most WARMUP_MAX messages. */
static bool warmup_is_over(const struct workload *workload)
{
	uint64_t count = workload->options->count;
	uint64_t duration_ns = workload->options->duration_ns;
	uint64_t messages = WARMUP_MAX;

	if (count && count / WARMUP_DIVISOR < messages)
		messages = count / WARMUP_DIVISOR;
	return workload->verified >= messages ||
	       (duration_ns &&
		workload->now_ns - workload->started_ns >= duration_ns / WARMUP_DIVISOR);
}

void workload_start(struct workload *workload, uint64_t now_ns)
{
	workload->now_ns = now_ns;
	workload->started_ns = now_ns;
	workload->last_answer_ns = now_ns;
	workload->expiry_ns = now_ns + EXPIRY_PERIOD_NS;
	if (warmup_is_over(workload))
		workload->measured_from_ns = now_ns;
}

/* Frees the slots of the datagrams that did not come back in time. */
static bool expire_datagrams(struct workload *workload)
{
	uint64_t before = workload->lost;

	for (uint32_t i = 0; i < workload->options->connections; i++) {
		struct workload_connection *connection = &workload->connections[i];
		for (uint32_t j = 0; j < workload->options->inflight; j++) {
			struct workload_slot *slot = &connection->slots[j];
			if (!slot->outstanding ||
			    workload->now_ns - slot->sent_ns < WORKLOAD_LOSS_NS)
				continue;
			slot->outstanding = false;
			connection->outstanding--;
			workload->outstanding--;
			connection->free_slots[workload->options->inflight - 1 -
					       connection->outstanding] = j;
			workload->lost++;
		}
	}
	return workload->lost != before;
}

static void begin_drain(struct workload *workload)
{
	if (workload->drain_until_ns == 0)
		workload->drain_until_ns = workload->now_ns + WORKLOAD_DRAIN_NS;
}

static void tell_group(struct workload *workload)
{
	atomic_store_explicit(&workload->told_verified, workload->verified, memory_order_relaxed);
	atomic_store_explicit(&workload->told_lost, workload->lost, memory_order_relaxed);
	if (atomic_load_explicit(&workload->group->is_over, memory_order_relaxed))
		workload->drain_until_ns = workload->now_ns;
}

bool workload_tick(struct workload *workload, uint64_t now_ns)
{
	uint64_t duration_ns = workload->options->duration_ns;
	int stop_requests = process_stop_requests();

	workload->now_ns = now_ns;
	if (workload->group)
		tell_group(workload);
	if (stop_requests) {
		begin_drain(workload);
		workload->interrupted = true;
		if (stop_requests > 1)
			workload->drain_until_ns = now_ns;
	}
	if (duration_ns && now_ns - workload->started_ns >= duration_ns)
		begin_drain(workload);
	if (now_ns - workload->last_answer_ns >= WORKLOAD_SILENCE_NS)
		workload_fail(workload, "server gone: no answer for %u s",
			      (unsigned int)(WORKLOAD_SILENCE_NS / NS_PER_S));
	if (is_stream(workload) || now_ns < workload->expiry_ns)
		return false;
	workload->expiry_ns = now_ns + EXPIRY_PERIOD_NS;
	return expire_datagrams(workload);
}

bool workload_may_send(const struct workload *workload, uint32_t connection)
{
	uint64_t count = workload->options->count;

	return workload->connections[connection].outstanding < workload->options->inflight &&
	       (count == 0 || workload->sent - workload->lost < count) &&
	       workload->drain_until_ns == 0 && !workload->failure[0];
}

/* Takes the slot that the next message goes to, and numbers the message. */
static struct workload_slot *take_slot(struct workload *workload,
				       struct workload_connection *connection)
{
	uint32_t inflight = workload->options->inflight;
	struct workload_slot *slot;

	if (is_stream(workload)) {
		slot = &connection->slots[connection->next_sequence % inflight];
		slot->sequence = connection->next_sequence++;
	} else {
		uint32_t number = connection->free_slots[inflight - 1 - connection->outstanding];
		slot = &connection->slots[number];
		slot->sequence = slot->used ? slot->sequence + inflight : number;
	}
	slot->used = true;
	return slot;
}

void workload_send(struct workload *workload, uint32_t connection, uint8_t *message)
{
	struct workload_connection *sender = &workload->connections[connection];
	struct workload_slot *slot = take_slot(workload, sender);

	slot->outstanding = true;
	slot->sent_ns = workload->now_ns;
	sender->outstanding++;
	workload->outstanding++;
	workload->sent++;
	pattern_fill(&workload->pattern, workload->options->first_connection + connection,
		     slot->sequence, message);
}

/* One echo is complete and right. */
static void message_verified(struct workload *workload, struct workload_connection *connection,
			     struct workload_slot *slot)
{
	slot->outstanding = false;
	connection->outstanding--;
	workload->outstanding--;
	connection->answered++;
	workload->verified++;
	if (workload->measured_from_ns)
		latency_record(&workload->latency, workload->now_ns - slot->sent_ns);
	else if (warmup_is_over(workload))
		workload->measured_from_ns = workload->now_ns;
}

/* Compares a run of one message's bytes; a wrong one ends the run of the program. */
static bool bytes_are_right(struct workload *workload, uint32_t connection, uint64_t sequence,
			    size_t offset, const uint8_t *data, size_t length)
{
	const struct pattern *pattern = &workload->pattern;
	size_t right;

	connection += workload->options->first_connection;
	right = pattern_match(pattern, connection, sequence, offset, data, length);

	if (right == length)
		return true;
	size_t wrong = offset + right;
	workload_fail(workload,
		      "wrong byte: connection %u, message %" PRIu64 ", offset %zu (byte %" PRIu64
		      " of the connection): expected 0x%02x, got 0x%02x",
		      connection, sequence, wrong, sequence * pattern->size + wrong,
		      pattern_byte(pattern, connection, sequence, wrong), data[right]);
	return false;
}

void workload_rx_stream(struct workload *workload, uint32_t connection, const uint8_t *data,
			size_t length)
{
	struct workload_connection *receiver = &workload->connections[connection];
	uint32_t size = workload->options->size;

	workload->last_answer_ns = workload->now_ns;
	while (length) {
		uint64_t sequence = receiver->position / size;
		size_t offset = receiver->position % size;
		size_t run = size - offset < length ? size - offset : length;
		if (sequence >= receiver->next_sequence) {
			workload_fail(
				workload,
				"connection %u: bytes came that were not sent, at byte %" PRIu64,
				connection, receiver->position);
			return;
		}
		if (!bytes_are_right(workload, connection, sequence, offset, data, run))
			return;
		receiver->position += run;
		data += run;
		length -= run;
		if (offset + run == size)
			message_verified(workload, receiver,
					 &receiver->slots[sequence % workload->options->inflight]);
	}
}

/*
 * Finds which message a datagram claims to be: its slot's current one, or an earlier one of that
 * slot. The number was cut to the pattern's modulus, a multiple of inflight, so the difference to
 * the current number tells how many rounds ago it was.
 */
static bool find_sequence(struct workload *workload, const struct workload_connection *connection,
			  uint64_t number, uint64_t *sequence)
{
	const struct pattern *pattern = &workload->pattern;
	const struct workload_slot *slot = &connection->slots[number % workload->options->inflight];

	if (!slot->used || (pattern->modulus && number >= pattern->modulus))
		return false;
	uint64_t current = pattern_number(pattern, slot->sequence);
	uint64_t back = current - number;
	if (pattern->modulus && number > current)
		back += pattern->modulus;
	*sequence = slot->sequence - back;
	return back <= slot->sequence;
}

void workload_rx_datagram(struct workload *workload, uint32_t connection, const uint8_t *data,
			  size_t length)
{
	struct workload_connection *receiver = &workload->connections[connection];
	uint32_t inflight = workload->options->inflight;
	uint64_t sequence;

	workload->last_answer_ns = workload->now_ns;
	if (length != workload->options->size) {
		workload_fail(workload, "connection %u: a datagram of %zu bytes came, expected %u",
			      connection, length, workload->options->size);
		return;
	}
	uint64_t number = pattern_read_number(&workload->pattern, data);
	if (!find_sequence(workload, receiver, number, &sequence)) {
		workload_fail(workload,
			      "connection %u: a datagram came with sequence number %" PRIu64
			      ", which was not sent",
			      connection, number);
		return;
	}
	if (!bytes_are_right(workload, connection, sequence, 0, data, length))
		return;
	struct workload_slot *slot = &receiver->slots[sequence % inflight];
	if (!slot->outstanding || slot->sequence != sequence) {
		workload->duplicates++;
		return;
	}
	message_verified(workload, receiver, slot);
	receiver->free_slots[inflight - 1 - receiver->outstanding] = (uint32_t)(slot -
										receiver->slots);
}

bool workload_done(const struct workload *workload)
{
	const struct options *options = workload->options;

	if (workload->failure[0])
		return true;
	if (options->count && workload->verified >= options->count)
		return true;
	return workload->drain_until_ns &&
	       (workload->outstanding == 0 || workload->now_ns >= workload->drain_until_ns);
}

double workload_seconds(const struct workload *workload)
{
	if (workload->measured_from_ns == 0)
		return 0.0;
	return (double)(workload->last_answer_ns - workload->measured_from_ns) / (double)NS_PER_S;
}

void workload_add(struct workload *total, const struct workload *workload)
{
	total->sent += workload->sent;
	total->verified += workload->verified;
	total->lost += workload->lost;
	total->duplicates += workload->duplicates;
	total->interrupted |= workload->interrupted;
	if (workload->measured_from_ns &&
	    (!total->measured_from_ns || workload->measured_from_ns < total->measured_from_ns))
		total->measured_from_ns = workload->measured_from_ns;
	if (workload->last_answer_ns > total->last_answer_ns)
		total->last_answer_ns = workload->last_answer_ns;
	latency_add(&total->latency, &workload->latency);
	if (workload->failure[0] && !total->failure[0])
		memcpy(total->failure, workload->failure, sizeof(total->failure));
}
