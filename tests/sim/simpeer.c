/* SPDX-License-Identifier: MIT */
/*
 * simpeer - the other end of a vif: checks every test frame that comes out of
 * the tap and sends it back, checksum and GSO offload as it came.
 *
 * usage: simpeer [--software | --in-order] IFNAME
 *
 * Brings the interface up, prints "ready", and serves until SIGTERM or until the
 * interface is gone; then a line of figures. --software: fill checksums in and send nothing that needs GSO.
 * --in-order: no number may be missing, and at most RING_SLOTS numbers in a row may come again.
 * Exit status 1 when a frame was wrong. Needs CAP_NET_RAW and CAP_NET_ADMIN.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "netframe.h"
#include "util.h"

static volatile sig_atomic_t stop;
static unsigned long long nr_frames, nr_bad, nr_blank, nr_gso, nr_unsent, nr_again, nr_skipped;

#define RING_SLOTS 256

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void link_up(int fd, const char *name)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		sim_die("%s: %s", name, strerror(errno));
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		sim_die("%s up: %s", name, strerror(errno));
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	int on = 1, big = 16 << 20;

	if (fd < 0)
		sim_die("packet socket: %s", strerror(errno));
	link_up(fd, name);
	addr.sll_ifindex = (int)if_nametoindex(name);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		sim_die("%s: %s", name, strerror(errno));
	return fd;
}

static void judge(const char *wrong, size_t len, const struct virtio_net_hdr *hdr)
{
	nr_frames++;
	nr_blank += (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
	nr_gso += hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE;
	if (wrong && nr_bad++ < 10)
		fprintf(stderr, "simpeer: wrong %s in a frame of %zu bytes (flags %u gso %u)\n",
			wrong, len, hdr->flags, hdr->gso_type);
}

/*
 * What the backend had handed over when it was killed, and not yet answered, comes again in its order.
 */
static void judge_order(uint16_t number)
{
	static int last = -1;
	int step = last < 0 ? 1 : (int16_t)(number - (uint16_t)last);

	if (step > 1 || step <= -RING_SLOTS) {
		nr_skipped++;
		fprintf(stderr, "simpeer: frame %u comes after %d\n", number, last);
	}
	nr_again += step < 1;
	last = number;
}

/* Rebuild with a full checksum and as a frame that needs no offload. */
static void finish_in_software(uint8_t *buf, struct net_frame *f, struct virtio_net_hdr *hdr)
{
	uint8_t src[6], dst[6];

	memset(hdr, 0, sizeof(*hdr));
	memcpy(dst, buf, 6);
	memcpy(src, buf + 6, 6);
	net_frame_build(buf, f, src, dst, false);
}

/*
 * A guest that has just connected may send before the kernel knows of its carrier, and until then what is sent to it
 * is lost without a word.
 */
static void wait_carrier(int fd, const char *name)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	while (!stop && ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && !(ifr.ifr_flags & IFF_RUNNING))
		poll(NULL, 0, 1);
}

static void echo(int fd, uint8_t *buf, size_t len, struct virtio_net_hdr *hdr)
{
	struct iovec iov[2] = { { hdr, sizeof(*hdr) }, { buf, len } };
	uint8_t mac[6];

	memcpy(mac, buf, 6);
	memcpy(buf, buf + 6, 6);
	memcpy(buf + 6, mac, 6);
	while (!stop && writev(fd, iov, 2) < 0) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (errno != ENOBUFS && errno != EAGAIN) {
			if (nr_unsent++ < 5)
				fprintf(stderr, "simpeer: %zu bytes not sent: %s\n", len,
					strerror(errno));
			return;
		}
		poll(&p, 1, 10);
	}
}

static void serve(int fd, bool software, bool in_order)
{
	static uint8_t buf[NET_FRAME_MAX + 64];
	struct virtio_net_hdr hdr;
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { buf, sizeof(buf) } };
	ssize_t n = readv(fd, iov, 2);
	struct net_frame f;
	const char *wrong;
	size_t len;

	if (n <= (ssize_t)sizeof(hdr))
		return;
	len = (size_t)n - sizeof(hdr);
	wrong = net_frame_check(buf, len, hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, &f);
	if (wrong && !*wrong)
		return;
	judge(wrong, len, &hdr);
	if (wrong)
		return;
	if (in_order)
		judge_order(f.number);
	if (software && hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		finish_in_software(buf, &f, &hdr);
	echo(fd, buf, len, &hdr);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	bool software = argc == 3 && !strcmp(argv[1], "--software");
	bool in_order = argc == 3 && !strcmp(argv[1], "--in-order");
	bool first = true;
	int fd;

	if (argc != 2 && !software && !in_order) {
		fputs("usage: simpeer [--software | --in-order] IFNAME\n", stderr);
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	fd = packet_socket(argv[argc - 1]);
	puts("ready");
	fflush(stdout);
	while (!stop) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		/* The interface may be removed at any time; then there is nothing left to do. */
		if (poll(&p, 1, 1000) > 0) {
			if (first)
				wait_carrier(fd, argv[argc - 1]);
			first = false;
			serve(fd, software, in_order);
		} else if (!if_nametoindex(argv[argc - 1])) {
			break;
		}
	}
	printf("frames=%llu bad=%llu blank=%llu gso=%llu unsent=%llu again=%llu skipped=%llu\n",
	       nr_frames, nr_bad, nr_blank, nr_gso, nr_unsent, nr_again, nr_skipped);
	return nr_bad || nr_unsent || nr_skipped;
}
