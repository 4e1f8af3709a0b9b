/* SPDX-License-Identifier: MIT */
/*
 * Datagrams of one runtime that is alone on its link: to itself, and to a host that does not answer,
 * so that pushes stay pending.
 */
#include "catnip.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <signal.h>
#include <sys/mman.h>

static void exchange(const char *first, const char *second, size_t size, unsigned int seed)
{
	struct address here, there;
	int a = datagram_bound(first, &here), b = datagram_bound(second, &there);

	datagram_send(a, &there, size, seed);
	datagram_expect(b, size, seed, &here);
	datagram_send(b, &here, size, seed + 1);
	datagram_expect(a, size, seed + 1, &there);
	check_call(demi_close(a), 0);
	check_call(demi_close(b), 0);
}

static void datagram__loopback_addresses_need_no_configuration(void **state)
{
	(void)state;
	exchange("127.0.0.1", "127.0.0.1", 100, 1);
	exchange("127.0.0.1", "127.200.3.4", 100, 2);
	exchange("::1", "::1", 100, 3);
}

static void datagram__own_addresses_reach_each_other(void **state)
{
	(void)state;
	exchange(OUR_IPV4, OUR_IPV4, 100, 1);
	exchange(OUR_IPV6, OUR_IPV6, 100, 2);
	exchange(OUR_IPV4, "127.0.0.1", 100, 3);
}

static void datagram__every_size_around_the_limits(void **state)
{
	static const size_t sizes[] = {1,    2,    63,   64,   1023, 1024,  1025,  1452, 1453,
				       1472, 1473, 1999, 2048, 4096, 20000, 65506, 65507};

	(void)state;
	for (unsigned int i = 0; i < COUNT_OF(sizes); i++) {
		exchange("127.0.0.1", OUR_IPV4, sizes[i], i);
		exchange("::1", OUR_IPV6, sizes[i], i);
	}
}

/* RFC 8200, 3: the length of IPv6 is without its header. */
static void datagram__over_ipv6_it_may_be_longer_than_over_ipv4(void **state)
{
	struct address v4, v6, mapped;
	int a = datagram_bound("::", &v6);
	demi_sgarray_t sga;
	demi_qtoken_t qt = 0;

	(void)state;
	for (size_t size = 65508; size <= 65527; size++)
		exchange("::1", OUR_IPV6, size, (unsigned int)size);
	v4 = address_of(OUR_IPV4, 7);
	mapped = address_of("::ffff:" OUR_IPV4, 7);
	v6 = address_of(OUR_IPV6, 7);
	sga = sga_pattern(65528, 1, 0);
	check_call(outcome(demi_pushto(&qt, a, &sga, &v6.any, v6.size), qt), EMSGSIZE);
	check_call(demi_sgafree(&sga), 0);
	sga = sga_pattern(65508, 1, 0);
	check_call(outcome(demi_pushto(&qt, a, &sga, &mapped.any, mapped.size), qt), EMSGSIZE);
	a = datagram_bound(OUR_IPV4, &mapped);
	check_call(outcome(demi_pushto(&qt, a, &sga, &v4.any, v4.size), qt), EMSGSIZE);
	check_call(demi_sgafree(&sga), 0);
}

static void datagram__dual_stack_socket_hears_ipv4(void **state)
{
	struct address here, mapped, there, wildcard;
	int a = datagram_bound("127.0.0.1", &here), b = datagram_bound("::", &wildcard);

	(void)state;
	there = address_of("127.0.0.1", ntohs(address_port(&wildcard)));
	mapped = address_of("::ffff:127.0.0.1", ntohs(address_port(&here)));
	datagram_send(a, &there, 10, 1);
	datagram_expect(b, 10, 1, &mapped);
	datagram_send(b, &mapped, 10, 2);
	datagram_expect(a, 10, 2, &there);
}

