#include "bridge/guest/rtnl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "bridge/io/fd.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/* Names that are tried for a link whose own is taken where it goes. */
#define NAMES_MAX 256

/* --- the socket ------------------------------------------------------------ */

int rtnl_open(struct rtnl *n, struct err *e)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const struct timeval limit = { .tv_sec = RTNL_TIMEOUT_MS / 1000 };
	const int on = 1;
	cleanup_fd fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return err_sys(e, "rtnetlink socket");
	if (connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return err_sys(e, "rtnetlink socket");
	/* Words for errors; an old kernel has none. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	n->fd = fd_take(&fd);
	n->seq = 0;
	return 0;
}

void rtnl_close(struct rtnl *n)
{
	fd_close(&n->fd);
}

int rtnl_monitor(struct err *e)
{
	const struct sockaddr_nl links = { .nl_family = AF_NETLINK,
					   .nl_groups = RTMGRP_LINK };
	cleanup_fd fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       NETLINK_ROUTE);

	if (fd < 0 ||
	    bind(fd, (const struct sockaddr *)&links, sizeof(links)) < 0)
		return err_sys(e, "rtnetlink announcements");
	return fd_take(&fd);
}

void rtnl_monitor_drain(int fd)
{
	uint8_t scratch[64]; /* the rest of a datagram is cut off */

	/* ENOBUFS: some were lost; the caller looks at all links anyway. */
	while (recv(fd, scratch, sizeof(scratch), 0) >= 0 || errno == ENOBUFS)
		;
}

/* --- one exchange ---------------------------------------------------------- */

typedef void link_fn(void *ctx, const struct rtnl_link *link);

/**
 * struct exchange - a request whose answer is awaited
 * @dump:	the answer is a list that NLMSG_DONE ends
 * @fn:		called for each link of the answer; may be NULL
 * @links:	calls of @fn
 */
struct exchange {
	uint32_t seq;
	bool dump;
	link_fn *fn;
	void *ctx;
	unsigned int links;
	struct err *e;
};

/* The kernel's own words about an error, or "". */
static void error_text(const uint8_t *p, size_t len, char *text, size_t size)
{
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nlmsgerr));

	text[0] = '\0';
	while (at < len && len - at >= sizeof(struct nlattr)) {
		struct nlattr a;

		memcpy(&a, p + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > len - at)
			return;
		if (a.nla_type == NLMSGERR_ATTR_MSG) {
			(void)snprintf(text, size, "%.*s",
				       (int)(a.nla_len - sizeof(a)),
				       (const char *)p + at + sizeof(a));
			return;
		}
		at += NLMSG_ALIGN(a.nla_len);
	}
}

static int on_error(const uint8_t *p, size_t len, struct err *e)
{
	struct nlmsgerr error;
	struct nlmsghdr h;
	char text[128];

	if (len < NLMSG_HDRLEN + sizeof(error))
		return err_set(e, EBADMSG, "rtnetlink: a short answer");
	memcpy(&h, p, sizeof(h));
	memcpy(&error, p + NLMSG_HDRLEN, sizeof(error));
	if (error.error >= 0)
		return 0;
	if (h.nlmsg_flags & NLM_F_ACK_TLVS)
		error_text(p, len, text, sizeof(text));
	else
		text[0] = '\0';
	return err_set(e, -error.error, "%s%s%s", text,
		       text[0] != '\0' ? ": " : "", strerror(-error.error));
}

/* Return: 1: the exchange is over, 0: it goes on, or -errno */
static int on_message(struct exchange *x, const uint8_t *p, size_t len)
{
	struct rtnl_link link;
	struct nlmsghdr h;
	int r;

	memcpy(&h, p, sizeof(h));
	if (h.nlmsg_seq != x->seq)
		return 0; /* the late end of an exchange that timed out */
	if (h.nlmsg_type == NLMSG_DONE)
		return 1;
	if (h.nlmsg_type == NLMSG_ERROR) {
		r = on_error(p, len, x->e);
		return r < 0 ? r : 1;
	}
	if (h.nlmsg_type != RTM_NEWLINK || !x->fn)
		return 0;
	if (rtnl_link_read(p, len, &link) == 0) {
		if (x->links++ >= RTNL_LINKS_MAX)
			return err_set(x->e, E2BIG, "more than %u links",
				       RTNL_LINKS_MAX);
		x->fn(x->ctx, &link);
	}
	/* One link that was asked for comes with no end of its own unless an
	 * acknowledgement was asked for as well: it always is. */
	return 0;
}

