/* SPDX-License-Identifier: MIT */
/* Datagrams of the provider "sim": how peers are found, what arrives, what does not. */
#include "rdma/sim_testing.h"

static struct ibv_ah *handle; /* of a, to b */
static uint32_t remote_qpn;

/* a finds out the queue pair of b, at an address of either family. */
static void start_found(const char *words, struct sockaddr *address)
{
	struct rdma_conn_param accept = {.private_data = "hi", .private_data_len = 2};
	struct rdma_cm_event *event;

	start(words);
	listen_at(&b, address, RDMA_PS_UDP);
	make_qp(&a, resolve_to(&a, address, RDMA_PS_UDP), IBV_QPT_UD);
	assert_int_equal(a.ops->connect(a.id, &(struct rdma_conn_param){0}), 0);
	take_request(&b, IBV_QPT_UD);
	assert_int_equal(b.ops->accept(b.id, &accept), 0);
	event = next_event(&a, RDMA_CM_EVENT_ESTABLISHED);
	assert_int_equal(event->param.ud.private_data_len, 136);
	assert_memory_equal(event->param.ud.private_data, "hi\0", 3);
	assert_int_equal(event->param.ud.qkey, RDMA_UDP_QKEY);
	assert_int_equal(event->param.ud.qp_num, b.qp->qp_num);
	remote_qpn = event->param.ud.qp_num;
	handle = a.ops->create_ah(a.pd, &event->param.ud.ah_attr);
	assert_non_null(handle);
	a.ops->ack_cm_event(event);
	/* Who accepts is told no more. */
	settle();
	expect_no_event(&b);
}

static void end_found(void)
{
	assert_int_equal(a.ops->destroy_ah(handle), 0);
	end();
}

static int send_with(uint64_t wr_id, size_t bytes, uint32_t qpn, uint32_t qkey)
{
	struct ibv_send_wr wr = {
		.wr_id = wr_id,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.ud = {.ah = handle, .remote_qpn = qpn, .remote_qkey = qkey},
	};

	return post_request(&a, &wr, 0, bytes);
}

static int send_datagram(uint64_t wr_id, size_t bytes)
{
	return send_with(wr_id, bytes, remote_qpn, RDMA_UDP_QKEY);
}

/* ---- Finding ---- */

static void seek__carries_private_data(void **state)
{
	struct rdma_conn_param parameters = {.private_data = "who", .private_data_len = 181};
	static char data[181] = "who";
	struct rdma_cm_event *event;

	(void)state;
	start("");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_UDP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_UDP), IBV_QPT_UD);
	assert_int_equal(a.ops->connect(a.id, &parameters), -1);
	assert_int_equal(errno, EINVAL);
	parameters.private_data = data;
	parameters.private_data_len = 180;
	assert_int_equal(a.ops->connect(a.id, &parameters), 0);
	event = next_event(&b, RDMA_CM_EVENT_CONNECT_REQUEST);
	assert_int_equal(event->param.ud.private_data_len, 180);
	assert_string_equal(event->param.ud.private_data, "who");
	b.id = event->id;
	b.ops->ack_cm_event(event);
	parameters.private_data_len = 137;
	assert_int_equal(b.ops->accept(b.id, &parameters), -1);
	assert_int_equal(errno, EINVAL);
	/* A queue pair that is another's serves as well. */
	parameters.private_data_len = 0;
	parameters.qp_num = 0x4711;
	assert_int_equal(b.ops->accept(b.id, &parameters), 0);
	event = next_event(&a, RDMA_CM_EVENT_ESTABLISHED);
	assert_int_equal(event->param.ud.qp_num, 0x4711);
	a.ops->ack_cm_event(event);
	end();
}

static void seek__may_find_nobody(void **state)
{
	struct rdma_cm_event *event;

	(void)state;
	start("");
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_UDP), IBV_QPT_UD);
	assert_int_equal(a.ops->connect(a.id, &(struct rdma_conn_param){0}), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_UNREACHABLE), 1);
	a.ops->destroy_qp(a.id);
	assert_int_equal(a.ops->destroy_id(a.id), 0);
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_UDP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_UDP), IBV_QPT_UD);
	assert_int_equal(a.ops->connect(a.id, &(struct rdma_conn_param){0}), 0);
	event = next_event(&b, RDMA_CM_EVENT_CONNECT_REQUEST);
	b.id = event->id;
	b.ops->ack_cm_event(event);
	assert_int_equal(b.ops->reject(b.id, NULL, 0), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_UNREACHABLE), 2);
	end();
}

