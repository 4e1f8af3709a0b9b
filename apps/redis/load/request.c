/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <demi/heap.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BATCH_BYTES_MAX 65536 /* of text, but for a request that is longer alone */
#define END_BYTES 2           /* behind a value */

static void head_init(struct request_head *head, const char *command, int words, const char *prefix)
{
	int digits = snprintf(head->bytes, sizeof(head->bytes), "*%d\r\n$3\r\n%s\r\n$%zu\r\n%s",
			      words, command, strlen(prefix) + REQUEST_KEY_DIGITS, prefix);

	head->digits = (size_t)digits;
	head->length = head->digits + REQUEST_KEY_DIGITS;
	memcpy(head->bytes + head->length, "\r\n", 2);
	head->length += 2;
}

void request_texts_init(struct request_texts *texts, const struct options *options,
			const struct value_table *table)
{
	uint32_t copied = table->stamp;

	texts->table = table;
	texts->by_reference = table->size > options->copy_max && table->size > table->stamp;
	head_init(&texts->get, "GET", 2, options->prefix);
	head_init(&texts->set, "SET", 3, options->prefix);
	texts->set.length += (size_t)snprintf(texts->set.bytes + texts->set.length,
					      sizeof(texts->set.bytes) - texts->set.length,
					      "$%" PRIu32 "\r\n", table->size);
	if (!texts->by_reference)
		copied = table->size;
	texts->bytes_max = texts->set.length + copied + END_BYTES;
}

static void write_digits(uint64_t key, char digits[REQUEST_KEY_DIGITS])
{
	for (int i = REQUEST_KEY_DIGITS - 1; i >= 0; i--) {
		digits[i] = (char)('0' + key % 10);
		key /= 10;
	}
}

void request_key(const struct options *options, uint64_t key, char text[REQUEST_KEY_MAX + 1])
{
	size_t length = strlen(options->prefix);

	memcpy(text, options->prefix, length);
	write_digits(key, text + length);
	text[length + REQUEST_KEY_DIGITS] = '\0';
}

static int begin(struct request_batch *batch, size_t room)
{
	*batch = (struct request_batch){.room = room, .text = demi_malloc(room)};
	return batch->text ? 0 : ENOMEM;
}

int request_batch_begin(struct request_batch *batch, const struct request_texts *texts,
			uint32_t requests)
{
	size_t room = requests * texts->bytes_max;

	if (room > BATCH_BYTES_MAX)
		room = texts->bytes_max > BATCH_BYTES_MAX ? texts->bytes_max : BATCH_BYTES_MAX;
	return begin(batch, room);
}

bool request_batch_has_room(const struct request_batch *batch, const struct request_texts *texts)
{
	/* By reference: the text before the value, the value, and the text behind it. */
	uint32_t segments = texts->by_reference ? 3 : 1;

	return batch->room - batch->used >= texts->bytes_max &&
	       batch->array.sga_numsegs + segments <= DEMI_SGARRAY_MAXSIZE;
}

static void add_text(struct request_batch *batch, const void *bytes, size_t length)
{
	memcpy(batch->text + batch->used, bytes, length);
	batch->used += length;
}

static void add_segment(struct request_batch *batch, void *bytes, size_t length)
{
	batch->array.sga_segs[batch->array.sga_numsegs++] = (demi_sgaseg_t){
		.sgaseg_buf = bytes,
		.sgaseg_len = (uint32_t)length,
	};
}

static void end_segment(struct request_batch *batch)
{
	if (batch->used > batch->segment)
		add_segment(batch, batch->text + batch->segment, batch->used - batch->segment);
	batch->segment = batch->used;
}

static void add_head(struct request_batch *batch, const struct request_head *head, uint64_t key)
{
	write_digits(key, (char *)batch->text + batch->used + head->digits);
	memcpy(batch->text + batch->used, head->bytes, head->digits);
	memcpy(batch->text + batch->used + head->digits + REQUEST_KEY_DIGITS,
	       head->bytes + head->digits + REQUEST_KEY_DIGITS,
	       head->length - head->digits - REQUEST_KEY_DIGITS);
	batch->used += head->length;
}

void request_batch_get(struct request_batch *batch, const struct request_texts *texts, uint64_t key)
{
	add_head(batch, &texts->get, key);
}

void request_batch_set(struct request_batch *batch, const struct request_texts *texts,
		       const struct value_id *id)
{
	const struct value_table *table = texts->table;
	uint8_t *window = value_window(table, id);
	size_t length = table->size - table->stamp;

	add_head(batch, &texts->set, id->key);
	value_stamp(table, id, batch->text + batch->used);
	batch->used += table->stamp;
	if (texts->by_reference) {
		end_segment(batch);
		add_segment(batch, window, length);
	} else {
		add_text(batch, window, length);
	}
	add_text(batch, "\r\n", END_BYTES);
}

void request_batch_end(struct request_batch *batch)
{
	end_segment(batch);
}

void request_batch_free(struct request_batch *batch)
{
	demi_free(batch->text);
	batch->text = NULL;
}

static void add_word(struct request_batch *batch, const char *word)
{
	char length[24] = "";
	int digits = snprintf(length, sizeof(length), "$%zu\r\n", strlen(word));

	add_text(batch, length, (size_t)digits);
	add_text(batch, word, strlen(word));
	add_text(batch, "\r\n", 2);
}

int request_batch_auth(struct request_batch *batch, const struct options *options)
{
	size_t words = strlen(options->password) + (options->user ? strlen(options->user) : 0);
	int error = begin(batch, words + 128);

	if (error)
		return error;
	add_text(batch, options->user ? "*3\r\n" : "*2\r\n", 4);
	add_word(batch, "AUTH");
	if (options->user)
		add_word(batch, options->user);
	add_word(batch, options->password);
	request_batch_end(batch);
	return 0;
}
