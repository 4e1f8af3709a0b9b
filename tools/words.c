/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

unsigned int words_split(char *words[WORDS_MAX], char *line)
{
	static char none[1];
	unsigned int count = 0;
	char *rest = NULL;

	for (char *word = strtok_r(line, " \t\n", &rest); word && count < WORDS_MAX;
	     word = strtok_r(NULL, " \t\n", &rest))
		words[count++] = word;
	for (unsigned int i = count; i < WORDS_MAX; i++)
		words[i] = none;
	return count;
}

bool words_number(const char *word, int base, uint64_t *value)
{
	char *end;

	if (!isxdigit((unsigned char)word[0]))
		return false;
	errno = 0;
	*value = strtoull(word, &end, base);
	return errno == 0 && end != word && *end == '\0';
}

bool words_are(const char *word, int base, uint64_t value)
{
	uint64_t number;

	return words_number(word, base, &number) && number == value;
}
