/* SPDX-License-Identifier: MIT */
#include "net/udp_testing.h"

#define PORT 5000
#define FIRST 49152
#define COUNT 16384u
#define OWN V4(10, 0, 0, 2)
#define OTHER V4(10, 0, 0, 3)
#define PEER V4(10, 0, 0, 9)

static int bind_to(struct test_socket *socket, struct ip_address address, uint16_t port)
{
	return udp_bind(&socket->udp, &address, port);
}

static int connect_to(struct test_socket *socket, struct ip_address peer, uint16_t port)
{
	return udp_connect(&socket->udp, &peer, port);
}

static bool is_at(const struct test_socket *socket, struct ip_address address)
{
	return ip_address_equal(&socket->udp.local, &address);
}

/* ---- Binding ---- */

static void udp_bind__to_what_addresses(void **state)
{
	const struct {
		bool is_v6, v6_only;
		struct ip_address address;
		int result;
	} cases[] = {
		{false, false, ANY4, 0},
		{false, false, OWN, 0},
		{false, false, V4(127, 0, 0, 1), 0},
		{false, false, V4(239, 1, 2, 3), 0},
		{false, false, V4(255, 255, 255, 255), 0},
		{false, false, V4(10, 0, 0, 255), 0},
		{false, false, V4(10, 0, 0, 77), -EADDRNOTAVAIL},
		{false, false, V6(2), -EAFNOSUPPORT},
		{false, false, ANY6, -EAFNOSUPPORT},
		{true, false, ANY6, 0},
		{true, false, V6(2), 0},
		{true, false, ip_address_v6_halves(0, 1), 0},
		{true, false, ip_address_v6_halves(0xff02000000000000, 0xfb), 0},
		{true, false, OWN, 0},
		{true, false, ANY4, 0},
		{true, true, ANY6, 0},
		{true, true, OWN, -EINVAL},
		{true, true, ANY4, -EINVAL},
		{true, false, V6(77), -EADDRNOTAVAIL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct test_socket socket;

		test_socket_init(&socket, cases[i].is_v6);
		socket.udp.v6_only = cases[i].v6_only;
		assert_int_equal(bind_to(&socket, cases[i].address, PORT), cases[i].result);
		assert_int_equal(socket.udp.local_port, cases[i].result ? 0 : PORT);
		assert_true(is_at(&socket, !cases[i].result ? cases[i].address
					   : cases[i].is_v6 ? ANY6
							    : ANY4));
		if (!cases[i].result)
			assert_int_equal(bind_to(&socket, cases[i].address, PORT + 1), -EINVAL);
		test_socket_fini(&socket);
		assert_null(rig.net.udp->ports[PORT]);
	}
}

static void udp_bind__conflicts(void **state)
{
	enum { V6_ONLY = 1, V6 = 2 };
	const struct side {
		int flags;
		struct ip_address address;
	} any4 = {0, ANY4}, own4 = {0, OWN}, other4 = {0, OTHER}, any6 = {V6, ANY6},
	  only6 = {V6 | V6_ONLY, ANY6}, own6 = {V6, V6(2)}, mapped = {V6, OWN},
	  any_mapped = {V6, ANY4};
	const struct {
		struct side a, b;
		bool conflict;
	} cases[] = {
		{any4, any4, true},         {any4, own4, true},        {own4, own4, true},
		{own4, other4, false},      {any4, any6, true},        {any4, only6, false},
		{any4, own6, false},        {own4, any6, true},        {own4, only6, false},
		{any6, any6, true},         {any6, own6, true},        {only6, own6, true},
		{only6, only6, true},       {any6, only6, true},       {mapped, own4, true},
		{mapped, other4, false},    {mapped, only6, false},    {any_mapped, any4, true},
		{any_mapped, only6, false}, {any_mapped, own6, false}, {any_mapped, own4, true},
	};

	(void)state;
	/* Both ways round. */
	for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
		const struct side *first = i % 2 ? &cases[i / 2].a : &cases[i / 2].b;
		const struct side *second = i % 2 ? &cases[i / 2].b : &cases[i / 2].a;
		struct test_socket a, b;

		test_socket_init(&a, first->flags & V6);
		test_socket_init(&b, second->flags & V6);
		a.udp.v6_only = first->flags & V6_ONLY;
		b.udp.v6_only = second->flags & V6_ONLY;
		assert_int_equal(bind_to(&a, first->address, PORT), 0);
		assert_int_equal(bind_to(&b, second->address, PORT),
				 cases[i / 2].conflict ? -EADDRINUSE : 0);
		test_socket_fini(&a);
		/* A socket that could not be bound can be, later. */
		if (cases[i / 2].conflict)
			assert_int_equal(bind_to(&b, second->address, PORT), 0);
		test_socket_fini(&b);
	}
}

