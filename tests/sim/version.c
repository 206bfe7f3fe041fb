/* SPDX-License-Identifier: MIT */
/*
 * version.c - preloaded into pvbackd, it makes another version of the program. With XENSIM_VERSION, the program reports that
 * version. With XENSIM_PROTOCOL, a number, it uses that protocol: HELLO and END stay the same, and all other messages have type
 * numbers that other protocols do not know.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/messages.h"

enum { SHIFT = 64 }; /* of the types */

static const char *version;
static uint32_t protocol;

static bool is_for_all(uint32_t type)
{
	return type == MESSAGE_HELLO || type == MESSAGE_END;
}

/* The opener (in two pieces) and the keeper of the taps also use such sockets. */
static bool may_be_message(const struct msghdr *msg, size_t size)
{
	return msg->msg_iovlen == 1 && size >= offsetof(struct message, hello);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	typeof(&sendmsg) real = (typeof(&sendmsg))(uintptr_t)dlsym(RTLD_NEXT, "sendmsg");
	struct iovec iov = msg->msg_iov[0];
	struct msghdr changed = *msg;
	struct message message;

	if (!may_be_message(msg, iov.iov_len) || iov.iov_len > sizeof(message))
		return real(fd, msg, flags);
	memcpy(&message, iov.iov_base, iov.iov_len);
	if (message_bytes(message.type) != iov.iov_len)
		return real(fd, msg, flags);
	if (message.type == MESSAGE_HELLO && version)
		snprintf(message.hello.version, sizeof(message.hello.version), "%s", version);
	if (message.type == MESSAGE_HELLO && protocol)
		message.hello.protocol = protocol;
	if (!is_for_all(message.type) && protocol)
		message.type += SHIFT;
	iov.iov_base = &message;
	changed.msg_iov = &iov;
	return real(fd, &changed, flags);
}

/* The program compares with the version that it was built with. */
static void understand_hello(struct message_hello *hello)
{
	if (protocol && hello->protocol == protocol)
		hello->protocol = MESSAGE_PROTOCOL;
	else if (protocol && hello->protocol == MESSAGE_PROTOCOL)
		hello->protocol = protocol;
	if (version && !strcmp(hello->version, version))
		snprintf(hello->version, sizeof(hello->version), "%s", PACKAGE_VERSION);
	else if (version && !strcmp(hello->version, PACKAGE_VERSION))
		snprintf(hello->version, sizeof(hello->version), "%s", version);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	typeof(&recvmsg) real = (typeof(&recvmsg))(uintptr_t)dlsym(RTLD_NEXT, "recvmsg");
	ssize_t n = real(fd, msg, flags);
	struct message *message = msg->msg_iov[0].iov_base;

	if (n < 0 || !may_be_message(msg, (size_t)n))
		return n;
	if (message->type == MESSAGE_HELLO && message_bytes(MESSAGE_HELLO) == (size_t)n)
		understand_hello(&message->hello);
	else if (protocol && message->type >= SHIFT &&
		 message_bytes(message->type - SHIFT) == (size_t)n)
		message->type -= SHIFT;
	else if (protocol && !is_for_all(message->type) &&
		 message_bytes(message->type) == (size_t)n)
		message->type += SHIFT;
	return n;
}

static void __attribute__((constructor)) begin(void)
{
	const char *number = getenv("XENSIM_PROTOCOL");

	version = getenv("XENSIM_VERSION");
	protocol = number ? (uint32_t)strtoul(number, NULL, 10) : 0;
}
