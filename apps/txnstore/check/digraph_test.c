/* SPDX-License-Identifier: MIT */
/* Components beside plain reachability, and edges that single_find and search_try tell of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "txnstore/check/digraph.h"
#include "txnstore/check/search.h"
#include "txnstore/check/single.h"
#include "txnstore/random.h"

#define NODES_MAX 12
#define GRAPHS 3000
#define CHAIN 200000

#define RED 0u
#define BLUE 1u

static bool leads[NODES_MAX][NODES_MAX]; /* over one edge or more */

static void make_graph(struct random *random, struct digraph *graph)
{
	uint32_t nodes = 1 + (uint32_t)random_below(random, NODES_MAX);
	size_t edges = random_below(random, 2 * nodes + 1);

	digraph_init(graph);
	for (size_t i = 0; i < edges; i++) {
		struct edge edge = {
			.from = (uint32_t)random_below(random, nodes),
			.to = (uint32_t)random_below(random, nodes),
			.kind = random_chance(random, 0.5) ? RED : BLUE,
		};

		if (edge.from != edge.to)
			assert_int_equal(digraph_add(graph, edge), 0);
	}
	assert_int_equal(digraph_finish(graph, nodes), 0);
}

static void close_paths(const struct digraph *graph, uint32_t mask)
{
	memset(leads, 0, sizeof(leads));
	for (size_t i = 0; i < graph->edge_count; i++) {
		const struct edge *edge = &graph->edges[i];

		if (EDGE_MASK(edge->kind) & mask)
			leads[edge->from][edge->to] = true;
	}
	for (uint32_t via = 0; via < graph->node_count; via++) {
		for (uint32_t i = 0; i < graph->node_count; i++) {
			for (uint32_t j = 0; j < graph->node_count; j++)
				leads[i][j] = leads[i][j] || (leads[i][via] && leads[via][j]);
		}
	}
}

static void digraph__components_are_what_leads_both_ways(void **state)
{
	struct random random = {2};
	uint32_t components[NODES_MAX], count;

	(void)state;
	for (unsigned int i = 0; i < GRAPHS; i++) {
		uint32_t mask = 1 + (uint32_t)random_below(&random, 3);
		struct digraph graph;

		make_graph(&random, &graph);
		close_paths(&graph, mask);
		assert_int_equal(digraph_components(&graph, mask, components, &count), 0);
		for (uint32_t a = 0; a < graph.node_count; a++) {
			assert_true(components[a] < count);
			for (uint32_t b = 0; b < graph.node_count; b++) {
				bool both = a == b || (leads[a][b] && leads[b][a]);

				assert_int_equal(components[a] == components[b], both);
				if (!both && leads[a][b])
					assert_true(components[a] > components[b]);
			}
		}
		digraph_destroy(&graph);
	}
}

static void digraph__long_chains_take_no_stack(void **state)
{
	struct digraph graph;
	uint32_t *components = calloc(CHAIN, sizeof(*components)), count;

	(void)state;
	assert_non_null(components);
	digraph_init(&graph);
	for (uint32_t i = 0; i < CHAIN; i++) {
		uint32_t kind = i + 1 < CHAIN ? RED : BLUE;

		assert_int_equal(digraph_add(&graph, (struct edge){i, (i + 1) % CHAIN, kind, 0}),
				 0);
	}
	assert_int_equal(digraph_finish(&graph, CHAIN), 0);
	assert_int_equal(digraph_components(&graph, EDGE_MASK(RED), components, &count), 0);
	assert_int_equal(count, CHAIN);
	assert_int_equal(
		digraph_components(&graph, EDGE_MASK(RED) | EDGE_MASK(BLUE), components, &count),
		0);
	assert_int_equal(count, 1);
	free(components);
	digraph_destroy(&graph);
}