/* ---- Arrival ---- */

static void datagram__has_an_ipv4_header_before_it(void **state)
{
	struct ibv_wc wc;
	uint32_t sum = 0;

	(void)state;
	start_found("", v4("10.0.0.2", PORT));
	memcpy(a.memory, "hello", 5);
	assert_int_equal(post_recv(&b, 2, 0, 45), 0);
	assert_int_equal(send_datagram(1, 5), 0);
	wc = next_wc(&b);
	assert_int_equal(wc.wr_id, 2);
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(wc.opcode, IBV_WC_RECV);
	assert_int_equal(wc.byte_len, 45);
	assert_int_equal(wc.wc_flags, IBV_WC_GRH);
	assert_int_equal(wc.src_qp, a.qp->qp_num);
	assert_memory_equal(b.memory + 40, "hello", 5);
	assert_int_equal(b.memory[20], 0x45);
	assert_memory_equal(b.memory + 32, ((unsigned char[]){10, 0, 0, 1, 10, 0, 0, 2}), 8);
	/* IP header, UDP, transport headers, data with padding, CRC. */
	assert_int_equal(b.memory[22] << 8 | b.memory[23], 20 + 8 + 12 + 8 + 8 + 4);
	for (int i = 20; i < 40; i += 2)
		sum += (uint32_t)(b.memory[i] << 8 | b.memory[i + 1]);
	assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	end_found();
}

static void datagram__has_an_ipv6_header_before_it(void **state)
{
	static struct sockaddr_in6 address = {.sin6_family = AF_INET6};
	const struct ibv_grh *grh;
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND_WITH_IMM, .imm_data = htonl(99)};
	struct ibv_wc wc;

	(void)state;
	address.sin6_port = htons(PORT);
	assert_int_equal(inet_pton(AF_INET6, "fd00::2", &address.sin6_addr), 1);
	start_found("", (struct sockaddr *)&address);
	assert_int_equal(post_recv(&b, 2, 0, 100), 0);
	wr.wr.ud.ah = handle;
	wr.wr.ud.remote_qpn = remote_qpn;
	wr.wr.ud.remote_qkey = 0x80000000; /* then the queue pair's own */
	assert_int_equal(post_request(&a, &wr, 0, 5), 0);
	wc = next_wc(&b);
	assert_int_equal(wc.wc_flags, IBV_WC_GRH | IBV_WC_WITH_IMM);
	assert_int_equal(ntohl(wc.imm_data), 99);
	grh = (const struct ibv_grh *)(const void *)b.memory;
	assert_int_equal(ntohl(grh->version_tclass_flow) >> 28, 6);
	assert_int_equal(ntohs(grh->paylen), 8 + 12 + 8 + 4 + 8 + 4);
	assert_memory_equal(grh->dgid.raw, &address.sin6_addr, 16);
	assert_int_equal(grh->sgid.raw[15], 1);
	end_found();
}

static void answer__goes_to_the_address_of_the_header(void **state)
{
	struct ibv_send_wr wr = {.wr_id = 3, .opcode = IBV_WR_SEND};
	struct ibv_ah *back;
	struct ibv_wc wc;

	(void)state;
	start_found("", v4("10.0.0.2", PORT));
	assert_int_equal(post_recv(&b, 2, 0, 100), 0);
	assert_int_equal(post_recv(&a, 4, 0, 100), 0);
	assert_int_equal(send_datagram(1, 5), 0);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	wc = next_wc(&b);
	back = b.ops->create_ah_from_wc(b.pd, &wc, (struct ibv_grh *)(void *)b.memory, 1);
	assert_non_null(back);
	wr.wr.ud.ah = back;
	wr.wr.ud.remote_qpn = wc.src_qp;
	wr.wr.ud.remote_qkey = RDMA_UDP_QKEY;
	assert_int_equal(post_request(&b, &wr, 0, 5), 0);
	wc = next_wc(&a);
	assert_int_equal(wc.wr_id, 4);
	assert_int_equal(wc.src_qp, b.qp->qp_num);
	assert_int_equal(b.ops->destroy_ah(back), 0);
	/* A header that was overwritten leads nowhere. */
	memset(b.memory, 0, 40);
	wc.wc_flags = IBV_WC_GRH;
	assert_null(b.ops->create_ah_from_wc(b.pd, &wc, (struct ibv_grh *)(void *)b.memory, 1));
	assert_int_equal(errno, EINVAL);
	end_found();
}

