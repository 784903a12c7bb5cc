/*
 * tests/e2e/sniff.c - announcements of addresses on a wire
 *
 * usage: sniff INTERFACE
 *
 * Prints a line for each gratuitous ARP packet and each unsolicited neighbour
 * advertisement:
 *
 *	arp 00:15:5d:09:00:02 10.9.0.2
 *	na 00:15:5d:09:00:02 fd09::2
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#define FRAME_MAX 2048
#define MAC_BYTES 6
#define ETHER_HEADER 14
#define ARP_SENDER (ETHER_HEADER + 14) /* addresses; a MAC is before each */
#define ARP_TARGET (ETHER_HEADER + 24)
#define ARP_END (ETHER_HEADER + 28)
#define IP6_NEXT (ETHER_HEADER + 6)
#define ICMP6 (ETHER_HEADER + 40)
#define ICMP6_TARGET (ICMP6 + 8)
#define NEXT_ICMP6 58
#define TYPE_NA 136
#define SOLICITED 0x40

static void print_line(const char *what, const uint8_t *frame, int family,
		       const uint8_t *address)
{
	const uint8_t *mac = frame + MAC_BYTES;
	char text[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop(family, address, text, sizeof(text));
	(void)printf("%s %02x:%02x:%02x:%02x:%02x:%02x %s\n", what, mac[0],
		     mac[1], mac[2], mac[3], mac[4], mac[5], text);
	(void)fflush(stdout);
}

static void look(const uint8_t *frame, size_t n)
{
	const unsigned int type = (unsigned int)frame[12] << 8 | frame[13];

	if (type == ETHERTYPE_ARP && n >= ARP_END &&
	    memcmp(frame + ARP_SENDER, frame + ARP_TARGET, 4) == 0)
		print_line("arp", frame, AF_INET, frame + ARP_SENDER);
	else if (type == ETHERTYPE_IPV6 && n >= ICMP6_TARGET + 16 &&
		 frame[IP6_NEXT] == NEXT_ICMP6 && frame[ICMP6] == TYPE_NA &&
		 !(frame[ICMP6 + 4] & SOLICITED))
		print_line("na", frame, AF_INET6, frame + ICMP6_TARGET);
}

int main(int argc, char **argv)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL) };
	const int fd =
		socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	uint8_t frame[FRAME_MAX];
	ssize_t n;

	at.sll_ifindex = argc == 2 ? (int)if_nametoindex(argv[1]) : 0;
	if (at.sll_ifindex == 0 || fd < 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		(void)fprintf(stderr, "sniff: no such interface\n");
		return 1;
	}
	while ((n = recv(fd, frame, sizeof(frame), 0)) >= 0)
		if (n >= ETHER_HEADER)
			look(frame, (size_t)n);
	(void)close(fd);
	return 1;
}