static void datagram__v6_only_socket_does_not(void **state)
{
	struct address here, there, any = address_of("::", 0);
	int a = datagram_bound("127.0.0.1", &here), b = -1, on = 1;
	demi_qtoken_t popping, qt = 0;
	demi_sgarray_t sga = sga_pattern(10, 1, 0);

	(void)state;
	check_call(demi_socket(&b, AF_INET6, SOCK_DGRAM, 0), 0);
	check_call(demi_setsockopt(b, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
	check_call(demi_bind(b, &any.any, any.size), 0);
	check_call(demi_setsockopt(b, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), EINVAL);
	socket_name(b, &any);
	there = address_of("127.0.0.1", ntohs(address_port(&any)));
	popping = pop(b);
	datagram_send(a, &there, 10, 1);
	check_pending(popping);
	there = address_of("::ffff:127.0.0.1", ntohs(address_port(&here)));
	check_call(outcome(demi_pushto(&qt, b, &sga, &there.any, there.size), qt), ENETUNREACH);
	check_call(demi_sgafree(&sga), 0);
}

static void datagram__unspecified_destination_is_ourselves(void **state)
{
	struct address here, there, wildcard;
	int a = datagram_bound("127.0.0.1", &here), b = datagram_bound("0.0.0.0", &wildcard);

	(void)state;
	there = address_of("0.0.0.0", ntohs(address_port(&wildcard)));
	datagram_send(a, &there, 10, 1);
	datagram_expect(b, 10, 1, &here);
}

static void datagram__port_0_is_nowhere(void **state)
{
	struct address here, nowhere = address_of("127.0.0.1", 0);
	int a = datagram_bound("127.0.0.1", &here);
	demi_sgarray_t sga = sga_pattern(10, 1, 0);
	demi_qtoken_t qt = 0;

	(void)state;
	check_call(outcome(demi_pushto(&qt, a, &sga, &nowhere.any, nowhere.size), qt), EINVAL);
	check_call(outcome(demi_connect(&qt, a, &nowhere.any, nowhere.size), qt), EINVAL);
	check_call(demi_push(&qt, a, &sga), EDESTADDRREQ);
	check_call(demi_sgafree(&sga), 0);
}

static void datagram__no_route_is_enetunreach(void **state)
{
	struct address here, far = address_of("203.0.113.7", 7);
	int a = datagram_bound(OUR_IPV4, &here);
	demi_sgarray_t sga = sga_pattern(10, 1, 0);
	demi_qtoken_t qt = 0;

	(void)state;
	check_call(outcome(demi_pushto(&qt, a, &sga, &far.any, far.size), qt), ENETUNREACH);
	check_call(outcome(demi_connect(&qt, a, &far.any, far.size), qt), ENETUNREACH);
	check_call(demi_sgafree(&sga), 0);
}

static void datagram__foreign_memory_that_is_not_there_is_efault(void **state)
{
	struct address here, there;
	int a = datagram_bound("127.0.0.1", &here), b = datagram_bound("127.0.0.1", &there);
	size_t page = 4096;
	uint8_t *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
	demi_sgarray_t sga = sga_of(memory + 100, 2 * page);
	demi_qtoken_t qt = 0;

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	pattern_fill(memory + 100, 2 * page, 1, 0);
	check_call(demi_pushto(&qt, a, &sga, &there.any, there.size), 0);
	await_opcode(qt, DEMI_OPC_PUSH);
	datagram_expect(b, 2 * page, 1, &here);
	assert_int_equal(munmap(memory + 2 * page, page), 0);
	check_call(outcome(demi_pushto(&qt, a, &sga, &there.any, there.size), qt), EFAULT);
	sga.sga_segs[0].sgaseg_len = (uint32_t)(2 * page - 100);
	check_call(demi_pushto(&qt, a, &sga, &there.any, there.size), 0);
	await_opcode(qt, DEMI_OPC_PUSH);
	datagram_expect(b, 2 * page - 100, 1, &here);
	assert_int_equal(munmap(memory, 2 * page), 0);
}

static void datagram__sockets_hear_their_own(void **state)
{
	enum { COUNT = 200 };
	struct address here, there[COUNT];
	int a = datagram_bound("127.0.0.1", &here), qds[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++)
		qds[i] = datagram_bound(i % 2 ? "127.0.0.1" : OUR_IPV4, &there[i]);
	for (unsigned int i = 0; i < COUNT; i++)
		datagram_send(a, &there[COUNT - 1 - i], 100 + i, i);
	for (unsigned int i = 0; i < COUNT; i++)
		datagram_expect(qds[COUNT - 1 - i], 100 + i, i, &here);
}

/* --- pushes that wait: nobody answers the question for the neighbour's address --- */

static void datagram__small_push_does_not_wait_for_a_neighbour(void **state)
{
	struct address here, silent = address_of(SILENT_IPV4, 7);
	int a = datagram_bound(OUR_IPV4, &here);

	(void)state;
	datagram_send(a, &silent, 10, 1);
}

static void datagram__push_by_reference_is_pending_and_cannot_be_cancelled(void **state)
{
	struct address here, silent = address_of(SILENT_IPV4, 7);
	int a = datagram_bound(OUR_IPV4, &here);
	demi_qtoken_t qt = datagram_push(a, &silent, LARGE_BYTES, 1);

	(void)state;
	check_pending(qt);
	check_call(demi_cancel(qt), EBUSY);
	/* The neighbour is given up after a while, and the memory with it. */
	await_opcode(qt, DEMI_OPC_PUSH);
}

static void datagram__close_cancels_pending_pushes(void **state)
{
	struct address here, silent = address_of(SILENT_IPV4, 7);
	int a = datagram_bound(OUR_IPV4, &here);
	demi_qtoken_t pushes[3], popping = pop(a);

	(void)state;
	for (unsigned int i = 0; i < COUNT_OF(pushes); i++)
		pushes[i] = datagram_push(a, &silent, LARGE_BYTES, i);
	check_pending(pushes[0]);
	check_call(demi_close(a), 0);
	for (size_t i = 0; i < COUNT_OF(pushes); i++)
		await_error(pushes[i], ECANCELED);
	await_error(popping, ECANCELED);
	/* The port is free again. */
	check_call(demi_socket(&a, AF_INET, SOCK_DGRAM, 0), 0);
	check_call(demi_bind(a, &here.any, here.size), 0);
}

static void datagram__aclose_waits_for_pending_pushes(void **state)
{
	struct address here, silent = address_of(SILENT_IPV4, 7);
	int a = datagram_bound(OUR_IPV4, &here);
	demi_qtoken_t pushing = datagram_push(a, &silent, LARGE_BYTES, 1), closing = 0;

	(void)state;
	check_call(demi_aclose(&closing, a), 0);
	check_pending(closing);
	await_opcode(pushing, DEMI_OPC_PUSH);
	await_opcode(closing, DEMI_OPC_CLOSE);
}

static void datagram__aclose_can_be_cancelled(void **state)
{
	struct address here, silent = address_of(SILENT_IPV4, 7);
	int a = datagram_bound(OUR_IPV4, &here);
	demi_qtoken_t pushing = datagram_push(a, &silent, LARGE_BYTES, 1), closing = 0;

	(void)state;
	check_call(demi_aclose(&closing, a), 0);
	check_call(demi_cancel(closing), 0);
	await_error(closing, ECANCELED);
	await_error(pushing, ECANCELED);
}

static void datagram__runtime_ends_with_pushes_and_closes_pending(void **state)
{
	struct address here, silent = address_of(SILENT_IPV4, 7);
	int a = datagram_bound(OUR_IPV4, &here), b = datagram_bound(OUR_IPV4, &here);
	demi_qtoken_t closing = 0;

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		datagram_push(a, &silent, LARGE_BYTES, i);
		datagram_push(b, &silent, LARGE_BYTES, i);
	}
	check_call(demi_aclose(&closing, b), 0);
	/* teardown ends it */
}

static void write_to_pending(void *argument)
{
	struct address here, silent = address_of(SILENT_IPV4, 7);
	demi_qtoken_t qt = 0;
	demi_sgarray_t sga;
	int a;

	(void)argument;
	option_set("DEMI_HEAP_PROTECT", "on");
	check_call(demi_init(NULL), 0);
	a = datagram_bound(OUR_IPV4, &here);
	sga = sga_pattern(LARGE_BYTES, 1, 0);
	check_call(demi_pushto(&qt, a, &sga, &silent.any, silent.size), 0);
	check_pending(qt);
	((volatile uint8_t *)sga.sga_segs[0].sgaseg_buf)[7] = 1;
	await(qt);
}

static void datagram__write_to_a_pending_push_is_caught(void **state)
{
	static struct child child;

	(void)state;
	child_run(&child, write_to_pending, NULL);
	child_check_death(&child, SIGSEGV, SIGABRT);
	child_check_says(&child, "which an operation holds");
}

/* --- groups --- */

static void group_exchange(const char *text, const char *ours, int level, int join, int leave,
			   const void *request, socklen_t size)
{
	struct address here, wildcard, group;
	int a = datagram_bound(ours, &here);
	int b = datagram_bound(strchr(text, ':') ? "::" : "0.0.0.0", &wildcard);
	demi_qtoken_t popping;
	demi_qresult_t qr;

	group = address_of(text, ntohs(address_port(&wildcard)));
	popping = pop(b);
	datagram_send(a, &group, 10, 1);
	check_pending(popping);
	check_call(demi_setsockopt(b, level, leave, request, size), EADDRNOTAVAIL);
	check_call(demi_setsockopt(b, level, join, request, size), 0);
	check_call(demi_setsockopt(b, level, join, request, size), EADDRINUSE);
	datagram_send(a, &group, 20, 2);
	qr = await_opcode(popping, DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 2, 0), 20);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	check_call(demi_setsockopt(b, level, leave, request, size), 0);
	popping = pop(b);
	datagram_send(a, &group, 30, 3);
	check_pending(popping);
}

