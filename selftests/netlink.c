// SPDX-License-Identifier: GPL-2.0
/*
 * Netlink sockets: port IDs, peers, groups and options are as they were; what cannot
 * be kept is refused.
 */
#include <net/if.h>
#include <sys/ioctl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "ckpt_hostile.h"
#include "ckpt_socket.h"

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK	12
#endif

CKPT_FIXTURE(netlink)

static int made(int protocol)
{
	return V_SYS(socket(AF_NETLINK, SOCK_RAW, protocol));
}

static int try_bind(int fd, uint32_t port, uint32_t groups)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups };

	return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static struct sockaddr_nl name(int fd, bool peer)
{
	struct sockaddr_nl a;
	socklen_t len = sizeof(a);

	if (peer)
		V_SYS(getpeername(fd, (struct sockaddr *)&a, &len));
	else
		V_SYS(getsockname(fd, (struct sockaddr *)&a, &len));
	return a;
}

static void set_opt(int fd, int option, int value)
{
	V_SYS(setsockopt(fd, SOL_NETLINK, option, &value, sizeof(value)));
}

static int opt(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	V_SYS(getsockopt(fd, SOL_NETLINK, option, &value, &len));
	return value;
}

/* The kernel answers a question about lo. */
static void answers(int fd)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} ask = {
		.head = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = 4711 },
		.info.ifi_index = if_nametoindex("lo"),
	};
	struct nlmsghdr *head;
	char buf[8192];

	V_EQUAL(sizeof(ask), send(fd, &ask, sizeof(ask), 0));
	V_CHECK(recv(fd, buf, sizeof(buf), 0) > (ssize_t)sizeof(*head));
	head = (struct nlmsghdr *)buf;
	V_EQUAL(RTM_NEWLINK, head->nlmsg_type);
	V_EQUAL(4711, head->nlmsg_seq);
	V_EQUAL(name(fd, false).nl_pid, head->nlmsg_pid);
}

/* Something happens to lo that the members of a group are told of. */
static void change_lo(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int s = V_SYS(socket(AF_UNIX, SOCK_DGRAM, 0)), mtu;

	V_SYS(ioctl(s, SIOCGIFMTU, &ifr));
	mtu = ifr.ifr_mtu;
	ifr.ifr_mtu = mtu - 1;
	V_SYS(ioctl(s, SIOCSIFMTU, &ifr));
	ifr.ifr_mtu = mtu;
	V_SYS(ioctl(s, SIOCSIFMTU, &ifr));
	close(s);
}

static void told_of_it(int fd)
{
	char buf[8192];
	int n = 0;

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0) {
		V_EQUAL(RTM_NEWLINK, ((struct nlmsghdr *)buf)->nlmsg_type);
		n++;
	}
	V_EQUAL(EAGAIN, errno);
	V_CHECK(n >= 2);
}

SURVIVES(netlink, a_socket_without_a_port)
{
	int s = V_SYS(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));

	victim_ready();
	V_EQUAL(O_RDWR | O_NONBLOCK, fcntl(s, F_GETFL));
	V_EQUAL(0, name(s, false).nl_pid);
	V_EQUAL(0, name(s, true).nl_pid);
	/* it gets that of the process */
	answers(s);
	V_EQUAL(getpid(), name(s, false).nl_pid);
}

SURVIVES(netlink, port_ids)
{
	int s = made(NETLINK_ROUTE), t = made(NETLINK_ROUTE), u = made(NETLINK_ROUTE);
	uint32_t port;

	V_SYS(try_bind(s, 0, 0));
	V_SYS(try_bind(t, 0, 0));
	V_SYS(try_bind(u, 123456, 0));
	port = name(t, false).nl_pid;
	answers(t);
	victim_ready();
	V_EQUAL(getpid(), name(s, false).nl_pid);
	V_EQUAL(port, name(t, false).nl_pid);
	V_EQUAL(123456, name(u, false).nl_pid);
	answers(s);
	answers(t);
	answers(u);
	V_EQUAL(-1, try_bind(made(NETLINK_ROUTE), 123456, 0));
	V_EQUAL(EADDRINUSE, errno);
	/* another protocol, another one */
	V_SYS(try_bind(made(NETLINK_KOBJECT_UEVENT), 123456, 0));
}

