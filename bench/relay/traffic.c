/* SPDX-License-Identifier: MIT */
/*
 * Datagrams to and fro: client, relay, peer, relay, client. By window a datagram that has come back lets
 * the next one go; by rate each has its time, and its latency counts from there, so that what waits
 * behind a slow one is slow as well.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "echo/latency.h"
#include "load.h"
#include "stun_message.h"

#define MAGIC 0x72656c79u
#define STALL_NS UINT64_C(50000000) /* nothing came: what is under way is lost */
#define HEADER_BYTES_MAX STUN_DATA_HEADER_BYTES_MAX

/* In front of each payload. */
struct stamp {
	uint32_t magic, session;
	uint64_t sent_ns;
};

/* Datagrams of one system call. */
struct batch {
	struct mmsghdr messages[LOAD_BATCH];
	struct iovec pieces[LOAD_BATCH][2];
	struct sockaddr_in names[LOAD_BATCH];
	struct load_control controls[LOAD_BATCH];
	uint8_t headers[LOAD_BATCH][HEADER_BYTES_MAX];
	uint8_t data[LOAD_BATCH][LOAD_DATAGRAM_MAX];
};

struct traffic {
	struct load *load;
	struct batch to_relay, to_client, to_peer;
	uint8_t header
		[HEADER_BYTES_MAX]; /* of what clients send; of indications all but the sender */
	size_t header_bytes, padding_bytes;
	uint32_t next; /* session to send for */
	uint64_t under_way, heard_ns;
	uint64_t start_ns, sent; /* since then: of a rate */
	/* Of the time that is measured. */
	uint64_t at_peer, at_clients, lost;
	uint64_t server_ns;
	struct latency latency;
};

/* The server's time on a processor until now. */
static uint64_t server_ns(const struct load *load)
{
	struct timespec used;
	clockid_t clock;

	if (!load->options.server_pid)
		return 0;
	if (clock_getcpuclockid(load->options.server_pid, &clock) != 0 ||
	    clock_gettime(clock, &used) != 0)
		errx(1, "process %d has no clock", load->options.server_pid);
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* --- out --- */

static void make_header(struct traffic *traffic)
{
	const struct load_options *options = &traffic->load->options;
	struct stun_writer writer;
	uint8_t transaction[STUN_TRANSACTION_BYTES] = {0};
	uint8_t *at;

	if (options->method == LOAD_CHANNELS) {
		stun_put_16(traffic->header, LOAD_CHANNEL);
		stun_put_16(traffic->header + 2, options->bytes);
		traffic->header_bytes = 4;
	} else if (options->method == LOAD_INDICATIONS) {
		stun_begin(&writer, traffic->header, HEADER_BYTES_MAX, STUN_METHOD_SEND,
			   STUN_INDICATION, transaction);
		stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, &options->peers[0]);
		at = traffic->header + writer.length;
		stun_put_16(at, STUN_TYPE_DATA);
		stun_put_16(at + 2, options->bytes);
		traffic->header_bytes = writer.length + STUN_ATTRIBUTE_BYTES;
		traffic->padding_bytes = stun_padding(options->bytes);
		stun_put_16(traffic->header + 2, traffic->header_bytes - STUN_HEADER_BYTES +
							 options->bytes + traffic->padding_bytes);
	}
}

static void prepare_out(struct traffic *traffic)
{
	const struct load *load = traffic->load;
	const struct load_options *options = &load->options;
	struct batch *batch = &traffic->to_relay;

	for (size_t i = 0; i < LOAD_BATCH; i++) {
		struct msghdr *header = &batch->messages[i].msg_hdr;

		batch->pieces[i][0] = (struct iovec){traffic->header, traffic->header_bytes};
		batch->pieces[i][1] = (struct iovec){batch->data[i],
						     options->bytes + traffic->padding_bytes};
		batch->names[i] = options->server;
		if (options->method == LOAD_DIRECT) {
			batch->names[i].sin_port = htons(options->peers[0].port);
			memcpy(&batch->names[i].sin_addr, options->peers[0].ip, 4);
		}
		*header = (struct msghdr){.msg_name = &batch->names[i],
					  .msg_namelen = sizeof(batch->names[i]),
					  .msg_iov = batch->pieces[i],
					  .msg_iovlen = 2,
					  .msg_control = &batch->controls[i],
					  .msg_controllen = sizeof(batch->controls[i])};
	}
}

