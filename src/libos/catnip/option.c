/* SPDX-License-Identifier: MIT */
#include "libos/catnip/option.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

static bool level_is_known(int level)
{
	return level == SOL_SOCKET || level == IPPROTO_IP || level == IPPROTO_IPV6 ||
	       level == IPPROTO_TCP || level == IPPROTO_UDP;
}

static int option_find(struct option_table table, bool is_v6, int level, int name,
		       const struct option **option_out)
{
	if (!level_is_known(level))
		return -ENOTSUP;
	if (level == IPPROTO_IPV6 && !is_v6)
		return -ENOPROTOOPT;
	for (size_t i = 0; i < table.count; i++) {
		if (table.options[i].level != level || table.options[i].name != name)
			continue;
		*option_out = &table.options[i];
		return 0;
	}
	return -ENOPROTOOPT;
}

int option_load(void *structure, size_t size, const void *value, socklen_t length)
{
	if (length < size || length > INT_MAX)
		return -EINVAL;
	memcpy(structure, value, size);
	return 0;
}

int option_store(const void *structure, size_t size, void *value, socklen_t *length)
{
	if (*length < size || *length > INT_MAX)
		return -EINVAL;
	memcpy(value, structure, size);
	*length = (socklen_t)size;
	return 0;
}

/* Where a byte has been enough for ever, it is (ip(7), IP_MULTICAST_TTL). */
static bool is_byte(int level, socklen_t length)
{
	return level == IPPROTO_IP && length >= 1 && length < sizeof(int);
}

static int number_load(int level, const void *value, socklen_t length, int *number)
{
	if (!is_byte(level, length))
		return option_load(number, sizeof(*number), value, length);
	*number = *(const unsigned char *)value;
	return 0;
}

int catnip_option_set(struct option_table table, struct queue *queue, bool is_v6, int level,
		      int name, const void *value, socklen_t length)
{
	const struct option *option;
	int number, error = option_find(table, is_v6, level, name, &option);

	if (error)
		return error;
	if (option->direction == OPTION_READ_ONLY)
		return -ENOPROTOOPT;
	if (number_load(level, value, length, &number) < 0 || number < option->minimum ||
	    number > option->maximum)
		return -EINVAL;
	return option->set(queue, number);
}

/* As Linux does: what does not fit into it is refused. */
static int store_byte(int number, void *value, socklen_t *length)
{
	if (number > UCHAR_MAX)
		return -EINVAL;
	*(unsigned char *)value = (unsigned char)number;
	*length = 1;
	return 0;
}

int catnip_option_get(struct option_table table, struct queue *queue, bool is_v6, int level,
		      int name, void *value, socklen_t *length)
{
	const struct option *option;
	int number, error = option_find(table, is_v6, level, name, &option);

	if (error)
		return error;
	/* Before the value is asked for: an error that is told is gone. */
	if (!is_byte(level, *length) && (*length < sizeof(number) || *length > INT_MAX))
		return -EINVAL;
	number = option->get(queue);
	if (number < 0)
		return number;
	if (is_byte(level, *length))
		return store_byte(number, value, length);
	return option_store(&number, sizeof(number), value, length);
}
