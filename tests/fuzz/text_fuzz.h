/* SPDX-License-Identifier: MIT */
/* What the targets for texts share: an input is lines, each of which is the value of one key. */
#ifndef DEMI_TESTS_FUZZ_TEXT_FUZZ_H
#define DEMI_TESTS_FUZZ_TEXT_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** take_line - the next line, as far as there is @room for it and its end */
static inline void take_line(const uint8_t **data, size_t *size, char *text, size_t room)
{
	const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
	size_t length = end ? (size_t)(end - *data) : *size;
	size_t kept = length < room ? length : room - 1;

	if (kept)
		memcpy(text, *data, kept);
	text[kept] = '\0';
	*data += length + (end != NULL);
	*size -= length + (end != NULL);
}

#endif /* DEMI_TESTS_FUZZ_TEXT_FUZZ_H */
