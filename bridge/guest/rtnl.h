/*
 * bridge/guest/rtnl.h - rtnetlink, spoken directly
 *
 * One request, one answer: a message is built in a bounded buffer, sent with
 * NLM_F_ACK, and what the kernel answers is the result; its extended error
 * text is passed on. Encoding and decoding are pure and apart from the socket
 * (rtnl_message.c: rtnl_begin(), rtnl_put(), rtnl_link_read()). Sockets block, but the
 * kernel answers rtnetlink within the call; reads have a time limit all the
 * same.
 * Source: rtnetlink(7), netlink(7), the kernel's linux/rtnetlink.h.
 */
#ifndef FERRY_BRIDGE_GUEST_RTNL_H
#define FERRY_BRIDGE_GUEST_RTNL_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

#define RTNL_MAC_SIZE 6
/* Bytes of a request; the largest of ours takes less than half. */
#define RTNL_MESSAGE_MAX 512
/* Bytes of one datagram of an answer; the kernel sends up to 32 KiB. */
#define RTNL_ANSWER_MAX 32768
/* Links that a look-up goes through. */
#define RTNL_LINKS_MAX 4096u
#define RTNL_TIMEOUT_MS 2000
/* Bytes of an address as text, with NUL. */
#define RTNL_ADDRESS_TEXT 48

/* Of the second and later adapters of a namespace (bridge.md 3.11.7). */
#define RTNL_TABLE_SECOND 101u
#define RTNL_RULE_PRIORITY 5u
#define RTNL_METRIC_SECOND 500u

/* @family: AF_INET (4 bytes used), AF_INET6, 0: none */
struct rtnl_address {
	uint8_t family;
	uint8_t bytes[16];
};

struct rtnl_link {
	int index;
	char name[IF_NAMESIZE];
	uint8_t mac[RTNL_MAC_SIZE];
	uint32_t mtu;
	uint32_t flags; /* IFF_* */
};

/**
 * struct rtnl_route - a route through a gateway, or to the link
 * @destination, @prefix: family 0: the default route
 * @gateway:	family 0: none, the destination is on the link
 * @index:	of the link
 * @metric:	0: the kernel's choice
 * @table:	0: main
 */
struct rtnl_route {
	struct rtnl_address destination;
	uint8_t prefix;
	struct rtnl_address gateway;
	int index;
	uint32_t metric;
	uint32_t table;
};

/* A request under construction; @full is sticky and refused when it is sent. */
struct rtnl_message {
	_Alignas(8) uint8_t buf[RTNL_MESSAGE_MAX];
	size_t len;
	bool full;
};

/**
 * struct rtnl - a socket in one network namespace
 * @fd:		close-on-exec
 */
struct rtnl {
	int fd;
	uint32_t seq;
};

/* --- pure ------------------------------------------------------------------ */

/** rtnl_parse_address() - text to bytes; "" or a name is -EINVAL */
int rtnl_parse_address(const char *text, struct rtnl_address *ret,
		       struct err *e);

/** rtnl_parse_mac() - six bytes in hex with dashes or colons */
int rtnl_parse_mac(const char *text, uint8_t ret[RTNL_MAC_SIZE], struct err *e);

/** rtnl_address_text() - into @text, "none" for no address; returns @text */
const char *rtnl_address_text(const struct rtnl_address *a,
			      char text[RTNL_ADDRESS_TEXT]);

/** rtnl_address_bits() - 32, 128, or 0 */
uint8_t rtnl_address_bits(const struct rtnl_address *a);

/** rtnl_address_any() - no address, 0.0.0.0, or :: */
bool rtnl_address_any(const struct rtnl_address *a);

/** rtnl_begin() - header and the @size bytes of the fixed part @body */
void rtnl_begin(struct rtnl_message *m, uint16_t type, uint16_t flags,
		const void *body, size_t size);

/** rtnl_put() - one attribute; rtnl_put_u32() - one of four bytes */
void rtnl_put(struct rtnl_message *m, uint16_t type, const void *data,
	      size_t size);
void rtnl_put_u32(struct rtnl_message *m, uint16_t type, uint32_t value);

/**
 * rtnl_link_read() - a RTM_NEWLINK message as it came
 * @len:	bytes at @msg
 *
 * Return: 0, -EBADMSG (cut short, or another type)
 */
int rtnl_link_read(const void *msg, size_t len, struct rtnl_link *ret);

/* --- with the kernel ------------------------------------------------------- */

/** rtnl_open() - a socket in the calling thread's namespace */
int rtnl_open(struct rtnl *n, struct err *e);
void rtnl_close(struct rtnl *n);

/**
 * rtnl_monitor() - a non-blocking descriptor that becomes readable when a link
 * comes, goes or changes; rtnl_monitor_drain() empties it
 *
 * Return: the descriptor, or -errno
 */
int rtnl_monitor(struct err *e);
void rtnl_monitor_drain(int fd);

/** rtnl_call() - send a request and wait for the kernel's word on it */
int rtnl_call(struct rtnl *n, struct rtnl_message *m, struct err *e);

/**
 * rtnl_link_by_name(), rtnl_link_by_mac() - the one link that fits
 *
 * Return: 0, -ENODEV, -ENOTUNIQ (several have that address), -errno
 */
int rtnl_link_by_name(struct rtnl *n, const char *name, struct rtnl_link *ret,
		      struct err *e);
int rtnl_link_by_mac(struct rtnl *n, const uint8_t mac[RTNL_MAC_SIZE],
		     struct rtnl_link *ret, struct err *e);

/** rtnl_link_up(), rtnl_link_mtu() - change a link */
int rtnl_link_up(struct rtnl *n, int index, bool up, struct err *e);
int rtnl_link_mtu(struct rtnl *n, int index, uint32_t mtu, struct err *e);

/**
 * rtnl_link_move() - into the network namespace that @netns_fd is open on
 * @name:	what it shall be called there; receives what it is called
 *
 * Where that name is taken, it becomes the first free of eth0, eth1, ...; its
 * index may change too. The link must be down.
 */
int rtnl_link_move(struct rtnl *n, int index, int netns_fd,
		   char name[IF_NAMESIZE], struct err *e);

/**
 * rtnl_address_add() - one that is there already is a success; an IPv6 address
 * is usable at once (no duplicate address detection)
 */
int rtnl_address_add(struct rtnl *n, int index, const struct rtnl_address *a,
		     uint8_t prefix, struct err *e);

/** rtnl_route_add() - -EEXIST: the table has one to there with that metric */
int rtnl_route_add(struct rtnl *n, const struct rtnl_route *r, struct err *e);

/**
 * rtnl_route_via() - rtnl_route_add(); when the gateway cannot be reached, it
 * is made a neighbour on the link (a route to it alone, /32 or /128) and the
 * route is tried again
 */
int rtnl_route_via(struct rtnl *n, const struct rtnl_route *r, struct err *e);

/** rtnl_rule_add() - what comes from @source uses @table; see above */
int rtnl_rule_add(struct rtnl *n, const struct rtnl_address *source,
		  uint32_t table, uint32_t priority, struct err *e);

#endif