/* All of a batch; nothing of ours is full, so that what is not taken at once is by and by. */
static void send_all(int fd, struct batch *batch, unsigned int count)
{
	unsigned int sent = 0;

	while (sent < count) {
		int some = sendmmsg(fd, batch->messages + sent, count - sent, 0);

		if (some > 0)
			sent += (unsigned int)some;
		else if (errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED)
			err(1, "sendmmsg");
	}
}

static unsigned int due(const struct traffic *traffic, uint64_t now_ns)
{
	const struct load_options *options = &traffic->load->options;
	uint64_t count;

	if (options->window)
		count = traffic->under_way < options->window ? options->window - traffic->under_way
							     : 0;
	else
		count = (uint64_t)((double)(now_ns - traffic->start_ns) * options->rate / 1e9) -
			traffic->sent;
	return count < LOAD_BATCH ? (unsigned int)count : LOAD_BATCH;
}

static void clients_send(struct traffic *traffic, uint64_t now_ns)
{
	const struct load *load = traffic->load;
	const struct load_options *options = &load->options;
	struct batch *batch = &traffic->to_relay;
	unsigned int count = due(traffic, now_ns);

	for (unsigned int i = 0; i < count; i++) {
		struct stamp stamp = {.magic = MAGIC, .session = traffic->next, .sent_ns = now_ns};

		if (!options->window)
			stamp.sent_ns = traffic->start_ns + (uint64_t)((double)(traffic->sent + i) *
								       1e9 / options->rate);
		memcpy(batch->data[i], &stamp, sizeof(stamp));
		load_set_source(&batch->controls[i], load_client_ip(load, traffic->next));
		traffic->next = traffic->next + 1 < options->sessions ? traffic->next + 1 : 0;
	}
	send_all(load->clients, batch, count);
	traffic->sent += count;
	traffic->under_way += count;
}

/* --- in --- */

static void prepare_in(struct batch *batch, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		batch->pieces[i][0] = (struct iovec){batch->data[i], LOAD_DATAGRAM_MAX};
		batch->messages[i].msg_hdr = (struct msghdr){.msg_name = &batch->names[i],
							     .msg_namelen = sizeof(batch->names[i]),
							     .msg_iov = batch->pieces[i],
							     .msg_iovlen = 1};
	}
}

/* Of a batch that is prepared: what of it was used has to be, again. */
static unsigned int receive(int fd, struct batch *batch)
{
	int count = recvmmsg(fd, batch->messages, LOAD_BATCH, 0, NULL);

	if (count < 0 && errno != EAGAIN && errno != ECONNREFUSED)
		err(1, "recvmmsg");
	return count < 0 ? 0 : (unsigned int)count;
}

/* The peer sends it back to where it came from. */
static void peer_turns(struct traffic *traffic)
{
	struct batch *batch = &traffic->to_peer;
	unsigned int count = receive(traffic->load->peer, batch);

	for (unsigned int i = 0; i < count; i++)
		batch->pieces[i][0].iov_len = batch->messages[i].msg_len;
	send_all(traffic->load->peer, batch, count);
	prepare_in(batch, count);
	traffic->at_peer += count;
}

/* What a client got; NULL: nothing that was relayed. */
static const uint8_t *payload_of(const struct traffic *traffic, const uint8_t *bytes, size_t length,
				 size_t *payload_bytes)
{
	struct stun_message message;

	*payload_bytes = length;
	switch (traffic->load->options.method) {
	case LOAD_CHANNELS:
		if (length < 4 || stun_get_16(bytes) != LOAD_CHANNEL)
			return NULL;
		*payload_bytes = stun_get_16(bytes + 2);
		return *payload_bytes <= length - 4 ? bytes + 4 : NULL;
	case LOAD_INDICATIONS:
		if (stun_parse(&message, bytes, length) != 0 || message.method != STUN_METHOD_DATA)
			return NULL;
		return stun_value(&message, STUN_DATA, payload_bytes);
	default:
		return bytes;
	}
}

