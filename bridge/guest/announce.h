/*
 * bridge/guest/announce.h - telling the neighbours where an address is
 *
 * After a move the switch that a VM hangs on is another one, and the tables of
 * switches and neighbours are stale. A gratuitous ARP request (RFC 5227 3,
 * RFC 826) for each IPv4 address and an unsolicited neighbour advertisement
 * (RFC 4861 7.2.6) for each IPv6 address put that right. For children that are
 * in the right namespace; nothing here waits for an answer.
 */
#ifndef FERRY_BRIDGE_GUEST_ANNOUNCE_H
#define FERRY_BRIDGE_GUEST_ANNOUNCE_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/rtnl.h"
#include "config/err.h"

#define ANNOUNCE_ARP_SIZE 28
#define ANNOUNCE_NA_SIZE 32

/** announce_arp() - the ARP packet; pure */
void announce_arp(const struct rtnl_address *a,
		  const uint8_t mac[RTNL_MAC_SIZE],
		  uint8_t packet[ANNOUNCE_ARP_SIZE]);

/** announce_na() - the ICMPv6 message, its checksum left to the kernel; pure */
void announce_na(const struct rtnl_address *a, const uint8_t mac[RTNL_MAC_SIZE],
		 uint8_t packet[ANNOUNCE_NA_SIZE]);

/**
 * announce_address() - send one of them
 * @link:	the link that has the address
 *
 * Return: 0 or -errno
 */
int announce_address(const struct rtnl_link *link, const struct rtnl_address *a,
		     struct err *e);

#endif
