/* SPDX-License-Identifier: MIT */
/*
 * The keys of virtual devices, as in "net_memif0,role=client": some drivers take those that they do
 * not know without a word, and others say no more than that they do not attach.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "netdev/dpdk.h"

/* Keys separated by blanks; "#" behind one: its value is a number. */
static const struct {
	const char *driver, *keys;
} drivers[] = {
	{"net_memif", "role id# bsize# rsize# socket socket-abstract owner-uid# owner-gid# mac "
		      "zero-copy secret"},
	{"net_null", "size# copy# no-rx#"},
	{"net_tap", "iface mac remote"},
	{"net_af_packet", "iface qpairs# blocksz# framesz# framecnt# qdisc_bypass#"},
};

/* "net_memif" of "net_memif0,role=client"; names have numbers, and anything else, behind them. */
static const char *keys_of(const char *arguments)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strncmp(arguments, drivers[i].driver, strlen(drivers[i].driver)) == 0)
			return drivers[i].keys;
	}
	return NULL;
}

/* Its entry in @keys; NULL: there is none. */
static const char *find_key(const char *keys, const char *key, size_t bytes)
{
	while (*keys) {
		size_t length = strcspn(keys, " #");

		if (length == bytes && memcmp(keys, key, bytes) == 0)
			return keys;
		keys += strcspn(keys, " ");
		keys += strspn(keys, " ");
	}
	return NULL;
}

static bool is_number(const char *text, size_t bytes)
{
	return bytes > 0 && strspn(text, "0123456789") >= bytes;
}

static int refuse(const char *name, const char *pair, size_t bytes, const char *problem,
		  const char *keys)
{
	char list[160];
	size_t length = 0;

	for (; *keys && length < sizeof(list) - 3; keys++) {
		if (*keys == ' ')
			list[length++] = ',';
		if (*keys != '#')
			list[length++] = *keys;
	}
	list[length] = '\0';
	log_error("%s: \"%.*s\" %s; this driver knows %s", name, (int)bytes, pair, problem, list);
	return -EINVAL;
}

int dpdk_keys_check(const char *name, const char *arguments)
{
	const char *keys = keys_of(arguments);
	const char *pair = arguments + strcspn(arguments, ",");

	while (keys && *pair == ',') {
		size_t bytes = strcspn(++pair, ","), key_bytes = strcspn(pair, "=,");
		const char *key = find_key(keys, pair, key_bytes);

		if (!key && bytes > 0)
			return refuse(name, pair, bytes, "is not known", keys);
		if (!key)
			continue; /* a comma at the end, or two */
		if (key_bytes == bytes || key_bytes + 1 == bytes)
			return refuse(name, pair, bytes, "lacks its value, KEY=VALUE", keys);
		if (key[key_bytes] == '#' &&
		    !is_number(pair + key_bytes + 1, bytes - key_bytes - 1))
			return refuse(name, pair, bytes, "is not a whole number", keys);
		pair += bytes;
	}
	return 0;
}