static void clients_receive(struct traffic *traffic)
{
	struct batch *batch = &traffic->to_client;
	unsigned int count = receive(traffic->load->clients, batch);
	uint64_t now_ns = count ? load_now_ns() : 0;

	for (unsigned int i = 0; i < count; i++) {
		struct stamp stamp;
		size_t bytes;
		const uint8_t *payload = payload_of(traffic, batch->data[i],
						    batch->messages[i].msg_len, &bytes);

		if (!payload)
			continue; /* an answer to a request that was repeated */
		if (bytes != traffic->load->options.bytes)
			errx(1, "a payload has %zu bytes", bytes);
		memcpy(&stamp, payload, sizeof(stamp));
		if (stamp.magic != MAGIC || stamp.session >= traffic->load->options.sessions)
			errx(1, "a payload is not what was sent");
		latency_record(&traffic->latency, now_ns - stamp.sent_ns);
		traffic->at_clients++;
		traffic->under_way -= traffic->under_way > 0;
	}
	if (count)
		traffic->heard_ns = now_ns;
	prepare_in(batch, count);
}

static void look_for_losses(struct traffic *traffic, uint64_t now_ns)
{
	if (!traffic->under_way || now_ns - traffic->heard_ns < STALL_NS)
		return;
	traffic->lost += traffic->under_way;
	traffic->under_way = 0;
	traffic->heard_ns = now_ns;
}

/* --- time --- */

static void start(struct traffic *traffic, uint64_t now_ns)
{
	traffic->start_ns = now_ns;
	traffic->sent = traffic->at_peer = traffic->at_clients = traffic->lost = 0;
	latency_init(&traffic->latency);
	traffic->server_ns = server_ns(traffic->load);
}

/* Until the time is over, or so many were relayed. Return: when it ended. */
static uint64_t run(struct traffic *traffic, double seconds, uint64_t packets)
{
	uint64_t now_ns = load_now_ns(), end_ns = now_ns + (uint64_t)(seconds * 1e9);

	start(traffic, now_ns);
	traffic->heard_ns = now_ns;
	while (packets ? traffic->at_peer + traffic->at_clients < packets : now_ns < end_ns) {
		clients_send(traffic, now_ns);
		peer_turns(traffic);
		clients_receive(traffic);
		now_ns = load_now_ns();
		look_for_losses(traffic, now_ns);
	}
	return now_ns;
}

static void report(const struct traffic *traffic, uint64_t end_ns)
{
	const struct latency *latency = &traffic->latency;
	double passed_s = (double)(end_ns - traffic->start_ns) / 1e9;
	double used_s = (double)(server_ns(traffic->load) - traffic->server_ns) / 1e9;
	uint64_t relayed = traffic->at_peer + traffic->at_clients;

	if (!latency->count)
		errx(1, "nothing came back");
	printf("{\"relayed\": %llu, \"rate\": %.0f, \"sent\": %llu, \"came_back\": %llu, "
	       "\"stalled\": %llu, \"server_s\": %.6f, \"seconds\": %.6f, \"min\": %.2f, "
	       "\"p50\": %.2f, \"p99\": %.2f}\n",
	       (unsigned long long)relayed, (double)relayed / passed_s,
	       (unsigned long long)traffic->sent, (unsigned long long)traffic->at_clients,
	       (unsigned long long)traffic->lost, used_s, passed_s, (double)latency->min_ns / 1e3,
	       latency_quantile_ns(latency, 0.5) / 1e3, latency_quantile_ns(latency, 0.99) / 1e3);
}

void traffic_run(struct load *load)
{
	struct traffic *traffic = calloc(1, sizeof(*traffic));

	if (!traffic)
		errx(1, "out of memory");
	traffic->load = load;
	make_header(traffic);
	prepare_out(traffic);
	prepare_in(&traffic->to_peer, LOAD_BATCH);
	prepare_in(&traffic->to_client, LOAD_BATCH);
	if (load->options.warm_s > 0)
		run(traffic, load->options.warm_s, 0);
	report(traffic, run(traffic, load->options.seconds, load->options.packets));
	free(traffic);
}
