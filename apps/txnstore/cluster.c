/* SPDX-License-Identifier: MIT */
#include "cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "txnstore/core/key_hash.h"

struct loader {
	struct cluster *cluster;
	yaml_document_t document;
	char *error;
	bool has_mode, has_transport;
	const yaml_node_t *failures; /* of "f", which comes before or behind the shards */
};

static int fail(const struct loader *loader, const yaml_node_t *node, const char *what)
{
	snprintf(loader->error, CLUSTER_ERROR_BYTES, "line %zu: %s", node->start_mark.line + 1,
		 what);
	return -EINVAL;
}

static yaml_node_t *node_of(struct loader *loader, int index)
{
	return yaml_document_get_node(&loader->document, index);
}

static const char *text_of(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

/* ---- Shards ---- */

static bool is_known(const struct cluster *cluster, const struct address *address)
{
	for (uint16_t shard = 0; shard <= cluster->shards && shard < SHARDS_MAX; shard++)
		for (uint32_t i = 0; i < REPLICAS_MAX; i++)
			if (&cluster->addresses[shard][i] != address &&
			    cluster->addresses[shard][i].length == address->length &&
			    !memcmp(&cluster->addresses[shard][i].storage, &address->storage,
				    address->length))
				return true;
	return false;
}

static int load_replica(struct loader *loader, const yaml_node_t *node, uint32_t index)
{
	struct cluster *cluster = loader->cluster;
	struct address *address;
	const char *wrong;

	if (index >= REPLICAS_MAX)
		return fail(loader, node, "a shard has 9 replicas at the most");
	address = &cluster->addresses[cluster->shards][index];
	wrong = address_parse(address, text_of(node));
	if (wrong)
		return fail(loader, node, wrong);
	if (address_port(address) == 0)
		return fail(loader, node, "an address needs a port, such as 192.0.2.1:7100");
	if (is_known(cluster, address))
		return fail(loader, node, "this address stands here twice");
	return 0;
}

static int load_shard(struct loader *loader, const yaml_node_t *node)
{
	struct cluster *cluster = loader->cluster;
	uint32_t count = 0;
	int error = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return fail(loader, node, "a shard is a list of the addresses of its replicas");
	if (cluster->shards == SHARDS_MAX)
		return fail(loader, node, "there are 64 shards at the most");
	for (const yaml_node_item_t *item = node->data.sequence.items.start;
	     !error && item < node->data.sequence.items.top; item++)
		error = load_replica(loader, node_of(loader, *item), count++);
	if (error)
		return error;
	if (count % 2 == 0)
		return fail(loader, node, "a shard has an odd number of replicas: 1, 3, 5, 7 or 9");
	if (cluster->shards && count != cluster->replicas)
		return fail(loader, node, "all shards have as many replicas as the first");
	cluster->replicas = count;
	cluster->shards++;
	return 0;
}

static int load_shards(struct loader *loader, const yaml_node_t *node)
{
	int error = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return fail(loader, node, "shards: a list of shards is expected");
	if (loader->cluster->shards)
		return fail(loader, node, "shards stands here twice");
	for (const yaml_node_item_t *item = node->data.sequence.items.start;
	     !error && item < node->data.sequence.items.top; item++)
		error = load_shard(loader, node_of(loader, *item));
	return error;
}

/* ---- The file ---- */

/* Whether it is the second of two. */
static int load_choice(struct loader *loader, const yaml_node_t *node, const char *first,
		       const char *second, const char *what, bool *is_second)
{
	*is_second = !strcmp(text_of(node), second);
	return *is_second || !strcmp(text_of(node), first) ? 0 : fail(loader, node, what);
}

static int fail_if_twice(const struct loader *loader, const yaml_node_t *key, bool *is_there)
{
	char text[64];
	bool was_there = *is_there;

	*is_there = true;
	snprintf(text, sizeof(text), "%.20s stands here twice", text_of(key));
	return was_there ? fail(loader, key, text) : 0;
}

/* A shard of 2f + 1 replicas goes on without f of them. */
static int check_failures(const struct loader *loader)
{
	const yaml_node_t *node = loader->failures;
	char expected[16], text[80];

	if (!node)
		return 0;
	snprintf(expected, sizeof(expected), "%u", loader->cluster->replicas / 2);
	snprintf(text, sizeof(text), "f is %s where a shard has %u replicas, 2f+1", expected,
		 loader->cluster->replicas);
	return strcmp(text_of(node), expected) != 0 ? fail(loader, node, text) : 0;
}

static int load_pair(struct loader *loader, const yaml_node_pair_t *pair)
{
	const yaml_node_t *key = node_of(loader, pair->key), *value = node_of(loader, pair->value);
	const char *name = text_of(key);
	bool has_failures = loader->failures;
	int error = 0;

	if (!strcmp(name, "mode"))
		error = fail_if_twice(loader, key, &loader->has_mode);
	else if (!strcmp(name, "transport"))
		error = fail_if_twice(loader, key, &loader->has_transport);
	else if (!strcmp(name, "f"))
		error = fail_if_twice(loader, key, &has_failures);
	if (error)
		return error;
	if (!strcmp(name, "f")) {
		loader->failures = value;
		return 0;
	}
	if (!strcmp(name, "shards"))
		return load_shards(loader, value);
	if (!strcmp(name, "mode"))
		return load_choice(loader, value, "serializable", "quorum",
				   "mode is serializable or quorum", &loader->cluster->is_weak);
	if (!strcmp(name, "transport"))
		return load_choice(loader, value, "tcp", "udp", "transport is tcp or udp",
				   &loader->cluster->is_udp);
	return fail(loader, key, "the keys of this file are mode, transport, f and shards");
}

static int load_document(struct loader *loader)
{
	const yaml_node_t *root = yaml_document_get_root_node(&loader->document);
	int error = 0;

	if (!root || root->type != YAML_MAPPING_NODE) {
		snprintf(loader->error, CLUSTER_ERROR_BYTES,
			 "the file is a mapping with a list of shards");
		return -EINVAL;
	}
	for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
	     !error && pair < root->data.mapping.pairs.top; pair++)
		error = load_pair(loader, pair);
	if (!error && loader->cluster->shards == 0)
		return fail(loader, root, "there are no shards");
	return error ? error : check_failures(loader);
}

