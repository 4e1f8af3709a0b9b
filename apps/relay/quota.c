/* SPDX-License-Identifier: MIT */
#include "quota.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(uint8_t hash[QUOTA_HASH_BYTES], struct stun_text person)
{
	struct sha256_ctx context;
	uint64_t first;

	sha256_init(&context);
	sha256_update(&context, person.length, (const uint8_t *)person.text);
	sha256_digest(&context, QUOTA_HASH_BYTES, hash);
	memcpy(&first, hash, sizeof(first));
	return first;
}

static struct quota *find(const struct table *quotas, const uint8_t hash[QUOTA_HASH_BYTES],
			  uint64_t first)
{
	for (struct table_node *node = table_first(quotas, first); node; node = table_next(node)) {
		struct quota *quota = (struct quota *)node;

		if (memcmp(quota->hash, hash, QUOTA_HASH_BYTES) == 0)
			return quota;
	}
	return NULL;
}

struct quota *quota_find(const struct table *quotas, struct stun_text person)
{
	uint8_t hash[QUOTA_HASH_BYTES];
	uint64_t first = hash_of(hash, person);

	return find(quotas, hash, first);
}

/* What is not to be seen in a line becomes a question mark. */
void quota_show(char shown[QUOTA_SHOWN_BYTES], struct stun_text person)
{
	size_t length = person.length < QUOTA_SHOWN_BYTES ? person.length : QUOTA_SHOWN_BYTES - 1;

	for (size_t i = 0; i < length; i++) {
		char character = person.text[i];

		shown[i] = character > ' ' && character <= '~' ? character : '?';
	}
	shown[length] = '\0';
}

struct quota *quota_add(struct table *quotas, struct stun_text person)
{
	uint8_t hash[QUOTA_HASH_BYTES];
	uint64_t first = hash_of(hash, person);
	struct quota *quota = find(quotas, hash, first);

	if (!quota) {
		quota = calloc(1, sizeof(*quota));
		if (!quota)
			return NULL;
		memcpy(quota->hash, hash, QUOTA_HASH_BYTES);
		quota_show(quota->shown, person);
		table_add(quotas, &quota->node, first);
	}
	quota->allocations++;
	return quota;
}

void quota_drop(struct table *quotas, struct quota *quota)
{
	if (--quota->allocations > 0)
		return;
	table_remove(quotas, &quota->node);
	free(quota);
}