static void udp_bind__both_must_agree_to_share(void **state)
{
	(void)state;
	for (unsigned int options = 0; options < 16; options++) {
		bool both_address = (options & 1) && (options & 2);
		bool both_port = (options & 4) && (options & 8);
		struct test_socket a, b;

		test_socket_init(&a, false);
		test_socket_init(&b, false);
		a.udp.reuse_address = options & 1;
		b.udp.reuse_address = options & 2;
		a.udp.reuse_port = options & 4;
		b.udp.reuse_port = options & 8;
		assert_int_equal(bind_to(&a, ANY4, PORT), 0);
		assert_int_equal(bind_to(&b, ANY4, PORT),
				 both_address || both_port ? 0 : -EADDRINUSE);
		test_socket_fini(&a);
		test_socket_fini(&b);
	}
}

static void udp_unbind__from_anywhere_in_the_list(void **state)
{
	(void)state;
	for (unsigned int gone = 0; gone < 3; gone++) {
		struct test_socket sockets[3];
		unsigned int left = 0;

		for (unsigned int i = 0; i < 3; i++) {
			test_socket_init(&sockets[i], false);
			sockets[i].udp.reuse_address = true;
			assert_int_equal(bind_to(&sockets[i], ANY4, PORT), 0);
		}
		udp_unbind(&sockets[gone].udp);
		udp_unbind(&sockets[gone].udp);
		for (struct udp_socket *at = rig.net.udp->ports[PORT]; at; at = at->next, left++)
			assert_ptr_not_equal(at, &sockets[gone].udp);
		assert_int_equal(left, 2);
		for (unsigned int i = 0; i < 3; i++)
			test_socket_fini(&sockets[i]);
		assert_null(rig.net.udp->ports[PORT]);
	}
}

/* ---- Ports that we choose: RFC 6056 ---- */

static void udp_bind__port_0_is_a_random_one(void **state)
{
	struct test_socket sockets[64];
	unsigned int neighbours = 0, low = 0;

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		test_socket_init(&sockets[i], false);
		assert_int_equal(bind_to(&sockets[i], ANY4, 0), 0);
		assert_in_range(sockets[i].udp.local_port, FIRST, 65535);
		low += sockets[i].udp.local_port < FIRST + COUNT / 2;
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(sockets[i].udp.local_port, sockets[j].udp.local_port);
		if (i > 0)
			neighbours += abs(sockets[i].udp.local_port -
					  sockets[i - 1].udp.local_port) < 16;
	}
	/* Of 63 pairs 0.1 expected; of 64 ports 32, standard deviation 4. */
	assert_in_range(neighbours, 0, 3);
	assert_in_range(low, 12, 52);
	for (unsigned int i = 0; i < 64; i++)
		test_socket_fini(&sockets[i]);
}

/* RFC 6056, 3.3.3: in order for one peer, from another place for another, by the secret. */
static void udp_connect__ports_by_the_secret(void **state)
{
	struct test_socket a, b, c, d;
	uint16_t other_secret;

	(void)state;
	test_socket_init(&a, false);
	test_socket_init(&b, false);
	test_socket_init(&c, false);
	rig.net.udp->port_counter = 0;
	assert_int_equal(connect_to(&a, PEER, 53), 0);
	assert_int_equal(connect_to(&b, PEER, 53), 0);
	assert_int_equal(connect_to(&c, PEER, 54), 0);
	assert_int_equal((unsigned int)(b.udp.local_port - a.udp.local_port) % COUNT, 1);
	assert_int_not_equal((unsigned int)(c.udp.local_port - b.udp.local_port) % COUNT, 1);
	test_socket_fini(&c);
	rig.net.udp->port_counter = 0;
	rig.net.secret[0] ^= 1;
	test_socket_init(&d, false);
	assert_int_equal(connect_to(&d, PEER, 53), 0);
	other_secret = d.udp.local_port;
	assert_int_not_equal(other_secret, a.udp.local_port);
	test_socket_fini(&d);
	test_socket_fini(&a);
	test_socket_fini(&b);
}