static void datagram__groups_are_heard_while_joined(void **state)
{
	struct ip_mreq ipv4 = {.imr_interface.s_addr = INADDR_ANY};
	struct ip_mreqn ipv4_long;
	struct ipv6_mreq ipv6 = {.ipv6mr_interface = 0};

	(void)state;
	memset(&ipv4_long, 0, sizeof(ipv4_long));
	inet_pton(AF_INET, "239.1.2.3", &ipv4.imr_multiaddr);
	ipv4_long.imr_multiaddr = ipv4.imr_multiaddr;
	inet_pton(AF_INET6, "ff12::1234", &ipv6.ipv6mr_multiaddr);
	group_exchange("239.1.2.3", OUR_IPV4, IPPROTO_IP, IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP,
		       &ipv4, sizeof(ipv4));
	group_exchange("239.1.2.3", OUR_IPV4, IPPROTO_IP, IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP,
		       &ipv4_long, sizeof(ipv4_long));
	group_exchange("ff12::1234", OUR_IPV6, IPPROTO_IPV6, IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP,
		       &ipv6, sizeof(ipv6));
}

static void datagram__group_that_is_none_is_refused(void **state)
{
	struct ip_mreq request = {.imr_interface.s_addr = INADDR_ANY};
	struct ipv6_mreq request_6 = {.ipv6mr_interface = 0};
	struct address here;
	int a = datagram_bound("0.0.0.0", &here), b = datagram_bound("::", &here);

	(void)state;
	inet_pton(AF_INET, OUR_IPV4, &request.imr_multiaddr);
	check_call(demi_setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)),
		   EINVAL);
	inet_pton(AF_INET, "239.1.2.3", &request.imr_multiaddr);
	check_call(demi_setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request) - 1),
		   EINVAL);
	inet_pton(AF_INET, "10.0.0.2", &request.imr_interface);
	check_call(demi_setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)),
		   ENODEV);
	inet_pton(AF_INET6, "::ffff:239.1.2.3", &request_6.ipv6mr_multiaddr);
	check_call(demi_setsockopt(b, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request_6, sizeof(request_6)),
		   EINVAL);
	check_call(demi_setsockopt(a, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request_6, sizeof(request_6)),
		   ENOPROTOOPT);
}