/* One datagram, which holds several messages. */
static int on_datagram(struct exchange *x, const uint8_t *p, size_t len)
{
	while (len >= NLMSG_HDRLEN) {
		struct nlmsghdr h;
		int r;

		memcpy(&h, p, sizeof(h));
		if (h.nlmsg_len < NLMSG_HDRLEN || h.nlmsg_len > len)
			return err_set(x->e, EBADMSG,
				       "rtnetlink: a broken answer");
		r = on_message(x, p, h.nlmsg_len);
		if (r != 0)
			return r;
		if (NLMSG_ALIGN(h.nlmsg_len) >= len)
			break;
		p += NLMSG_ALIGN(h.nlmsg_len);
		len -= NLMSG_ALIGN(h.nlmsg_len);
	}
	return 0;
}

static int exchange(struct rtnl *n, struct rtnl_message *m, struct exchange *x)
{
	static _Alignas(8) uint8_t answer[RTNL_ANSWER_MAX]; /* one thread */
	struct nlmsghdr h;
	int r = 0;

	if (m->full)
		return err_set(x->e, EMSGSIZE, "rtnetlink: request too long");
	memcpy(&h, m->buf, sizeof(h));
	h.nlmsg_len = (uint32_t)m->len;
	h.nlmsg_seq = x->seq = ++n->seq;
	h.nlmsg_flags = (uint16_t)(h.nlmsg_flags | NLM_F_ACK);
	memcpy(m->buf, &h, sizeof(h));
	if (send(n->fd, m->buf, m->len, 0) < 0)
		return err_sys(x->e, "rtnetlink send");

	while (r == 0) {
		const ssize_t got =
			recv(n->fd, answer, sizeof(answer), MSG_TRUNC);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(x->e, "rtnetlink answer");
		if ((size_t)got > sizeof(answer))
			return err_set(x->e, EMSGSIZE,
				       "rtnetlink: answer too long");
		r = on_datagram(x, answer, (size_t)got);
	}
	return r < 0 ? r : 0;
}

int rtnl_call(struct rtnl *n, struct rtnl_message *m, struct err *e)
{
	struct exchange x = { .e = e };

	return exchange(n, m, &x);
}

/* --- links ----------------------------------------------------------------- */

/* @found counts the fits; @ret is the last of them. */
struct search {
	const uint8_t *mac; /* NULL: whatever comes */
	struct rtnl_link *ret;
	unsigned int found;
};

static void on_link(void *ctx, const struct rtnl_link *link)
{
	struct search *s = ctx;

	if (s->mac && memcmp(s->mac, link->mac, RTNL_MAC_SIZE) != 0)
		return;
	s->found++;
	*s->ret = *link;
}

int rtnl_link_by_name(struct rtnl *n, const char *name, struct rtnl_link *ret,
		      struct err *e)
{
	const struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct rtnl_link link;
	struct search s = { .ret = &link };
	struct exchange x = { .fn = on_link, .ctx = &s, .e = e };
	struct rtnl_message m;
	int r;

	rtnl_begin(&m, RTM_GETLINK, 0, &info, sizeof(info));
	rtnl_put(&m, IFLA_IFNAME, name, strlen(name) + 1);
	r = exchange(n, &m, &x);
	if (r < 0)
		return err_wrap(e, "link %.16s", name);
	if (s.found != 1)
		return err_set(e, ENODEV, "link %.16s: not found", name);
	*ret = link;
	return 0;
}

