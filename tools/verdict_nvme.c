/* SPDX-License-Identifier: MIT */
/* Whether Cattree can run over an NVMe drive by our own driver, and over which. */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "verdict_words.h"

/* The queues, and the heap that a program has at its start. */
#define LOCKED_BYTES INT64_C(33554432)
#define HUGE_PAGE_KIB 2048u
#define HUGE_PAGES ((unsigned int)(LOCKED_BYTES / 1024 / HUGE_PAGE_KIB))

/* ---- Drives ---- */

static const struct drive *drive_of(const struct machine *machine, const char *driver)
{
	for (unsigned int i = 0; i < machine->drive_count; i++) {
		if (strcmp(machine->drives[i].driver, driver) == 0)
			return &machine->drives[i];
	}
	return NULL;
}

/* That neither the kernel's driver nor vfio-pci has. */
static const struct drive *stray_drive(const struct machine *machine)
{
	for (unsigned int i = 0; i < machine->drive_count; i++) {
		const struct drive *here = &machine->drives[i];

		if (strcmp(here->driver, "nvme") != 0 && strcmp(here->driver, "vfio-pci") != 0)
			return here;
	}
	return NULL;
}

/* One device has all namespaces of a controller. */
static bool is_in_use(const struct machine *machine, const char *address)
{
	bool in_use = false;

	for (unsigned int i = 0; i < machine->drive_count; i++)
		in_use |= strcmp(machine->drives[i].pci, address) == 0 &&
			  machine->drives[i].use[0] != '\0';
	return in_use;
}

/* The kernel's, with no namespace in use. What is on it, `demi nvme bind` looks at. */
static const struct drive *spare_drive(const struct machine *machine)
{
	for (unsigned int i = 0; i < machine->drive_count; i++) {
		const struct drive *here = &machine->drives[i];

		if (strcmp(here->driver, "nvme") == 0 && here->pci[0] &&
		    !is_in_use(machine, here->pci))
			return here;
	}
	return NULL;
}

/* ---- One that vfio-pci has ---- */

static bool may_lock(const struct machine *machine)
{
	return machine->memlock_bytes < 0 || machine->memlock_bytes >= LOCKED_BYTES ||
	       machine_has_capability(machine, CAP_IPC_LOCK);
}

static void judge_ready(struct verdict *verdict, const struct machine *machine,
			const struct drive *drive)
{
	if (!machine->has_vfio) {
		lacks(verdict, "to be allowed to open /dev/vfio/vfio");
		with(verdict, "%schmod 666 /dev/vfio/vfio", as_root(machine));
	} else if (!drive->may_open_group) {
		lacks(verdict, "to be allowed to open /dev/vfio/%s, the IOMMU group of %s",
		      drive->group, drive->name);
		with(verdict, "%schown $USER /dev/vfio/%s", as_root(machine), drive->group);
	} else if (!may_lock(machine)) {
		lacks(verdict, "memory that may be locked: %lld KiB, and it takes %lld",
		      (long long)machine->memlock_bytes / 1024, (long long)LOCKED_BYTES / 1024);
		/* ulimit cannot go above the hard limit, which as a rule is the same. */
		with(verdict, "%sprlimit --pid $$ --memlock=unlimited", as_root(machine));
	} else {
		with(verdict, "LIBOS=catnap+cattree DEMI_BLK_DEV=nvme:%s PROGRAM", drive->name);
	}
}

static unsigned int huge_pages(const struct machine *machine)
{
	for (unsigned int i = 0; i < PAGE_SIZES_MAX; i++) {
		if (machine->pages[i].kib == HUGE_PAGE_KIB)
			return machine->pages[i].free;
	}
	return 0;
}

/* With physical addresses: only root is told them, and only those of huge pages stay as they are. */
static void judge_physical(struct verdict *verdict, const struct machine *machine,
			   const struct drive *drive)
{
	if (huge_pages(machine) < HUGE_PAGES) {
		lacks(verdict, "free huge pages: %u, and it takes %u, as %s is behind no IOMMU",
		      huge_pages(machine), HUGE_PAGES, drive->name);
		with(verdict, "%ssysctl vm.nr_hugepages=%u", as_root(machine), 2 * HUGE_PAGES);
		return;
	}
	if (!machine->is_root)
		lacks(verdict, "root, as %s is behind no IOMMU", drive->name);
	with(verdict,
	     "%senv DEMI_HEAP_HUGE_PAGES=reserved LIBOS=catnap+cattree "
	     "DEMI_BLK_DEV=nvme:%s,noiommu PROGRAM",
	     as_root(machine), drive->name);
}

/* ---- One that it has not ---- */

static void judge_others(struct verdict *verdict, const struct machine *machine)
{
	const struct drive *spare = spare_drive(machine), *stray = stray_drive(machine);

	if (!machine->knows_vfio_pci) {
		lacks(verdict, "vfio-pci in this kernel");
		with(verdict, "%sapt-get install linux-image-amd64", as_root(machine));
	} else if (spare) {
		lacks(verdict, "vfio-pci at %s; the kernel has its disk %s no more then",
		      spare->pci, spare->name);
		with(verdict, "%sdemi nvme bind %s", as_root(machine), spare->pci);
	} else if (stray) {
		lacks(verdict,
		      "the kernel's driver nvme at %s, which tells what is on it, and then vfio-pci",
		      stray->name);
		with(verdict, "%sdemi nvme unbind %s", as_root(machine), stray->name);
	} else {
		lacks(verdict, "an NVMe drive to spare: those that there are are in use");
	}
}

void judge_nvme(struct verdict *verdict, const struct machine *machine)
{
	const struct drive *ready = drive_of(machine, "vfio-pci");

	if (machine->drive_count == 0)
		lacks(verdict, "an NVMe drive");
	else if (ready && ready->no_iommu)
		judge_physical(verdict, machine, ready);
	else if (machine->iommu_groups == 0)
		lacks_iommu(verdict, machine);
	else if (ready)
		judge_ready(verdict, machine, ready);
	else
		judge_others(verdict, machine);
}