static void handle__needs_an_address_of_the_device(void **state)
{
	struct ibv_ah_attr attributes = {.is_global = 1, .port_num = 1};

	(void)state;
	start("");
	assert_int_equal(a.ops->query_gid(a.context, 1, 0, &attributes.grh.dgid), 0);
	attributes.grh.sgid_index = 1; /* of IPv6 */
	assert_null(a.ops->create_ah(a.pd, &attributes));
	attributes.grh.sgid_index = 2;
	assert_null(a.ops->create_ah(a.pd, &attributes));
	attributes.grh.sgid_index = 0;
	attributes.port_num = 2;
	assert_null(a.ops->create_ah(a.pd, &attributes));
	attributes.port_num = 1;
	attributes.is_global = 0;
	assert_null(a.ops->create_ah(a.pd, &attributes));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(a.ops->query_gid(a.context, 1, 2, &attributes.grh.dgid), EINVAL);
	end();
}

/* ---- What does not arrive ---- */

static void datagram__without_a_buffer_is_dropped(void **state)
{
	(void)state;
	start_found("", v4("10.0.0.2", PORT));
	assert_int_equal(send_datagram(1, 5), 0);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	assert_int_equal(post_recv(&b, 2, 0, 100), 0);
	expect_no_wc(&b);
	assert_int_equal(rdma_sim_counters(b.rdma)->no_buffer, 1);
	end_found();
}

static void datagram__with_a_wrong_key_or_number_is_dropped(void **state)
{
	(void)state;
	start_found("", v4("10.0.0.2", PORT));
	assert_int_equal(post_recv(&b, 2, 0, 100), 0);
	assert_int_equal(send_with(1, 5, remote_qpn, RDMA_UDP_QKEY + 1), 0);
	assert_int_equal(send_with(2, 5, remote_qpn + (1 << 17), RDMA_UDP_QKEY), 0);
	assert_int_equal(send_with(3, 5, remote_qpn + 1, RDMA_UDP_QKEY), 0);
	for (uint64_t i = 1; i <= 3; i++)
		expect_wc(&a, i, IBV_WC_SUCCESS);
	expect_no_wc(&b);
	assert_int_equal(rdma_sim_counters(b.rdma)->bad_key, 3);
	end_found();
}

static void datagram__that_is_too_long_is_refused(void **state)
{
	(void)state;
	start_found("mtu=1024", v4("10.0.0.2", PORT));
	assert_int_equal(post_recv(&b, 2, 0, 2000), 0);
	assert_int_equal(send_datagram(1, 1025), EMSGSIZE);
	assert_int_equal(send_datagram(1, 1024), 0);
	assert_int_equal(next_wc(&b).byte_len, 1064);
	end_found();
}

static void datagram__that_is_longer_than_the_buffer_is_the_end(void **state)
{
	(void)state;
	start_found("", v4("10.0.0.2", PORT));
	assert_int_equal(post_recv(&b, 2, 0, 44), 0);
	assert_int_equal(send_datagram(1, 5), 0);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	expect_wc(&b, 2, IBV_WC_LOC_LEN_ERR);
	assert_int_equal(state_of(&b), IBV_QPS_ERR);
	end_found();
}

static void datagram__of_foreign_memory_fails(void **state)
{
	struct ibv_sge sge;
	struct ibv_send_wr wr = {.wr_id = 1, .sg_list = &sge, .num_sge = 1}, *bad;

	(void)state;
	start_found("", v4("10.0.0.2", PORT));
	sge = segment(&a, 0, 5);
	sge.lkey++;
	wr.opcode = IBV_WR_SEND;
	wr.wr.ud.ah = handle;
	assert_int_equal(ibv_post_send(a.qp, &wr, &bad), 0);
	expect_wc(&a, 1, IBV_WC_LOC_PROT_ERR);
	wr.opcode = IBV_WR_RDMA_WRITE;
	assert_int_equal(ibv_post_send(a.qp, &wr, &bad), EINVAL);
	end_found();
}

/* ---- Mishaps ---- */

#define COUNT 400

