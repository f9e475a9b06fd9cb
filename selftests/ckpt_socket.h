/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sockets of the victims, whatever their family.
 */
#ifndef CKPT_SOCKET_H
#define CKPT_SOCKET_H

#include <poll.h>
#include <sys/socket.h>

#include "ckpt_test.h"

static inline void put(int fd, const char *text)
{
	V_EQUAL(strlen(text), send(fd, text, strlen(text), MSG_NOSIGNAL));
}

/* One call gives this and nothing else. */
static inline void get(int fd, const char *text)
{
	char buf[4096];

	V_EQUAL(strlen(text), recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
	V_CHECK(!memcmp(buf, text, strlen(text)));
}

static inline void nothing(int fd)
{
	char byte;

	V_EQUAL(-1, recv(fd, &byte, 1, MSG_DONTWAIT));
	V_EQUAL(EAGAIN, errno);
}

static inline int poll_of(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	V_SYS(poll(&p, 1, 0));
	return p.revents;
}

/* Reports name a socket by its descriptor. */
static inline void as_7(int fd)
{
	V_EQUAL(7, dup2(fd, 7));
	if (fd != 7)
		close(fd);
}

#endif /* CKPT_SOCKET_H */
