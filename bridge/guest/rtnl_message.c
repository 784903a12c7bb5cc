/* Building and reading rtnetlink messages; no socket in sight. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "bridge/guest/rtnl.h"

/* --- text ------------------------------------------------------------------ */

int rtnl_parse_address(const char *text, struct rtnl_address *ret,
		       struct err *e)
{
	struct rtnl_address a = { 0 };

	if (inet_pton(AF_INET, text, a.bytes) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, text, a.bytes) == 1)
		a.family = AF_INET6;
	else
		return err_set(e, EINVAL, "'%.48s' is no IP address", text);
	*ret = a;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int rtnl_parse_mac(const char *text, uint8_t ret[RTNL_MAC_SIZE], struct err *e)
{
	uint8_t mac[RTNL_MAC_SIZE];
	const char *p = text;

	for (size_t i = 0; i < RTNL_MAC_SIZE; i++, p += 3) {
		const int high = hex_digit(p[0]);
		const int low = high < 0 ? -1 : hex_digit(p[1]);
		const bool last = i == RTNL_MAC_SIZE - 1;

		if (low < 0 || (last && p[2] != '\0') ||
		    (!last && p[2] != '-' && p[2] != ':'))
			return err_set(e, EINVAL, "'%.24s' is no MAC address",
				       text);
		mac[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret, mac, sizeof(mac));
	return 0;
}

const char *rtnl_address_text(const struct rtnl_address *a,
			      char text[RTNL_ADDRESS_TEXT])
{
	if (a->family == 0 ||
	    !inet_ntop(a->family, a->bytes, text, RTNL_ADDRESS_TEXT))
		(void)snprintf(text, RTNL_ADDRESS_TEXT, "none");
	return text;
}

uint8_t rtnl_address_bits(const struct rtnl_address *a)
{
	if (a->family == AF_INET)
		return 32;
	return a->family == AF_INET6 ? 128 : 0;
}

bool rtnl_address_any(const struct rtnl_address *a)
{
	static const uint8_t zero[sizeof(a->bytes)];

	return memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

/* --- building -------------------------------------------------------------- */

static void put_raw(struct rtnl_message *m, const void *data, size_t size)
{
	const size_t padded = NLMSG_ALIGN(size);

	if (m->full || padded < size || padded > sizeof(m->buf) - m->len) {
		m->full = true;
		return;
	}
	memset(m->buf + m->len, 0, padded);
	if (size > 0)
		memcpy(m->buf + m->len, data, size);
	m->len += padded;
}

void rtnl_begin(struct rtnl_message *m, uint16_t type, uint16_t flags,
		const void *body, size_t size)
{
	const struct nlmsghdr h = {
		.nlmsg_type = type,
		.nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST),
	};

	m->len = 0;
	m->full = false;
	put_raw(m, &h, sizeof(h));
	put_raw(m, body, size);
}

void rtnl_put(struct rtnl_message *m, uint16_t type, const void *data,
	      size_t size)
{
	const struct rtattr a = {
		.rta_type = type,
		.rta_len = (uint16_t)(sizeof(a) + size),
	};

	if (size > RTNL_MESSAGE_MAX ||
	    NLMSG_ALIGN(size) + sizeof(a) > sizeof(m->buf) - m->len) {
		m->full = true;
		return;
	}
	put_raw(m, &a, sizeof(a));
	put_raw(m, data, size);
}

void rtnl_put_u32(struct rtnl_message *m, uint16_t type, uint32_t value)
{
	rtnl_put(m, type, &value, sizeof(value));
}

/* --- reading --------------------------------------------------------------- */

/* Takes one attribute into @ret; unknown ones are passed over. */
static void link_attribute(const struct rtattr *a, const uint8_t *data,
			   size_t size, struct rtnl_link *ret)
{
	switch (a->rta_type) {
	case IFLA_IFNAME:
		if (size > 0 && size <= sizeof(ret->name) &&
		    data[size - 1] == '\0')
			memcpy(ret->name, data, size);
		break;
	case IFLA_ADDRESS:
		if (size == sizeof(ret->mac))
			memcpy(ret->mac, data, size);
		break;
	case IFLA_MTU:
		if (size == sizeof(ret->mtu))
			memcpy(&ret->mtu, data, size);
		break;
	default:
		break;
	}
}

int rtnl_link_read(const void *msg, size_t len, struct rtnl_link *ret)
{
	const uint8_t *p = msg;
	struct rtnl_link link = { 0 };
	struct nlmsghdr h;
	struct ifinfomsg info;
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(info));

	if (len < at)
		return -EBADMSG;
	memcpy(&h, p, sizeof(h));
	if (h.nlmsg_type != RTM_NEWLINK || h.nlmsg_len < at ||
	    h.nlmsg_len > len)
		return -EBADMSG;
	len = h.nlmsg_len;
	memcpy(&info, p + NLMSG_HDRLEN, sizeof(info));
	link.index = info.ifi_index;
	link.flags = info.ifi_flags;

	while (len - at >= sizeof(struct rtattr)) {
		struct rtattr a;

		memcpy(&a, p + at, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > len - at)
			return -EBADMSG;
		link_attribute(&a, p + at + sizeof(a), a.rta_len - sizeof(a),
			       &link);
		if (RTA_ALIGN(a.rta_len) >= len - at)
			break;
		at += RTA_ALIGN(a.rta_len);
	}
	if (link.index <= 0 || link.name[0] == '\0')
		return -EBADMSG;
	*ret = link;
	return 0;
}