/* --- to groups: the kernel's sockets are asked the same, and say the same --- */

/* A socket of ours and one of the kernel's, with one address each in place of OURS. */
struct twins {
	int qd, fd;
	bool is_v6;
};

static struct twins twins_open(bool is_v6)
{
	struct twins twins = {.qd = -1, .is_v6 = is_v6};

	check_call(demi_socket(&twins.qd, is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0), 0);
	twins.fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
	assert_true(twins.fd >= 0);
	return twins;
}

static void twins_close(struct twins twins)
{
	check_call(demi_close(twins.qd), 0);
	close(twins.fd);
}

/* What is read, with room for so many bytes. */
static void twins_read(struct twins twins, int level, int name, socklen_t room)
{
	unsigned char ours[8] = {0}, theirs[8] = {0};
	socklen_t our_size = room, their_size = room;
	int error = demi_getsockopt(twins.qd, level, name, ours, &our_size);

	if (getsockopt(twins.fd, level, name, theirs, &their_size) < 0) {
		check_call(error, errno);
		return;
	}
	check_call(error, 0);
	assert_int_equal(our_size, their_size);
	assert_memory_equal(ours, theirs, sizeof(ours));
}

static void twins_write(struct twins twins, int level, int name, const void *value, socklen_t size)
{
	int error = setsockopt(twins.fd, level, name, value, size) < 0 ? errno : 0;

	check_call(demi_setsockopt(twins.qd, level, name, value, size), error);
}

