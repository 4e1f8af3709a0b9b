/* SPDX-License-Identifier: MIT */
/* Starts that fail: with which errno, with what said, and with nothing left. And what a device lacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"
#include "libos/catmint/testing.h"
#include "rdma/sim_device.h"

#define DESCRIPTORS 256 /* looked at: more than there are */

static unsigned int count_descriptors(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The start of what victim_prepare has made; what it says is in rig_words. */
static int try_start(void)
{
	int error;

	rig_hear();
	error = catmint_ops.start(&victim.libos, &victim.context, &victim.config);
	rig_heard();
	return error;
}

/* One line, which says this. Of objects that are left the simulated device would say another one. */
static void expect_line(const char *says)
{
	if (!strstr(rig_words, says))
		fail_msg("\"%s\": not \"%s\"", rig_words, says);
	assert_int_equal(rig_count_lines(rig_words), 1);
}

static void expect_refusal(int error, const char *says)
{
	unsigned int descriptors = count_descriptors();

	assert_int_equal(try_start(), error);
	expect_line(says);
	assert_int_equal(count_descriptors(), descriptors);
	victim_end();
}

static void expect_start(void)
{
	assert_int_equal(try_start(), 0);
	assert_string_equal(rig_words, "");
	catmint_ops.stop(victim.libos);
	victim_end();
}

/* ---- Which device ---- */

static void name__that_no_device_has_is_refused(void **state)
{
	(void)state;
	victim_prepare("");
	strcpy(victim.config.catmint.device, "nosuch0");
	assert_int_equal(try_start(), -ENODEV);
	expect_line("there is no RDMA device \"nosuch0\", or this user may not open it; "
		    "ibv_devices lists");
	victim_end();
}

static void any__where_there_is_none_names_the_doctor(void **state)
{
	int error;

	(void)state;
	victim_prepare("");
	victim.config.catmint.device[0] = '\0';
	error = try_start();
	if (!error)
		catmint_ops.stop(victim.libos);
	victim_end();
	/* This machine has one. */
	if (error != -ENODEV || strstr(rig_words, "no port of"))
		skip();
	expect_line("there is no RDMA device, or this user may not open it; demi doctor says what "
		    "is missing");
}

static void port__that_is_down_is_refused(void **state)
{
	(void)state;
	victim_prepare(",down=1");
	expect_refusal(-ENODEV, "no port of sim_hostile is up; set its interface up");
	/* But whoever names it gets it. */
	victim_prepare(",down=1");
	victim.config.catmint.port = 1;
	expect_start();
}

static void port__that_is_not_there_is_refused(void **state)
{
	(void)state;
	victim_prepare("");
	victim.config.catmint.port = 2;
	expect_refusal(-ENODEV, "catmint.port: sim_hostile has no port 2");
}

static void gid__that_is_not_there_is_refused(void **state)
{
	(void)state;
	victim_prepare("");
	victim.config.catmint.gid_index = 1;
	expect_refusal(-EINVAL, "catmint.gid_index: port 1 of sim_hostile has no GID 1");
	/* In a table of a real one places that are not in use are zero. */
	victim_prepare(",ip=::");
	victim.config.catmint.gid_index = 1;
	expect_refusal(-EINVAL, "has no GID 1; ibv_devinfo -v lists them");
	victim_prepare(",ip=10.0.0.9");
	victim.config.catmint.gid_index = 1;
	expect_start();
}

/* Its address says nothing without an interface, which sockets of Catmint's do not have. */
static void gid__that_is_link_local_is_refused(void **state)
{
	(void)state;
	victim_prepare(",ip=fe80::1");
	victim.config.catmint.gid_index = 1;
	expect_refusal(-EINVAL, "catmint.gid_index: GID 1 of port 1 of sim_hostile is link-local");
}

static void words__that_are_wrong_are_refused(void **state)
{
	(void)state;
	victim_prepare(",colour=red");
	expect_refusal(-EINVAL, "\"colour=red\" is not understood");
}

/* ---- What the device and the system let it have ---- */

/* Wherever the limit is reached: one line, which names it. */
static void memory__that_may_not_be_locked_is_enomem(void **state)
{
	const uint64_t step = 128u << 10;
	unsigned int refusals = 0;
	char words[40];
	int error;

	(void)state;
	for (uint64_t bytes = 0;; bytes += step) {
		unsigned int descriptors = count_descriptors();

		snprintf(words, sizeof(words), ",memlock=%llu", (unsigned long long)bytes);
		victim_prepare(words);
		error = try_start();
		if (!error)
			break;
		assert_int_equal(error, -ENOMEM);
		expect_line("raise the limit of locked memory (ulimit -l unlimited");
		assert_int_equal(count_descriptors(), descriptors);
		victim_end();
		refusals++;
	}
	assert_string_equal(rig_words, "");
	catmint_ops.stop(victim.libos);
	victim_end();
	/* The words of counters, the heap, the requests. */
	assert_true(refusals >= 3);
}

static void heap__that_is_too_small_is_enomem(void **state)
{
	uint64_t before = rig_heap_bytes;

	(void)state;
	rig_heap_bytes = 4u << 20;
	victim_prepare("");
	victim.config.catmint.receive_bytes = 15 << 10;
	rig_heap_bytes = before;
	expect_refusal(-ENOMEM, "raise heap.max_bytes");
	assert_null(strstr(rig_words, "ulimit"));
}

static void queue__that_is_too_short_is_refused(void **state)
{
	(void)state;
	victim_prepare(",max_cqe=63");
	expect_refusal(-EINVAL, "sim_hostile cannot be set up: Invalid argument");
}

static void device__that_takes_one_piece_is_refused(void **state)
{
	(void)state;
	victim_prepare(",max_sge=1");
	expect_refusal(-ENODEV, "takes 1 piece of memory in a request, and it takes 2");
}

/* Who finds no memory asks again and again, and says so once. */
static void memory__that_grows_beyond_the_limit_is_said_once(void **state)
{
	static unsigned char foreign[4u << 20];
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{foreign, sizeof(foreign)}}};
	struct message_hello hello;
	struct queue *queue;
	struct raw peer;
	char words[40];
	struct op *op;

	(void)state;
	victim_start("");
	snprintf(words, sizeof(words), ",memlock=%llu",
		 (unsigned long long)sim_device_of(victim.mint->rdma)->registered + (1u << 20));
	victim_stop();
	victim_start(words);
	raw_open(&peer, 2);
	hello = raw_hello(&peer);
	assert_true(raw_connect_with(&peer, &hello));
	queue = victim_accept();
	rig_hear();
	for (int i = 0; i < 100; i++)
		assert_null(heap_alloc_io(victim.context.heap, 8u << 20));
	op = victim_issue(queue, DEMI_OPC_PUSH);
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), -ENOMEM);
	op_free(&victim.context.ops, op);
	rig_heard();
	expect_line("KiB of memory: Cannot allocate memory; raise the limit of locked memory");
	victim_close(queue);
	raw_close(&peer);
	victim_stop();
}

