/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cluster.h"
#include "echo/process.h"
#include "journal.h"
#include "links.h"
#include "server_options.h"
#include "txnstore/core/quorum.h"
#include "txnstore/core/replica.h"
#include "txnstore/core/resolver.h"

#define RESULTS 64
#define WAIT_NS_MAX (100 * NS_PER_MS) /* so that signals are seen soon */
#define BATCH_BYTES (1u << 20)
#define WINDOW 1024u
#define REWRITE_BYTES (64u << 20)
#define DOUBT_NS (500 * NS_PER_MS)

struct server {
	struct server_options options;
	struct cluster cluster;
	struct links links;
	struct journal journal;
	struct replica replica;
	struct quorum quorum;
	struct resolver resolver;
	int peers[SHARDS_MAX][REPLICAS_MAX]; /* links to all replicas of all shards */
	enum replica_status told_status;
	uint64_t told_view;
	uint64_t told_malformed, told_datagrams, told_full;
	uint64_t strangers, told_strangers; /* messages of another configuration */
};

static void complain(const char *what, const char *why)
{
	fprintf(stderr, "demi-txnstore server: %s: %s\n", what, why);
}

/* ---- Memory that is sent by reference ---- */

static void *take(void *context, size_t size)
{
	(void)context;
	return demi_malloc(size);
}

static void give(void *context, void *memory)
{
	(void)context;
	demi_free(memory);
}

static const struct memory memory = {.alloc = take, .free = give};

/* ---- What the replica says and writes ---- */

static void send_to_shard(void *context, uint16_t shard, uint32_t replica,
			  const struct message *message)
{
	struct server *server = context;

	(void)links_send(&server->links, server->peers[shard][replica], message);
}

static void hold(struct server *server, uint32_t to, const struct message *message)
{
	size_t len = message_size(message);
	uint8_t *bytes = malloc(len);

	if (!bytes)
		return; /* as if it were lost */
	message_write(message, bytes);
	journal_hold(&server->journal, to, bytes, len);
	free(bytes);
}

static void release(void *context, uint32_t to, const void *bytes, size_t len)
{
	struct server *server = context;
	struct message message;

	if (message_parse(&message, bytes, len) == 0)
		send_to_shard(server, (uint16_t)server->options.shard, to, &message);
}

static bool send_to_replica(void *context, uint32_t to, const struct message *message, bool is_held)
{
	struct server *server = context;

	if (!is_held || !server->options.log)
		return links_send(&server->links, server->peers[server->options.shard][to],
				  message);
	hold(server, to, message);
	return true;
}

static void answer(void *context, uint64_t peer, const struct message *message, struct blob *blob)
{
	struct server *server = context;

	(void)blob; /* what stands in it is held by the library */
	links_answer(&server->links, peer, message);
}

static void write_record(void *context, const void *record, size_t len)
{
	struct server *server = context;

	journal_write(&server->journal, record, len);
}

static void rewrite(void *context, bool begins)
{
	struct server *server = context;

	journal_rewrite(&server->journal, begins);
}

static void in_doubt(void *context, const struct operation *operation)
{
	struct server *server = context;

	resolver_start(&server->resolver, server->links.now_ns, operation);
}

static const struct replica_ops ops_with_log = {send_to_replica, answer, write_record, rewrite,
						in_doubt};
static const struct replica_ops ops_without_log = {send_to_replica, answer, NULL, NULL, in_doubt};

/* ---- What comes ---- */

/* A client is told why it is not served; the operator each time that they are twice as many. */
static void refuse_stranger(struct server *server, uint64_t peer, const struct message *message)
{
	struct message reply = {.type = MESSAGE_REPLY,
				.result = RESULT_STRANGER,
				.shard = message->shard,
				.from = (uint32_t)server->options.replica,
				.configuration = server->cluster.configuration,
				.client = message->client,
				.number = message->number,
				.nonce = message->nonce};
	char from[ADDRESS_TEXT_MAX], text[ADDRESS_TEXT_MAX + 64];

	if (message->from == MESSAGE_NOT_A_REPLICA && message->nonce)
		links_answer(&server->links, peer, &reply);
	if (++server->strangers <= 2 * server->told_strangers)
		return;
	server->told_strangers = server->strangers;
	links_name(&server->links, peer, from);
	snprintf(text, sizeof(text), "%s has another configuration, and is not served", from);
	complain(server->options.config_path, text);
}