static void datagram__group_options_are_those_of_the_kernel(void **state)
{
	static const struct {
		int level, name;
	} options[] = {
		{IPPROTO_IP, IP_MULTICAST_TTL},
		{IPPROTO_IP, IP_MULTICAST_LOOP},
		{IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
		{IPPROTO_IPV6, IPV6_MULTICAST_LOOP},
	};
	static const int values[] = {-2, -1, 0, 1, 2, 255, 256};

	(void)state;
	for (unsigned int i = 0; i < 2 * COUNT_OF(options); i++) {
		int level = options[i / 2].level, name = options[i / 2].name;
		struct twins twins = twins_open(i % 2 || level == IPPROTO_IPV6);
		unsigned int count = twins.is_v6 ? COUNT_OF(options) : 2;

		twins_read(twins, level, name, sizeof(int));
		for (unsigned int j = 0; j < COUNT_OF(values); j++) {
			twins_write(twins, level, name, &values[j], sizeof(int));
			for (unsigned int k = 0; k < count; k++)
				twins_read(twins, options[k].level, options[k].name, sizeof(int));
			if (level == IPPROTO_IP)
				twins_read(twins, level, name, 1);
			twins_write(twins, level, name, &values[j], 1);
			twins_read(twins, level, name, sizeof(int));
		}
		twins_write(twins, level, name, &values[3], 0);
		twins_close(twins);
	}
}

/* An index of the kernel's: the device of these tests has none. */
static void datagram__interface_for_ipv4_groups(void **state)
{
	struct ip_mreqn request = {0};
	struct twins twins = twins_open(false);
	struct in_addr ours, read;
	socklen_t size = sizeof(read);
	int a = twins.qd;

	(void)state;
	inet_pton(AF_INET, OUR_IPV4, &ours);
	twins_read(twins, IPPROTO_IP, IP_MULTICAST_IF, sizeof(read));
	check_call(demi_setsockopt(a, IPPROTO_IP, IP_MULTICAST_IF, &ours, sizeof(ours)), 0);
	check_call(demi_getsockopt(a, IPPROTO_IP, IP_MULTICAST_IF, &read, &size), 0);
	assert_int_equal(size, sizeof(read));
	assert_int_equal(read.s_addr, ours.s_addr);
	/* What nobody has is refused, and changes nothing. */
	inet_pton(AF_INET, SILENT_IPV4, &request.imr_address);
	twins_write(twins, IPPROTO_IP, IP_MULTICAST_IF, &request.imr_address, 4);
	twins_write(twins, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(struct ip_mreq));
	request.imr_address.s_addr = INADDR_ANY;
	request.imr_ifindex = 1 << 20;
	twins_write(twins, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request));
	request.imr_ifindex = -1;
	twins_write(twins, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request));
	twins_write(twins, IPPROTO_IP, IP_MULTICAST_IF, &request, 3);
	check_call(demi_getsockopt(a, IPPROTO_IP, IP_MULTICAST_IF, &read, &size), 0);
	assert_int_equal(read.s_addr, ours.s_addr);
	/* Left open again; the index does not count in the shorter one. */
	twins_write(twins, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(struct ip_mreq));
	twins_read(twins, IPPROTO_IP, IP_MULTICAST_IF, sizeof(read));
	request.imr_ifindex = 0;
	twins_write(twins, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request));
	twins_close(twins);
}