/* Appends the numbers of what has arrived. */
static unsigned int collect(uint64_t *arrived, unsigned int count)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(b.cq, 1, &wc) == 1) {
		assert_true(count < 2 * COUNT);
		memcpy(&arrived[count++], b.memory + wc.wr_id * 100 + 40, sizeof(arrived[0]));
		assert_int_equal(post_recv(&b, wc.wr_id, wc.wr_id * 100, 100), 0);
	}
	return count;
}

/* Sends numbered datagrams one at a time, and notes how often and in which order they arrive. */
static unsigned int run(uint64_t *arrived)
{
	unsigned int count = 0;

	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(post_recv(&b, i, i * 100, 100), 0);
	for (uint64_t i = 0; i < COUNT; i++) {
		memcpy(a.memory, &i, sizeof(i));
		assert_int_equal(send_datagram(i, sizeof(i)), 0);
		expect_wc(&a, i, IBV_WC_SUCCESS);
		now_ns += 1000;
		count = collect(arrived, count);
	}
	while (step())
		count = collect(arrived, count);
	return count;
}

static void loss__is_counted(void **state)
{
	uint64_t arrived[2 * COUNT];
	unsigned int count;

	(void)state;
	start_found("delay_ns=500,seed=5", v4("10.0.0.2", PORT));
	rdma_sim_options(a.rdma)->loss = 100000;
	count = run(arrived);
	assert_int_equal(count + rdma_sim_counters(a.rdma)->lost, COUNT);
	assert_in_range(rdma_sim_counters(a.rdma)->lost, 10, 100);
	assert_int_equal(rdma_sim_counters(a.rdma)->datagrams, COUNT);
	end_found();
}

static void duplicates__are_counted(void **state)
{
	uint64_t arrived[2 * COUNT];
	unsigned int count;

	(void)state;
	start_found("delay_ns=500,seed=5", v4("10.0.0.2", PORT));
	rdma_sim_options(a.rdma)->duplicate = 100000;
	count = run(arrived);
	assert_int_equal(count, COUNT + rdma_sim_counters(a.rdma)->duplicated);
	assert_in_range(rdma_sim_counters(a.rdma)->duplicated, 10, 100);
	end_found();
}

static void reorder__lets_others_pass(void **state)
{
	uint64_t arrived[2 * COUNT];
	unsigned int count, late = 0;

	(void)state;
	start_found("delay_ns=500,seed=5", v4("10.0.0.2", PORT));
	rdma_sim_options(a.rdma)->reorder = 100000;
	count = run(arrived);
	assert_int_equal(count, COUNT);
	for (unsigned int i = 1; i < count; i++)
		late += arrived[i] < arrived[i - 1];
	assert_in_range(rdma_sim_counters(a.rdma)->reordered, 10, 100);
	assert_in_range(late, 5, 100);
	end_found();
}

static void device__that_goes_gets_nothing_more(void **state)
{
	(void)state;
	start_found("delay_ns=500", v4("10.0.0.2", PORT));
	assert_int_equal(send_datagram(1, 5), 0);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	node_close(&b);
	now_ns += 1000;
	expect_no_wc(&a);
	assert_int_equal(send_datagram(2, 5), 0);
	expect_wc(&a, 2, IBV_WC_SUCCESS);
	/* One is on its way to nobody when the network ends. */
	node_open(&b, "sim:third,ip=10.0.0.2");
	end_found();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seek__carries_private_data),
		cmocka_unit_test(seek__may_find_nobody),
		cmocka_unit_test(datagram__has_an_ipv4_header_before_it),
		cmocka_unit_test(datagram__has_an_ipv6_header_before_it),
		cmocka_unit_test(answer__goes_to_the_address_of_the_header),
		cmocka_unit_test(handle__needs_an_address_of_the_device),
		cmocka_unit_test(datagram__without_a_buffer_is_dropped),
		cmocka_unit_test(datagram__with_a_wrong_key_or_number_is_dropped),
		cmocka_unit_test(datagram__that_is_too_long_is_refused),
		cmocka_unit_test(datagram__that_is_longer_than_the_buffer_is_the_end),
		cmocka_unit_test(datagram__of_foreign_memory_fails),
		cmocka_unit_test(loss__is_counted),
		cmocka_unit_test(duplicates__are_counted),
		cmocka_unit_test(reorder__lets_others_pass),
		cmocka_unit_test(device__that_goes_gets_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
