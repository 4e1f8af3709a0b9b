/* SPDX-License-Identifier: MIT */
/*
 * One table (config_key.c) drives the file, the environment, the defaults, the limits and
 * config_describe. The file is read as a stream of YAML events that is left at the first thing
 * that does not fit, so that nesting, aliases and the like cost nothing.
 */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/config_key.h"

#define FILE_BYTES_MAX 65536
#define NAME_BYTES_MAX 32   /* longer names than any of ours get no suggestion */
#define LIST_BYTES_MAX 2048 /* longer than any list may be */
#define NAMES_BYTES 512     /* the names of any section fit */
#define PREFIX "DEMI_"
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

void config_defaults(struct config *config)
{
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < config_key_count; i++)
		config_key_set(config, &config_keys[i], span_of(config_keys[i].initial));
	strcpy(config->origin.libos, "libos");
	strcpy(config->origin.engine, "catnap.engine");
}

/* Messages. */

struct loader {
	struct config *config;
	const char *file; /* NULL while the environment is read */
	size_t line;      /* 1, 2, ... of what is looked at; 0: of no line in particular */
	char subject[64]; /* the key, section or variable that is looked at, or "" */
	char *error;
	size_t error_size;

	/* Where each key, and each section by its first key, was given; 0: not yet. */
	size_t key_line[CONFIG_KEYS_MAX];
	size_t section_line[CONFIG_KEYS_MAX];

	yaml_parser_t parser;
	yaml_event_t event; /* the last one taken from the parser; owned */
};

struct quoted {
	char text[44];
};

/* Text from outside, fit for a message: short, on one line, without terminal escapes. */
static struct quoted quote(struct span text)
{
	struct quoted quoted = {""};
	size_t length = text.length <= 40 ? text.length : 40;

	for (size_t i = 0; i < length; i++) {
		char c = text.text[i];

		quoted.text[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	if (text.length > length)
		memcpy(quoted.text + length, "...", 3);
	return quoted;
}

/* Append to @text; what does not fit is cut. */
PRINTF_LIKE(3, 0)
static void append_arguments(char *text, size_t size, const char *format, va_list arguments)
{
	size_t length = size ? strnlen(text, size - 1) : 0;

	if (size)
		vsnprintf(text + length, size - length, format, arguments);
}

PRINTF_LIKE(3, 4)
static void append(char *text, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append_arguments(text, size, format, arguments);
	va_end(arguments);
}

/* What is looked at: "FILE:LINE: section.key", or the variable. */
static void describe_place(const struct loader *loader, char *text, size_t size)
{
	text[0] = '\0';
	if (loader->file)
		append(text, size, "%s:", loader->file);
	if (loader->file && loader->line)
		append(text, size, "%zu:", loader->line);
	append(text, size, "%s%s", loader->file ? " " : "", loader->subject);
}

/* Return: -EINVAL, so that a caller can return what this returns. */
PRINTF_LIKE(2, 3)
static int fail(struct loader *loader, const char *format, ...)
{
	char *error = loader->error;
	va_list arguments;

	if (loader->error_size == 0)
		return -EINVAL;
	describe_place(loader, error, loader->error_size);
	append(error, loader->error_size, "%s", loader->subject[0] ? ": " : "");
	va_start(arguments, format);
	append_arguments(error, loader->error_size, format, arguments);
	va_end(arguments);
	for (; *error; error++) /* the name of a file may hold anything */
		if ((unsigned char)*error < ' ' || *error == '\x7f')
			*error = '?';
	return -EINVAL;
}

static void subject_set(struct loader *loader, struct span section, struct span last)
{
	snprintf(loader->subject, sizeof(loader->subject), "%.*s%s%s", (int)section.length,
		 section.text, section.length ? "." : "", quote(last).text);
}

static int value_set(struct loader *loader, const struct config_key *key, struct span text)
{
	const char *wrong = config_key_set(loader->config, key, text);

	if (!wrong) {
		if (strcmp(key->name, "libos") == 0)
			describe_place(loader, loader->config->origin.libos,
				       sizeof(loader->config->origin.libos));
		else if (strcmp(key->name, "catnap.engine") == 0)
			describe_place(loader, loader->config->origin.engine,
				       sizeof(loader->config->origin.engine));
		return 0;
	}
	return fail(loader, "\"%s\" %s; allowed: %s", quote(text).text, wrong, key->type);
}

/* Suggestions for names that are not known. */

/* Levenshtein's distance, with one row of his matrix. */
static size_t distance(struct span a, struct span b)
{
	size_t row[NAME_BYTES_MAX + 1];

	if (a.length > NAME_BYTES_MAX || b.length > NAME_BYTES_MAX)
		return NAME_BYTES_MAX;
	for (size_t j = 0; j <= b.length; j++)
		row[j] = j;
	for (size_t i = 0; i < a.length; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < b.length; j++) {
			size_t replace = diagonal + (a.text[i] != b.text[j]);
			size_t insert = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;

			diagonal = row[j + 1];
			row[j + 1] = replace < insert ? replace : insert;
		}
	}
	return row[b.length];
}

struct suggestion {
	struct span name;
	size_t distance; /* of the name; what is not under it at first is too far */
};

static void suggest(struct suggestion *best, struct span name, size_t far)
{
	if (far < best->distance)
		*best = (struct suggestion){name, far};
}

/* Return: the key, or for an empty @section also the section, that is close to @asked, or none. */
static struct span nearest(struct span section, struct span asked)
{
	struct suggestion best = {{"", 0}, (asked.length + 2) / 3 + 1};

