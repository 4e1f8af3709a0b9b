/* SPDX-License-Identifier: MIT */
/* What all devices share: their buffers, and opening them by name. */
#include "netdev/netdev.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netdev/sim.h"

#define COUNT 10u

static struct heap *heap;
static struct netdev device;
static const struct netdev_ops no_ops = {.kind = "none"};

static int device_setup(void **state)
{
	(void)state;
	memset(&device, 0, sizeof(device));
	if (heap_create(&heap, &(struct heap_options){.bytes_max = (uint64_t)8 << 20}))
		return -1;
	return netdev_init(&device, &no_ops, heap, 2048, 64, COUNT, 64, 192);
}

static int device_teardown(void **state)
{
	(void)state;
	assert_int_equal(heap_frames_free(device.frames), COUNT);
	assert_int_equal(heap_frames_free(device.shells), COUNT);
	netdev_fini(&device);
	assert_true(heap_is_empty(heap));
	heap_destroy(heap);
	return 0;
}

static void netdev_init__too_many_frames(void **state)
{
	struct netdev other = {.name = "other"};

	(void)state;
	assert_int_equal(netdev_init(&other, &no_ops, heap, 2048, 64, 100000, 64, 192), -ENOMEM);
	assert_null(other.frames);
	assert_null(other.shells);
	/* The frames fit, the shells do not: nothing stays behind. */
	assert_int_equal(netdev_init(&other, &no_ops, heap, 64, 2048, 8000, 64, 192), -ENOMEM);
	assert_int_equal(netdev_init(&other, &no_ops, heap, 64, 64, 8000, 64, 192), 0);
	netdev_fini(&other);
}

static void netdev_alloc__gives_an_empty_frame_with_head_room(void **state)
{
	struct buf *bufs[COUNT];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < COUNT; i++) {
			struct buf *buf = netdev_alloc(&device);

			assert_non_null(buf);
			assert_ptr_equal(buf->data, (unsigned char *)buf + 192);
			assert_int_equal(buf->length, 0);
			assert_int_equal(buf->flags, 0);
			assert_null(buf->next);
			assert_null(buf->object);
			assert_int_equal(buf->capacity, 2048 - 64);
			/* As a stack leaves it. */
			buf_prepend(buf, 40)[0] = 1;
			buf->flags = BUF_CHECKED;
			buf->next = buf;
			bufs[i] = buf;
		}
		assert_null(netdev_alloc(&device));
		for (uint32_t i = 0; i < COUNT; i++)
			netdev_release(&device, bufs[i]);
	}
}

static void buf_prepend__and_buf_pull_move_the_start(void **state)
{
	struct buf *buf = netdev_alloc(&device);
	unsigned char *data = buf->data;

	(void)state;
	buf->length = 100;
	assert_ptr_equal(buf_prepend(buf, NETDEV_HEAD_ROOM), data - 128);
	assert_true(buf->data >= (unsigned char *)buf + device.room_offset);
	assert_int_equal(buf->length, 228);
	buf_pull(buf, 128 + 100);
	assert_ptr_equal(buf->data, data + 100);
	assert_int_equal(buf->length, 0);
	netdev_release(&device, buf);
}

static int told;

static void tell(struct buf_done *done)
{
	(void)done;
	told++;
}

static void netdev_reference__holds_the_object_until_the_release(void **state)
{
	unsigned char *object = heap_alloc(heap, 5000);
	struct buf_done done = {.done = tell};
	struct buf *shell = netdev_reference(&device, object + 1000, 3000);

	(void)state;
	told = 0;
	assert_ptr_equal(shell->data, object + 1000);
	assert_int_equal(shell->length, 3000);
	assert_int_equal(shell->capacity, 0);
	assert_int_equal(heap_frames_free(device.shells), COUNT - 1);
	shell->flags = BUF_DONE;
	shell->transmit.done = &done;
	assert_int_equal(heap_free(heap, object), 0);
	assert_ptr_equal(heap_object(heap, object), object);
	netdev_release(&device, shell);
	assert_int_equal(told, 1);
	assert_null(heap_object(heap, object));
	/* The next user of the shell sees nothing of it. */
	object = heap_alloc(heap, 10);
	shell = netdev_reference(&device, object, 10);
	assert_int_equal(shell->flags, 0);
	netdev_release(&device, shell);
	assert_int_equal(told, 1);
	assert_int_equal(heap_free(heap, object), 0);
}

