/* SPDX-License-Identifier: MIT */
#include "verdict.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "settings.h"
#include "verdict_words.h"

/* net.frames of 4096 times 2048 bytes: what AF_XDP locks by default. */
#define AFXDP_LOCKED_BYTES INT64_C(8388608)
#define ON_ADDRESS "--ip 10.0.0.2/24 -- PROGRAM"

#ifdef DEMI_HAVE_XDP
#define AFXDP_OUTCOME CAN_RUN
#else
#define AFXDP_OUTCOME NOT_IN_BUILD
#endif
#ifdef DEMI_HAVE_DPDK
#define DPDK_OUTCOME CAN_RUN
#else
#define DPDK_OUTCOME NOT_IN_BUILD
#endif
#ifdef DEMI_HAVE_URING
#define URING_OUTCOME CAN_RUN
#else
#define URING_OUTCOME NOT_IN_BUILD
#endif
#ifdef DEMI_HAVE_RDMA
#define RDMA_OUTCOME CAN_RUN
#else
#define RDMA_OUTCOME NOT_IN_BUILD
#endif

/* ---- Permissions ---- */

/*
 * A right that a user lacks is root's; one that root lacks, the container's or service's that it is
 * in, for which there is the option of who runs containers. @names: "CAP_NET_ADMIN and CAP_BPF".
 */
static void lacks_right(struct verdict *verdict, const struct machine *machine, const char *names,
			const char *docker, const char *device)
{
	if (!machine->is_root) {
		lacks(verdict, "root, or %s", names);
		with(verdict, "sudo demi run --dev %s " ON_ADDRESS, device);
		return;
	}
	lacks(verdict, "%s, which root has not in here; who starts the container gives it", names);
	with(verdict, "docker run %s ...", docker);
}

/* ---- Catnap ---- */

/* @command: what runs where there is io_uring */
static void judge_uring(struct verdict *verdict, const struct machine *machine, const char *command)
{
	if (machine->io_uring_error == 0) {
		with(verdict, "%s", command);
	} else if (machine->io_uring_disabled > 0) {
		lacks(verdict, "kernel.io_uring_disabled is %d", machine->io_uring_disabled);
		with(verdict, "%ssysctl -w kernel.io_uring_disabled=0", as_root(machine));
	} else if (machine->io_uring_error == ENOSYS) {
		lacks(verdict, "io_uring in this kernel");
		with(verdict, "%sapt-get install linux-image-amd64", as_root(machine));
	} else {
		lacks(verdict,
		      "io_uring: %s; a container's filter of system calls may keep it back",
		      strerror(machine->io_uring_error));
		with(verdict, "docker run --security-opt seccomp=unconfined ...");
	}
}

static void judge_engine(struct verdict *verdict, const struct machine *machine)
{
	judge_uring(verdict, machine, "LIBOS=catnap DEMI_CATNAP_ENGINE=uring PROGRAM");
}

/* ---- Cattree ---- */

static void judge_file(struct verdict *verdict, const struct machine *machine)
{
	judge_uring(verdict, machine,
		    "truncate -s 1G demi.img && LIBOS=catnap+cattree DEMI_BLK_DEV=uring:demi.img "
		    "PROGRAM");
}

/* ---- Catnip over AF_XDP ---- */

bool verdict_is_vital(const struct interface *interface)
{
	return interface->has_default_route || interface->has_ssh;
}

/* The less, the better it is to take this one. */
static unsigned int drawbacks(const struct interface *interface)
{
	return (interface->xdp_program != 0) * 32u +
	       (interface->mtu > SETTINGS_AFXDP_MTU_MAX) * 16u + !interface->is_up * 8u +
	       (verdict_is_vital(interface)) * 4u + (interface->native_xdp == ANSWER_NO) * 2u +
	       (interface->zero_copy != ANSWER_YES);
}

static const struct interface *best_interface(const struct machine *machine)
{
	const struct interface *best = NULL;

	for (unsigned int i = 0; i < machine->interface_count; i++) {
		const struct interface *here = &machine->interfaces[i];

		if (!has_no_wire(here) && (!best || drawbacks(here) < drawbacks(best)))
			best = here;
	}
	return best;
}

static void judge_interface(struct verdict *verdict, const struct machine *machine,
			    const struct interface *best)
{
	if (best->xdp_program) {
		lacks(verdict, "%s: it has an XDP program already, number %u; end who uses it, or",
		      best->name, best->xdp_program);
		with(verdict, "%sip link set dev %s xdp off", as_root(machine), best->name);
	} else if (best->mtu > SETTINGS_AFXDP_MTU_MAX) {
		lacks(verdict, "%s: its MTU of %u is more than %d", best->name, best->mtu,
		      SETTINGS_AFXDP_MTU_MAX);
		with(verdict, "%sip link set dev %s mtu 1500", as_root(machine), best->name);
	} else if (!best->is_up) {
		lacks(verdict, "%s: it is down", best->name);
		with(verdict, "%sip link set dev %s up", as_root(machine), best->name);
	} else {
		with(verdict, "demi run --dev afxdp:%s " ON_ADDRESS, best->name);
	}
}

