/* SPDX-License-Identifier: MIT */
/*
 * tapjoin A B - do the least that a program can do between two taps: read a frame from one and write it to the other, with
 * the offloads on. The network path of pvbackd is compared with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BATCH 64

static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK), size = sizeof(struct virtio_net_hdr);

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0) {
		perror(name);
		exit(1);
	}
	return fd;
}

static void move(int from, int to)
{
	static char frame[65536 + sizeof(struct virtio_net_hdr)];

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = read(from, frame, sizeof(frame));

		if (n <= 0)
			return;
		if (write(to, frame, (size_t)n) < 0 && errno != EAGAIN && errno != EIO)
			perror("write");
	}
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };

	if (argc != 3)
		return 2;
	p[0].fd = open_tap(argv[1]);
	p[1].fd = open_tap(argv[2]);
	puts("ready");
	fflush(stdout);
	while (poll(p, 2, -1) > 0 || errno == EINTR) {
		if (p[0].revents)
			move(p[0].fd, p[1].fd);
		if (p[1].revents)
			move(p[1].fd, p[0].fd);
	}
	return 1;
}
