/* SPDX-License-Identifier: MIT */
#include "catnip.h"

#include <arpa/inet.h>

struct address address_of(const char *text, uint16_t port)
{
	struct address address;

	memset(&address, 0, sizeof(address));
	if (inet_pton(AF_INET, text, &address.in.sin_addr) == 1) {
		address.in.sin_family = AF_INET;
		address.size = sizeof(address.in);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &address.in6.sin6_addr), 1);
		address.in6.sin6_family = AF_INET6;
		address.size = sizeof(address.in6);
	}
	address_set_port(&address, htons(port));
	return address;
}

int datagram_bound(const char *text, struct address *address)
{
	int qd = -1;

	*address = address_of(text, 0);
	check_call(demi_socket(&qd, address->any.sa_family, SOCK_DGRAM, 0), 0);
	check_call(demi_bind(qd, &address->any, address->size), 0);
	socket_name(qd, address);
	assert_int_not_equal(address_port(address), 0);
	return qd;
}

demi_qtoken_t datagram_push(int qd, const struct address *to, size_t size, unsigned int seed)
{
	demi_sgarray_t sga = sga_pattern(size, seed, 0);
	demi_qtoken_t qt = 0;

	check_call(demi_pushto(&qt, qd, &sga, &to->any, to->size), 0);
	check_call(demi_sgafree(&sga), 0);
	return qt;
}

void datagram_send(int qd, const struct address *to, size_t size, unsigned int seed)
{
	await_opcode(datagram_push(qd, to, size, seed), DEMI_OPC_PUSH);
}

void datagram_expect(int qd, size_t size, unsigned int seed, const struct address *from)
{
	demi_qresult_t qr = await_opcode(pop(qd), DEMI_OPC_POP);
	struct address source;

	assert_int_equal(sga_check(&qr.qr_value.sga, seed, 0), size);
	memset(&source, 0, sizeof(source));
	source.size = sizeof(source.room);
	check_call(demi_sgaaddr(&qr.qr_value.sga, &source.any, &source.size), 0);
	if (from)
		address_check(&source, from);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

int link_start(void **state, void *(*peer_main)(void *peer))
{
	static struct link_peer peer;

	atomic_store(&peer.stops, false);
	pthread_barrier_init(&peer.started, NULL, 2);
	option_set("DEMI_NET_DEV", "loop:link");
	option_set("DEMI_NET_IP", THEIR_IPV4 "/24," THEIR_IPV6 "/64");
	if (pthread_create(&peer.thread, NULL, peer_main, &peer))
		return -1;
	/* It has read the environment now. */
	pthread_barrier_wait(&peer.started);
	option_set("DEMI_NET_IP", OUR_IPV4 "/24," OUR_IPV6 "/64");
	*state = &peer;
	return demi_init(NULL);
}

int link_teardown(void **state)
{
	struct link_peer *peer = *state;

	atomic_store(&peer->stops, true);
	pthread_join(peer->thread, NULL);
	pthread_barrier_destroy(&peer->started);
	return teardown(state);
}
