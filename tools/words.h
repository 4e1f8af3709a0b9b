/* SPDX-License-Identifier: MIT */
/* Lines of /proc are words between blanks, many of them numbers. */
#ifndef TOOLS_WORDS_H
#define TOOLS_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#define WORDS_MAX 12

/** words_split - cut @line at its blanks; what there is none of is "". Return: how many there are */
unsigned int words_split(char *words[WORDS_MAX], char *line);

/** words_number - the whole of @word as a number of @base; false: it is none, or too large */
bool words_number(const char *word, int base, uint64_t *value);

/** words_are - whether @word is a number of @base with this value */
bool words_are(const char *word, int base, uint64_t value);

#endif /* TOOLS_WORDS_H */
