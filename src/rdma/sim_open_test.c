/* SPDX-License-Identifier: MIT */
/* Simulated devices by name: what may be said, who meets whom, and in which thread. */
#include <pthread.h>
#include <unistd.h>

#include "rdma/sim_testing.h"

static const struct rdma_options options = {.now_ns = &now_ns};

static int try_open(const char *words)
{
	struct rdma *rdma = NULL;
	int error = rdma_open(&rdma, words, &options);

	if (!error)
		rdma_close(rdma);
	return error;
}

static void words__that_are_wrong_are_refused(void **state)
{
	static const char *const wrong[] = {
		"sim:",
		"sim:name",
		"sim:name,",
		"sim:name,delay_ns=5",
		"sim:name,ip=",
		"sim:name,ip",
		"sim:name,ip=10.0.0",
		"sim:name,ip=10.0.0.256",
		"sim:name,ip=fd00::g",
		"sim:name,ip=10.0.0.1,other",
		"sim:name,ip=10.0.0.1,colour=5",
		"sim:name,ip=10.0.0.1,delay_ns",
		"sim:name,ip=10.0.0.1,delay_ns=",
		"sim:name,ip=10.0.0.1,delay_ns=-1",
		"sim:name,ip=10.0.0.1,delay_ns=5x",
		"sim:name,ip=10.0.0.1,delay_ns=99999999999999999999",
		"sim:name,ip=10.0.0.1,loss=1000001",
		"sim:name,ip=10.0.0.1,mtu=1500",
		"sim:name,ip=10.0.0.1,mtu=128",
		"sim:name,ip=10.0.0.1,mtu=8192",
		"sim:name,ip=10.0.0.1,,",
		"sim:name,ip=10.0.0.1,ip=10.0.0.1",
		"sim:name,ip=10.0.0.1,max_rd_atom=129",
		"sim:name,ip=10.0.0.1,down=2",
		"sim:name,ip=10.0.0.1,ip=10.0.0.2,ip=10.0.0.3,ip=10.0.0.4,ip=10.0.0.5,ip=10.0.0.6,"
		"ip=10.0.0.7,ip=10.0.0.8,ip=10.0.0.9",
		"sim:a-name-that-is-far-too-long-for-a-network-since-it-does-not-end-after-63-bytes,"
		"ip=10.0.0.1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(try_open(wrong[i]), -EINVAL);
	assert_int_equal(try_open("sim:ip=10.0.0.1"), 0);
	assert_int_equal(try_open("sim:name,ip=10.0.0.1,ip=fd00::1,mtu=256,max_inline=0"), 0);
}

static void network__is_what_the_first_says(void **state)
{
	(void)state;
	node_open(&a, "sim:same,ip=10.0.0.1,delay_ns=5,loss=7");
	assert_int_equal(try_open("sim:same,ip=10.0.0.2,delay_ns=6"), -EINVAL);
	assert_int_equal(try_open("sim:same,ip=10.0.0.2,seed=6"), -EINVAL);
	assert_int_equal(try_open("sim:same,ip=10.0.0.2,loss=7,max_qp=5"), 0);
	assert_int_equal(try_open("sim:same,ip=10.0.0.2"), 0);
	assert_int_equal(try_open("sim:same,ip=10.0.0.1"), -EADDRINUSE);
	assert_int_equal(try_open("sim:other,ip=10.0.0.1,delay_ns=6"), 0);
	node_close(&a);
	/* It went with its last device. */
	assert_int_equal(try_open("sim:same,ip=10.0.0.1,delay_ns=6"), 0);
}

static void devices__of_other_networks_do_not_meet(void **state)
{
	struct rdma_cm_id *id;

	(void)state;
	now_ns = 0;
	node_open(&a, "sim:one,ip=10.0.0.1");
	node_open(&b, "sim:two,ip=10.0.0.2");
	assert_int_equal(a.ops->create_id(a.channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_int_equal(a.ops->resolve_addr(id, NULL, v4("10.0.0.2", PORT), 1), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ADDR_ERROR), -ETIMEDOUT);
	assert_int_equal(a.ops->destroy_id(id), 0);
	end();
}

static void device__has_a_name_and_is_always_the_same(void **state)
{
	struct ibv_context **list;
	int count = 0;

	(void)state;
	start("");
	list = a.ops->get_devices(a.rdma, &count);
	assert_int_equal(count, 1);
	assert_ptr_equal(list[0], a.context);
	assert_null(list[1]);
	assert_memory_equal(list[0]->device->name, "sim_test", 8);
	a.ops->free_devices(list);
	end();
}

static void add_figure(void *context, const char *part, const char *name, const char *detail,
		       uint64_t value)
{
	uint64_t *found = context;

	assert_string_equal(part, "rdma");
	assert_null(detail);
	if (strcmp(name, "messages") == 0)
		found[0] = value;
	if (strcmp(name, "flushed") == 0)
		found[1] = value;
}

static void figures__are_told(void **state)
{
	uint64_t found[2] = {99, 99};

	(void)state;
	start_connected("");
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	assert_int_equal(a.ops->disconnect(a.id), 0);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	a.ops->tell(a.rdma, add_figure, found);
	assert_int_equal(found[0], 1);
	assert_int_equal(found[1], 1);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DISCONNECTED), 0);
	end();
}

