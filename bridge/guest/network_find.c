/* Which link is the adapter that the host means? */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/guest/network_object.h"

#define PATH_SIZE 512

/**
 * one_entry() - the only entry of a directory that begins with @prefix
 *
 * Return: 0, -ENODEV (no directory, no entry), -ENOTUNIQ
 */
static int one_entry(const char *path, const char *prefix, char *ret,
		     size_t size)
{
	DIR *d = opendir(path);
	const struct dirent *entry;
	unsigned int found = 0;

	if (!d)
		return -ENODEV;
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.' ||
		    strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
		    strlen(entry->d_name) >= size)
			continue;
		if (found++ == 0)
			memcpy(ret, entry->d_name, strlen(entry->d_name) + 1);
	}
	(void)closedir(d);
	return found == 1 ? 0 : found == 0 ? -ENODEV : -ENOTUNIQ;
}

/* A function of a passed-through device lies two levels below: pciXXXX:YY,
 * which names the bus, and on it the function. */
static int pci_function(char *path, size_t size)
{
	char bus[64];
	char function[64];
	size_t len = strlen(path);
	int r = one_entry(path, "pci", bus, sizeof(bus));

	if (r < 0)
		return r;
	len += (size_t)snprintf(path + len, size - len, "/%s", bus);
	r = one_entry(path, bus + strlen("pci"), function, sizeof(function));
	if (r == 0)
		(void)snprintf(path + len, size - len, "/%s", function);
	return r;
}

static int by_vmbus(const char *sys, const struct network_facts *f,
		    char name[IF_NAMESIZE])
{
	char path[PATH_SIZE];
	size_t len;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s", sys,
		       f->id);
	if (f->vpci)
		r = pci_function(path, sizeof(path));
	if (r < 0)
		return r;
	len = strlen(path);
	(void)snprintf(path + len, sizeof(path) - len, "/net");
	return one_entry(path, "", name, IF_NAMESIZE);
}

static bool has_vmbus(const char *sys)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/bus/vmbus/devices", sys);
	return access(path, F_OK) == 0;
}

int network_find(const char *sys, struct rtnl *n, const struct network_facts *f,
		 char name[IF_NAMESIZE], struct err *e)
{
	static const uint8_t none[RTNL_MAC_SIZE];
	struct rtnl_link link;
	int r;

	if (has_vmbus(sys)) {
		r = by_vmbus(sys, f, name);
		if (r < 0)
			return err_set(e, -r, "VMBus device %s: %s", f->id,
				       r == -ENODEV ? "no interface"
						    : "several interfaces");
		return 0;
	}
	if (memcmp(f->mac, none, sizeof(none)) == 0)
		return err_set(e, EINVAL,
			       "no VMBus here and no $.MacAddress to go by");
	r = rtnl_link_by_mac(n, f->mac, &link, e);
	if (r == 0)
		memcpy(name, link.name, IF_NAMESIZE);
	return r;
}