static void udp_bind__every_port_and_no_more(void **state)
{
	struct test_socket *sockets = calloc(COUNT + 1, sizeof(*sockets));
	unsigned int seen = 0;

	(void)state;
	assert_non_null(sockets);
	for (unsigned int i = 0; i <= COUNT; i++) {
		test_socket_init(&sockets[i], false);
		/* Sharing is for who asks for a port. */
		sockets[i].udp.reuse_address = sockets[i].udp.reuse_port = true;
		assert_int_equal(bind_to(&sockets[i], ANY4, 0), i < COUNT ? 0 : -EADDRINUSE);
	}
	for (unsigned int port = FIRST; port < 65536; port++)
		seen += rig.net.udp->ports[port] != NULL;
	assert_int_equal(seen, COUNT);
	assert_int_equal(connect_to(&sockets[COUNT], PEER, 53), -EADDRINUSE);
	assert_true(is_at(&sockets[COUNT], ANY4));
	assert_int_equal(sockets[COUNT].udp.peer_port, 0);
	/* The one that becomes free is found. */
	udp_unbind(&sockets[77].udp);
	assert_int_equal(bind_to(&sockets[COUNT], ANY4, 0), 0);
	for (unsigned int i = 0; i <= COUNT; i++)
		test_socket_fini(&sockets[i]);
	free(sockets);
}

/* ---- Connecting ---- */

static void udp_connect__chooses_address_and_port(void **state)
{
	struct test_socket socket;
	uint16_t port;

	(void)state;
	test_socket_init(&socket, false);
	assert_int_equal(connect_to(&socket, PEER, 53), 0);
	assert_true(is_at(&socket, OWN));
	assert_int_equal(socket.udp.peer_port, 53);
	port = socket.udp.local_port;
	assert_true(port >= FIRST);
	/* Another peer: the port stays. */
	assert_int_equal(connect_to(&socket, V4(127, 0, 0, 1), 54), 0);
	assert_true(is_at(&socket, V4(127, 0, 0, 1)));
	assert_int_equal(socket.udp.local_port, port);
	udp_disconnect(&socket.udp);
	assert_true(is_at(&socket, ANY4));
	assert_int_equal(socket.udp.local_port, 0);
	assert_int_equal(socket.udp.peer_port, 0);
	assert_null(rig.net.udp->ports[port]);
	test_socket_fini(&socket);
}

static void udp_disconnect__keeps_what_was_asked_for(void **state)
{
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, OTHER, PORT);
	assert_int_equal(connect_to(&socket, PEER, 53), 0);
	assert_true(is_at(&socket, OTHER));
	udp_disconnect(&socket.udp);
	assert_true(is_at(&socket, OTHER));
	assert_int_equal(socket.udp.local_port, PORT);
	test_socket_fini(&socket);
	/* Asked for any port: it has one now. */
	test_socket_bind(&socket, ANY4, 0);
	assert_int_equal(connect_to(&socket, PEER, 53), 0);
	udp_disconnect(&socket.udp);
	assert_true(is_at(&socket, ANY4));
	assert_int_not_equal(socket.udp.local_port, 0);
	test_socket_fini(&socket);
}

/* Headers that were made for the next datagram have the old address and port. */
static void udp_connect__forgets_prepared_headers(void **state)
{
	struct test_socket socket;

	(void)state;
	test_socket_bind(&socket, ANY4, PORT);
	socket.udp.headers.generation = rig.net.generation;
	assert_int_equal(connect_to(&socket, V4(127, 0, 0, 1), 53), 0);
	assert_int_equal(socket.udp.headers.generation, 0);
	socket.udp.headers.generation = rig.net.generation;
	udp_disconnect(&socket.udp);
	assert_int_equal(socket.udp.headers.generation, 0);
	socket.udp.headers.generation = rig.net.generation;
	udp_unbind(&socket.udp);
	assert_int_equal(socket.udp.headers.generation, 0);
	test_socket_fini(&socket);
}

static void udp_connect__an_unspecified_peer_is_ourselves(void **state)
{
	struct test_socket v4, v6;

	(void)state;
	test_socket_init(&v4, false);
	test_socket_init(&v6, true);
	assert_int_equal(connect_to(&v4, ANY4, 53), 0);
	assert_int_equal(connect_to(&v6, ANY6, 53), 0);
	assert_true(ip_address_equal(&v4.udp.peer,
				     &(struct ip_address){{[10] = 0xff, 0xff, 127, 0, 0, 1}}));
	assert_true(ip_address_equal(&v6.udp.peer, &(struct ip_address){{[15] = 1}}));
	test_socket_fini(&v4);
	test_socket_fini(&v6);
}

