#include "bridge/guest/oci.h"

#include <string.h>

/* Longest host name; the kernel takes 64, an OCI runtime says so. */
#define HOSTNAME_MAX 255

bool oci_hostname_ok(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.-";
	const size_t len = strlen(name);

	return len <= HOSTNAME_MAX && strspn(name, good) == len;
}

void oci_hosts(const char *hostname, struct text *out)
{
	const char *dot = strchr(hostname, '.');

	text_add(out, "127.0.0.1 localhost\n");
	text_addf(out, "127.0.0.1 %s", hostname);
	if (dot)
		text_addf(out, " %.*s", (int)(dot - hostname), hostname);
	text_add(out, "\n\n# names for IPv6\n"
		      "::1     ip6-localhost ip6-loopback\n"
		      "fe00::0 ip6-localnet\n"
		      "ff00::0 ip6-mcastprefix\n"
		      "ff02::1 ip6-allnodes\n"
		      "ff02::2 ip6-allrouters\n");
}
