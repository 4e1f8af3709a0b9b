/* SPDX-License-Identifier: MIT */
/* Networks by name, and devices by words: "sim:NAME,ip=10.0.0.1,delay_ns=2000". */
#include "rdma/sim_open.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define EXAMPLE "sim:NAME,ip=10.0.0.1,delay_ns=2000"
#define WORD_BYTES_MAX 80

/* Devices meet here, when they are opened and closed only. */
static struct sim_network *networks;
static pthread_mutex_t networks_mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- Words ---- */

struct key {
	const char *name;
	size_t offset; /* in struct sim_arguments */
	size_t bytes;  /* of the number there */
	uint64_t max;
	bool is_of_network;
};

#define NETWORK_KEY(field, max)                                                       \
	{                                                                             \
#field, offsetof(struct sim_arguments, network.field),                \
			sizeof(((struct sim_arguments *)0)->network.field), max, true \
	}
#define DEVICE_KEY(field, max)                                                        \
	{                                                                             \
#field, offsetof(struct sim_arguments, limits.field),                 \
			sizeof(((struct sim_arguments *)0)->limits.field), max, false \
	}

static const struct key keys[] = {
	NETWORK_KEY(seed, UINT64_MAX),
	NETWORK_KEY(delay_ns, RDMA_SIM_TIME_MAX),
	NETWORK_KEY(jitter_ns, RDMA_SIM_TIME_MAX),
	NETWORK_KEY(loss, RDMA_SIM_MILLION),
	NETWORK_KEY(duplicate, RDMA_SIM_MILLION),
	NETWORK_KEY(reorder, RDMA_SIM_MILLION),
	NETWORK_KEY(reorder_ns, RDMA_SIM_TIME_MAX),
	NETWORK_KEY(retransmit_ns, RDMA_SIM_TIME_MAX),
	NETWORK_KEY(rnr_ns, RDMA_SIM_TIME_MAX),
	NETWORK_KEY(cm_timeout_ns, RDMA_SIM_TIME_MAX),
	NETWORK_KEY(cm_retries, 15),
	DEVICE_KEY(mtu, 4096),
	DEVICE_KEY(max_qp, RDMA_SIM_QP_MAX),
	DEVICE_KEY(max_qp_wr, 65536),
	DEVICE_KEY(max_sge, 256),
	DEVICE_KEY(max_cqe, 1u << 22),
	DEVICE_KEY(max_srq, 1u << 20),
	DEVICE_KEY(max_srq_wr, 1u << 20),
	DEVICE_KEY(max_inline, 4096),
	DEVICE_KEY(max_rd_atom, 128),
	DEVICE_KEY(down, 1),
	DEVICE_KEY(down_fails, 1),
	DEVICE_KEY(memlock, UINT64_MAX),
};

static bool is_word(const char *name, const char *word, size_t length)
{
	return strlen(name) == length && memcmp(name, word, length) == 0;
}

static bool store_number(struct sim_arguments *arguments, const struct key *key, const char *text,
			 const char *end)
{
	unsigned char *place = (unsigned char *)arguments + key->offset;
	char *stop;
	uint64_t number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &stop, 10);
	if (errno || stop != end || number > key->max)
		return false;
	if (key->bytes == sizeof(uint64_t))
		memcpy(place, &number, sizeof(number));
	else
		memcpy(place, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
	if (key->is_of_network)
		arguments->given |= UINT64_C(1) << (key - keys);
	return true;
}

static bool store_address(struct sim_arguments *arguments, const char *text, size_t length)
{
	char word[INET6_ADDRSTRLEN];
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sim_address *address = &arguments->addresses[arguments->address_count];

	if (length >= sizeof(word) || arguments->address_count == RDMA_SIM_ADDRESSES_MAX)
		return false;
	memcpy(word, text, length);
	word[length] = '\0';
	if (inet_pton(AF_INET, word, &v4.sin_addr) == 1)
		rdma_sim_gid(&address->gid, (const struct sockaddr *)&v4);
	else if (inet_pton(AF_INET6, word, &v6.sin6_addr) == 1)
		rdma_sim_gid(&address->gid, (const struct sockaddr *)&v6);
	else
		return false;
	address->family = rdma_sim_gid_is_v4(&address->gid) ? AF_INET : AF_INET6;
	for (unsigned int i = 0; i < arguments->address_count; i++) {
		if (rdma_sim_gid_equal(&arguments->addresses[i].gid, &address->gid))
			return false;
	}
	arguments->address_count++;
	return true;
}

static bool parse_word(struct sim_arguments *arguments, const char *word, size_t length)
{
	size_t name_length = strcspn(word, "=");
	const char *value = word + name_length + 1;

	if (name_length >= length)
		return false;
	if (is_word("ip", word, name_length))
		return store_address(arguments, value, length - name_length - 1);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (is_word(keys[i].name, word, name_length))
			return store_number(arguments, &keys[i], value, word + length);
	}
	return false;
}