	for (size_t i = 0; i < config_key_count; i++) {
		struct span home = config_key_section(&config_keys[i]);
		size_t strange = !span_equal(home, section);

		suggest(&best, span_of(config_keys[i].name),
			distance(asked, config_key_last(&config_keys[i])) + strange);
		if (home.length && section.length == 0)
			suggest(&best, home, distance(asked, home));
	}
	return best.name;
}

/* The names that may stand in @section, or for an empty one at the top, ", " between. */
static void names_list(struct span section, char *list, size_t size)
{
	list[0] = '\0';
	for (size_t i = 0; i < config_key_count; i++) {
		struct span home = config_key_section(&config_keys[i]),
			    name = config_key_last(&config_keys[i]);

		if (section.length == 0 && home.length) {
			if (config_section_find(home) != &config_keys[i])
				continue; /* a section once, not once for each of its keys */
			name = home;
		} else if (!span_equal(home, section)) {
			continue;
		}
		append(list, size, "%s%.*s", list[0] ? ", " : "", (int)name.length, name.text);
	}
}

static int fail_unknown(struct loader *loader, struct span section, struct span asked)
{
	struct span close = nearest(section, asked);
	const char *what = section.length ? "unknown key" : "unknown section or key";
	char names[NAMES_BYTES];

	names_list(section, names, sizeof(names));
	if (close.length == 0)
		return fail(loader, "%s; allowed: %s", what, names);
	return fail(loader, "%s (did you mean %.*s?); allowed: %s", what, (int)close.length,
		    close.text, names);
}

/* The file. */

/* The reader of libyaml tells the byte that it stumbled over, not the line. */
static size_t line_of(const yaml_parser_t *parser)
{
	const unsigned char *text = parser->input.string.start;
	size_t line = 1;

	for (size_t i = 0; i < parser->problem_offset && text + i < parser->input.string.end; i++)
		line += text[i] == '\n';
	return line;
}

static int fail_syntax(struct loader *loader)
{
	const yaml_parser_t *parser = &loader->parser;

	switch (parser->error) {
	case YAML_MEMORY_ERROR:
		loader->line = 0;
		fail(loader, "out of memory");
		return -ENOMEM;
	case YAML_READER_ERROR:
		loader->subject[0] = '\0'; /* it reads ahead of what is looked at */
		loader->line = line_of(parser);
		return fail(loader, "not text in UTF-8: %s", parser->problem);
	default:
		loader->line = parser->problem_mark.line + 1;
		return fail(loader, "not YAML: %s", parser->problem ? parser->problem : "unknown");
	}
}

/* Take the next event. Anchors, aliases and tags, which have no use here, end here. */
static int next(struct loader *loader)
{
	yaml_event_t *event = &loader->event;
	bool anchor = false, tag = false;

	yaml_event_delete(event);
	if (!yaml_parser_parse(&loader->parser, event))
		return fail_syntax(loader);
	loader->line = event->start_mark.line + 1;
	if (event->type == YAML_ALIAS_EVENT) {
		anchor = true;
	} else if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor || tag)
		return fail(loader, "%s; allowed: plain keys and values",
			    anchor ? "an anchor or alias" : "a tag");
	return 0;
}