static void close__ends_a_connection_that_was_left(void **state)
{
	struct rdma_event_channel *channel;

	(void)state;
	start_connected("delay_ns=1000");
	a.ops->destroy_qp(a.id);
	/* As a program that ends, with the id and its channel; what is memory alone is the test's. */
	channel = a.channel;
	a.channel = a.ops->create_event_channel(a.rdma);
	a.id = NULL;
	node_close(&a);
	close(channel->fd);
	free(channel);
	now_ns += 1000;
	assert_int_equal(ibv_poll_cq(b.cq, 0, NULL), 0);
	assert_true(is_readable(b.channel->fd));
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DISCONNECTED), 0);
	node_close(&b);
}

/* ---- Threads ---- */

#define ROUNDS 2000

static uint64_t server_ns;

/* Answers each message, on a clock of its own. */
static void *serve(void *context)
{
	struct node *node = context;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct ibv_wc wc;

		while (ibv_poll_cq(node->cq, 1, &wc) == 0 || wc.opcode != IBV_WC_RECV)
			server_ns += 7;
		assert_int_equal(wc.status, IBV_WC_SUCCESS);
		assert_int_equal(post_recv(node, i, 0, 100), 0);
		assert_int_equal(post_send(node, i, 0, 8), 0);
	}
	return NULL;
}

static void devices__of_several_threads_meet(void **state)
{
	uint64_t received = 0;
	pthread_t thread;

	(void)state;
	now_ns = server_ns = 0;
	node_open(&a, "sim:threads,ip=10.0.0.1,delay_ns=10");
	open_clock = &server_ns;
	node_open(&b, "sim:threads,ip=10.0.0.2");
	open_clock = &now_ns;
	connect_with(NULL, NULL);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(post_recv(&b, i, 0, 100), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, &b), 0);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		unsigned int left = 2; /* its own and the answer */
		struct ibv_wc wc;

		assert_int_equal(post_recv(&a, i, 1000, 100), 0);
		memcpy(a.memory, &i, sizeof(i));
		assert_int_equal(post_send(&a, i, 0, 8), 0);
		while (left > 0) {
			if (ibv_poll_cq(a.cq, 1, &wc) == 0) {
				now_ns += 5;
				continue;
			}
			assert_int_equal(wc.status, IBV_WC_SUCCESS);
			left--;
		}
		memcpy(&received, a.memory + 1000, sizeof(received));
		assert_int_equal(received, i);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words__that_are_wrong_are_refused),
		cmocka_unit_test(network__is_what_the_first_says),
		cmocka_unit_test(devices__of_other_networks_do_not_meet),
		cmocka_unit_test(device__has_a_name_and_is_always_the_same),
		cmocka_unit_test(figures__are_told),
		cmocka_unit_test(close__ends_a_connection_that_was_left),
		cmocka_unit_test(devices__of_several_threads_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
