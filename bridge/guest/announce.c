#include "bridge/guest/announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_packet.h>

#include "bridge/io/fd.h"

#define ICMPV6_NA 136
#define NA_OVERRIDE 0x20
#define OPTION_TARGET_MAC 2
#define HOP_LIMIT 255 /* receivers take no other */

void announce_arp(const struct rtnl_address *a,
		  const uint8_t mac[RTNL_MAC_SIZE],
		  uint8_t packet[ANNOUNCE_ARP_SIZE])
{
	/* Ethernet, IPv4, lengths, request */
	static const uint8_t head[] = { 0, 1, 8, 0, 6, 4, 0, 1 };

	memset(packet, 0, ANNOUNCE_ARP_SIZE);
	memcpy(packet, head, sizeof(head));
	memcpy(packet + 8, mac, RTNL_MAC_SIZE);
	memcpy(packet + 14, a->bytes, 4); /* sender */
	memcpy(packet + 24, a->bytes, 4); /* target: the same */
}

void announce_na(const struct rtnl_address *a, const uint8_t mac[RTNL_MAC_SIZE],
		 uint8_t packet[ANNOUNCE_NA_SIZE])
{
	memset(packet, 0, ANNOUNCE_NA_SIZE);
	packet[0] = ICMPV6_NA;
	packet[4] = NA_OVERRIDE;
	memcpy(packet + 8, a->bytes, 16);
	packet[24] = OPTION_TARGET_MAC;
	packet[25] = 1; /* times 8 bytes */
	memcpy(packet + 26, mac, RTNL_MAC_SIZE);
}

static int send_arp(const struct rtnl_link *link, const struct rtnl_address *a,
		    struct err *e)
{
	struct sockaddr_ll all = { .sll_family = AF_PACKET,
				   .sll_protocol = htons(ETH_P_ARP),
				   .sll_ifindex = link->index,
				   .sll_halen = RTNL_MAC_SIZE };
	uint8_t packet[ANNOUNCE_ARP_SIZE];
	cleanup_fd fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, "packet socket");
	memset(all.sll_addr, 0xff, RTNL_MAC_SIZE);
	announce_arp(a, link->mac, packet);
	if (sendto(fd, packet, sizeof(packet), MSG_DONTWAIT,
		   (const struct sockaddr *)&all, sizeof(all)) < 0)
		return err_sys(e, "announce by ARP");
	return 0;
}

static int send_na(const struct rtnl_link *link, const struct rtnl_address *a,
		   struct err *e)
{
	struct sockaddr_in6 from = { .sin6_family = AF_INET6,
				     .sin6_scope_id = (uint32_t)link->index };
	struct sockaddr_in6 all = { .sin6_family = AF_INET6,
				    .sin6_scope_id = (uint32_t)link->index };
	uint8_t packet[ANNOUNCE_NA_SIZE];
	const int limit = HOP_LIMIT;
	cleanup_fd fd =
		socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);

	if (fd < 0)
		return err_sys(e, "ICMPv6 socket");
	memcpy(&from.sin6_addr, a->bytes, sizeof(from.sin6_addr));
	if (inet_pton(AF_INET6, "ff02::1", &all.sin6_addr) != 1)
		return err_set(e, EINVAL, "the address of all nodes");
	announce_na(a, link->mac, packet);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &limit,
		       sizeof(limit)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &link->index,
		       sizeof(link->index)) < 0 ||
	    bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0 ||
	    sendto(fd, packet, sizeof(packet), MSG_DONTWAIT,
		   (const struct sockaddr *)&all, sizeof(all)) < 0)
		return err_sys(e, "announce by neighbour advertisement");
	return 0;
}

int announce_address(const struct rtnl_link *link, const struct rtnl_address *a,
		     struct err *e)
{
	if (a->family == AF_INET)
		return send_arp(link, a, e);
	if (a->family == AF_INET6)
		return send_na(link, a, e);
	return err_set(e, EINVAL, "no address to announce");
}