static void datagram__interface_for_ipv6_groups(void **state)
{
	struct twins twins = twins_open(true), four = twins_open(false);
	int index = 0, unknown = 1 << 20;
	struct in_addr any = {INADDR_ANY};

	(void)state;
	twins_read(twins, IPPROTO_IPV6, IPV6_MULTICAST_IF, sizeof(index));
	twins_write(twins, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index));
	twins_read(twins, IPPROTO_IPV6, IPV6_MULTICAST_IF, sizeof(index));
	twins_write(twins, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, 3);
	twins_write(four, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index));
	twins_write(twins, IPPROTO_IP, IP_MULTICAST_IF, &any, sizeof(any));
	check_call(demi_setsockopt(twins.qd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &unknown,
				   sizeof(unknown)),
		   ENODEV);
	twins_read(twins, IPPROTO_IPV6, IPV6_MULTICAST_IF, sizeof(index));
	twins_close(twins);
	twins_close(four);
}

/* What was chosen is the source of a socket that is bound to no address, as in Linux. */
static void datagram__interface_for_groups_is_the_source(void **state)
{
	struct address group, here, there, from;
	int a = -1, b = -1;
	struct ip_mreq request = {.imr_interface.s_addr = INADDR_ANY};
	struct in_addr second;

	(void)state;
	option_set("DEMI_NET_IP", OUR_IPV4 "/24," OUR_SECOND_IPV4 "/24");
	check_call(demi_init(NULL), 0);
	b = datagram_bound("0.0.0.0", &there);
	inet_pton(AF_INET, "239.1.2.3", &request.imr_multiaddr);
	inet_pton(AF_INET, OUR_SECOND_IPV4, &second);
	check_call(demi_setsockopt(b, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)), 0);
	group = address_of("239.1.2.3", ntohs(address_port(&there)));
	a = datagram_bound("0.0.0.0", &here);
	from = address_of(OUR_IPV4, ntohs(address_port(&here)));
	datagram_send(a, &group, 10, 1);
	datagram_expect(b, 10, 1, &from);
	check_call(demi_setsockopt(a, IPPROTO_IP, IP_MULTICAST_IF, &second, sizeof(second)), 0);
	from = address_of(OUR_SECOND_IPV4, ntohs(address_port(&here)));
	datagram_send(a, &group, 10, 2);
	datagram_expect(b, 10, 2, &from);
}

/* --- options --- */

static int option_value(int qd, int level, int name)
{
	socklen_t size = sizeof(int);
	int value = -1;

	check_call(demi_getsockopt(qd, level, name, &value, &size), 0);
	assert_int_equal(size, sizeof(int));
	return value;
}

static void datagram__options_are_kept(void **state)
{
	static const struct {
		int level, name, initial, value, refused;
	} cases[] = {
		{IPPROTO_IP, IP_TTL, 64, 3, 256},
		{IPPROTO_IP, IP_TOS, 0, 0xb8, 256},
		{IPPROTO_IP, IP_MULTICAST_TTL, 1, 7, -2},
		{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, IP_PMTUDISC_DO, 77},
		{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 3, 5, 256},
		{IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1, 9, -2},
		{IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, 0, 2},
		{IPPROTO_IPV6, IPV6_TCLASS, 0xb8, 0x20, 256},
		{SOL_SOCKET, SO_SNDBUF, 212992, 5000, 0},
		{SOL_SOCKET, SO_RCVBUF, 1 << 20, 5000, 0},
	};
	struct address here;
	int a = datagram_bound("::", &here);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int level = cases[i].level, name = cases[i].name;

		assert_int_equal(option_value(a, level, name), cases[i].initial);
		check_call(demi_setsockopt(a, level, name, &cases[i].value, sizeof(int)), 0);
		assert_int_equal(option_value(a, level, name), cases[i].value);
		check_call(demi_setsockopt(a, level, name, &cases[i].refused, sizeof(int)), EINVAL);
		assert_int_equal(option_value(a, level, name), cases[i].value);
	}
}

