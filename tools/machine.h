/* SPDX-License-Identifier: MIT */
/* What `demi doctor` finds out about a machine, before anything is concluded from it. */
#ifndef TOOLS_MACHINE_H
#define TOOLS_MACHINE_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define INTERFACES_MAX 64
#define CARDS_MAX 64
#define DRIVES_MAX 64
#define RDMA_MAX 16
#define RDMA_PORTS_MAX 32
#define RDMA_GIDS_MAX 16 /* of a port; those behind them are left out */
#define PAGE_SIZES_MAX 4

#define PCI_ADDRESS_BYTES 16 /* "0000:03:00.0" */
#define DRIVER_BYTES 32

enum answer { ANSWER_UNKNOWN, ANSWER_NO, ANSWER_YES };

/* Of Ethernet. */
struct interface {
	char name[IF_NAMESIZE];
	char driver[DRIVER_BYTES];   /* empty: unknown */
	char pci[PCI_ADDRESS_BYTES]; /* the card; empty: none */
	char state[16];              /* operstate: up, down, ... */
	bool is_up;                  /* as it was set */
	unsigned int mtu;            /* bytes */
	unsigned int rx_queues, tx_queues;
	enum answer native_xdp; /* in its driver; every interface has the generic one */
	enum answer zero_copy;
	uint32_t xdp_program; /* the number of the one attached; 0: none */
	bool has_default_route;
	bool has_ssh; /* a session comes in over it */
};

/* A network card on the PCI bus, whatever driver has it. */
struct card {
	char address[PCI_ADDRESS_BYTES];
	char driver[DRIVER_BYTES]; /* empty: none */
};

struct drive {
	char name[PCI_ADDRESS_BYTES]; /* nvme0n1; a PCI address when another driver has it */
	char driver[DRIVER_BYTES];    /* empty: none */
	char use[64];                 /* "mounted on /"; empty: not in use */
	char pci[PCI_ADDRESS_BYTES];  /* its controller's; empty: not known */
	char group[12];               /* its IOMMU group's number; empty: none, or the kernel's */
	bool may_open_group;          /* /dev/vfio/GROUP */
	bool no_iommu;                /* the group is one of VFIO's own, of a device behind none */
};

enum door {
	DOOR_NONE,      /* the kernel has none: a module is not loaded */
	DOOR_NOT_SHOWN, /* the kernel has it, but not this system, a container as a rule */
	DOOR_CLOSED,    /* its file is there, and not for this user */
	DOOR_OPEN,
};

struct rdma_gid {
	unsigned int index;
	char address[INET6_ADDRSTRLEN]; /* as of IP: 10.0.0.1, fe80::1 */
	char type[24];                  /* RoCE v2, IB/RoCE v1 */
	bool is_address;                /* of IP, and not only of the link */
};

/* Of an RDMA device, all of whose ports have the same door. */
struct rdma_port {
	char device[32];
	unsigned int number;
	char state[16];              /* ACTIVE, DOWN, INIT, ...; empty: not told */
	char link_layer[16];         /* Ethernet, InfiniBand; empty: not told */
	char interface[IF_NAMESIZE]; /* of the kernel's, below it; empty: none, or not told */
	unsigned int active_mtu;     /* bytes that a packet may carry; 0: not known */
	enum door verbs;             /* /dev/infiniband/uverbsN */
	char verbs_name[16];         /* uverbsN; empty: none */
	struct rdma_gid gids[RDMA_GIDS_MAX];
	unsigned int gid_count;
};

struct pages {
	unsigned int kib; /* of each */
	unsigned int total, free;
};

struct machine {
	char kernel[128];
	char cpus[64]; /* 0-3,8 */
	unsigned int cpu_count;
	bool is_root;
	uint64_t capabilities; /* bits as in <linux/capability.h> */
	int64_t memlock_bytes; /* -1: unlimited */
	int64_t files_max;     /* -1: unlimited */
	int unprivileged_bpf;  /* kernel.unprivileged_bpf_disabled; -1: not told */
	int io_uring_disabled; /* kernel.io_uring_disabled; -1: no such setting, so it is 0 */
	int io_uring_error;    /* of a ring that was made; 0: it works */
	int af_xdp_error;      /* of a socket that was made; 0: it works */
	bool has_tun;          /* /dev/net/tun, for this user */
	bool knows_tun;        /* the kernel has it, with or without the file */
	bool has_vfio;         /* /dev/vfio/vfio, for this user */
	bool knows_vfio_pci;   /* the driver is loaded, or can be */
	bool is_virtual;       /* a guest of some hypervisor */
	bool is_intel;
	unsigned int iommu_groups;

	struct pages pages[PAGE_SIZES_MAX];
	struct interface interfaces[INTERFACES_MAX];
	struct card cards[CARDS_MAX];
	struct drive drives[DRIVES_MAX];
	char rdma[RDMA_MAX][32];
	struct rdma_port rdma_ports[RDMA_PORTS_MAX];
	enum door rdma_cm;          /* /dev/infiniband/rdma_cm */
	bool knows_rxe;             /* Soft-RoCE is loaded, or can be */
	bool has_others_interfaces; /* /sys is another network namespace's; they are left out */
	unsigned int page_sizes, interface_count, card_count, drive_count, rdma_count;
	unsigned int rdma_port_count;
};

/** machine_look - at the machine of files.h; what is not told stays zero or as said above */
void machine_look(struct machine *machine);

/* Parts of it. */
void machine_look_at_interfaces(struct machine *machine);
void machine_look_at_drives(struct machine *machine);
void machine_look_at_rdma(struct machine *machine);

/** machine_can_load - whether the kernel's modules have "/NAME.ko", as a file or built in */
bool machine_can_load(const struct machine *machine, const char *file_name);

bool machine_has_capability(const struct machine *machine, unsigned int capability);

#endif /* TOOLS_MACHINE_H */
