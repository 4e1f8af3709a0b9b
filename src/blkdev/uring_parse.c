/* SPDX-License-Identifier: MIT */
/* The words of "uring:FILE,size=64M,poll=on". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "blkdev/uring.h"

#define EXAMPLE "uring:/var/lib/demi.img,size=64M,poll=on"

/* A word's value. */
struct value {
	const char *text;
	size_t length;
};

static bool is(struct value value, const char *text)
{
	return strlen(text) == value.length && memcmp(value.text, text, value.length) == 0;
}

static bool parse_switch(bool *on_out, struct value value)
{
	*on_out = is(value, "on");
	return *on_out || is(value, "off");
}

/* Digits, then K, M or G where @suffix allows it. */
static bool parse_number(uint64_t *number_out, struct value value, bool suffix)
{
	static const char suffixes[] = "KMG";
	const char *found;
	unsigned int shift = 0;
	char *end;

	if (value.length == 0 || *value.text < '0' || *value.text > '9')
		return false;
	errno = 0;
	*number_out = strtoull(value.text, &end, 10);
	found = suffix && *end ? strchr(suffixes, *end) : NULL;
	if (found) {
		shift = 10 * (unsigned int)(found - suffixes + 1);
		end++;
	}
	if (errno || end != value.text + value.length || *number_out > (uint64_t)INT64_MAX >> shift)
		return false;
	*number_out <<= shift;
	return true;
}

static bool parse_value(struct uring_options *parsed, struct value key, struct value value)
{
	uint64_t number = 0;
	bool on = false, right;

	if (is(key, "size"))
		return parse_number(&parsed->size, value, true) && parsed->size > 0;
	if (is(key, "block")) {
		right = parse_number(&number, value, false) && (number == 512 || number == 4096);
		parsed->block_bytes = (uint32_t)number;
		return right;
	}
	if (is(key, "depth")) {
		right = parse_number(&number, value, false) && number >= URING_DEPTH_MIN &&
			number <= URING_DEPTH_MAX;
		parsed->depth = (uint32_t)number;
		return right;
	}
	if (is(key, "poll"))
		return parse_switch(&parsed->poll, value);
	if (is(key, "direct"))
		return parse_switch(&parsed->direct, value);
	if (is(key, "read_only"))
		return parse_switch(&parsed->read_only, value);
	if (is(key, "durable")) {
		parsed->fua = is(value, "fua") ? URING_ON : URING_OFF;
		return is(value, "fua") || is(value, "flush");
	}
	if (!is(key, "trim") || !parse_switch(&on, value))
		return false;
	parsed->trim = on ? URING_ON : URING_OFF;
	return true;
}

static bool parse_word(struct uring_options *parsed, const char *word, size_t length)
{
	size_t key_length = strcspn(word, "=");

	if (key_length >= length)
		return false;
	return parse_value(parsed, (struct value){word, key_length},
			   (struct value){word + key_length + 1, length - key_length - 1});
}

int uring_parse(struct uring_options *parsed, const char *arguments)
{
	size_t length = strcspn(arguments, ",");
	const char *at = arguments + length;

	*parsed = (struct uring_options){.depth = URING_DEPTH_DEFAULT, .direct = true};
	if (length == 0 || length >= sizeof(parsed->path)) {
		log_error(
			"uring:%.80s: begin with the path of a file or a block device, as in " EXAMPLE,
			arguments);
		return -EINVAL;
	}
	memcpy(parsed->path, arguments, length);
	while (*at) {
		at++;
		length = strcspn(at, ",");
		if (!parse_word(parsed, at, length)) {
			log_error(
				"uring:%s: \"%.*s\" is not understood; there are size=, block=512 or "
				"4096, depth=16 to 4096, durable=fua or flush, and poll, direct, "
				"trim, read_only =on or =off, as in " EXAMPLE,
				parsed->path, (int)(length < 80 ? length : 80), at);
			return -EINVAL;
		}
		at += length;
	}
	return 0;
}
