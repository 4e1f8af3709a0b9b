/* SPDX-License-Identifier: MIT */
/* The YAML file: one mapping, from names of options to values or lists of values. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "options.h"

struct loader {
	struct options *options;
	yaml_document_t document;
	char *error; /* OPTIONS_ERROR_BYTES */
};

static int fail(const struct loader *loader, const yaml_node_t *node, const char *what)
{
	snprintf(loader->error, OPTIONS_ERROR_BYTES, "line %zu: %s", node->start_mark.line + 1,
		 what);
	return -EINVAL;
}

static int set_scalar(struct loader *loader, const char *name, const yaml_node_t *node)
{
	char error[OPTIONS_ERROR_BYTES - 32];
	char text[OPTIONS_ERROR_BYTES];
	const char *value;
	int result;

	if (node->type != YAML_SCALAR_NODE)
		return fail(loader, node, "a value is expected, or a list of values");
	value = (const char *)node->data.scalar.value;
	if (strlen(value) != node->data.scalar.length)
		return fail(loader, node, "a value has a zero byte in it");
	result = option_set(loader->options, name, value, text);
	if (result == -EINVAL) {
		snprintf(error, sizeof(error), "%.200s", text);
		return fail(loader, node, error);
	}
	if (result == -ENOENT) {
		snprintf(error, sizeof(error), "there is no '%.80s'; see demi-relay --help", name);
		return fail(loader, node, error);
	}
	return result ? fail(loader, node, strerror(-result)) : 0;
}

static int set_pair(struct loader *loader, const yaml_node_pair_t *pair)
{
	const yaml_node_t *key = yaml_document_get_node(&loader->document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(&loader->document, pair->value);
	const char *name;
	int error = 0;

	if (key->type != YAML_SCALAR_NODE)
		return fail(loader, key, "a key is the name of an option");
	name = (const char *)key->data.scalar.value;
	if (value->type != YAML_SEQUENCE_NODE)
		return set_scalar(loader, name, value);
	for (const yaml_node_item_t *item = value->data.sequence.items.start;
	     !error && item < value->data.sequence.items.top; item++)
		error = set_scalar(loader, name, yaml_document_get_node(&loader->document, *item));
	return error;
}

static int set_all(struct loader *loader)
{
	const yaml_node_t *root = yaml_document_get_root_node(&loader->document);
	int error = 0;

	if (!root)
		return 0; /* an empty file */
	if (root->type != YAML_MAPPING_NODE)
		return fail(loader, root, "the file is a mapping, such as realm: example.org");
	for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
	     !error && pair < root->data.mapping.pairs.top; pair++)
		error = set_pair(loader, pair);
	return error;
}

int options_load(struct options *options, const char *path, char error[OPTIONS_ERROR_BYTES])
{
	struct loader loader = {.options = options, .error = error};
	yaml_parser_t parser;
	FILE *file = fopen(path, "re");
	int result = -ENOMEM;

	if (!file) {
		result = -errno;
		snprintf(error, OPTIONS_ERROR_BYTES, "%s", strerror(errno));
		return result;
	}
	snprintf(error, OPTIONS_ERROR_BYTES, "%s", strerror(ENOMEM));
	if (yaml_parser_initialize(&parser)) {
		yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_file(&parser, file);
		if (yaml_parser_load(&parser, &loader.document)) {
			result = set_all(&loader);
			yaml_document_delete(&loader.document);
		} else {
			snprintf(error, OPTIONS_ERROR_BYTES, "line %zu: %s",
				 parser.problem_mark.line + 1,
				 parser.problem ? parser.problem : "it cannot be read");
			result = -EINVAL;
		}
		yaml_parser_delete(&parser);
	}
	fclose(file);
	return result;
}