static struct span scalar(const struct loader *loader)
{
	return (struct span){(const char *)loader->event.data.scalar.value,
			     loader->event.data.scalar.length};
}

/* Nothing at all stands here: an empty file, or a section whose keys are all commented out. */
static bool is_nothing(const struct loader *loader)
{
	return loader->event.type == YAML_SCALAR_EVENT && loader->event.data.scalar.length == 0 &&
	       loader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static const char *event_name(const struct loader *loader)
{
	return loader->event.type == YAML_SEQUENCE_START_EVENT  ? "a sequence"
	       : loader->event.type == YAML_MAPPING_START_EVENT ? "a mapping"
								: "a single value";
}

static int given_once(struct loader *loader, size_t *line)
{
	if (*line)
		return fail(loader, "given twice, first in line %zu; allowed: once", *line);
	*line = loader->line;
	return 0;
}

/* The elements of a sequence, joined as the environment has them: with commas. */
static int list_load(struct loader *loader, const struct config_key *key)
{
	char text[LIST_BYTES_MAX];
	size_t length = 0;
	int result;

	while (!(result = next(loader)) && loader->event.type != YAML_SEQUENCE_END_EVENT) {
		struct span element;

		if (loader->event.type != YAML_SCALAR_EVENT)
			return fail(loader, "%s inside a list; allowed: %s", event_name(loader),
				    key->type);
		element = scalar(loader);
		if (element.length == 0)
			return fail(loader, "an empty element; allowed: %s", key->type);
		if (element.length + 1 > sizeof(text) - length)
			return fail(loader, "the list is too long; allowed: %s", key->type);
		if (length)
			text[length++] = ',';
		memcpy(text + length, element.text, element.length);
		length += element.length;
	}
	return result ? result : value_set(loader, key, (struct span){text, length});
}

static int value_load(struct loader *loader, const struct config_key *key)
{
	int result = given_once(loader, &loader->key_line[key - config_keys]);

	if (!result)
		result = next(loader);
	if (result)
		return result;
	if (key->kind == KIND_LIST && loader->event.type == YAML_SEQUENCE_START_EVENT)
		return list_load(loader, key);
	if (loader->event.type != YAML_SCALAR_EVENT)
		return fail(loader, "%s instead of a value; allowed: %s", event_name(loader),
			    key->type);
	return value_set(loader, key, scalar(loader));
}

/*
 * Take the key of the next pair of a mapping.
 * Return: 1 with the event at the key, 0 at the end of the mapping, or an error.
 */
static int pair_next(struct loader *loader, struct span section)
{
	int result;

	snprintf(loader->subject, sizeof(loader->subject), "%.*s", (int)section.length,
		 section.text);
	result = next(loader);
	if (result || loader->event.type == YAML_MAPPING_END_EVENT)
		return result;
	if (loader->event.type != YAML_SCALAR_EVENT)
		return fail(loader, "%s as a key; allowed: a name", event_name(loader));
	subject_set(loader, section, scalar(loader));
	return 1;
}

static int section_load(struct loader *loader, const struct config_key *first)
{
	struct span section = config_key_section(first);
	int result = given_once(loader, &loader->section_line[first - config_keys]);

	if (!result)
		result = next(loader);
	if (result || is_nothing(loader))
		return result;
	if (loader->event.type != YAML_MAPPING_START_EVENT) {
		char names[NAMES_BYTES];

		names_list(section, names, sizeof(names));
		return fail(loader, "%s instead of a section; allowed: %s", event_name(loader),
			    names);
	}
	while ((result = pair_next(loader, section)) > 0) {
		const struct config_key *key = config_key_find(section, scalar(loader));

		result = key ? value_load(loader, key)
			     : fail_unknown(loader, section, scalar(loader));
		if (result)
			break;
	}
	return result;
}

static int fail_unknown_at_top(struct loader *loader, struct span name)
{
	for (size_t i = 0; i < config_key_count; i++) /* as our own messages and manual spell it */
		if (span_equal(span_of(config_keys[i].name), name))
			return fail(loader, "a key outside of its section; allowed: %s inside %.*s",
				    config_key_last(&config_keys[i]).text,
				    (int)config_key_section(&config_keys[i]).length,
				    config_keys[i].name);
	return fail_unknown(loader, (struct span){"", 0}, name);
}

static int top_load(struct loader *loader)
{
	const struct span nowhere = {"", 0};
	int result;

	while ((result = pair_next(loader, nowhere)) > 0) {
		const struct config_key *section = config_section_find(scalar(loader));
		const struct config_key *key = config_key_find(nowhere, scalar(loader));

		if (section)
			result = section_load(loader, section);
		else if (key)
			result = value_load(loader, key);
		else
			result = fail_unknown_at_top(loader, scalar(loader));
		if (result)
			break;
	}
	loader->subject[0] = '\0';
	return result;
}

/* The whole stream: at most one document, and in it a mapping or nothing. */
static int stream_load(struct loader *loader)
{
	int result = next(loader); /* the start of the stream */

	if (!result)
		result = next(loader);
	if (result || loader->event.type == YAML_STREAM_END_EVENT)
		return result;
	result = next(loader);
	if (result)
		return result;
	if (loader->event.type == YAML_MAPPING_START_EVENT)
		result = top_load(loader);
	else if (!is_nothing(loader))
		result = fail(loader, "%s; allowed: a mapping of sections", event_name(loader));
	if (!result)
		result = next(loader); /* the end of the document */
	if (!result)
		result = next(loader);
	if (!result && loader->event.type != YAML_STREAM_END_EVENT)
		result = fail(loader, "a second document; allowed: one");
	return result;
}

static int text_load(struct loader *loader, const char *text, size_t size)
{
	int result;

	if (size > FILE_BYTES_MAX) {
		fail(loader, "too large; allowed: %d bytes", FILE_BYTES_MAX);
		return -EFBIG;
	}
	if (!yaml_parser_initialize(&loader->parser)) {
		fail(loader, "out of memory");
		return -ENOMEM;
	}
	/* Else libyaml would take a byte order mark for leave to read UTF-16. */
	yaml_parser_set_encoding(&loader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&loader->parser, (const unsigned char *)text, size);
	result = stream_load(loader);
	yaml_event_delete(&loader->event);
	yaml_parser_delete(&loader->parser);
	return result;
}

/* Return: how many bytes were read, at most @size, or -errno. */
static ssize_t file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got;

	if (fd < 0)
		return -errno;
	do {
		got = read(fd, text + length, size - length);
		if (got > 0)
			length += (size_t)got;
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0)
		got = -errno;
	close(fd);
	return got < 0 ? got : (ssize_t)length;
}

