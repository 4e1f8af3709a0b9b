/* SPDX-License-Identifier: MIT */
/*
 * DPDK's environment (EAL). It can be started once in a process and has state of its own for the
 * whole process, as this file has: a program may close its last device and open another, so it is
 * never cleaned up. Devices come and go by hotplug.
 */
#include <errno.h>
#include <pthread.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_pci.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "netdev/dpdk.h"

static struct {
	pthread_mutex_t lock;
	pid_t started_by; /* 0: not started */
	bool has_pci;
	struct dpdk_arguments arguments; /* the EAL keeps pointers into them */
} eal = {.lock = PTHREAD_MUTEX_INITIALIZER};

void dpdk_eal_lock(void)
{
	pthread_mutex_lock(&eal.lock);
}

void dpdk_eal_unlock(void)
{
	pthread_mutex_unlock(&eal.lock);
}

/* ---- starting it ---- */

/* What the EAL changes of the calling thread. */
struct thread_state {
	cpu_set_t affinity;
	bool has_affinity;
	sigset_t signals;
};

/* Threads inherit the mask: the application's signals are for its own threads. */
static void thread_save(struct thread_state *state)
{
	static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&blocked, faults[i]);
	pthread_sigmask(SIG_BLOCK, &blocked, &state->signals);
	state->has_affinity = sched_getaffinity(0, sizeof(state->affinity), &state->affinity) == 0;
}

static void thread_restore(const struct thread_state *state)
{
	if (state->has_affinity)
		sched_setaffinity(0, sizeof(state->affinity), &state->affinity);
	pthread_sigmask(SIG_SETMASK, &state->signals, NULL);
}

/* The EAL makes its directory even when it puts nothing there, and leaves it behind. */
static void remove_runtime_directory(void)
{
	char path[256];
	char *slash;

	snprintf(path, sizeof(path), "%s", rte_eal_get_runtime_dir());
	slash = strrchr(path, '/');
	if (!slash || rmdir(path) < 0)
		return;
	*slash = '\0';
	rmdir(path); /* of all DPDK processes; fails when there are others */
}

static void say_why_not_started(const struct dpdk_device *device, const struct config *config,
				int error)
{
	const char *name = device->netdev.name;
	const char *said = dpdk_log_collected(rte_strerror(-error));

	if (error == -EALREADY)
		log_error("%s: DPDK could not start before in this process and does not try twice: "
			  "restart the program",
			  name);
	else
		log_error("%s: DPDK does not start: %s; look at dpdk.args (\"%s\"), at the free "
			  "huge pages (--no-huge does without) and at what this user may do",
			  name, said, config->dpdk.args);
}

static int eal_init(const struct dpdk_device *device, const struct config *config, const char *pci)
{
	struct thread_state thread;
	int error = dpdk_words_check(device->netdev.name, config->dpdk.args);

	if (error)
		return error;
	/* With a level of his own the operator wants to read DPDK's messages as they are. */
	if (!dpdk_arguments_have(config->dpdk.args, "--log-level"))
		error = dpdk_log_open();
	if (!error)
		error = dpdk_arguments_make(&eal.arguments, config, pci);
	if (error) {
		log_error("%s: too many words in dpdk.args, or no memory: %s", device->netdev.name,
			  strerror(-error));
		return error;
	}
	dpdk_log_collect();
	thread_save(&thread);
	dpdk_log_mute(!dpdk_arguments_have(config->dpdk.args, "--log-level"));
	error = rte_eal_init((int)eal.arguments.count, eal.arguments.words);
	if (error < 0)
		error = rte_errno > 0 ? -rte_errno : -EINVAL;
	dpdk_log_unmute();
	thread_restore(&thread);
	remove_runtime_directory();
	if (error < 0) {
		say_why_not_started(device, config, error);
		return error;
	}
	dpdk_log_collected("");
	eal.started_by = getpid();
	eal.has_pci = rte_eal_has_pci() != 0;
	return 0;
}

/* Started, and of use for this device. */
static int eal_require(const struct dpdk_device *device, const struct config *config,
		       const char *pci)
{
	const char *name = device->netdev.name;
	int error = 0;

	if (!eal.started_by)
		error = eal_init(device, config, pci);
	if (error)
		return error;
	if (eal.started_by != getpid()) {
		log_error("%s: DPDK was started by the parent process and does not live on after "
			  "a fork: start a new program in the child",
			  name);
		return -ENOTSUP;
	}
	if (rte_eal_iova_mode() != RTE_IOVA_VA) {
		log_error("%s: DPDK uses physical addresses, which the heap does not have: turn "
			  "the IOMMU on, bind the device to vfio-pci and leave --iova-mode out of "
			  "dpdk.args",
			  name);
		return -ENOTSUP;
	}
	if (pci && !eal.has_pci) {
		log_error("%s: DPDK was started without PCI in this process: open this device "
			  "first, or give dpdk.args \"--allow=%s\"",
			  name, pci);
		return -ENODEV;
	}
	return 0;
}