SURVIVES(netlink, groups)
{
	int s = made(NETLINK_ROUTE), t = made(NETLINK_ROUTE), u = made(NETLINK_ROUTE);
	uint32_t groups[4] = { };
	socklen_t len = sizeof(groups);

	V_SYS(try_bind(s, 0, RTMGRP_LINK | RTMGRP_IPV4_ROUTE));
	/* a member without a port */
	set_opt(t, NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK);
	set_opt(u, NETLINK_ADD_MEMBERSHIP, RTNLGRP_BRVLAN);
	set_opt(u, NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK);
	set_opt(u, NETLINK_DROP_MEMBERSHIP, RTNLGRP_LINK);
	victim_ready();
	V_EQUAL(RTMGRP_LINK | RTMGRP_IPV4_ROUTE, name(s, false).nl_groups);
	V_EQUAL(0, name(t, false).nl_pid);
	V_EQUAL(RTMGRP_LINK, name(t, false).nl_groups);
	V_SYS(getsockopt(u, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, groups, &len));
	V_EQUAL(0, groups[0]);
	V_EQUAL(1U << (RTNLGRP_BRVLAN - 33), groups[1]);
	change_lo();
	told_of_it(s);
	/* the kernel has no port, either: it takes this one for itself */
	nothing(t);
	V_SYS(try_bind(t, 0, RTMGRP_LINK));
	change_lo();
	told_of_it(t);
	nothing(u);
}

SURVIVES(netlink, devices_and_the_controller)
{
	int s = made(NETLINK_KOBJECT_UEVENT), t = made(NETLINK_GENERIC);

	V_SYS(try_bind(s, 0, 1));
	set_opt(t, NETLINK_ADD_MEMBERSHIP, GENL_ID_CTRL);
	victim_ready();
	V_EQUAL(1, name(s, false).nl_groups);
	V_EQUAL(1U << (GENL_ID_CTRL - 1), name(t, false).nl_groups);
}

SURVIVES(netlink, a_peer)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_pid = 0, .nl_groups = 4 };
	int s = made(NETLINK_ROUTE), t = made(NETLINK_USERSOCK), u = made(NETLINK_USERSOCK);
	char buf[8];

	V_SYS(try_bind(u, 777, 0));
	a.nl_groups = 0;
	V_SYS(connect(s, (struct sockaddr *)&a, sizeof(a)));
	a.nl_pid = 777;
	a.nl_groups = 4;
	V_SYS(connect(t, (struct sockaddr *)&a, sizeof(a)));
	victim_ready();
	V_EQUAL(0, name(s, true).nl_pid);
	V_EQUAL(getpid(), name(s, false).nl_pid);
	V_EQUAL(777, name(t, true).nl_pid);
	V_EQUAL(4, name(t, true).nl_groups);
	answers(s);
	V_EQUAL(5, send(t, "hello", 5, 0));
	V_EQUAL(5, recv(u, buf, sizeof(buf), MSG_DONTWAIT));
}