static void netdev_reference__null_when_all_shells_are_in_use(void **state)
{
	struct buf *shells[COUNT];
	void *object = heap_alloc(heap, 10);

	(void)state;
	for (uint32_t i = 0; i < COUNT; i++)
		shells[i] = netdev_reference(&device, object, 10);
	assert_null(netdev_reference(&device, object, 10));
	assert_int_equal(heap_free(heap, object), 0);
	for (uint32_t i = 0; i < COUNT; i++) {
		assert_ptr_equal(heap_object(heap, object), object);
		netdev_release(&device, shells[i]);
	}
	assert_null(heap_object(heap, object));
}

static void netdev_release_chain__lets_go_of_all(void **state)
{
	void *object = heap_alloc(heap, 100);
	struct buf *head = netdev_alloc(&device), *last = netdev_alloc(&device);

	(void)state;
	head->length = 14;
	last->length = 5;
	head->next = netdev_reference(&device, object, 100);
	head->next->next = last;
	assert_int_equal(buf_chain_length(head), 119);
	assert_int_equal(buf_chain_length(NULL), 0);
	/* The last is held by somebody else too. */
	heap_hold(heap, last);
	netdev_release_chain(&device, head);
	netdev_release_chain(&device, NULL);
	assert_int_equal(heap_frames_free(device.frames), COUNT - 1);
	netdev_release(&device, last);
	assert_int_equal(heap_free(heap, object), 0);
}

/* A received frame that the application frees when the device has gone. */
static void netdev_fini__leaves_what_the_application_has(void **state)
{
	struct netdev other = {.name = "other"};
	struct buf *buf;

	(void)state;
	assert_int_equal(netdev_init(&other, &no_ops, heap, 2048, 64, 4, 64, 192), 0);
	buf = netdev_alloc(&other);
	frame_give(heap, buf);
	netdev_fini(&other);
	memset(buf->data, 1, 1500);
	assert_int_equal(buf_free(heap, buf), 0);
	assert_int_equal(buf_free(heap, buf), -EINVAL);
}

static void netdev_open__finds_the_kind_by_name(void **state)
{
	static const char *const unknown[] = {"",        ":",    "eth0", "lo",   "loopy",
					      "loop1:x", "sim2", "Sim",  " sim", "si:m"};
	struct config config = {.net.frames = 8};
	struct eth_address mac = {{2, 1, 2, 3, 4, 5}};
	struct netdev_options options = {.heap = heap, .config = &config, .mac = mac};
	struct netdev *opened = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(netdev_open(&opened, unknown[i], &options), -ENOTSUP);
	assert_null(opened);
	assert_int_equal(netdev_open(&opened, "sim:x", &options), 0);
	assert_string_equal(opened->ops->kind, "sim");
	assert_true(eth_address_equal(&opened->caps.mac, &mac));
	netdev_close(opened);
	assert_int_equal(netdev_open(&opened, "loop", &options), 0);
	assert_string_equal(opened->ops->kind, "loop");
	assert_true(eth_address_equal(&opened->caps.mac, &mac));
	netdev_close(opened);
	netdev_close(NULL);
}

static void netdev_kinds__lists_them(void **state)
{
	const char *kinds = netdev_kinds();

	(void)state;
	assert_non_null(strstr(kinds, "tap, "));
	assert_non_null(strstr(kinds, "sim"));
	assert_int_not_equal(kinds[strlen(kinds) - 1], ' ');
	assert_int_not_equal(kinds[strlen(kinds) - 1], ',');
	assert_string_equal(netdev_kinds(), kinds);
}

#define netdev_test(function) \
	cmocka_unit_test_setup_teardown(function, device_setup, device_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		netdev_test(netdev_init__too_many_frames),
		netdev_test(netdev_alloc__gives_an_empty_frame_with_head_room),
		netdev_test(buf_prepend__and_buf_pull_move_the_start),
		netdev_test(netdev_reference__holds_the_object_until_the_release),
		netdev_test(netdev_reference__null_when_all_shells_are_in_use),
		netdev_test(netdev_release_chain__lets_go_of_all),
		netdev_test(netdev_fini__leaves_what_the_application_has),
		netdev_test(netdev_open__finds_the_kind_by_name),
		netdev_test(netdev_kinds__lists_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