static void datagram__options_that_are_read_only_or_unknown(void **state)
{
	static const int read_only[] = {SO_ERROR, SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN};
	struct address here, there;
	int a = datagram_bound("127.0.0.1", &here), value = 1;
	socklen_t size = sizeof(value);

	(void)state;
	datagram_bound("127.0.0.1", &there);
	for (size_t i = 0; i < COUNT_OF(read_only); i++)
		check_call(demi_setsockopt(a, SOL_SOCKET, read_only[i], &value, sizeof(value)),
			   ENOPROTOOPT);
	assert_int_equal(option_value(a, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
	assert_int_equal(option_value(a, SOL_SOCKET, SO_DOMAIN), AF_INET);
	assert_int_equal(option_value(a, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
	assert_int_equal(option_value(a, SOL_SOCKET, SO_ERROR), 0);
	check_call(demi_setsockopt(a, 12345, SO_BROADCAST, &value, sizeof(value)), ENOTSUP);
	check_call(demi_setsockopt(a, SOL_SOCKET, 12345, &value, sizeof(value)), ENOPROTOOPT);
	check_call(demi_setsockopt(a, IPPROTO_TCP, 1, &value, sizeof(value)), ENOPROTOOPT);
	check_call(demi_setsockopt(a, SOL_SOCKET, SO_BROADCAST, &value, 3), EINVAL);
	/* Where a byte has been enough for ever. */
	check_call(demi_setsockopt(a, IPPROTO_IP, IP_MULTICAST_LOOP, "", 1), 0);
	assert_int_equal(option_value(a, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
	check_call(demi_getsockopt(a, IPPROTO_IP, IP_MTU, &value, &size), ENOTCONN);
}

static void datagram__mtu_of_the_path(void **state)
{
	struct address here, silent = address_of(SILENT_IPV4, 7);
	int a = datagram_bound(OUR_IPV4, &here);
	demi_qtoken_t qt = 0;

	(void)state;
	check_call(demi_connect(&qt, a, &silent.any, silent.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
	assert_int_equal(option_value(a, IPPROTO_IP, IP_MTU), 1500);
}

static void datagram__receive_buffer_bounds_what_waits(void **state)
{
	struct address here, there;
	int a = datagram_bound("127.0.0.1", &here), b = datagram_bound("127.0.0.1", &there);
	int bytes = 16384;
	unsigned int kept = 0;
	demi_qtoken_t qt;
	demi_qresult_t qr;

	(void)state;
	check_call(demi_setsockopt(b, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
	for (unsigned int i = 0; i < 100; i++) {
		datagram_send(a, &there, 1000, i);
		drive();
	}
	while (qt = pop(b), demi_wait(&qr, qt, &wait_none) == 0) {
		assert_int_equal(sga_check(&qr.qr_value.sga, kept++, 0), 1000);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	assert_in_range(kept, 1, 16);
	/* It hears again. */
	datagram_send(a, &there, 10, 200);
	qr = await_opcode(qt, DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 200, 0), 10);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

/* --- what there is not --- */

static void catnip__has_no_files_nor_local_sockets(void **state)
{
	int qd = -1;

	(void)state;
	check_call(demi_socket(&qd, AF_UNIX, SOCK_STREAM, 0), ENOTSUP);
	check_call(demi_socket(&qd, AF_UNIX, SOCK_DGRAM, 0), ENOTSUP);
	check_call(demi_creat(&qd, "/tmp/demi-catnip", 0600), EOPNOTSUPP);
	check_call(demi_open(&qd, "/tmp/demi-catnip", O_RDONLY, 0), EOPNOTSUPP);
}

static void start_wrongly(void *argument)
{
	const char *const *variable = argument;

	option_set(variable[0], variable[1]);
	check_call(demi_init(NULL), EINVAL);
}

static void catnip__says_what_is_wrong_with_its_configuration(void **state)
{
	static const char *const cases[][3] = {
		{"DEMI_NET_DEV", "", "net.dev (DEMI_NET_DEV): Catnip needs a device"},
		{"DEMI_NET_IP", "10.0.0.1", "net.ip (DEMI_NET_IP): \"10.0.0.1\" lacks the length"},
		{"DEMI_NET_GW", "nearby", "net.gw (DEMI_NET_GW): \"nearby\" is not an IP address"},
		{"DEMI_NET_MTU", "9", "DEMI_NET_MTU: \"9\" is out of its limits"},
	};
	static struct child child;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		child_run(&child, start_wrongly, (void *)(uintptr_t)cases[i]);
		child_check_exit(&child);
		child_check_says(&child, cases[i][2]);
		assert_int_equal(child_count(&child, "\n"), 1);
	}
}

static void catnip__starts_and_ends_again_and_again(void **state)
{
	int files = open_files();

	(void)state;
	for (int i = 0; i < 20; i++) {
		check_call(demi_init(NULL), 0);
		exchange("127.0.0.1", OUR_IPV4, LARGE_BYTES, 1);
		demi_fini();
	}
	assert_int_equal(open_files(), files);
}

static void catnip__sleeps_and_wakes(void **state)
{
	struct address here;
	struct timespec moment = milliseconds(30);
	demi_qresult_t qr;
	int a;

	(void)state;
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	option_set("DEMI_RUNTIME_IDLE_AFTER_US", "0");
	check_call(demi_init(NULL), 0);
	a = datagram_bound("127.0.0.1", &here);
	check_call(demi_wait(&qr, pop(a), &moment), ETIMEDOUT);
	exchange("127.0.0.1", OUR_IPV4, LARGE_BYTES, 1);
}

static void catnip__captures_to_a_file(void **state)
{
	char path[256];
	uint8_t start[4] = {0};
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/capture", directory());
	option_set("DEMI_PCAP", path);
	check_call(demi_init(NULL), 0);
	/* A question for the neighbour's address is sent. */
	datagram_send(datagram_bound(OUR_IPV4, &(struct address){0}),
		      &(struct address){.in = {.sin_family = AF_INET,
					       .sin_port = htons(7),
					       .sin_addr.s_addr = inet_addr(SILENT_IPV4)},
					.size = sizeof(struct sockaddr_in)},
		      10, 1);
	demi_fini();
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fread(start, 1, sizeof(start), file), sizeof(start));
	/* The type of a section header block (pcapng, section 4.1). */
	assert_memory_equal(start, "\x0a\x0d\x0d\x0a", sizeof(start));
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	assert_true(ftell(file) > 100);
	fclose(file);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(datagram__loopback_addresses_need_no_configuration),
		TEST(datagram__own_addresses_reach_each_other),
		TEST(datagram__every_size_around_the_limits),
		TEST(datagram__over_ipv6_it_may_be_longer_than_over_ipv4),
		TEST(datagram__dual_stack_socket_hears_ipv4),
		TEST(datagram__v6_only_socket_does_not),
		TEST(datagram__unspecified_destination_is_ourselves),
		TEST(datagram__port_0_is_nowhere),
		TEST(datagram__no_route_is_enetunreach),
		TEST(datagram__foreign_memory_that_is_not_there_is_efault),
		TEST(datagram__sockets_hear_their_own),
		TEST(datagram__small_push_does_not_wait_for_a_neighbour),
		TEST(datagram__push_by_reference_is_pending_and_cannot_be_cancelled),
		TEST(datagram__close_cancels_pending_pushes),
		TEST(datagram__aclose_waits_for_pending_pushes),
		TEST(datagram__aclose_can_be_cancelled),
		TEST(datagram__runtime_ends_with_pushes_and_closes_pending),
		TEST_RAW(datagram__write_to_a_pending_push_is_caught),
		TEST(datagram__groups_are_heard_while_joined),
		TEST(datagram__group_that_is_none_is_refused),
		TEST(datagram__group_options_are_those_of_the_kernel),
		TEST(datagram__interface_for_ipv4_groups),
		TEST(datagram__interface_for_ipv6_groups),
		TEST_RAW(datagram__interface_for_groups_is_the_source),
		TEST(datagram__options_are_kept),
		TEST(datagram__options_that_are_read_only_or_unknown),
		TEST(datagram__mtu_of_the_path),
		TEST(datagram__receive_buffer_bounds_what_waits),
		TEST(catnip__has_no_files_nor_local_sockets),
		TEST_RAW(catnip__says_what_is_wrong_with_its_configuration),
		TEST_RAW(catnip__starts_and_ends_again_and_again),
		TEST_RAW(catnip__sleeps_and_wakes),
		TEST_RAW(catnip__captures_to_a_file),
	};

	return suite_main("datagram", true, "datagrams", tests, COUNT_OF(tests));
}
