/*
 * tests/fuzz/fuzz_guest.c - what the agent reads behind the messages
 *
 * The first byte chooses: command lines, paths and ids that a host names,
 * addresses, what a DHCP client says, and links as the kernel describes them.
 * The messages themselves are fuzz_msg's, the documents of containers are
 * fuzz_oci's; requests are not carried out here, since they would be in earnest.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/socket.h>

#include "bridge/guest/cmdsplit.h"
#include "bridge/guest/dhcp.h"
#include "bridge/guest/guestpath.h"
#include "bridge/guest/rtnl.h"
#include "config/arena.h"
#include "config/util.h"

#define ARENA_MAX 0x1000000u

static void try_command(char *text, size_t len)
{
	char **argv = NULL;
	struct err e = { 0 };
	struct arena a;
	size_t n = 0, bytes = 0;

	arena_init(&a, ARENA_MAX);
	if (cmdsplit(text, &a, &argv, &n, &e) == 0) {
		FUZZ_CHECK(n <= CMDSPLIT_ARGS_MAX && argv[n] == NULL);
		for (size_t i = 0; i < n; i++)
			bytes += strlen(argv[i]);
		FUZZ_CHECK(bytes <= len); /* nothing is expanded */
	} else {
		FUZZ_CHECK(argv == NULL && e.text[0] != '\0');
	}
	arena_done(&a);
}

/* A path that is taken is one spelling of a place below its prefix. */
static void try_path(char *text, size_t len UNUSED)
{
	static const enum guestpath_use uses[] = { GUESTPATH_BUNDLE,
						   GUESTPATH_SCRATCH,
						   GUESTPATH_MOUNT,
						   GUESTPATH_LAYER };
	char around[GUESTPATH_MAX + 2];
	struct guestpath p;

	if (guestpath_id_ok(text))
		FUZZ_CHECK(!strchr(text, '/') && strcmp(text, "..") != 0 &&
			   strcmp(text, ".") != 0 && text[0] != '\0');
	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		const size_t rest = strlen(text);

		if (guestpath_check(text, uses[i], "x", &p, NULL) < 0)
			continue;
		FUZZ_CHECK(rest < GUESTPATH_MAX && p.rest > text &&
			   p.rest < text + rest);
		around[0] = '/';
		strcpy(around + 1, p.rest);
		strcat(around, "/");
		FUZZ_CHECK(!strstr(around, "/../") && !strstr(around, "/./") &&
			   !strstr(around, "//"));
	}
}

static void try_address(char *text, size_t len UNUSED)
{
	char spelled[RTNL_ADDRESS_TEXT];
	struct rtnl_address one, two;
	uint8_t mac[RTNL_MAC_SIZE];

	(void)rtnl_parse_mac(text, mac, NULL);
	if (rtnl_parse_address(text, &one, NULL) < 0)
		return;
	FUZZ_CHECK(rtnl_parse_address(rtnl_address_text(&one, spelled), &two,
				      NULL) == 0);
	FUZZ_CHECK(one.family == two.family &&
		   memcmp(one.bytes, two.bytes,
			  one.family == AF_INET ? 4 : 16) == 0);
}

static void try_dhcp(char *text, size_t len UNUSED)
{
	struct dhcp_lease lease;

	if (dhcp_read(text, &lease, NULL) < 0 || !lease.told)
		return;
	FUZZ_CHECK(lease.address.family == AF_INET && lease.prefix <= 32);
	FUZZ_CHECK(lease.n_routers <= DHCP_ROUTERS_MAX);
}

/* Exactly as long as it is, aligned as netlink has it. */
static void try_link(char *text, size_t len)
{
	struct rtnl_link link;
	void *exact = malloc(len ? len : 1);

	FUZZ_CHECK(exact);
	memcpy(exact, text, len);
	if (rtnl_link_read(exact, len, &link) == 0)
		FUZZ_CHECK(memchr(link.name, '\0', sizeof(link.name)));
	free(exact);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static void (*const tries[])(char *, size_t) = {
		try_command, try_path, try_address, try_dhcp, try_link,
	};
	char *text;

	if (size < 1)
		return 0;
	text = malloc(size);
	FUZZ_CHECK(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	tries[data[0] % ARRAY_LEN(tries)](text, size - 1);
	free(text);
	return 0;
}
