/* SPDX-License-Identifier: MIT */
/* The connection manager of the provider "sim": addresses, ports, and the way to others. */
#include "rdma/sim_testing.h"

static struct sockaddr *v6(const char *address, uint16_t port)
{
	static struct sockaddr_in6 place;

	place = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
	assert_int_equal(inet_pton(AF_INET6, address, &place.sin6_addr), 1);
	return (struct sockaddr *)&place;
}

/* ---- Addresses ---- */

/* Binds a further id; the error, and the id is gone. */
static int try_bind(struct sockaddr *address, enum rdma_port_space space, bool reuses)
{
	struct rdma_cm_id *id = make_id(&a, space);
	int on = reuses, error;

	assert_int_equal(
		a.ops->set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &on, sizeof(on)),
		0);
	error = a.ops->bind_addr(id, address) ? errno : 0;
	destroy_id(&a, id);
	return error;
}

static void bind__takes_an_address_once(void **state)
{
	struct rdma_cm_id *id;
	int on = 1;

	(void)state;
	start("");
	id = make_id(&a, RDMA_PS_TCP);
	assert_null(id->verbs);
	assert_ptr_equal(id->context, &a);
	assert_ptr_equal(id->channel, a.channel);
	assert_int_equal(
		a.ops->set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &on, sizeof(on)),
		0);
	assert_int_equal(a.ops->bind_addr(id, v4("10.0.0.1", PORT)), 0);
	assert_ptr_equal(id->verbs, a.context);
	assert_int_equal(id->port_num, 1);
	assert_int_equal(port_of(&id->route.addr.src_addr), PORT);
	assert_int_equal(try_bind(v4("10.0.0.1", PORT), RDMA_PS_TCP, false), EADDRINUSE);
	assert_int_equal(try_bind(v4("10.0.0.1", PORT), RDMA_PS_TCP, true), 0);
	assert_int_equal(try_bind(v4("0.0.0.0", PORT), RDMA_PS_TCP, false), EADDRNOTAVAIL);
	assert_int_equal(try_bind(v4("10.0.0.1", PORT), RDMA_PS_UDP, false), 0);
	assert_int_equal(try_bind(v4("10.0.0.1", PORT + 1), RDMA_PS_TCP, false), 0);
	assert_int_equal(try_bind(v4("10.0.0.1", PORT + 256), RDMA_PS_TCP, false), 0);
	assert_int_equal(try_bind(v6("fd00::1", PORT), RDMA_PS_TCP, false), 0);
	assert_int_equal(try_bind(v4("10.0.0.2", PORT), RDMA_PS_TCP, false), EADDRNOTAVAIL);
	destroy_id(&a, id);
	assert_int_equal(try_bind(v4("10.0.0.1", PORT), RDMA_PS_TCP, false), 0);
	end();
}

static void bind__chooses_ports(void **state)
{
	struct rdma_cm_id *first, *second;

	(void)state;
	start("");
	first = make_id(&a, RDMA_PS_TCP);
	second = make_id(&a, RDMA_PS_TCP);
	assert_int_equal(a.ops->bind_addr(first, v4("0.0.0.0", 0)), 0);
	assert_null(first->verbs); /* which device is not known yet */
	assert_int_equal(a.ops->bind_addr(second, v4("10.0.0.1", 0)), 0);
	assert_true(port_of(&first->route.addr.src_addr) >= 1024);
	assert_int_not_equal(port_of(&first->route.addr.src_addr),
			     port_of(&second->route.addr.src_addr));
	assert_int_equal(a.ops->bind_addr(second, v4("10.0.0.1", 0)), -1);
	assert_int_equal(errno, EINVAL);
	destroy_id(&a, first);
	destroy_id(&a, second);
	end();
}

static void family__may_be_kept_apart(void **state)
{
	struct rdma_cm_id *id;
	int on = 1;

	(void)state;
	start("");
	id = make_id(&a, RDMA_PS_TCP);
	assert_int_equal(a.ops->bind_addr(id, v6("::", PORT)), 0);
	assert_int_equal(try_bind(v4("0.0.0.0", PORT), RDMA_PS_TCP, false), EADDRNOTAVAIL);
	assert_int_equal(
		a.ops->set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_AFONLY, &on, sizeof(on)), 0);
	assert_int_equal(try_bind(v4("0.0.0.0", PORT), RDMA_PS_TCP, false), 0);
	destroy_id(&a, id);
	end();
}

