/* SPDX-License-Identifier: MIT */
#include "value.h"

#include <endian.h>
#include <string.h>

#include "random.h"

void value_table_init(struct value_table *table, uint32_t size, uint8_t *bytes)
{
	size_t length = VALUE_TABLE_BYTES(size);

	*table = (struct value_table){
		.size = size,
		.stamp = size >= VALUE_STAMPED_MIN ? VALUE_STAMP_BYTES : 0,
		.bytes = bytes,
	};
	for (size_t i = 0; i < VALUE_PERIOD; i++)
		bytes[i] = (uint8_t)random_mix((i + 1) * RANDOM_GOLDEN);
	/* Each copy doubles what there is to copy from, in whole periods. */
	for (size_t filled = VALUE_PERIOD; filled < length;) {
		size_t run = filled < length - filled ? filled : length - filled;

		memcpy(bytes + filled, bytes, run);
		filled += run;
	}
}

void value_stamp(const struct value_table *table, const struct value_id *id, uint8_t *stamp)
{
	uint32_t run = htole32(id->run);
	uint64_t version = htole64(id->version);

	if (table->stamp == 0)
		return;
	memcpy(stamp, &run, sizeof(run));
	memcpy(stamp + sizeof(run), &version, sizeof(version));
}

uint8_t *value_window(const struct value_table *table, const struct value_id *id)
{
	uint64_t hash = random_mix(id->key * RANDOM_GOLDEN + table->size);

	if (table->stamp)
		hash = random_mix(hash + id->version + ((uint64_t)id->run << 32));
	return table->bytes + hash % VALUE_PERIOD;
}

void value_check_begin(struct value_check *check, const struct value_table *table, uint64_t key)
{
	check->id = (struct value_id){.key = key};
	check->offset = 0;
	check->window = table->stamp ? NULL : value_window(table, &check->id);
}

/* Takes what is there of the stamp; when that is whole, it is known what comes behind. */
static size_t take_stamp(struct value_check *check, const struct value_table *table,
			 const uint8_t *data, size_t length)
{
	size_t left = table->stamp - check->offset;
	size_t run = left < length ? left : length;
	uint32_t number;
	uint64_t version;

	memcpy(check->stamp + check->offset, data, run);
	check->offset += (uint32_t)run;
	if (run < left)
		return run;
	memcpy(&number, check->stamp, sizeof(number));
	memcpy(&version, check->stamp + sizeof(number), sizeof(version));
	check->id.run = le32toh(number);
	check->id.version = le64toh(version);
	check->window = value_window(table, &check->id);
	return run;
}

bool value_check_run(struct value_check *check, const struct value_table *table,
		     const uint8_t *data, size_t length)
{
	if (check->offset < table->stamp) {
		size_t taken = take_stamp(check, table, data, length);

		data += taken;
		length -= taken;
	}
	if (length == 0)
		return true;
	const uint8_t *right = check->window + (check->offset - table->stamp);
	size_t equal = 0;

	if (memcmp(right, data, length) == 0)
		equal = length;
	else
		while (right[equal] == data[equal])
			equal++;
	check->offset += (uint32_t)equal;
	return equal == length;
}

uint8_t value_check_expected(const struct value_check *check, const struct value_table *table)
{
	return check->window[check->offset - table->stamp];
}