static int file_load(struct loader *loader, const char *path)
{
	const size_t size = FILE_BYTES_MAX + 1; /* one more tells a file that is too large */
	char *text = malloc(size);
	ssize_t length = text ? file_read(path, text, size) : -ENOMEM;
	int result;

	loader->file = path;
	loader->line = 0;
	if (length < 0) {
		result = (int)length;
		fail(loader, "cannot read: %s", strerror(-result));
	} else {
		result = text_load(loader, text, (size_t)length);
	}
	free(text);
	return result;
}

/* The environment. */

static void variable_name(struct span key, char *name, size_t size)
{
	snprintf(name, size, PREFIX "%.*s", (int)key.length, key.text);
	for (; *name; name++)
		*name = *name == '.' ? '_' : upper(*name);
}

static const struct config_key *variable_find(struct span variable)
{
	for (size_t i = 0; i < config_key_count; i++) {
		char name[sizeof(PREFIX) + NAME_BYTES_MAX];

		variable_name(span_of(config_keys[i].name), name, sizeof(name));
		if (span_equal(span_of(name), variable))
			return &config_keys[i];
	}
	return NULL;
}

/*
 * @name is no key's: a slip if it starts like one of our sections, else somebody else's, for
 * tests and tools have variables of their own.
 */
static int variable_unknown(struct loader *loader, struct span name)
{
	char lowered[sizeof(PREFIX) + NAME_BYTES_MAX + 1] = "", close[sizeof(lowered)],
						       names[NAMES_BYTES];
	struct span section, asked, key;

	for (size_t i = 0; i < name.length && i < sizeof(lowered) - 1; i++)
		lowered[i] = lower(name.text[i]);
	section.text = lowered + strlen(PREFIX);
	section.length = strcspn(section.text, "_");
	if (!config_section_find(section) || span_equal(name, span_of("DEMI_SHIM")))
		return 0; /* the latter: where `demi run` finds the shim */
	asked = span_of(section.text + section.length);
	if (asked.length)
		asked = (struct span){asked.text + 1, asked.length - 1};
	key = nearest(section, asked);
	if (key.length == 0) {
		names_list(section, names, sizeof(names));
		return fail(loader, "unknown variable; allowed: in section %.*s, %s",
			    (int)section.length, section.text, names);
	}
	variable_name(key, close, sizeof(close));
	return fail(loader, "unknown variable (did you mean %s?); allowed: DEMI_<SECTION>_<KEY>",
		    close);
}

