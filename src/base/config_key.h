/* SPDX-License-Identifier: MIT */
/*
 * The table of keys: one entry for each, with its type, its default and its limits, and the way
 * from text into its field of struct config. For config.c, which reads file and environment.
 */
#ifndef DEMI_BASE_CONFIG_KEY_H
#define DEMI_BASE_CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/config.h"

/** A piece of text: neither the names in the table nor YAML scalars end where a string would. */
struct span {
	const char *text;
	size_t length;
};

static inline struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

enum config_kind {
	KIND_NAME,
	KIND_CHOICE,
	KIND_INTEGER,
	KIND_POWER,
	KIND_SIZE,
	KIND_TEXT, /* may be empty */
	KIND_LIST, /* as KIND_TEXT; a YAML sequence is joined with commas */
};

struct config_key {
	const char *name; /* "section.key", or "key" outside of the sections */
	const char *type; /* what is allowed, in words */
	const char *initial;
	const char *choices;   /* KIND_CHOICE only: ", " between, in the order of the enum */
	const char *min, *max; /* numbers only; inclusive, spelled as in a file, like initial */
	const char *help;
	size_t offset, size; /* the field of struct config */
	enum config_kind kind;
	bool or_zero; /* numbers only; 0 is allowed below min */
};

#define CONFIG_KEYS_MAX 96

extern const struct config_key config_keys[];
extern const size_t config_key_count; /* CONFIG_KEYS_MAX at most */

/** config_key_section, config_key_last - the two parts of its name; the section may be empty */
struct span config_key_section(const struct config_key *key);
struct span config_key_last(const struct config_key *key);

/** config_key_find - the key of a name; NULL: there is none */
const struct config_key *config_key_find(struct span section, struct span last);

/** config_section_find - the first key of the section called @name, or NULL; it stands for it */
const struct config_key *config_section_find(struct span name);

/** config_key_set - NULL, or what is wrong with @text; only a value that is right is stored */
const char *config_key_set(struct config *config, const struct config_key *key, struct span text);

/**
 * config_key_get - the value of a key as text, which config_key_set would understand
 *
 * Return: its length, which is @size or more when it was cut.
 */
size_t config_key_get(const struct config *config, const struct config_key *key, char *text,
		      size_t size);

#endif /* DEMI_BASE_CONFIG_KEY_H */