static void udp_connect__mapped_peers(void **state)
{
	struct test_socket socket;

	(void)state;
	test_socket_init(&socket, true);
	assert_int_equal(connect_to(&socket, PEER, 53), 0);
	assert_true(is_at(&socket, OWN));
	/* And back to the other version. */
	assert_int_equal(connect_to(&socket, V6(9), 53), 0);
	assert_true(is_at(&socket, V6(2)));
	test_socket_fini(&socket);
	test_socket_init(&socket, true);
	socket.udp.v6_only = true;
	assert_int_equal(connect_to(&socket, PEER, 53), -ENETUNREACH);
	test_socket_fini(&socket);
	test_socket_bind(&socket, V6(2), PORT);
	assert_int_equal(connect_to(&socket, PEER, 53), -ENETUNREACH);
	test_socket_fini(&socket);
	test_socket_init(&socket, true);
	assert_int_equal(bind_to(&socket, ANY4, PORT), 0);
	assert_int_equal(connect_to(&socket, V6(9), 53), -ENETUNREACH);
	assert_int_equal(connect_to(&socket, PEER, 53), 0);
	test_socket_fini(&socket);
}

static void udp_connect__errors_change_nothing(void **state)
{
	struct test_socket socket;

	(void)state;
	test_socket_init(&socket, false);
	assert_int_equal(connect_to(&socket, PEER, 0), -EINVAL);
	assert_int_equal(connect_to(&socket, V6(9), 53), -EAFNOSUPPORT);
	assert_int_equal(connect_to(&socket, V4(255, 255, 255, 255), 53), -EACCES);
	assert_int_equal(connect_to(&socket, V4(10, 0, 0, 255), 53), -EACCES);
	rig.path_error = -ENETUNREACH;
	assert_int_equal(connect_to(&socket, PEER, 53), -ENETUNREACH);
	rig.path_error = 0;
	assert_int_equal(socket.udp.local_port, 0);
	assert_int_equal(socket.udp.peer_port, 0);
	assert_true(is_at(&socket, ANY4));
	assert_int_equal(connect_to(&socket, PEER, 53), 0);
	rig.path_error = -ENETUNREACH;
	assert_int_equal(connect_to(&socket, V4(10, 0, 0, 8), 54), -ENETUNREACH);
	assert_int_equal(socket.udp.peer_port, 53);
	assert_true(is_at(&socket, OWN));
	rig.path_error = 0;
	socket.udp.broadcast = true;
	assert_int_equal(connect_to(&socket, V4(255, 255, 255, 255), 53), 0);
	test_socket_fini(&socket);
}

/* ---- Groups ---- */

static void udp_join__once_each_and_eight(void **state)
{
	struct test_socket socket;
	struct ip_address group = V4(239, 0, 0, 0), own = OWN;

	(void)state;
	test_socket_init(&socket, false);
	assert_int_equal(udp_join(&socket.udp, &own), -EINVAL);
	rig.group_error = -ENOSPC;
	assert_int_equal(udp_join(&socket.udp, &group), -ENOBUFS);
	rig.group_error = -EIO;
	assert_int_equal(udp_join(&socket.udp, &group), -EIO);
	rig.group_error = 0;
	assert_int_equal(socket.udp.group_count, 0);
	for (unsigned int i = 0; i < UDP_GROUPS_MAX; i++) {
		group.bytes[15] = (uint8_t)i;
		assert_int_equal(udp_join(&socket.udp, &group), 0);
		assert_int_equal(udp_join(&socket.udp, &group), -EADDRINUSE);
	}
	assert_int_equal(rig.joined_count, UDP_GROUPS_MAX);
	group.bytes[15] = 99;
	assert_int_equal(udp_join(&socket.udp, &group), -ENOBUFS);
	assert_int_equal(udp_leave(&socket.udp, &group), -EADDRNOTAVAIL);
	group.bytes[15] = 3;
	assert_int_equal(udp_leave(&socket.udp, &group), 0);
	assert_false(udp_has_joined(&socket.udp, &group));
	assert_int_equal(udp_leave(&socket.udp, &group), -EADDRNOTAVAIL);
	assert_int_equal(rig.joined_count, UDP_GROUPS_MAX - 1);
	test_socket_fini(&socket);
	assert_int_equal(rig.joined_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(udp_bind__to_what_addresses),
		rig_test(udp_bind__conflicts),
		rig_test(udp_bind__both_must_agree_to_share),
		rig_test(udp_unbind__from_anywhere_in_the_list),
		rig_test(udp_bind__port_0_is_a_random_one),
		rig_test(udp_connect__ports_by_the_secret),
		rig_test(udp_bind__every_port_and_no_more),
		rig_test(udp_connect__chooses_address_and_port),
		rig_test(udp_disconnect__keeps_what_was_asked_for),
		rig_test(udp_connect__forgets_prepared_headers),
		rig_test(udp_connect__an_unspecified_peer_is_ourselves),
		rig_test(udp_connect__mapped_peers),
		rig_test(udp_connect__errors_change_nothing),
		rig_test(udp_join__once_each_and_eight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