static int variable_load(struct loader *loader, struct span name, struct span value)
{
	const struct config_key *key = variable_find(name);

	subject_set(loader, (struct span){"", 0}, name);
	if (!key)
		return variable_unknown(loader, name);
	if (loader->key_line[key - config_keys])
		return 0; /* twice in the environment: the first counts, as for getenv */
	loader->key_line[key - config_keys] = 1;
	return value_set(loader, key, value);
}

/* Short names for what is set often; they win over the long ones, and over the file. */
static const struct {
	const char *variable, *section, *last;
} short_names[] = {
	{"LIBOS", "", "libos"},
	{"DEMI_PCAP", "net", "pcap"},
};

static const char *environment_find(char *const environment[], const char *variable)
{
	size_t length = strlen(variable);

	for (; *environment; environment++)
		if (strncmp(*environment, variable, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

static int short_names_load(struct loader *loader, char *const environment[])
{
	int result = 0;

	for (size_t i = 0; i < COUNT_OF(short_names) && !result; i++) {
		const char *value = environment_find(environment, short_names[i].variable);

		if (!value)
			continue;
		subject_set(loader, (struct span){"", 0}, span_of(short_names[i].variable));
		result = value_set(loader,
				   config_key_find(span_of(short_names[i].section),
						   span_of(short_names[i].last)),
				   span_of(value));
	}
	return result;
}

static int environment_load(struct loader *loader, char *const environment[])
{
	int result = 0;

	loader->file = NULL;
	loader->line = 0;
	memset(loader->key_line, 0, sizeof(loader->key_line));
	for (char *const *variable = environment; *variable && !result; variable++) {
		const char *equals = strchr(*variable, '=');
		struct span name = {*variable, equals ? (size_t)(equals - *variable) : 0};

		if (equals && strncmp(*variable, PREFIX, strlen(PREFIX)) == 0)
			result = variable_load(loader, name, span_of(equals + 1));
	}
	return result ? result : short_names_load(loader, environment);
}

int config_load(struct config *config, const char *path, char *const environment[], char *error,
		size_t error_size)
{
	struct config loaded;
	struct loader loader = {.config = &loaded, .error = error, .error_size = error_size};
	int result = 0;

	config_defaults(&loaded);
	if (path)
		result = file_load(&loader, path);
	if (!result && environment)
		result = environment_load(&loader, environment);
	if (!result)
		memcpy(config, &loaded, sizeof(loaded));
	return result;
}

int config_load_memory(struct config *config, const char *name, const char *text, size_t size,
		       char *error, size_t error_size)
{
	struct config loaded;
	struct loader loader = {
		.config = &loaded, .file = name, .error = error, .error_size = error_size};
	int result;

	config_defaults(&loaded);
	result = text_load(&loader, text, size);
	if (!result)
		memcpy(config, &loaded, sizeof(loaded));
	return result;
}

const char *config_describe(unsigned int index, const char **type_out, char *default_out,
			    size_t default_size, const char **help_out)
{
	if (index >= config_key_count)
		return NULL;
	*type_out = config_keys[index].type;
	*help_out = config_keys[index].help;
	snprintf(default_out, default_size, "%s", config_keys[index].initial);
	return config_keys[index].name;
}