static void received(void *context, uint64_t peer, const struct message *message)
{
	struct server *server = context;
	uint64_t now_ns = server->links.now_ns;

	/* One that refuses this one as a stranger is told of at its own server. */
	if (message->configuration != server->cluster.configuration) {
		if (message->result != RESULT_STRANGER)
			refuse_stranger(server, peer, message);
		return;
	}
	if (server->cluster.is_weak)
		quorum_receive(&server->quorum, peer, message);
	else if (message->type == MESSAGE_REPLY || message->type == MESSAGE_NOT_PRIMARY)
		resolver_receive(&server->resolver, now_ns, message);
	else
		replica_receive(&server->replica, now_ns, peer, message);
}

static int restore(void *context, const void *record, size_t len)
{
	struct server *server = context;

	return replica_restore(&server->replica, record, len);
}

/* ---- Start ---- */

static uint64_t random_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = process_now_ns();
	return seed;
}

static bool load_cluster(struct server *server)
{
	const struct server_options *options = &server->options;
	char error[CLUSTER_ERROR_BYTES];

	if (cluster_load(&server->cluster, options->config_path, error) != 0) {
		complain(options->config_path, error);
		return false;
	}
	if (options->shard >= server->cluster.shards ||
	    options->replica >= server->cluster.replicas) {
		snprintf(error, sizeof(error), "it has %u shards of %u replicas, counted from 0",
			 server->cluster.shards, server->cluster.replicas);
		complain(options->config_path, error);
		return false;
	}
	if (server->cluster.is_weak && options->log) {
		complain("--log",
			 "the mode quorum keeps nothing; leave it out, or use serializable");
		return false;
	}
	return true;
}

static struct caller_config caller_config(const struct server *server)
{
	return (struct caller_config){
		.shards = server->cluster.shards,
		.replicas = server->cluster.replicas,
		.configuration = server->cluster.configuration,
		.retry_ns = (server->cluster.is_udp ? 10 : 100) * NS_PER_MS,
		.pause_ns = 10 * NS_PER_MS,
	};
}

/* Others know this one by a number that none has, but for one in 2^64. */
static int start_datagrams(struct server *server, const struct address *at)
{
	return server->cluster.is_udp ? links_datagrams(&server->links, at, at->storage.ss_family,
							random_seed() | 1)
				      : 0;
}

static int start_links(struct server *server)
{
	const struct cluster *cluster = &server->cluster;
	const struct address *own =
		&cluster->addresses[server->options.shard][server->options.replica];
	int error;

	for (uint16_t shard = 0; shard < cluster->shards; shard++)
		for (uint32_t i = 0; i < cluster->replicas; i++) {
			server->peers[shard][i] = links_to(&server->links,
							   &cluster->addresses[shard][i]);
			if (server->peers[shard][i] < 0)
				return ENOMEM;
		}
	error = links_listen(&server->links, own);
	return error ? error : start_datagrams(server, own);
}

/* What is asked for and cannot be had is said when the server starts. */
static bool has_memory(const struct server *server)
{
	demi_heap_stats_t heap;
	char text[160];

	if (demi_heap_stats(&heap) != 0 || server->options.limits.bytes_max <= heap.bytes_max)
		return true;
	snprintf(text, sizeof(text),
		 "it is %" PRIu64 ", but Demi's heap has %" PRIu64
		 " MiB: set heap.max_bytes (DEMI_HEAP_MAX_BYTES) to more, or this to less",
		 server->options.limits.bytes_max >> 20, heap.bytes_max >> 20);
	complain("--memory-mib", text);
	return false;
}

static int make_replica(struct server *server)
{
	struct replica_config config = server->options.limits;
	struct caller_config others = caller_config(server);

	config.index = (uint32_t)server->options.replica;
	config.count = server->cluster.replicas;
	config.shard = (uint16_t)server->options.shard;
	config.shards = server->cluster.shards;
	config.configuration = server->cluster.configuration;
	config.heartbeat_ns = config.election_ns / 8;
	config.retry_ns = config.election_ns / 4;
	config.doubt_ns = DOUBT_NS;
	config.batch_bytes = BATCH_BYTES;
	config.window = WINDOW < config.log_keep ? WINDOW : config.log_keep;
	config.rewrite_bytes = REWRITE_BYTES;
	resolver_init(&server->resolver, config.shard, &others, &memory, send_to_shard, server,
		      random_seed());
	return -replica_init(&server->replica, &config,
			     server->options.log ? &ops_with_log : &ops_without_log, server,
			     &memory, random_seed());
}