static int check(const struct sim_arguments *arguments)
{
	uint32_t mtu = arguments->limits.mtu;

	if (arguments->address_count == 0) {
		log_error("catmint.device: sim:%s: the device has no address; give ip=ADDRESS, as "
			  "in " EXAMPLE,
			  arguments->name);
		return -EINVAL;
	}
	if (mtu < 256 || (mtu & (mtu - 1)) != 0) {
		log_error("catmint.device: sim:%s: mtu=%u: give 256, 512, 1024, 2048 or 4096",
			  arguments->name, mtu);
		return -EINVAL;
	}
	return 0;
}

int rdma_sim_parse(struct sim_arguments *arguments, const char *text)
{
	const char *at = text;
	size_t length = strcspn(at, ",");

	if (!memchr(at, '=', length)) {
		if (length >= sizeof(arguments->name)) {
			log_error("catmint.device: sim:%.*s...: a name has up to %zu bytes",
				  WORD_BYTES_MAX, text, sizeof(arguments->name) - 1);
			return -EINVAL;
		}
		memcpy(arguments->name, at, length);
		at += length + (at[length] == ',');
	}
	while (*at) {
		length = strcspn(at, ",");
		if (!parse_word(arguments, at, length)) {
			log_error("catmint.device: sim:%s: \"%.*s\" is not understood; give "
				  "ip=ADDRESS, up to %u of them, and key=number, as in " EXAMPLE,
				  arguments->name,
				  (int)(length < WORD_BYTES_MAX ? length : WORD_BYTES_MAX), at,
				  RDMA_SIM_ADDRESSES_MAX);
			return -EINVAL;
		}
		at += length + (at[length] == ',');
	}
	return check(arguments);
}

/* ---- Networks ---- */

static struct sim_network *create(const struct sim_arguments *arguments)
{
	struct sim_network *network = calloc(1, sizeof(*network));

	if (!network)
		return NULL;
	pthread_mutex_init(&network->mutex, NULL);
	network->options = network->made_with = arguments->network;
	network->clock.next_ns = UINT64_MAX;
	network->random_state = arguments->network.seed;
	memcpy(network->name, arguments->name, sizeof(network->name));
	network->next = networks;
	networks = network;
	return network;
}

/* Whether what is given of a network that there is already is what it was made with. */
static int check_same(const struct sim_network *network, const struct sim_arguments *arguments)
{
	const unsigned char *made = (const unsigned char *)&network->made_with;
	const unsigned char *given = (const unsigned char *)arguments;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct key *key = &keys[i];
		size_t offset = key->offset - offsetof(struct sim_arguments, network);

		if (!(arguments->given >> i & 1) ||
		    memcmp(made + offset, given + key->offset, key->bytes) == 0)
			continue;
		log_error("catmint.device: sim:%s: the network was made with another %s; repeat "
			  "that or leave it out",
			  arguments->name, key->name);
		return -EINVAL;
	}
	return 0;
}

static int check_addresses(const struct sim_network *network, const struct sim_arguments *arguments)
{
	for (unsigned int i = 0; i < arguments->address_count; i++) {
		if (!rdma_sim_device_with(network, &arguments->addresses[i].gid))
			continue;
		log_error("catmint.device: sim:%s: a device of the network has address %u of this "
			  "one already; give each its own",
			  arguments->name, i + 1);
		return -EADDRINUSE;
	}
	return 0;
}

static void destroy(struct sim_network *network)
{
	struct sim_network **place = &networks;

	while (*place != network)
		place = &(*place)->next;
	*place = network->next;
	/* What is still under way is for nobody. Each begins with what is in the clock. */
	for (uint32_t i = 1; i <= network->clock.count; i++)
		free(network->clock.heap[i]);
	free(network->clock.heap);
	pthread_mutex_destroy(&network->mutex);
	free(network);
}

int rdma_sim_join(struct sim_device *device, const struct sim_arguments *arguments)
{
	struct sim_network *network;
	int error = 0;

	pthread_mutex_lock(&networks_mutex);
	/* Without a name it is the device's own. */
	network = arguments->name[0] ? networks : NULL;
	while (network && strcmp(network->name, arguments->name) != 0)
		network = network->next;
	if (!network)
		network = create(arguments);
	if (!network) {
		pthread_mutex_unlock(&networks_mutex);
		return -ENOMEM;
	}
	pthread_mutex_lock(&network->mutex);
	error = check_same(network, arguments);
	if (!error)
		error = check_addresses(network, arguments);
	if (!error) {
		device->network = network;
		device->next = network->devices;
		network->devices = device;
	}
	pthread_mutex_unlock(&network->mutex);
	pthread_mutex_unlock(&networks_mutex);
	return error;
}

void rdma_sim_part(struct sim_device *device)
{
	struct sim_network *network = device->network;
	struct sim_device **place = &network->devices;
	bool is_empty;

	pthread_mutex_lock(&networks_mutex);
	pthread_mutex_lock(&network->mutex);
	while (*place != device)
		place = &(*place)->next;
	*place = device->next;
	is_empty = !network->devices;
	/* Who sleeps does not know what this one has sent at last. */
	for (struct sim_device *other = network->devices; other; other = other->next)
		rdma_sim_signal(other->context.async_fd);
	pthread_mutex_unlock(&network->mutex);
	if (is_empty)
		destroy(network);
	pthread_mutex_unlock(&networks_mutex);
}
