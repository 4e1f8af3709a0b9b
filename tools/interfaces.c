/* SPDX-License-Identifier: MIT */
/* The interfaces and network cards of a machine. */
#include <arpa/inet.h>
#include <limits.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "files.h"
#include "machine.h"
#include "words.h"

#define CLASS_ETHERNET 0x0200 /* of PCI, with its subclass */
#define PORT_SSH 22
#define TCP_ESTABLISHED_STATE 1

/* ---- One interface ---- */

/* 0000:03:00.0 */
static bool is_pci_address(const char *word)
{
	static const char ends[] = {':', ':', '.', '\0'};

	for (size_t i = 0; i < sizeof(ends); i++) {
		size_t digits = strspn(word, "0123456789abcdefABCDEF");

		if (digits == 0 || word[digits] != ends[i])
			return false;
		word += digits + 1;
	}
	return true;
}

/* The card nearest to the interface in ".../0000:00:03.0/virtio2/net/eth0". */
static void find_card(struct interface *interface)
{
	char path[PATH_MAX];
	char *slash;

	if (!files_real(path, "/sys/class/net/%s/device", interface->name))
		return;
	while ((slash = strrchr(path, '/')) != NULL) {
		if (is_pci_address(slash + 1)) {
			snprintf(interface->pci, sizeof(interface->pci), "%.15s", slash + 1);
			return;
		}
		*slash = '\0';
	}
}

struct queues {
	unsigned int rx, tx;
};

static void count_queue(void *context, const char *name)
{
	struct queues *queues = context;

	queues->rx += strncmp(name, "rx-", 3) == 0;
	queues->tx += strncmp(name, "tx-", 3) == 0;
}

/* Drivers with XDP of their own, for kernels that do not tell. */
static enum answer native_by_name(const char *driver)
{
	static const char *const have[] = {
		"veth", "virtio_net", "tun",     "ixgbe",     "ixgbevf",   "i40e",          "ice",
		"igb",  "igc",        "mlx4_en", "mlx4_core", "mlx5_core", "bnxt_en",       "ena",
		"nfp",  "qede",       "sfc",     "hv_netvsc", "mana",      "thunder_nicvf",
	};

	for (size_t i = 0; i < sizeof(have) / sizeof(have[0]); i++) {
		if (strcmp(driver, have[i]) == 0)
			return ANSWER_YES;
	}
	return ANSWER_UNKNOWN;
}

static void ask_about_xdp(struct interface *interface)
{
	int64_t features = answers_xdp_features(interface->name);

	interface->xdp_program = answers_xdp_program(interface->name);
	if (features < 0) {
		interface->native_xdp = native_by_name(interface->driver);
		return;
	}
	interface->native_xdp = features & XDP_FEATURE_NATIVE ? ANSWER_YES : ANSWER_NO;
	interface->zero_copy = features & XDP_FEATURE_ZERO_COPY ? ANSWER_YES : ANSWER_NO;
}

static void look_at_link(struct interface *interface)
{
	const char *name = interface->name;
	struct queues queues = {0};
	char path[PATH_MAX];
	char line[LINE_BYTES];

	files_line(line, "/sys/class/net/%s/operstate", name);
	snprintf(interface->state, sizeof(interface->state), "%.15s", line);
	int64_t flags = files_number("/sys/class/net/%s/flags", name);
	interface->is_up = flags > 0 && (flags & IFF_UP);
	int64_t mtu = files_number("/sys/class/net/%s/mtu", name);
	interface->mtu = mtu > 0 ? (unsigned int)mtu : 0;
	snprintf(path, sizeof(path), "/sys/class/net/%s/queues", name);
	files_each(path, count_queue, &queues);
	interface->rx_queues = queues.rx;
	interface->tx_queues = queues.tx;
}

static void add_interface(void *context, const char *name)
{
	struct machine *machine = context;
	struct interface *interface = &machine->interfaces[machine->interface_count];

	if (machine->interface_count == INTERFACES_MAX || strlen(name) >= IF_NAMESIZE ||
	    files_number("/sys/class/net/%s/type", name) != ARPHRD_ETHER)
		return;
	if (files_are_ours() &&
	    if_nametoindex(name) != files_number("/sys/class/net/%s/ifindex", name)) {
		machine->has_others_interfaces = true;
		return;
	}
	machine->interface_count++;
	memcpy(interface->name, name, strlen(name) + 1);
	files_target(interface->driver, sizeof(interface->driver),
		     "/sys/class/net/%s/device/driver", name);
	if (!interface->driver[0])
		answers_driver(interface->driver, name);
	find_card(interface);
	look_at_link(interface);
	ask_about_xdp(interface);
}