/* Of no log that this replica can go on with. */
static void complain_of_log(const struct server *server, int error)
{
	const struct log_identity *other = &server->replica.other;
	char text[160];

	if (error == -EXDEV) {
		snprintf(
			text, sizeof(text),
			"it is the log of replica %u of %u of shard %u of %u; this one is replica %u "
			"of %u of shard %u of %u",
			other->index, other->count, other->shard, other->shards,
			server->replica.config.index, server->replica.config.count,
			server->replica.config.shard, server->replica.config.shards);
		complain(server->options.log, text);
	} else if (error == -EPROTONOSUPPORT) {
		complain(
			server->options.log,
			"it is the log of another version of demi-txnstore, or not one of a replica");
	} else if (error == -EBADMSG) {
		snprintf(text, sizeof(text),
			 "record %" PRIu64
			 " is damaged; without this log the replica gets from the "
			 "others what it had",
			 server->journal.written);
		complain(server->options.log, text);
	} else {
		complain(server->options.log, strerror(error < 0 ? -error : error));
	}
}

static bool open_log(struct server *server)
{
	const char *name = server->options.log;
	int error;

	if (!name)
		return true;
	error = journal_open(&server->journal, name, restore, server);
	server->journal.release = release;
	server->journal.context = server;
	server->replica.written = server->replica.durable = server->journal.written;
	if (error) {
		complain_of_log(server, error);
		return false;
	}
	if (server->options.limits.log_room && journal_taken(&server->journal))
		server->replica.log_taken = journal_taken(&server->journal);
	if (server->journal.torn)
		complain(name,
			 "its end was not whole, as after a crash, and has been cut off: nobody "
			 "was told of it");
	if (server->options.is_new && server->journal.written) {
		complain("--new",
			 "this log has a replica in it; leave --new out to go on with it, or "
			 "remove the log");
		return false;
	}
	return true;
}

static void start_replica(struct server *server)
{
	bool has_log = server->options.log && server->journal.written;
	enum replica_start how = server->options.is_new ? REPLICA_START_NEW
				 : has_log              ? REPLICA_START_RESTORED
							: REPLICA_START_LOST;

	if (how == REPLICA_START_LOST && server->cluster.replicas == 1)
		complain("it serves nobody",
			 "what it had is lost, and there is no other replica to get it from; --new "
			 "begins a new store");
	replica_start(&server->replica, process_now_ns(), how);
}

static int make_quorum(struct server *server)
{
	server->quorum = (struct quorum){
		.memory = &memory,
		.index = (uint32_t)server->options.replica,
		.shard = (uint16_t)server->options.shard,
		.configuration = server->cluster.configuration,
		.bytes_max = server->options.limits.bytes_max,
		.answer = answer,
		.context = server,
	};
	return -quorum_init(&server->quorum);
}

/* ---- The loop ---- */

static const char *const status_names[] = {"normal", "view change", "recovering", "failed"};

/* Each time that they are twice as many: anybody may send anything. */
static void tell_malformed(struct server *server)
{
	const struct links *links = &server->links;
	const struct datagrams *datagrams = &links->datagrams;
	uint64_t count = links->malformed + datagrams->malformed;
	bool is_datagram = datagrams->malformed > server->told_datagrams;
	char from[ADDRESS_TEXT_MAX], text[ADDRESS_TEXT_MAX + 80];

	if (count <= 2 * server->told_malformed)
		return;
	server->told_malformed = count;
	server->told_datagrams = datagrams->malformed;
	snprintf(from, sizeof(from), "%s", links->bad_from);
	if (is_datagram)
		address_format((const struct sockaddr *)&datagrams->bad_from.storage, from);
	snprintf(text, sizeof(text), "what came from %s is %s", from,
		 (is_datagram ? datagrams->is_other_version : links->is_other_version)
			 ? "of another version of this protocol"
			 : "no message");
	complain("a connection was closed, or a datagram dropped", text);
}

/* As tell_malformed. */
static void tell_full(struct server *server)
{
	const struct replica *replica = &server->replica;
	uint64_t count = server->cluster.is_weak ? server->quorum.full
						 : replica->memory_full + replica->log_full;

	if (count <= 2 * server->told_full)
		return;
	server->told_full = count;
	complain("the store is full, and refuses what is not a delete",
		 !server->cluster.is_weak && replica->log_full
			 ? "its log has no more room, --log-mib"
			 : "its memory has no more room, --memory-mib");
}

static void tell_changes(struct server *server)
{
	const struct replica *replica = &server->replica;

	tell_malformed(server);
	tell_full(server);
	if (server->cluster.is_weak ||
	    (server->told_status == replica->status && server->told_view == replica->view))
		return;
	server->told_status = replica->status;
	server->told_view = replica->view;
	printf("%s, view %" PRIu64 "%s\n", status_names[replica->status], replica->view,
	       replica_leads(replica) ? ", primary" : "");
	fflush(stdout);
}

