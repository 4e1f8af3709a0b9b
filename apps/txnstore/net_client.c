/* SPDX-License-Identifier: MIT */
#include "net_client.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "echo/process.h"

#define RESULTS 64
#define RETRY_NS (100 * NS_PER_MS)
#define RETRY_DATAGRAM_NS (10 * NS_PER_MS) /* of which any may be lost */
#define PAUSE_NS (5 * NS_PER_MS)

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

static void send_message(void *context, uint16_t shard, uint32_t replica,
			 const struct message *message)
{
	struct net_client *client = context;

	(void)links_send(&client->links, client->replicas[shard][replica], message);
}

static void received(void *context, uint64_t peer, const struct message *message)
{
	struct net_client *client = context;

	(void)peer;
	txn_client_receive(&client->txns, client->links.now_ns, message);
}

static uint64_t day_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int net_client_init(struct net_client *client, const struct cluster *cluster, uint64_t timeout_ns)
{
	struct client_config config = {
		.caller = {.shards = cluster->shards,
			   .replicas = cluster->replicas,
			   .configuration = cluster->configuration,
			   .retry_ns = cluster->is_udp ? RETRY_DATAGRAM_NS : RETRY_NS,
			   .pause_ns = PAUSE_NS},
		.timeout_ns = timeout_ns,
		.is_weak = cluster->is_weak,
		.confirms_reads = true,
	};
	uint64_t seed;
	int error = 0;

	/* No other client has this number, but for one in 2^64. */
	if (getrandom(&config.id, sizeof(config.id), 0) != sizeof(config.id) ||
	    getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return errno;
	config.id += config.id == 0;
	client->cluster = cluster;
	links_init(&client->links, received, client);
	client->links.now_ns = process_now_ns();
	txn_client_init(&client->txns, &config, &memory, send_message, client, seed);
	client->txns.day_ahead_ns = day_ns() - client->links.now_ns;
	for (uint16_t shard = 0; shard < cluster->shards; shard++)
		for (uint32_t i = 0; i < cluster->replicas; i++) {
			client->replicas[shard][i] = links_to(&client->links,
							      &cluster->addresses[shard][i]);
			if (client->replicas[shard][i] < 0)
				error = ENOMEM;
		}
	if (!error && cluster->is_udp)
		error = links_datagrams(&client->links, NULL,
					cluster->addresses[0][0].storage.ss_family, config.id);
	if (error)
		net_client_destroy(client);
	return error;
}

void net_client_destroy(struct net_client *client)
{
	txn_client_destroy(&client->txns);
	links_destroy(&client->links);
}

int net_client_poll(struct net_client *client, uint64_t wait_ns)
{
	uint64_t deadline_ns = txn_client_deadline(&client->txns), now_ns = client->links.now_ns;
	demi_qresult_t results[RESULTS];
	struct timespec timeout;
	int count = 0, error;

	if (deadline_ns <= now_ns)
		wait_ns = 0;
	else if (deadline_ns - now_ns < wait_ns)
		wait_ns = deadline_ns - now_ns;
	timeout = (struct timespec){.tv_sec = (time_t)(wait_ns / NS_PER_S),
				    .tv_nsec = (long)(wait_ns % NS_PER_S)};
	error = demi_wait_next_n(results, RESULTS, &count, &timeout);
	client->links.now_ns = process_now_ns();
	if (client->cluster->is_weak)
		client->txns.day_ahead_ns = day_ns() - client->links.now_ns;
	if (error && error != ETIMEDOUT)
		return error;
	for (int i = 0; i < count; i++)
		(void)links_result(&client->links, &results[i]);
	txn_client_tick(&client->txns, client->links.now_ns);
	return caller_is_stranger(&client->txns.caller) ? ESTALE : 0;
}

const char *net_client_why(int error)
{
	switch (error) {
	case EINTR:
		return "it was told to end";
	case ENOSPC:
		return "the store is full";
	case ETIMEDOUT:
		return "no answer came";
	case ESTALE:
		return "a majority of a shard has another configuration than this file";
	default:
		return strerror(error);
	}
}

void net_client_finish(struct net_client *client, uint64_t wait_ns)
{
	uint64_t until_ns = process_now_ns() + wait_ns;

	while ((client->txns.coordinators || client->txns.writes) &&
	       client->links.now_ns < until_ns)
		if (net_client_poll(client, 10 * NS_PER_MS) != 0)
			break;
}