static void option__that_is_not_known_is_refused(void **state)
{
	struct rdma_cm_id *id;
	int value = 1;

	(void)state;
	start("");
	id = make_id(&a, RDMA_PS_TCP);
	assert_int_equal(a.ops->set_option(id, RDMA_OPTION_IB, 1, &value, sizeof(value)), -1);
	assert_int_equal(errno, ENOSYS);
	assert_int_equal(a.ops->set_option(id, RDMA_OPTION_ID, 99, &value, sizeof(value)), -1);
	assert_int_equal(errno, ENOSYS);
	assert_int_equal(a.ops->set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &value, 1),
			 -1);
	assert_int_equal(errno, EINVAL);
	destroy_id(&a, id);
	end();
}

/* ---- Resolution ---- */

static void address__is_resolved_after_a_round_trip(void **state)
{
	struct rdma_cm_id *id;

	(void)state;
	start("delay_ns=1000");
	id = make_id(&a, RDMA_PS_TCP);
	assert_int_equal(a.ops->resolve_addr(id, NULL, v6("fd00::2", PORT), 1000), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ADDR_RESOLVED), 0);
	assert_int_equal(now_ns, 2000);
	assert_ptr_equal(id->verbs, a.context);
	assert_memory_equal(&id->route.addr.src_sin6.sin6_addr,
			    &((struct sockaddr_in6 *)(void *)v6("fd00::1", 0))->sin6_addr, 16);
	assert_int_equal(port_of(&id->route.addr.dst_addr), PORT);
	assert_true(port_of(&id->route.addr.src_addr) >= 1024);
	assert_int_equal(a.ops->connect(id, NULL), -1);
	assert_int_equal(errno, EINVAL);
	destroy_id(&a, id);
	end();
}

static void address__that_nobody_has_is_an_error_after_the_timeout(void **state)
{
	struct rdma_cm_id *id;

	(void)state;
	start("");
	id = make_id(&a, RDMA_PS_TCP);
	assert_int_equal(a.ops->resolve_addr(id, NULL, v4("10.0.0.9", PORT), 3), 0);
	expect_no_event(&a);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ADDR_ERROR), -ETIMEDOUT);
	assert_int_equal(now_ns, 3 * MS);
	/* It may be tried again. */
	assert_int_equal(a.ops->resolve_addr(id, NULL, v4("10.0.0.2", PORT), 3), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ADDR_RESOLVED), 0);
	destroy_id(&a, id);
	end();
}

static void address__needs_one_of_its_family(void **state)
{
	struct node v4_only;
	struct rdma_cm_id *id;

	(void)state;
	node_open(&v4_only, "sim:other,ip=10.0.0.1");
	id = make_id(&v4_only, RDMA_PS_TCP);
	assert_int_equal(v4_only.ops->resolve_addr(id, NULL, v6("fd00::2", PORT), 3), -1);
	assert_int_equal(errno, ENETUNREACH);
	destroy_id(&v4_only, id);
	node_close(&v4_only);
}

static void address__from_a_source_that_is_given(void **state)
{
	struct rdma_cm_id *id;

	(void)state;
	start("");
	id = make_id(&a, RDMA_PS_TCP);
	assert_int_equal(a.ops->resolve_addr(id, v4("10.0.0.2", 0), v4("10.0.0.2", PORT), 1000),
			 -1);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_int_equal(a.ops->resolve_addr(id, v4("10.0.0.1", 5000), v4("10.0.0.2", PORT), 1000),
			 0);
	assert_int_equal(port_of(&id->route.addr.src_addr), 5000);
	destroy_id(&a, id);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bind__takes_an_address_once),
		cmocka_unit_test(bind__chooses_ports),
		cmocka_unit_test(family__may_be_kept_apart),
		cmocka_unit_test(option__that_is_not_known_is_refused),
		cmocka_unit_test(address__is_resolved_after_a_round_trip),
		cmocka_unit_test(address__that_nobody_has_is_an_error_after_the_timeout),
		cmocka_unit_test(address__needs_one_of_its_family),
		cmocka_unit_test(address__from_a_source_that_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