static bool may_use_xdp(const struct machine *machine)
{
	return machine_has_capability(machine, CAP_NET_ADMIN) &&
	       machine_has_capability(machine, CAP_NET_RAW) &&
	       (machine_has_capability(machine, CAP_BPF) ||
		machine_has_capability(machine, CAP_SYS_ADMIN));
}

static void judge_afxdp(struct verdict *verdict, const struct machine *machine)
{
	const struct interface *best = best_interface(machine);
	char device[IF_NAMESIZE + sizeof("afxdp:")];

	snprintf(device, sizeof(device), "afxdp:%s", best ? best->name : "eth1");
	if (machine->af_xdp_error == EAFNOSUPPORT) {
		lacks(verdict, "AF_XDP in this kernel (CONFIG_XDP_SOCKETS)");
		with(verdict, "%sapt-get install linux-image-amd64", as_root(machine));
	} else if (!best && machine->has_others_interfaces) {
		lacks(verdict, "interfaces that are seen here: /sys shows those of another "
			       "network namespace; enter this one with it");
		with(verdict, "%sip netns exec NAMESPACE demi doctor", as_root(machine));
	} else if (!best) {
		lacks(verdict, "an Ethernet interface; a laboratory has one");
		with(verdict, "%sdemi lab shell", as_root(machine));
	} else if (!may_use_xdp(machine)) {
		lacks_right(verdict, machine, "CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF",
			    "--cap-add=NET_ADMIN --cap-add=NET_RAW --cap-add=BPF", device);
	} else if (machine->memlock_bytes >= 0 && machine->memlock_bytes < AFXDP_LOCKED_BYTES &&
		   !machine_has_capability(machine, CAP_IPC_LOCK)) {
		lacks(verdict, "memory that may be locked: %lld KiB, and it takes %lld",
		      (long long)machine->memlock_bytes / 1024,
		      (long long)AFXDP_LOCKED_BYTES / 1024);
		/* ulimit cannot go above the hard limit, which as a rule is the same. */
		with(verdict, "%sprlimit --pid $$ --memlock=unlimited", as_root(machine));
	} else {
		judge_interface(verdict, machine, best);
	}
}

/* ---- Catnip over DPDK ---- */

static bool is_in(const char *word, const char *const *words)
{
	while (*words && strcmp(*words, word) != 0)
		words++;
	return *words != NULL;
}

/*
 * The kernel's drivers that leave their card to DPDK's, or share it. Those of uio do it by physical
 * addresses, which Catnip does not have, and so does vfio-pci without an IOMMU.
 */
static bool is_dpdks(const struct machine *machine, const struct card *card)
{
	static const char *const sharing[] = {"mlx4_core", "mlx5_core", NULL};

	return is_in(card->driver, sharing) ||
	       (machine->iommu_groups > 0 && strcmp(card->driver, "vfio-pci") == 0);
}

static const struct interface *interface_of(const struct machine *machine, const struct card *card)
{
	for (unsigned int i = 0; i < machine->interface_count; i++) {
		if (strcmp(machine->interfaces[i].pci, card->address) == 0)
			return &machine->interfaces[i];
	}
	return NULL;
}

static const struct card *dpdks_card(const struct machine *machine)
{
	for (unsigned int i = 0; i < machine->card_count; i++) {
		if (is_dpdks(machine, &machine->cards[i]))
			return &machine->cards[i];
	}
	return NULL;
}

/* One that the machine can do without. */
static const struct card *spare_card(const struct machine *machine)
{
	for (unsigned int i = 0; i < machine->card_count; i++) {
		const struct interface *interface = interface_of(machine, &machine->cards[i]);

		if (!interface || !verdict_is_vital(interface))
			return &machine->cards[i];
	}
	return NULL;
}

/* Which is on by default for AMD's processors, but for the firmware. */
void lacks_iommu(struct verdict *verdict, const struct machine *machine)
{
	if (machine->is_virtual) {
		lacks(verdict, "an IOMMU, which the host of this virtual machine has to give it");
		return;
	}
	lacks(verdict, "an IOMMU that is on: in the firmware (VT-d, AMD-Vi), and for the kernel, "
		       "which then has to be started again");
	with(verdict,
	     "%ssh -c 'echo GRUB_CMDLINE_LINUX=\\\"\\$GRUB_CMDLINE_LINUX %siommu=pt\\\" "
	     ">/etc/default/grub.d/iommu.cfg && update-grub'",
	     as_root(machine), machine->is_intel ? "intel_iommu=on " : "");
}

