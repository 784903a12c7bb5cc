#include "tools/qemu/plug_args.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bridge/json_check.h"
#include "tools/qemu/nbd.h"

#define MAC_LEN 17

void plug_disk_names(uint32_t controller, uint32_t lun, struct plug_names *n)
{
	*n = (struct plug_names){ 0 };
	(void)snprintf(n->device, sizeof(n->device),
		       "disk-%" PRIu32 "-%" PRIu32, controller, lun);
	(void)snprintf(n->backend, sizeof(n->backend),
		       "node-%" PRIu32 "-%" PRIu32, controller, lun);
}

void plug_nic_names(uint32_t port, struct plug_names *n)
{
	*n = (struct plug_names){ 0 };
	(void)snprintf(n->device, sizeof(n->device), "card-%" PRIu32, port);
	(void)snprintf(n->backend, sizeof(n->backend), "net-%" PRIu32, port);
	(void)snprintf(n->fd, sizeof(n->fd), "tap-%" PRIu32, port);
}

/* A JSON string of UTF-8 text that was checked. */
static void add_string(struct text *out, const char *s)
{
	text_addc(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			text_addc(out, '\\');
		if ((unsigned char)*s < ' ')
			text_addf(out, "\\u%04x", (unsigned int)*s);
		else
			text_addc(out, *s);
	}
	text_addc(out, '"');
}

static int check_path(const char *path, struct err *e)
{
	const unsigned char *s = (const unsigned char *)path;
	size_t left = strlen(path);

	if (path[0] != '/')
		return err_set(e, EINVAL, "'%.80s' is not an absolute path",
			       path);
	while (left) {
		const size_t n = json_utf8(s, left);

		if (n == 0)
			return err_set(e, EINVAL, "a path is not UTF-8");
		s += n;
		left -= n;
	}
	return 0;
}

static int whole(const struct text *out, struct err *e)
{
	return out->full ? err_set(e, EINVAL, "a path is too long") : 0;
}

/* Where the bytes are, behind what is said of any file. */
static int add_place(const struct plug_disk *d, struct text *out, struct err *e)
{
	struct nbd nbd;
	int r;

	if (d->image != PLUG_NBD) {
		r = check_path(d->path, e);
		if (r < 0)
			return r;
		text_add(out, "\"filename\":");
		add_string(out, d->path);
		return 0;
	}
	r = nbd_parse(d->path, &nbd, e);
	if (r < 0)
		return r;
	text_addf(out,
		  "\"server\":{\"type\":\"inet\",\"host\":\"%s\","
		  "\"port\":\"%s\"},\"export\":\"%s\"",
		  nbd.host, nbd.port, nbd.name);
	return 0;
}

int plug_disk_backend(const struct plug_disk *d, struct text *out,
		      struct err *e)
{
	static const struct {
		const char *format;
		const char *driver;
	} of[PLUG_IMAGES] = {
		[PLUG_RAW] = { "raw", "file" },
		[PLUG_QCOW2] = { "qcow2", "file" },
		[PLUG_DEVICE] = { "raw", "host_device" },
		[PLUG_NBD] = { "raw", "nbd" },
	};
	const char *ro = d->read_only ? "true" : "false";
	struct plug_names names;
	int r;

	plug_disk_names(d->controller, d->lun, &names);
	text_addf(out,
		  "{\"driver\":\"%s\",\"node-name\":\"%s\",\"read-only\":%s,"
		  "\"discard\":\"unmap\",\"file\":{\"driver\":\"%s\","
		  "\"read-only\":%s,\"discard\":\"unmap\",",
		  of[d->image].format, names.backend, ro, of[d->image].driver,
		  ro);
	r = add_place(d, out, e);
	if (r < 0)
		return r;
	text_add(out, "}}");
	return whole(out, e);
}

/* A full disk of the host is the guest's to hear of; QEMU would stop it. */
void plug_disk_device(const struct plug_disk *d, struct text *out)
{
	struct plug_names names;

	plug_disk_names(d->controller, d->lun, &names);
	text_addf(out,
		  "{\"driver\":\"scsi-hd\",\"id\":\"%s\","
		  "\"bus\":\"scsi%" PRIu32 ".0\",\"channel\":0,\"scsi-id\":0,"
		  "\"lun\":%" PRIu32 ",\"drive\":\"%s\","
		  "\"rerror\":\"report\",\"werror\":\"report\"}",
		  names.device, d->controller, d->lun, names.backend);
}

int plug_nic_backend(const struct plug_nic *n, struct text *out, struct err *e)
{
	struct plug_names names;
	int r = 0;

	plug_nic_names(n->port, &names);
	if (n->net == PLUG_NET_TAP) {
		text_addf(out, "{\"type\":\"tap\",\"id\":\"%s\",\"fd\":\"%s\"}",
			  names.backend, names.fd);
		return 0;
	}
	if (n->net == PLUG_NET_USER) {
		text_addf(out, "{\"type\":\"user\",\"id\":\"%s\"}",
			  names.backend);
		return 0;
	}
	r = check_path(n->local, e);
	if (r == 0)
		r = check_path(n->remote, e);
	if (r < 0)
		return r;
	text_addf(out, "{\"type\":\"dgram\",\"id\":\"%s\",\"local\":",
		  names.backend);
	text_add(out, "{\"type\":\"unix\",\"path\":");
	add_string(out, n->local);
	text_add(out, "},\"remote\":{\"type\":\"unix\",\"path\":");
	add_string(out, n->remote);
	text_add(out, "}}");
	return whole(out, e);
}

/* Either spelling, as QEMU has it; no group address. */
static bool take_mac(const char *mac, char out[MAC_LEN + 1])
{
	if (strlen(mac) != MAC_LEN)
		return false;
	for (size_t i = 0; i < MAC_LEN; i++) {
		const char c = mac[i];

		if (i % 3 == 2 ? c != ':' && c != '-'
			       : !isxdigit((unsigned char)c))
			return false;
		out[i] = i % 3 == 2 ? ':' : (char)tolower((unsigned char)c);
	}
	out[MAC_LEN] = '\0';
	return !strchr("13579bdf", out[1]);
}

int plug_nic_device(const struct plug_nic *n, struct text *out, struct err *e)
{
	struct plug_names names;
	char mac[MAC_LEN + 1];

	if (!take_mac(n->mac, mac))
		return err_set(e, EINVAL, "'%.40s' is not the MAC of a card",
			       n->mac);
	plug_nic_names(n->port, &names);
	text_addf(out,
		  "{\"driver\":\"virtio-net-pci\",\"id\":\"%s\","
		  "\"bus\":\"nic%" PRIu32 "\",\"netdev\":\"%s\","
		  "\"mac\":\"%s\",\"romfile\":\"\"}",
		  names.device, n->port, names.backend, mac);
	return 0;
}
