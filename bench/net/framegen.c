/* SPDX-License-Identifier: MIT */
/*
 * framegen INTERFACE BYTES COUNT - send COUNT frames through an interface, as fast as it takes them, and print the rate.
 * Frames of more than 1514 bytes are TCP frames to be segmented. When the queue of the interface is full, framegen sends the
 * frame again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MSS 1460

static struct {
	struct virtio_net_hdr hdr;
	struct ether_header eth;
	struct iphdr ip;
	struct tcphdr tcp;
	char rest[65536];
} __attribute__((packed)) frame;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void build(size_t bytes)
{
	static const uint8_t to[6] = { 2, 0, 0, 0, 0, 2 }, from[6] = { 2, 0, 0, 0, 0, 1 };
	size_t l4 = sizeof(frame.eth) + sizeof(frame.ip);

	memcpy(frame.eth.ether_dhost, to, 6);
	memcpy(frame.eth.ether_shost, from, 6);
	frame.eth.ether_type = htons(ETHERTYPE_IP);
	frame.ip = (struct iphdr){ .version = 4,
				   .ihl = 5,
				   .ttl = 64,
				   .protocol = IPPROTO_TCP,
				   .tot_len = htons((uint16_t)(bytes - sizeof(frame.eth))),
				   .saddr = htonl(0x0a4d0001),
				   .daddr = htonl(0x0a4d0002) };
	frame.tcp.doff = 5;
	if (bytes <= 1514)
		return;
	frame.hdr = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					     .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					     .hdr_len = (uint16_t)(l4 + sizeof(frame.tcp)),
					     .gso_size = MSS,
					     .csum_start = (uint16_t)l4,
					     .csum_offset = 16 };
}

static int open_socket(const char *interface)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(interface) };

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die(interface);
	return fd;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int main(int argc, char **argv)
{
	size_t bytes = argc == 4 ? (size_t)atol(argv[2]) : 0;
	long count = argc == 4 ? atol(argv[3]) : 0, again = 0;
	uint64_t start;
	double seconds;
	int fd;

	if (bytes < 60 || bytes > 65000 || count < 1)
		return 2;
	build(bytes);
	fd = open_socket(argv[1]);
	start = now_ns();
	for (long i = 0; i < count;) {
		if (write(fd, &frame, sizeof(frame.hdr) + bytes) > 0) {
			i++;
			continue;
		}
		if (errno != ENOBUFS)
			die("write");
		again++;
		sched_yield();
	}
	seconds = (double)(now_ns() - start) / 1e9;
	printf("frames=%ld seconds=%.6f pps=%.0f gbps=%.3f again=%ld\n", count, seconds,
	       (double)count / seconds, (double)count * (double)bytes * 8 / 1e9 / seconds, again);
	return 0;
}