/* ---- What a device lacks ---- */

/* What it says with a first connection. */
static void listen_to(const char *words)
{
	struct message_hello hello;
	struct raw peer;

	log_set_level(CONFIG_LOG_INFO);
	rig_hear();
	victim_start(words);
	raw_open(&peer, 2);
	hello = raw_hello(&peer);
	assert_true(raw_connect_with(&peer, &hello));
	victim_close(victim_accept());
	raw_close(&peer);
	victim_stop();
	rig_heard();
	log_set_level(CONFIG_LOG_WARNING);
}

static void device__that_lacks_something_is_told_of(void **state)
{
	static const struct {
		const char *words, *says;
	} lacks[] = {
		{",max_srq=0", "sim_hostile has no shared receive queue"},
		{",max_inline=0", "sim_hostile copies nothing into requests"},
		{",max_sge=2", "sim_hostile takes 2 pieces of memory in a request"},
	};

	(void)state;
	listen_to("");
	assert_non_null(strstr(rig_words, "catmint over port 1 of sim_hostile"));
	for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++)
		assert_null(strstr(rig_words, lacks[i].says));
	for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
		listen_to(lacks[i].words);
		if (!strstr(rig_words, lacks[i].says))
			fail_msg("\"%s\": not \"%s\"", rig_words, lacks[i].says);
	}
}

/* ---- The address that sockets have ---- */

static void expect_address(uint32_t gid_index, unsigned int number)
{
	struct sockaddr_in there = rig_address(2, RIG_PORT), own;
	socklen_t length = sizeof(own);
	struct queue *queue;
	struct raw peer;
	struct op *op;

	victim_prepare(",ip=10.0.0.9");
	victim.config.catmint.gid_index = gid_index;
	assert_int_equal(try_start(), 0);
	victim.mint = catmint_of(victim.libos);
	raw_open(&peer, 2);
	raw_listen(&peer, 2);
	queue = victim_socket();
	op = victim_issue(queue, DEMI_OPC_CONNECT);
	assert_int_equal(queue->ops->connect(queue, op, (struct sockaddr *)&there, sizeof(there)),
			 0);
	assert_int_equal(raw_wait_event(&peer), RDMA_CM_EVENT_CONNECT_REQUEST);
	assert_int_equal(queue->ops->get_local_address(queue, (struct sockaddr *)&own, &length), 0);
	assert_int_equal(own.sin_addr.s_addr, rig_address(number, 0).sin_addr.s_addr);
	victim_close(queue);
	assert_int_equal(op->error, ECANCELED);
	victim_done(op);
	raw_close(&peer);
	catmint_ops.stop(victim.libos);
	victim_end();
}

static void gid__is_the_address_of_sockets_that_are_not_bound(void **state)
{
	(void)state;
	expect_address(255, 1);
	expect_address(0, 1);
	expect_address(1, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name__that_no_device_has_is_refused),
		cmocka_unit_test(any__where_there_is_none_names_the_doctor),
		cmocka_unit_test(port__that_is_down_is_refused),
		cmocka_unit_test(port__that_is_not_there_is_refused),
		cmocka_unit_test(gid__that_is_not_there_is_refused),
		cmocka_unit_test(gid__that_is_link_local_is_refused),
		cmocka_unit_test(words__that_are_wrong_are_refused),
		cmocka_unit_test(memory__that_may_not_be_locked_is_enomem),
		cmocka_unit_test(heap__that_is_too_small_is_enomem),
		cmocka_unit_test(queue__that_is_too_short_is_refused),
		cmocka_unit_test(device__that_takes_one_piece_is_refused),
		cmocka_unit_test(memory__that_grows_beyond_the_limit_is_said_once),
		cmocka_unit_test(device__that_lacks_something_is_told_of),
		cmocka_unit_test(gid__is_the_address_of_sockets_that_are_not_bound),
	};

	return cmocka_run_group_tests_name("libos/catmint/start", tests, NULL, NULL);
}
