/* SPDX-License-Identifier: MIT */
/* client.c - the way from a process to the simulated hypervisor. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int sim_sock_send(int sock, const void *data, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = ctl.buf;
		msg.msg_controllen = sizeof(ctl.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -errno;
}

int sim_sock_recv(int sock, void *data, size_t len, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct iovec iov = { .iov_base = data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = ctl.buf,
			      .msg_controllen = sizeof(ctl.buf) };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)len)
		return n < 0 ? -errno : -ECONNRESET;
	*ret_fd = -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return 0;
}

int sim_client_call(struct sim_client_conn *c, const struct sim_msg *msg, uint32_t *ret_val,
		    int *ret_fd)
{
	struct sim_reply reply;
	int fd = -1, err;

	pthread_mutex_lock(&c->lock);
	err = sim_sock_send(c->fd, msg, sizeof(*msg), -1);
	if (!err)
		err = sim_sock_recv(c->fd, &reply, sizeof(reply), &fd);
	pthread_mutex_unlock(&c->lock);
	if (!err)
		err = reply.err;
	if (err || !ret_fd) {
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	if (err)
		return err;
	if (ret_val)
		*ret_val = reply.val;
	if (ret_fd)
		*ret_fd = fd;
	return 0;
}

static int hv_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *dir = getenv("XENSIM_DIR");
	int fd, len;

	if (!dir)
		return -ENOENT;
	len = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/hv", dir);
	if (len < 0 || (size_t)len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int sim_client_open(struct sim_client_conn *c, bool is_vcpu)
{
	const char *domid = getenv("XENSIM_DOMID");
	struct sim_msg hello = { .op = SIM_OP_HELLO, .arg = { 0, is_vcpu } };
	int err;

	*c = (struct sim_client_conn){ .fd = -1, .mem_fd = -1 };
	pthread_mutex_init(&c->lock, NULL);
	if (domid)
		c->domid = hello.arg[0] = (uint32_t)strtoul(domid, NULL, 10);
	c->fd = err = hv_connect();
	if (err < 0)
		goto fail;
	err = sim_client_call(c, &hello, &c->id, &c->mem_fd);
	if (err)
		goto fail;
	c->shm = sim_shm_attach(c->mem_fd);
	if (c->shm)
		return 0;
	err = -errno;
fail:
	sim_client_close(c);
	return err;
}

void sim_client_close(struct sim_client_conn *c)
{
	sim_shm_detach(c->shm);
	c->shm = NULL;
	if (c->mem_fd >= 0)
		close(c->mem_fd);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = c->mem_fd = -1;
}