int rtnl_link_by_mac(struct rtnl *n, const uint8_t mac[RTNL_MAC_SIZE],
		     struct rtnl_link *ret, struct err *e)
{
	const struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct rtnl_link link;
	struct search s = { .mac = mac, .ret = &link };
	struct exchange x = { .dump = true, .fn = on_link, .ctx = &s, .e = e };
	struct rtnl_message m;
	int r;

	rtnl_begin(&m, RTM_GETLINK, NLM_F_DUMP, &info, sizeof(info));
	r = exchange(n, &m, &x);
	if (r < 0)
		return err_wrap(e, "list of links");
	if (s.found == 0)
		return err_set(e, ENODEV, "no link has that MAC address");
	if (s.found > 1)
		return err_set(e, ENOTUNIQ, "%u links have that MAC address",
			       s.found);
	*ret = link;
	return 0;
}

int rtnl_link_up(struct rtnl *n, int index, bool up, struct err *e)
{
	const struct ifinfomsg info = {
		.ifi_family = AF_UNSPEC,
		.ifi_index = index,
		.ifi_flags = up ? IFF_UP : 0,
		.ifi_change = IFF_UP,
	};
	struct rtnl_message m;

	rtnl_begin(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	if (rtnl_call(n, &m, e) < 0)
		return err_wrap(e, "set link %d %s", index, up ? "up" : "down");
	return 0;
}

int rtnl_link_mtu(struct rtnl *n, int index, uint32_t mtu, struct err *e)
{
	const struct ifinfomsg info = { .ifi_family = AF_UNSPEC,
					.ifi_index = index };
	struct rtnl_message m;

	rtnl_begin(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	rtnl_put_u32(&m, IFLA_MTU, mtu);
	if (rtnl_call(n, &m, e) < 0)
		return err_wrap(e, "set MTU %u of link %d", mtu, index);
	return 0;
}

/* One try to move. */
static int move(struct rtnl *n, int index, int netns_fd, const char *name,
		struct err *e)
{
	const struct ifinfomsg info = { .ifi_family = AF_UNSPEC,
					.ifi_index = index };
	struct rtnl_message m;

	rtnl_begin(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	rtnl_put_u32(&m, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	rtnl_put(&m, IFLA_IFNAME, name, strlen(name) + 1);
	return rtnl_call(n, &m, e);
}

int rtnl_link_move(struct rtnl *n, int index, int netns_fd,
		   char name[IF_NAMESIZE], struct err *e)
{
	int r = move(n, index, netns_fd, name, e);

	for (unsigned int i = 0; r == -EEXIST && i < NAMES_MAX; i++) {
		char other[IF_NAMESIZE];

		(void)snprintf(other, sizeof(other), "eth%u", i);
		r = move(n, index, netns_fd, other, e);
		if (r == 0)
			memcpy(name, other, sizeof(other));
	}
	if (r < 0)
		return err_wrap(e, "move link %d to another namespace", index);
	return 0;
}

/* --- addresses, routes, rules ---------------------------------------------- */

static size_t address_size(const struct rtnl_address *a)
{
	return rtnl_address_bits(a) / 8u;
}

static void put_address(struct rtnl_message *m, uint16_t type,
			const struct rtnl_address *a)
{
	rtnl_put(m, type, a->bytes, address_size(a));
}

/* The broadcast address of an IPv4 network that has one. */
static bool broadcast(const struct rtnl_address *a, uint8_t prefix,
		      struct rtnl_address *ret)
{
	if (a->family != AF_INET || prefix >= 31)
		return false;
	*ret = *a;
	for (unsigned int bit = prefix; bit < 32; bit++)
		ret->bytes[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	return true;
}

int rtnl_address_add(struct rtnl *n, int index, const struct rtnl_address *a,
		     uint8_t prefix, struct err *e)
{
	const struct ifaddrmsg info = {
		.ifa_family = a->family,
		.ifa_prefixlen = prefix,
		.ifa_index = (uint32_t)index,
	};
	struct rtnl_address all;
	struct rtnl_message m;
	char text[RTNL_ADDRESS_TEXT];
	int r;

	rtnl_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info,
		   sizeof(info));
	put_address(&m, IFA_LOCAL, a);
	put_address(&m, IFA_ADDRESS, a);
	if (broadcast(a, prefix, &all))
		put_address(&m, IFA_BROADCAST, &all);
	if (a->family == AF_INET6)
		rtnl_put_u32(&m, IFA_FLAGS, IFA_F_NODAD);
	r = rtnl_call(n, &m, e);
	if (r < 0 && r != -EEXIST)
		return err_wrap(e, "add address %s/%u",
				rtnl_address_text(a, text), prefix);
	return 0;
}

static uint8_t route_family(const struct rtnl_route *r)
{
	return r->gateway.family ? r->gateway.family : r->destination.family;
}

static int route_add(struct rtnl *n, const struct rtnl_route *r, struct err *e)
{
	const uint32_t table = r->table ? r->table : RT_TABLE_MAIN;
	const struct rtmsg info = {
		.rtm_family = route_family(r),
		.rtm_dst_len = r->destination.family ? r->prefix : 0,
		.rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = r->gateway.family || route_family(r) == AF_INET6
				     ? RT_SCOPE_UNIVERSE
				     : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST,
	};
	struct rtnl_message m;

	rtnl_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &info,
		   sizeof(info));
	if (info.rtm_dst_len > 0)
		put_address(&m, RTA_DST, &r->destination);
	if (r->gateway.family)
		put_address(&m, RTA_GATEWAY, &r->gateway);
	rtnl_put_u32(&m, RTA_OIF, (uint32_t)r->index);
	if (r->metric)
		rtnl_put_u32(&m, RTA_PRIORITY, r->metric);
	rtnl_put_u32(&m, RTA_TABLE, table);
	return rtnl_call(n, &m, e);
}

static int route_failed(const struct rtnl_route *r, struct err *e)
{
	char to[RTNL_ADDRESS_TEXT];
	char via[RTNL_ADDRESS_TEXT];

	(void)rtnl_address_text(&r->gateway, via);
	if (!r->destination.family)
		return err_wrap(e, "add default route via %s", via);
	return err_wrap(e, "add route to %s/%u via %s",
			rtnl_address_text(&r->destination, to), r->prefix, via);
}

int rtnl_route_add(struct rtnl *n, const struct rtnl_route *r, struct err *e)
{
	return route_add(n, r, e) < 0 ? route_failed(r, e) : 0;
}

int rtnl_route_via(struct rtnl *n, const struct rtnl_route *r, struct err *e)
{
	/* The gateway is a neighbour, whatever its address looks like. To add
	 * it as an address of the link would make us answer for it. */
	const struct rtnl_route neighbour = {
		.destination = r->gateway,
		.prefix = rtnl_address_bits(&r->gateway),
		.index = r->index,
		.table = r->table,
	};
	int why = route_add(n, r, e);

	/* IPv6 says it in other words. */
	if (r->gateway.family &&
	    (why == -ENETUNREACH || why == -EHOSTUNREACH)) {
		why = route_add(n, &neighbour, e);
		if (why == 0 || why == -EEXIST)
			why = route_add(n, r, e);
	}
	return why < 0 ? route_failed(r, e) : 0;
}

int rtnl_rule_add(struct rtnl *n, const struct rtnl_address *source,
		  uint32_t table, uint32_t priority, struct err *e)
{
	const struct fib_rule_hdr info = {
		.family = source->family,
		.src_len = rtnl_address_bits(source),
		.table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
		.action = FR_ACT_TO_TBL,
	};
	struct rtnl_message m;
	char text[RTNL_ADDRESS_TEXT];
	int r;

	rtnl_begin(&m, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &info,
		   sizeof(info));
	put_address(&m, FRA_SRC, source);
	rtnl_put_u32(&m, FRA_PRIORITY, priority);
	rtnl_put_u32(&m, FRA_TABLE, table);
	r = rtnl_call(n, &m, e);
	if (r < 0 && r != -EEXIST)
		return err_wrap(e, "add rule for %s",
				rtnl_address_text(source, text));
	return 0;
}