/* ---- What the machine lives on ---- */

static struct interface *find(struct machine *machine, const char *name)
{
	for (unsigned int i = 0; i < machine->interface_count; i++) {
		if (strcmp(machine->interfaces[i].name, name) == 0)
			return &machine->interfaces[i];
	}
	return NULL;
}

static void mark_default(struct machine *machine, const char *name)
{
	struct interface *interface = find(machine, name);

	if (interface)
		interface->has_default_route = true;
}

static void look_at_routes(struct machine *machine)
{
	FILE *file = files_open("/proc/net/route");
	char line[LINE_BYTES];
	char *words[WORDS_MAX];

	while (file && fgets(line, sizeof(line), file)) {
		words_split(words, line);
		if (words_are(words[1], 16, 0) && words_are(words[7], 16, 0)) /* to, mask */
			mark_default(machine, words[0]);
	}
	if (file)
		fclose(file);
	file = files_open("/proc/net/ipv6_route");
	while (file && fgets(line, sizeof(line), file)) {
		words_split(words, line);
		if (words_are(words[1], 16, 0)) /* the length of the prefix */
			mark_default(machine, words[9]);
	}
	if (file)
		fclose(file);
}

static void mark_ssh(struct machine *machine, const struct in6_addr *address)
{
	char name[IF_NAMESIZE];
	struct interface *interface;

	answers_interface_of(name, address);
	interface = find(machine, name);
	if (interface)
		interface->has_ssh = true;
}

/* As the kernel prints it: words of 32 bits, each in its own order of bytes. */
static bool parse_address(const char *text, struct in6_addr *address)
{
	uint32_t words[4] = {0, 0, htonl(0xffff), 0};
	unsigned int first = strlen(text) == 8 ? 3 : 0;

	if (strlen(text) != 8 && strlen(text) != 32)
		return false;
	for (unsigned int i = first; i < 4; i++, text += 8) {
		char digits[9] = {0};
		uint64_t value;

		memcpy(digits, text, 8);
		if (!words_number(digits, 16, &value))
			return false;
		words[i] = (uint32_t)value;
	}
	memcpy(address, words, sizeof(*address));
	return true;
}

/* Whatever this process itself was started by: sudo forgets SSH_CONNECTION. */
static void look_at_connections(struct machine *machine, const char *table)
{
	FILE *file = files_open("/proc/net/%s", table);
	char line[LINE_BYTES];
	char *words[WORDS_MAX];
	struct in6_addr address;

	while (file && fgets(line, sizeof(line), file)) {
		words_split(words, line);
		char *port = words[1]; /* "0500000A:0016" */
		char *local = strsep(&port, ":");

		if (port && words_are(port, 16, PORT_SSH) &&
		    words_are(words[3], 16, TCP_ESTABLISHED_STATE) &&
		    parse_address(local, &address))
			mark_ssh(machine, &address);
	}
	if (file)
		fclose(file);
}

/* "CLIENT PORT SERVER PORT", for a server at another port. */
static void look_at_session(struct machine *machine)
{
	const char *session = files_are_ours() ? getenv("SSH_CONNECTION") : NULL;
	char mapped[INET6_ADDRSTRLEN + 8];
	char line[LINE_BYTES];
	char *words[WORDS_MAX];
	struct in6_addr address;

	snprintf(line, sizeof(line), "%s", session ? session : "");
	words_split(words, line);
	snprintf(mapped, sizeof(mapped), "%s%.45s",
		 strchr(words[2], ':') ? "" : "::ffff:", words[2]);
	if (inet_pton(AF_INET6, mapped, &address) == 1)
		mark_ssh(machine, &address);
}

static void add_card(void *context, const char *address)
{
	struct machine *machine = context;
	struct card *card = &machine->cards[machine->card_count];

	if (machine->card_count == CARDS_MAX ||
	    files_number("/sys/bus/pci/devices/%s/class", address) >> 8 != CLASS_ETHERNET)
		return;
	machine->card_count++;
	snprintf(card->address, sizeof(card->address), "%.15s", address);
	files_target(card->driver, sizeof(card->driver), "/sys/bus/pci/devices/%s/driver", address);
}

void machine_look_at_interfaces(struct machine *machine)
{
	files_each("/sys/class/net", add_interface, machine);
	files_each("/sys/bus/pci/devices", add_card, machine);
	look_at_routes(machine);
	look_at_connections(machine, "tcp");
	look_at_connections(machine, "tcp6");
	look_at_session(machine);
}