/* The same for all who have read the same, in whatever words. */
static uint64_t sum_of(const struct cluster *cluster)
{
	uint64_t sum = random_mix(cluster->is_weak + 2u * cluster->is_udp + 1);

	for (uint16_t shard = 0; shard < cluster->shards; shard++)
		for (uint32_t i = 0; i < cluster->replicas; i++) {
			char text[ADDRESS_TEXT_MAX];

			address_format(
				(const struct sockaddr *)&cluster->addresses[shard][i].storage,
				text);
			sum = random_mix(sum ^ key_hash(text, strlen(text)));
		}
	return sum;
}

static int load_file(struct loader *loader, FILE *file)
{
	yaml_parser_t parser;
	int error = -ENOMEM;

	snprintf(loader->error, CLUSTER_ERROR_BYTES, "%s", strerror(ENOMEM));
	if (!yaml_parser_initialize(&parser))
		return error;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_file(&parser, file);
	if (yaml_parser_load(&parser, &loader->document)) {
		error = load_document(loader);
		yaml_document_delete(&loader->document);
	} else {
		snprintf(loader->error, CLUSTER_ERROR_BYTES, "line %zu: %s",
			 parser.problem_mark.line + 1,
			 parser.problem ? parser.problem : "it cannot be read");
		error = -EINVAL;
	}
	yaml_parser_delete(&parser);
	return error;
}

int cluster_load(struct cluster *cluster, const char *path, char error[CLUSTER_ERROR_BYTES])
{
	struct loader loader = {.cluster = cluster, .error = error};
	FILE *file = fopen(path, "re");
	int outcome;

	memset(cluster, 0, sizeof(*cluster));
	if (!file) {
		outcome = -errno;
		snprintf(error, CLUSTER_ERROR_BYTES, "%s", strerror(errno));
		return outcome;
	}
	outcome = load_file(&loader, file);
	fclose(file);
	if (!outcome)
		cluster->configuration = sum_of(cluster);
	return outcome;
}