/* Of the graphs whose red edges make no cycle, with one blue one in the cycle that is looked for. */
static void digraph__single_finds_an_edge_exactly_if_there_is_one(void **state)
{
	struct random random = {3};
	uint32_t ranks[NODES_MAX], components[NODES_MAX], count;
	unsigned int found = 0, none = 0;

	(void)state;
	for (unsigned int i = 0; i < 4 * GRAPHS; i++) {
		struct digraph graph;
		struct single single;
		bool expected = false;

		make_graph(&random, &graph);
		assert_int_equal(digraph_components(&graph, EDGE_MASK(RED), ranks, &count), 0);
		if (count != graph.node_count) {
			digraph_destroy(&graph);
			continue;
		}
		assert_int_equal(digraph_components(&graph, EDGE_MASK(RED) | EDGE_MASK(BLUE),
						    components, &count),
				 0);
		assert_int_equal(
			single_find(&graph, BLUE, EDGE_MASK(RED), ranks, components, &single), 0);
		close_paths(&graph, EDGE_MASK(RED));
		for (size_t j = 0; j < graph.edge_count; j++) {
			const struct edge *edge = &graph.edges[j];

			expected |= edge->kind == BLUE && leads[edge->to][edge->from];
		}
		assert_int_equal(single.count > 0, expected);
		for (size_t j = 0; j < single.count; j++) {
			const struct edge *edge = &graph.edges[single.edges[j]];

			assert_int_equal(edge->kind, BLUE);
			assert_true(leads[edge->to][edge->from]);
		}
		found += expected;
		none += !expected && count != graph.node_count;
		digraph_destroy(&graph);
	}
	assert_true(found > 100);
	assert_true(none > 100);
}

/* More ends of blue edges than go through at once; only that of the pair @cyclic lies on a cycle. */
static void find_single_of(uint32_t cyclic)
{
	enum { PAIRS = 150, HUB = 2 * PAIRS, NODES = HUB + 1 };
	uint32_t ranks[NODES], components[NODES], count;
	struct digraph graph;
	struct single single;

	digraph_init(&graph);
	for (uint32_t i = 0; i < PAIRS; i++) {
		const struct edge edges[] = {
			{2 * i, 2 * i + 1, BLUE, 0},
			{2 * i + 1, 2 * i, i == cyclic ? RED : BLUE, 0},
			{2 * i + 1, HUB, BLUE, 0},
			{HUB, 2 * i, BLUE, 0},
		};

		for (size_t j = 0; j < sizeof(edges) / sizeof(edges[0]); j++)
			assert_int_equal(digraph_add(&graph, edges[j]), 0);
	}
	assert_int_equal(digraph_finish(&graph, NODES), 0);
	assert_int_equal(digraph_components(&graph, EDGE_MASK(RED), ranks, &count), 0);
	assert_int_equal(count, NODES);
	assert_int_equal(
		digraph_components(&graph, EDGE_MASK(RED) | EDGE_MASK(BLUE), components, &count),
		0);
	assert_int_equal(count, 1);
	assert_int_equal(single_find(&graph, BLUE, EDGE_MASK(RED), ranks, components, &single), 0);
	assert_int_equal(single.count, 1);
	assert_int_equal(graph.edges[single.edges[0]].from, 2 * cyclic);
	digraph_destroy(&graph);
}

static void digraph__single_goes_on_with_more_starts(void **state)
{
	(void)state;
	find_single_of(0);
	find_single_of(75);
	find_single_of(149);
}

/* 0 to 1 to 2 to 0, and a shorter way from 1 to 0 through the helpers 3 and 4. */
static void search__counts_no_helpers(void **state)
{
	static const struct edge edges[] = {
		{0, 1, RED, 0}, {1, 2, RED, 0}, {2, 0, RED, 0},
		{1, 3, RED, 0}, {3, 4, RED, 0}, {4, 0, RED, 0},
	};
	const uint32_t components[5] = {0};
	struct digraph graph;
	struct search search;

	(void)state;
	digraph_init(&graph);
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		assert_int_equal(digraph_add(&graph, edges[i]), 0);
	assert_int_equal(digraph_finish(&graph, 5), 0);
	assert_int_equal(search_init(&search, &graph, 3), 0);
	search_try(&search, EDGE_MASK(BLUE), components, 2, 2, SEARCH_NO_EDGE);
	assert_int_equal(search.length, 0);
	search_try(&search, EDGE_MASK(RED), components, 2, 2, SEARCH_NO_EDGE);
	assert_int_equal(search.steps, 3);
	assert_int_equal(search.length, 3);
	search_try(&search, EDGE_MASK(RED), components, 0, 0, SEARCH_NO_EDGE);
	assert_int_equal(search.steps, 2);
	assert_int_equal(search.length, 4);
	assert_int_equal(graph.edges[search.path[0]].to, 1);
	assert_int_equal(graph.edges[search.path[3]].from, 4);
	search_destroy(&search);
	digraph_destroy(&graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digraph__components_are_what_leads_both_ways),
		cmocka_unit_test(digraph__long_chains_take_no_stack),
		cmocka_unit_test(digraph__single_finds_an_edge_exactly_if_there_is_one),
		cmocka_unit_test(digraph__single_goes_on_with_more_starts),
		cmocka_unit_test(search__counts_no_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
