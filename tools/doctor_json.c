/* SPDX-License-Identifier: MIT */
/* The keys are described in demi-doctor(1), and stay. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"

/* What the system calls its things need not be UTF-8, which JSON is. */
static json_t *text(const char *bytes)
{
	json_t *string = json_string(bytes);
	char ascii[256];
	size_t length = 0;

	for (; !string && bytes[length] && length < sizeof(ascii) - 1; length++)
		ascii[length] = (unsigned char)bytes[length] < 0x80 ? bytes[length] : '?';
	ascii[length] = '\0';
	return string ? string : json_string(ascii);
}

static json_t *text_or_null(const char *bytes)
{
	return bytes[0] ? text(bytes) : json_null();
}

static json_t *limit(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static json_t *answer(enum answer answer)
{
	return answer == ANSWER_UNKNOWN ? json_null() : json_boolean(answer == ANSWER_YES);
}

static json_t *capabilities(const struct machine *machine)
{
	json_t *list = json_array();

	for (const struct capability *one = doctor_capabilities; one->name; one++) {
		if (machine_has_capability(machine, one->number))
			json_array_append_new(list, json_string(one->name));
	}
	return list;
}

static json_t *huge_pages(const struct machine *machine)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < machine->page_sizes; i++) {
		const struct pages *pages = &machine->pages[i];

		json_array_append_new(list,
				      json_pack("{s:i, s:i, s:i}", "kib", (int)pages->kib, "total",
						(int)pages->total, "free", (int)pages->free));
	}
	return list;
}

static json_t *interfaces(const struct machine *machine)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < machine->interface_count; i++) {
		const struct interface *one = &machine->interfaces[i];

		json_array_append_new(
			list,
			json_pack(
				"{s:o, s:o, s:o, s:i, s:i, s:i, s:o, s:b, s:o, s:o, s:o, s:b, s:b}",
				"name", text(one->name), "driver", text_or_null(one->driver), "pci",
				text_or_null(one->pci), "mtu", (int)one->mtu, "rx_queues",
				(int)one->rx_queues, "tx_queues", (int)one->tx_queues, "state",
				text_or_null(one->state), "up", one->is_up, "xdp_native",
				answer(one->native_xdp), "xdp_zero_copy", answer(one->zero_copy),
				"xdp_program",
				one->xdp_program ? json_integer(one->xdp_program) : json_null(),
				"default_route", one->has_default_route, "ssh", one->has_ssh));
	}
	return list;
}

static json_t *cards(const struct machine *machine)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < machine->card_count; i++) {
		const struct card *card = &machine->cards[i];

		json_array_append_new(list, json_pack("{s:o, s:o}", "pci", text(card->address),
						      "driver", text_or_null(card->driver)));
	}
	return list;
}

static json_t *drives(const struct machine *machine)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < machine->drive_count; i++) {
		const struct drive *drive = &machine->drives[i];

		json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "name", text(drive->name),
						      "driver", text_or_null(drive->driver), "use",
						      text_or_null(drive->use)));
	}
	return list;
}

static json_t *rdma(const struct machine *machine)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < machine->rdma_count; i++)
		json_array_append_new(list, text(machine->rdma[i]));
	return list;
}

static json_t *gids(const struct rdma_port *port)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < port->gid_count; i++) {
		const struct rdma_gid *gid = &port->gids[i];

		json_array_append_new(list, json_pack("{s:i, s:o, s:o}", "index", (int)gid->index,
						      "address", text(gid->address), "type",
						      text_or_null(gid->type)));
	}
	return list;
}

static json_t *rdma_ports(const struct machine *machine)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < machine->rdma_port_count; i++) {
		const struct rdma_port *one = &machine->rdma_ports[i];

		json_array_append_new(
			list,
			json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:b, s:o}", "device",
				  text(one->device), "port", (int)one->number, "state",
				  text_or_null(one->state), "link_layer",
				  text_or_null(one->link_layer), "interface",
				  text_or_null(one->interface), "active_mtu",
				  one->active_mtu ? json_integer(one->active_mtu) : json_null(),
				  "verbs", one->verbs == DOOR_OPEN, "gids", gids(one)));
	}
	return list;
}

static json_t *error_or_null(int error)
{
	return error ? json_string(strerror(error)) : json_null();
}

static json_t *verdicts(const struct finding *finding)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < finding->verdict_count; i++) {
		const struct verdict *one = &finding->verdicts[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o}", "libos",
						      one->libos, "device", one->device, "state",
						      doctor_outcome(one->outcome), "missing",
						      text_or_null(one->missing), "command",
						      text_or_null(one->command)));
	}
	return list;
}

/* In the order of demi-doctor(1). */
static json_t *describe(const struct finding *finding)
{
	const struct machine *machine = &finding->machine;

	return json_pack(
		"{s:s, s:o, s:{s:i, s:o}, s:{s:b, s:o}, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:b, "
		"s:{s:b, s:b, s:i}, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:b}",
		"version", DEMI_VERSION, "kernel", text(machine->kernel), "cpus", "count",
		(int)machine->cpu_count, "list", text(machine->cpus), "user", "root",
		machine->is_root, "capabilities", capabilities(machine), "limits", "memlock_bytes",
		limit(machine->memlock_bytes), "open_files", limit(machine->files_max),
		"huge_pages", huge_pages(machine), "unprivileged_bpf_disabled",
		limit(machine->unprivileged_bpf), "io_uring_error",
		error_or_null(machine->io_uring_error), "af_xdp_error",
		error_or_null(machine->af_xdp_error), "tun", machine->has_tun, "vfio", "device",
		machine->has_vfio, "driver", machine->knows_vfio_pci, "iommu_groups",
		(int)machine->iommu_groups, "interfaces", interfaces(machine), "cards",
		cards(machine), "nvme", drives(machine), "rdma", rdma(machine), "rdma_ports",
		rdma_ports(machine), "rdma_cm", machine->rdma_cm == DOOR_OPEN, "soft_roce",
		machine->knows_rxe, "liboses", verdicts(finding), "network",
		verdict_has_network(finding->verdicts, finding->verdict_count));
}

bool doctor_print_json(const struct finding *finding)
{
	json_t *object = describe(finding);

	if (!object)
		return false;
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
	return true;
}