/* ---- devices ---- */

/*
 * "0000:01:00.0" of "01:00.0,key=value", "net_memif0" of "net_memif0,role=client". Returns whether
 * it is the address of a PCI device.
 */
static bool device_name(const char *arguments, char *name, size_t size)
{
	struct rte_pci_addr address;

	snprintf(name, size, "%.*s", (int)strcspn(arguments, ","), arguments);
	if (rte_pci_addr_parse(name, &address) != 0)
		return false;
	rte_pci_device_name(&address, name, size);
	return true;
}

/* Whoever has it. */
static bool find_port(struct dpdk_device *device, const char *name)
{
	struct rte_eth_dev_info info;

	for (uint16_t port = 0; port < RTE_MAX_ETHPORTS; port++) {
		if (!rte_eth_dev_is_valid_port(port) || rte_eth_dev_info_get(port, &info) < 0 ||
		    strcmp(rte_dev_name(info.device), name) != 0)
			continue;
		device->port = port;
		device->rte_device = info.device;
		return true;
	}
	return false;
}

static int probe(const char *arguments, bool is_pci)
{
	struct thread_state thread;
	int error;

	thread_save(&thread);
	error = rte_dev_probe(arguments);
	thread_restore(&thread);
	if (error >= 0)
		return 0;
	if (error == -1) /* of drivers, and not EPERM */
		return is_pci ? -ENODEV : -EINVAL;
	return error == -EFAULT ? -ENODEV : error;
}

static void say_why_no_device(const struct dpdk_device *device, const char *name, int error)
{
	const char *said = dpdk_log_collected(strerror(-error));

	if (error == -EEXIST)
		log_error("%s: this process uses %s already", device->netdev.name, name);
	else if (dpdk_af_xdp_say_why_not(device, said))
		return;
	else if (device->is_vdev)
		log_error("%s: DPDK makes no such device: %s; give a name that begins with its "
			  "driver's, what the driver knows, and see what this user may do; as in "
			  "net_memif0,role=client,socket=/run/memif.sock",
			  device->netdev.name, said);
	else
		dpdk_pci_say_why_not(device->netdev.name, name, said);
}

/* Returns: 0; -EEXIST: another device of ours has it. */
static int own_port(const struct dpdk_device *device)
{
	struct rte_eth_dev_owner owner = {.name = "demi"};
	int error = rte_eth_dev_owner_new(&owner.id);

	if (!error)
		error = rte_eth_dev_owner_set(device->port, &owner);
	return error == -EPERM ? -EEXIST : error;
}

/* The port of a device that is there already, by dpdk.args or by --allow, or of a new one. */
static int find_or_probe(struct dpdk_device *device, const char *name, const char *arguments)
{
	int error;

	if (find_port(device, name))
		return own_port(device);
	error = probe(arguments, !device->is_vdev);
	if (error)
		return error;
	if (!find_port(device, name))
		return -ENODEV;
	error = own_port(device);
	if (error)
		dpdk_eal_detach(device);
	return error;
}

/* Its other side would map files of memory that the EAL has allocated: the heap is none. */
static bool wants_zero_copy_memif(const char *name, const char *arguments)
{
	return strncmp(name, "net_memif", strlen("net_memif")) == 0 &&
	       strstr(arguments, "zero-copy=yes");
}

int dpdk_eal_attach(struct dpdk_device *device, const char *arguments, const struct config *config)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	bool is_pci = device_name(arguments, name, sizeof(name));
	int error = 0;

	device->is_vdev = !is_pci;
	if (name[0] == '\0' || wants_zero_copy_memif(name, arguments)) {
		log_error("%s: %s", device->netdev.name,
			  name[0] ? "memif cannot share the heap: leave zero-copy=yes out"
				  : "give a device, as in dpdk:net_memif0,role=client or "
				    "dpdk:0000:01:00.0");
		return -EINVAL;
	}
	if (!is_pci && dpdk_keys_check(device->netdev.name, arguments) < 0)
		return -EINVAL;
	/* Before the one start that the EAL has in a process. */
	if (is_pci && !dpdk_pci_is_there(name)) {
		log_error("%s: this machine has no PCI device %s; lspci -D lists those it has",
			  device->netdev.name, name);
		return -ENODEV;
	}
	error = eal_require(device, config, is_pci ? arguments : NULL);
	if (error)
		return error;
	dpdk_log_collect();
	error = find_or_probe(device, name, arguments);
	if (error)
		say_why_no_device(device, name, error);
	else
		dpdk_log_collected("");
	return error;
}

void dpdk_eal_detach(struct dpdk_device *device)
{
	struct thread_state thread;

	dpdk_log_collect();
	thread_save(&thread);
	rte_eth_dev_close(device->port);
	rte_dev_remove(device->rte_device);
	thread_restore(&thread);
	dpdk_log_collected("");
}
