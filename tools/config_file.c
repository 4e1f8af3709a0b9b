/* SPDX-License-Identifier: MIT */
#include "config_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#define WRONG_BYTES 256

static bool is_word(const yaml_node_t *node, const char *word)
{
	return node && node->type == YAML_SCALAR_NODE && node->data.scalar.length == strlen(word) &&
	       memcmp(node->data.scalar.value, word, strlen(word)) == 0;
}

/* The value of a key; NULL: no such key, or @mapping is none. */
static yaml_node_t *value_of(yaml_document_t *document, yaml_node_t *mapping, const char *key)
{
	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
	     pair < mapping->data.mapping.pairs.top; pair++) {
		if (is_word(yaml_document_get_node(document, pair->key), key))
			return yaml_document_get_node(document, pair->value);
	}
	return NULL;
}

static bool says_something(const yaml_node_t *node)
{
	return node && (node->type != YAML_SCALAR_NODE || node->data.scalar.length > 0);
}

static void note_keys(struct config_file *file, yaml_document_t *document)
{
	yaml_node_t *root = yaml_document_get_root_node(document);
	yaml_node_t *net = value_of(document, root, "net");
	yaml_node_t *blk = value_of(document, root, "blk");
	yaml_node_t *shim = value_of(document, root, "shim");
	yaml_node_t *libos = value_of(document, root, "libos");

	file->has_blk = says_something(value_of(document, blk, "dev"));
	file->has_log_files = says_something(value_of(document, shim, "log_files"));
	file->has_dev = says_something(value_of(document, net, "dev"));
	file->has_ip = says_something(value_of(document, net, "ip"));
	file->has_idle = says_something(
		value_of(document, value_of(document, root, "runtime"), "idle"));
	if (libos && libos->type == YAML_SCALAR_NODE &&
	    libos->data.scalar.length < sizeof(file->libos))
		memcpy(file->libos, libos->data.scalar.value, libos->data.scalar.length);
}

static bool parse(struct config_file *file, FILE *stream, char wrong[WRONG_BYTES])
{
	yaml_document_t document;
	yaml_parser_t parser;

	if (!yaml_parser_initialize(&parser)) {
		snprintf(wrong, WRONG_BYTES, "%s", strerror(ENOMEM));
		return false;
	}
	yaml_parser_set_input_file(&parser, stream);
	bool good = yaml_parser_load(&parser, &document);
	if (good) {
		note_keys(file, &document);
		yaml_document_delete(&document);
	} else {
		snprintf(wrong, WRONG_BYTES, "line %zu: not YAML: %s", parser.problem_mark.line + 1,
			 parser.problem ? parser.problem : "cannot be read");
	}
	yaml_parser_delete(&parser);
	return good;
}

bool config_file_read(struct config_file *file, const char *path, char wrong[WRONG_BYTES])
{
	struct stat status;
	FILE *stream = fopen(path, "re");
	bool good = false;

	memset(file, 0, sizeof(*file));
	if (!stream || fstat(fileno(stream), &status))
		snprintf(wrong, WRONG_BYTES, "%s", strerror(errno));
	else if (S_ISDIR(status.st_mode))
		snprintf(wrong, WRONG_BYTES, "%s", strerror(EISDIR));
	else
		good = parse(file, stream, wrong);
	if (stream)
		fclose(stream);
	return good;
}