static void lacks_binding(struct verdict *verdict, const struct machine *machine,
			  const struct card *card)
{
	lacks(verdict, "vfio-pci at %s, where %s is; the kernel has its interface no more then",
	      card->address, card->driver[0] ? card->driver : "no driver");
	with(verdict, "%ssh -c 'modprobe vfio-pci && dpdk-devbind.py -b vfio-pci %s'",
	     as_root(machine), card->address);
}

static void judge_pci(struct verdict *verdict, const struct machine *machine)
{
	const struct card *ready = dpdks_card(machine);
	const struct card *spare = spare_card(machine);

	if (ready && (machine->is_root || machine->has_vfio)) {
		with(verdict, "demi run --dev dpdk:%s " ON_ADDRESS, ready->address);
	} else if (ready) {
		lacks(verdict, "root, or to be allowed to open /dev/vfio");
		with(verdict, "sudo demi run --dev dpdk:%s " ON_ADDRESS, ready->address);
	} else if (machine->card_count == 0) {
		lacks(verdict, "a network card on the PCI bus");
	} else if (!spare) {
		lacks(verdict,
		      "a network card to spare: the machine's own network is on each it has");
	} else if (machine->iommu_groups == 0) {
		lacks_iommu(verdict, machine);
	} else if (!machine->knows_vfio_pci) {
		lacks(verdict, "vfio-pci in this kernel");
		with(verdict, "%sapt-get install linux-image-amd64", as_root(machine));
	} else {
		lacks_binding(verdict, machine, spare);
	}
}

static void judge_memif(struct verdict *verdict, const struct machine *machine)
{
	(void)machine; /* memory shared by two processes of any user */
	with(verdict, "demi run --dev "
		      "dpdk:net_memif0,role=server,id=0,socket=demi,socket-abstract=yes "
		      "--ip 10.0.0.1/24 -- PROGRAM");
}

/* ---- Catnip over TAP ---- */

static void judge_tap(struct verdict *verdict, const struct machine *machine)
{
	if (!machine->knows_tun) {
		lacks(verdict, "/dev/net/tun");
		with(verdict, "%smodprobe tun", as_root(machine));
	} else if (!machine->has_tun) {
		lacks(verdict, "/dev/net/tun, which the kernel has and this system does not show");
		with(verdict, "%ssh -c 'mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200'",
		     as_root(machine));
	} else if (!machine_has_capability(machine, CAP_NET_ADMIN)) {
		lacks_right(verdict, machine, "CAP_NET_ADMIN",
			    "--cap-add=NET_ADMIN --device=/dev/net/tun", "tap:demi0");
	} else {
		with(verdict, "demi run --dev tap:demi0 " ON_ADDRESS);
	}
}

/* ---- All ---- */

static void judge_sockets(struct verdict *verdict, const struct machine *machine)
{
	(void)machine;
	with(verdict, "LIBOS=catnap PROGRAM");
}

/* Of threads, without a device. */
static void judge_queues(struct verdict *verdict, const struct machine *machine)
{
	(void)machine;
	with(verdict, "LIBOS=catmem PROGRAM");
}

unsigned int verdict_all(struct verdict verdicts[VERDICTS_MAX], const struct machine *machine)
{
	static const struct {
		const char *libos, *device;
		enum outcome outcome;
		void (*judge)(struct verdict *verdict, const struct machine *machine);
	} ways[] = {
		{"catnap", "epoll", CAN_RUN, judge_sockets},
		{"catnap", "io_uring", URING_OUTCOME, judge_engine},
		{"catnip", "afxdp", AFXDP_OUTCOME, judge_afxdp},
		{"catnip", "dpdk PCI", DPDK_OUTCOME, judge_pci},
		{"catnip", "dpdk memif", DPDK_OUTCOME, judge_memif},
		{"catnip", "tap", CAN_RUN, judge_tap},
		{"cattree", "file", URING_OUTCOME, judge_file},
		{"cattree", "NVMe", CAN_RUN, judge_nvme},
		{"catmint", "RDMA", RDMA_OUTCOME, judge_rdma},
		{"catmem", "queues", CAN_RUN, judge_queues},
	};
	unsigned int count = sizeof(ways) / sizeof(ways[0]);

	for (unsigned int i = 0; i < count; i++) {
		verdicts[i] = (struct verdict){.libos = ways[i].libos,
					       .device = ways[i].device,
					       .outcome = ways[i].outcome};
		if (ways[i].outcome != NOT_IN_BUILD)
			ways[i].judge(&verdicts[i], machine);
	}
	return count;
}

bool verdict_has_network(const struct verdict *verdicts, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		if (verdicts[i].outcome == CAN_RUN && strcmp(verdicts[i].libos, "catnip") == 0)
			return true;
	}
	return false;
}