SURVIVES(netlink, options)
{
	static const int options[] = {
		NETLINK_PKTINFO, NETLINK_BROADCAST_ERROR, NETLINK_NO_ENOBUFS,
		NETLINK_LISTEN_ALL_NSID, NETLINK_CAP_ACK, NETLINK_EXT_ACK,
		NETLINK_GET_STRICT_CHK,
	};
	int s[7], t = made(NETLINK_ROUTE), i, k, size = 500000;

	for (i = 0; i < 7; i++) {
		s[i] = made(NETLINK_ROUTE);
		set_opt(s[i], options[i], 1);
	}
	V_SYS(setsockopt(t, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	victim_ready();
	for (i = 0; i < 7; i++) {
		for (k = 0; k < 7; k++)
			V_EQUAL(i == k, opt(s[i], options[k]));
		V_EQUAL(0, opt(t, options[i]));
		answers(s[i]);
	}
	V_SYS(getsockopt(t, SOL_SOCKET, SO_RCVBUF, &size, &(socklen_t){ sizeof(size) }));
	V_EQUAL(1000000, size);
}

/* What the C library leaves open in between. */
SURVIVES(netlink, a_list_of_devices_before)
{
	struct if_nameindex *list = if_nameindex();
	int s = made(NETLINK_ROUTE);

	V_CHECK(list);
	if_freenameindex(list);
	answers(s);
	victim_ready();
	answers(s);
}

/* ---- what is refused ---- */

CKPT_FIXTURE_REAL(netlink_refused)

#define REFUSED(what, words)	IS_REFUSED(netlink_refused, what, "fd 7: ", words)

REFUSED(messages_that_wait, "not been received")
{
	as_7(made(NETLINK_ROUTE));
	V_SYS(try_bind(7, 0, RTMGRP_LINK));
	change_lo();
	victim_ready();
	told_of_it(7);
}

REFUSED(a_dump, "dump")
{
	struct {
		struct nlmsghdr head;
		struct rtgenmsg info;
	} ask = {
		.head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
			  .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	char buf[32768];

	as_7(made(NETLINK_ROUTE));
	V_EQUAL(ask.head.nlmsg_len, send(7, &ask, ask.head.nlmsg_len, 0));
	victim_ready();
	V_CHECK(recv(7, buf, sizeof(buf), 0) > 0);
}

REFUSED(groups_without_a_fixed_number, "after a boot")
{
	as_7(made(NETLINK_GENERIC));
	set_opt(7, NETLINK_ADD_MEMBERSHIP, 3);
	victim_ready();
}

/* ---- restarts ---- */

VICTIM(has_a_port_id)
{
	as_7(made(NETLINK_USERSOCK));
	V_SYS(try_bind(7, 4711, 0));
	victim_ready();
	V_EQUAL(4711, name(7, false).nl_pid);
}

TEST_F(netlink_refused, a_port_id_that_is_taken)
{
	int s;

	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_port_id"));
	s = made(NETLINK_USERSOCK);
	ASSERT_EQ(0, try_bind(s, 4711, 0));
	EXPECT_EQ(-EADDRINUSE, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "4711"));
	close(s);
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

VICTIM(listens_to_all)
{
	as_7(made(NETLINK_ROUTE));
	set_opt(7, NETLINK_LISTEN_ALL_NSID, 1);
	victim_ready();
	V_EQUAL(1, opt(7, NETLINK_LISTEN_ALL_NSID));
}

TEST_F(netlink_refused, an_option_needs_the_right_to_have_it)
{
	ASSERT_EQ(0, victim_start_and_save(&self->v, "listens_to_all"));
	EXPECT_EQ(-EPERM, restart_without(&self->v, CAP_NET_BROADCAST));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* ---- images that lie ---- */

VICTIM(has_groups)
{
	as_7(made(NETLINK_ROUTE));
	V_SYS(try_bind(7, 0, RTMGRP_LINK));
	victim_ready();
	V_EQUAL(RTMGRP_LINK, name(7, false).nl_groups);
}

CKPT_IMAGE_FIXTURE(netlink_lies, has_groups)

#define LIE(promise, error, ...)					\
	TEST_F(netlink_lies, promise)					\
	{								\
		struct image *img = &self->img;				\
		struct ckpt_netlink *n = find(img, CKPT_REC_NETLINK, 0); \
		struct ckpt_sock *s = find(img, CKPT_REC_SOCK, 0);	\
									\
		ASSERT_TRUE(n && s);					\
		__VA_ARGS__;						\
		EXPECT_EQ(-error, try_changed(&self->v, img, 0));	\
		EXPECT_NE('\0', self->v.log[0]);			\
	}

LIE(unknown_flags, EBADMSG, n->flags |= 1U << 31)
LIE(unknown_options, EBADMSG, n->options |= 1U << 7)
LIE(a_port_that_is_none, EBADMSG, n->portid = 0)
LIE(a_peer_without_a_port, EBADMSG, n->flags = CKPT_NETLINK_CONNECTED; n->portid = 0)
LIE(a_group_that_is_none, EBADMSG, n->peer_group = 33)
LIE(more_groups_than_there_are, EBADMSG, n->nr_groups = 0x10000000)
LIE(more_groups_than_the_record_has, EBADMSG, n->nr_groups = 4096)
LIE(another_family, EBADMSG, s->family = AF_INET; s->protocol = 17)
LIE(a_protocol_that_is_none, EPROTONOSUPPORT, s->protocol = 31)

CKPT_TEST_MAIN