static uint64_t deadline_of(const struct server *server)
{
	uint64_t deadline_ns, other_ns;

	if (server->cluster.is_weak)
		return UINT64_MAX;
	deadline_ns = replica_deadline(&server->replica);
	other_ns = resolver_deadline(&server->resolver);
	return deadline_ns < other_ns ? deadline_ns : other_ns;
}

static struct timespec wait_time(const struct server *server)
{
	uint64_t deadline_ns = deadline_of(server), now_ns = server->links.now_ns,
		 wait_ns = WAIT_NS_MAX;

	if (deadline_ns <= now_ns)
		wait_ns = 0;
	else if (deadline_ns - now_ns < wait_ns)
		wait_ns = deadline_ns - now_ns;
	return (struct timespec){.tv_sec = (time_t)(wait_ns / NS_PER_S),
				 .tv_nsec = (long)(wait_ns % NS_PER_S)};
}

static void take_result(struct server *server, const demi_qresult_t *result)
{
	demi_sgarray_t array = result->qr_value.sga;

	if (server->options.log && journal_result(&server->journal, result))
		return;
	if (!links_result(&server->links, result) && result->qr_opcode == DEMI_OPC_POP)
		demi_sgafree(&array);
}

/* Return: 0 to go on. */
static int check(struct server *server)
{
	if (!server->cluster.is_weak && server->replica.status == REPLICA_FAILED) {
		complain("the replica ends", "there is no memory for what the others do");
		return ENOMEM;
	}
	if (server->options.log && server->journal.error) {
		complain(server->options.log, strerror(server->journal.error));
		if (server->journal.error == ENOSPC)
			complain("--log-mib", "says how much room there is, so that writes are "
					      "refused before it is used up");
		return server->journal.error;
	}
	return 0;
}

static void take_written(struct server *server)
{
	uint64_t taken;

	if (server->journal.durable <= server->replica.durable)
		return;
	taken = server->options.limits.log_room ? journal_taken(&server->journal) : 0;
	if (taken)
		server->replica.log_taken = taken;
	replica_written(&server->replica, server->links.now_ns, server->journal.durable);
}

static int run(struct server *server)
{
	demi_qresult_t results[RESULTS];
	int error = 0;

	while (!error && !process_stop_requests()) {
		struct timespec timeout = wait_time(server);
		int count = 0;

		error = demi_wait_next_n(results, RESULTS, &count, &timeout);
		if (error && error != ETIMEDOUT && error != EINTR)
			break;
		server->links.now_ns = process_now_ns();
		for (int i = 0; i < count; i++)
			take_result(server, &results[i]);
		if (server->options.log)
			take_written(server);
		if (!server->cluster.is_weak) {
			replica_tick(&server->replica, server->links.now_ns);
			resolver_tick(&server->resolver, server->links.now_ns);
		}
		tell_changes(server);
		error = check(server);
	}
	return error;
}

static int start_and_run(struct server *server)
{
	char text[ADDRESS_TEXT_MAX];
	int error = start_links(server);

	address_format((const struct sockaddr *)&server->cluster
			       .addresses[server->options.shard][server->options.replica]
			       .storage,
		       text);
	if (error) {
		complain(text, strerror(error));
		return error;
	}
	printf("shard %u, replica %u, listening on %s\n", (unsigned)server->options.shard,
	       (unsigned)server->options.replica, text);
	fflush(stdout);
	if (!server->cluster.is_weak)
		start_replica(server);
	return run(server);
}

int server_command(int argc, char **argv)
{
	static struct server server;
	int error, status = server_options_parse(&server.options, argc, argv);

	if (status >= 0)
		return status;
	if (!load_cluster(&server))
		return EXIT_FAILURE;
	process_prepare();
	error = demi_init(NULL);
	if (error) {
		complain("the library OS does not start", strerror(error));
		return EXIT_FAILURE;
	}
	server.told_view = UINT64_MAX;
	links_init(&server.links, received, &server);
	server.links.now_ns = process_now_ns();
	error = server.cluster.is_weak ? make_quorum(&server) : make_replica(&server);
	if (error)
		complain("no replica", strerror(error));
	else if (!has_memory(&server) || !open_log(&server))
		error = EINVAL;
	else
		error = start_and_run(&server);
	links_destroy(&server.links);
	if (server.options.log)
		journal_close(&server.journal);
	if (server.cluster.is_weak) {
		quorum_destroy(&server.quorum);
	} else {
		resolver_destroy(&server.resolver);
		replica_destroy(&server.replica);
	}
	demi_fini();
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
