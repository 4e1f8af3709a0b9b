/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"

#define LABEL_WIDTH 18

/* ---- The machine ---- */

__attribute__((format(printf, 2, 3))) static void row(const char *label, const char *format, ...)
{
	va_list arguments;

	printf("  %-*s  ", LABEL_WIDTH, label);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static void print_rights(const struct machine *machine)
{
	bool any = false;

	printf("  %-*s  %s", LABEL_WIDTH, "user", machine->is_root ? "root" : "not root");
	for (const struct capability *one = doctor_capabilities; one->name; one++) {
		if (!machine_has_capability(machine, one->number))
			continue;
		printf("%s%s", any ? ", " : "; has ", one->name);
		any = true;
	}
	puts(any ? "" : "; none of the capabilities that devices want");
}

static void print_limit(const char *label, int64_t limit, int64_t unit, const char *name)
{
	if (limit < 0)
		row(label, "unlimited");
	else
		row(label, "%lld%s", (long long)(limit / unit), name);
}

static void print_pages(const struct machine *machine)
{
	for (unsigned int i = 0; i < machine->page_sizes; i++) {
		const struct pages *pages = &machine->pages[i];

		row(i == 0 ? "huge pages" : "", "%u of %u free, %u KiB each", pages->free,
		    pages->total, pages->kib);
	}
	if (machine->page_sizes == 0)
		row("huge pages", "not in this kernel");
}

static const char *bpf_setting(int value)
{
	switch (value) {
	case 0:
		return "allowed (kernel.unprivileged_bpf_disabled is 0)";
	case 1:
		return "off, until the next start of the machine (1)";
	case 2:
		return "off (2)";
	default:
		return "not told";
	}
}

static const char *io_uring(const struct machine *machine)
{
	if (machine->io_uring_error == 0)
		return "works";
	return machine->io_uring_disabled > 0 ? "off: kernel.io_uring_disabled"
					      : strerror(machine->io_uring_error);
}

static const char *door(enum door door)
{
	static const char *const words[] = {[DOOR_NONE] = "not there",
					    [DOOR_NOT_SHOWN] = "in the kernel, not shown here",
					    [DOOR_CLOSED] = "not for this user",
					    [DOOR_OPEN] = "may be opened"};

	return words[door];
}

static void print_doors(const struct machine *machine)
{
	row("unprivileged BPF", "%s", bpf_setting(machine->unprivileged_bpf));
	row("io_uring", "%s", io_uring(machine));
	row("AF_XDP", "%s", machine->af_xdp_error ? strerror(machine->af_xdp_error) : "works");
	row("/dev/net/tun", "%s",
	    machine->has_tun     ? "may be opened"
	    : machine->knows_tun ? "in the kernel, not for this user"
				 : "not there");
	row("VFIO", "%s%s", machine->has_vfio ? "may be opened" : "not there, or not for this user",
	    machine->knows_vfio_pci ? "; vfio-pci can be had" : "; no vfio-pci in this kernel");
	row("IOMMU", "%u groups", machine->iommu_groups);
	row("RDMA by address", "%s", door(machine->rdma_cm));
}

static void print_drives(const struct machine *machine)
{
	for (unsigned int i = 0; i < machine->drive_count; i++) {
		const struct drive *drive = &machine->drives[i];

		row(i == 0 ? "NVMe" : "", "%s, %s: %s", drive->name,
		    drive->driver[0] ? drive->driver : "no driver",
		    drive->use[0] ? drive->use : "not in use");
	}
	if (machine->drive_count == 0)
		row("NVMe", "none");
}

static void print_machine(const struct machine *machine)
{
	printf("Machine\n");
	row("kernel", "%s", machine->kernel);
	row("CPUs", "%u: %s", machine->cpu_count, machine->cpus);
	print_rights(machine);
	print_limit("locked memory", machine->memlock_bytes, 1024, " KiB");
	print_limit("open files", machine->files_max, 1, "");
	print_pages(machine);
	print_doors(machine);
	print_drives(machine);
}

/* ---- Interfaces ---- */

static const char *xdp(const struct interface *interface)
{
	if (interface->native_xdp == ANSWER_NO)
		return "generic";
	if (interface->native_xdp == ANSWER_UNKNOWN)
		return "generic?";
	return interface->zero_copy == ANSWER_YES ? "zero-copy" : "native";
}

/* The last column; only what stands before something is filled up with blanks. */
static void print_xdp(const struct interface *interface)
{
	bool has_notes = verdict_is_vital(interface) || interface->xdp_program;

	printf("  %-*s", has_notes ? 9 : 0, xdp(interface));
	if (interface->has_default_route)
		printf("  default route");
	if (interface->has_ssh)
		printf("  ssh");
	if (interface->xdp_program)
		printf("  XDP program %u", interface->xdp_program);
	putchar('\n');
}

static const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

static void print_interfaces(const struct machine *machine)
{
	printf("\nInterfaces\n");
	if (machine->has_others_interfaces)
		printf("  left out: those of another network namespace, which /sys shows here\n");
	if (machine->interface_count == 0) {
		printf("  none of Ethernet\n");
		return;
	}
	printf("  %-15s  %-12s  %-12s  %5s  %6s  %-8s  %s\n", "name", "driver", "card", "MTU",
	       "queues", "state", "XDP");
	for (unsigned int i = 0; i < machine->interface_count; i++) {
		const struct interface *interface = &machine->interfaces[i];
		char queues[24];

		snprintf(queues, sizeof(queues), "%u/%u", interface->rx_queues,
			 interface->tx_queues);
		printf("  %-15s  %-12s  %-12s  %5u  %6s  %-8s", interface->name,
		       or_dash(interface->driver), or_dash(interface->pci), interface->mtu, queues,
		       or_dash(interface->state));
		print_xdp(interface);
	}
}

static void print_cards(const struct machine *machine)
{
	if (machine->card_count == 0)
		return;
	printf("\nNetwork cards on the PCI bus\n");
	for (unsigned int i = 0; i < machine->card_count; i++)
		printf("  %-15s  %s\n", machine->cards[i].address,
		       or_dash(machine->cards[i].driver));
}

/* ---- RDMA ---- */

static void print_gids(const struct rdma_port *port)
{
	for (unsigned int i = 0; i < port->gid_count; i++) {
		const struct rdma_gid *gid = &port->gids[i];

		printf("  %-15s  GID %u: %s%s%s\n", "", gid->index, gid->address,
		       gid->type[0] ? ", " : "", gid->type);
	}
}

static void print_rdma(const struct machine *machine)
{
	printf("\nRDMA devices\n");
	if (machine->rdma_count == 0) {
		printf("  none\n");
		return;
	}
	printf("  %-15s  %4s  %-8s  %-10s  %-12s  %5s  %s\n", "name", "port", "state", "link",
	       "interface", "MTU", "verbs");
	for (unsigned int i = 0; i < machine->rdma_port_count; i++) {
		const struct rdma_port *port = &machine->rdma_ports[i];
		char mtu[16] = "-";

		if (port->active_mtu)
			snprintf(mtu, sizeof(mtu), "%u", port->active_mtu);
		printf("  %-15s  %4u  %-8s  %-10s  %-12s  %5s  %s\n", port->device, port->number,
		       or_dash(port->state), or_dash(port->link_layer), or_dash(port->interface),
		       mtu, door(port->verbs));
		print_gids(port);
	}
}

/* ---- What follows ---- */

static void print_verdicts(const struct finding *finding)
{
	printf("\nLibrary OSes\n");
	for (unsigned int i = 0; i < finding->verdict_count; i++) {
		const struct verdict *verdict = &finding->verdicts[i];

		printf("  %-8s  %-13s  %s%s%s\n", verdict->libos, verdict->device,
		       doctor_outcome(verdict->outcome), verdict->outcome == IS_MISSING ? ": " : "",
		       verdict->missing);
		if (verdict->command[0])
			printf("  %-8s  %-13s    %s\n", "", "", verdict->command);
	}
}

static void print_warnings(const struct machine *machine)
{
	for (unsigned int i = 0; i < machine->interface_count; i++) {
		const struct interface *interface = &machine->interfaces[i];

		if (!verdict_is_vital(interface))
			continue;
		printf("\nwarning: %s has %s%s%s. AF_XDP shares it with the kernel, which keeps its "
		       "own\naddresses: give Demi others. Bound to vfio-pci it would be gone.\n",
		       interface->name, interface->has_default_route ? "the default route" : "",
		       interface->has_default_route && interface->has_ssh ? " and " : "",
		       interface->has_ssh ? "an ssh session on it" : "");
	}
}

void doctor_print_text(const struct finding *finding)
{
	print_machine(&finding->machine);
	print_interfaces(&finding->machine);
	print_cards(&finding->machine);
	print_rdma(&finding->machine);
	print_verdicts(finding);
	print_warnings(&finding->machine);
}
